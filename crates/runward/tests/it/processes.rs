//! Every process, with its arguments and parents.

use std::collections::{HashMap, HashSet};

use runward_event::{EventKind, Lost, ProcessId};
use runward_lab::{actor, requires};
use serde_json::Value;

use crate::bed::{Bed, Recorded};

/// Records an act of the `procs` actor.
fn procs(bed: &Bed, arguments: &[&str]) -> Recorded {
    let program = actor("procs");
    let command: Vec<_> = std::iter::once(program.as_os_str())
        .chain(arguments.iter().map(|a| (*a).as_ref()))
        .collect();
    let recorded = bed.record(command);
    assert!(
        recorded.ran.worked(),
        "{arguments:?}: {} {}",
        recorded.ran.stdout,
        recorded.ran.stderr
    );
    assert_eq!(recorded.lost(), Vec::<&Lost>::new(), "{arguments:?}");
    recorded
}

fn parents(recorded: &Recorded) -> HashMap<ProcessId, Option<ProcessId>> {
    recorded
        .forks()
        .iter()
        .map(|fork| (fork.process, fork.parent))
        .collect()
}

#[test]
fn the_first_process_has_its_arguments_and_place() {
    requires!(Root);
    let bed = Bed::new();
    let recorded = bed.record(["sh", "-c", "exit 3", "two words", ""]);
    let execs = recorded.execs();
    let [exec] = &execs[..] else {
        panic!("{execs:?}")
    };
    assert_eq!(exec.args, ["sh", "-c", "exit 3", "two words", ""]);
    assert_eq!(exec.cwd, bed.path().to_string_lossy());
    assert_eq!((exec.parent, exec.uid), (None, 0));
    assert!(
        exec.exe.starts_with('/') && exec.truncated.is_empty(),
        "{exec:?}"
    );
    let exits = recorded.exits();
    assert_eq!(
        (exits[0].process, exits[0].code, exits[0].signal),
        (exec.process, Some(3), None)
    );
    assert_eq!(recorded.report["exit_code"], 3);
}

#[test]
fn endings_are_told_as_the_parent_sees_them() {
    requires!(Root);
    let recorded = procs(&Bed::new(), &["endings"]);
    let seen: HashMap<u64, (i64, i64)> = recorded
        .ran
        .lines
        .iter()
        .map(|line| {
            (
                line["child"].as_u64().unwrap(),
                (
                    line["code"].as_i64().unwrap(),
                    line["signal"].as_i64().unwrap(),
                ),
            )
        })
        .collect();
    assert!(seen.len() >= 10, "{seen:?}");
    for (pid, (code, signal)) in seen {
        let process = recorded.process(pid).unwrap();
        let exit = recorded
            .exits()
            .into_iter()
            .find(|exit| exit.process == process)
            .unwrap();
        let code = (signal == 0).then_some(i32::try_from(code).unwrap());
        let signal = (signal != 0).then_some(i32::try_from(signal).unwrap());
        assert_eq!((exit.code, exit.signal), (code, signal), "{pid}");
    }
}

#[test]
fn every_way_of_making_a_process_keeps_it_in_the_job() {
    requires!(Root);
    let table: [(&[&str], &str); 7] = [
        (&["orphan", "/bin/true"], "orphan"),
        (&["daemon", "1", "/bin/true"], "daemon"),
        (&["clone-parent", "/bin/true"], "sibling"),
        (&["vfork", "/bin/true"], "child"),
        (&["thread-fork", "/bin/true"], "child"),
        (&["memfd", "x"], ""),
        (&["thread-exec", "/bin/true"], ""),
    ];
    for (arguments, member) in table {
        let bed = Bed::new();
        // The daemon outlives its parent: the shell waits for it by the file that it makes.
        let recorded = if arguments[0] == "daemon" {
            let script = format!(
                "{} daemon 50 /bin/sh -c 'echo > done'; until [ -e done ]; do sleep 0.02; done",
                actor("procs").display()
            );
            bed.record(["sh", "-c", &script])
        } else {
            procs(&bed, arguments)
        };
        assert_eq!(recorded.lost(), Vec::<&Lost>::new(), "{arguments:?}");
        let parents = parents(&recorded);
        for exec in recorded.execs() {
            // Up to the first process without a gap.
            let mut at = exec.process;
            while let Some(parent) = parents.get(&at) {
                at = parent.unwrap_or_else(|| panic!("{arguments:?}: {at:?} has no known parent"));
            }
            assert_eq!(at, recorded.execs()[0].process, "{arguments:?}");
        }
        if !member.is_empty() {
            let pid = recorded
                .ran
                .number(member)
                .unwrap_or_else(|| panic!("{arguments:?}: {}", recorded.ran.stdout));
            let process = recorded
                .process(pid)
                .unwrap_or_else(|| panic!("{arguments:?}: {pid} was not seen"));
            let ran = recorded
                .execs()
                .into_iter()
                .filter(|exec| exec.process == process)
                .count();
            assert!(ran >= 1, "{arguments:?}: {process:?} ran its command");
        }
    }
}

