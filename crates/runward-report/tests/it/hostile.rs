//! What a job wrote to do harm to those who read its report.

use proptest::prelude::*;
use runward_event::{
    Body, ConnectClose, ConnectOutcome, ConnectionId, Dns, DnsAnswer, DnsMessageKind, DnsTransport,
    FileChange, FileDiff, PolicyRule, ProcessExit, ProcessId, Protocol, Reason, Refused,
};
use runward_report::{Style, html, json, markdown, terminal};

use super::{Record, change};

const STYLE: Style<'static> = Style {
    color: false,
    width: 80,
    report: None,
};

/// Texts that try to leave the place where they are shown.
const HARM: [&str; 12] = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\x1b[2J\x1b]0;owned\x07",
    "\u{9b}31m\u{85}",
    "a|b|`c`|\n## Title\n[x](https://evil.example)",
    "@org/team #1 https://evil.example <b>",
    "user\u{202e}gpj.exe",
    "zero\u{200b}width\u{feff}",
    "\r\nSet: x\0",
    "{{ 7 }}{% raw %}",
    "\u{2028}\u{2029}",
    "``\\|``",
];

#[test]
fn harm_is_shown_and_not_done() {
    let mut record = Record::started();
    if let Body::JobStart(start) = &mut record.events[0].body {
        start.policy = HARM.iter().zip(1..).map(rule).collect();
    }
    record.fork(1, None);
    for harm in HARM {
        record.exec(1, None, &["sh", "-c", harm]);
        record.connect(record.events.len() as u64, 1, Some(harm), "192.0.2.1");
        let connection = record.events.len() as u64 - 1;
        record.push(refused(1, Some(connection), 443, Some(harm)));
        record.push(refused(1, None, 53, Some(harm)));
        record.push(refused(1, None, 443, Some(harm)));
        record.push(Body::FileWrite(Box::new(FileChange {
            tracked: true,
            hash_before: Some("a".to_owned()),
            hash_after: Some("b".to_owned()),
            diff: Some(diff(harm)),
            ..change(1, harm)
        })));
    }
    let report = record.report();

    let text = terminal(&report, STYLE);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    assert!(!text.contains(['\u{202e}', '\u{200b}', '\u{feff}', '\u{2028}']));

    let text = markdown(&report);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    assert!(text.contains("`diff\n@@ -1 +1 @@\n-"), "{text}");
    let text = without_fences(&text);
    assert_eq!(
        text.matches("</details>").count(),
        text.matches("<details>").count()
    );
    for line in text.lines().filter(|line| line.contains("evil.example")) {
        assert!(
            outside_code(line).all(|part| !part.contains("evil.example")),
            "{line}"
        );
        assert!(outside_code(line).all(|part| !part.contains('<')), "{line}");
    }

    let page = html(&report);
    assert!(!page.contains("<img"));
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    assert!(!page.contains("<!--"));
    assert!(!page.contains('\u{2028}'));
}

/// A diff with this in a line, and in the place of everything else that a diff has.
fn diff(harm: &str) -> FileDiff {
    let fence = "`".repeat(3);
    FileDiff {
        text: format!(
            "@@ -1 +1 @@\n-{harm}\n+{harm}\n{fence}\n{fence}diff\n</details>\n{harm}\n@@ {harm}"
        ),
        added: 1,
        removed: 1,
        cut: true,
    }
}

/// Takes the fenced blocks away: what stands in them is code.
fn without_fences(text: &str) -> String {
    let mut open: Option<String> = None;
    let mut out = String::new();
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &open {
            None if ticks.len() >= 3 => open = Some(ticks),
            None => out += &format!("{line}\n"),
            Some(fence) if ticks.len() >= fence.len() && ticks.len() == line.trim_end().len() => {
                open = None
            }
            Some(_) => {}
        }
    }
    assert_eq!(open, None, "every fence is closed");
    out
}

fn rule((text, rule): (&&str, u32)) -> PolicyRule {
    PolicyRule {
        rule,
        text: (*text).to_owned(),
        source: (*text).to_owned(),
        denies: false,
    }
}

fn refused(process: u64, connection: Option<u64>, port: u16, name: Option<&str>) -> Body {
    Body::Refused(Refused {
        connection: connection.map(ConnectionId),
        process: ProcessId(process),
        pid: 1,
        protocol: Protocol::Tcp,
        ip: [192, 0, 2, 1].into(),
        port,
        name: name.map(str::to_owned),
        reason: if port == 53 {
            Reason::NotAllowed
        } else {
            Reason::SniMismatch
        },
    })
}

