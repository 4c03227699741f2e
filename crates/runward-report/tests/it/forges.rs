//! What forges show beside a job: SARIF for code scanning, lines for the log.

use runward_event::{Body, FileChange, FileDiff, JobIdentity, Provider};
use runward_report::{Report, annotations, sarif};
use serde_json::Value;

use crate::{Record, change, report, sample};

/// OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0", its JSON schema, unchanged.
const SCHEMA: &str = include_str!("../sarif/sarif-schema-2.1.0.json");

fn check(report: &Report) -> Value {
    // One pattern of the published schema is no regular expression: a bracket is closed that was never opened.
    let schema = SCHEMA.replace("[a-zA-Z]{2}]?$", "[a-zA-Z]{2}?$");
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let sarif = sarif(report);
    let errors: Vec<String> = validator
        .iter_errors(&sarif)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    sarif
}

#[test]
fn what_code_scanning_loads_is_valid_and_says_what_was_found() {
    let report = sample();
    let sarif = check(&report);
    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    assert_eq!(results.len(), report.detections.len());
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for (result, found) in results.iter().zip(&report.detections) {
        assert_eq!(result["ruleId"], found.detection.as_str());
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
    }
    // One result in full, for the eyes.
    insta::assert_json_snapshot!("a_sarif_result", results[0]);
    assert_eq!(
        check(&Report::default())["runs"][0]["results"],
        serde_json::json!([])
    );
}

/// Files with these names get other content.
fn overwritten(paths: &[&str]) -> Report {
    let mut record = Record::started();
    if let Body::JobStart(start) = &mut record.events[0].body {
        start.identity = JobIdentity {
            provider: Provider::Github,
            pipeline: Some("../../etc/passwd".to_owned()),
            job: Some("a/b\u{1b}[2J".to_owned()),
            ..JobIdentity::default()
        };
    }
    for path in paths {
        record.push(Body::FileWrite(Box::new(FileChange {
            tracked: true,
            hash_before: Some("aa".repeat(20)),
            hash_after: Some("bb".repeat(20)),
            diff: Some(FileDiff {
                text: format!("@@ -7,4 +7,4 @@\n a\n-b\n+{path}\n c\n d\n"),
                added: 1,
                removed: 1,
                cut: false,
            }),
            ..change(7, path)
        })));
    }
    report(&record.events)
}

const HOSTILE: [&str; 4] = [
    "src/a b%00.rs",
    "src/::error::x\n::set-output name=a::b",
    "ü/\u{202e}txt.exe,line=1",
    "javascript:alert(1)",
];

#[test]
fn whatever_a_file_is_called_its_place_is_a_plain_uri() {
    let sarif = check(&overwritten(&HOSTILE));
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        let region = &result["locations"][0]["physicalLocation"]["region"];
        assert_eq!(region["startLine"], 8);
        let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-._~%".contains(c);
        assert!(place.as_str().unwrap().chars().all(plain), "{place}");
    }
}

#[test]
fn whatever_a_file_is_called_it_is_one_annotation_and_no_other_command() {
    let lines = annotations(&overwritten(&HOSTILE));
    assert_eq!(lines.len(), HOSTILE.len());
    for line in &lines {
        assert!(
            line.starts_with("::error title=Runward source-code-overwritten,file="),
            "{line}"
        );
        assert!(!line.contains(['\n', '\r']), "{line}");
        let (properties, _) = line["::error ".len()..].split_once("::").unwrap();
        assert_eq!(properties.matches(',').count(), 1, "{line}");
    }
    insta::assert_snapshot!("annotations", lines.join("\n"));
    assert_eq!(
        annotations(&Report::default()),
        Vec::<String>::new(),
        "no CI system"
    );
}
