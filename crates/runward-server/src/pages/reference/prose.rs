//! Sentences of the description, in which code stands between backticks.

/// A sentence in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Prose {
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) code: bool,
    pub(super) text: String,
}

impl Prose {
    pub(super) fn new(text: &str) -> Prose {
        let parts = text.split('`').enumerate().map(|(place, text)| Part {
            code: place % 2 == 1,
            text: text.to_owned(),
        });
        Prose {
            parts: parts.filter(|part| !part.text.is_empty()).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_told_apart() {
        let prose = Prose::new("`new` or `resolved`.");
        let parts: Vec<(bool, &str)> = prose
            .parts
            .iter()
            .map(|part| (part.code, part.text.as_str()))
            .collect();
        assert_eq!(
            parts,
            [
                (true, "new"),
                (false, " or "),
                (true, "resolved"),
                (false, ".")
            ]
        );
        assert!(Prose::new("").is_empty());
    }
}
