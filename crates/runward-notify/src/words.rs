//! Words that all media have in common.

use runward_event::Time;
use runward_report::text;
use runward_store::{Detail, Millis, Notification, Severity};

/// A text of the job: cut to what fits, with characters that act shown as escapes.
pub(crate) fn plain(value: &str, max: usize) -> String {
    text::clipped(value, max)
}

pub(crate) fn counted(n: i64, one: &str, many: &str) -> String {
    text::counted(u64::try_from(n).unwrap_or(0), one, many)
}

/// `2026-08-01 09:30:12 UTC`.
pub(crate) fn moment(at: Millis) -> String {
    text::moment(time(at))
}

/// `2026-08-01T09:30:12Z`.
pub(crate) fn timestamp(at: Millis) -> String {
    moment(at).replace(" UTC", "Z").replace(' ', "T")
}

fn time(at: Millis) -> Time {
    let millis = u64::try_from(at).unwrap_or(0);
    Time::from_unix_nanos(millis.saturating_mul(1_000_000))
}

/// What people call a detail: `Job` for `job`.
pub(crate) fn label(detail: &Detail) -> String {
    // It is a word of this server's own, and nothing else may stand where markup is read.
    let plain = detail.name.chars().take(40);
    let plain = plain.filter(|c| c.is_ascii_alphanumeric() || *c == '-');
    let mut chars = plain.map(|c| if c == '-' { ' ' } else { c });
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).collect()
}

pub(crate) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

/// How often the same was held back.
pub(crate) fn repeats(notification: &Notification) -> Option<String> {
    let n = notification.repeats;
    (n > 0).then(|| {
        format!(
            "It has come {} more since it was told last",
            counted(n, "time", "times")
        )
    })
}

/// How many things are not told one by one.
pub(crate) fn more(n: i64) -> String {
    format!(
        "and {} that this message has no room for",
        counted(n, "more", "more")
    )
}
