//! Texts in YAML: where their characters stand, and how a new one is written.

use std::ops::Range;

use runward_yaml::{Documents, Part, PartId, PartValue, Scalar, Style};

use crate::edit::{Edits, Lines};

/// A text that is the value of a key, perhaps by an alias.
#[derive(Clone, Copy)]
pub(crate) struct Value<'d> {
    /// Where it stands: the alias, or the text itself.
    pub(crate) part: &'d Part,
    /// What it says.
    pub(crate) scalar: &'d Scalar,
    is_alias: bool,
}

impl<'d> Value<'d> {
    /// Nothing for lists and maps.
    pub(crate) fn of(documents: &'d Documents, id: PartId) -> Option<Value<'d>> {
        let part = documents.part(id);
        let meant = documents.part(documents.meant(id));
        match &meant.value {
            PartValue::Scalar(scalar) => Some(Value {
                part,
                scalar,
                is_alias: matches!(part.value, PartValue::Alias(_)),
            }),
            _ => None,
        }
    }

    /// What it says, as an action gets it.
    pub(crate) fn word(self) -> &'d str {
        if self.scalar.is_null() {
            return "";
        }
        self.scalar.text.trim()
    }

    /// Nothing stands there at all.
    pub(crate) fn is_missing(self) -> bool {
        !self.is_alias && self.scalar.style == Style::Plain && self.written_range().is_empty()
    }

    /// The bytes of its characters, where these are the characters of the text: nothing where some are written in another
    /// way, or where this is an alias.
    pub(crate) fn literal(self, text: &str) -> Option<Range<usize>> {
        if self.is_alias {
            return None;
        }
        let range = self.without_properties(text);
        let written = text.get(range.clone())?;
        match self.scalar.style {
            Style::Plain => Some(range),
            Style::Block => Some(self.block_content(text, range)),
            Style::Quoted => {
                let inside = range.start + 1..range.end.checked_sub(1)?;
                let characters = text.get(inside.clone())?;
                let escaped = match written.starts_with('"') {
                    true => characters.contains('\\'),
                    false => characters.contains("''"),
                };
                (!escaped).then_some(inside)
            }
        }
    }

    /// Where its last character stands, for what comes behind it. Nothing when that is not known.
    pub(crate) fn end(self, text: &str) -> Option<usize> {
        if self.scalar.style != Style::Block || self.is_alias {
            return Some(self.written_range().end);
        }
        let content = self.literal(text)?;
        let written = text.get(content.clone())?.trim_end();
        (!written.is_empty()).then_some(content.start + written.len())
    }

    /// Puts another text in its place. Nothing when that can't be done.
    pub(crate) fn replace(
        self,
        text: &str,
        new: &str,
        in_flow: bool,
        edits: &mut Edits,
    ) -> Option<()> {
        if self.is_alias {
            edits.replace(self.written_range(), written(new, in_flow));
            return Some(());
        }
        match self.scalar.style {
            Style::Plain if self.is_missing() => return None,
            Style::Plain | Style::Quoted => {
                edits.replace(self.without_properties(text), written(new, in_flow));
            }
            Style::Block => {
                let content = self.literal(text)?;
                let characters = text.get(content.clone())?;
                let start = content.start + characters.len() - characters.trim_start().len();
                let end = content.start + characters.trim_end().len();
                if start >= end {
                    return None;
                }
                edits.replace(start..end, new);
            }
        }
        Some(())
    }

    pub(crate) fn written_range(self) -> Range<usize> {
        self.part.opening.clone()
    }

    fn without_properties(self, text: &str) -> Range<usize> {
        let mut range = self.written_range();
        if !(self.part.has_anchor || self.part.has_tag) {
            return range;
        }
        while let Some(rest) = text.get(range.clone()) {
            if !rest.starts_with(['&', '!']) {
                break;
            }
            let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
            let after = rest.get(word..).unwrap_or_default();
            range.start += word + (after.len() - after.trim_start().len());
        }
        range
    }

    /// A block begins with its characters, unless it has an anchor or a tag: then with these and its header.
    fn block_content(self, text: &str, range: Range<usize>) -> Range<usize> {
        if self.part.has_anchor || self.part.has_tag {
            return Lines(text).next(range.start).min(range.end)..range.end;
        }
        range
    }
}

/// A text as YAML, on one line.
pub(crate) fn written(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// Whether a text can stand by itself. Some that could are not among these, and are quoted.
pub(crate) fn is_plain(text: &str, in_flow: bool) -> bool {
    let of_flow = |c: char| matches!(c, ',' | '[' | ']' | '{' | '}');
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '.')
        || text.starts_with("${{");
    let ends = !text.ends_with([':', ' ']);
    let means_more = text.contains(": ")
        || text.contains(" #")
        || text.contains(char::is_control)
        || (in_flow && text.contains(of_flow));
    begins && ends && !means_more
}
