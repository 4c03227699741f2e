//! What a known value looks like in a text: as it is, and inside of base64 at each of the places that it can have there.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// How much of a long value is looked for: its end, because the beginnings of tokens are often the same. In bytes.
const TAIL: usize = 48;
/// Lines of a value of several lines that are looked for, and how long they must be, in bytes.
const LINES_MAX: usize = 8;
const LINE_MIN: usize = 16;

/// A text that gives a value away.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Needle {
    pub(crate) text: Vec<u8>,
    /// How often it was encoded.
    pub(crate) layers: u8,
}

/// All of them for one value.
pub(crate) fn needles(value: &[u8]) -> Vec<Needle> {
    let mut needles: Vec<Needle> = Vec::new();
    let mut add = |text: Vec<u8>, layers| {
        let needle = Needle { text, layers };
        if !needles.contains(&needle) {
            needles.push(needle);
        }
    };
    for part in parts(value.trim_ascii()) {
        add(part.to_vec(), 0);
        for once in encoded(part) {
            for twice in encoded(&once) {
                add(twice, 2);
            }
            add(once, 1);
        }
    }
    needles
}

/// What is looked for of a value: GitHub, too, hides each line of a longer one.
fn parts(value: &[u8]) -> Vec<&[u8]> {
    let tail = |line: &'_ [u8]| line.len().saturating_sub(TAIL);
    if !value.contains(&b'\n') {
        return vec![value.get(tail(value)..).unwrap_or(value)];
    }
    value
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| line.len() >= LINE_MIN && !line.starts_with(b"-----"))
        .map(|line| line.get(tail(line)..).unwrap_or(line))
        .take(LINES_MAX)
        .collect()
}

/// The characters of base64 that depend on `text` alone, whatever stands before and after it. Three bytes are four
/// characters, so it can begin at three places.
fn encoded(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let text = text.to_vec();
    [(0, 0), (1, 2), (2, 3)]
        .into_iter()
        .flat_map(move |(before, mixed)| {
            let mut padded = vec![0; before];
            padded.extend_from_slice(&text);
            // The last character may hold bits of what comes after.
            let whole = padded.len() * 8 / 6;
            let standard = STANDARD_NO_PAD.encode(&padded);
            let url_safe = URL_SAFE_NO_PAD.encode(&padded);
            let cut = |encoded: String| encoded.as_bytes().get(mixed..whole).map(<[u8]>::to_vec);
            let url_safe = (url_safe != standard).then(|| cut(url_safe)).flatten();
            cut(standard).into_iter().chain(url_safe)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &[u8], needle: &Needle) -> bool {
        memchr::memmem::find(text, &needle.text).is_some()
    }

    #[test]
    fn a_value_is_known_wherever_it_stands_in_encoded_text() {
        let value = b"xQ7$hidden";
        let needles = needles(value);
        for before in 0..7 {
            for after in 0..4 {
                let plain = [&vec![b'{'; before][..], value, &vec![b'}'; after]].concat();
                let once = STANDARD_NO_PAD.encode(&plain);
                let twice = STANDARD_NO_PAD.encode(format!("{}{once}", "-".repeat(before)));
                for (layers, text) in [(0, &plain[..]), (1, once.as_bytes()), (2, twice.as_bytes())]
                {
                    let found = needles
                        .iter()
                        .any(|needle| needle.layers == layers && holds(text, needle));
                    assert!(found, "{before} before, {after} after, {layers} layers");
                }
            }
        }
    }

    #[test]
    fn of_long_values_the_end_is_looked_for_and_of_several_lines_each() {
        let long = [b'a'; 100];
        assert_eq!(needles(&long)[0].text.len(), TAIL);
        let lines =
            b"-----BEGIN IT-----\nfirst line of the thing\nshort\nsecond line of the thing\n";
        let plain: Vec<Vec<u8>> = needles(lines)
            .into_iter()
            .filter(|needle| needle.layers == 0)
            .map(|needle| needle.text)
            .collect();
        assert_eq!(
            plain,
            [&b"first line of the thing"[..], b"second line of the thing"]
        );
    }
}
