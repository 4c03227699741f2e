//! YAML as a small tree that knows where everything stands.
//!
//! [`read`] gives what files of settings need: maps with words as keys, lists, and scalars that all are text. Depth and
//! size are bounded while the file is read, and anchors, aliases and tags are refused, so that a small file can't become
//! a large tree.
//!
//! [`Documents`] is for programs that edit a file of somebody else: every document as it stands, anchors, aliases and
//! tags included, and each part with the bytes that it stands in. An alias stays one part that points at another.
//!
//! **Architecture invariant.** Reading does no I/O and takes no more memory than [`Limits`] allow. What keys mean is for
//! others to say.

mod documents;

use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

pub use documents::{Documents, Part, PartId, PartValue};

/// How much a file may have.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How deep lists and maps may be nested.
    pub depth: usize,
    /// Keys, values, lists and maps.
    pub nodes: usize,
}

/// Why a file can't be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    /// Where it stands.
    pub at: Stretch,
    /// What is wrong.
    pub fault: YamlFault,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum YamlFault {
    /// Not YAML, in the library's words.
    Syntax(String),
    /// Something that YAML has and that is not read: an alias, an anchor, a tag, a second document.
    Feature(&'static str),
    /// Deeper than [`Limits::depth`].
    TooDeep,
    /// More than [`Limits::nodes`].
    TooLarge,
}

/// A stretch of a text: where it begins, and how many characters of its line it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Counted from 1.
    pub line: u32,
    /// In characters, counted from 1.
    pub column: u32,
    /// In characters.
    pub length: usize,
}

/// One node of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub at: Stretch,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file.
    Map(Vec<(Node, Node)>),
}

/// A text.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// What YAML makes of it.
    pub text: String,
    /// How it is written.
    pub style: Style,
    /// Where it stands, in bytes of the file.
    pub raw: Range<usize>,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// By itself.
    Plain,
    /// In quotes.
    Quoted,
    /// As a block (`|` or `>`).
    Block,
}

impl Scalar {
    /// Whether this is YAML's way of saying nothing.
    pub fn is_null(&self) -> bool {
        self.style == Style::Plain
            && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// Reads the one document of a file; nothing when there is none.
pub fn read(text: &str, limits: Limits) -> Result<Option<Node>, YamlError> {
    let mut tree = Tree {
        limits,
        offsets: Offsets::new(text),
        open: Vec::new(),
        root: None,
        nodes: 0,
    };
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        if matches!(event, Event::DocumentStart(_)) {
            documents += 1;
        }
        if documents > 1 {
            return Err(YamlError {
                at: stretch(span, 1),
                fault: YamlFault::Feature("a second document"),
            });
        }
        tree.event(event, span)?;
    }
    Ok(tree.root)
}

fn syntax(error: &ScanError) -> YamlError {
    YamlError {
        at: Stretch {
            line: number(error.marker().line()),
            column: number(error.marker().col().saturating_add(1)),
            length: 1,
        },
        fault: YamlFault::Syntax(error.info().to_owned()),
    }
}

fn style(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn stretch(span: Span, length: usize) -> Stretch {
    Stretch {
        line: number(span.start.line()),
        column: number(span.start.col().saturating_add(1)),
        length,
    }
}

fn fault<T>(at: Stretch, fault: YamlFault) -> Result<T, YamlError> {
    Err(YamlError { at, fault })
}

/// A tree that is being read.
struct Tree {
    limits: Limits,
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

impl Tree {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let here = stretch(span, 1);
        match event {
            Event::Alias(_) => return fault(here, YamlFault::Feature("an alias")),
            Event::Scalar(text, written, anchor, tag) => {
                self.plain(here, anchor, tag.is_some())?;
                let raw = self.offsets.range(span);
                let length = span.end.index().saturating_sub(span.start.index());
                let node = Node {
                    at: stretch(span, length),
                    value: Value::Scalar(Scalar {
                        text: text.into_owned(),
                        style: style(written),
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

    fn plain(&self, at: Stretch, anchor: usize, has_tag: bool) -> Result<(), YamlError> {
        if anchor > 0 {
            return fault(at, YamlFault::Feature("an anchor"));
        }
        if has_tag {
            return fault(at, YamlFault::Feature("a tag"));
        }
        Ok(())
    }

    fn open(&mut self, open: Open) -> Result<(), YamlError> {
        if self.open.len() >= self.limits.depth {
            let (Open::List(at, _) | Open::Map(at, ..)) = open;
            return fault(at, YamlFault::TooDeep);
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
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

    fn put(&mut self, node: Node) -> Result<(), YamlError> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return fault(node.at, YamlFault::TooLarge);
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

    fn range(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        start..self.byte(span.end.index()).max(start)
    }

    fn byte(&self, index: usize) -> usize {
        if self.bytes.is_empty() {
            return index.min(self.end);
        }
        self.bytes.get(index).copied().unwrap_or(self.end)
    }
}
