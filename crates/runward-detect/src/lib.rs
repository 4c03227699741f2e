//! Detections: what a person should look at in a job's record.
//!
//! A detection is four things under one name: a source file here, a fixture and its expected result in
//! `tests/scenarios/<id>/`, and a section in `docs/detections.md`. To add one, write these four and add a line to
//! [`all`]; a test fails while one of them is missing.
//!
//! **Architecture invariant.** A detection is a function of the record: it does no I/O, has no clock, can't fail, and
//! keeps bounded state whatever a job does. This crate imports only `runward-event` and `runward-tree`.

mod agent_tampered;
mod outbound_call_blocked;
mod refusal;
mod sentence;
mod source_code_overwritten;

use runward_event::{Event, ProcessId, Time};
use runward_tree::Tree;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use refusal::{Refusal, destination, reason_sentence};

/// Every detection there is, ready for one job.
pub fn all() -> Vec<Box<dyn Detection + Send>> {
    vec![
        Box::new(source_code_overwritten::SourceCodeOverwritten::default()),
        Box::new(outbound_call_blocked::OutboundCallBlocked::default()),
        Box::new(agent_tampered::AgentTampered::default()),
    ]
}

/// One detection. It sees every event of a job once, in order, and keeps what it needs.
pub trait Detection {
    /// Its name: in findings, in `--fail-on`, in the docs and in the name of its fixture. Never changes.
    fn id(&self) -> &'static str;

    /// Looks at the next event; `tree` has taken it already. Adds what it finds to `findings`.
    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>);
}

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The detection's id, such as `source-code-overwritten`.
    pub detection: String,
    /// How much it matters, if nobody meant it to happen.
    pub severity: Severity,
    /// When it happened.
    pub time: Time,
    /// The event that gave rise to it.
    pub seq: u64,
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
}

/// How much a finding matters, if nobody meant it to happen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Worth a look.
    Medium,
    /// The build's result may not be what its source says, or secrets may be gone.
    High,
}
