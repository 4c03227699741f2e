//! `report.json`, its schema, and the schema of events.

use std::path::{Path, PathBuf};

use runward_report::{json, report_schema, write_json};
use serde_json::Value;

use super::{SAMPLE, sample};

#[test]
fn the_committed_schemas_are_those_of_the_code() {
    for (file, schema) in [
        ("report.json", report_schema()),
        ("event.json", runward_event::event_schema()),
    ] {
        let path = schema_path(file);
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("RUNWARD_UPDATE_SCHEMA").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == text,
            "docs/schema/{file} is out of date: run RUNWARD_UPDATE_SCHEMA=1 cargo test -p runward-report"
        );
    }
}

#[test]
fn the_report_fits_its_schema() {
    let validator = validator("report.json");
    let report: Value = serde_json::from_str(&json(&sample())).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&report)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    // The check can fail.
    assert!(!validator.is_valid(&serde_json::json!({ "format": "one" })));
}

#[test]
fn the_record_fits_its_schema() {
    let validator = validator("event.json");
    for line in SAMPLE.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        // A schema lists the kinds of its time; readers skip others.
        let known = event["kind"] != "gpu_kernel";
        assert_eq!(validator.is_valid(&event), known, "{line}");
    }
}

#[test]
fn a_report_reads_back_as_it_was() {
    let report = sample();
    let mut text = Vec::new();
    write_json(&report, &mut text).unwrap();
    let again: runward_report::Report = serde_json::from_slice(&text).unwrap();
    assert_eq!(again, report);
}

#[test]
fn every_promised_field_is_there() {
    let report: Value = serde_json::from_str(&json(&sample())).unwrap();
    for field in [
        "format",
        "runward",
        "job",
        "command",
        "requested_mode",
        "effective_mode",
        "tier",
        "kernel",
        "start",
        "duration_seconds",
        "exit_code",
        "signal",
        "counts",
        "lost_events",
        "notes",
        "network_events",
        "dns_events",
        "file_events",
        "destinations",
        "detections",
        "processes",
    ] {
        assert!(!report[field].is_null() || field == "signal", "{field}");
    }
    let lost = report["lost_events"].as_object().unwrap();
    assert_eq!(lost.len(), runward_event::EventKind::ALL.len());
    assert!(lost.values().all(Value::is_u64));
    assert_eq!(lost["file"], 17);

    let upload = report["network_events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["destination"] == "telemetry.color-strings.example:443")
        .unwrap();
    insta::assert_json_snapshot!(upload);
}

fn validator(file: &str) -> jsonschema::Validator {
    let text = std::fs::read_to_string(schema_path(file)).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

fn schema_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/schema")
        .join(file)
}
