use std::collections::HashSet;

use runward_event::{Body, Event, FileAct, SensitiveClass, SensitiveFile};
use runward_tree::{Process, Tree};

use crate::once::Once;
use crate::places::{self, Class, Listed};
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "persistence",
    title: "A program changed a file from which something is started again later",
    severity: Severity::High,
    confidence: Confidence::Medium,
    needs: "sensitive_file events",
    next: "Read the file, and find out which dependency or step wrote it. On a machine that is used again, later jobs \
           run it too: clean the machine, or make a new one.",
};

/// Changes of what cron, systemd, shells, git, Python, logins or later steps run.
#[derive(Default)]
pub(crate) struct Persistence {
    told: Once<(String, Option<String>, Severity)>,
    actions: Actions,
}

/// Which files of actions are this job's own, and which of those that were there are gone.
#[derive(Default)]
struct Actions {
    made: HashSet<String>,
    removed: HashSet<String>,
    /// More were removed than are remembered: any that is made may be one of them.
    forgot: bool,
}

/// How many files of actions are remembered.
const ACTION_FILES: usize = 4_000;
/// Bytes of a path that tell one from another; the kernel takes no longer ones.
const MAX_PATH: usize = 4_096;

impl Detection for Persistence {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Body::SensitiveFile(file) = &event.body else {
            return;
        };
        let Some(place) = places::place(&file.place) else {
            return;
        };
        if file.class != SensitiveClass::Persistence {
            return;
        }
        let path = file.path[..file.path.floor_char_boundary(MAX_PATH)].to_owned();
        if !self.is_change(file, place, &path) || is_in_an_image(&path) {
            return;
        }
        let Some(severity) = severity(file, place, tree) else {
            return;
        };
        // A script of a build may write line after line, each by a process of its own.
        let exe = tree.image(file.process).map(|image| image.exe.clone());
        if !self.told.is_new((path, exe, severity)) {
            return;
        }
        let who = actor(tree, Some(file.process), file.pid);
        let did = match file.act {
            FileAct::Create => "made",
            FileAct::Rename => "put in place",
            FileAct::Delete => "removed",
            _ => "changed",
        };
        let code = match file.runs_code {
            Some(true) => ", with a line of code",
            _ => "",
        };
        let message = format!(
            "{who} {did} {}{code}, which {}",
            quote(&file.path),
            place.words
        );
        let mut finding = ABOUT.finding(event, Some(file.process), message);
        finding.severity = severity;
        finding.path = Some(file.path.clone());
        findings.push(finding);
    }
}

impl Persistence {
    /// Whether something is started by this that was not before. What is removed is not started; a file of an action is,
    /// when it takes the place of one that was there.
    fn is_change(&mut self, file: &SensitiveFile, place: &Listed, path: &str) -> bool {
        match place.class {
            Class::Action => self.actions.is_replaced(file.act, path),
            _ => file.act != FileAct::Delete,
        }
    }
}

impl Actions {
    fn is_replaced(&mut self, act: FileAct, path: &str) -> bool {
        // What tools unpack and compile there gets its name last; it was not there before.
        let tools = ["/node_modules/", "/__pycache__/"];
        match act {
            FileAct::Rename if tools.iter().any(|folder| path.contains(folder)) => false,
            FileAct::Delete => {
                if !self.made.remove(path) {
                    self.forgot |= self.removed.len() >= ACTION_FILES;
                    if !self.forgot {
                        self.removed.insert(path.to_owned());
                    }
                }
                false
            }
            FileAct::Create => {
                let replaces = self.forgot || self.removed.contains(path);
                if !replaces && self.made.len() < ACTION_FILES {
                    self.made.insert(path.to_owned());
                }
                replaces
            }
            _ => !self.made.contains(path),
        }
    }
}

/// How much it matters, if it does.
fn severity(file: &SensitiveFile, place: &Listed, tree: &Tree) -> Option<Severity> {
    if place.business(tree, file.process).is_some() {
        return None;
    }
    let process = tree.process(file.process);
    let dependency = process.and_then(|process| process.dependency.as_deref());
    if dependency.is_some_and(|dependency| place.is_for([dependency.name.as_str()])) {
        return Some(Severity::Info);
    }
    let severity = match place.class {
        Class::Python => python(file, tree)?,
        Class::Action if process.is_some_and(|process| is_own_action(process, &file.path)) => {
            return None;
        }
        Class::Start | Class::Action => Severity::High,
        _ => Severity::Medium,
    };
    Some(match severity {
        Severity::Medium if dependency.is_some() => Severity::High,
        other => other,
    })
}

/// A place whose programs are all those that put packages of Python in place.
const PACKAGING: &str = "**/site-packages/distutils-precedence.pth";

/// A `.pth` file says where modules are; a line that begins with `import` is run.
fn python(file: &SensitiveFile, tree: &Tree) -> Option<Severity> {
    let packaging =
        places::place(PACKAGING).is_some_and(|known| known.business(tree, file.process).is_some());
    match (file.runs_code, packaging) {
        (Some(false), true) => None,
        (Some(false), false) => Some(Severity::Info),
        (Some(true), false) => Some(Severity::High),
        _ => Some(Severity::Medium),
    }
}

/// Whether the file is of the action that this step runs: `_actions/OWNER/NAME/…` for the step `__OWNER_NAME`.
fn is_own_action(process: &Process, path: &str) -> bool {
    let own = process.step.as_ref().and_then(|step| {
        let (_, below) = path.split_once("/_actions/")?;
        let mut parts = below.split('/');
        let action = format!("__{}_{}", parts.next()?, parts.next()?);
        Some(step.name.starts_with(&action))
    });
    own == Some(true)
}

/// Folders in which container engines keep the files of images: nothing on the machine starts these.
const IMAGES: [&str; 4] = [
    "/containers/storage/",
    "/var/lib/docker/",
    "/var/lib/containerd/",
    "/var/lib/buildkit/",
];

fn is_in_an_image(path: &str) -> bool {
    IMAGES.iter().any(|folder| path.contains(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_action_that_was_there_is_replaced_however_it_is_done() {
        let mut actions = Actions::default();
        assert!(!actions.is_replaced(FileAct::Create, "new"));
        assert!(!actions.is_replaced(FileAct::Write, "new"));
        assert!(!actions.is_replaced(FileAct::Delete, "new"));
        assert!(!actions.is_replaced(FileAct::Delete, "old"));
        assert!(actions.is_replaced(FileAct::Create, "old"));
        assert!(actions.is_replaced(FileAct::Write, "other"));
        assert!(actions.is_replaced(FileAct::Rename, "third"));
        assert!(!actions.is_replaced(FileAct::Rename, "x/node_modules/third"));
    }

    #[test]
    fn a_flood_of_removed_files_hides_none() {
        let mut actions = Actions::default();
        for n in 0..2 * ACTION_FILES {
            actions.is_replaced(FileAct::Delete, &format!("old-{n}"));
            actions.is_replaced(FileAct::Create, &format!("made-{n}"));
        }
        assert!(actions.removed.len() <= ACTION_FILES && actions.made.len() <= ACTION_FILES);
        assert!(actions.is_replaced(FileAct::Create, &format!("old-{}", ACTION_FILES + 7)));
    }
}
