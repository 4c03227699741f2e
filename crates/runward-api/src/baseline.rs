use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::examples;
use crate::notification::{Severity, said};

/// How far a baseline can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BaselineState {
    /// Too few runs: nothing raises an alert yet.
    Creating,
    /// It raises no more alerts than were promised, as far as can be told.
    Stable,
    /// It may raise more.
    Unstable,
}

/// How often something is to be expected, in parts of all runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// The best guess.
    pub mean: f64,
    /// Of a hundred jobs of which as much is known, five have a rate below.
    pub low: f64,
    /// Of a hundred, five have a rate above.
    pub high: f64,
}

/// What is normal for a job, as lists have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Baseline {
    /// The job's number.
    pub job_id: i64,
    /// Its name.
    pub job: String,
    /// The pipeline.
    pub pipeline: String,
    /// The project's number.
    pub project_id: i64,
    /// The project's full name.
    pub project: String,
    /// How far it can be relied on.
    pub state: BaselineState,
    /// Runs that were learned.
    pub runs: i64,
    /// Destinations and files that are normal.
    pub members: i64,
    /// New things that nobody has answered.
    pub open: i64,
    /// How many of the coming runs will raise an alert.
    pub alert_rate: Rate,
    /// When it changed last, in milliseconds since 1970.
    pub changed_at_ms: i64,
}

/// Baselines, the one that changed last first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Baselines {
    /// The baselines.
    pub baselines: Vec<Baseline>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}

/// Why a baseline is not to be relied on yet, and what would help.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineReason {
    /// What is the matter.
    pub what: String,
    /// What would settle it.
    pub remedy: String,
    /// The destinations, files or programs that cause it.
    pub culprits: Vec<String>,
    /// Lines of a policy that would settle it.
    pub policy: Vec<String>,
}

/// Something that is normal for a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineMember {
    /// By this it can be removed.
    pub key: String,
    /// `name:port`, a pattern of names, or a path.
    pub subject: String,
    /// Whether it is a file, and not a destination.
    pub is_file: bool,
    /// What each `*` of a pattern stands for.
    pub stars: Vec<String>,
    /// The programs, with the dependencies that they ran for.
    pub programs: Vec<String>,
    /// The steps.
    pub steps: Vec<String>,
    /// When it was first seen, in milliseconds since 1970.
    pub first_seen_at_ms: i64,
    /// When it was last seen.
    pub last_seen_at_ms: i64,
    /// In how many runs.
    pub runs: u64,
    /// The most bytes that one run sent.
    pub most_sent: u64,
    /// Who accepted it, if a person did.
    pub accepted_by: Option<String>,
}

/// Something new that nobody has answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OpenAnomaly {
    /// By this it can be accepted or rejected.
    pub key: String,
    /// `name:port`, or a path.
    pub subject: String,
    /// Whether somebody was told.
    pub told: bool,
    /// The programs, with the dependencies that they ran for.
    pub programs: Vec<String>,
    /// When it was first seen, in milliseconds since 1970.
    pub first_seen_at_ms: i64,
    /// When it was last seen.
    pub last_seen_at_ms: i64,
    /// In how many runs.
    pub runs: u32,
    /// In how many commits that count for becoming normal by itself.
    pub counted: u32,
    /// How many of these it takes; none if only a person can accept it.
    pub takes: Option<u32>,
    /// Who rejected it, if somebody did.
    pub rejected_by: Option<String>,
}

/// All that is known of what is normal for a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineDetail {
    /// As lists have it.
    pub baseline: Baseline,
    /// Why it is not stable, the weightiest first; what is missing while it is being created.
    pub reasons: Vec<BaselineReason>,
    /// How many of the coming runs will show anything new, alert or not.
    pub news_rate: Rate,
    /// What is normal.
    pub members: Vec<BaselineMember>,
    /// What is new, and nobody has answered.
    pub new: Vec<OpenAnomaly>,
    /// A policy that allows what is normal, and nothing else.
    pub policy: String,
}

/// A line of a baseline's changelog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineChange {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// `joined`, `generalised`, `opened`, `rejected`, `removed`, `forgotten`, `reset` or `adopted`.
    pub what: String,
    /// What it is about.
    pub subject: String,
    /// The run that caused it.
    pub run: Option<String>,
    /// Who decided it, if a person did.
    pub person: Option<String>,
    /// Why.
    pub why: String,
}

