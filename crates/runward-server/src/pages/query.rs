//! What the query of an address says. A value that says nothing sensible counts as not said: an address that somebody
//! cut while pasting still opens a page.

use runward_store::Cursor;

/// Pairs of a query, in their order.
pub(crate) type Pairs = [(String, String)];

/// Characters of a text to search for. Longer ones find nothing that shorter ones don't.
pub(crate) const TEXT: usize = 200;

/// The first value of this name that is not empty.
pub(crate) fn text(pairs: &Pairs, name: &str) -> Option<String> {
    values(pairs, name)
        .map(str::trim)
        .find(|value| !value.is_empty())
        .map(|value| value.chars().take(TEXT).collect())
}

/// All values of this name.
pub(crate) fn values<'a>(pairs: &'a Pairs, name: &'a str) -> impl Iterator<Item = &'a str> {
    pairs
        .iter()
        .filter(move |(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// A number of this name.
pub(crate) fn number(pairs: &Pairs, name: &str) -> Option<i64> {
    text(pairs, name)?.parse().ok()
}

/// Whether something is switched on: `1`, or what a checkbox without a value sends.
pub(crate) fn flag(pairs: &Pairs, name: &str) -> bool {
    values(pairs, name).any(|value| matches!(value, "1" | "on"))
}

/// A place in a list.
pub(crate) fn cursor(pairs: &Pairs, name: &str) -> Option<Cursor> {
    Cursor::parse(&text(pairs, name)?)
}
