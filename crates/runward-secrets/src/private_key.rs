//! Private keys in PEM: what they begin with stands in one line, the secret in those after it.

use crate::base64::{self, RUN_MIN};

/// Its name in findings.
pub(crate) const ID: &str = "private-key";

/// How many lines after the first one the key may begin: an old format has headers.
const LINES: u8 = 4;
/// The least that is a key and not an example, in characters of base64. Lines have 64 or 70.
const BODY_MIN: usize = 48;

/// Follows a stream from line to line.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrivateKey {
    /// How many more lines the key may begin in, and the line that announced it.
    awaited: u8,
    line: u64,
}

impl PrivateKey {
    /// Looks at the next unit of text; calls `take` with a key that begins in it, and the line that announced it.
    pub(crate) fn next(&mut self, text: &[u8], line: u64, take: &mut impl FnMut(&[u8], u64)) {
        if let Some(after) = announced(text) {
            self.awaited = LINES;
            self.line = line;
            self.body(after, take);
        } else if self.awaited > 0 {
            self.awaited -= 1;
            self.body(text, take);
        }
    }

    fn body(&mut self, text: &[u8], take: &mut impl FnMut(&[u8], u64)) {
        let mut longest = 0..0;
        base64::runs(text, |at, run| {
            if run.len() > longest.len() {
                longest = at..at + run.len();
            }
        });
        let longest = text.get(longest).unwrap_or_default();
        if longest.len() >= BODY_MIN.max(RUN_MIN) {
            self.awaited = 0;
            take(longest, self.line);
        }
    }
}

/// What comes after the words that announce a private key.
fn announced(text: &[u8]) -> Option<&[u8]> {
    let begin = memchr::memmem::find(text, b"-----BEGIN ")?;
    let label = text.get(begin + 11..)?;
    let end = memchr::memmem::find(label, b"-----")?;
    let (label, after) = label.split_at_checked(end)?;
    let private = label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK");
    (private && label.len() <= 100).then_some(after)
}
