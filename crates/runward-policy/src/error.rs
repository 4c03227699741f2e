use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

pub(crate) use runward_yaml::Stretch;

use crate::fault::{Doubt, Fault};
use crate::origin::Source;
use crate::text::visible;

/// The most characters of a line that an excerpt shows on each side of what it is about.
const EXCERPT: usize = 60;

/// One thing that is wrong with a policy: what, where, and what was probably meant.
///
/// Displayed as one line, `SOURCE:LINE:COLUMN: what`, with everything of the policy's own text made harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// Where it stands.
    pub place: Spot,
    /// What is wrong.
    pub fault: Fault,
    /// What was probably meant, ready to be written in place of [`Spot::text`].
    pub suggestion: Option<String>,
}

/// One thing in a policy that is odd, though the policy can be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWarning {
    /// Where it stands.
    pub place: Spot,
    /// What is odd.
    pub doubt: Doubt,
    /// What was probably meant, ready to be written in place of [`Spot::text`].
    pub suggestion: Option<String>,
}

/// A place in the text of a policy.
///
/// All of its texts are those of the policy: hostile until they are escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Spot {
    /// What the policy was read from.
    pub source: Arc<Source>,
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// The offending text: a whole endpoint, key or value.
    pub text: String,
    /// The line, or the part of a long one around this place.
    pub excerpt: String,
    /// What of `excerpt` is meant, in characters counted from 0.
    pub marked: Range<usize>,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sentence(f, &self.place, &self.fault, self.suggestion.as_deref())
    }
}

impl std::error::Error for PolicyError {}

impl fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sentence(f, &self.place, &self.doubt, self.suggestion.as_deref())
    }
}

fn sentence(
    f: &mut fmt::Formatter<'_>,
    place: &Spot,
    what: &dyn fmt::Display,
    suggestion: Option<&str>,
) -> fmt::Result {
    write!(f, "{}:{}:{}: ", place.source, place.line, place.column)?;
    if !place.text.is_empty() {
        write!(f, "`{}`: ", visible(&place.text))?;
    }
    // A fault may repeat what a library said about the text.
    f.write_str(&visible_sentence(&what.to_string()))?;
    match suggestion {
        Some(meant) => write!(f, "; did you mean `{}`?", visible(meant)),
        None => Ok(()),
    }
}

fn visible_sentence(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// The text that a policy was read from, to find places in it again.
#[derive(Clone, Debug)]
pub(crate) struct Script<'t> {
    pub(crate) source: Arc<Source>,
    pub(crate) text: &'t str,
}

impl Script<'_> {
    /// The place of `stretch`, where `text` stands.
    pub(crate) fn spot(&self, stretch: Stretch, text: &str) -> Spot {
        let index = |counted: u32| usize::try_from(counted.saturating_sub(1)).unwrap_or(usize::MAX);
        let line = self
            .text
            .lines()
            .nth(index(stretch.line))
            .unwrap_or_default();
        let start = index(stretch.column);
        let from = start.saturating_sub(EXCERPT);
        let shown = stretch.length.clamp(1, EXCERPT);
        let excerpt: String = line
            .chars()
            .skip(from)
            .take(start - from + shown + EXCERPT)
            .collect();
        Spot {
            source: Arc::clone(&self.source),
            line: stretch.line,
            column: stretch.column,
            text: text.chars().take(2 * EXCERPT).collect(),
            excerpt,
            marked: start - from..start - from + shown,
        }
    }

    pub(crate) fn error(&self, stretch: Stretch, text: &str, fault: Fault) -> PolicyError {
        PolicyError {
            place: self.spot(stretch, text),
            fault,
            suggestion: None,
        }
    }
}

/// Collects errors up to a bound, so that a large file that is no policy does not make a flood.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    kept: Vec<PolicyError>,
    more: usize,
}

impl Errors {
    pub(crate) fn push(&mut self, error: PolicyError) {
        if self.kept.len() < crate::limits::ERRORS {
            self.kept.push(error);
        } else {
            self.more += 1;
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether further errors would only be counted.
    pub(crate) fn is_full(&self) -> bool {
        self.more > 0
    }

    pub(crate) fn into_vec(mut self) -> Vec<PolicyError> {
        if let (1.., Some(last)) = (self.more, self.kept.last()) {
            self.kept.push(PolicyError {
                place: last.place.clone(),
                fault: Fault::More(self.more),
                suggestion: None,
            });
        }
        self.kept
    }
}
