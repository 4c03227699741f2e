//! What was found, as events of the Open Cybersecurity Schema Framework (schema.ocsf.io).
//!
//! A detection is a Detection Finding; how a job came out is a Scan Activity, which tells of the end of something that was
//! looked at, and of how much was found.

use runward_store::{Notification, Outcome, OutcomeState, Severity};
use serde_json::{Map, Value, json};

use crate::message::Message;

/// The version of the schema whose attributes are used.
pub const OCSF_VERSION: &str = "1.5.0";

/// Classes, and the categories that they are of.
const DETECTION_FINDING: (u32, u32) = (2004, 2);
const SCAN_ACTIVITY: (u32, u32) = (6007, 6);
/// Activities of theirs: something was found, has ended, could not be completed.
const CREATE: u32 = 1;
const COMPLETED: u32 = 2;
const ERROR: u32 = 6;
/// Anything that the schema has no number for.
const OTHER: u32 = 99;

/// The events of a message, in its order. Texts are as the job had them.
pub fn ocsf(message: &Message<'_>) -> Vec<Value> {
    if let Some(outcome) = &message.parcel.outcome {
        return vec![scan(message, outcome)];
    }
    let told = message.parcel.told.iter().enumerate();
    let mut events: Vec<Value> = told
        .map(|(at, notification)| finding(message, at, notification))
        .collect();
    if message.parcel.more > 0 {
        events.push(rest(message));
    }
    events
}

/// The same, one in each line.
pub fn ocsf_lines(message: &Message<'_>) -> Vec<u8> {
    let mut lines = Vec::new();
    for event in ocsf(message) {
        // JSON has no line's end in it.
        lines.extend_from_slice(event.to_string().as_bytes());
        lines.push(b'\n');
    }
    lines
}

fn finding(message: &Message<'_>, at: usize, told: &Notification) -> Value {
    let mut event = base(message, DETECTION_FINDING, CREATE, at);
    event["time"] = told.at.into();
    event["message"] = told.sentence.as_str().into();
    event["severity_id"] = severity_id(told.severity).into();
    event["status_id"] = 1.into();
    event["is_alert"] = (!message.is_test()).into();
    event["count"] = told.repeats.saturating_add(1).into();
    event["finding_info"] = json!({
        "uid": event["metadata"]["uid"],
        "title": told.sentence,
        "types": [told.kind],
        "created_time": message.created_at,
        "src_url": message.evidence(told),
        "analytic": { "name": told.kind, "type_id": OTHER, "type": "Detection of Runward" },
    });
    event["evidences"] = json!([evidence(told)]);
    event["unmapped"] = Value::Object(details(told));
    event
}

/// Things of which the message tells no more than how many there are.
fn rest(message: &Message<'_>) -> Value {
    let at = message.parcel.told.len();
    let mut event = base(message, DETECTION_FINDING, CREATE, at);
    let title = format!(
        "{} more detections, which have no event",
        message.parcel.more
    );
    event["time"] = message.created_at.into();
    event["message"] = title.as_str().into();
    event["severity_id"] = severity_id(message.parcel.severity).into();
    event["status_id"] = 1.into();
    event["is_alert"] = true.into();
    event["count"] = message.parcel.more.into();
    event["finding_info"] = json!({
        "uid": event["metadata"]["uid"],
        "title": title,
        "types": ["merged"],
        "created_time": message.created_at,
        "src_url": message.detections(),
    });
    event
}

