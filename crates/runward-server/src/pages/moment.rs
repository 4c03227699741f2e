//! Points in time, as people say them, with the exact time at hand.

use askama::Template;
use askama::filters::HtmlSafe;
use runward_event::Time;
use runward_report::text::{duration, moment};
use runward_store::Millis;

const SECOND: i64 = 1000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A point in time as a `<time>` element: relative, or relative to the start of a run, with the absolute time as title.
#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(
    ext = "html",
    source = r#"<time datetime="{{ datetime }}" title="{{ absolute }}">{{ said }}</time>"#
)]
pub(crate) struct Moment {
    datetime: String,
    absolute: String,
    said: String,
}

/// The template above escapes its texts, which are all made here.
impl HtmlSafe for Moment {}

impl Moment {
    /// `3 hours ago`.
    pub(crate) fn ago(at: Millis, now: Millis) -> Moment {
        Moment::of(time(at), relative(at, now))
    }

    /// `2026-08-01 09:30:12 UTC`.
    pub(crate) fn absolute(at: Millis) -> Moment {
        Moment::of(time(at), moment(time(at)))
    }

    /// `+12.4 s`: since the run began.
    pub(crate) fn since(at: Time, start: Option<Time>) -> Moment {
        let said = match start {
            Some(start) => format!("+{}", offset(at, start)),
            None => moment(at),
        };
        Moment::of(at, said)
    }

    fn of(time: Time, said: String) -> Moment {
        let absolute = moment(time);
        Moment {
            datetime: absolute.replace(" UTC", "Z").replace(' ', "T"),
            absolute,
            said,
        }
    }
}

/// `2026-08-01`.
pub(crate) fn date(at: Millis) -> String {
    moment(time(at)).chars().take(10).collect()
}

/// `1 Aug`.
pub(crate) fn day(at: Millis) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let date = date(at);
    let mut parts = date
        .split('-')
        .skip(1)
        .filter_map(|part| part.parse::<usize>().ok());
    let month = parts
        .next()
        .and_then(|month| MONTHS.get(month.checked_sub(1)?))
        .unwrap_or(&"");
    format!("{} {month}", parts.next().unwrap_or(0))
}

/// A length of time in milliseconds, as people say it.
pub(crate) fn took(millis: i64) -> String {
    // Precise enough: a run is shorter than a float's 2^53 milliseconds.
    duration(millis.max(0) as f64 / 1000.0)
}

/// From one time to another, as people say it.
pub(crate) fn offset(at: Time, start: Time) -> String {
    // Precise enough for reading.
    duration(at.nanos_since(start) as f64 / 1e9)
}

fn time(at: Millis) -> Time {
    Time::from_unix_nanos(u64::try_from(at).unwrap_or(0).saturating_mul(1_000_000))
}

fn relative(at: Millis, now: Millis) -> String {
    let past = now.saturating_sub(at);
    // Clocks of machines differ by a little; by more, it is worth knowing.
    if past < -MINUTE {
        return match amount(past.saturating_neg()) {
            Some(amount) => format!("in {amount}"),
            None => date(at),
        };
    }
    if past < 5 * SECOND {
        return "just now".to_owned();
    }
    match amount(past) {
        Some(amount) => format!("{amount} ago"),
        None => date(at),
    }
}

/// `3 hours`; nothing for what is so long that a date says more.
fn amount(millis: i64) -> Option<String> {
    let (unit, name) = match millis {
        ..MINUTE => (SECOND, "second"),
        MINUTE..HOUR => (MINUTE, "minute"),
        HOUR..DAY => (HOUR, "hour"),
        _ => (DAY, "day"),
    };
    let n = millis / unit;
    if unit == DAY && n >= 30 {
        return None;
    }
    Some(format!("{n} {name}{}", if n == 1 { "" } else { "s" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-08-01 09:30:12 UTC.
    const NOW: Millis = 1_785_576_612_000;

    #[test]
    fn times_are_said_as_people_say_them() {
        for (past, said) in [
            (0, "just now"),
            (4 * SECOND, "just now"),
            (59 * SECOND, "59 seconds ago"),
            (MINUTE, "1 minute ago"),
            (119 * MINUTE, "1 hour ago"),
            (23 * HOUR, "23 hours ago"),
            (29 * DAY, "29 days ago"),
            (31 * DAY, "2026-07-01"),
            (-30 * SECOND, "just now"),
            (-2 * HOUR, "in 2 hours"),
            (i64::MAX, "1970-01-01"),
        ] {
            assert_eq!(relative(NOW.saturating_sub(past), NOW), said);
        }
    }

    #[test]
    fn the_exact_time_is_at_hand() {
        assert_eq!(
            Moment::ago(NOW - HOUR, NOW).to_string(),
            "<time datetime=\"2026-08-01T08:30:12Z\" title=\"2026-08-01 08:30:12 UTC\">1 hour ago</time>"
        );
        assert_eq!(day(NOW), "1 Aug");
        assert_eq!(took(187_000), "3 min 07 s");
    }

    #[test]
    fn no_time_is_too_odd_to_be_shown() {
        for at in [i64::MIN, -1, 0, i64::MAX] {
            assert!(
                Moment::ago(at, NOW)
                    .to_string()
                    .starts_with("<time datetime=")
            );
            assert!(!day(at).is_empty());
        }
    }
}
