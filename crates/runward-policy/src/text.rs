//! Text of other people, made fit for one line of an error message.

/// The most characters of somebody else's text that a message repeats.
const SHOWN: usize = 120;

/// `text` on one line: what would act on a terminal is escaped, and what is too long is cut.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            shown.push('…');
            break;
        }
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            // What has no shape of its own is written as its number.
            '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => shown.extend(c.escape_unicode()),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// The word of `known` that `word` was probably meant to be.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Distance grows with the product of the lengths, and no known word is longer than this.
    if word.len() > 64 {
        return None;
    }
    let word = word.to_ascii_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&word, known), known))
        .filter(|(distance, known)| *distance <= (known.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_on_its_line() {
        for (text, shown) in [
            ("plain-1.example:443", "plain-1.example:443"),
            ("\x1b[2J\n", "\\u{1b}[2J\\n"),
            ("a\u{202e}b\u{200b}", "a\\u{202e}b\\u{200b}"),
            ("größe \"x\" \\", "größe \"x\" \\"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible(&"x".repeat(1000)).chars().count(), SHOWN + 1);
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_word() {
        let known = ["audit", "block"];
        assert_eq!(nearest("audti", known), Some("audit"));
        assert_eq!(nearest("BLOCK", known), Some("block"));
        assert_eq!(nearest("enforce", known), None);
        assert_eq!(nearest(&"x".repeat(1000), known), None);
    }
}
