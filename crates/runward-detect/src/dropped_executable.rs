use runward_event::{Body, Event, ProcessExec};
use runward_tree::Tree;

use crate::once::Once;
use crate::programs::base_name;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "dropped-executable",
    title: "A program ran that was put into a folder for temporary files while the job ran",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    needs: "processes",
    next: "Find out which process put it there, and from where. Droppers fetch their second stage so; some installers do \
           as well.",
};

/// The program's file changed since the job began, and lies where anybody may write or where nobody looks. What a build
/// makes in its workspace and runs is its product.
#[derive(Default)]
pub(crate) struct DroppedExecutable {
    workspace: Option<String>,
    told: Once<String>,
}

/// Bytes of a path that tell one program from another; the sensor reads at most 4,096.
const MAX_EXE: usize = 4_096;

/// Folders that anybody may write to.
const SHARED: [&str; 4] = ["/tmp/", "/var/tmp/", "/dev/shm/", "/run/user/"];

/// What tools build and run in folders for temporary files: how the folder begins, and the program above that does so.
const OWN_WORK: [(&str, &[&str]); 8] = [
    ("/tmp/go-build", &["go"]),
    ("/tmp/go-link-", &["go", "link"]),
    ("/tmp/pip-", &["python", "pip", "uv"]),
    ("/tmp/build-env-", &["python", "pip"]),
    ("/tmp/rustc", &["rustc", "cargo", "rustdoc"]),
    ("/tmp/rustdoctest", &["rustdoc"]),
    ("/tmp/cargo-install", &["cargo"]),
    ("/tmp/cc", &["gcc", "g++", "cc", "clang"]),
];

/// How far up the program that does so is looked for.
const CLIMB: usize = 12;

impl Detection for DroppedExecutable {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let exec = match &event.body {
            Body::JobStart(start) => {
                self.workspace = Some(start.workspace.clone());
                return;
            }
            Body::ProcessExec(exec) => exec,
            _ => return,
        };
        // One without a name has a detection of its own; in a container, the image's own files are new.
        if exec.facts.changed.is_none() || exec.facts.unlinked || exec.container.is_some() {
            return;
        }
        if !self.is_odd_place(&exec.exe) || is_own_work(exec, tree) {
            return;
        }
        let key = exec.exe[..exec.exe.floor_char_boundary(MAX_EXE)].to_owned();
        if !self.told.is_new(key) {
            return;
        }
        let who = actor(tree, Some(exec.process), exec.pid);
        let message = format!(
            "{who} runs {}, which was put there while the job ran",
            quote(&exec.exe)
        );
        let mut finding = ABOUT.finding(event, Some(exec.process), message);
        finding.path = Some(exec.exe.clone());
        findings.push(finding);
    }
}

impl DroppedExecutable {
    fn is_odd_place(&self, exe: &str) -> bool {
        let in_workspace = self.workspace.as_deref().is_some_and(|workspace| {
            exe.strip_prefix(workspace)
                .is_some_and(|rest| rest.starts_with('/'))
        });
        !in_workspace && SHARED.iter().any(|folder| exe.starts_with(folder))
    }
}

fn is_own_work(exec: &ProcessExec, tree: &Tree) -> bool {
    OWN_WORK.iter().any(|(start, makers)| {
        exec.exe.starts_with(start)
            && tree
                .climb(exec.process)
                .skip(1)
                .take(CLIMB)
                .filter_map(|above| tree.image(above.id))
                .any(|image| {
                    let name = base_name(&image.exe);
                    makers.iter().any(|maker| name.starts_with(maker))
                })
    })
}