#[test]
fn a_thread_that_execs_becomes_its_process() {
    requires!(Root);
    let recorded = procs(
        &Bed::new(),
        &["thread-exec", "/bin/echo", "from", "a", "thread"],
    );
    let execs = recorded.execs();
    assert_eq!(execs.len(), 2);
    assert_eq!(
        (execs[0].process, execs[0].pid),
        (execs[1].process, execs[1].pid)
    );
    assert_eq!(execs[1].args, ["/bin/echo", "from", "a", "thread"]);
    assert_eq!(recorded.exits().len(), 1, "one process, one end");
}

#[test]
fn arguments_are_what_the_program_got() {
    requires!(Root);
    for act in ["raw-args", "control-args", "empty-argv", "memfd"] {
        let recorded = procs(&Bed::new(), &[act]);
        let exec = *recorded.execs().last().unwrap();
        let argc = recorded.ran.number("argc").unwrap();
        // The actor does not count its own name and subcommand.
        let shown = recorded.ran.lines.last().unwrap()["args_hex"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert!(exec.truncated.is_empty(), "{act}");
        if act == "empty-argv" {
            // Since 5.18 the kernel gives a program without arguments an empty first one.
            assert!(
                argc == 1 && exec.args == [""] || argc == 0 && exec.args.is_empty(),
                "{argc} {:?}",
                exec.args
            );
            continue;
        }
        let skip = exec.args.len() - shown.len();
        for (index, hex) in shown.iter().enumerate() {
            let hex = hex.as_str().unwrap();
            let at = index + skip;
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
                .collect();
            match str::from_utf8(&bytes) {
                Ok(text) => assert_eq!(exec.args[at], text, "{act}"),
                Err(_) => assert_eq!(
                    exec.raw.get(&format!("/args/{at}")).map(String::as_str),
                    Some(hex),
                    "{act}"
                ),
            }
        }
    }
}

#[test]
fn a_script_shows_its_path_and_its_interpreter() {
    requires!(Root);
    let bed = Bed::new();
    let script = bed.path().join("tool");
    std::fs::write(&script, "#!/bin/sh -e\nexit 0\n").unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let recorded = bed.record(["./tool", "argument"]);
    let exec = recorded.execs()[0];
    assert_eq!(exec.path, "./tool");
    assert_eq!(exec.args, ["/bin/sh", "-e", "./tool", "argument"]);
    assert!(!exec.exe.ends_with("tool"), "{}", exec.exe);
}

#[test]
fn ten_thousand_arguments_are_all_there() {
    requires!(Root);
    let recorded = procs(&Bed::new(), &["many-args", "10000"]);
    let exec = *recorded.execs().last().unwrap();
    assert!(exec.truncated.is_empty());
    assert!(exec.args.len() >= 10_000, "{}", exec.args.len());
}

#[test]
fn more_arguments_than_fit_are_marked() {
    requires!(Root);
    let recorded = procs(&Bed::new(), &["many-args", "10000", "100"]);
    let exec = *recorded.execs().last().unwrap();
    assert_eq!(exec.truncated, ["args"]);
    let kept: usize = exec.args.iter().map(|arg| arg.len() + 1).sum();
    assert!(
        (131_000..=131_073).contains(&kept),
        "{kept} of the documented 131072 bytes"
    );
}

#[test]
fn a_long_path_is_whole_or_marked() {
    requires!(Root);
    let bed = Bed::new();
    for length in ["600", "4000"] {
        let folder = bed.path().join(format!("deep{length}"));
        std::fs::create_dir(&folder).unwrap();
        let recorded = procs(&bed, &["long-path", folder.to_str().unwrap(), length]);
        let deepest = recorded
            .execs()
            .into_iter()
            .max_by_key(|exec| exec.exe.len())
            .unwrap();
        assert!(
            deepest.exe.len() >= length.parse().unwrap(),
            "{}",
            deepest.exe.len()
        );
        assert!(deepest.truncated.is_empty(), "{:?}", deepest.truncated);
        assert!(
            std::path::Path::new(&deepest.exe).starts_with(&folder),
            "{}",
            &deepest.exe[..80]
        );
    }
}

#[test]
fn a_burst_of_processes_is_whole_or_counted() {
    requires!(Root);
    // The emulated processor of a virtual machine is some thirty times slower.
    let burst: usize = if std::env::var_os("RUNWARD_VM").is_some() {
        1_000
    } else {
        20_000
    };
    let program = actor("procs");
    let recorded = Bed::new().record([
        program.to_str().unwrap(),
        "burst",
        &burst.to_string(),
        "16",
        "pids",
    ]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
    let started: HashSet<u64> = recorded
        .ran
        .lines
        .iter()
        .filter_map(|line| line["children"].as_array())
        .flatten()
        .filter_map(Value::as_u64)
        .collect();
    let seen: HashSet<u64> = recorded
        .forks()
        .iter()
        .map(|fork| u64::from(fork.pid))
        .collect();
    let report = |what: &str, there: usize, lost: u64| {
        let there = u64::try_from(there).unwrap();
        let expected = u64::try_from(burst).unwrap();
        assert_eq!(
            there + lost,
            expected,
            "{what}: {there} seen, {lost} lost of {expected}"
        );
    };
    report(
        "forks",
        recorded.forks().len(),
        recorded.lost_of(EventKind::ProcessFork),
    );
    report(
        "execs",
        recorded.execs().len() - 1,
        recorded.lost_of(EventKind::ProcessExec),
    );
    report(
        "exits",
        recorded.exits().len() - 1,
        recorded.lost_of(EventKind::ProcessExit),
    );
    if recorded.lost().is_empty() {
        assert!(started.iter().all(|pid| seen.contains(pid)));
    }
}

#[test]
fn a_fork_bomb_is_recorded_as_far_as_it_came() {
    requires!(Root);
    let recorded = procs(&Bed::new(), &["fork-bomb", "500"]);
    let made = recorded.ran.number("count").unwrap();
    assert_eq!(u64::try_from(recorded.forks().len()).unwrap(), made);
}

#[test]
fn moving_to_another_cgroup_changes_nothing() {
    requires!(Root);
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let cgroup2 = mounts
        .lines()
        .find(|line| line.split(' ').nth(2) == Some("cgroup2"))
        .unwrap();
    let folder = std::path::Path::new(cgroup2.split(' ').nth(1).unwrap())
        .join(format!("runward-test-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    let program = actor("procs");
    let recorded = Bed::new().record([
        program.to_str().unwrap(),
        "cgroup",
        folder.to_str().unwrap(),
        "/bin/echo",
        "moved",
    ]);
    std::fs::remove_dir(&folder).unwrap();
    assert!(
        recorded.ran.worked(),
        "{} {}",
        recorded.ran.stdout,
        recorded.ran.stderr
    );
    let echo = *recorded.execs().last().unwrap();
    assert_eq!(echo.args, ["/bin/echo", "moved"]);
    assert!(
        echo.cgroup
            .ends_with(folder.file_name().unwrap().to_str().unwrap()),
        "{}",
        echo.cgroup
    );
}

#[test]
fn what_still_runs_at_the_end_is_said() {
    requires!(Root);
    let recorded = Bed::new().record(["sh", "-c", "sleep 2 >/dev/null 2>&1 & exit 0"]);
    let runward_event::Body::JobEnd(end) = &recorded.events.last().unwrap().body else {
        panic!()
    };
    assert_eq!((end.exit_code, end.still_running), (0, 1));
    assert!(end.duration_ns < 1_900_000_000, "nobody waits for it");
}
