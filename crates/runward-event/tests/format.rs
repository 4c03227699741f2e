//! The format of `events.jsonl`: what is written, what is read back, and what a reader puts up with.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use runward_event::*;

/// One event of every kind.
fn examples() -> Vec<Event> {
    let process = ProcessId(7);
    let change = FileChange {
        process: Some(process),
        pid: 70,
        path: "src/main.rs".to_owned(),
        from: Some("src/old.rs".to_owned()),
        tracked: true,
        hash_before: Some("aa".repeat(20)),
        hash_after: Some("bb".repeat(20)),
        found_at_end: false,
        diff: Some(FileDiff {
            text: "@@ -1 +1 @@\n-old\n+new\n".to_owned(),
            added: 1,
            removed: 1,
            cut: true,
        }),
        no_diff: Some(NoDiff::TooMany),
        mount: Some(MountOver {
            point: "src".to_owned(),
            file_system: "overlay".to_owned(),
            hides: 2,
            private: true,
            compared: true,
        }),
        raw: BTreeMap::new(),
    };
    let bodies = vec![
        Body::JobStart(Box::new(JobStart {
            format: FORMAT_VERSION,
            runward: "0.1.0".to_owned(),
            identity: JobIdentity {
                provider: Provider::Gitlab,
                project: Some("group/app".to_owned()),
                attempt: Some(2),
                ..JobIdentity::default()
            },
            context: JobContext::default(),
            args: vec!["make".to_owned(), "test".to_owned()],
            cwd: "/src".to_owned(),
            workspace: "/src".to_owned(),
            tracked_files: Some(12),
            files_watched: true,
            requested_mode: Mode::Audit,
            effective_mode: Mode::Audit,
            tier: Tier::A,
            kernel: "6.1.0".to_owned(),
            policy: Vec::new(),
            rules: Some(RulesInForce {
                sha256: "0123".to_owned(),
                ids: vec!["a-rule".to_owned()],
            }),
            lockdown: vec!["runner-memory-read".to_owned(), "high".to_owned()],
            block_lists: Vec::new(),
            resolvers: Vec::new(),
            notes: vec!["A sentence.".to_owned()],
            raw: BTreeMap::new(),
        })),
        Body::ProcessFork(ProcessFork {
            process,
            pid: 70,
            parent: Some(ProcessId(6)),
            ppid: 60,
        }),
        Body::ProcessExec(Box::new(ProcessExec {
            process,
            pid: 70,
            parent: None,
            ppid: 60,
            exe: "/usr/bin/node".to_owned(),
            path: "node".to_owned(),
            args: vec!["node".to_owned(), "\u{fffd}".to_owned()],
            cwd: "/src/node_modules/left-pad".to_owned(),
            uid: 1000,
            gid: 1000,
            cgroup: "/docker/x".to_owned(),
            container: Some("0123456789abcdef".repeat(4)),
            env: BTreeMap::from([(AttributionVar::NpmPackageName, "left-pad".to_owned())]),
            facts: ExecFacts {
                streams: vec![Stream {
                    stream: StreamName::Stdin,
                    to: StreamEnd::Tcp,
                    ip: Some(IpAddr::from([198, 51, 100, 7])),
                    port: Some(4444),
                    inode: None,
                }],
                changed: Some(Time::from_unix_nanos(1_790_000_000_000_000_000)),
                unlinked: true,
                adopted: false,
                privileged: true,
            },
            truncated: vec!["args".to_owned()],
            raw: BTreeMap::from([("/args/1".to_owned(), "ff".to_owned())]),
        })),
        Body::ProcessExit(ProcessExit {
            process,
            pid: 70,
            code: None,
            signal: Some(9),
        }),
        Body::Dns(Box::new(Dns {
            process,
            pid: 70,
            message: DnsMessageKind::Answer,
            transport: DnsTransport::Udp,
            ip: IpAddr::from([192, 0, 2, 53]),
            port: 53,
            id: 4711,
            name: "www.example".to_owned(),
            record_type: "A".to_owned(),
            rcode: Some("NOERROR".to_owned()),
            answers: vec![DnsAnswer {
                name: "www.example".to_owned(),
                record_type: "A".to_owned(),
                ttl: 60,
                data: "198.51.100.7".to_owned(),
            }],
            truncated: Vec::new(),
        })),
        Body::Connect(Connect {
            connection: ConnectionId(9),
            process,
            pid: 70,
            protocol: Protocol::Tcp,
            ip: IpAddr::from([198, 51, 100, 7]),
            port: 443,
            name: Some("www.example".to_owned()),
            status: Status::Allowed,
            reason: None,
            rule: Some(3),
            listed: None,
            v4_mapped: true,
        }),
        Body::Refused(Refused {
            connection: Some(ConnectionId(9)),
            process,
            pid: 70,
            protocol: Protocol::Tcp,
            ip: IpAddr::from([198, 51, 100, 7]),
            port: 443,
            name: Some("other.example".to_owned()),
            reason: Reason::SniMismatch,
            listed: None,
        }),
        Body::Tamper(Box::new(Tamper {
            process,
            pid: 70,
            act: Act::Signal,
            target: Some("signal 9".to_owned()),
            prevented: true,
            killed: false,
            raw: BTreeMap::new(),
        })),
        Body::MemoryAccess(Box::new(MemoryAccess {
            process,
            pid: 70,
            target: None,
            target_pid: 40,
            target_exe: "Runner.Worker".to_owned(),
            way: MemoryWay::Mem,
            prevented: true,
            killed: false,
            raw: BTreeMap::new(),
        })),
        Body::SensitiveFile(Box::new(SensitiveFile {
            process,
            pid: 70,
            act: FileAct::Rename,
            path: "/usr/lib/python3/dist-packages/x.pth".to_owned(),
            from: Some("/tmp/x".to_owned()),
            class: SensitiveClass::Persistence,
            place: "**/dist-packages/*.pth".to_owned(),
            runs_code: Some(true),
            raw: BTreeMap::new(),
        })),
        Body::SecretFound(Box::new(SecretFound {
            process: Some(process),
            pid: 70,
            place: OutputPlace::Stdout,
            path: None,
            line: 12,
            rule: "environment-variable".to_owned(),
            variable: Some("DEPLOY_TOKEN".to_owned()),
            encoding: Encoding::Base64Twice,
            verified: false,
            hash: "b0344c61d8db38535ca8afceaf0bf12b".to_owned(),
            raw: BTreeMap::new(),
        })),
        Body::Container(Box::new(Container {
            process,
            pid: 70,
            container: "4f1c2d3e".repeat(8),
            name: Some("scan".to_owned()),
            image: None,
        })),
        Body::ConnectClose(ConnectClose {
            connection: ConnectionId(9),
            process,
            outcome: ConnectOutcome::Established,
            bytes_sent: 517,
            bytes_received: 4096,
            duration_ns: 1_500_000,
            opaque: true,
        }),
        Body::FileCreate(Box::new(change.clone())),
        Body::FileWrite(Box::new(change.clone())),
        Body::FileRename(Box::new(change.clone())),
        Body::FileDelete(Box::new(change)),
        Body::Lockdown(Lockdown {
            detection: Some("runner-memory-read".to_owned()),
            act: Some(9),
            killed: 12,
            left: 1,
            duration_ns: 2_500_000,
        }),
        Body::Lost(Lost {
            lost: EventKind::ProcessExec,
            count: 3,
            reason: LossReason::RingFull,
        }),
        Body::JobEnd(JobEnd {
            exit_code: 137,
            signal: Some(9),
            duration_ns: 2_000_000_000,
            still_running: 1,
            unrecorded_file_changes: 4,
            notes: Vec::new(),
        }),
    ];
    (1..)
        .zip(bodies)
        .map(|(seq, body)| Event {
            seq,
            time: Time::from_unix_nanos(1_790_000_000_123_456_789 + seq),
            body,
        })
        .collect()
}

