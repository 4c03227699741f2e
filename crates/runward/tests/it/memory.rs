//! Who reaches into the memory of another process, and what sets a program's start apart.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};

use runward_event::{Body, ExecFacts, MemoryAccess, MemoryWay};
use runward_lab::{actor, requires};

use crate::bed::{Bed, Recorded};

/// A process outside of every job.
struct Outside(Child);

impl Outside {
    fn start() -> Outside {
        let child = Command::new(actor("puppet"))
            .arg("secrets")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Outside(child)
    }

    fn id(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn puppet(bed: &Bed, script: &str) -> Recorded {
    let puppet = actor("puppet");
    let recorded = bed.record(["sh", "-c", script, puppet.to_str().unwrap()]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
    recorded
}

fn accesses(recorded: &Recorded) -> Vec<&MemoryAccess> {
    recorded
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::MemoryAccess(access) => Some(&**access),
            _ => None,
        })
        .collect()
}

#[test]
fn every_way_into_a_process_outside_is_told_once() {
    requires!(Root);
    let outside = Outside::start();
    let id = outside.id();
    let script =
        format!("\"$0\" memory {id} , memory {id} , vm-read {id} , environ {id} , environ {id}");
    let recorded = puppet(&Bed::new(), &script);
    let told = accesses(&recorded);
    let ways: Vec<MemoryWay> = told.iter().map(|access| access.way).collect();
    assert_eq!(
        ways,
        [MemoryWay::Mem, MemoryWay::ProcessVm, MemoryWay::Environ]
    );
    for access in told {
        assert_eq!(
            (access.target_pid.to_string(), access.target),
            (id.clone(), None)
        );
        assert_eq!(access.target_exe, "puppet");
        assert_eq!(Some(access.process), recorded.process(access.pid.into()));
    }
}

#[test]
fn a_process_of_the_job_is_told_as_such_and_ones_own_is_not_told() {
    requires!(Root);
    // Its own variables, and then the memory of the shell above.
    let script = "cat /proc/self/environ >/dev/null; \"$0\" memory $$ >/dev/null; true";
    let recorded = puppet(&Bed::new(), script);
    let told = accesses(&recorded);
    let [access] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(access.way, MemoryWay::Mem);
    let root = recorded.execs()[0].process;
    assert_eq!(access.target, Some(root), "{access:?}");
}

#[test]
fn a_program_s_start_says_what_is_odd_about_it() {
    requires!(Root);
    let folder = tempfile::TempDir::new_in("/tmp").unwrap();
    let new = folder.path().join("new");
    let new = new.to_str().unwrap();
    let bed = Bed::new();
    // One that is older than the watch, and that somebody has asked the times of: newer kernels mark that in the time.
    let old = folder.path().join("old");
    std::fs::copy(actor("puppet"), &old).unwrap();
    let _ = old.metadata().unwrap().modified();
    let old = old.to_str().unwrap();
    let script = format!("\"$0\" copy \"$0\" {new} , run {old} , run {new} , from-memory; true");
    let recorded = puppet(&bed, &script);
    let odd: Vec<(String, ExecFacts)> = recorded
        .execs()
        .into_iter()
        .filter(|exec| !exec.facts.is_ordinary())
        .map(|exec| (exec.exe.clone(), exec.facts.clone()))
        .collect();
    let [(dropped, as_dropped), (memory, in_memory)] = &odd[..] else {
        panic!("{odd:?}")
    };
    assert_eq!(dropped, new);
    assert!(as_dropped.changed.is_some() && !as_dropped.unlinked);
    assert!(
        memory.contains("memfd:kworker") && in_memory.unlinked,
        "{odd:?}"
    );
    let found: BTreeSet<&str> = recorded.report["detections"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|found| found["detection"].as_str())
        .collect();
    assert_eq!(
        found,
        BTreeSet::from(["dropped-executable", "fileless-execution"])
    );
}
