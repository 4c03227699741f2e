//! What a person has to know about a file that was taken over.

use crate::limits;

/// One thing to know, and where it stands in the file as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// The line, counted from 1.
    pub line: u32,
    /// How much it matters.
    pub weight: Weight,
    /// A sentence, harmless on a terminal.
    pub text: String,
}

/// How much a remark matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Something that could not be carried over.
    Lost,
    /// Something that is carried over, and worth a look.
    Note,
}

/// Remarks as they are found. The same one is kept once.
#[derive(Debug, Default)]
pub(crate) struct Remarks {
    kept: Vec<Remark>,
    more: usize,
}

impl Remarks {
    pub(crate) fn lost(&mut self, line: u32, text: impl Into<String>) {
        self.push(line, Weight::Lost, text.into());
    }

    pub(crate) fn note(&mut self, line: u32, text: impl Into<String>) {
        self.push(line, Weight::Note, text.into());
    }

    /// A note that is worth telling once in a file.
    pub(crate) fn note_once(&mut self, line: u32, text: &str) {
        if !self.kept.iter().any(|kept| kept.text == text) {
            self.note(line, text);
        }
    }

    fn push(&mut self, line: u32, weight: Weight, text: String) {
        let remark = Remark { line, weight, text };
        if self.kept.contains(&remark) {
            return;
        }
        if self.kept.len() >= limits::REMARKS {
            self.more += 1;
            return;
        }
        self.kept.push(remark);
    }

    pub(crate) fn finish(mut self) -> Vec<Remark> {
        self.kept.sort_by_key(|remark| remark.line);
        if let (1.., Some(last)) = (self.more, self.kept.last()) {
            self.kept.push(Remark {
                line: last.line,
                weight: Weight::Lost,
                text: format!("and {} more", self.more),
            });
        }
        self.kept
    }
}

/// The most characters of a file's text that a remark repeats.
const SHOWN: usize = 80;

/// Somebody else's text, for one line of a message: what would act on a terminal is escaped, what is too long is cut.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            shown.push('…');
            break;
        }
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}