fn scan(message: &Message<'_>, outcome: &Outcome) -> Value {
    let activity = match outcome.state {
        OutcomeState::Silent => ERROR,
        _ => COMPLETED,
    };
    let mut event = base(message, SCAN_ACTIVITY, activity, 0);
    let began = outcome.started_at.min(outcome.last_seen_at);
    event["time"] = outcome.last_seen_at.into();
    event["start_time"] = began.into();
    event["end_time"] = outcome.last_seen_at.into();
    event["duration"] = (outcome.last_seen_at - began).into();
    event["message"] = outcome.title().into();
    let gravest = outcome.first.iter().map(|call| call.severity).max();
    // 1 is what only informs.
    event["severity_id"] = gravest.map_or(1, severity_id).into();
    event["status_id"] = (if outcome.passed() { 1 } else { 2 }).into();
    event["num_detections"] = outcome.bad().into();
    event["scan"] = json!({
        "uid": outcome.id,
        "name": format!("{} / {}", outcome.project_name, outcome.job),
        "type_id": OTHER,
        "type": "CI job",
    });
    event["unmapped"] = json!({
        "provider": outcome.provider,
        "project": outcome.project_name,
        "pipeline": outcome.pipeline,
        "job": outcome.job,
        "commit": outcome.commit,
        "pipeline_run": outcome.provider_run,
        "runs": outcome.runs,
        "blocked_calls": outcome.blocked,
        "anomalous_calls": outcome.anomalous,
        "lost_events": outcome.lost,
        "link": message.page(&outcome.link),
    });
    event
}

fn base(message: &Message<'_>, (class, category): (u32, u32), activity: u32, at: usize) -> Value {
    json!({
        "class_uid": class,
        "category_uid": category,
        "activity_id": activity,
        "type_uid": class * 100 + activity,
        "metadata": {
            "version": OCSF_VERSION,
            // The same whenever the message is sent, and of no other event.
            "uid": format!("{}/{at}", message.id),
            "tenant_uid": message.org_slug,
            "logged_time": message.created_at,
            "product": {
                "name": "Runward",
                "vendor_name": "Runward",
                "version": env!("CARGO_PKG_VERSION"),
            },
        },
    })
}

fn severity_id(severity: Severity) -> u32 {
    match severity {
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    }
}

fn detail<'a>(told: &'a Notification, name: &str) -> Option<&'a str> {
    let found = told.details.iter().find(|detail| detail.name == name);
    found.map(|detail| detail.value.as_str())
}

/// What was done it with, and to what, as far as the schema has a place for that.
fn evidence(told: &Notification) -> Value {
    let mut evidence = json!({ "data": Value::Object(details(told)) });
    if let Some(program) = detail(told, "program") {
        evidence["process"] = json!({ "name": base_name(program), "file": file(program) });
    }
    if let Some(path) = detail(told, "file") {
        evidence["file"] = file(path);
    }
    if let Some(destination) = detail(told, "destination") {
        evidence["dst_endpoint"] = endpoint(destination);
    }
    evidence
}

fn details(told: &Notification) -> Map<String, Value> {
    let details = told.details.iter();
    details
        .map(|detail| (detail.name.clone(), detail.value.as_str().into()))
        .collect()
}

/// A regular file.
fn file(path: &str) -> Value {
    json!({ "name": base_name(path), "path": path, "type_id": 1 })
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `name:port`, `address:port` or `[address]:port`; anything else is a name.
fn endpoint(destination: &str) -> Value {
    let split = destination.rsplit_once(':');
    let split = split.and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
    let (host, port) = split.map_or((destination, None), |(host, port)| (host, Some(port)));
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut endpoint = match bare.parse::<std::net::IpAddr>() {
        Ok(ip) => json!({ "ip": ip.to_string() }),
        Err(_) => json!({ "hostname": host }),
    };
    if let Some(port) = port {
        endpoint["port"] = port.into();
    }
    endpoint
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_name_or_an_address_and_perhaps_a_port() {
        for (destination, expected) in [
            (
                "a.example:443",
                json!({ "hostname": "a.example", "port": 443 }),
            ),
            (
                "198.51.100.7:80",
                json!({ "ip": "198.51.100.7", "port": 80 }),
            ),
            (
                "[2001:db8::1]:443",
                json!({ "ip": "2001:db8::1", "port": 443 }),
            ),
            ("a.example", json!({ "hostname": "a.example" })),
            ("a:99999", json!({ "hostname": "a:99999" })),
            ("", json!({ "hostname": "" })),
        ] {
            assert_eq!(endpoint(destination), expected, "{destination}");
        }
    }
}
