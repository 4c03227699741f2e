//! Rules of a user's own on the command line: checked, run over records, and in force while a job runs.

use runward_lab::{Ran, run};
use serde_json::Value;

use crate::bed::{Bed, LIMIT};

const RULES: &str = r#"rules:
  - id: curl-calls-out
    title: curl called something
    severity: medium
    on: connect
    when: process.name == "curl"
    message: "{process.name} called {event.name}:{event.port}"
    next: Ask who wrote that.
"#;

const RECORD: &str = include_str!("../../../runward-rules/tests/records/examples.jsonl");

fn bed(files: &[(&str, &str)]) -> Bed {
    let bed = Bed::new();
    for (name, text) in files {
        std::fs::write(bed.path().join(name), text).unwrap();
    }
    bed
}

fn runward(bed: &Bed, args: &[&str]) -> Ran {
    run(&mut bed.runward(args), LIMIT).unwrap()
}

#[test]
fn rules_alone_are_checked() {
    let wrong = RULES
        .replace("event.name}", "event.nmae}")
        .replace("medium", "urgent");
    let bed = bed(&[("rules.yml", RULES), ("wrong.yml", &wrong)]);
    let ran = runward(&bed, &["replay", "--rules", "rules.yml"]);
    assert_eq!(
        (ran.code(), ran.stdout.as_str()),
        (0, "The rules are valid: 1 rule.\n")
    );
    let ran = runward(&bed, &["replay", "--rules", "wrong.yml"]);
    assert_eq!((ran.code(), ran.stdout.as_str()), (2, ""));
    assert_eq!(
        ran.stderr,
        "wrong.yml:4:15: this is one of info, low, medium, high\n\
         wrong.yml:7:43: an event of kind `connect` has no `nmae`; did you mean `name`?\n"
    );
    let ran = runward(&bed, &["replay", "--json", "--rules", "wrong.yml"]);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code(), &answer["valid"]), (2, &Value::Bool(false)));
    assert_eq!(answer["errors"][0]["line"], 4);
    let ran = runward(&bed, &["run", "--rules", "wrong.yml", "--", "true"]);
    assert_eq!(ran.code(), 125);
    assert!(ran.stderr.contains("wrong.yml:4:15: "), "{}", ran.stderr);
    assert!(!bed.path().join("runward-report").exists());
    assert_eq!(runward(&bed, &["replay", "--rules", "no.yml"]).code(), 2);
    assert_eq!(runward(&bed, &["replay"]).code(), 2);
}

#[test]
fn a_replay_tells_what_detections_and_rules_find() {
    let bed = bed(&[("rules.yml", RULES), ("run.jsonl", RECORD)]);
    let ran = runward(&bed, &["replay", "--rules", "rules.yml", "run.jsonl"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    let line = "  medium  curl-calls-out  event 7: curl called get.example:443\n";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    assert!(ran.stdout.starts_with("run.jsonl: "), "{}", ran.stdout);
    let ran = runward(&bed, &["replay", "run.jsonl"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("source-code-overwritten"),
        "{}",
        ran.stdout
    );
    assert!(!ran.stdout.contains("curl-calls-out"), "{}", ran.stdout);

    let fails = [
        "replay",
        "--json",
        "--fail-on",
        "curl-calls-out",
        "--rules",
        "rules.yml",
        "run.jsonl",
    ];
    let ran = runward(&bed, &fails);
    let answer: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(ran.code(), 86);
    let found = answer["findings"].as_array().unwrap();
    let found = found
        .iter()
        .find(|row| row["detection"] == "curl-calls-out")
        .unwrap();
    assert_eq!(found["seq"], 7);
    assert_eq!(found["message"], "curl called get.example:443");
    assert_eq!(found["next"], "Ask who wrote that.");
    assert_eq!(found["step"], "build");
    assert_eq!(answer["rules"][0]["title"], "curl called something");
    assert_eq!(answer.get("blocked"), None);
    let ran = runward(
        &bed,
        &["replay", "--fail-on", "curl-calls-out", "run.jsonl"],
    );
    assert_eq!(ran.code(), 2, "a rule that is not given is unknown");
}

#[test]
fn reports_show_rules_and_miss_them() {
    let in_force = r#""kernel":"6.1.0","rules":{"sha256":"00ff","ids":["curl-calls-out"]}"#;
    let record = RECORD.replace(r#""kernel":"6.1.0""#, in_force);
    let bed = bed(&[("rules.yml", RULES)]);
    let folder = bed.path().join("runward-report");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("events.jsonl"), record).unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();

    let ran = runward(&bed, &["report", "runward-report"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(read("summary.md").contains(r"ran with rules of its owner \(curl-calls-out\)"));
    assert!(!read("report.json").contains("curl called get.example"));

    let ran = runward(&bed, &["report", "--rules", "rules.yml", "runward-report"]);
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    for name in ["report.json", "report.html", "report.sarif"] {
        assert!(read(name).contains("curl called get.example"), "{name}");
    }
    assert!(read("summary.md").contains("get.example:443"));
    // Another file than the one that was in force.
    assert!(read("summary.md").contains("other rules than this report was made with"));
    let sarif: Value = serde_json::from_str(&read("report.sarif")).unwrap();
    let run = &sarif["runs"][0];
    let result = run["results"].as_array().unwrap().iter();
    let result = result
        .clone()
        .find(|row| row["ruleId"] == "curl-calls-out")
        .unwrap();
    let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
    let rule = &run["tool"]["driver"]["rules"][index];
    assert_eq!(rule["id"], "curl-calls-out");
    assert_eq!(rule["shortDescription"]["text"], "curl called something");
    assert_eq!(rule["help"]["text"], "Ask who wrote that.");
}

#[test]
fn a_running_job_is_watched_by_rules() {
    let rules = RULES
        .replace("on: connect", "on: process_exec")
        .replace(
            "process.name == \"curl\"",
            "process.args.exists(a, a == \"found-me\")",
        )
        .replace(
            "{process.name} called {event.name}:{event.port}",
            "it ran {event.exe}",
        );
    let bed = bed(&[("rules.yml", &rules)]);
    let mut command = bed.runward([
        "run",
        "--rules",
        "rules.yml",
        "--fail-on",
        "curl-calls-out",
        "--",
        "sh",
        "-c",
        "true; env true found-me",
    ]);
    let ran = run(&mut command, LIMIT).unwrap();
    assert_eq!(ran.code(), 86, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("found curl-calls-out: it ran /"),
        "{}",
        ran.stderr
    );
    let events = std::fs::read_to_string(bed.path().join("runward-report/events.jsonl")).unwrap();
    let start: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!(start["rules"]["ids"][0], "curl-calls-out");
    assert_eq!(start["rules"]["sha256"].as_str().map(str::len), Some(64));
    let report = std::fs::read_to_string(bed.path().join("runward-report/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["rules"][0]["id"], "curl-calls-out");
    let found = report["detections"].as_array().unwrap();
    assert!(found.iter().any(|row| row["detection"] == "curl-calls-out"));
    assert!(
        !report["notes"].to_string().contains("rules"),
        "{}",
        report["notes"]
    );
}
