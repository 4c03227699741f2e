use runward_event::{Event, ProcessId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Finding, Severity};

/// What is known of a detection before it has seen anything.
#[derive(Debug)]
pub struct About {
    /// Its name: in findings, in `--fail-on`, in the docs and in the name of its fixture. Never changes.
    pub id: &'static str,
    /// What it fires on, in a line.
    pub title: &'static str,
    /// The highest severity of its findings.
    pub severity: Severity,
    /// How often something harmless looks the same.
    pub confidence: Confidence,
    /// What must be recorded for it to see anything.
    pub needs: &'static str,
    /// What a person does next, in a sentence or two.
    pub next: &'static str,
}

/// What is known of a rule of a user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleAbout {
    /// Its name: in findings and in `--fail-on`.
    pub id: String,
    /// What it fires on, in a line.
    pub title: String,
    /// The severity of its findings.
    pub severity: Severity,
    /// How often something harmless looks the same.
    pub confidence: Confidence,
    /// What a person does next; empty when nobody said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
}

/// How often something harmless looks like a finding.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// Often: a hint that gains weight beside others.
    Low,
    /// In some builds.
    #[default]
    Medium,
    /// Hardly ever.
    High,
}

impl About {
    /// A finding of this detection, of its usual severity, about nothing but a process.
    pub(crate) fn finding(
        &self,
        event: &Event,
        process: Option<ProcessId>,
        message: String,
    ) -> Finding {
        Finding {
            detection: self.id.to_owned(),
            severity: self.severity,
            confidence: self.confidence,
            time: event.time,
            seq: event.seq,
            evidence: Vec::new(),
            process,
            message,
            path: None,
            destination: None,
            content: None,
        }
    }
}
