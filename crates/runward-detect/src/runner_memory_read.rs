use runward_event::{Body, Event, MemoryAccess, MemoryWay, ProcessId};
use runward_tree::Tree;

use crate::once::Once;
use crate::platform;
use crate::programs::base_name;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "runner-memory-read",
    title: "A process read the memory of the CI runner, or of another process that it did not start",
    severity: Severity::High,
    confidence: Confidence::High,
    needs: "memory_access events: trampolines, or the tracepoint of an address space's lock",
    next: "The runner's memory holds every secret of the job, masked or not. Change all of them, and look at what the \
           process's dependency or action was changed to.",
};

/// Reading another process's memory, variables or descriptors, unless the reader started that process.
#[derive(Default)]
pub(crate) struct RunnerMemoryRead {
    told: Once<(ProcessId, Whose, MemoryWay)>,
}

/// Whose memory it was, as far as it makes a finding another one: who looks at the variables of everybody is told of
/// once, and once more for the runner's.
#[derive(PartialEq, Eq, Hash)]
enum Whose {
    Process(u32),
    Runner(u32),
    Anybody,
}

/// How far up a target's makers are looked for.
const CLIMB: usize = 256;

impl Detection for RunnerMemoryRead {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Body::MemoryAccess(access) = &event.body else {
            return;
        };
        let runner = platform::is_runner(&access.target_exe);
        let lister = access.way == MemoryWay::Environ && is_lister(access, tree);
        let whose = match (access.way, runner) {
            (MemoryWay::Environ, _) if lister => Whose::Anybody,
            (_, true) => Whose::Runner(access.target_pid),
            (MemoryWay::Environ, false) => Whose::Anybody,
            (_, false) => Whose::Process(access.target_pid),
        };
        if is_own(access, tree) || !self.told.is_new((access.process, whose, access.way)) {
            return;
        }
        let message = message(access, runner, lister, tree);
        let mut finding = ABOUT.finding(event, Some(access.process), message);
        finding.severity = match (access.way, access.target) {
            _ if lister => Severity::Info,
            _ if runner => Severity::High,
            (MemoryWay::Environ, None) => Severity::Medium,
            (MemoryWay::Environ, Some(_)) => Severity::Low,
            (_, None) => Severity::High,
            (_, Some(_)) => Severity::Medium,
        };
        findings.push(finding);
    }
}

/// Folders whose programs a job can't replace without root.
const SYSTEM: [&str; 4] = ["/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"];
/// Programs that look at the variables of every process to list it. `ps e` prints them.
const LISTERS: [&str; 11] = [
    "ps", "top", "htop", "pgrep", "pkill", "pidof", "killall", "pstree", "lsof", "fuser", "w",
];

fn is_lister(access: &MemoryAccess, tree: &Tree) -> bool {
    let Some(image) = tree.image(access.process) else {
        return false;
    };
    let name = base_name(&image.exe);
    let prints = name == "ps"
        && image
            .args
            .iter()
            .skip(1)
            .any(|arg| !arg.starts_with('-') && arg.contains('e'));
    SYSTEM.iter().any(|folder| image.exe.starts_with(folder)) && LISTERS.contains(&name) && !prints
}

/// Debuggers and tracers work on what they started themselves.
fn is_own(access: &MemoryAccess, tree: &Tree) -> bool {
    access.target.is_some_and(|target| {
        tree.climb(target)
            .take(CLIMB)
            .any(|process| process.id == access.process)
    })
}

fn message(access: &MemoryAccess, runner: bool, lister: bool, tree: &Tree) -> String {
    let who = actor(tree, Some(access.process), access.pid);
    if lister {
        return format!(
            "{who} looked at the environment of other processes, as it does to list them"
        );
    }
    let what = if access.prevented || access.killed {
        tried(access.way)
    } else {
        done(access.way)
    };
    let end = match (access.prevented, access.killed) {
        (true, _) => "; lockdown prevented it",
        (false, true) => "; lockdown killed it before it had read anything",
        (false, false) => "",
    };
    let name = match access.target_exe.as_str() {
        "" => "a process".to_owned(),
        exe => quote(exe),
    };
    let place = match (runner, access.target) {
        (true, _) => "the CI runner, which holds all secrets of the job",
        (false, Some(_)) => "which it did not start",
        (false, None) => "which is not part of the job",
    };
    format!(
        "{who} {what} {name} (pid {}), {place}{end}",
        access.target_pid
    )
}

fn done(way: MemoryWay) -> &'static str {
    match way {
        MemoryWay::Mem => "read the memory of",
        MemoryWay::Environ => "read the environment of",
        MemoryWay::Ptrace => "traced",
        MemoryWay::ProcessVm => "reached into the memory of",
        MemoryWay::Descriptor => "took a descriptor from",
        _ => "reached into",
    }
}

fn tried(way: MemoryWay) -> &'static str {
    match way {
        MemoryWay::Mem => "tried to read the memory of",
        MemoryWay::Environ => "tried to read the environment of",
        MemoryWay::Ptrace => "tried to trace",
        MemoryWay::ProcessVm => "tried to reach into the memory of",
        MemoryWay::Descriptor => "tried to take a descriptor from",
        _ => "tried to reach into",
    }
}
