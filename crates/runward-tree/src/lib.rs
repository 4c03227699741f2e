//! Folds events into the process tree of a job, and attributes each process to a CI step and to the dependency
//! that is being installed.

use runward_event::{Event, ProcessId, Time};

/// The process tree of one job, as far as the events tell.
#[derive(Debug, Default)]
pub struct Tree {}

/// One process: from its fork to its exit, over every program that it ran.
#[derive(Debug)]
pub struct Process {
    pub id: ProcessId,
    pub pid: u32,
    pub parent: Parent,
    /// Oldest first.
    pub children: Vec<ProcessId>,
    pub started: Time,
    /// Every program that it ran, oldest first. Empty until the first exec: it then still runs its parent's image.
    pub images: Vec<Image>,
    pub exit: Option<Exit>,
    pub step: Option<Step>,
    pub dependency: Option<Dependency>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parent {
    /// The job's first process.
    Root,
    Known(ProcessId),
    /// The event of its birth was lost. Never guessed.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Image {
    pub time: Time,
    pub exe: String,
    pub path: String,
    pub args: Vec<String>,
    pub cwd: String,
    pub uid: u32,
    pub container: Option<String>,
    pub truncated: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub time: Time,
    pub code: Option<i32>,
    pub signal: Option<i32>,
}

/// A step of a CI job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    pub name: String,
}

/// A package whose install or build scripts run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dependency {
    pub ecosystem: Ecosystem,
    pub name: String,
    pub version: Option<String>,
    /// `postinstall`, `build-script`, `build-backend`, ...
    pub phase: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ecosystem {
    Npm,
    Pip,
    Cargo,
    Go,
    Maven,
}

impl Tree {
    pub fn apply(&mut self, _event: &Event) {
        todo!()
    }

    pub fn process(&self, _id: ProcessId) -> Option<&Process> {
        todo!()
    }

    /// In the order in which they were first seen.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        std::iter::empty()
    }

    /// From the process itself up to the job's first process, or to the last one that is known.
    pub fn lineage(&self, _id: ProcessId) -> Vec<&Process> {
        todo!()
    }

    /// The program that the process runs: its own last image, or that of the nearest ancestor for a fork without exec.
    pub fn image(&self, _id: ProcessId) -> Option<&Image> {
        todo!()
    }
}
