//! What was found, as lines of a system log (RFC 5424) in ArcSight's Common Event Format, each framed by its length
//! (RFC 5425, 4.3; RFC 6587, 3.4.1).

use std::fmt::Write as _;

use runward_store::{Notification, Outcome, Severity};

use crate::message::Message;
use crate::words::{plain, timestamp};

/// Security and authorization (RFC 5424, 6.2.1).
const FACILITY: u32 = 10;
/// Characters of a value; what is longer tells less and may be cut by who gets it.
const VALUE_MAX: usize = 600;
/// Bytes of a host's name, and of the kind of a message (RFC 5424, 6).
const HOST_MAX: usize = 255;
const KIND_MAX: usize = 32;

/// The frames of a message, in its order, as they are sent.
pub fn syslog(message: &Message<'_>) -> Vec<u8> {
    let mut frames = Vec::new();
    for line in lines(message) {
        frames.extend_from_slice(line.len().to_string().as_bytes());
        frames.push(b' ');
        frames.extend_from_slice(line.as_bytes());
    }
    frames
}

fn lines(message: &Message<'_>) -> Vec<String> {
    if let Some(outcome) = &message.parcel.outcome {
        return vec![of_outcome(message, outcome)];
    }
    let told = message.parcel.told.iter().enumerate();
    let mut lines: Vec<String> = told
        .map(|(at, notification)| of_notification(message, at, notification))
        .collect();
    if message.parcel.more > 0 {
        lines.push(of_rest(message));
    }
    lines
}

fn of_notification(message: &Message<'_>, at: usize, told: &Notification) -> String {
    let mut event = Cef::new(&told.kind, &told.sentence, Some(told.severity));
    event.number("rt", told.at);
    event.text("cat", &told.kind);
    event.number("cnt", told.repeats.saturating_add(1));
    for detail in &told.details {
        let value = &detail.value;
        match detail.name.as_str() {
            "destination" => event.destination(value),
            "file" => event.text("filePath", value),
            "program" => event.text("sproc", value),
            "actor" => event.text("suser", value),
            "project" => event.labelled(1, "project", value),
            "pipeline" => event.labelled(2, "pipeline", value),
            "job" => event.labelled(3, "job", value),
            "branch" => event.labelled(4, "branch", value),
            _ => {}
        }
    }
    event.end(message, at, &message.evidence(told), &told.sentence);
    line(message, &told.kind, Some(told.severity), &event.text)
}

fn of_rest(message: &Message<'_>) -> String {
    let severity = message.parcel.severity;
    let sentence = format!("{} more, which have no line", message.parcel.more);
    let mut event = Cef::new("merged", &sentence, Some(severity));
    event.number("rt", message.created_at);
    event.number("cnt", message.parcel.more);
    let at = message.parcel.told.len();
    event.end(message, at, &message.detections(), &sentence);
    line(message, "merged", Some(severity), &event.text)
}

fn of_outcome(message: &Message<'_>, outcome: &Outcome) -> String {
    let kind = if outcome.passed() {
        "job-passed"
    } else {
        "job-not-passed"
    };
    let severity = outcome.first.iter().map(|call| call.severity).max();
    let title = outcome.title();
    let mut event = Cef::new(kind, &title, severity);
    event.number("rt", outcome.last_seen_at);
    event.text("cat", kind);
    event.text(
        "outcome",
        if outcome.passed() {
            "success"
        } else {
            "failure"
        },
    );
    event.number("start", outcome.started_at.min(outcome.last_seen_at));
    event.number("end", outcome.last_seen_at);
    event.labelled(1, "project", &outcome.project_name);
    event.labelled(2, "pipeline", &outcome.pipeline);
    event.labelled(3, "job", &outcome.job);
    event.labelled(5, "commit", &outcome.commit);
    event.counted(1, "blocked calls", outcome.blocked);
    event.counted(2, "anomalous calls", outcome.anomalous);
    event.counted(3, "lost events", outcome.lost);
    event.end(message, 0, &message.page(&outcome.link), &title);
    line(message, kind, severity, &event.text)
}

