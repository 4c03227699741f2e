//! All documents of a file as they stand.

use std::collections::HashMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, Span};

use crate::{
    Limits, Offsets, Scalar, Stretch, Style, YamlError, YamlFault, fault, stretch, style, syntax,
};

/// Every document of a file, with each part's place. Made for editing the text: what is between the parts (comments,
/// white space, marks) is the text's own, and nothing here repeats it.
#[derive(Clone, Debug)]
pub struct Documents {
    parts: Vec<Part>,
    roots: Vec<PartId>,
    /// What an id of other documents names: nothing, as YAML writes it.
    nothing: Part,
}

/// Names one part of one [`Documents`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(usize);

/// One part of a document.
#[derive(Clone, Debug)]
pub struct Part {
    /// Where it begins; its anchor and tag belong to it.
    pub at: Stretch,
    /// In bytes of the text: all of a scalar or an alias; of a list or map what opens it, which is nothing in block
    /// style.
    pub opening: Range<usize>,
    /// Whether it has an anchor, so that aliases may point here.
    pub has_anchor: bool,
    /// Whether it has a tag.
    pub has_tag: bool,
    /// What it is.
    pub value: PartValue,
}

/// What a part is.
#[derive(Clone, Debug)]
pub enum PartValue {
    /// A text.
    Scalar(Scalar),
    /// A list.
    List {
        /// Its entries.
        entries: Vec<PartId>,
        /// Whether it is written in brackets.
        is_flow: bool,
    },
    /// A map, in the order of the text.
    Map {
        /// Its keys and values.
        pairs: Vec<(PartId, PartId)>,
        /// Whether it is written in braces.
        is_flow: bool,
    },
    /// Another part, once more. It may be one that this part stands in.
    Alias(PartId),
}

impl Documents {
    /// Reads all documents of a text.
    ///
    /// # Errors
    ///
    /// When it is not YAML, or beyond the limits. Aliases are not followed, so a small text stays small.
    pub fn read(text: &str, limits: Limits) -> Result<Documents, YamlError> {
        let mut reader = Reader {
            text,
            limits,
            offsets: Offsets::new(text),
            anchors: HashMap::new(),
            open: Vec::new(),
            read: Documents {
                parts: Vec::new(),
                roots: Vec::new(),
                nothing: Part::nothing(),
            },
        };
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| syntax(&error))?;
            reader.event(event, span)?;
        }
        Ok(reader.read)
    }

    /// The outermost part of each document that has one.
    pub fn roots(&self) -> &[PartId] {
        &self.roots
    }

    /// A part, as it stands: an alias is an alias.
    pub fn part(&self, id: PartId) -> &Part {
        self.parts.get(id.0).unwrap_or(&self.nothing)
    }

    /// All parts, in the order in which they begin.
    pub fn parts(&self) -> impl Iterator<Item = (PartId, &Part)> {
        let ids = (0..).map(PartId);
        ids.zip(&self.parts)
    }

    /// The part that is meant: of an alias, what it points at.
    pub fn meant(&self, id: PartId) -> PartId {
        match self.part(id).value {
            // What an alias points at is never an alias: those have no anchors.
            PartValue::Alias(id) => id,
            _ => id,
        }
    }
}

impl Part {
    fn nothing() -> Part {
        Part {
            at: Stretch {
                line: 1,
                column: 1,
                length: 0,
            },
            opening: 0..0,
            has_anchor: false,
            has_tag: false,
            value: PartValue::Scalar(Scalar {
                text: String::new(),
                style: Style::Plain,
                raw: 0..0,
            }),
        }
    }
}

/// A list or map that has begun and not ended.
struct Open {
    id: PartId,
    /// In a map, the key whose value comes next.
    key: Option<PartId>,
}

