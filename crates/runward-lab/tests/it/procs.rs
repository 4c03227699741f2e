//! The process actor: each act makes the processes that it says.

use std::collections::HashSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use runward_lab::{Ran, actor, requires, run};
use serde_json::Value;

use crate::{PATIENCE, act};

fn procs() -> String {
    actor("procs").into_os_string().into_string().unwrap()
}

/// The line of an act, and the line that its command printed through `procs show`.
fn with_show(arguments: &[&str]) -> (Value, Value) {
    let ran = act("procs", arguments);
    assert!(ran.worked(), "{arguments:?}: {} {}", ran.stdout, ran.stderr);
    let find = |show: bool| {
        let mut lines = ran
            .lines
            .iter()
            .filter(|line| (line["act"] == "show") == show);
        lines
            .next()
            .cloned()
            .unwrap_or_else(|| panic!("{arguments:?}: {}", ran.stdout))
    };
    (find(false), find(true))
}

#[test]
fn storms_are_counted() {
    for way in ["burst", "forkonly"] {
        let ran = act("procs", [way, "200", "8", "pids"]);
        assert!(ran.worked(), "{}", ran.stdout);
        assert_eq!(ran.number("count"), Some(200));
        let children = ran.lines[0]["children"].as_array().unwrap();
        let distinct: HashSet<u64> = children.iter().filter_map(Value::as_u64).collect();
        assert_eq!(distinct.len(), 200, "{way}");
    }
}

#[test]
fn a_daemon_outlives_everything() {
    let place = tempfile::tempdir().unwrap();
    let proof = place.path().join("proof");
    let write = format!("echo $$ $PPID > {0}.new; mv {0}.new {0}", proof.display());
    let ran = act("procs", ["daemon", "50", "/bin/sh", "-c", &write]);
    assert!(ran.worked(), "{}", ran.stdout);
    assert!(!proof.exists(), "it comes only after the wait");
    let deadline = Instant::now() + PATIENCE;
    while !proof.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = fs::read_to_string(&proof).unwrap();
    let mut numbers = told
        .split_whitespace()
        .map(|number| number.parse::<u64>().unwrap());
    assert_eq!(numbers.next(), ran.number("daemon"));
    assert_ne!(numbers.next(), ran.number("middle"));
}

#[test]
fn who_becomes_the_command() {
    let program = procs();
    let command = [program.as_str(), "show", "x"];

    let (line, shown) = with_show(&[&["orphan"], &command[..]].concat());
    assert_eq!(line["orphan"], shown["pid"]);
    assert_ne!(line["middle"], shown["ppid"], "its parent is gone");

    let (line, shown) = with_show(&[&["thread-exec"], &command[..]].concat());
    assert_eq!(
        line["pid"], shown["pid"],
        "the thread takes the leader's number"
    );
    assert_ne!(line["thread"], shown["pid"]);

    let (line, shown) = with_show(&[&["thread-fork"], &command[..]].concat());
    assert_eq!(
        (&line["child"], &line["pid"]),
        (&shown["pid"], &shown["ppid"])
    );
    assert_ne!(line["thread"], line["pid"]);

    let (line, shown) = with_show(&[&["vfork"], &command[..]].concat());
    assert_eq!(
        (&line["child"], &line["pid"]),
        (&shown["pid"], &shown["ppid"])
    );

    let (line, shown) = with_show(&[&["clone-parent"], &command[..]].concat());
    assert_eq!(
        (&line["sibling"], &line["pid"]),
        (&shown["pid"], &shown["ppid"])
    );
    assert_ne!(line["middle"], line["sibling"]);
}

