//! What names that rotate have in common: `shard4-eu.store.example` today, `shard17-eu.store.example` tomorrow.
//!
//! A name has one *mask*: the name with `*` for each run of digits and each part that looks random. Names of one mask
//! are a family. A pattern is a mask together with what its `*` stood for so far, so that it admits what looks like the
//! evidence and nothing wider: two digits are not three, and hexadecimal is not any letter.

use serde::{Deserialize, Serialize};

/// The shortest part that can be told from a word by its looks.
const RANDOM: usize = 8;

/// Changes between letters and digits in a part that no person would write: at least so many, and one for so many
/// characters. `frsnacprodeus2file1` is a word with numbers.
const TURNS: usize = 3;
const TURN_EACH: usize = 5;

/// The most `*` in one mask; a policy's pattern can't have more either.
const STARS: usize = 4;

/// A text with `*` for what may rotate in it, and what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Masked {
    pub(crate) mask: String,
    pub(crate) values: Vec<String>,
}

/// The mask of the part of a name that lies below its owner. None if nothing there can rotate, or if all that is there
/// can: right below an owner, a name of random characters is often that of a customer.
pub(crate) fn mask_name(name: &str, owner: &str) -> Option<Masked> {
    let below = name.strip_suffix(owner)?.strip_suffix('.')?;
    let mut masked = mask(below, &['.', '-', '_'])?;
    if masked.mask.bytes().all(|byte| matches!(byte, b'*' | b'.')) {
        return None;
    }
    masked.mask = format!("{}.{owner}", masked.mask);
    Some(masked)
}

/// The mask of a file's name. The folder and the extension never rotate.
pub(crate) fn mask_path(path: &str) -> Option<Masked> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    let mut masked = mask(stem, &['.', '-', '_'])?;
    if masked.mask.bytes().all(|byte| byte == b'*') {
        return None;
    }
    let slash = if folder.is_empty() { "" } else { "/" };
    let dot = if extension.is_empty() { "" } else { "." };
    masked.mask = format!("{folder}{slash}{}{dot}{extension}", masked.mask);
    Some(masked)
}

fn mask(text: &str, between: &[char]) -> Option<Masked> {
    let mut masked = Masked {
        mask: String::with_capacity(text.len()),
        values: Vec::new(),
    };
    for piece in text.split_inclusive(between) {
        let part = piece.strip_suffix(between).unwrap_or(piece);
        if looks_random(part) {
            masked.star(part);
        } else {
            mask_digits(part, &mut masked);
        }
        masked
            .mask
            .push_str(piece.get(part.len()..).unwrap_or_default());
    }
    (1..=STARS).contains(&masked.values.len()).then_some(masked)
}

fn mask_digits(part: &str, masked: &mut Masked) {
    let mut rest = part;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 {
            masked.star(rest.get(..digits).unwrap_or_default());
            rest = rest.get(digits..).unwrap_or_default();
        }
        let plain = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        masked.mask.push_str(rest.get(..plain).unwrap_or_default());
        rest = rest.get(plain..).unwrap_or_default();
    }
}

impl Masked {
    fn star(&mut self, value: &str) {
        self.mask.push('*');
        self.values.push(value.to_owned());
    }
}

/// Long, of letters and digits that take turns, or hexadecimal.
pub(crate) fn looks_random(part: &str) -> bool {
    let bytes = part.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if bytes.len() < RANDOM || digits == 0 || digits == bytes.len() {
        return false;
    }
    if !bytes.iter().all(u8::is_ascii_alphanumeric) {
        return false;
    }
    let turns = bytes
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_ascii_digit() != b.is_ascii_digit()))
        .count();
    let many = turns >= TURNS && turns * TURN_EACH >= bytes.len();
    many || bytes.iter().all(u8::is_ascii_hexdigit)
}

/// What one `*` of a pattern stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Slot {
    /// Always the same text.
    Same(String),
    /// So many characters of a kind.
    Some { kind: Kind, least: u8, most: u8 },
}

/// Kinds of characters, each within the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Kind {
    Digits,
    Hexadecimal,
    Alphanumeric,
}

impl Kind {
    fn of(text: &str) -> Kind {
        let all = |is: fn(&u8) -> bool| text.as_bytes().iter().all(is);
        if all(u8::is_ascii_digit) {
            Kind::Digits
        } else if all(u8::is_ascii_hexdigit) {
            Kind::Hexadecimal
        } else {
            Kind::Alphanumeric
        }
    }

    fn words(self) -> &'static str {
        match self {
            Kind::Digits => "digit",
            Kind::Hexadecimal => "hexadecimal digit",
            Kind::Alphanumeric => "letter or digit",
        }
    }
}

