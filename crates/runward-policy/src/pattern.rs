use std::fmt;

use crate::name::{Name, NameError, canonical_label};

/// The most `*` in one pattern. Real ones have one or two; the bound keeps matching cheap whatever is written.
const STARS: usize = 4;

/// A name with `*` in it.
///
/// - A first label that is just `*` stands for one or more labels: `*.example.com` matches `a.example.com` and
///   `a.b.example.com`, and not `example.com`.
/// - Any other `*` stands for zero or more characters of its own label: `cp*.example.com`, `a.*.example.com`.
///   A label that is just `*` stands for exactly one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePattern {
    /// Labels from the first to the last; the leading `*` of any depth is not among them.
    labels: Vec<String>,
    any_depth: bool,
}

/// Why a text is not a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// More than four `*`.
    #[error("a pattern can have at most {STARS} `*`")]
    TooManyStars,
    /// Two `*` beside each other.
    #[error("write `*` once: `**` has no other meaning")]
    DoubleStar,
    /// The last label has a `*`, or nothing but `*` is there.
    #[error(
        "the last part of a pattern must be a plain word, or it would match names of everybody"
    )]
    StarAtEnd,
    /// A part without `*` is wrong.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl NamePattern {
    /// Reads a pattern; the text must contain a `*`.
    pub fn parse(text: &str) -> Result<NamePattern, PatternError> {
        if text.matches('*').count() > STARS {
            return Err(PatternError::TooManyStars);
        }
        if text.contains("**") {
            return Err(PatternError::DoubleStar);
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let mut labels = text
            .split('.')
            .map(pattern_label)
            .collect::<Result<Vec<String>, NameError>>()?;
        // Stands in for the `*`, so that the whole has the length and the end of a real name.
        let sample = labels.join(".").replace('*', "a");
        if labels.last().is_none_or(|last| last.contains('*')) {
            return Err(PatternError::StarAtEnd);
        }
        Name::parse(&sample)?;
        let any_depth = labels.first().is_some_and(|first| first == "*");
        if any_depth {
            labels.remove(0);
        }
        Ok(NamePattern { labels, any_depth })
    }

    /// Whether the pattern begins with `*.`, which stands for names at any depth.
    pub fn any_depth(&self) -> bool {
        self.any_depth
    }

    /// Labels from the last to the first; see [`NamePattern::any_depth`] for what may stand before them.
    pub(crate) fn labels_from_top(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().rev().map(String::as_str)
    }

    /// How many bytes every name has that the pattern stands for: all but what is in the place of its `*`.
    pub(crate) fn plain_bytes(&self) -> usize {
        let plain = |label: &String| label.bytes().filter(|byte| *byte != b'*').count();
        let dots = self.labels.len() - usize::from(!self.any_depth);
        self.labels.iter().map(plain).sum::<usize>() + dots
    }

    /// Whether `name` is one of the names that the pattern stands for.
    ///
    /// For one pattern; [`crate::Matcher`] asks thousands at once.
    pub fn matches(&self, name: &Name) -> bool {
        let mut labels = name.labels_from_top();
        let fits = self
            .labels_from_top()
            .all(|pattern| labels.next().is_some_and(|label| fits(pattern, label)));
        fits && labels.next().is_some() == self.any_depth
    }
}

fn pattern_label(text: &str) -> Result<String, NameError> {
    if !text.contains('*') {
        return canonical_label(text);
    }
    if let Some(c) = text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '*'))
    {
        return Err(NameError::Character(c));
    }
    Ok(text.to_ascii_lowercase())
}

/// Whether `text` is what `pattern` stands for, where each `*` is zero or more characters.
///
/// Goes back to the last `*` only, so it takes at most the product of both lengths.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&wanted) if wanted == byte => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else {
                    return false;
                };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                seen = taken + 1;
            }
        }
    }
    pattern
        .get(at..)
        .is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.any_depth {
            f.write_str("*.")?;
        }
        f.write_str(&self.labels.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_the_names_it_stands_for() {
        for (pattern, name, holds) in [
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "a.b.c.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.example.com", "a.example.com.evil.example", false),
            ("*.EXAMPLE.com.", "a.example.com", true),
            ("cp*.example.com", "cp17.example.com", true),
            ("cp*.example.com", "cp.example.com", true),
            ("cp*.example.com", "a.cp1.example.com", false),
            ("cp*.example.com", "cp1.b.example.com", false),
            ("a.*.example.com", "a.b.example.com", true),
            ("a.*.example.com", "a.b.c.example.com", false),
            ("*.s3-*.example.com", "x.y.s3-eu.example.com", true),
            ("*.s3-*.example.com", "s3-eu.example.com", false),
            ("*a*b.example", "xaxxb.example", true),
            ("*a*b.example", "xaxxbc.example", false),
            ("*.bücher.example", "x.xn--bcher-kva.example", true),
        ] {
            let pattern = NamePattern::parse(pattern).unwrap();
            let name = Name::parse(name).unwrap();
            assert_eq!(pattern.matches(&name), holds, "{pattern} {name}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, error) in [
            ("*.*", PatternError::StarAtEnd),
            ("example.*", PatternError::StarAtEnd),
            ("**.example", PatternError::DoubleStar),
            ("*.*.*.*.*.example", PatternError::TooManyStars),
            ("*..example", PatternError::Name(NameError::EmptyLabel)),
            ("*.ex/ample", PatternError::Name(NameError::Character('/'))),
            ("ü*.example", PatternError::Name(NameError::Character('ü'))),
            ("*.1", PatternError::Name(NameError::Number)),
        ] {
            assert_eq!(NamePattern::parse(text), Err(error), "{text}");
        }
    }
}
