use super::super::query::{self, Pairs};

/// What the address of a tab with rows says: which rows, and which part of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RowsQuery {
    /// Counted from 1; 0 when not said.
    pub(crate) page: usize,
    /// Only rows with this text.
    pub(crate) text: Option<String>,
    /// Only rows that a person should look at.
    pub(crate) findings: bool,
    /// Only rows of this kind, where a tab has kinds.
    pub(crate) kind: Option<String>,
}

impl RowsQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> RowsQuery {
        RowsQuery {
            page: query::text(pairs, "page")
                .and_then(|page| page.parse().ok())
                .unwrap_or(0),
            text: query::text(pairs, "q"),
            findings: query::flag(pairs, "findings"),
            kind: query::text(pairs, "kind"),
        }
    }

    /// Whether one of these texts holds what is searched for, in whatever case.
    pub(super) fn finds<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        let Some(sought) = &self.text else {
            return true;
        };
        let sought = sought.to_lowercase();
        texts
            .into_iter()
            .any(|text| text.to_lowercase().contains(&sought))
    }

    pub(super) fn is_filtered(&self) -> bool {
        self.text.is_some() || self.findings || self.kind.is_some()
    }
}
