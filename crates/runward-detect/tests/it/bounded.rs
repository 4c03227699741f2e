//! Events that make every detection fire, each for another reason: what the detections keep does not grow with them.
//! `bench:pipeline` does the same with a million processes.

use runward_event::{Event, parse_line};
use runward_tree::{Limits, Tree};

/// Processes with names of their own, each of which does everything that is looked at.
const PROCESSES: u64 = 15_000;
/// By then everything that is bounded is full.
const FULL: u64 = 6_000;
/// What may come on top, in kilobytes: allocators keep some.
const GROWTH_KB: u64 = 16 << 10;

/// What one process does.
fn acts(n: u64, emit: &mut dyn FnMut(&str, String)) {
    let who = format!(r#""process":{n},"pid":{}"#, n % 30_000 + 10);
    let long = "x".repeat(150);
    emit("process_fork", format!(r#"{who},"parent":1,"ppid":9"#));
    emit(
        "process_exec",
        format!(
            r#"{who},"parent":1,"ppid":9,"exe":"/tmp/{n}/{long}/sh","path":"sh","args":["docker","run","--privileged","{n}"],"cwd":"/w/node_modules/p{n}","uid":0,"gid":0,"env":{{"GITHUB_ACTION":"step{n}","npm_package_name":"p{n}","npm_lifecycle_event":"install"}},"facts":{{"streams":[{{"stream":"stdin","to":"tcp","ip":"198.51.100.7","port":4444}},{{"stream":"stdout","to":"named_pipe","inode":{n}}}],"changed":"2026-08-01T09:00:00Z","unlinked":{}}}"#,
            n.is_multiple_of(2)
        ),
    );
    emit(
        "dns",
        format!(
            r#"{who},"message":"query","transport":"udp","ip":"192.0.2.53","port":53,"id":1,"name":"{n:055}.a.d{}.example","type":"A""#,
            n / 8
        ),
    );
    emit(
        "connect",
        format!(
            r#""connection":{n},{who},"protocol":"tcp","ip":"198.51.100.9","port":4444,"name":"h{n}.ngrok.io","status":"allowed""#
        ),
    );
    emit(
        "refused",
        format!(
            r#"{who},"protocol":"tcp","ip":"198.51.100.9","port":443,"name":"r{n}.example","reason":"not-allowed""#
        ),
    );
    emit(
        "tamper",
        format!(r#"{who},"act":"pins","target":"bpf:/{n}/{long}","prevented":true"#),
    );
    emit(
        "memory_access",
        format!(r#"{who},"target_pid":{n},"target_exe":"Runner.Worker","way":"mem""#),
    );
    emit(
        "file_write",
        format!(
            r#"{who},"path":"src/{n}/{long}.c","tracked":true,"hash_before":"a","hash_after":"{n}""#
        ),
    );
    emit(
        "lost",
        r#""lost":"connect","count":1,"reason":"ring_full""#.to_owned(),
    );
    emit("process_exit", format!(r#"{who},"code":0"#));
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    kb.expect("the kernel says how much memory is used")
}

#[test]
fn what_is_kept_does_not_grow_with_what_a_job_does() {
    let mut tree = Tree::with_limits(Limits {
        processes: 2_000,
        text_bytes: 1 << 20,
        ..Limits::default()
    });
    let mut detections = runward_detect::all();
    let (mut seq, mut found, mut when_full) = (0, 0, 0);
    let mut findings = Vec::new();
    for n in 2..PROCESSES {
        acts(n, &mut |kind, fields| {
            seq += 1;
            let time = format!(
                "2026-08-01T{:02}:{:02}:{:02}Z",
                seq / 36_000 % 24,
                seq / 600 % 60,
                seq / 10 % 60
            );
            let line = format!(r#"{{"seq":{seq},"time":"{time}","kind":"{kind}",{fields}}}"#);
            let event: Event = parse_line(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            tree.apply(&event);
            for detection in &mut detections {
                detection.observe(&event, &tree, &mut findings);
            }
            found += findings.len();
            findings.clear();
        });
        if n == FULL {
            when_full = resident_kb();
        }
    }
    let grown = resident_kb().saturating_sub(when_full);
    assert!(found > 75_000, "only {found} findings");
    assert!(grown < GROWTH_KB, "{grown} KB more after {seq} events");
}
