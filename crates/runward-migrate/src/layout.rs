//! Taking entries out of maps and lists and putting some in, so that everything around them stays.

use std::ops::Range;

use runward_yaml::{Documents, Part, PartId};

use crate::edit::{Edits, Lines};
use crate::scalar::Value;

/// A text and what stands where in it.
#[derive(Clone, Copy)]
pub(crate) struct Layout<'d> {
    pub(crate) lines: Lines<'d>,
    pub(crate) documents: &'d Documents,
}

/// An entry of a map or a list: its bytes from its first character to its last.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: Range<usize>,
    /// Whether it is to be taken out.
    pub(crate) leaves: bool,
}

impl<'d> Layout<'d> {
    pub(crate) fn text(self) -> &'d str {
        self.lines.0
    }

    pub(crate) fn part(self, id: PartId) -> &'d Part {
        self.documents.part(id)
    }

    pub(crate) fn line(self, id: PartId) -> u32 {
        self.part(id).at.line
    }

    /// The bytes of a key and its value. Nothing when the value is a list or a map.
    pub(crate) fn pair(self, key: PartId, value: PartId) -> Option<Range<usize>> {
        let key = self.part(key).opening.clone();
        let value = Value::of(self.documents, value)?;
        if !value.is_missing() {
            // A block without a line has no characters, so all of it stands behind its key.
            let end = value.end(self.text());
            return Some(key.start..end.unwrap_or_else(|| self.lines.end(key.end)));
        }
        Some(key.start..self.after_colon(key.end))
    }

    /// Behind the colon that may follow a key.
    pub(crate) fn after_colon(self, mut at: usize) -> usize {
        self.skip_blank(&mut at, ':');
        at
    }

    /// What stands before an entry on its line.
    pub(crate) fn before(self, at: usize) -> &'d str {
        self.lines.slice(self.lines.start(at)..at)
    }

    /// Takes an entry out whose lines are its own, with the comment behind it.
    pub(crate) fn remove_lines(self, at: &Range<usize>, edits: &mut Edits) -> Option<()> {
        let before = self.before(at.start);
        let is_alone = before.chars().all(|c| matches!(c, ' ' | '\t' | '-'));
        if !is_alone {
            return None;
        }
        edits.remove(self.lines.start(at.start)..self.lines.next(at.end));
        Some(())
    }

    /// Takes entries out from between brackets or braces, each with one comma.
    pub(crate) fn remove_flow(self, entries: &[Entry], edits: &mut Edits) {
        for (place, entry) in entries.iter().enumerate() {
            if !entry.leaves {
                continue;
            }
            let mut gone = entry.at.clone();
            let has_comma = self.skip_blank(&mut gone.end, ',');
            let (start, end) = (self.lines.start(gone.start), self.lines.end(gone.end));
            let before = self.lines.slice(start..gone.start);
            let behind = self.lines.slice(gone.end..end).trim_start();
            if before.trim().is_empty() && (behind.is_empty() || behind.starts_with('#')) {
                edits.remove(start..self.lines.next(gone.end));
                continue;
            }
            if has_comma {
                let behind = self.lines.slice(gone.end..end);
                gone.end += behind.len() - behind.trim_start().len();
            } else if let Some(last) = place.checked_sub(1).and_then(|last| entries.get(last)) {
                let between = self.lines.slice(last.at.end..gone.start);
                let is_alone = between.chars().all(|c| c.is_whitespace() || c == ',');
                if !last.leaves && is_alone {
                    gone.start = last.at.end;
                }
            }
            edits.remove(gone);
        }
    }

    /// Goes behind a character that follows, perhaps after some blanks. Whether it does.
    fn skip_blank(self, at: &mut usize, wanted: char) -> bool {
        let rest = self.lines.slice(*at..self.text().len());
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let follows = rest
            .get(blank..)
            .is_some_and(|rest| rest.starts_with(wanted));
        if follows {
            *at += blank + wanted.len_utf8();
        }
        follows
    }

    /// Puts lines behind the line of a place.
    pub(crate) fn insert_behind(self, at: usize, new: &[String], edits: &mut Edits) {
        let ending = self.lines.ending();
        let next = self.lines.next(at);
        if self.lines.slice(0..next).ends_with('\n') {
            edits.insert(
                next,
                new.iter()
                    .map(|line| format!("{line}{ending}"))
                    .collect::<String>(),
            );
        } else {
            edits.insert(
                next,
                new.iter()
                    .map(|line| format!("{ending}{line}"))
                    .collect::<String>(),
            );
        }
    }

    /// Puts a line before the line of a place, and before the comments right above it.
    pub(crate) fn insert_before(self, at: usize, new: &str, edits: &mut Edits) {
        let mut start = self.lines.start(at);
        while let Some(above) = start.checked_sub(1).map(|end| self.lines.start(end)) {
            let is_comment = self.lines.slice(above..start).trim_start().starts_with('#');
            if above >= start || !is_comment {
                break;
            }
            start = above;
        }
        edits.insert(start, format!("{new}{}", self.lines.ending()));
    }

    /// Puts an entry before all others between brackets or braces; `open` is behind the opening one.
    pub(crate) fn insert_flow(self, open: usize, new: &str, is_empty: bool, edits: &mut Edits) {
        if is_empty {
            edits.insert(open, new);
            return;
        }
        let rest = self.lines.slice(open..self.text().len());
        let blank = rest.len() - rest.trim_start_matches(' ').len();
        let behind = rest.get(blank..).unwrap_or_default();
        if behind.starts_with(['\r', '\n', '#']) {
            edits.insert(open, format!("{new},"));
        } else {
            edits.insert(open + blank, format!("{new}, "));
        }
    }
}
