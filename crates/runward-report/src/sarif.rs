use std::io;

use runward_detect::{Confidence, RuleAbout, Severity};
use serde_json::{Value, json};

use crate::diff;
use crate::model::{Detection, Report};
use crate::text::visible;
use crate::verdict;

/// `report.sarif`: the findings in SARIF 2.1.0 (OASIS), as code scanning of forges loads them.
///
/// Findings that are known to be harmless are notes. What a finding is about stands as its place: the file, if it is about
/// one; else the pipeline that started the job, for code scanning shows nothing without a place.
pub fn sarif(report: &Report) -> Value {
    let ours = runward_detect::ABOUTS.map(|about| RuleAbout {
        id: about.id.to_owned(),
        title: about.title.to_owned(),
        severity: about.severity,
        confidence: about.confidence,
        next: about.next.to_owned(),
    });
    let rules: Vec<&RuleAbout> = ours.iter().chain(&report.rules).collect();
    let results: Vec<Value> = report
        .detections
        .iter()
        .take(RESULTS)
        .map(|detection| result(report, &rules, detection))
        .collect();
    let version = if report.runward.is_empty() {
        env!("CARGO_PKG_VERSION")
    } else {
        &report.runward
    };
    let mut sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "Runward",
                "version": version,
                "rules": rules.iter().map(|about| rule(about)).collect::<Vec<_>>(),
            }},
            "automationDetails": {"id": format!("runward/{}/", category(report))},
            "originalUriBaseIds": {"%SRCROOT%": {"description": {"text": "the folder that the job worked in"}}},
            "results": results,
        }],
    });
    if let Some(sentence) = verdict::lockdown(report) {
        sarif["runs"][0]["invocations"] = json!([{
            "executionSuccessful": false,
            "exitCode": report.exit_code,
            "exitCodeDescription": sentence,
        }]);
    }
    sarif
}

/// As [`sarif`], into a file.
pub fn write_sarif(report: &Report, out: &mut impl io::Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &sarif(report)).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// What GitHub takes of one file; the order is that of the record.
const RESULTS: usize = 5_000;
/// Characters of a message.
const MESSAGE: usize = 1_000;
/// Lines of a diff.
const DIFF_LINES: usize = 60;

fn rule(about: &RuleAbout) -> Value {
    // A rule of a user's own may say nothing of what to do.
    let help = if about.next.is_empty() {
        &about.title
    } else {
        &about.next
    };
    json!({
        "id": about.id,
        "name": about.id,
        "shortDescription": {"text": about.title},
        "fullDescription": {"text": about.title},
        "help": {"text": help},
        "defaultConfiguration": {"level": level(about.severity)},
        "properties": {
            "precision": precision(about.confidence),
            "security-severity": security_severity(about.severity),
            "tags": ["security", "supply-chain"],
        },
    })
}

fn result(report: &Report, rules: &[&RuleAbout], detection: &Detection) -> Value {
    let message: String = detection.message.chars().take(MESSAGE).collect();
    let mut result = json!({
        "ruleId": detection.detection,
        "level": level(detection.severity),
        "message": {"text": message},
        "locations": [{"physicalLocation": {"artifactLocation": place(report, detection)}}],
        "partialFingerprints": {"finding/v1": fingerprint(detection)},
        "properties": {
            "severity": crate::markdown::severity(detection.severity),
            "time": detection.time,
            "seq": detection.seq,
            "step": detection.step,
            "dependency": detection.dependency.as_ref().map(|dependency| &dependency.name),
        },
    });
    if let Some(content) = &detection.content {
        result["properties"]["hashBefore"] = json!(content.hash_before);
        result["properties"]["hashAfter"] = json!(content.hash_after);
        let diff: Vec<String> = diff::lines(content, DIFF_LINES)
            .into_iter()
            .map(|line| line.text)
            .collect();
        if !diff.is_empty() {
            result["properties"]["diff"] = json!(diff);
        }
        if let Some(line) = diff::first_line(content) {
            let place = &mut result["locations"][0]["physicalLocation"];
            place["region"] = json!({"startLine": line});
        }
    }
    // A record of a newer version may name a detection that is not known here.
    if let Some(index) = rules
        .iter()
        .position(|about| about.id == detection.detection)
    {
        result["ruleIndex"] = json!(index);
    }
    result
}

fn place(report: &Report, detection: &Detection) -> Value {
    match detection.path.as_deref() {
        Some(path) if path.starts_with('/') => json!({"uri": format!("file://{}", uri(path))}),
        Some(path) if !path.starts_with("memfd:") => {
            json!({"uri": uri(path), "uriBaseId": "%SRCROOT%"})
        }
        _ => {
            let pipeline = report
                .job
                .pipeline
                .as_deref()
                .filter(|path| is_relative(path));
            json!({"uri": uri(pipeline.unwrap_or(UNKNOWN)), "uriBaseId": "%SRCROOT%"})
        }
    }
}

/// What stands for the job where no file of it is known.
const UNKNOWN: &str = "runward-report/events.jsonl";

fn is_relative(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && !path.contains("..")
}

/// A path as a URI's own (RFC 3986, section 3.3): whatever is not plain is written in percent.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// What makes a finding the same one in another run: not process ids and times.
fn fingerprint(detection: &Detection) -> String {
    let about = detection
        .path
        .as_deref()
        .or(detection.destination.as_deref());
    let exe = detection
        .process
        .as_ref()
        .map_or("", |process| process.exe.as_str());
    let text = [&detection.detection, about.unwrap_or(""), exe].join("\n");
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

/// Tells the jobs of one commit apart, so that one does not take the place of another.
fn category(report: &Report) -> String {
    let job = report.job.job.as_deref().unwrap_or("job");
    let plain = visible(job);
    plain
        .chars()
        .map(|c| match c {
            '/' | '\\' => '-',
            c => c,
        })
        .take(100)
        .collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "note",
        Severity::Low | Severity::Medium => "warning",
        Severity::High => "error",
    }
}

/// GitHub's scale, of CVSS.
fn security_severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "0.0",
        Severity::Low => "3.0",
        Severity::Medium => "6.0",
        Severity::High => "8.5",
    }
}

fn precision(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "low",
        Confidence::Medium => "medium",
        Confidence::High => "high",
    }
}