/// An event in the Common Event Format, version 0.
struct Cef {
    text: String,
    /// Whether there is a value yet. What was written does not tell: a value may end as a head does.
    begun: bool,
}

impl Cef {
    fn new(kind: &str, name: &str, severity: Option<Severity>) -> Cef {
        let version = env!("CARGO_PKG_VERSION");
        let (kind, name) = (header(kind), header(name));
        let level = match severity {
            None => 0,
            Some(Severity::Low) => 3,
            Some(Severity::Medium) => 6,
            Some(Severity::High) => 8,
            Some(Severity::Critical) => 10,
        };
        Cef {
            text: format!("CEF:0|Runward|Runward|{version}|{kind}|{name}|{level}|"),
            begun: false,
        }
    }

    fn text(&mut self, key: &str, value: &str) {
        let space = if self.begun { " " } else { "" };
        self.begun = true;
        // Writing to a String does not fail.
        let _ = write!(self.text, "{space}{key}={}", extension(value));
    }

    fn number(&mut self, key: &str, value: i64) {
        self.text(key, &value.to_string());
    }

    fn labelled(&mut self, place: u8, label: &str, value: &str) {
        self.text(&format!("cs{place}Label"), label);
        self.text(&format!("cs{place}"), value);
    }

    fn counted(&mut self, place: u8, label: &str, value: i64) {
        self.text(&format!("cn{place}Label"), label);
        self.number(&format!("cn{place}"), value);
    }

    fn destination(&mut self, destination: &str) {
        let split = destination.rsplit_once(':');
        let split = split.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
        let (host, port) = split.map_or((destination, None), |(host, port)| (host, Some(port)));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        match bare.parse::<std::net::IpAddr>() {
            Ok(ip) => self.text("dst", &ip.to_string()),
            Err(_) => self.text("dhost", host),
        }
        if let Some(port) = port {
            self.number("dpt", port.into());
        }
    }

    /// What all events have, the longest text last.
    fn end(&mut self, message: &Message<'_>, at: usize, link: &str, sentence: &str) {
        self.text("externalId", &format!("{}/{at}", message.id));
        self.labelled(6, "organisation", message.org_slug);
        self.text("request", link);
        self.text("msg", sentence);
    }
}

/// A text between the bars: those, and what escapes them, are escaped (Common Event Format, "Character encoding").
fn header(text: &str) -> String {
    let shown = plain(text, VALUE_MAX);
    shown.replace('\\', "\\\\").replace('|', "\\|")
}

/// A value: the sign that ends a key, and what escapes it, are escaped. Ends of lines are shown as escapes already.
fn extension(text: &str) -> String {
    let shown = plain(text, VALUE_MAX);
    shown.replace('\\', "\\\\").replace('=', "\\=")
}

/// A line without its length.
fn line(message: &Message<'_>, kind: &str, severity: Option<Severity>, event: &str) -> String {
    let level = match severity {
        None => 6,
        Some(Severity::Low) => 5,
        Some(Severity::Medium) => 4,
        Some(Severity::High) => 3,
        Some(Severity::Critical) => 2,
    };
    let priority = FACILITY * 8 + level;
    let at = timestamp(message.created_at);
    let host = message.server.split("://").last().unwrap_or_default();
    let host = host.split(['/', ':']).next().unwrap_or_default();
    let (host, kind) = (word(host, HOST_MAX), word(kind, KIND_MAX));
    format!("<{priority}>1 {at} {host} runward - {kind} - {event}")
}

/// A word of a line's head: visible ASCII.
fn word(text: &str, max: usize) -> String {
    let plain: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(max)
        .collect();
    match plain.as_str() {
        "" => "-".to_owned(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parts_fields_is_escaped() {
        assert_eq!(header(r"a|b\c=d"), r"a\|b\\c=d");
        assert_eq!(extension(r"a|b\c=d"), r"a|b\\c\=d");
        assert!(!extension("a\nb\rc").contains(['\n', '\r']));
        assert_eq!(word("a b\nc\u{e9}", 3), "abc");
        assert_eq!(word("\u{e9} ", 3), "-");
    }
}
