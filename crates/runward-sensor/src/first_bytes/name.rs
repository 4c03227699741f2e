//! The one thing of a stream that is kept: a name, or another short token.

/// Bytes of a name, with room for what DNS does not allow, so that it is seen.
const NAME_MAX: usize = 255;
/// Bytes of a name in DNS, without the dot at its end.
const DNS_NAME_MAX: usize = 253;
/// Bytes of a method or header name that are kept: longer than any that matters.
const TOKEN_MAX: usize = 24;

/// A name as it is read: lower case.
#[derive(Clone, Debug)]
pub(super) struct NameBuffer {
    bytes: [u8; NAME_MAX],
    len: usize,
}

/// What was read is no name.
#[derive(Debug)]
pub(super) struct NoName;

impl Default for NameBuffer {
    fn default() -> NameBuffer {
        NameBuffer {
            bytes: [0; NAME_MAX],
            len: 0,
        }
    }
}

impl NameBuffer {
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// A character of a host's name.
    pub(super) fn append(&mut self, byte: u8) -> Result<(), NoName> {
        // Labels are not empty.
        let empty_label = byte == b'.' && matches!(self.bytes().last(), None | Some(b'.'));
        if !is_name(byte) || empty_label {
            return Err(NoName);
        }
        self.push(byte).ok_or(NoName)
    }

    /// The name is complete: takes off the root's dot.
    pub(super) fn end(&mut self) -> Result<(), NoName> {
        if self.bytes().last() == Some(&b'.') {
            self.len -= 1;
        }
        if self.len == 0 || self.len > DNS_NAME_MAX {
            return Err(NoName);
        }
        Ok(())
    }

    /// A character of a token, of which no more are kept than tell that it is too long to matter.
    pub(super) fn append_token(&mut self, byte: u8) {
        if self.len <= TOKEN_MAX {
            self.push(byte);
        }
    }

    pub(super) fn is_token(&self, token: &str) -> bool {
        self.bytes() == token.as_bytes()
    }

    fn push(&mut self, byte: u8) -> Option<()> {
        *self.bytes.get_mut(self.len)? = byte.to_ascii_lowercase();
        self.len += 1;
        Some(())
    }
}

/// Letters, digits, `-`, `_` and `.`: what a host's name is written with.
pub(super) fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}
