use crate::{Finding, Severity};

/// Which findings are meant: those of detections that are named, and all of a least severity. What is known to be harmless
/// is never meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    words: Vec<String>,
    names: Vec<String>,
    least: Option<Severity>,
}

/// A word of a list of detections that is neither a severity nor a detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    /// The word.
    pub word: String,
    /// What there is.
    pub known: Vec<String>,
}

impl std::fmt::Display for UnknownName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "`{}`, which is neither a severity nor a detection; there are: any, low, medium, high, {}",
            self.word,
            self.known.join(", ")
        )
    }
}

impl std::error::Error for UnknownName {}

impl Selection {
    /// Reads names of detections and least severities; `known` has the ids of all detections.
    pub fn parse<'a>(
        words: &[String],
        known: impl IntoIterator<Item = &'a str>,
    ) -> Result<Selection, UnknownName> {
        let known: Vec<&str> = known.into_iter().collect();
        let mut selection = Selection {
            words: words.to_vec(),
            ..Selection::default()
        };
        for word in words {
            if let Some(severity) = least(word) {
                selection.least = Some(
                    selection
                        .least
                        .map_or(severity, |least| least.min(severity)),
                );
            } else if known.contains(&word.as_str()) {
                selection.names.push(word.clone());
            } else {
                return Err(UnknownName {
                    word: word.clone(),
                    known: known.into_iter().map(str::to_owned).collect(),
                });
            }
        }
        Ok(selection)
    }

    /// What either of the two means.
    #[must_use]
    pub fn or(mut self, other: &Selection) -> Selection {
        let new = |ours: &[String], theirs: &[String]| {
            let new = theirs.iter().filter(|word| !ours.contains(word));
            new.cloned().collect::<Vec<_>>()
        };
        self.words.extend(new(&self.words, &other.words));
        self.names.extend(new(&self.names, &other.names));
        let least = [self.least, other.least].into_iter().flatten();
        self.least = least.min();
        self
    }

    /// The words that it was read from.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// Whether nothing is meant.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether a finding is meant.
    pub fn has(&self, finding: &Finding) -> bool {
        self.covers(&finding.detection, finding.severity)
    }

    /// Whether findings of this detection and severity are meant.
    pub fn covers(&self, detection: &str, severity: Severity) -> bool {
        severity > Severity::Info
            && (self.least.is_some_and(|least| severity >= least)
                || self.names.iter().any(|name| name == detection))
    }
}

/// The least severity that a word means, if it means one.
fn least(word: &str) -> Option<Severity> {
    match word {
        "any" | "low" => Some(Severity::Low),
        "medium" => Some(Severity::Medium),
        "high" => Some(Severity::High),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Selection, UnknownName> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Selection::parse(&words, ["reverse-shell", "dns-tunnel"])
    }

    #[test]
    fn a_name_means_all_but_what_is_harmless_and_a_severity_means_what_is_as_grave() {
        use Severity::{High, Info, Low, Medium};
        for (words, detection, meant) in [
            (
                &["reverse-shell"][..],
                "reverse-shell",
                &[Low, Medium, High][..],
            ),
            (&["reverse-shell"], "dns-tunnel", &[]),
            (&["any"], "dns-tunnel", &[Low, Medium, High]),
            (&["high", "medium"], "dns-tunnel", &[Medium, High]),
            (&["high", "dns-tunnel"], "dns-tunnel", &[Low, Medium, High]),
            (&["high"], "reverse-shell", &[High]),
            (&[], "reverse-shell", &[]),
        ] {
            let selection = parse(words).unwrap();
            for severity in [Info, Low, Medium, High] {
                assert_eq!(
                    selection.covers(detection, severity),
                    meant.contains(&severity),
                    "{words:?} {detection} {severity:?}"
                );
            }
        }
    }

    #[test]
    fn a_word_that_means_nothing_is_told_with_what_there_is() {
        let error = parse(&["high", "reverse-shel"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`reverse-shel`, which is neither a severity nor a detection; there are: any, low, medium, high, \
             reverse-shell, dns-tunnel"
        );
    }
}