/// A baseline's changelog, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineChanges {
    /// The lines.
    pub changes: Vec<BaselineChange>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}

/// What a person says of something new, or of something normal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BaselineVerdict {
    /// It is normal.
    Accept,
    /// It is wrong, and raises an alert whenever it is seen.
    Reject,
    /// It is not normal any more.
    Remove,
}

/// A person's decision about a baseline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::baseline_decision())]
pub struct BaselineDecision {
    /// See [`OpenAnomaly::key`] and [`BaselineMember::key`].
    #[schemars(length(min = 1, max = 2_000))]
    pub key: String,
    /// What is decided.
    pub verdict: BaselineVerdict,
}

/// How baselines of an organisation are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BaselineSettings {
    /// Runs after which a baseline is no longer being created.
    pub min_runs: i64,
    /// Days after which it is not either, if there is such a term.
    pub min_days: Option<i64>,
    /// The alert budget: runs of which one may raise a false alert.
    pub runs_per_alert: i64,
    /// Commits of protected branches in which expected news recurs until it is normal.
    pub news_commits: i64,
    /// The same for what raised an alert; none if only a person may accept that.
    pub alert_commits: Option<i64>,
}

/// What is to be changed of it: what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(example = examples::baseline_settings())]
pub struct BaselineSettingsChange {
    /// See [`BaselineSettings::min_runs`].
    #[schemars(range(min = 1, max = 10_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_runs: Option<i64>,
    /// See [`BaselineSettings::min_days`].
    #[schemars(with = "Option<i64>", range(min = 1, max = 365))]
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub min_days: Option<Option<i64>>,
    /// See [`BaselineSettings::runs_per_alert`].
    #[schemars(range(min = 1, max = 100_000))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs_per_alert: Option<i64>,
    /// See [`BaselineSettings::news_commits`].
    #[schemars(range(min = 1, max = 64))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub news_commits: Option<i64>,
    /// See [`BaselineSettings::alert_commits`].
    #[schemars(with = "Option<i64>", range(min = 1, max = 64))]
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub alert_commits: Option<Option<i64>>,
}

/// Something in a run that is not normal for its job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Anomaly {
    /// The same whenever the job shows the same thing.
    pub key: String,
    /// `new-destination`, `new-lineage`, `data-volume`, `new-overwrite` or `storm`.
    pub kind: String,
    /// `name:port`, or a path.
    pub subject: String,
    /// The program.
    pub program: String,
    /// The step.
    pub step: Option<String>,
    /// The dependency that was being installed.
    pub dependency: Option<String>,
    /// When it happened first in the run, in milliseconds since 1970.
    pub at_ms: i64,
    /// How many times likelier it is in an attack than in an ordinary run, as a power of ten.
    pub score: f64,
    /// How bad it would be.
    pub severity: Severity,
    /// `low`, `medium` or `high`.
    pub confidence: String,
    /// `alert`; `news` for what was to be expected; `known` for what an earlier run has shown.
    pub disposition: String,
    /// Why, in sentences.
    pub explanation: String,
}

/// What is not normal in a run, the worst first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Anomalies {
    /// The anomalies.
    pub anomalies: Vec<Anomaly>,
}

/// The same new thing in several jobs at once, on the whole server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// What it is about.
    pub subject: String,
    /// All of it in sentences.
    pub summary: String,
    /// When it was first seen, in milliseconds since 1970.
    pub first_at_ms: i64,
    /// When it was last seen.
    pub last_at_ms: i64,
    /// Jobs of this organisation.
    pub jobs: u64,
    /// Projects of this organisation.
    pub projects: u64,
    /// Whether jobs of other organisations saw it, too.
    pub elsewhere: bool,
    /// The program that did it everywhere, if it was one.
    pub program: Option<String>,
    /// The image that all machines had, if it was one.
    pub image: Option<String>,
    /// The dependency that was being installed everywhere, if it was one.
    pub dependency: Option<String>,
    /// Whether all machines are the provider's (`true`) or all the users' own (`false`).
    pub hosted: Option<bool>,
}

/// Incidents, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incidents {
    /// The incidents.
    pub incidents: Vec<Incident>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}
