//! Named policies.

use runward_event::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::examples;
use crate::object::object;

/// One fault of a policy's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyFault {
    /// The line, counted from 1.
    pub line: u32,
    /// The column in characters, counted from 1.
    pub column: u32,
    /// The offending text.
    pub text: String,
    /// What is wrong with it.
    pub message: String,
    /// What was probably meant, ready to be written in place of `text`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// What a policy holds for: the organisation without any field, a project, a pipeline of it, or a job of that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::scope())]
pub struct PolicyScope {
    /// The project's number.
    #[serde(default)]
    pub project_id: Option<i64>,
    /// The pipeline; only with a project.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1024))]
    pub pipeline: Option<String>,
    /// The job; only with a pipeline.
    #[serde(default)]
    #[schemars(length(min = 1, max = 1024))]
    pub job: Option<String>,
}

/// That a policy holds for a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyAttachment {
    /// Its number.
    pub id: i64,
    /// The policy's number.
    pub policy_id: i64,
    /// The project's number; none where it holds for the whole organisation.
    pub project_id: Option<i64>,
    /// The project's full name.
    pub project: Option<String>,
    /// The pipeline, if it is narrowed to one.
    pub pipeline: Option<String>,
    /// The job, if it is narrowed to one.
    pub job: Option<String>,
    /// Who attached it.
    pub attached_by: String,
    /// When.
    pub attached_at_ms: i64,
}

/// A policy that has a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policy {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The number of its newest version.
    pub version: i64,
    /// The mode that this asks for.
    pub mode: Mode,
    /// Who made it.
    pub changed_by: String,
    /// When.
    pub changed_at_ms: i64,
    /// Why.
    pub note: String,
    /// When the policy was put away.
    pub archived_at_ms: Option<i64>,
    /// Where it is attached, the widest scopes first.
    pub attachments: Vec<PolicyAttachment>,
    /// The text of the newest version. Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Policies, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Policies {
    /// The policies.
    pub policies: Vec<Policy>,
}

/// A policy that is to be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::policy())]
pub struct NewPolicy {
    /// Its name, which no other policy has.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// The policy file: YAML, at most 64 KiB.
    #[schemars(length(min = 1, max = 65536))]
    pub text: String,
    /// Why it is made.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub note: String,
}

/// A change of a policy, which makes a new version of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::change())]
pub struct PolicyChange {
    /// The version that was edited. When it is not the newest any more, nothing is changed, and the answer is 409.
    pub version: i64,
    /// The whole new text.
    #[schemars(length(min = 1, max = 65536))]
    pub text: String,
    /// Why it is changed.
    #[serde(default)]
    #[schemars(length(max = 500))]
    pub note: String,
}

/// One version of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyVersion {
    /// Counted from 1.
    pub version: i64,
    /// The mode that it asks for.
    pub mode: Mode,
    /// Who made it.
    pub changed_by: String,
    /// When.
    pub changed_at_ms: i64,
    /// Why.
    pub note: String,
    /// Its text. Lists leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// Versions of a policy, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyVersions {
    /// The versions.
    pub versions: Vec<PolicyVersion>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// Which policy is in effect for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EffectivePolicy {
    /// The policy; null when none is attached to the job, its pipeline, its project or the organisation.
    pub policy: Option<InEffect>,
    /// Policies that would be, were they not attached to something wider; the narrowest first.
    pub overridden: Vec<Overridden>,
}

/// The policy that is in effect for a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InEffect {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The number of its newest version.
    pub version: i64,
    /// The mode that this asks for.
    pub mode: Mode,
    /// The text of it.
    pub text: String,
    /// What it is attached to.
    pub attached_to: AttachedTo,
}

/// A policy that is attached where a job lies, while another one is attached closer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overridden {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// What it is attached to.
    pub attached_to: AttachedTo,
}

/// What a policy is attached to, from the widest to the narrowest. The narrowest that a job lies in decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AttachedTo {
    /// The whole organisation.
    Organisation,
    /// The job's project.
    Project,
    /// The job's pipeline.
    Pipeline,
    /// The job itself.
    Job,
}

/// A text to try on what runs did. Nothing is kept of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::trial())]
pub struct PolicyTrial {
    /// The policy file.
    #[schemars(length(min = 1, max = 65536))]
    pub text: String,
    /// Whose runs.
    #[serde(default, deserialize_with = "object")]
    pub scope: PolicyScope,
    /// How many of them, the newest: 1 to 50; 10 unless given.
    #[serde(default)]
    #[schemars(range(min = 1, max = 50))]
    pub runs: Option<u32>,
}

/// What a policy would have stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriedPolicy {
    /// The mode that the text asks for. In `audit`, what stands here would have been recorded, and not stopped.
    pub mode: Mode,
    /// The runs, newest first.
    pub runs: Vec<TriedRun>,
    /// Runs that were left out, because there would have been too much to look through.
    pub omitted_runs: u64,
    /// What would have been stopped, most connections first; at most 200 rows.
    pub stopped: Vec<Stopped>,
    /// Destinations that are not listed there, because there are too many; behind 20,000 of them, each connection counts
    /// as one.
    pub unlisted: u64,
}

/// A run that a policy was tried on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TriedRun {
    /// The run's name.
    pub run: String,
    /// Connections that the record has.
    pub connections: u64,
    /// Those of them that would have been stopped.
    pub stopped: u64,
    /// Connections that were counted and not recorded one by one, because there were too many: it is not known what the
    /// policy would say of them.
    pub not_judged: u64,
}

/// What a policy would have stopped to one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stopped {
    /// `name:port`, or `ip:port` when no name is known.
    pub destination: String,
    /// Connections.
    pub connections: u64,
    /// Those of them that were stopped when they were recorded, too.
    pub stopped_then: u64,
    /// In how many of the runs.
    pub runs: u64,
    /// The programs that made them, at most 20.
    pub programs: Vec<String>,
    /// Why.
    pub reason: String,
}
