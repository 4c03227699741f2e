//! What programs of others read: OCSF, and lines of a system log.

use insta::{assert_json_snapshot, assert_snapshot};
use proptest::prelude::*;
use runward_event::Provider;
use runward_notify::{Message, OCSF_VERSION, otlp_logs, syslog, test, webhook};
use runward_store::{
    BadCall, Detail, MessageBody, Notification, Outcome, OutcomeState, Parcel, Severity,
};
use serde_json::{Value, json};

use crate::sample::{NOW, blocked, many, message, of, overwritten};

fn outcome() -> Outcome {
    Outcome {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        provider: Provider::Github,
        project: None,
        project_name: "acme/shop".to_owned(),
        pipeline: ".github/workflows/ci.yml".to_owned(),
        job: "build".to_owned(),
        commit: "a".repeat(40),
        provider_run: Some("77".to_owned()),
        request: true,
        state: OutcomeState::Ended,
        runs: 1,
        started_at: NOW,
        last_seen_at: NOW + 61_000,
        blocked: 1,
        anomalous: 0,
        first: vec![BadCall {
            severity: Severity::Medium,
            sentence: "collect.evil.example:443 was refused".to_owned(),
        }],
        lost: 0,
        link: "/o/main/runs/a77ac4ed000000000000000000000001".to_owned(),
    }
}

fn parsed(message: &Message<'_>) -> Vec<Value> {
    serde_json::from_slice(&webhook(message, MessageBody::Ocsf)).unwrap()
}

/// The frames of a message, taken apart by their lengths, as a receiver does.
fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space])
            .unwrap()
            .parse()
            .unwrap();
        let (frame, rest) = bytes[space + 1..].split_at(length);
        frames.push(String::from_utf8(frame.to_vec()).unwrap());
        bytes = rest;
    }
    frames
}

