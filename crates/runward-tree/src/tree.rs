mod shed;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use runward_event::{Body, Event, ProcessExec, ProcessExit, ProcessFork, ProcessId, Time};

use crate::dependency::dependencies_of;
use crate::step::step_of;
use crate::{Dependency, Dropped, Exit, Facts, Image, Limits, Parent, Process, Step};

/// The process tree of one job, as far as the events tell.
#[derive(Debug, Default)]
pub struct Tree {
    limits: Limits,
    /// In the order in which they were first seen. A folded process leaves a hole, until the holes are swept.
    nodes: Vec<Option<Node>>,
    /// Where a process stands in `nodes`.
    places: HashMap<ProcessId, usize>,
    /// Whether the next process that comes from nowhere is the job's first.
    awaits_root: bool,
    /// What may be given up when there is too much, oldest first.
    quiet: VecDeque<ProcessId>,
    active: VecDeque<ProcessId>,
    wordy: VecDeque<ProcessId>,
    text_bytes: usize,
    dropped: Dropped,
}

/// A process, and what only the tree needs to know about it.
#[derive(Debug)]
struct Node {
    process: Process,
    /// How many of its children are still kept. `process.children` follows when the holes are swept.
    kept_children: usize,
    /// Whether it waits in one of the queues of processes that may be folded.
    queued: bool,
    /// Whether it did something on the network or to files.
    active: bool,
}

/// How a new process came to be known.
struct Birth {
    id: ProcessId,
    pid: u32,
    parent: Parent,
    time: Time,
}

/// What a child gets from its parent.
#[derive(Default)]
struct Inherited {
    step: Option<Arc<Step>>,
    dependency: Option<Arc<Dependency>>,
}

/// How far up an unlikely question is followed before the answer is "unknown". It keeps records that nobody honest
/// wrote from costing more than their length.
const MAX_CLIMB: usize = 1024;

impl Tree {
    /// An empty tree that keeps no more than `limits`.
    pub fn with_limits(limits: Limits) -> Tree {
        Tree {
            limits,
            ..Tree::default()
        }
    }

    /// Takes the next event of the record.
    pub fn apply(&mut self, event: &Event) {
        match &event.body {
            Body::JobStart(_) => self.awaits_root = self.nodes.is_empty(),
            Body::ProcessFork(fork) => self.fork(event.time, fork),
            Body::ProcessExec(exec) => self.exec(event.time, exec),
            Body::ProcessExit(exit) => self.exit(event.time, exit),
            Body::Dns(dns) => self.act(event.time, dns.process, dns.pid),
            Body::Connect(connect) => self.act(event.time, connect.process, connect.pid),
            Body::Refused(refused) => self.act(event.time, refused.process, refused.pid),
            Body::Tamper(tamper) => self.act(event.time, tamper.process, tamper.pid),
            Body::MemoryAccess(access) => self.act(event.time, access.process, access.pid),
            Body::SensitiveFile(file) => self.act(event.time, file.process, file.pid),
            Body::SecretFound(secret) => {
                if let Some(id) = secret.process {
                    self.act(event.time, id, secret.pid);
                }
            }
            Body::FileCreate(file)
            | Body::FileWrite(file)
            | Body::FileRename(file)
            | Body::FileDelete(file) => {
                if let Some(id) = file.process {
                    self.act(event.time, id, file.pid);
                }
            }
            // The end of a connection tells nothing new about its process, and the rest is about no process.
            _ => {}
        }
    }

    /// One process, if it is known and still kept.
    pub fn process(&self, id: ProcessId) -> Option<&Process> {
        self.node(id).map(|node| &node.process)
    }

