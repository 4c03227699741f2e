//! What a job can do to its own record.

use std::os::unix::fs::symlink;

use runward_event::{Body, EventKind};
use runward_lab::{requires, run};

use crate::bed::{Bed, LIMIT};

#[test]
fn a_link_in_the_report_folder_is_not_followed() {
    requires!(Root);
    let bed = Bed::new();
    let victim = bed.path().join("victim");
    std::fs::write(&victim, "precious").unwrap();
    let report = bed.path().join("runward-report");
    std::fs::create_dir(&report).unwrap();
    for name in ["events.jsonl", "report.json", "summary.md", "report.html"] {
        symlink(&victim, report.join(name)).unwrap();
    }
    let recorded = bed.record(["true"]);
    assert_eq!(recorded.ran.code(), 0);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert!(
        report
            .join("report.json")
            .symlink_metadata()
            .unwrap()
            .is_file()
    );
}

#[test]
fn a_record_that_the_job_replaces_is_written_again() {
    requires!(Root);
    let bed = Bed::new();
    let recorded = bed.record([
        "sh",
        "-c",
        "rm runward-report/events.jsonl; echo '{}' > runward-report/events.jsonl",
    ]);
    assert!(
        recorded.ran.stderr.contains("was replaced during the run"),
        "{}",
        recorded.ran.stderr
    );
    assert!(
        recorded
            .execs()
            .iter()
            .any(|exec| exec.args.first().is_some_and(|arg| arg == "rm"))
    );
    assert!(matches!(
        recorded.events.last().unwrap().body,
        Body::JobEnd(_)
    ));
}

#[test]
fn a_full_disk_does_not_hide_the_result() {
    requires!(Root, Program("mount"));
    let bed = Bed::new();
    let small = bed.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let mounted = run(
        std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "runward-test"])
            .arg(&small),
        LIMIT,
    );
    if !mounted.is_ok_and(|ran| ran.worked()) {
        runward_lab::skip(runward_lab::test_name!(), "cannot mount a small tmpfs");
        return;
    }
    let mut command = bed.runward(["run", "--report", "small/report", "--", "sh", "-c"]);
    command.arg("i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i + 1)); done; exit 9");
    let ran = run(&mut command, LIMIT).unwrap();
    let unmounted = run(std::process::Command::new("umount").arg(&small), LIMIT).unwrap();
    assert!(unmounted.worked());
    assert_eq!(ran.code(), 9, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("events.jsonl is incomplete: "),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains(EventKind::Written.name()) || ran.stderr.contains("lost"),
        "{}",
        ran.stderr
    );
}

#[test]
fn names_with_control_characters_stay_on_their_line() {
    requires!(Root);
    let bed = Bed::new();
    let program = runward_lab::actor("procs");
    let mut command = bed.runward(["run", "--"]);
    command.arg(program).arg("control-args");
    let ran = run(&mut command, LIMIT).unwrap();
    assert!(ran.worked(), "{}", ran.stderr);
    assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
    let text = std::fs::read_to_string(bed.path().join("runward-report/events.jsonl")).unwrap();
    assert!(
        text.lines()
            .all(|line| runward_event::parse_line(line).is_ok())
    );
    assert_eq!(
        text.matches("\"kind\":\"job_end\"").count(),
        1,
        "the argument that looks like an event is text"
    );
    let html = std::fs::read_to_string(bed.path().join("runward-report/report.html")).unwrap();
    assert!(!html.contains("<script>alert(1)</script>"));
}