struct Reader<'t> {
    text: &'t str,
    limits: Limits,
    offsets: Offsets,
    /// The library's numbers of anchors.
    anchors: HashMap<usize, PartId>,
    open: Vec<Open>,
    read: Documents,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::Alias(anchor) => {
                let Some(&meant) = self.anchors.get(&anchor) else {
                    return fault(
                        stretch(span, 1),
                        YamlFault::Syntax("an alias without its anchor".to_owned()),
                    );
                };
                self.put(span, 0, false, PartValue::Alias(meant))?;
            }
            Event::Scalar(text, written, anchor, tag) => {
                let style = style(written);
                let raw = self.scalar(span, style, text.is_empty());
                let scalar = Scalar {
                    text: text.into_owned(),
                    style,
                    raw: raw.clone(),
                };
                let id = self.put(span, anchor, tag.is_some(), PartValue::Scalar(scalar))?;
                self.stands_at(id, raw);
            }
            Event::SequenceStart(anchor, tag) => {
                let bracket = self.bracket(span, '[');
                let list = PartValue::List {
                    entries: Vec::new(),
                    is_flow: bracket.is_some(),
                };
                self.begin(span, anchor, tag.is_some(), list, bracket)?;
            }
            Event::MappingStart(anchor, tag) => {
                let brace = self.bracket(span, '{');
                let map = PartValue::Map {
                    pairs: Vec::new(),
                    is_flow: brace.is_some(),
                };
                self.begin(span, anchor, tag.is_some(), map, brace)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    /// The place behind an anchor and a tag, if any stand there.
    fn behind_properties(&self, range: &Range<usize>) -> usize {
        let mut at = range.start;
        while let Some(rest) = self.text.get(at..range.end) {
            if !rest.starts_with(['&', '!']) {
                break;
            }
            let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let after = rest.get(word..).unwrap_or_default();
            at += word + (after.len() - after.trim_start().len());
        }
        at
    }

    /// Where a list or map opens with a bracket: the library's place goes on to what comes next.
    fn bracket(&self, span: Span, bracket: char) -> Option<Range<usize>> {
        let range = self.offsets.range(span);
        let at = self.behind_properties(&range);
        let opens = self.text.get(at..range.end)?.starts_with(bracket);
        opens.then_some(range.start..at + bracket.len_utf8())
    }

    /// The bytes of a scalar. For quotes the library's place goes on to what comes next, and where nothing stands it may
    /// have a character of something else.
    fn scalar(&self, span: Span, style: Style, is_empty: bool) -> Range<usize> {
        let range = self.offsets.range(span);
        match style {
            Style::Block => range,
            Style::Plain if is_empty => {
                let end = self.behind_properties(&range);
                let properties = self.text.get(range.start..end).unwrap_or_default();
                range.start..range.start + properties.trim_end().len()
            }
            Style::Plain => range,
            Style::Quoted => {
                let start = self.behind_properties(&range);
                let quoted = self.text.get(start..range.end).unwrap_or_default();
                range.start..start + quoted_length(quoted)
            }
        }
    }

    fn stands_at(&mut self, id: PartId, place: Range<usize>) {
        if let Some(part) = self.read.parts.get_mut(id.0) {
            part.opening = place;
        }
    }

    fn begin(
        &mut self,
        span: Span,
        anchor: usize,
        has_tag: bool,
        value: PartValue,
        opening: Option<Range<usize>>,
    ) -> Result<(), YamlError> {
        if self.open.len() >= self.limits.depth {
            return fault(stretch(span, 1), YamlFault::TooDeep);
        }
        let id = self.put(span, anchor, has_tag, value)?;
        if let Some(opening) = opening {
            self.stands_at(id, opening);
        }
        self.open.push(Open { id, key: None });
        Ok(())
    }

    fn put(
        &mut self,
        span: Span,
        anchor: usize,
        has_tag: bool,
        value: PartValue,
    ) -> Result<PartId, YamlError> {
        let at = stretch(span, span.end.index().saturating_sub(span.start.index()));
        if self.read.parts.len() >= self.limits.nodes {
            return fault(at, YamlFault::TooLarge);
        }
        let id = PartId(self.read.parts.len());
        self.read.parts.push(Part {
            at,
            opening: self.offsets.range(span),
            has_anchor: anchor > 0,
            has_tag,
            value,
        });
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        self.add(id);
        Ok(id)
    }

    fn add(&mut self, id: PartId) {
        let Some(open) = self.open.last_mut() else {
            self.read.roots.push(id);
            return;
        };
        let Some(outer) = self.read.parts.get_mut(open.id.0) else {
            return;
        };
        match &mut outer.value {
            PartValue::List { entries, .. } => entries.push(id),
            PartValue::Map { pairs, .. } => match open.key.take() {
                None => open.key = Some(id),
                Some(key) => pairs.push((key, id)),
            },
            PartValue::Scalar(_) | PartValue::Alias(_) => {}
        }
    }
}

