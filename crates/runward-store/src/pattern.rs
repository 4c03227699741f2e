use serde::{Deserialize, Serialize};

/// Bytes of a pattern.
pub const PATTERN_MAX: usize = 1_024;

/// A text in which `*` stands for any characters, or for none. All else stands for itself, and the whole value has to
/// fit. `\*` is the star itself, and `\\` the backslash.
///
/// Asking takes time in proportion to the lengths of the pattern and of the value, whatever is in them: each piece
/// between two stars is looked for once, behind the one before. That is enough, because the first place where a piece
/// fits leaves the most room for those that follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern {
    text: String,
    /// What stands before the first star, between stars, and behind the last one.
    pieces: Vec<String>,
}

/// Why a text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It says nothing.
    #[error("a pattern has at least one character; * stands for anything")]
    Empty,
    /// It is longer than [`PATTERN_MAX`].
    #[error("a pattern has at most {PATTERN_MAX} bytes: let * stand for a long part")]
    TooLong,
    /// It holds NUL, which no value holds and no database keeps.
    #[error("a pattern can't hold the character NUL")]
    Nul,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Pattern, PatternError> {
        if text.is_empty() {
            return Err(PatternError::Empty);
        }
        if text.len() > PATTERN_MAX {
            return Err(PatternError::TooLong);
        }
        if text.contains('\0') {
            return Err(PatternError::Nul);
        }
        Ok(Pattern {
            text: text.to_owned(),
            pieces: pieces(text),
        })
    }

    /// The pattern that fits this value and no other: a job may have put a star into it.
    pub fn literal(value: &str) -> String {
        value.replace('\\', r"\\").replace('*', r"\*")
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The only value that fits, if there is only one.
    pub fn only(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether every value fits.
    pub fn is_anything(&self) -> bool {
        self.pieces.len() > 1 && self.pieces.iter().all(String::is_empty)
    }

    /// Whether the value fits.
    pub fn matches(&self, value: &str) -> bool {
        let Some((first, rest)) = self.pieces.split_first() else {
            return false;
        };
        let Some(mut value) = value.strip_prefix(first.as_str()) else {
            return false;
        };
        let Some((last, between)) = rest.split_last() else {
            return value.is_empty();
        };
        for piece in between {
            let Some((_, behind)) = value.split_once(piece.as_str()) else {
                return false;
            };
            value = behind;
        }
        value.ends_with(last.as_str())
    }
}

fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' => pieces.push(std::mem::take(&mut piece)),
            // Before anything else, a backslash is itself.
            '\\' => piece.push(
                chars
                    .next_if(|next| matches!(next, '*' | '\\'))
                    .unwrap_or(c),
            ),
            c => piece.push(c),
        }
    }
    pieces.push(piece);
    pieces
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Pattern, PatternError> {
        Pattern::parse(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    fn fits(pattern: &str, value: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(value)
    }

    #[test]
    fn a_star_stands_for_anything_and_all_else_for_itself() {
        for (pattern, value, expected) in [
            ("a.example:443", "a.example:443", true),
            ("a.example:443", "a.example:4433", false),
            ("a.example:443", "b.a.example:443", false),
            ("a.example:443", "axexample:443", false),
            ("*", "", true),
            ("*", "anything\nat all", true),
            ("*.example:443", "a.b.example:443", true),
            ("*.example:443", "example:443", false),
            ("*.example:443", "a.example:443.evil.example:443", true),
            ("src/*", "src/", true),
            ("src/*", "lib/src/a", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "xabab", true),
            ("a**b", "ab", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            (r"a\\*", r"a\b", true),
            (r"C:\dir\*", r"C:\dir*", true),
            (r"C:\dir\\*", r"C:\dir\file", true),
            ("a\\", "a\\", true),
            ("é*", "état", true),
            ("É*", "état", false),
        ] {
            assert_eq!(fits(pattern, value), expected, "{pattern} {value}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, error) in [
            (String::new(), PatternError::Empty),
            ("a\0".to_owned(), PatternError::Nul),
            ("a".repeat(PATTERN_MAX + 1), PatternError::TooLong),
        ] {
            assert_eq!(Pattern::parse(&text), Err(error));
            let json = serde_json::Value::String(text);
            assert!(serde_json::from_value::<Pattern>(json).is_err());
        }
        assert!(
            Pattern::parse(&"*".repeat(PATTERN_MAX))
                .unwrap()
                .is_anything()
        );
    }

    #[test]
    fn the_worst_pattern_on_the_longest_value_takes_no_time() {
        let value = "a".repeat(1 << 20);
        let began = Instant::now();
        for pattern in [
            "*a".repeat(511) + "*b",
            "*".to_owned() + &"a".repeat(500) + "b*" + &"a".repeat(500) + "*",
            "a*".repeat(511) + "b",
            "*aab".repeat(255),
        ] {
            assert!(!fits(&pattern, &value));
        }
        // A matcher that goes back would take years. Even a slow machine takes milliseconds.
        assert!(began.elapsed() < Duration::from_secs(5));
    }

    /// What a pattern means, written so that it can be read, in quadratic time.
    fn means(pattern: &[char], value: &[char]) -> bool {
        let mut reached = vec![false; value.len() + 1];
        reached[0] = true;
        let mut at = 0;
        while at < pattern.len() {
            let (c, star) = match pattern[at] {
                '*' => ('*', true),
                '\\' if matches!(pattern.get(at + 1), Some('*' | '\\')) => {
                    at += 1;
                    (pattern[at], false)
                }
                c => (c, false),
            };
            at += 1;
            let mut next = vec![false; value.len() + 1];
            for end in 0..=value.len() {
                next[end] = if star {
                    reached[..=end].contains(&true)
                } else {
                    end > 0 && reached[end - 1] && value[end - 1] == c
                };
            }
            reached = next;
        }
        reached[value.len()]
    }

    proptest! {
        #[test]
        fn patterns_of_any_kind_mean_what_they_say(
            pattern in r"[ab*\\é]{1,12}", value in r"[ab*\\é]{0,14}"
        ) {
            let expected = means(
                &pattern.chars().collect::<Vec<_>>(),
                &value.chars().collect::<Vec<_>>(),
            );
            prop_assert_eq!(fits(&pattern, &value), expected);
        }

        #[test]
        fn a_literal_fits_its_value_and_no_other(value in r"[ab*\\é]{1,6}", other in r"[ab*\\é]{1,6}") {
            let literal = Pattern::parse(&Pattern::literal(&value)).unwrap();
            prop_assert_eq!(literal.only(), Some(value.as_str()));
            prop_assert!(literal.matches(&value));
            prop_assert_eq!(literal.matches(&other), value == other);
        }

        #[test]
        fn no_text_is_too_odd_to_be_asked(pattern in any::<String>(), value in any::<String>()) {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                pattern.matches(&value);
                let kept = serde_json::to_string(&pattern).unwrap();
                prop_assert_eq!(serde_json::from_str::<Pattern>(&kept).unwrap(), pattern);
            }
        }
    }
}