/// The parts of a line of Markdown that are not in code spans, by the rule of CommonMark: a run of backticks is
/// closed by the next run of the same length.
fn outside_code(line: &str) -> impl Iterator<Item = String> {
    let mut parts = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        parts.push(rest[..at].to_owned());
        let run = rest[at..].chars().take_while(|c| *c == '`').count();
        rest = &rest[at + run..];
        let mut from = 0;
        let end = loop {
            let Some(next) = rest[from..].find('`').map(|i| i + from) else {
                break None;
            };
            let length = rest[next..].chars().take_while(|c| *c == '`').count();
            if length == run {
                break Some(next + length);
            }
            from = next + length;
        };
        match end {
            Some(end) => rest = &rest[end..],
            None => break,
        }
    }
    parts.push(rest.to_owned());
    parts.into_iter()
}

/// Any event about a few processes and connections, in any order, with any text.
fn body() -> impl Strategy<Value = Body> {
    let text = || {
        prop_oneof![
            proptest::sample::select(HARM.to_vec()).prop_map(str::to_owned),
            "\\PC{0,40}",
            any::<String>(),
        ]
    };
    let id = || (1..6u64).prop_map(ProcessId);
    prop_oneof![
        (id(), proptest::option::of(id())).prop_map(|(process, parent)| {
            Body::ProcessFork(runward_event::ProcessFork {
                process,
                pid: 1,
                parent,
                ppid: 0,
            })
        }),
        (
            id(),
            proptest::option::of(id()),
            proptest::collection::vec(text(), 0..4)
        )
            .prop_map(|(process, parent, args)| {
                let mut record = Record::default();
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                record.exec(process.0, parent.map(|p| p.0), &args);
                record.events.remove(0).body
            }),
        (id(), any::<Option<i32>>()).prop_map(|(process, code)| {
            Body::ProcessExit(ProcessExit {
                process,
                pid: 1,
                code,
                signal: code.is_none().then_some(9),
            })
        }),
        (
            id(),
            0..4u64,
            proptest::option::of(text()),
            any::<[u8; 16]>()
        )
            .prop_map(|(process, connection, name, ip)| {
                let mut record = Record::default();
                let ip = std::net::Ipv6Addr::from(ip).to_string();
                record.connect(connection, process.0, name.as_deref(), &ip);
                record.events.remove(0).body
            }),
        (
            id(),
            proptest::option::of(0..4u64),
            prop_oneof![Just(53), Just(443), any::<u16>()],
            proptest::option::of(text())
        )
            .prop_map(|(process, connection, port, name)| refused(
                process.0,
                connection,
                port,
                name.as_deref()
            )),
        (id(), 0..4u64, any::<(u64, u64, u64)>()).prop_map(|(process, connection, (a, b, c))| {
            Body::ConnectClose(ConnectClose {
                connection: ConnectionId(connection),
                process,
                outcome: ConnectOutcome::Failed,
                bytes_sent: a,
                bytes_received: b,
                duration_ns: c,
                opaque: false,
            })
        }),
        (id(), text(), any::<bool>()).prop_map(|(process, name, query)| {
            Body::Dns(Box::new(Dns {
                process,
                pid: 1,
                message: match query {
                    true => DnsMessageKind::Query,
                    false => DnsMessageKind::Answer,
                },
                transport: DnsTransport::Udp,
                ip: [192, 0, 2, 53].into(),
                port: 53,
                id: 1,
                name: name.clone(),
                record_type: "A".to_owned(),
                rcode: (!query).then(|| name.clone()),
                answers: vec![DnsAnswer {
                    name: name.clone(),
                    record_type: "A".to_owned(),
                    ttl: 1,
                    data: name,
                }],
                truncated: Vec::new(),
            }))
        }),
        (id(), text(), any::<bool>(), proptest::option::of(text())).prop_map(
            |(process, path, tracked, from)| {
                Body::FileRename(Box::new(FileChange {
                    tracked,
                    from,
                    ..change(process.0, &path)
                }))
            }
        ),
        text().prop_map(Body::Unknown),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a record says, every renderer ends, and what it writes does nothing.
    #[test]
    fn any_record_makes_a_harmless_report(bodies in proptest::collection::vec(body(), 0..40), starts: bool) {
        let mut record = if starts { Record::started() } else { Record::default() };
        for body in bodies {
            record.push(body);
        }
        let report = record.report();
        prop_assert_eq!(report.counts.events, record.events.len() as u64);
        prop_assert!(report.processes.len() as u64 <= report.counts.processes);
        let sums = report.destinations.iter().map(|d| d.statuses);
        let decided: u64 = sums.map(|s| s.allowed + s.blocked + s.anomalous).sum();
        prop_assert_eq!(decided, report.counts.connections);
        serde_json::from_str::<serde_json::Value>(&json(&report)).unwrap();

        let text = terminal(&report, STYLE);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{}", text);
        let text = markdown(&report);
        prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{}", text);
        let page = html(&report);
        prop_assert_eq!(page.matches("</script").count(), 2);
        prop_assert!(!page.contains("<img") && !page.contains("<!--"));
    }
}
