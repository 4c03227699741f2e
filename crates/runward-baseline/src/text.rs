//! Texts that a job can influence, made short and harmless.

use crate::key::hash;

/// A text for people and keys: at most `max` bytes and without characters that act. What is cut, or had such characters,
/// ends in a hash of the whole, so that two different texts stay different.
pub(crate) fn harmless(text: &str, max: usize) -> String {
    let acts = |c: char| c.is_control() || is_unseen(c) || matches!(c, '*' | '|');
    if text.len() <= max && !text.contains(acts) {
        return text.to_owned();
    }
    let mark = mark(text);
    let room = max.saturating_sub(mark.len());
    let mut cut = String::new();
    for c in text.chars() {
        let c = if acts(c) { '.' } else { c };
        if cut.len() + c.len_utf8() > room {
            break;
        }
        cut.push(c);
    }
    cut + &mark
}

/// The same, but it is the end that is kept: what names a program stands at the end of its path.
pub(crate) fn harmless_end(text: &str, max: usize) -> String {
    if text.len() <= max {
        return harmless(text, max);
    }
    let mark = mark(text);
    let room = max.saturating_sub(mark.len());
    let start = (text.len() - room..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(text.len());
    let end = text.get(start..).unwrap_or_default();
    let end: String = harmless(end, room).chars().collect();
    end + &mark
}

/// `~1a2b3c4d5e6f7a8b`
fn mark(text: &str) -> String {
    format!("~{:016x}", hash(&["text", text]))
}

/// Characters that change how others are shown, or that nobody sees.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// `1 run`, `3 runs`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    }
}

/// `a, b and c`, at most `max` of them: `a, b and 7 more`.
pub(crate) fn listed<S: AsRef<str>>(all: &[S], max: usize) -> String {
    let shown: Vec<&str> = all.iter().take(max).map(AsRef::as_ref).collect();
    let more = all.len() - shown.len();
    match (shown.as_slice(), more) {
        ([], 0) => String::new(),
        ([], more) => format!("{more} more"),
        (shown, 0) => match shown {
            [one] => (*one).to_owned(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
            [] => String::new(),
        },
        (shown, more) => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_texts_become_short_and_stay_different() {
        let long = "é".repeat(1_000);
        for text in ["a\nb", "a\u{202e}b", "a*b", "a|b", "\0", long.as_str()] {
            for short in [harmless(text, 64), harmless_end(text, 64)] {
                assert!(short.len() <= 64, "{short}");
                assert!(!short.contains(|c: char| c.is_control() || c == '*' || c == '|'));
                assert_ne!(short, harmless(&format!("{text}x"), 64));
            }
        }
        assert_eq!(harmless("src/main.rs", 64), "src/main.rs");
        assert!(harmless_end("/very/long/bin/node", 18 + 17).starts_with("/very/long/bin/node"));
    }

    #[test]
    fn lists_end_where_nobody_reads_on() {
        assert_eq!(listed(&["a"], 3), "a");
        assert_eq!(listed(&["a", "b", "c"], 3), "a, b and c");
        assert_eq!(listed(&["a", "b", "c", "d"], 2), "a, b and 2 more");
        assert_eq!(listed::<&str>(&[], 2), "");
    }
}