#[test]
fn arguments_arrive_as_they_are() {
    let args = |ran: &Ran| -> Vec<String> {
        let list = ran.lines[0]["args_hex"].as_array().unwrap();
        list.iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    };
    let raw = args(&act("procs", ["raw-args"]));
    assert_eq!(
        raw,
        ["80", "c0af", "eda080", "f09f98", "636166e9", "ff", ""]
    );
    let control = args(&act("procs", ["control-args"]));
    assert_eq!(control.len(), 9);
    assert_eq!(control[2], "1b5b324a1b5d303b7469746c6507");

    let many = act("procs", ["many-args", "10000", "8"]);
    assert_eq!(
        (many.number("count"), many.number("bytes")),
        (Some(10_000), Some(80_000))
    );

    let empty = act("procs", ["empty-argv"]);
    assert!(empty.worked(), "{}", empty.stdout);
    assert!(
        empty.number("argc").is_some_and(|count| count <= 1),
        "{}",
        empty.stdout
    );

    let memory = act("procs", ["memfd", "x"]);
    assert_eq!(args(&memory), ["78"]);
    assert_eq!(
        memory.lines[0]["pid"],
        u64::from(memory.pid),
        "the same process, another program"
    );
}

#[test]
fn long_paths() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().to_str().unwrap();
    for length in ["300", "4095"] {
        let ran = act("procs", ["long-path", folder, length]);
        assert!(ran.worked(), "{}", ran.stdout);
        assert_eq!(ran.number("length"), length.parse().ok());
        assert_eq!(
            fs::read_dir(folder).unwrap().count(),
            0,
            "the tree is removed"
        );
    }
}

#[test]
fn endings() {
    assert_eq!(act("procs", ["exit", "42"]).code(), 42);
    assert_eq!(act("procs", ["signal", "15"]).code(), 143);
    let ran = act("procs", ["endings"]);
    assert!(ran.worked(), "{}", ran.stdout);
    assert_eq!(ran.lines.len(), 13);
}

#[test]
fn a_fork_bomb_is_bounded_and_notices_a_limit() {
    let free = act("procs", ["fork-bomb", "50"]);
    assert_eq!(free.number("count"), Some(50), "{}", free.stdout);
    assert_eq!(free.lines[0]["refused"], false);

    // The limit does not hold root, so this is somebody else who owns no other process.
    requires!(Root);
    let place = tempfile::tempdir().unwrap();
    let copy = place.path().join("procs");
    fs::copy(actor("procs"), &copy).unwrap();
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(place.path(), everyone).unwrap();
    let mut command = Command::new(&copy);
    command
        .uid(64_999)
        .gid(64_999)
        .arg("limit")
        .arg("5")
        .arg(&copy)
        .args(["fork-bomb", "50"]);
    let held = run(&mut command, PATIENCE).unwrap();
    assert_eq!(
        held.lines[0]["refused"], true,
        "{} {}",
        held.stdout, held.stderr
    );
    assert_eq!(
        (held.text("error"), held.number("count")),
        (Some("EAGAIN"), Some(4))
    );
}

#[test]
fn moves_itself_to_another_cgroup() {
    requires!(Root);
    let Some(root) = cgroup2() else {
        return runward_lab::skip(runward_lab::test_name!(), "needs a mounted cgroup2");
    };
    let group = format!("{root}/runward-lab-{}", std::process::id());
    fs::create_dir(&group).unwrap();
    let ran = act("procs", ["cgroup", &group, "/bin/cat", "/proc/self/cgroup"]);
    fs::remove_dir(&group).unwrap();
    assert!(ran.worked(), "{}", ran.stdout);
    let own = ran
        .stdout
        .lines()
        .find(|line| line.starts_with("0::"))
        .unwrap();
    assert!(
        own.ends_with(&format!("/runward-lab-{}", std::process::id())),
        "{own}"
    );
}

fn cgroup2() -> Option<String> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    let found = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
    found.split(' ').nth(1).map(str::to_owned)
}

#[test]
fn a_refused_call_is_refused_and_no_other() {
    requires!(Root);
    let net = actor("net").display().to_string();
    // AF_INET is 2, EPERM is 1.
    let refused = act(
        "refuse",
        ["socket", "2", "1", &net, "udp", "127.0.0.1", "9"],
    );
    assert_eq!(refused.text("error"), Some("EPERM"), "{}", refused.stdout);
    let allowed = act(
        "refuse",
        ["socket", "10", "1", &net, "udp", "127.0.0.1", "9"],
    );
    assert!(allowed.worked(), "{}", allowed.stdout);
}
