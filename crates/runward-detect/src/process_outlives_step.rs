use std::collections::{HashMap, HashSet};

use runward_event::{Body, Event, ProcessId, Time};
use runward_tree::{Parent, Process, Step, Tree};

use crate::programs::base_name;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "process-outlives-step",
    title: "A process still runs after the step or job that started it",
    severity: Severity::Low,
    confidence: Confidence::Medium,
    needs: "processes",
    next: "If it is a build's own daemon, have the step stop it. Anything else that stays behind waits for something: \
           the next step's secrets, or the next job.",
};

/// Processes that are left when their step's first process has ended, and when the job has.
#[derive(Default)]
pub(crate) struct ProcessOutlivesStep {
    /// First processes of steps that have ended, with when; looked at a moment later, because ends take some time,
    /// and together with those that follow.
    ended: Vec<(ProcessId, Time)>,
    /// How often all processes were looked at.
    looks: usize,
    told: HashSet<ProcessId>,
}

/// How long after the end of a step's first process those below it may take.
const GRACE_NS: u64 = 1_000_000_000;
/// How many times all processes are looked at for steps that have ended. Each look takes in what has ended since the
/// last one, and costs as much as there are processes: a job that makes a step of each process must not make it dear.
const LOOKS_MAX: usize = 500;
/// Ends that wait for a look; more than any job has at once.
const ENDED_MAX: usize = 256;
/// Findings of one job; a thousand processes that stay behind say no more.
const TOLD_MAX: usize = 100;

/// Programs that stay on purpose, and whose they are.
const DAEMONS: [(&str, &str); 12] = [
    ("ssh-agent", "OpenSSH keeps keys in it"),
    ("gpg-agent", "GnuPG keeps keys in it"),
    ("dirmngr", "GnuPG fetches keys with it"),
    ("sccache", "a cache of compilers"),
    ("ccache", "a cache of compilers"),
    ("watchman", "it follows changes of files"),
    ("conmon", "it looks after a container"),
    ("dbus-daemon", "a bus of messages"),
    ("adb", "it talks to devices"),
    ("bazel", "a build's own server"),
    ("buck2", "a build's own server"),
    ("buildkitd", "it builds images"),
];
/// The same, by what stands in the arguments of a program that has many uses.
const DAEMON_ARGS: [(&str, &str); 4] = [
    ("GradleDaemon", "Gradle's own server"),
    ("KotlinCompileDaemon", "Kotlin's own server"),
    ("VBCSCompiler", "the compiler's own server"),
    ("MSBuild", "the build's own server"),
];

impl Detection for ProcessOutlivesStep {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        self.look_at_ended(event, tree, findings);
        match &event.body {
            Body::ProcessExit(exit)
                if self.ended.len() < ENDED_MAX && begins_step(tree, exit.process) =>
            {
                self.ended.push((exit.process, event.time));
            }
            // The agent has counted: where events were lost, a process without an end need not run.
            Body::JobEnd(end) if end.still_running > 0 => {
                for process in tree.processes() {
                    let root = process.parent == Parent::Root;
                    if process.exit.is_none() && !root && !runs_above(tree, process) {
                        self.tell(event, tree, process, "the job", findings);
                    }
                }
            }
            _ => {}
        }
    }
}

impl ProcessOutlivesStep {
    fn look_at_ended(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let last = matches!(event.body, Body::JobEnd(_));
        let patience = if last { GRACE_NS } else { 2 * GRACE_NS };
        let waited = |at: &Time| event.time.nanos_since(*at);
        if self
            .ended
            .first()
            .is_none_or(|(_, at)| waited(at) <= patience)
        {
            return;
        }
        let due = self
            .ended
            .iter()
            .position(|(_, at)| waited(at) <= GRACE_NS)
            .unwrap_or(self.ended.len());
        let ended: Vec<_> = self.ended.drain(..due).collect();
        if self.looks >= LOOKS_MAX {
            return;
        }
        self.looks += 1;
        // By step: its first processes that have ended.
        let mut steps: HashMap<&Step, Vec<ProcessId>> = HashMap::new();
        for (first, _) in ended {
            if let Some(step) = tree.process(first).and_then(|p| p.step.as_deref()) {
                steps.entry(step).or_default().push(first);
            }
        }
        for process in tree.processes() {
            if process.exit.is_some() || runs_above(tree, process) {
                continue;
            }
            let Some((step, firsts)) = process
                .step
                .as_deref()
                .and_then(|step| steps.get_key_value(step))
            else {
                continue;
            };
            if is_below(tree, process.id, firsts) {
                let place = format!("its step ({})", quote(&step.name));
                self.tell(event, tree, process, &place, findings);
            }
        }
    }

    fn tell(
        &mut self,
        event: &Event,
        tree: &Tree,
        process: &Process,
        outlived: &str,
        findings: &mut Vec<Finding>,
    ) {
        if self.told.len() >= TOLD_MAX || !self.told.insert(process.id) {
            return;
        }
        let who = actor(tree, Some(process.id), process.pid);
        let known = known_daemon(tree, process.id);
        let message = match known {
            Some(reason) => format!("{who} still runs after {outlived}; known to stay: {reason}"),
            None => format!("{who} still runs after {outlived}"),
        };
        let mut finding = ABOUT.finding(event, Some(process.id), message);
        if known.is_some() {
            finding.severity = Severity::Info;
        }
        findings.push(finding);
    }
}

/// Whether a process is the first one of its step: its parent is in none, or in another.
fn begins_step(tree: &Tree, id: ProcessId) -> bool {
    let Some(process) = tree.process(id) else {
        return false;
    };
    let Some(step) = &process.step else {
        return false;
    };
    let above = match process.parent {
        Parent::Known(parent) => tree.process(parent).and_then(|p| p.step.as_ref()),
        Parent::Root | Parent::Unknown => None,
    };
    above != Some(step)
}

/// Whether the process that made this one runs, too: then that one is told of.
fn runs_above(tree: &Tree, process: &Process) -> bool {
    match process.parent {
        Parent::Known(parent) => tree
            .process(parent)
            .is_some_and(|parent| parent.exit.is_none() && parent.parent != Parent::Root),
        Parent::Root | Parent::Unknown => false,
    }
}

/// How far up a first process is looked for.
const CLIMB: usize = 256;

fn is_below(tree: &Tree, id: ProcessId, firsts: &[ProcessId]) -> bool {
    tree.climb(id)
        .take(CLIMB)
        .any(|process| firsts.contains(&process.id))
}

fn known_daemon(tree: &Tree, id: ProcessId) -> Option<&'static str> {
    let image = tree.image(id)?;
    let name = base_name(&image.exe);
    let by_name = DAEMONS.iter().find(|(daemon, _)| *daemon == name);
    let by_args = || {
        DAEMON_ARGS
            .iter()
            .find(|(word, _)| image.args.iter().any(|arg| arg.contains(word)))
    };
    by_name.or_else(by_args).map(|(_, reason)| *reason)
}
