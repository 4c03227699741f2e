//! The report folder, and making it again.

use runward_lab::{requires, run};

use crate::bed::{Bed, LIMIT};

#[test]
fn the_report_can_be_made_again() {
    requires!(Root);
    let bed = Bed::new();
    let recorded = bed.record(["sh", "-c", "ls / > /dev/null; exit 4"]);
    let read = |name: &str| std::fs::read_to_string(recorded.folder.join(name)).unwrap();
    let names = ["report.json", "summary.md", "report.html"];
    let before = names.map(read);
    for name in names {
        std::fs::remove_file(recorded.folder.join(name)).unwrap();
    }
    let ran = run(&mut bed.runward(["report", "runward-report"]), LIMIT).unwrap();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert_eq!(names.map(read), before);
}

#[test]
fn a_record_that_breaks_off_still_makes_a_report() {
    requires!(Root);
    let bed = Bed::new();
    let recorded = bed.record(["true"]);
    let path = recorded.folder.join("events.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 30]).unwrap();
    let ran = run(&mut bed.runward(["report", "runward-report"]), LIMIT).unwrap();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("breaks off in line"), "{}", ran.stderr);
    let ran = run(&mut bed.runward(["report", "not-there"]), LIMIT).unwrap();
    assert_eq!(ran.code(), 1);
    assert!(
        ran.stderr.contains("cannot read not-there/events.jsonl"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_report_keeps_its_schema() {
    requires!(Root);
    let bed = Bed::new();
    let recorded = bed.record(["sh", "-c", "ls / > /dev/null"]);
    let schema = serde_json::to_value(runward_report::report_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&recorded.report)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    let schema = serde_json::to_value(runward_event::event_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for line in std::fs::read_to_string(recorded.folder.join("events.jsonl"))
        .unwrap()
        .lines()
    {
        let event = serde_json::from_str(line).unwrap();
        let errors: Vec<_> = validator
            .iter_errors(&event)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, Vec::<String>::new(), "{line}");
    }
}

#[test]
fn the_job_is_named_by_its_ci_system() {
    requires!(Root);
    let bed = Bed::new();
    let mut command = bed.runward(["run", "--quiet", "--", "sh", "-c", "true & wait"]);
    command.envs([
        ("CI", "true"),
        ("GITLAB_CI", "true"),
        ("CI_PROJECT_PATH", "group/app"),
        ("CI_JOB_NAME", "unit tests"),
        ("CI_JOB_STAGE", "test"),
        ("CI_JOB_ID", "42"),
        ("CI_PIPELINE_ID", "7"),
    ]);
    let recorded = bed.finish(&mut command);
    assert_eq!(recorded.report["job"]["provider"], "gitlab");
    assert_eq!(recorded.report["job"]["project"], "group/app");
    assert_eq!(recorded.report["job"]["job"], "unit tests");
    let text = recorded.report.to_string();
    assert!(text.contains("\"step\":"), "{text}");

    let mut command = bed.runward(["run", "--quiet", "--", "true"]);
    command.envs([
        ("CI", "true"),
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "example/app"),
        ("GITHUB_JOB", "build"),
        ("GITHUB_RUN_ID", "123"),
        ("GITHUB_ACTION", "__run_2"),
    ]);
    let recorded = bed.finish(&mut command);
    assert_eq!(recorded.report["job"]["provider"], "github");
    assert_eq!(recorded.report["job"]["project"], "example/app");
    assert_eq!(
        recorded.report["processes"][0]["step"], "__run_2",
        "{}",
        recorded.report["processes"][0]
    );
}
