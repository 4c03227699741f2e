//! YAML as a small tree that knows where everything stands.
//!
//! Only what a policy needs: maps with words as keys, lists, and scalars that all are text. Depth and size are bounded
//! while the file is read, and aliases are refused, so that a small file can't become a large tree.

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::error::{PolicyError, Script, Stretch};
use crate::fault::Fault;
use crate::token::Lines;

/// How deep a file may be nested. A policy has four levels: file, list, entry, values.
const DEPTH: usize = 8;

/// How many keys, values, lists and maps a file may have: a few for each endpoint that a source can have.
const NODES: usize = 16 * crate::limits::RULES_OF_SOURCE;

/// One node of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Stretch,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    /// What YAML makes of it.
    pub(crate) text: String,
    style: ScalarStyle,
    /// Where it stands, in bytes of the file.
    raw: Range<usize>,
}

impl Scalar {
    /// Whether this is YAML's way of saying nothing.
    pub(crate) fn is_null(&self) -> bool {
        self.style == ScalarStyle::Plain
            && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// The text as a list of endpoints, and where it begins. As written in the file wherever that is the same, so
    /// that comments end with their lines and places are exact, even where YAML folds lines together.
    pub(crate) fn list<'a>(&'a self, script: &Script<'a>, at: Stretch) -> (&'a str, Lines) {
        let written = script.text.get(self.raw.clone()).unwrap_or_default();
        let mut lines = Lines {
            line: at.line,
            column: at.column,
            folded: false,
        };
        if self.text.trim().is_empty() {
            // Its place is that of the `|` or `>` before it.
            return ("", lines);
        }
        match self.style {
            ScalarStyle::Plain | ScalarStyle::Literal | ScalarStyle::Folded => (written, lines),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let inside = written
                    .get(1..written.len().saturating_sub(1))
                    .filter(|inside| *inside == self.text);
                lines.folded = true;
                lines.column = lines.column.saturating_add(u32::from(inside.is_some()));
                (inside.unwrap_or(&self.text), lines)
            }
        }
    }
}

/// Reads the one document of a file; nothing when there is none.
pub(crate) fn read(script: &Script<'_>) -> Result<Option<Node>, Vec<PolicyError>> {
    let mut tree = Tree {
        script,
        offsets: Offsets::new(script.text),
        open: Vec::new(),
        root: None,
        nodes: 0,
    };
    let mut documents = 0;
    for event in Parser::new_from_str(script.text) {
        let (event, span) = event.map_err(|error| {
            let at = Stretch {
                line: number(error.marker().line()),
                column: number(error.marker().col().saturating_add(1)),
                length: 1,
            };
            let unquoted = unquoted(script);
            if unquoted.is_empty() {
                vec![script.error(at, "", Fault::Yaml(error.info().to_owned()))]
            } else {
                unquoted
            }
        })?;
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
        }
        if documents > 1 {
            let fault = Fault::YamlFeature("a second document");
            return Err(vec![script.error(tree.stretch(span, 1), "", fault)]);
        }
        tree.event(event, span).map_err(|error| {
            let unquoted = unquoted(script);
            if unquoted.is_empty() {
                vec![*error]
            } else {
                unquoted
            }
        })?;
    }
    Ok(tree.root)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Entries of lists that begin with a character which means something else in YAML: patterns, groups, and IPv6
/// addresses in brackets have to stand in quotes. YAML's own words about them help nobody.
fn unquoted(script: &Script<'_>) -> Vec<PolicyError> {
    let entries = script.text.lines().zip(1..).filter_map(|(line, number)| {
        let entry = line.trim_start().strip_prefix("- ")?.trim_start();
        let word = entry.strip_prefix("endpoint: ").unwrap_or(entry);
        let word = word.split_whitespace().next()?;
        let is_address = word.starts_with('[') && word.matches(':').nth(1).is_some();
        if !(word.starts_with(['*', '@']) || is_address) {
            return None;
        }
        let before = line.find(word)?;
        let at = Stretch {
            line: number,
            column: self::number(line.get(..before)?.chars().count() + 1),
            length: word.chars().count(),
        };
        let mut error = script.error(at, word, Fault::Unquoted);
        error.suggestion = Some(format!("\"{word}\""));
        Some(error)
    });
    entries.take(crate::limits::ERRORS).collect()
}

/// A tree that is being read.
struct Tree<'s> {
    script: &'s Script<'s>,
    offsets: Offsets,
    /// Lists and maps that have begun and not ended, outermost first.
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
}

enum Open {
    List(Stretch, Vec<Node>),
    Map(Stretch, Vec<(Node, Node)>, Option<Node>),
}

impl Tree<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Box<PolicyError>> {
        let here = self.stretch(span, 1);
        match event {
            Event::Alias(_) => return self.fault(here, Fault::YamlFeature("an alias")),
            Event::Scalar(text, style, anchor, tag) => {
                self.plain(here, anchor, tag.is_some())?;
                let raw =
                    self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index());
                let length = span.end.index().saturating_sub(span.start.index());
                let node = Node {
                    at: self.stretch(span, length),
                    value: Value::Scalar(Scalar {
                        text: text.into_owned(),
                        style,
                        raw,
                    }),
                };
                self.put(node)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.plain(here, anchor, tag.is_some())?;
                self.open(Open::List(here, Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                self.plain(here, anchor, tag.is_some())?;
                self.open(Open::Map(here, Vec::new(), None))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn stretch(&self, span: Span, length: usize) -> Stretch {
        Stretch {
            line: number(span.start.line()),
            column: number(span.start.col().saturating_add(1)),
            length,
        }
    }

    fn fault(&self, at: Stretch, fault: Fault) -> Result<(), Box<PolicyError>> {
        Err(Box::new(self.script.error(at, "", fault)))
    }

    fn plain(&self, at: Stretch, anchor: usize, has_tag: bool) -> Result<(), Box<PolicyError>> {
        if anchor > 0 {
            return self.fault(at, Fault::YamlFeature("an anchor"));
        }
        if has_tag {
            return self.fault(at, Fault::YamlFeature("a tag"));
        }
        Ok(())
    }

    fn open(&mut self, open: Open) -> Result<(), Box<PolicyError>> {
        if self.open.len() >= DEPTH {
            let (Open::List(at, _) | Open::Map(at, ..)) = open;
            return self.fault(at, Fault::TooDeep);
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Box<PolicyError>> {
        let node = match self.open.pop() {
            Some(Open::List(at, nodes)) => Node {
                at,
                value: Value::List(nodes),
            },
            Some(Open::Map(at, pairs, _)) => Node {
                at,
                value: Value::Map(pairs),
            },
            None => return Ok(()),
        };
        self.put(node)
    }

    fn put(&mut self, node: Node) -> Result<(), Box<PolicyError>> {
        self.nodes += 1;
        if self.nodes > NODES {
            return self.fault(node.at, Fault::TooManyRules);
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, pairs, key)) => match key.take() {
                None => *key = Some(node),
                Some(key) => pairs.push((key, node)),
            },
        }
        Ok(())
    }
}

/// Bytes of characters: the library counts the characters of a file, and Rust its bytes.
struct Offsets {
    /// Empty where every character is one byte.
    bytes: Vec<usize>,
    end: usize,
}

impl Offsets {
    fn new(text: &str) -> Offsets {
        let bytes = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().map(|(byte, _)| byte).collect()
        };
        Offsets {
            bytes,
            end: text.len(),
        }
    }

    fn byte(&self, index: usize) -> usize {
        if self.bytes.is_empty() {
            return index.min(self.end);
        }
        self.bytes.get(index).copied().unwrap_or(self.end)
    }
}
