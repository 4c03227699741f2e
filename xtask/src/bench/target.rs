use std::fmt;

use serde_json::{Value, json};

/// What the design promises of a median.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_held_by(self, median: f64) -> bool {
        match self {
            Target::AtMost(most) => median <= most,
            Target::AtLeast(least) => median >= least,
        }
    }

    /// What stands behind the line of the median.
    pub(super) fn verdict(self, median: f64) -> String {
        let word = if self.is_held_by(median) {
            "held"
        } else {
            "MISSED"
        };
        format!("   target {self}: {word}")
    }

    pub(super) fn to_json(self) -> Value {
        match self {
            Target::AtMost(most) => json!({ "at_most": most }),
            Target::AtLeast(least) => json!({ "at_least": least }),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(most) => write!(f, "at most {most}"),
            Target::AtLeast(least) => write!(f, "at least {least}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_held_on_its_own_side() {
        for (target, median, held) in [
            (Target::AtMost(1.02), 1.02, true),
            (Target::AtMost(1.02), 1.03, false),
            (Target::AtLeast(0.97), 0.97, true),
            (Target::AtLeast(0.97), 0.96, false),
            (Target::AtMost(5.0), f64::NAN, false),
        ] {
            let verdict = target.verdict(median);
            assert_eq!(verdict.ends_with("held"), held, "{target:?} {median}");
        }
    }
}
