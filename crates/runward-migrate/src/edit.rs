//! Changes of a text, by the bytes that they stand in the place of.

use std::ops::Range;

/// Changes that wait to be made. They are made all at once, so every place is one of the text as it was.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    edits: Vec<(Range<usize>, String)>,
}

impl Edits {
    /// Puts `new` in place of some bytes. A part that several steps share is changed once.
    pub(crate) fn replace(&mut self, range: Range<usize>, new: impl Into<String>) {
        let edit = (range, new.into());
        if !self.edits.contains(&edit) {
            self.edits.push(edit);
        }
    }

    pub(crate) fn insert(&mut self, at: usize, new: impl Into<String>) {
        self.replace(at..at, new);
    }

    pub(crate) fn remove(&mut self, range: Range<usize>) {
        self.replace(range, "");
    }

    /// The text with all changes; nothing when two of them are about the same bytes.
    pub(crate) fn apply(mut self, text: &str) -> Option<String> {
        // What is inserted at one place comes in the order in which it was asked for, and before what is replaced there.
        self.edits
            .sort_by_key(|(range, _)| (range.start, range.end));
        let mut edited = String::with_capacity(text.len());
        let mut done = 0;
        for (range, new) in &self.edits {
            edited.push_str(text.get(done..range.start)?);
            edited.push_str(new);
            done = range.end;
        }
        edited.push_str(text.get(done..)?);
        Some(edited)
    }
}

/// A text's lines, as places in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lines<'t>(pub(crate) &'t str);

impl<'t> Lines<'t> {
    /// Where the line of `at` begins.
    pub(crate) fn start(self, at: usize) -> usize {
        let before = self.0.get(..at).unwrap_or_default();
        match before.rfind('\n') {
            Some(end) => end + 1,
            // A byte order mark is of the file, not of its first line.
            None if before.starts_with('\u{feff}') => '\u{feff}'.len_utf8(),
            None => 0,
        }
    }

    /// Where the line of `at` ends, before what ends it.
    pub(crate) fn end(self, at: usize) -> usize {
        let rest = self.0.get(at..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let ended = line.len() < rest.len();
        at + match line.strip_suffix('\r') {
            Some(line) if ended => line.len(),
            _ => line.len(),
        }
    }

    /// Where the line after that of `at` begins; the end of the text where there is none.
    pub(crate) fn next(self, at: usize) -> usize {
        let rest = self.0.get(at..).unwrap_or_default();
        rest.find('\n').map_or(self.0.len(), |end| at + end + 1)
    }

    /// What lines end with here.
    pub(crate) fn ending(self) -> &'static str {
        match self.0.find('\n') {
            Some(end) if self.0.get(..end).is_some_and(|line| line.ends_with('\r')) => "\r\n",
            _ => "\n",
        }
    }

    pub(crate) fn slice(self, range: Range<usize>) -> &'t str {
        self.0.get(range).unwrap_or_default()
    }

    /// The number of the line of `at`, counted from 1.
    pub(crate) fn number(self, at: usize) -> u32 {
        let before = self.0.get(..at).unwrap_or_default();
        let breaks = before.bytes().filter(|byte| *byte == b'\n').count();
        u32::try_from(breaks).map_or(u32::MAX, |breaks| breaks.saturating_add(1))
    }
}