/// A line as a receiver takes it apart: its head, the seven parts of the event, and its values.
fn taken_apart(line: &str) -> (Vec<String>, Vec<String>, Vec<(String, String)>) {
    let mut words = line.splitn(8, ' ').map(str::to_owned);
    let head: Vec<String> = words.by_ref().take(7).collect();
    let event = words.next().unwrap();
    let (mut parts, mut part, mut escaped) = (Vec::new(), String::new(), false);
    let mut chars = event.chars();
    for c in chars.by_ref() {
        match c {
            _ if escaped => {
                part.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '|' => parts.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
        if parts.len() == 7 {
            break;
        }
    }
    // A value reaches to the word before the next sign that is not escaped.
    let mut values: Vec<(String, String)> = Vec::new();
    let (mut text, mut escaped) = (String::new(), false);
    for c in chars {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '=' => {
                let (before, key) = text.rsplit_once(' ').unwrap_or(("", &text));
                if let Some(last) = values.last_mut() {
                    last.1 = before.to_owned();
                }
                values.push((key.to_owned(), String::new()));
                text = String::new();
            }
            c => text.push(c),
        }
    }
    if let Some(last) = values.last_mut() {
        last.1 = text;
    }
    (head, parts, values)
}

#[test]
fn a_detection_is_a_finding_and_a_job_a_scan() {
    let parcel = of([overwritten(), blocked()]);
    assert_json_snapshot!("ocsf_findings", parsed(&message(&parcel)));
    let parcel = outcome().parcel(NOW);
    assert_json_snapshot!("ocsf_scan", parsed(&message(&parcel)));
    let silent = Outcome {
        state: OutcomeState::Silent,
        ..outcome()
    };
    let parcel = silent.parcel(NOW);
    assert_eq!(parsed(&message(&parcel))[0]["type_uid"], 600_706);
}

#[test]
fn every_event_has_what_the_schema_requires_and_an_id_of_its_own() {
    let all = many();
    let events = parsed(&message(&all));
    assert_eq!(events.len(), 31, "thirty, and one that counts the rest");
    let mut ids = Vec::new();
    for event in &events {
        for name in [
            "activity_id",
            "category_uid",
            "class_uid",
            "severity_id",
            "time",
            "type_uid",
        ] {
            assert!(
                event[name].is_i64() || event[name].is_u64(),
                "{name}: {event}"
            );
        }
        assert_eq!(event["metadata"]["version"], OCSF_VERSION);
        assert_eq!(event["metadata"]["product"]["vendor_name"], "Runward");
        assert!(event["finding_info"]["title"].is_string());
        ids.push(event["finding_info"]["uid"].as_str().unwrap().to_owned());
    }
    ids.dedup();
    assert_eq!(ids.len(), 31);
    assert_eq!(events[30]["count"], 20);
    let tried = of([test("On call", "ada", "main", NOW)]);
    assert_eq!(parsed(&message(&tried))[0]["is_alert"], false);
}

#[test]
fn a_collector_gets_a_record_for_each() {
    let parcel = of([overwritten(), blocked()]);
    assert_json_snapshot!("otlp_logs", otlp_logs(&message(&parcel)));
    let parcel = outcome().parcel(NOW);
    assert_json_snapshot!("otlp_job", otlp_logs(&message(&parcel)));
    let all = many();
    let logs = otlp_logs(&message(&all));
    let records = &logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    assert_eq!(records.as_array().unwrap().len(), 31);
}

#[test]
fn a_log_gets_a_line_for_each() {
    let parcel = of([overwritten(), blocked()]);
    assert_snapshot!(
        "syslog_lines",
        frames(&syslog(&message(&parcel))).join("\n")
    );
    let parcel = outcome().parcel(NOW);
    assert_snapshot!("syslog_job", frames(&syslog(&message(&parcel))).join("\n"));
    assert_eq!(frames(&syslog(&message(&many()))).len(), 31);
}

fn check(text: &str) {
    let nasty = Notification {
        kind: text.to_owned(),
        sentence: text.to_owned(),
        details: [
            "destination",
            "file",
            "program",
            "project",
            "pipeline",
            "job",
            "branch",
            "actor",
            text,
        ]
        .map(|name| Detail {
            name: name.to_owned(),
            value: text.to_owned(),
        })
        .to_vec(),
        ..blocked()
    };
    let parcel: Parcel = of([nasty.clone(), nasty]);
    let message = message(&parcel);
    let found = frames(&syslog(&message));
    assert_eq!(found.len(), 2, "no text begins another frame");
    let keys = |line: &str| -> Vec<String> {
        let (_, _, values) = taken_apart(line);
        values.into_iter().map(|(key, _)| key).collect()
    };
    for line in &found {
        assert!(!line.contains(char::is_control), "{line:?}");
        let (head, parts, values) = taken_apart(line);
        assert_eq!(head[0], "<84>1");
        assert_eq!(
            (head[3].as_str(), head[4].as_str(), head[6].as_str()),
            ("runward", "-", "-")
        );
        assert_eq!(&parts[..3], ["CEF:0", "Runward", "Runward"]);
        assert_eq!(parts.len(), 7, "{line:?}");
        assert_eq!(parts[6], "6");
        let of = |key: &str| {
            values
                .iter()
                .find(|(name, _)| name == key)
                .unwrap()
                .1
                .clone()
        };
        // What stands behind what a job wrote is where it should be.
        assert_eq!(of("externalId").split('/').next(), Some(message.id));
        assert_eq!(of("cs6"), "main");
        assert!(of("request").starts_with(message.server));
        // No text is a key.
        let known = [
            "rt",
            "cat",
            "cnt",
            "dhost",
            "dst",
            "dpt",
            "filePath",
            "sproc",
            "suser",
            "externalId",
            "request",
            "msg",
        ];
        for key in keys(line) {
            assert!(
                known.contains(&key.as_str()) || key.starts_with("cs"),
                "{key}: {line:?}"
            );
        }
    }
    let logs = otlp_logs(&message);
    let records = &logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    assert_eq!(records.as_array().unwrap().len(), 2);
    assert_eq!(records[1]["body"]["stringValue"], *text);
    let events = parsed(&message);
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["class_uid"], 2004);
    assert_eq!(events[0]["message"], *text);
    let link = events[0]["finding_info"]["src_url"].as_str().unwrap();
    assert!(link.starts_with(message.server));
    assert_eq!(events[0]["metadata"]["tenant_uid"], json!("main"));
}

#[test]
fn nothing_that_a_job_wrote_leaves_its_field() {
    for text in [
        "a|b|10|msg=x",
        "x msg=evil cs1=evil",
        "x\\",
        "\\=\\|\\\\",
        "a\nb\r\n<84>1 - evil",
        "9 CEF:0|x",
        "\u{202e}\0\u{1b}",
        "\u{2028}\u{85}",
        "",
        " ",
        "=",
    ] {
        check(text);
    }
    check(&"=|\\ \u{10ffff}".repeat(2_000));
}

proptest! {
    #[test]
    fn any_text_stays_in_its_field(text in "[=|\\\\ \na1:]{0,60}|.{0,200}") {
        check(&text);
    }
}
