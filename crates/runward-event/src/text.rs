use std::collections::BTreeMap;

/// Turns bytes that a job controls into the text of an event, without losing any.
///
/// Paths and arguments on Linux are bytes; JSON holds Unicode. Bytes that are not UTF-8 show as U+FFFD in the field
/// itself, and their original goes into the event's `raw` map: the key is a JSON pointer below the event
/// (`/args/3`), the value is every byte as two hexadecimal digits.
#[derive(Debug, Default)]
pub struct Texts {
    raw: BTreeMap<String, String>,
}

impl Texts {
    /// The text of `bytes`; remembers the original under `pointer` when it is not UTF-8.
    pub fn text(&mut self, pointer: impl FnOnce() -> String, bytes: &[u8]) -> String {
        match str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                self.raw.insert(pointer(), hex(bytes));
                String::from_utf8_lossy(bytes).into_owned()
            }
        }
    }

    /// The originals that were not UTF-8, ready for the event's `raw` field.
    pub fn into_raw(self) -> BTreeMap<String, String> {
        self.raw
    }
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
