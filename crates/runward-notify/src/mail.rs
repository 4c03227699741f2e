//! A message as mail: text, and the same as HTML.

use askama::Template;
use runward_store::{Notification, Severity};

use crate::message::Message;
use crate::words::{counted, label, moment, more, plain, repeats, severity};

/// Characters of a subject (RFC 5322, 2.1.1 asks for lines that people can read).
const SUBJECT_MAX: usize = 120;
/// Characters of a sentence, and of a detail.
const SENTENCE_MAX: usize = 600;
const DETAIL_MAX: usize = 300;

/// A mail without its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// One line, without any character that acts.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// For those who don't.
    pub html: String,
}

/// A message as mail.
pub fn mail(message: &Message<'_>) -> Mail {
    let page = Page::new(message);
    Mail {
        subject: subject(message),
        text: page.text(),
        // Writing to memory does not fail; a mail without HTML is still one.
        html: page.render().unwrap_or_default(),
    }
}

fn subject(message: &Message<'_>) -> String {
    let head = match message.alone() {
        _ if message.is_test() => "test".to_owned(),
        Some(only) => severity(only.severity).to_lowercase(),
        None => format!(
            "{}, {} at most",
            counted(message.parcel.count(), "thing", "things"),
            severity(message.parcel.severity).to_lowercase()
        ),
    };
    let tail = match message.parcel.told.first() {
        Some(first) => plain(&first.sentence, SUBJECT_MAX),
        None => message.title(),
    };
    plain(&format!("[Runward] {head}: {tail}"), SUBJECT_MAX)
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Page<'a> {
    title: String,
    is_test: bool,
    org: String,
    things: Vec<Thing>,
    more: Option<String>,
    detections: String,
    settings: String,
    server: &'a str,
}

struct Thing {
    severity: &'static str,
    /// Of the severity, on light and on dark ground alike.
    colour: &'static str,
    sentence: String,
    at: String,
    kind: String,
    details: Vec<(String, String)>,
    repeats: Option<String>,
    link: String,
}

impl<'a> Page<'a> {
    fn new(message: &Message<'a>) -> Page<'a> {
        let parcel = message.parcel;
        Page {
            title: message.title(),
            is_test: message.is_test(),
            org: plain(message.org_name, 60),
            things: parcel
                .told
                .iter()
                .map(|told| Thing::new(message, told))
                .collect(),
            more: (parcel.more > 0).then(|| more(parcel.more)),
            detections: message.detections(),
            settings: message.settings(),
            server: message.server,
        }
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        for thing in &self.things {
            if self.is_test {
                lines.push(format!("{}.", thing.sentence));
                lines.push(String::new());
                continue;
            }
            lines.push(format!("{}: {}.", thing.severity, thing.sentence));
            lines.push(String::new());
            for (name, value) in &thing.details {
                lines.push(format!("  {:<12} {value}", format!("{name}:")));
            }
            lines.push(format!("  {:<12} {}", "When:", thing.at));
            lines.push(format!("  {:<12} {}", "Kind:", thing.kind));
            if let Some(repeats) = &thing.repeats {
                lines.push(format!("  {repeats}."));
            }
            lines.push(String::new());
            lines.push(format!("  The evidence: {}", thing.link));
            lines.push(String::new());
        }
        if let Some(more) = &self.more {
            lines.push(format!("… {more}: {}", self.detections));
            lines.push(String::new());
        }
        // By this line mail programs know what is below as a signature.
        lines.push("-- ".to_owned());
        lines.push(format!("Runward for {}", self.org));
        lines.push(format!("Who is told what: {}", self.settings));
        lines.push(String::new());
        lines.join("\n")
    }
}

impl Thing {
    fn new(message: &Message<'_>, told: &Notification) -> Thing {
        let details = told.details.iter();
        Thing {
            severity: severity(told.severity),
            colour: match told.severity {
                Severity::Low => "#57606a",
                Severity::Medium => "#9a6700",
                Severity::High => "#c93c37",
                Severity::Critical => "#a40e26",
            },
            sentence: plain(&told.sentence, SENTENCE_MAX),
            at: moment(told.at),
            kind: plain(&told.kind, 60),
            details: details
                .map(|detail| (label(detail), plain(&detail.value, DETAIL_MAX)))
                .collect(),
            repeats: repeats(told),
            link: message.evidence(told),
        }
    }
}
