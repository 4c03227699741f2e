//! Records that are not whole.

use runward_event::{Act, Body, EventKind, LossReason, Lost, Mode, ProcessId, Tamper};
use runward_report::{Report, json};

use super::{Record, change, report, sample, sample_events};

#[test]
fn a_record_that_breaks_off() {
    let mut events = sample_events();
    events.truncate(40);
    let report = report(&events);
    assert!(!report.complete);
    assert_eq!(report.exit_code, None);
    assert!(report.duration_seconds > 0.0);
    assert!(report.notes.iter().any(|note| note.contains("breaks off")));
    let open = report
        .network_events
        .iter()
        .filter(|row| row.outcome.is_none());
    assert!(open.count() > 0, "connections that were open then");
}

#[test]
fn a_record_without_its_beginning() {
    let report = report(&sample_events()[50..]);
    assert!(!report.complete);
    assert_eq!(report.requested_mode, None);
    assert!(report.notes.iter().any(|note| note.contains("beginning")));
    assert!(report.processes.iter().any(|process| !process.parent_known));
}

#[test]
fn an_empty_record() {
    let report = report(&[]);
    assert!(!report.complete && report.start.is_none());
    assert!(report.lost_events.len() == EventKind::ALL.len());
    assert_eq!(
        report.notes,
        ["The record is empty: nothing is known about this job."]
    );
    serde_json::from_str::<Report>(&json(&report)).unwrap();
}

#[test]
fn a_kind_from_the_future_is_counted() {
    let report = sample();
    assert_eq!(report.unknown_events.get("gpu_kernel"), Some(&1));
    assert!(report.complete);
}

#[test]
fn an_attempt_at_tampering_is_of_a_known_kind() {
    let mut record = Record::started();
    record.push(Body::Tamper(Box::new(Tamper {
        process: ProcessId(1),
        pid: 1,
        act: Act::Report,
        target: None,
        prevented: true,
        killed: false,
        raw: Default::default(),
    })));
    assert!(record.report().unknown_events.is_empty());
}

#[test]
fn losses_add_up_by_kind_and_reason() {
    let mut record = Record::started();
    for (count, reason) in [
        (2, LossReason::RingFull),
        (3, LossReason::NoMemory),
        (u64::MAX, LossReason::RingFull),
    ] {
        record.push(Body::Lost(Lost {
            lost: EventKind::Dns,
            count,
            reason,
        }));
    }
    let report = record.report();
    assert_eq!(report.lost_events[&EventKind::Dns], u64::MAX);
    assert_eq!(report.losses.len(), 2);
    assert_eq!(report.lost_events[&EventKind::Connect], 0);
}

#[test]
fn a_row_shows_the_process_as_it_was_then() {
    let mut record = Record::started();
    record.fork(1, None);
    record.exec(1, None, &["sh"]);
    record.fork(2, Some(1));
    record.connect(1, 2, None, "192.0.2.1");
    record.exec(2, Some(1), &["curl", "x"]);
    record.connect(2, 2, None, "192.0.2.1");
    record.exec(1, None, &["sleep"]);
    record.connect(3, 2, None, "192.0.2.1");
    let report = record.report();
    let rows: Vec<(&str, &str)> = report
        .network_events
        .iter()
        .map(|row| {
            (
                row.process.exe.as_str(),
                row.process.lineage[0].exe.as_str(),
            )
        })
        .collect();
    assert_eq!(
        rows,
        [
            ("/bin/sh", "/bin/sh"),
            ("/bin/curl", "/bin/sh"),
            ("/bin/curl", "/bin/sleep")
        ]
    );
    assert!(report.network_events[0].process.lineage_complete);
    assert_eq!(report.processes[0].earlier[0].exe, "/bin/sh");
}

#[test]
fn only_an_altered_tracked_file_counts_as_changed() {
    let mut record = Record::started();
    record.fork(1, None);
    let hash = |text: &str| Some(text.to_owned());
    for (tracked, before, after) in [
        (false, None, None),
        (true, hash("a"), hash("a")),
        (true, hash("a"), hash("b")),
        (true, hash("a"), None),
        (true, None, hash("b")),
    ] {
        record.push(Body::FileWrite(Box::new(runward_event::FileChange {
            tracked,
            hash_before: before,
            hash_after: after,
            ..change(1, "f")
        })));
    }
    record.push(Body::FileDelete(Box::new(runward_event::FileChange {
        tracked: true,
        hash_before: hash("a"),
        ..change(1, "f")
    })));
    let report = record.report();
    let changed: Vec<bool> = report.file_events.iter().map(|row| row.changed).collect();
    assert_eq!(changed, [false, false, true, true, true, true]);
    assert_eq!(report.counts.tracked_changes, 4);
    assert_eq!(report.effective_mode, Some(Mode::Audit));
}
