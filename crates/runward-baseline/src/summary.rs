//! One run as the baseline sees it: facts about the run, and who called where.

use std::net::IpAddr;

use runward_event::{Protocol, Time};
use serde::{Deserialize, Serialize};

/// One run of a job, or as much of it as has come so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunSummary {
    /// Who the run is and what it ran on.
    pub facts: RunFacts,
    /// Its calls, summed by destination and lineage.
    pub calls: Vec<Call>,
    /// Files under version control that got other content.
    pub overwrites: Vec<Overwrite>,
    /// Calls and overwritten files that whoever made this summary had no place for. They are counted, never judged.
    pub uncounted: u64,
}

/// Who the run is and what it ran on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFacts {
    /// The run's name, unique and the same whenever the run is sent again.
    pub id: String,
    /// When it began, by the clock of its machine: shown to people, and used for nothing that a wrong clock could spoil.
    pub started: Time,
    /// When its last batch came, by the clock of the server.
    pub received: Time,
    /// The commit that was built.
    pub commit: Option<String>,
    /// How far what was built can be trusted.
    pub trust: Trust,
    /// What the run was made with.
    pub context: Context,
    /// Whether another detection stands beside this run that nobody has resolved or suppressed.
    pub detected: bool,
}

/// Where the code of a run came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trust {
    /// The pull request of a fork: a stranger wrote it, and nothing of it becomes normal.
    #[default]
    Fork,
    /// Any branch of the project.
    Branch,
    /// A protected branch or tag.
    Protected,
}

/// What a run was made with, each as any text that changes when the thing does: a hash, a version. What is not known is
/// `None`, and is never taken for a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// The file that describes the pipeline.
    pub pipeline_file: Option<String>,
    /// The runner's image.
    pub image: Option<String>,
    /// The versions that actions, includes or orbs are pinned to, all together.
    pub actions: Option<String>,
    /// The lockfiles of dependencies, all together.
    pub lockfile: Option<String>,
}

/// All calls of one lineage to one destination in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Where to.
    pub destination: Destination,
    /// Who.
    pub lineage: Lineage,
    /// How many connections.
    pub connections: u64,
    /// Bytes sent, as far as they are known yet.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// When the first was made.
    pub first: Time,
    /// Whether every one was stopped. A detection of its own tells that, so it is neither judged nor learned here.
    pub blocked: bool,
}

/// Where a call went.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The name that was looked up, in any spelling. It need not be a valid one.
    pub name: Option<String>,
    /// The address, which counts only where there is no name.
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// Who did something: program, step and dependency.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lineage {
    /// The path of the program. Versions and random parts of it are taken out here.
    pub executable: String,
    /// The step; none for what runs outside of every step.
    pub step: Option<String>,
    /// The dependency that was being installed, with or without its version.
    pub dependency: Option<String>,
}

/// A file under version control that got other content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwrite {
    /// The file, relative to the workspace.
    pub path: String,
    /// Who.
    pub lineage: Lineage,
    /// When.
    pub at: Time,
}
