//! Detections: what a person should look at in a job's record.
//!
//! A detection is four things under one name: a source file here, a fixture and its expected result in
//! `tests/scenarios/<id>/`, and a section in `docs/detections.md`. To add one, write these four and add a line to
//! [`all`]; a test fails while one of them is missing.
//!
//! **Architecture invariant.** A detection is a function of the record: it does no I/O, has no clock, can't fail, and
//! keeps bounded state whatever a job does. This crate imports only `runward-event` and `runward-tree`.

mod about;
mod agent_tampered;
mod credential_access;
mod dns_tunnel;
mod dropped_executable;
mod events_lost;
mod fileless_execution;
mod install_script_egress;
mod listed;
mod once;
mod outbound_call_blocked;
mod persistence;
mod places;
mod platform;
mod privileged_container;
mod process_outlives_step;
mod programs;
mod refusal;
mod resolvers;
mod reverse_shell;
mod runner_memory_read;
mod secret_in_output;
mod selection;
mod sentence;
mod source_code_overwritten;
mod suspicious_destination;

use runward_event::{Event, FileChange, FileDiff, MountOver, NoDiff, ProcessId, Time};
use runward_tree::Tree;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use about::{About, Confidence, RuleAbout};
pub use listed::known_bad;
pub use once::Once;
pub use places::sensitive_places;
pub use platform::runner_names;
pub use refusal::{Refusal, destination, reason_sentence};
pub use selection::{Selection, UnknownName};
pub use sentence::{actor, is_harmful, quote};

/// Every detection there is, ready for one job.
pub fn all() -> Vec<Box<dyn Detection + Send>> {
    vec![
        Box::new(source_code_overwritten::SourceCodeOverwritten::default()),
        Box::new(outbound_call_blocked::OutboundCallBlocked::default()),
        Box::new(agent_tampered::AgentTampered::default()),
        Box::new(reverse_shell::ReverseShell::default()),
        Box::new(runner_memory_read::RunnerMemoryRead::default()),
        Box::new(privileged_container::PrivilegedContainer::default()),
        Box::new(suspicious_destination::SuspiciousDestination::default()),
        Box::new(dns_tunnel::DnsTunnel::default()),
        Box::new(credential_access::CredentialAccess::default()),
        Box::new(persistence::Persistence::default()),
        Box::new(install_script_egress::InstallScriptEgress::default()),
        Box::new(fileless_execution::FilelessExecution::default()),
        Box::new(dropped_executable::DroppedExecutable::default()),
        Box::new(process_outlives_step::ProcessOutlivesStep::default()),
        Box::new(events_lost::EventsLost::default()),
        Box::new(secret_in_output::SecretInOutput::default()),
    ]
}

/// What is known of each detection, in the order of [`all`].
pub static ABOUTS: [&About; 16] = [
    &source_code_overwritten::ABOUT,
    &outbound_call_blocked::ABOUT,
    &agent_tampered::ABOUT,
    &reverse_shell::ABOUT,
    &runner_memory_read::ABOUT,
    &privileged_container::ABOUT,
    &suspicious_destination::ABOUT,
    &dns_tunnel::ABOUT,
    &credential_access::ABOUT,
    &persistence::ABOUT,
    &install_script_egress::ABOUT,
    &fileless_execution::ABOUT,
    &dropped_executable::ABOUT,
    &process_outlives_step::ABOUT,
    &events_lost::ABOUT,
    &secret_in_output::ABOUT,
];

/// What is known of the detection with this id; nothing when there is none.
pub fn about(id: &str) -> Option<&'static About> {
    ABOUTS.into_iter().find(|about| about.id == id)
}

/// One detection. It sees every event of a job once, in order, and keeps what it needs.
pub trait Detection {
    /// What is known of it before it has seen anything.
    fn about(&self) -> &'static About;

    /// Looks at the next event; `tree` has taken it already. Adds what it finds to `findings`.
    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>);
}

/// What looks for more than the detections here: the rules of a user. It has many names where a [`Detection`] has one,
/// because what an event is to expressions is made once for all of them.
pub trait Observer: Send {
    /// What is known of each rule before it has seen anything.
    fn abouts(&self) -> &[RuleAbout];

    /// SHA-256 of the file that they are from, in hexadecimal digits.
    fn digest(&self) -> &str;

    /// As [`Detection::observe`].
    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>);

    /// What a reader should know about how it went, a sentence each.
    fn notes(&self) -> Vec<String>;
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The detection's id, such as `source-code-overwritten`.
    pub detection: String,
    /// How much it matters, if nobody meant it to happen.
    pub severity: Severity,
    /// How often something harmless looks the same.
    #[serde(default)]
    pub confidence: Confidence,
    /// When it happened.
    pub time: Time,
    /// The event that gave rise to it.
    pub seq: u64,
    /// Earlier events that belong to it, by their `seq`, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<u64>,
    /// Who did it; missing when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
    /// One sentence for a person. What it quotes from the job is shortened and free of control characters.
    pub message: String,
    /// The file that it is about, relative to the workspace. A finding has at most one of `path` and `destination`;
    /// neither when it is about the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The destination that it is about, as `name:port`; a refused question to DNS has the name alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// For a file that git tracks, what it held and holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentChange>,
}

/// What a tracked file held when the job started, and what it holds now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContentChange {
    /// The hash at the start, as `git hash-object` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_before: Option<String>,
    /// The hash now; missing when it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_after: Option<String>,
    /// What differs, if both are small texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diff: Option<FileDiff>,
    /// Why there is no diff.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_diff: Option<NoDiff>,
    /// The mount through which the path shows it, if the file itself did not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<MountOver>,
}

impl ContentChange {
    fn of(change: &FileChange) -> ContentChange {
        ContentChange {
            hash_before: change.hash_before.clone(),
            hash_after: change.hash_after.clone(),
            diff: change.diff.clone(),
            no_diff: change.no_diff,
            mount: change.mount.clone(),
        }
    }
}

/// How much a finding matters, if nobody meant it to happen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Known to be harmless, and told so that nobody has to wonder.
    Info,
    /// Worth knowing.
    Low,
    /// Worth a look.
    Medium,
    /// The build's result may not be what its source says, or secrets may be gone.
    High,
}
