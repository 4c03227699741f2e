use runward_event::{Body, Event, ProcessExec};
use runward_tree::{Process, Tree};

use crate::once::Once;
use crate::programs::base_name;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "fileless-execution",
    title: "A program ran that has no file: it was deleted, or lies in memory alone",
    severity: Severity::High,
    confidence: Confidence::High,
    needs: "processes",
    next: "Find out where the program came from: the process that started it wrote it. Malware runs so to leave nothing \
           behind; few tools do.",
};

/// The program's file had no name in any file system when it began.
#[derive(Default)]
pub(crate) struct FilelessExecution {
    told: Once<String>,
}

/// Bytes of a path that tell one program from another; the sensor reads at most 4,096.
const MAX_EXE: usize = 4_096;

impl Detection for FilelessExecution {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Body::ProcessExec(exec) = &event.body else {
            return;
        };
        // Services whose program was replaced by an update run on without a file; who was there before did not begin so.
        if !exec.facts.unlinked || exec.facts.adopted || is_container_runtime(exec, tree) {
            return;
        }
        let key = exec.exe[..exec.exe.floor_char_boundary(MAX_EXE)].to_owned();
        if !self.told.is_new(key) {
            return;
        }
        let what = match exec.exe.trim_start_matches('/').strip_prefix("memfd:") {
            Some(name) => format!("a program that lies in memory alone ({})", quote(name)),
            None => format!("{}, whose file was deleted", quote(&exec.exe)),
        };
        let who = actor(tree, Some(exec.process), exec.pid);
        let mut finding = ABOUT.finding(event, Some(exec.process), format!("{who} is {what}"));
        finding.path = Some(exec.exe.clone());
        findings.push(finding);
    }
}

/// Container runtimes run a copy of themselves from memory, so that a container can't alter the original. The one that
/// this process, or the one that made it, ran before must be the machine's own.
fn is_container_runtime(exec: &ProcessExec, tree: &Tree) -> bool {
    let before = |process: &Process| {
        process
            .images
            .iter()
            .rev()
            .take(3)
            .any(|image| is_runtime(&image.exe))
    };
    tree.climb(exec.process).take(2).any(before)
}

fn is_runtime(exe: &str) -> bool {
    let system = [
        "/usr/bin/",
        "/usr/sbin/",
        "/usr/local/bin/",
        "/usr/libexec/",
        "/bin/",
        "/sbin/",
    ];
    system.iter().any(|folder| exe.starts_with(folder))
        && matches!(
            base_name(exe),
            "runc" | "crun" | "youki" | "lxc-start" | "docker-runc" | "bwrap"
        )
}
