//! What the fence stopped, wherever a person or a program reads it.

use runward_event::{
    Body, Connect, ConnectClose, ConnectOutcome, ConnectionId, Event, Mode, PolicyRule, ProcessId,
    Protocol, Reason, Refused, Status,
};
use runward_report::{Report, Style, html, limits, markdown, terminal};

use super::{Record, report, sample_events};

/// The sample job under a policy. Its malicious script hides behind an allowed name, then tries an address; the
/// upload asks for a name that is not allowed; and then there is every other kind of refusal.
fn fenced() -> Report {
    let mut events = Vec::new();
    for mut event in sample_events() {
        fence(&mut event.body);
        let stopped = stopped_later(&event.body);
        events.push(event);
        if let Some(body) = stopped {
            events.push(after(&events, body));
        }
    }
    let end = events.pop().unwrap();
    for body in others() {
        events.push(after(&events, body));
    }
    events.push(end);
    report(&events)
}

/// An event a microsecond after the last one.
fn after(events: &[Event], body: Body) -> Event {
    let last = events.last().unwrap();
    Event {
        seq: last.seq,
        time: runward_event::Time::from_unix_nanos(last.time.unix_nanos() + 1_000),
        body,
    }
}

fn fence(body: &mut Body) {
    match body {
        Body::JobStart(start) => {
            start.requested_mode = Mode::Block;
            start.effective_mode = Mode::Block;
            start.policy = policy();
        }
        Body::Connect(connect) => match connect.name.as_deref() {
            Some("telemetry.color-strings.example") => {
                connect.name = Some("registry.npmjs.example".to_owned());
                connect.ip = "192.0.2.34".parse().unwrap();
                connect.rule = Some(1);
            }
            Some(name) => connect.rule = Some(if name.contains("npmjs") { 1 } else { 2 }),
            None => {
                connect.status = Status::Blocked;
                connect.reason = Some(Reason::NotAllowed);
            }
        },
        _ => {}
    }
}

fn policy() -> Vec<PolicyRule> {
    let rule = |rule, text: &str, source: &str, denies| PolicyRule {
        rule,
        text: text.to_owned(),
        source: source.to_owned(),
        denies,
    };
    vec![
        rule(
            1,
            "registry.npmjs.example:443",
            ".runward.yml, line 4",
            false,
        ),
        rule(2, "*.example:443", ".runward.yml, line 5", false),
        rule(3, "*.tracker.example", "RUNWARD_DENIED_ENDPOINTS", true),
    ]
}

/// The connection that went out under an allowed name and then said another one.
fn stopped_later(body: &Body) -> Option<Body> {
    let Body::Connect(connect) = body else {
        return None;
    };
    let hides = connect.pid == 4212 && connect.status == Status::Allowed;
    hides.then(|| {
        Body::Refused(Refused {
            connection: Some(connect.connection),
            process: connect.process,
            pid: connect.pid,
            protocol: connect.protocol,
            ip: connect.ip,
            port: connect.port,
            name: Some("telemetry.color-strings.example".to_owned()),
            reason: Reason::SniMismatch,
            listed: None,
        })
    })
}

fn others() -> Vec<Body> {
    let refused = Refused {
        connection: None,
        process: ProcessId(54),
        pid: 4272,
        protocol: Protocol::Udp,
        ip: "10.0.0.2".parse().unwrap(),
        port: 53,
        name: Some("upload.coverage.test".to_owned()),
        reason: Reason::NotAllowed,
        listed: None,
    };
    let connect = Connect {
        connection: ConnectionId(900),
        process: ProcessId(54),
        pid: 4272,
        protocol: Protocol::Udp,
        ip: "198.51.100.80".parse().unwrap(),
        port: 443,
        name: Some("coverage.example".to_owned()),
        status: Status::Blocked,
        reason: Some(Reason::NotAllowed),
        rule: None,
        listed: None,
        v4_mapped: false,
    };
    vec![
        Body::Refused(refused.clone()),
        Body::Refused(refused.clone()),
        Body::Refused(Refused {
            name: Some("pixel.tracker.example".to_owned()),
            reason: Reason::Denied,
            ..refused.clone()
        }),
        Body::Connect(connect.clone()),
        Body::Connect(Connect {
            connection: ConnectionId(901),
            protocol: Protocol::Raw,
            ip: "::".parse().unwrap(),
            port: 0,
            name: None,
            reason: Some(Reason::Protocol),
            ..connect.clone()
        }),
        Body::Connect(Connect {
            connection: ConnectionId(902),
            protocol: Protocol::Tcp,
            ip: "127.0.0.1".parse().unwrap(),
            port: 2375,
            name: None,
            reason: Some(Reason::LocalService),
            ..connect
        }),
        Body::Refused(Refused {
            protocol: Protocol::Tcp,
            ip: "2001:db8::99".parse().unwrap(),
            port: 8443,
            name: None,
            ..refused
        }),
    ]
}

