use std::collections::VecDeque;

use runward_event::{
    Body, Connect, Event, FileAct, ProcessId, SensitiveClass, SensitiveFile, Status,
};
use runward_tree::{Parent, Tree};

use crate::once::Once;
use crate::places::{self, Business, Class, Listed};
use crate::programs::{base_name, is_shell};
use crate::refusal::destination;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "credential-access",
    title: "A program read credentials that it has no business with, or called out after it had read them",
    severity: Severity::High,
    confidence: Confidence::Medium,
    needs: "sensitive_file events",
    next: "Find out what the program did with what it read, and which dependency or step it belongs to. If it called \
           out, treat the credential as stolen: revoke it, and look at what was done with it since.",
};

/// Reading a file of keys, tokens or passwords, and calls by the same lineage afterwards.
#[derive(Default)]
pub(crate) struct CredentialAccess {
    reads: VecDeque<Reading>,
    told: Once<(ProcessId, String)>,
    told_calls: Once<(ProcessId, String)>,
}

/// A process read a credential.
#[derive(Debug)]
struct Reading {
    process: ProcessId,
    pid: u32,
    place: &'static Listed,
    /// What the program may do there by the way, other than by what it is for.
    excused: bool,
    in_dependency: bool,
    seq: u64,
}

/// How many are remembered, the latest.
const REMEMBERED: usize = 512;
/// How many kinds of credentials one program reads that looks for all there are.
const SWEEP: usize = 3;
/// How far up a caller's makers are looked through for one that read, or that made one that did.
const CLIMB: usize = 64;
/// How far above the caller a shell may be that made both.
const NEAR: usize = 3;
/// Bytes of a path that tell one from another; the kernel takes no longer ones.
const MAX_PATH: usize = 4_096;
/// Bytes of a destination, as elsewhere.
const MAX_LABEL: usize = 1_024;

impl Detection for CredentialAccess {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        match &event.body {
            Body::SensitiveFile(file)
                if file.class == SensitiveClass::Credential && file.act == FileAct::Read =>
            {
                self.read(event, file, tree, findings);
            }
            Body::Connect(connect) => self.connect(event, connect, tree, findings),
            _ => {}
        }
    }
}

impl CredentialAccess {
    fn read(
        &mut self,
        event: &Event,
        file: &SensitiveFile,
        tree: &Tree,
        findings: &mut Vec<Finding>,
    ) {
        let Some(place) = places::place(&file.place) else {
            return;
        };
        let business = place.business(tree, file.process);
        if business == Some(Business::Own) {
            return;
        }
        let path = file.path[..file.path.floor_char_boundary(MAX_PATH)].to_owned();
        if !self.told.is_new((file.process, path)) {
            return;
        }
        let in_dependency = tree
            .process(file.process)
            .is_some_and(|process| process.dependency.is_some());
        if self.reads.len() >= REMEMBERED {
            self.reads.pop_front();
        }
        let excused = business.is_some();
        self.reads.push_back(Reading {
            process: file.process,
            pid: file.pid,
            place,
            excused,
            in_dependency,
            seq: event.seq,
        });
        let others = self.others(file.process, place);
        let sweep = others.len() + 1 >= SWEEP;
        let severity = match (place.class, in_dependency) {
            _ if sweep => Severity::High,
            _ if excused => return,
            (Class::Project, false) => return,
            (Class::Project, true) => Severity::Medium,
            (_, true) => Severity::High,
            (_, false) => Severity::Medium,
        };
        let who = actor(tree, Some(file.process), file.pid);
        let what = format!("{who} read {}: {}", quote(&file.path), place.words);
        let message = match sweep {
            true => format!(
                "{what}; it has read {} other kinds of credentials",
                others.len()
            ),
            false => what,
        };
        let mut finding = ABOUT.finding(event, Some(file.process), message);
        finding.severity = severity;
        finding.path = Some(file.path.clone());
        if sweep {
            finding.evidence = others;
        }
        findings.push(finding);
    }

    /// The readings of other kinds of credentials by the same process, one of each kind.
    fn others(&self, process: ProcessId, than: &Listed) -> Vec<u64> {
        let mut kinds = vec![than.words];
        let mut seqs = Vec::new();
        for read in self.reads.iter().filter(|read| read.process == process) {
            if !kinds.contains(&read.place.words) {
                kinds.push(read.place.words);
                seqs.push(read.seq);
            }
        }
        seqs
    }

    fn connect(
        &mut self,
        event: &Event,
        connect: &Connect,
        tree: &Tree,
        findings: &mut Vec<Finding>,
    ) {
        // Its own lookups are how it finds the destination.
        if self.reads.is_empty() || connect.ip.is_loopback() || connect.port == 53 {
            return;
        }
        let name = connect.name.as_deref();
        let read = self.reads.iter().rfind(|read| {
            // What a project's own programs read, they call out with.
            !read.excused
                && (read.place.class != Class::Project || read.in_dependency)
                && !name.is_some_and(|name| read.place.is_home(name))
                && is_same_lineage(read, connect.process, tree)
                && read.place.business(tree, connect.process).is_none()
        });
        let Some(read) = read else { return };
        let label = destination(name, connect.ip, connect.port, connect.protocol);
        let label = label[..label.floor_char_boundary(MAX_LABEL)].to_owned();
        if !self.told_calls.is_new((read.process, label.clone())) {
            return;
        }
        let who = actor(tree, Some(connect.process), connect.pid);
        let outcome = match connect.status {
            Status::Blocked => "tried to call",
            _ => "called",
        };
        let whose = match read.process == connect.process {
            true => "it".to_owned(),
            false => actor(tree, Some(read.process), read.pid),
        };
        let message = format!(
            "{who} {outcome} {} after {whose} had read {}: {}",
            quote(&label),
            quote(read.place.pattern),
            read.place.words
        );
        let mut finding = ABOUT.finding(event, Some(connect.process), message);
        finding.destination = Some(label);
        finding.evidence = vec![read.seq];
        findings.push(finding);
    }
}

/// Programs whose output is what they read.
const COPIERS: [&str; 24] = [
    "cat", "tac", "head", "tail", "cp", "dd", "tar", "zip", "gzip", "xz", "zstd", "base64",
    "base32", "xxd", "od", "hexdump", "strings", "grep", "sed", "awk", "gawk", "mawk", "jq",
    "openssl",
];

/// Whether what a process read can easily have come to the caller: it called itself, or made the caller, or was made by
/// it; or a shell made both, as in a pipeline, or in a script whose lines hand on what the one before printed.
fn is_same_lineage(read: &Reading, caller: ProcessId, tree: &Tree) -> bool {
    let above = |id: ProcessId| tree.climb(id).take(CLIMB).map(|process| process.id);
    if above(caller).any(|id| id == read.process) {
        return true;
    }
    let Some(reader) = tree.process(read.process) else {
        return false;
    };
    let Parent::Known(maker) = reader.parent else {
        return false;
    };
    if maker == caller {
        return true;
    }
    let exe = |id| tree.image(id).map_or("", |image| image.exe.as_str());
    if !is_shell(exe(maker)) || !above(caller).take(NEAR).any(|id| id == maker) {
        return false;
    }
    let together = tree
        .process(caller)
        .zip(reader.exit)
        .is_none_or(|(caller, exit)| caller.started <= exit.time);
    together || COPIERS.contains(&base_name(exe(read.process)))
}
