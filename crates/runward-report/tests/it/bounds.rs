//! A job can do as much as it likes; a report stays within its limits and says what it left out.

use runward_event::{Body, ConnectClose, ConnectOutcome, ConnectionId, FileChange, ProcessId};
use runward_report::{html, limits, markdown};

use super::{Record, change};

#[test]
fn a_flood_of_files_does_not_hide_an_altered_one() {
    let mut record = Record::started();
    record.fork(1, None);
    for n in 0..limits::FILE_ROWS + 10 {
        record.push(Body::FileCreate(Box::new(change(1, &format!("junk/{n}")))));
    }
    record.push(Body::FileWrite(Box::new(FileChange {
        tracked: true,
        hash_before: Some("a".to_owned()),
        hash_after: Some("b".to_owned()),
        ..change(1, "src/lib.rs")
    })));
    let report = record.report();
    assert_eq!(report.file_events.len(), limits::FILE_ROWS + 1);
    assert_eq!(report.file_events.last().unwrap().path, "src/lib.rs");
    assert_eq!(report.omitted.file_events, 10);
    assert_eq!(report.counts.file_changes, limits::FILE_ROWS as u64 + 11);
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("file changes are counted but not listed"))
    );
}

#[test]
fn connections_beyond_the_list_are_summed() {
    let mut record = Record::started();
    record.fork(1, None);
    let all = limits::NETWORK_ROWS + 5;
    for n in 0..all as u64 {
        record.connect(n, 1, Some("a.example"), "192.0.2.1");
        record.push(Body::ConnectClose(ConnectClose {
            connection: ConnectionId(n),
            process: ProcessId(1),
            outcome: ConnectOutcome::Established,
            bytes_sent: 1,
            bytes_received: 2,
            duration_ns: 1,
            opaque: false,
        }));
    }
    let report = record.report();
    assert_eq!(report.network_events.len(), limits::NETWORK_ROWS);
    assert_eq!(report.omitted.network_events, 5);
    assert_eq!(report.omitted.network_bytes, 15);
    assert_eq!(report.destinations.len(), 1);
    assert_eq!(report.destinations[0].connections, all as u64);
    assert_eq!(report.destinations[0].bytes_received, 2 * all as u64);
}

#[test]
fn destinations_beyond_the_list_are_counted() {
    let mut record = Record::started();
    record.fork(1, None);
    for n in 0..limits::DESTINATIONS + 7 {
        record.connect(n as u64, 1, Some(&format!("h{n}.example")), "192.0.2.1");
    }
    let report = record.report();
    assert_eq!(report.destinations.len(), limits::DESTINATIONS);
    assert_eq!(report.omitted.destination_connections, 7);
    assert!(markdown(&report).len() < 1_000_000);
}

#[test]
fn rows_with_long_arguments_become_short() {
    let mut record = Record::started();
    let argument = "a".repeat(limits::ROW_ARGS);
    record.fork(1, None);
    record.exec(1, None, &["sh", &argument]);
    let all = limits::ROW_DETAILS / limits::ROW_ARGS + 100;
    for n in 0..all {
        record.push(Body::FileCreate(Box::new(change(1, &n.to_string()))));
    }
    let report = record.report();
    assert!(report.omitted.row_details > 0);
    let last = report.file_events.last().unwrap().process.as_ref().unwrap();
    assert_eq!((last.exe.as_str(), last.args.len()), ("/bin/sh", 0));
    assert_eq!(last.truncated, ["args", "lineage"]);
    let size: usize = report
        .file_events
        .iter()
        .flat_map(|row| row.process.as_ref().unwrap().args.iter())
        .map(String::len)
        .sum();
    assert!(size <= limits::ROW_DETAILS);
}

#[test]
fn a_lineage_is_cut_and_says_so() {
    let mut record = Record::started();
    record.fork(1, None);
    let depth = limits::LINEAGE as u64 + 20;
    for n in 2..=depth {
        record.fork(n, Some(n - 1));
    }
    record.connect(1, depth, None, "2001:db8::1");
    let report = record.report();
    let process = &report.network_events[0].process;
    assert_eq!(process.lineage.len(), limits::LINEAGE);
    assert!(!process.lineage_complete);
    assert_eq!(process.truncated, ["lineage"]);
    assert_eq!(report.network_events[0].destination, "[2001:db8::1]:443");
}

#[test]
fn twenty_thousand_processes_make_a_small_page() {
    let mut record = Record::started();
    record.fork(1, None);
    record.exec(1, None, &["make"]);
    for n in 2..20_000 {
        record.fork(n, Some(n - 1 - n % 2));
        record.exec(n, Some(n - 1 - n % 2), &["cc", "-O2", "-c", "x.c"]);
    }
    let report = record.report();
    assert_eq!(report.counts.processes, 19_999);
    assert!(html(&report).len() < 3_000_000);
}

/// Each process of a long chain of forks acts, and none of them ever starts a program of its own. Without care every
/// event climbs the whole chain.
#[test]
fn a_long_chain_of_forks_stays_cheap() {
    let mut record = Record::started();
    record.fork(1, None);
    record.exec(1, None, &["sh"]);
    for n in 2..20_000 {
        record.fork(n, Some(n - 1));
        if n % 10 == 0 {
            record.connect(n, n, None, "192.0.2.1");
        }
    }
    let report = record.report();
    let last = report.processes.last().unwrap();
    assert_eq!((last.exe.as_str(), last.forked_only), ("/bin/sh", true));
    // Near the top the program is found; far below, a row says that it is not known rather than climbing on.
    assert_eq!(report.network_events[0].process.exe, "/bin/sh");
    assert_eq!(report.network_events.last().unwrap().process.exe, "");
}
