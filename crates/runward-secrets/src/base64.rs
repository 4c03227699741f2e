//! Runs of base64 in a text.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Shorter runs are words and numbers; the shortest token behind one layer is longer. In characters.
pub(crate) const RUN_MIN: usize = 24;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
static ENGINE: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
static URL_ENGINE: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// What a character is to base64.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    /// In both alphabets.
    Both,
    /// `+` and `/`.
    Standard,
    /// `-` and `_`.
    UrlSafe,
}

static CLASSES: [Class; 256] = classes();

const fn classes() -> [Class; 256] {
    let mut classes = [Class::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "counts to 255")]
        let character = byte as u8;
        classes[byte] = match character {
            b'+' | b'/' => Class::Standard,
            b'-' | b'_' => Class::UrlSafe,
            _ if character.is_ascii_alphanumeric() => Class::Both,
            _ => Class::Other,
        };
        byte += 1;
    }
    classes
}

fn class(byte: u8) -> Class {
    CLASSES
        .get(usize::from(byte))
        .copied()
        .unwrap_or(Class::Other)
}

/// Whether all of it is base64 of the usual alphabet, without padding.
pub(crate) fn is_standard(text: &[u8]) -> bool {
    text.iter()
        .all(|byte| matches!(class(*byte), Class::Both | Class::Standard))
}

/// Calls `take` with each run that may be base64, and its place. A run with characters of both alphabets comes as the
/// parts that have one.
pub(crate) fn runs(text: &[u8], mut take: impl FnMut(usize, &[u8])) {
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = length_of(rest, |class| class != Class::Other);
        if let Some(run) = rest.get(..length).filter(|run| run.len() >= RUN_MIN) {
            alphabets(at, run, &mut take);
        }
        at += length + 1;
    }
}

fn alphabets(at: usize, run: &[u8], take: &mut impl FnMut(usize, &[u8])) {
    let has = |wanted: Class| run.iter().any(|byte| class(*byte) == wanted);
    if !has(Class::Standard) || !has(Class::UrlSafe) {
        take(at, run);
        if !has(Class::UrlSafe) {
            return;
        }
    }
    // A dash or an underline is more often what ends the run.
    let mut from = 0;
    while let Some(rest) = run.get(from..).filter(|rest| !rest.is_empty()) {
        let length = length_of(rest, |class| class != Class::UrlSafe);
        if let Some(part) = rest.get(..length).filter(|part| part.len() >= RUN_MIN) {
            take(at + from, part);
        }
        from += length + 1;
    }
}

fn length_of(text: &[u8], is: impl Fn(Class) -> bool) -> usize {
    text.iter()
        .position(|byte| !is(class(*byte)))
        .unwrap_or(text.len())
}

/// What a run stands for. One of no whole number of bytes loses its end.
pub(crate) fn decode(run: &[u8], into: &mut Vec<u8>) -> bool {
    into.clear();
    let whole = match run.len() % 4 {
        1 => run.len() - 1,
        _ => run.len(),
    };
    let Some(run) = run.get(..whole) else {
        return false;
    };
    let url_safe = run.iter().any(|byte| class(*byte) == Class::UrlSafe);
    let engine = if url_safe { &URL_ENGINE } else { &ENGINE };
    engine.decode_vec(run, into).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs_of(text: &str) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        runs(text.as_bytes(), |at, run| {
            found.push((at, String::from_utf8(run.to_vec()).unwrap()));
        });
        found
    }

    #[test]
    fn runs_end_at_what_is_no_base64() {
        let run = "QUJDREVGR0hJSktMTU5PUFFS";
        assert_eq!(runs_of(&format!("x: {run}=")), [(3, run.to_owned())]);
        assert_eq!(runs_of("too short a run"), []);
        let dashed = format!("{run}-{run}");
        assert_eq!(
            runs_of(&dashed),
            [
                (0, dashed.clone()),
                (0, run.to_owned()),
                (25, run.to_owned())
            ]
        );
        let mixed = format!("{run}_{run}/");
        assert_eq!(
            runs_of(&mixed),
            [(0, run.to_owned()), (25, format!("{run}/"))]
        );
    }

    #[test]
    fn what_is_cut_off_still_decodes() {
        let mut bytes = Vec::new();
        assert!(decode(b"aW5lcnQ", &mut bytes));
        assert_eq!(bytes, b"inert");
        assert!(decode(b"aW5lc", &mut bytes));
        assert_eq!(bytes, b"ine");
        assert!(!decode(b"a*b=", &mut bytes));
    }
}
