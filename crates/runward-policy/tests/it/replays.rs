use runward_event::parse_line;
use runward_policy::{Actor, Matcher, Replay, Replayed};

use crate::policy;

fn connect(name: Option<&str>, ip: &str, port: u16, protocol: &str) -> String {
    let name = name
        .map(|name| format!(r#","name":"{name}""#))
        .unwrap_or_default();
    format!(
        r#"{{"seq":1,"time":"2026-01-01T00:00:00Z","kind":"connect","connection":1,"process":1,"pid":1,"protocol":"{protocol}","ip":"{ip}","port":{port},"status":"allowed"{name}}}"#
    )
}

fn lookup(name: &str, message: &str) -> String {
    format!(
        r#"{{"seq":1,"time":"2026-01-01T00:00:00Z","kind":"dns","process":1,"pid":1,"message":"{message}","transport":"udp","ip":"192.0.2.53","port":53,"id":1,"name":"{name}","type":"A"}}"#
    )
}

fn replay(allowed: &str, denied: &str, runs: &[Vec<String>]) -> Replayed {
    let matcher = Matcher::new(policy(allowed, denied));
    let mut replay = Replay::new(&matcher);
    let actor = Actor {
        step: Some("Build"),
        executable: Some("/usr/bin/curl"),
        image: None,
    };
    for run in runs {
        replay.begin_run();
        for line in run {
            replay.apply(&parse_line(line).unwrap(), &actor);
        }
    }
    replay.finish()
}

#[test]
fn a_replay_tells_what_would_have_been_blocked() {
    let replayed = replay(
        "github.com *.example.com",
        "bad.example.com 10.0.0.0/8",
        &[
            vec![
                lookup("github.com", "query"),
                lookup("github.com", "answer"),
                lookup("evil.example", "query"),
                lookup(r"a\\032b.example", "query"),
                connect(Some("github.com"), "192.0.2.1", 443, "tcp"),
                connect(Some("github.com"), "192.0.2.1", 80, "tcp"),
                connect(Some("bad.example.com"), "192.0.2.2", 443, "tcp"),
                connect(Some("x.example.com"), "10.1.2.3", 443, "tcp"),
                connect(None, "127.0.0.1", 5000, "tcp"),
                connect(None, "192.0.2.53", 53, "udp"),
            ],
            vec![
                connect(Some("github.com"), "192.0.2.1", 80, "tcp"),
                connect(None, "2001:db8::1", 443, "udp"),
                connect(None, "192.0.2.9", 0, "icmp"),
            ],
            vec![],
        ],
    );
    insta::assert_json_snapshot!(replayed);
}

#[test]
fn a_replay_by_the_policy_of_the_run_blocks_nothing() {
    let run = vec![
        lookup("github.com", "query"),
        connect(Some("github.com"), "192.0.2.1", 443, "tcp"),
    ];
    let replayed = replay("github.com", "", &[run]);
    assert!(replayed.blocked.is_empty() && replayed.refused_names.is_empty());
    assert_eq!(replayed.runs.first().unwrap().connections, 1);
}

#[test]
fn a_record_with_many_destinations_stays_small() {
    let run = (0..10_500)
        .map(|n| connect(Some(&format!("h{n}.example")), "192.0.2.1", 443, "tcp"))
        .collect();
    let replayed = replay("github.com", "", &[run]);
    assert_eq!(
        (replayed.blocked.len(), replayed.omitted_connections),
        (10_000, 500)
    );
}