fn style(width: usize) -> Style<'static> {
    Style {
        color: false,
        width,
        report: None,
    }
}

#[test]
fn a_terminal_tells_what_was_blocked() {
    insta::assert_snapshot!(terminal(&fenced(), style(100)));
}

#[test]
fn a_narrow_terminal_tells_what_was_blocked() {
    insta::assert_snapshot!(terminal(&fenced(), style(64)));
}

#[test]
fn a_job_summary_tells_what_was_blocked() {
    insta::assert_snapshot!(markdown(&fenced()));
}

#[test]
fn a_page_tells_what_was_blocked_without_scripts() {
    let page = html(&fenced());
    if let Some(place) = std::env::var_os("RUNWARD_KEEP_PAGE") {
        std::fs::write(place, &page).unwrap();
    }
    let page = page.split("<script").next().unwrap();
    for text in [
        "8 destinations blocked",
        "<dd><bdi>block</bdi></dd>",
        "Policy in force: 3 rules",
        "*.tracker.example",
        "coverage.example:443/udp",
        "the TLS stream asks for a host that is not allowed, at the address of",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn a_program_reads_what_was_blocked() {
    let report = fenced();
    insta::assert_json_snapshot!(report.blocked, {
        "[].process" => "(process)",
    });
    assert_eq!(report.policy, policy());
    assert_eq!(report.counts.blocked_connections, 6);
    assert_eq!(report.counts.refused_lookups, 3);
    assert_eq!(report.counts.blocked_destinations, 8);
    let rows = report.network_events.iter();
    let blocked = rows.filter(|row| row.status == Status::Blocked).count();
    assert_eq!(blocked, 6);
    assert!(
        report
            .network_events
            .iter()
            .all(|row| (row.status == Status::Blocked) == row.reason.is_some())
    );
    let name = |name: &str| report.dns_events.iter().find(|row| row.name == name);
    let upload = name("upload.coverage.test").unwrap();
    assert_eq!((upload.refused, upload.queries), (2, 0));
    assert_eq!(upload.clients[0].exe, "/usr/bin/curl");
}

fn refused(connection: Option<u64>, name: Option<&str>, reason: Reason) -> Body {
    Body::Refused(Refused {
        connection: connection.map(ConnectionId),
        process: ProcessId(1),
        pid: 101,
        protocol: Protocol::Tcp,
        ip: "192.0.2.1".parse().unwrap(),
        port: 443,
        name: name.map(str::to_owned),
        reason,
        listed: None,
    })
}

#[test]
fn a_connection_that_is_stopped_later_counts_once_and_moves_its_sum() {
    let mut record = Record::started();
    record.fork(1, None);
    record.exec(1, None, &["curl"]);
    record.connect(1, 1, Some("a.example"), "192.0.2.1");
    record.connect(2, 1, Some("a.example"), "192.0.2.1");
    // Told twice, though it is one connection.
    record.push(refused(Some(2), Some("evil.example"), Reason::SniMismatch));
    record.push(refused(Some(2), Some("evil.example"), Reason::SniMismatch));
    record.push(Body::ConnectClose(ConnectClose {
        connection: ConnectionId(2),
        process: ProcessId(1),
        outcome: ConnectOutcome::Established,
        bytes_sent: 517,
        bytes_received: 0,
        duration_ns: 1,
        opaque: false,
    }));
    record.connect(3, 1, Some("a.example"), "192.0.2.1");
    record.push(refused(Some(3), None, Reason::NoSni));
    let report = record.report();

    let statuses = report.destinations[0].statuses;
    assert_eq!(
        (statuses.allowed, statuses.blocked, statuses.anomalous),
        (1, 2, 0)
    );
    assert_eq!(report.destinations[0].connections, 3);
    assert_eq!(report.counts.connections, 3);
    assert_eq!(report.counts.blocked_connections, 2);

    assert!(report.blocked.iter().all(|b| b.refusals == 1));

    let row = &report.network_events[1];
    assert_eq!(row.status, Status::Blocked);
    assert_eq!(row.reason, Some(Reason::SniMismatch));
    assert_eq!(row.said.as_deref(), Some("evil.example"));
    assert_eq!(row.destination, "a.example:443");
    assert_eq!(row.bytes_sent, Some(517));

    let ways: Vec<_> = report
        .blocked
        .iter()
        .map(|b| (b.destination.as_str(), b.via.as_deref(), b.line.as_deref()))
        .collect();
    assert_eq!(
        ways,
        [
            (
                "evil.example:443",
                Some("a.example:443"),
                Some("evil.example:443")
            ),
            // It named no host: what is known is the host that it was let through for.
            ("a.example:443", None, Some("192.0.2.1:443")),
        ]
    );
}

#[test]
fn a_packet_of_a_socket_that_never_asked_is_a_row_of_its_own() {
    let mut record = Record::started();
    record.fork(1, None);
    record.push(refused(None, None, Reason::NotAllowed));
    // One whose beginning was lost is told all the same, without guessing a row.
    record.push(refused(Some(77), None, Reason::NotAllowed));
    let report = record.report();
    assert_eq!(report.network_events.len(), 1);
    assert_eq!(report.network_events[0].destination, "192.0.2.1:443");
    assert_eq!(report.counts.connections, 1);
    assert_eq!(report.counts.blocked_connections, 2);
    assert_eq!(report.destinations[0].statuses.blocked, 1);
    assert_eq!(report.blocked[0].refusals, 2);
}

#[test]
fn a_flood_of_allowed_connections_does_not_hide_a_blocked_one() {
    let mut record = Record::started();
    record.fork(1, None);
    for n in 0..limits::NETWORK_ROWS as u64 + 1 {
        record.connect(n, 1, Some("a.example"), "192.0.2.1");
        record.push(Body::ConnectClose(ConnectClose {
            connection: ConnectionId(n),
            process: ProcessId(1),
            outcome: ConnectOutcome::Established,
            bytes_sent: 1,
            bytes_received: 1,
            duration_ns: 1,
            opaque: false,
        }));
    }
    record.connect(99_999, 1, Some("a.example"), "192.0.2.1");
    record.push(refused(
        Some(99_999),
        Some("b.example"),
        Reason::SniMismatch,
    ));
    let report = record.report();
    assert_eq!(report.network_events.len(), limits::NETWORK_ROWS);
    assert_eq!(report.blocked[0].destination, "b.example:443");
    assert_eq!(report.blocked[0].via.as_deref(), Some("a.example:443"));
    assert_eq!(report.destinations[0].statuses.blocked, 1);
}

#[test]
fn refusals_beyond_the_list_are_counted() {
    let mut record = Record::started();
    record.fork(1, None);
    for n in 0..limits::BLOCKED + 3 {
        record.push(refused(
            None,
            Some(&format!("{n}.example")),
            Reason::NotAllowed,
        ));
    }
    let report = record.report();
    assert_eq!(report.blocked.len(), limits::BLOCKED);
    assert_eq!(report.omitted.blocked, 3);
    assert_eq!(
        report.counts.blocked_connections,
        limits::BLOCKED as u64 + 3
    );
    let told = |text: &str| report.notes.iter().any(|note| note.contains(text));
    assert!(told("3 refusals are counted but not listed"));
    assert!(markdown(&report).len() < 1_000_000);
}

#[test]
fn a_flood_of_refusals_does_not_hide_another_finding() {
    let mut record = Record::started();
    record.fork(1, None);
    for n in 0..limits::DETECTIONS + 3 {
        record.push(refused(
            None,
            Some(&format!("{n}.example")),
            Reason::NotAllowed,
        ));
    }
    record.push(Body::FileWrite(Box::new(runward_event::FileChange {
        tracked: true,
        hash_before: Some("a".to_owned()),
        hash_after: Some("b".to_owned()),
        ..super::change(1, "src/lib.rs")
    })));
    let report = record.report();
    assert_eq!(report.detection_counts["source-code-overwritten"], 1);
    assert_eq!(report.omitted.detections, 3);
    for text in [
        terminal(&report, style(100)),
        markdown(&report),
        html(&report),
    ] {
        let found = text.find("src/lib.rs").unwrap();
        assert!(
            found < text.find("0.example:443").unwrap(),
            "above the flood"
        );
    }
}

#[test]
fn the_mode_that_was_in_force_is_said_plainly() {
    for (asked, got, shown, told) in [
        (Mode::Audit, Mode::Audit, "audit ·", false),
        (Mode::Block, Mode::Block, "block ·", false),
        (
            Mode::Block,
            Mode::Audit,
            "audit (block was asked for) ·",
            true,
        ),
    ] {
        let mut record = Record::started();
        if let Body::JobStart(start) = &mut record.events[0].body {
            start.requested_mode = asked;
            start.effective_mode = got;
        }
        record.end();
        let report = record.report();
        let text = terminal(&report, style(100));
        assert!(text.contains(shown), "{text}");
        let note = "Block mode was asked for, and audit mode was in force: nothing was stopped.";
        assert_eq!(report.notes.iter().any(|n| n == note), told);
        assert!(!html(&report).contains("id=\"blocked\""));
    }
}
