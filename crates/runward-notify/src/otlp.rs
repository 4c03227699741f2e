//! What was found, as logs of OpenTelemetry: the JSON of OTLP over HTTP (opentelemetry-proto, `ExportLogsServiceRequest`).

use runward_store::{Millis, Notification, Outcome, Severity};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::Message;

/// What a collector answers.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    partial_success: Option<Partial>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partial {
    /// A number of 64 bits is a text in this JSON, and not every collector knows that.
    #[serde(default)]
    rejected_log_records: Value,
}

/// The message as JSON. Texts are as the job had them.
pub fn otlp_logs(message: &Message<'_>) -> Value {
    let records = match &message.parcel.outcome {
        Some(outcome) => vec![of_outcome(message, outcome)],
        None => of_parcel(message),
    };
    json!({
        "resourceLogs": [{
            "resource": { "attributes": [
                text("service.name", "runward-server"),
                text("service.version", env!("CARGO_PKG_VERSION")),
                text("runward.organisation", message.org_slug),
            ] },
            "scopeLogs": [{
                "scope": { "name": "runward", "version": env!("CARGO_PKG_VERSION") },
                "logRecords": records,
            }],
        }],
    })
}

/// How many records a collector says that it did not take, although it took the request.
pub fn otlp_rejected(answer: &str) -> u64 {
    let partial = serde_json::from_str::<Answer>(answer).ok();
    let partial = partial.and_then(|answer| answer.partial_success);
    match partial.map(|partial| partial.rejected_log_records) {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(number) => number.as_u64().unwrap_or(0),
        None => 0,
    }
}

fn of_parcel(message: &Message<'_>) -> Vec<Value> {
    let told = message.parcel.told.iter().enumerate();
    let mut records: Vec<Value> = told
        .map(|(at, notification)| of_notification(message, at, notification))
        .collect();
    if message.parcel.more > 0 {
        let mut record = record(message, message.created_at, Some(message.parcel.severity));
        record["eventName"] = "runward.merged".into();
        let body = format!("{} more, which have no record", message.parcel.more);
        record["body"] = json!({ "stringValue": body });
        record["attributes"] = json!([
            text("runward.id", &id(message, message.parcel.told.len())),
            text("url.full", &message.detections()),
            number("runward.count", message.parcel.more),
        ]);
        records.push(record);
    }
    records
}

fn of_notification(message: &Message<'_>, at: usize, told: &Notification) -> Value {
    let mut record = record(message, told.at, Some(told.severity));
    record["eventName"] = "runward.detection".into();
    record["body"] = json!({ "stringValue": told.sentence });
    let mut attributes = vec![
        text("runward.id", &id(message, at)),
        text("runward.kind", &told.kind),
        text("url.full", &message.evidence(told)),
        number("runward.repeats", told.repeats),
    ];
    for detail in &told.details {
        attributes.push(text(
            &format!("runward.detail.{}", detail.name),
            &detail.value,
        ));
    }
    record["attributes"] = attributes.into();
    record
}

fn of_outcome(message: &Message<'_>, outcome: &Outcome) -> Value {
    let gravest = outcome.first.iter().map(|call| call.severity).max();
    let mut record = record(message, outcome.last_seen_at, gravest);
    record["eventName"] = "runward.job".into();
    record["body"] = json!({ "stringValue": outcome.title() });
    record["attributes"] = json!([
        text("runward.id", &id(message, 0)),
        text("runward.job.id", &outcome.id),
        json!({ "key": "runward.passed", "value": { "boolValue": outcome.passed() } }),
        text("url.full", &message.page(&outcome.link)),
        text("runward.detail.project", &outcome.project_name),
        text("runward.detail.pipeline", &outcome.pipeline),
        text("runward.detail.job", &outcome.job),
        text("runward.detail.commit", &outcome.commit),
        number("runward.calls.blocked", outcome.blocked),
        number("runward.calls.anomalous", outcome.anomalous),
        number("runward.events.lost", outcome.lost),
    ]);
    record
}

fn record(message: &Message<'_>, at: Millis, severity: Option<Severity>) -> Value {
    // OpenTelemetry, "Logs Data Model", SeverityNumber: INFO, WARN, ERROR, FATAL.
    let (level, word) = match severity {
        None => (9, "none"),
        Some(Severity::Low) => (9, "low"),
        Some(Severity::Medium) => (13, "medium"),
        Some(Severity::High) => (17, "high"),
        Some(Severity::Critical) => (21, "critical"),
    };
    json!({
        "timeUnixNano": nanos(at),
        "observedTimeUnixNano": nanos(message.created_at),
        "severityNumber": level,
        "severityText": word,
    })
}

/// The same whenever the message is sent, and of no other record.
fn id(message: &Message<'_>, at: usize) -> String {
    format!("{}/{at}", message.id)
}

fn nanos(at: Millis) -> String {
    let millis = u64::try_from(at).unwrap_or(0);
    millis.saturating_mul(1_000_000).to_string()
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

fn number(key: &str, value: i64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_took_a_part_says_so() {
        for (answer, rejected) in [
            ("{}", 0),
            ("", 0),
            (r#"{"partialSuccess":{}}"#, 0),
            (
                r#"{"partialSuccess":{"rejectedLogRecords":"2","errorMessage":"x"}}"#,
                2,
            ),
            (r#"{"partialSuccess":{"rejectedLogRecords":3}}"#, 3),
            (r#"{"partialSuccess":{"rejectedLogRecords":-1}}"#, 0),
        ] {
            assert_eq!(otlp_rejected(answer), rejected, "{answer}");
        }
    }
}
