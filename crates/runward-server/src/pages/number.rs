//! Numbers of the store, which are signed because databases have no others, fit to be read.

use runward_report::text;

/// `1,204`. Nothing that is counted is below zero.
pub(crate) fn count(n: i64) -> String {
    text::count(u64::try_from(n).unwrap_or(0))
}

/// `1 run`, `204 runs`.
pub(crate) fn counted(n: i64, one: &str, many: &str) -> String {
    text::counted(u64::try_from(n).unwrap_or(0), one, many)
}

/// `1.2 MB`.
pub(crate) fn bytes(n: i64) -> String {
    text::bytes(u64::try_from(n).unwrap_or(0))
}

/// The length of a list as a number that can be counted on with others.
pub(crate) fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

/// A whole number of percent; nothing of nothing.
pub(crate) fn percent(part: i64, whole: i64) -> Option<i64> {
    (whole > 0).then(|| part.clamp(0, whole).saturating_mul(100) / whole)
}
