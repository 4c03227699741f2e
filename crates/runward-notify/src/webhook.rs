//! A message for programs: JSON, in which texts are as the job had them.

use runward_store::{MessageBody, Notification, Severity};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::message::Message;
use crate::ocsf::ocsf;
use crate::words::{more, timestamp};

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    organisation: &'a str,
    notifications: Vec<Told<'a>>,
    /// How many there are beside these.
    more: i64,
}

#[derive(Serialize)]
struct Told<'a> {
    organisation: &'a str,
    kind: &'a str,
    severity: Severity,
    sentence: &'a str,
    at: String,
    details: Map<String, Value>,
    link: String,
    repeats: i64,
}

#[derive(Serialize)]
struct Merged<'a> {
    organisation: &'a str,
    kind: &'static str,
    severity: Severity,
    sentence: String,
    at: String,
    link: String,
    notifications: Vec<Told<'a>>,
    more: i64,
}

/// The message as the bytes that are sent and signed.
pub fn webhook(message: &Message<'_>, body: MessageBody) -> Vec<u8> {
    let written = match (body, message.alone()) {
        (MessageBody::Envelope, _) => serde_json::to_vec(&envelope(message)),
        (MessageBody::Raw, Some(only)) => serde_json::to_vec(&told(message, only)),
        (MessageBody::Raw, None) => serde_json::to_vec(&merged(message)),
        (MessageBody::Ocsf, _) => serde_json::to_vec(&ocsf(message)),
    };
    // Strings and numbers can always be written.
    written.unwrap_or_default()
}

fn envelope<'a>(message: &Message<'a>) -> Envelope<'a> {
    Envelope {
        r#type: if message.is_test() {
            "test"
        } else {
            "notifications"
        },
        timestamp: timestamp(message.created_at),
        data: Data {
            organisation: message.org_slug,
            notifications: all(message),
            more: message.parcel.more,
        },
    }
}

/// There were too many to send each by itself.
fn merged<'a>(message: &Message<'a>) -> Merged<'a> {
    let count = message.parcel.count();
    Merged {
        organisation: message.org_slug,
        kind: "merged",
        severity: message.parcel.severity,
        sentence: match message.parcel.more {
            0 => message.title(),
            left => format!("{}, {}", message.title(), more(left)),
        },
        at: timestamp(message.created_at),
        link: message.detections(),
        notifications: all(message),
        more: count - i64::try_from(message.parcel.told.len()).unwrap_or(0),
    }
}

fn all<'a>(message: &Message<'a>) -> Vec<Told<'a>> {
    let all = message.parcel.told.iter();
    all.map(|notification| told(message, notification))
        .collect()
}

fn told<'a>(message: &Message<'a>, notification: &'a Notification) -> Told<'a> {
    let details = notification.details.iter();
    Told {
        organisation: message.org_slug,
        kind: &notification.kind,
        severity: notification.severity,
        sentence: &notification.sentence,
        at: timestamp(notification.at),
        details: details
            .map(|detail| (detail.name.clone(), Value::from(detail.value.as_str())))
            .collect(),
        link: message.evidence(notification),
        repeats: notification.repeats,
    }
}