/// The bytes of the text in quotes that `text` begins with, quotes included.
fn quoted_length(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    let Some((_, quote)) = characters.next() else {
        return 0;
    };
    while let Some((at, c)) = characters.next() {
        if c == '\\' && quote == '"' {
            characters.next();
        } else if c == quote {
            // A single quote inside of single quotes is written twice.
            let is_inside = quote == '\'' && characters.next_if(|(_, c)| *c == quote).is_some();
            if !is_inside {
                return at + quote.len_utf8();
            }
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        depth: 8,
        nodes: 100,
    };

    /// What stands at the place of each part.
    fn places(text: &str) -> Vec<&str> {
        let documents = Documents::read(text, LIMITS).unwrap();
        let places = documents.parts();
        places
            .map(|(_, part)| &text[part.opening.clone()])
            .collect()
    }

    #[test]
    fn every_part_knows_its_bytes() {
        for (text, expected) in [
            ("a: b c  # d\n", vec!["", "a", "b c"]),
            (
                "- { a : 'b''' , \"c\\\"\" : d }\n",
                vec!["", "{", "a", "'b'''", "\"c\\\"\"", "d"],
            ),
            (
                "[ &a 'b' , !!str \"c\" , d ]",
                vec!["[", "&a 'b'", "!!str \"c\"", "d"],
            ),
            ("a: &x\n  b: *x\n", vec!["", "a", "&x\n  ", "b", "*x"]),
            ("a: &m { b, c: }\n", vec!["", "a", "&m {", "b", "", "c", ""]),
            (
                "\u{feff}gr\u{fc}n: |\r\n  x\r\n\r\nb: &e\r\n",
                vec!["", "gr\u{fc}n", "x\r\n\r\n", "b", "&e"],
            ),
        ] {
            assert_eq!(places(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_alias_points_at_the_part_that_it_means() {
        let documents = Documents::read("a: &x [1]\nb: *x\nc: &y [*y]\n", LIMITS).unwrap();
        let aliases: Vec<PartId> = documents
            .parts()
            .filter(|(_, part)| matches!(part.value, PartValue::Alias(_)))
            .map(|(id, _)| id)
            .collect();
        assert_eq!(aliases.len(), 2);
        for (alias, line) in aliases.into_iter().zip([1, 3]) {
            let meant = documents.part(documents.meant(alias));
            assert_eq!(meant.at.line, line);
            assert!(matches!(meant.value, PartValue::List { is_flow: true, .. }));
        }
    }

    #[test]
    fn what_is_beyond_the_limits_is_refused_and_documents_are_told_apart() {
        for (text, fault) in [
            ("[".repeat(20), YamlFault::TooDeep),
            ("- a\n".repeat(200), YamlFault::TooLarge),
        ] {
            assert_eq!(Documents::read(&text, LIMITS).unwrap_err().fault, fault);
        }
        let documents = Documents::read("a\n---\nb\n", LIMITS).unwrap();
        assert_eq!(documents.roots().len(), 2);
    }
}
