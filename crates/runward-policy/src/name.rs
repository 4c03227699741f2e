use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The most bytes of a name, dots included and the last dot not (RFC 1035, section 2.3.4).
const NAME_BYTES: usize = 253;

/// The most bytes of one label (RFC 1035, section 2.3.4).
const LABEL_BYTES: usize = 63;

/// The most bytes of text that is looked at: a name of 253 bytes written with characters of four.
const TEXT_BYTES: usize = 4 * NAME_BYTES;

/// A DNS name in its one canonical form: lower case, no last dot, every label ASCII (IDN as A-labels), 1 to 253 bytes.
///
/// Labels are of letters, digits, `-` and `_`, as names of real hosts and services are. A name whose last label is a
/// number is not one: everybody reads that as an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing there, or only a dot.
    #[error("a name is missing")]
    Empty,
    /// Two dots with nothing between them, or a dot at the start.
    #[error("a part of the name is empty: remove the surplus dot")]
    EmptyLabel,
    /// More than 253 bytes.
    #[error("the name is longer than the {NAME_BYTES} bytes that a DNS name can have")]
    TooLong,
    /// A label of more than 63 bytes.
    #[error("a part of the name is longer than the {LABEL_BYTES} bytes that DNS allows")]
    LabelTooLong,
    /// A character that no name has.
    #[error("`{}` can't be in a name", .0.escape_debug())]
    Character(char),
    /// The last label is a number, and the whole is no address either.
    #[error("neither a name (the last part is a number) nor an IPv4 address")]
    Number,
    /// Characters outside of ASCII that IDNA does not map to a name.
    #[error("not an internationalised name that IDNA (UTS 46) accepts")]
    Idn,
}

impl Name {
    /// Reads a name in any spelling: any case, with or without the last dot, Unicode or A-labels.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        if text.len() > TEXT_BYTES {
            return Err(NameError::TooLong);
        }
        let ascii = to_ascii(text)?;
        let name = ascii.strip_suffix('.').unwrap_or(&ascii);
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > NAME_BYTES {
            return Err(NameError::TooLong);
        }
        for label in name.split('.') {
            check_label(label)?;
        }
        if name.rsplit('.').next().is_some_and(is_number) {
            return Err(NameError::Number);
        }
        Ok(Name(name.into()))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels from the last (the top-level domain) to the first.
    pub(crate) fn labels_from_top(&self) -> impl Iterator<Item = &str> {
        self.0.rsplit('.')
    }
}

/// One label in canonical form: lower case and ASCII.
pub(crate) fn canonical_label(text: &str) -> Result<String, NameError> {
    let label = to_ascii(text)?;
    check_label(&label)?;
    Ok(label)
}

fn to_ascii(text: &str) -> Result<String, NameError> {
    let plain = text.is_ascii() && !has_a_label(text);
    if plain {
        return Ok(text.to_ascii_lowercase());
    }
    // Checked before, because the mapping would make something else of these.
    if let Some(c) = text
        .chars()
        .find(|c| c.is_ascii() && !is_name_char(*c) && *c != '.')
    {
        return Err(NameError::Character(c));
    }
    idna::domain_to_ascii_cow(text.as_bytes(), idna::AsciiDenyList::EMPTY)
        .map(|name| name.to_ascii_lowercase())
        .map_err(|_| NameError::Idn)
}

fn has_a_label(text: &str) -> bool {
    text.split('.').any(|label| {
        label
            .get(..4)
            .is_some_and(|head| head.eq_ignore_ascii_case("xn--"))
    })
}

fn check_label(label: &str) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if let Some(c) = label.chars().find(|c| !is_name_char(*c)) {
        return Err(NameError::Character(c));
    }
    if label.len() > LABEL_BYTES {
        return Err(NameError::LabelTooLong);
    }
    Ok(())
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Whether programs would take a name that ends in this label for an address (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let hexadecimal = label
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit()));
    digits(label) || hexadecimal
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_is_one_name() {
        for (text, name) in [
            ("github.com", "github.com"),
            ("GitHub.COM.", "github.com"),
            ("_https._tcp.example.com", "_https._tcp.example.com"),
            ("localhost", "localhost"),
            ("registry", "registry"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("XN--bcher-KVA.example", "xn--bcher-kva.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("r3---sn-a-.example", "r3---sn-a-.example"),
            ("1.gravatar.com", "1.gravatar.com"),
        ] {
            assert_eq!(Name::parse(text).unwrap().as_str(), name, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_says_why() {
        for (text, error) in [
            ("", NameError::Empty),
            (".", NameError::Empty),
            ("a..b", NameError::EmptyLabel),
            (".example", NameError::EmptyLabel),
            ("a b.example", NameError::Character(' ')),
            ("a/b", NameError::Character('/')),
            ("ü/b", NameError::Character('/')),
            ("1.2.3", NameError::Number),
            ("300.1.1.1", NameError::Number),
            ("a.0x7f", NameError::Number),
            ("xn--\u{fc}.example", NameError::Idn),
            (
                &format!("{}.example", "a".repeat(64)),
                NameError::LabelTooLong,
            ),
            (&vec!["a".repeat(60); 5].join("."), NameError::TooLong),
            (&"ü".repeat(100_000), NameError::TooLong),
        ] {
            assert_eq!(Name::parse(text), Err(error), "{text}");
        }
    }
}
