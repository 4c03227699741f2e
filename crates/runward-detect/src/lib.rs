//! Detections: each is one file, one fixture, one expected result and one docs section under the same name.

use runward_event::{Event, ProcessId, Time};
use runward_tree::Tree;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Something that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// The detection's id, such as `source-code-overwritten`.
    pub detection: String,
    pub severity: Severity,
    pub time: Time,
    /// The event that gave rise to it.
    pub seq: u64,
    pub process: Option<ProcessId>,
    /// One sentence for a person.
    pub message: String,
    /// What it is about: exactly one of `path` and `destination`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Low,
    Medium,
    High,
}

/// One detection. It sees every event of a job once, in order, and keeps what it needs.
pub trait Detection {
    fn id(&self) -> &'static str;
    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>);
}

/// Every detection there is, ready for one job.
pub fn all() -> Vec<Box<dyn Detection + Send>> {
    vec![]
}