impl Slot {
    /// The narrowest that admits `value`.
    pub(crate) fn of(value: &str) -> Slot {
        Slot::Same(value.to_owned())
    }

    /// Whether `value` looks like what was there before.
    pub(crate) fn admits(&self, value: &str) -> bool {
        match self {
            Slot::Same(text) => text == value,
            Slot::Some { kind, least, most } => {
                Kind::of(value) <= *kind
                    && (usize::from(*least)..=usize::from(*most)).contains(&value.len())
            }
        }
    }

    /// As narrow as it can be and still admit `value`.
    #[must_use]
    pub(crate) fn widened(&self, value: &str) -> Slot {
        let length = u8::try_from(value.len()).unwrap_or(u8::MAX);
        match self {
            Slot::Same(text) if text == value => self.clone(),
            Slot::Same(text) => {
                let before = u8::try_from(text.len()).unwrap_or(u8::MAX);
                Slot::Some {
                    kind: Kind::of(text).max(Kind::of(value)),
                    least: before.min(length),
                    most: before.max(length),
                }
            }
            Slot::Some { kind, least, most } => Slot::Some {
                kind: (*kind).max(Kind::of(value)),
                least: (*least).min(length),
                most: (*most).max(length),
            },
        }
    }

    /// How much it takes to keep it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Slot::Same(text) => text.len(),
            Slot::Some { .. } => 0,
        }
    }

    /// `1 to 2 digits`; nothing for what never changes.
    pub(crate) fn words(&self) -> Option<String> {
        match self {
            Slot::Same(_) => None,
            Slot::Some { kind, least, most } if least == most => {
                let s = if *least == 1 { "" } else { "s" };
                Some(format!("{least} {}{s}", kind.words()))
            }
            Slot::Some { kind, least, most } => {
                Some(format!("{least} to {most} {}s", kind.words()))
            }
        }
    }
}

/// The mask with what never changes put back: a pattern that a policy could have.
pub(crate) fn filled(mask: &str, slots: &[Slot]) -> String {
    let mut text = String::with_capacity(mask.len());
    let mut slots = slots.iter();
    for c in mask.chars() {
        match c {
            '*' => match slots.next() {
                Some(Slot::Same(same)) => text.push_str(same),
                _ => text.push('*'),
            },
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_shows_what_rotates() {
        for (name, owner, mask) in [
            (
                "shard4.store.example",
                "store.example",
                Some("shard*.store.example"),
            ),
            (
                "shard4-eu.store.example",
                "store.example",
                Some("shard*-eu.store.example"),
            ),
            (
                "frsnacprodeus2file1.store.example",
                "store.example",
                Some("frsnacprodeus*file*.store.example"),
            ),
            ("a.d5l0dvt14r5h8.example", "example", Some("a.*.example")),
            (
                "x-0f3a9b21c.cdn.example",
                "example",
                Some("x-*.cdn.example"),
            ),
            ("www.example", "example", None),
            ("d5l0dvt14r5h8.example", "example", None),
            ("17.example", "example", None),
            ("example17.example", "example17.example", None),
            ("1.2.3.4.5.a.example", "example", None),
        ] {
            let found = mask_name(name, owner).map(|masked| masked.mask);
            assert_eq!(found.as_deref(), mask, "{name}");
        }
    }

    #[test]
    fn folders_and_extensions_never_rotate() {
        for (path, mask) in [
            ("dist/chunk-0a1b2c3d.js", Some("dist/chunk-*.js")),
            ("v17/main.rs", None),
            ("docs/page12.md", Some("docs/page*.md")),
            ("src/12.rs", None),
            ("version.txt", None),
        ] {
            let found = mask_path(path).map(|masked| masked.mask);
            assert_eq!(found.as_deref(), mask, "{path}");
        }
    }

    #[test]
    fn a_pattern_is_never_wider_than_its_evidence() {
        let slot = ["4", "17", "9"]
            .iter()
            .fold(Slot::of("4"), |slot, value| slot.widened(value));
        for (value, admitted) in [
            ("1", true),
            ("99", true),
            ("100", false),
            ("a", false),
            ("", false),
        ] {
            assert_eq!(slot.admits(value), admitted, "{value}");
        }
        assert_eq!(slot.words().as_deref(), Some("1 to 2 digits"));
        let slot = Slot::of("0a1b2c3d").widened("ffff0000");
        assert!(slot.admits("00000000") && !slot.admits("0000000") && !slot.admits("gggggggg"));
        assert!(!Slot::of("2").admits("3"));
        assert_eq!(
            filled("eus*file*.x", &[Slot::of("2"), Slot::of("1").widened("3")]),
            "eus2file*.x"
        );
    }
}