fn line(event: &Event) -> String {
    let mut bytes = Vec::new();
    write_line(&mut bytes, event).expect("memory takes any line");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

#[test]
fn every_kind_has_its_line() {
    let lines: String = examples().iter().map(line).collect();
    insta::assert_snapshot!("lines", lines);
}

#[test]
fn every_kind_is_read_back() {
    for event in examples() {
        let line = line(&event);
        assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
        assert_eq!(parse_line(&line).expect("own lines are valid"), event);
    }
}

/// `tests/formats/` has a record in each format. One of a format that was in a release is never changed: agents of that
/// release write it.
#[test]
fn records_in_every_format_that_is_taken_mean_the_same() {
    for format in OLDEST_FORMAT..=FORMAT_VERSION {
        let file = format!(
            "{}/tests/formats/{format}.jsonl",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
        let expected = examples().into_iter().map(|mut event| {
            if let Body::JobStart(start) = &mut event.body {
                start.format = format;
            }
            event.body
        });
        let expected: Vec<Body> = expected.collect();
        for line in text.lines() {
            let event = parse_line(line).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(expected.contains(&event.body), "{file}: {event:?}");
        }
        assert!(text.lines().count() > 10, "{file}");
    }
}

#[test]
fn a_reader_puts_up_with_what_is_new() {
    for event in examples() {
        let newer = line(&event).replacen('{', r#"{"from_the_future":{"deep":[1,2]},"#, 1);
        assert_eq!(
            parse_line(&newer).expect("unknown fields are skipped"),
            event
        );
    }
    let unknown = r#"{"seq":5,"time":"2026-11-22T00:00:00Z","kind":"tea_break","minutes":5}"#;
    let event = parse_line(unknown).expect("unknown kinds are skipped");
    assert_eq!(event.body, Body::Unknown("tea_break".to_owned()));
    let newer = r#"{"seq":5,"time":"2026-11-22T00:00:00Z","kind":"process_exec","process":1,"pid":1,"ppid":0,
        "exe":"","path":"","args":[],"cwd":"","uid":0,"gid":0,"env":{"NEW_VARIABLE":"x"}}"#;
    let event = parse_line(newer).expect("unknown variables are kept apart");
    let Body::ProcessExec(exec) = event.body else {
        panic!("not an exec")
    };
    assert_eq!(
        exec.env.keys().collect::<Vec<_>>(),
        [&AttributionVar::Unknown]
    );
}

#[test]
fn errors_name_the_kind_and_the_field() {
    let table = [
        ("", "not an event: EOF"),
        ("[1]", "not an event: invalid length"),
        (
            r#"{"seq":1,"time":"2026-11-22T00:00:00Z"}"#,
            "not an event: missing field `kind`",
        ),
        (
            r#"{"seq":1,"time":"yesterday","kind":"connect"}"#,
            "not an event: not a time",
        ),
        (
            r#"{"seq":-1,"time":"2026-11-22T00:00:00Z","kind":"connect"}"#,
            "not an event: invalid value",
        ),
        (
            r#"{"seq":1,"time":"2026-11-22T00:00:00Z","kind":"process_exit"}"#,
            "not a valid process_exit event: missing field `process`",
        ),
        (
            r#"{"seq":1,"time":"2026-11-22T00:00:00Z","kind":"connect_close","connection":1,"process":1,"outcome":"won"}"#,
            "not a valid connect_close event: unknown variant `won`",
        ),
    ];
    for (text, message) in table {
        let error = parse_line(text).expect_err(text).to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
}

#[test]
fn the_list_of_variables_is_the_one_that_is_written() {
    for (name, var) in AttributionVar::NAMES {
        assert_eq!(serde_json::to_value(var).expect("a name"), name);
        assert_eq!(AttributionVar::from_name(name.as_bytes()), Some(var));
    }
    assert_eq!(
        AttributionVar::from_name(b"GITHUB_TOKEN"),
        None,
        "no secret has a place"
    );
}

#[test]
fn the_list_of_kinds_is_whole() {
    for kind in EventKind::ALL {
        assert_eq!(serde_json::to_value(kind).expect("a name"), kind.name());
    }
}

#[test]
fn text_that_is_not_text_is_kept_beside() {
    let mut texts = Texts::default();
    assert_eq!(
        texts.text(|| unreachable!("not needed"), "héllo".as_bytes()),
        "héllo"
    );
    assert_eq!(
        texts.text(|| "/args/1".to_owned(), b"a\xff\x00b"),
        "a\u{fffd}\0b"
    );
    assert_eq!(
        texts.into_raw(),
        BTreeMap::from([("/args/1".to_owned(), "61ff0062".to_owned())])
    );
}

#[test]
fn a_loss_of_a_kind_from_the_future_is_a_loss() {
    let line = r#"{"seq":9,"time":"2026-08-01T09:00:00Z","kind":"lost","lost":"gpu_kernel","count":3,"reason":"solar_wind"}"#;
    let lost = Lost {
        lost: EventKind::Other,
        count: 3,
        reason: LossReason::Other,
    };
    assert_eq!(parse_line(line).unwrap().body, Body::Lost(lost));
}

proptest! {
    #[test]
    fn no_line_is_too_strange(text in ".{0,200}") {
        let _ = parse_line(&text);
    }

    #[test]
    fn no_altered_line_is_too_strange(which in 0..examples().len(), at in 0usize..400, byte in any::<char>()) {
        let mut line = line(&examples()[which]);
        let at = line.floor_char_boundary(at.min(line.len()));
        line.insert(at, byte);
        let _ = parse_line(&line);
    }

    #[test]
    fn any_argument_survives(args in proptest::collection::vec(".{0,40}", 0..8)) {
        let mut event = examples().swap_remove(2);
        let Body::ProcessExec(exec) = &mut event.body else { unreachable!("the third example") };
        exec.args = args;
        prop_assert_eq!(parse_line(&line(&event)).expect("own lines are valid"), event);
    }

    #[test]
    fn any_time_survives(nanos in any::<u64>()) {
        let time = Time::from_unix_nanos(nanos);
        prop_assert_eq!(time.to_string().parse::<Time>(), Ok(time));
    }
}

#[test]
fn what_a_block_list_did_is_written_and_read_back() {
    let mut events = examples();
    for event in &mut events {
        match &mut event.body {
            Body::JobStart(start) => {
                start.resolvers = vec![IpAddr::from([192, 0, 2, 53])];
                start.block_lists = vec![BlockListInForce {
                    source: "feed.txt".to_owned(),
                    entries: 2,
                }];
            }
            Body::Refused(refused) => {
                refused.reason = Reason::BlockList;
                refused.listed = Some(Box::new(BlockListEntry {
                    entry: "*.evil.example".to_owned(),
                    source: "feed.txt:3".to_owned(),
                    reason: Some("took secrets".to_owned()),
                }));
            }
            _ => continue,
        }
        let mut line = Vec::new();
        write_line(&mut line, event).unwrap();
        let line = String::from_utf8(line).unwrap();
        assert_eq!(parse_line(line.trim_end()).unwrap(), *event, "{line}");
    }
}