    /// In the order in which they were first seen.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.nodes.iter().flatten().map(|node| &node.process)
    }

    /// How many processes are kept.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no process is kept.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// From the process itself up to the job's first process, or to the last one that is known.
    pub fn lineage(&self, id: ProcessId) -> Vec<&Process> {
        self.climb(id).collect()
    }

    /// As [`Tree::lineage`], step by step, for callers that stop early. A job can make its lineage very long.
    pub fn climb(&self, id: ProcessId) -> impl Iterator<Item = &Process> {
        std::iter::successors(self.process(id), |process| match process.parent {
            Parent::Known(parent) => self.process(parent),
            Parent::Root | Parent::Unknown => None,
        })
    }

    /// The program that the process runs: its own last image, or for a fork without exec the one that its nearest
    /// ancestor ran at the moment of the fork.
    pub fn image(&self, id: ProcessId) -> Option<&Image> {
        let process = self.process(id)?;
        if let Some(image) = process.images.last() {
            return Some(image);
        }
        let mut born = process.started;
        for ancestor in self.climb(id).skip(1) {
            if let Some(image) = ancestor.images.iter().rfind(|image| image.time <= born) {
                return Some(image);
            }
            // Until its own first exec, the ancestor ran what its parent ran when it was born.
            born = born.min(ancestor.started);
        }
        None
    }

    /// Every dependency that the process belongs to, from its own (`process.dependency`) outwards: a crate that is
    /// built for a Python package that a script of the project installs has two.
    pub fn dependencies(&self, id: ProcessId) -> Vec<&Dependency> {
        let mut found: Vec<&Dependency> = Vec::new();
        for dependency in self
            .climb(id)
            .filter_map(|process| process.dependency.as_deref())
        {
            if found.last() != Some(&dependency) {
                found.push(dependency);
            }
        }
        found
    }

    /// What was given up to stay inside the limits.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn fork(&mut self, time: Time, fork: &ProcessFork) {
        if self.places.contains_key(&fork.process) {
            // An event of this process overtook that of its birth.
            self.adopt(time, fork.process, fork.parent, fork.ppid);
            return;
        }
        let parent = self.parent_of_new(time, fork.process, fork.parent, fork.ppid);
        self.insert(Birth {
            id: fork.process,
            pid: fork.pid,
            parent,
            time,
        });
    }

    fn exec(&mut self, time: Time, exec: &ProcessExec) {
        if self.places.contains_key(&exec.process) {
            self.adopt(time, exec.process, exec.parent, exec.ppid);
        } else {
            let parent = self.parent_of_new(time, exec.process, exec.parent, exec.ppid);
            self.insert(Birth {
                id: exec.process,
                pid: exec.pid,
                parent,
                time,
            });
        }
        self.attribute(exec);

        let image = Image::of(time, exec);
        let weight = image.weight();
        let limit = self.limits.images_per_process.max(2);
        let Some(node) = self.node_mut(exec.process) else {
            return;
        };
        node.process.pid = exec.pid;
        let images = &mut node.process.images;
        let mut lighter = 0;
        if images.len() >= limit {
            lighter = images.remove(limit / 2).weight();
        }
        // Most processes run one program: `push` would make room for four.
        images.reserve_exact(1);
        images.push(image);

        self.dropped.images += u64::from(lighter > 0);
        self.text_bytes = self.text_bytes.saturating_sub(lighter) + weight;
        self.shed_text(exec.process);
    }

    fn exit(&mut self, time: Time, exit: &ProcessExit) {
        self.see(time, exit.process, exit.pid);
        let Some(node) = self.node_mut(exit.process) else {
            return;
        };
        if node.process.exit.is_some() {
            return;
        }
        node.process.exit = Some(Exit {
            time,
            code: exit.code,
            signal: exit.signal,
        });
        self.mark_finished(exit.process);
    }

    fn act(&mut self, time: Time, id: ProcessId, pid: u32) {
        self.see(time, id, pid);
        if let Some(node) = self.node_mut(id) {
            node.active = true;
        }
    }

    /// Makes an entry for a process whose birth was not seen.
    fn see(&mut self, time: Time, id: ProcessId, pid: u32) {
        if !self.places.contains_key(&id) {
            self.insert(Birth {
                id,
                pid,
                parent: Parent::Unknown,
                time,
            });
        }
    }

    fn parent_of_new(
        &mut self,
        time: Time,
        id: ProcessId,
        parent: Option<ProcessId>,
        ppid: u32,
    ) -> Parent {
        match parent {
            Some(parent) if parent != id => {
                self.see(time, parent, ppid);
                // There may have been no room for it. A known parent is always one that is kept: following parents
                // upwards then ends, whatever a record says.
                match self.places.contains_key(&parent) {
                    true => Parent::Known(parent),
                    false => Parent::Unknown,
                }
            }
            None if self.awaits_root => Parent::Root,
            _ => Parent::Unknown,
        }
    }

    /// Fills in the parent of a process that was known before its parent was.
    fn adopt(&mut self, time: Time, id: ProcessId, parent: Option<ProcessId>, ppid: u32) {
        let unknown = self
            .process(id)
            .is_some_and(|process| process.parent == Parent::Unknown);
        let (true, Some(parent)) = (unknown, parent) else {
            return;
        };
        self.see(time, parent, ppid);
        if !self.places.contains_key(&id) {
            // It had ended, and was folded to make room for its parent.
            return;
        }
        // A record that makes a process its own ancestor is wrong somewhere, and nobody can tell where.
        let mut far_enough = false;
        for ancestor in self.climb(parent).take(MAX_CLIMB) {
            if ancestor.id == id {
                return;
            }
            far_enough = !matches!(ancestor.parent, Parent::Known(_));
        }
        if !far_enough {
            return;
        }
        let Some(Inherited { step, dependency }) = self.link(id, parent) else {
            return;
        };
        if let Some(node) = self.node_mut(id) {
            let process = &mut node.process;
            process.parent = Parent::Known(parent);
            process.step = process.step.take().or(step);
            process.dependency = process.dependency.take().or(dependency);
        }
    }

    fn insert(&mut self, birth: Birth) {
        self.awaits_root = false;
        if self.places.len() >= self.limits.processes.max(1) {
            let batch = (self.limits.processes / 8).max(1);
            self.fold(batch, birth.parent);
            if self.places.len() >= self.limits.processes.max(1) {
                self.dropped.refused += 1;
                return;
            }
        }
        let inherited = match birth.parent {
            Parent::Known(parent) => self.link(birth.id, parent),
            Parent::Root | Parent::Unknown => None,
        };
        let Inherited { step, dependency } = inherited.unwrap_or_default();
        self.places.insert(birth.id, self.nodes.len());
        self.nodes.push(Some(Node {
            process: Process {
                id: birth.id,
                pid: birth.pid,
                parent: birth.parent,
                children: Vec::new(),
                folded: 0,
                started: birth.time,
                images: Vec::new(),
                exit: None,
                step,
                dependency,
            },
            kept_children: 0,
            queued: false,
            active: false,
        }));
    }

    /// Enters a child with its parent; gives what a child inherits. `None` when the parent is not kept.
    fn link(&mut self, child: ProcessId, parent: ProcessId) -> Option<Inherited> {
        let node = self.node_mut(parent)?;
        node.process.children.push(child);
        node.kept_children += 1;
        Some(Inherited {
            step: node.process.step.clone(),
            dependency: node.process.dependency.clone(),
        })
    }

    /// Reads step and dependency from a program's surroundings; what they don't tell stays as inherited.
    fn attribute(&mut self, exec: &ProcessExec) {
        let Some(process) = self.process(exec.process) else {
            return;
        };
        let step = step_of(&exec.env)
            .filter(|step| !process.step.as_deref().is_some_and(|known| step.is(known)))
            .map(|step| Arc::new(step.into_step()));
        let dependency = self.dependency_inside(process, exec).map(Arc::new);
        if step.is_none() && dependency.is_none() {
            return;
        }
        if let Some(node) = self.node_mut(exec.process) {
            node.process.step = step.or_else(|| node.process.step.take());
            node.process.dependency = dependency.or_else(|| node.process.dependency.take());
        }
    }

    /// The dependency that a program enters; `None` when it stays in the one that it inherited.
    ///
    /// Package managers hand their variables to everything below them. So what speaks of a dependency that an
    /// ancestor is in already is what is left of that, and not news.
    fn dependency_inside(&self, process: &Process, exec: &ProcessExec) -> Option<Dependency> {
        let facts = Facts::of(exec);
        let Some(current) = &process.dependency else {
            return dependencies_of(&facts).next();
        };
        let mut same = None;
        for dependency in dependencies_of(&facts) {
            if dependency.is_same_package(current) {
                same = Some(dependency);
                continue;
            }
            let is_left_over = self
                .climb(process.id)
                .take(MAX_CLIMB)
                .filter_map(|ancestor| ancestor.dependency.as_ref())
                .any(|outer| dependency.is_same_package(outer));
            if !is_left_over {
                return Some(dependency);
            }
        }
        same.map(|same| same.within(current))
            .filter(|fuller| fuller != &**current)
    }

    fn node(&self, id: ProcessId) -> Option<&Node> {
        self.nodes.get(*self.places.get(&id)?)?.as_ref()
    }

    fn node_mut(&mut self, id: ProcessId) -> Option<&mut Node> {
        self.nodes.get_mut(*self.places.get(&id)?)?.as_mut()
    }
}
