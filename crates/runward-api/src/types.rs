use runward_event::{Mode, Provider, Tier};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::examples;
use crate::policy::PolicyFault;

/// A failed request (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The status of the answer.
    pub status: u16,
    /// What kind of failure it is.
    pub title: String,
    /// What is wrong with this request, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The faults of a policy's text, where it is about one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<PolicyFault>,
}

/// The answer to a batch of events, and to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Acknowledged {
    /// All events up to this number are kept, without gaps; what comes after it has to be sent.
    pub acknowledged: i64,
    /// When nothing comes of the run for so long, not even a heartbeat, it is given up.
    pub silent_after_seconds: u64,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Events still come.
    Running,
    /// Its last event has come.
    Finished,
    /// Nothing has come for so long that nothing is expected any more.
    Silent,
}

/// What is remarkable about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tag {
    /// The fence stopped something.
    BlockedCall,
    /// It went where no earlier run of the job went.
    NewDestination,
    /// A source file was overwritten that the job does not always overwrite.
    OverwrittenFile,
    /// The job was ended because of an attack.
    Terminated,
    /// Events were lost.
    Loss,
    /// The job was not watched.
    NotMonitored,
    /// It did what is not normal for the job.
    Anomalous,
}

/// One watched run of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its name: 32 hexadecimal digits.
    pub id: String,
    /// The project's number.
    pub project_id: i64,
    /// The project's full name.
    pub project: String,
    /// The CI system.
    pub provider: Provider,
    /// The pipeline file or name.
    pub pipeline: String,
    /// The job's name in the pipeline.
    pub job: String,
    /// The provider's id of the pipeline's run.
    pub provider_run: Option<String>,
    /// Which try it is, from 1.
    pub attempt: Option<i64>,
    /// The branch or tag.
    pub branch: Option<String>,
    /// The commit.
    pub commit: Option<String>,
    /// The account that started it.
    pub actor: Option<String>,
    /// Why it started.
    pub trigger: Option<String>,
    /// The command, cut.
    pub command: String,
    /// What was asked for.
    pub requested_mode: Option<Mode>,
    /// What was in force.
    pub effective_mode: Option<Mode>,
    /// What the kernel allowed.
    pub tier: Option<Tier>,
    /// The machine.
    pub host: String,
    /// How far it has come.
    pub state: RunState,
    /// When it began, by the clock of its machine.
    pub started_at_ms: i64,
    /// When something came of it last.
    pub last_seen_at_ms: i64,
    /// How long it took, once it has ended.
    pub duration_ms: Option<i64>,
    /// The command's exit code, once it has ended.
    pub exit_code: Option<i64>,
    /// Events that have come, without gaps.
    pub events: i64,
    /// Processes.
    pub processes: i64,
    /// Connections.
    pub connections: i64,
    /// Different destinations, refused lookups among them.
    pub destinations: i64,
    /// Calls that were stopped.
    pub blocked: i64,
    /// Changes of files.
    pub file_changes: i64,
    /// Detections that nobody has decided about.
    pub detections: i64,
    /// Events that were lost.
    pub lost: i64,
    /// What is remarkable.
    pub tags: Vec<Tag>,
    /// When its events were deleted, so that there is no report of it any more.
    pub events_deleted_at_ms: Option<i64>,
    /// When the detections that it had were deleted.
    pub detections_deleted_at_ms: Option<i64>,
}

/// Runs, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Runs {
    /// The runs.
    pub runs: Vec<Run>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// One destination in everything that the organisation has sent. Its sums are since it was first seen, also in runs that
/// are no longer kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destination {
    /// Its number.
    pub id: i64,
    /// `name:port`, or `ip:port` when no name is known.
    pub destination: String,
    /// Runs that went there.
    pub runs: i64,
    /// Jobs that went there.
    pub jobs: i64,
    /// Connections.
    pub connections: i64,
    /// Calls that were stopped.
    pub blocked: i64,
    /// The first run that went there.
    pub first_seen_at_ms: i64,
    /// The last one.
    pub last_seen_at_ms: i64,
    /// Programs that went there, at most a few.
    pub programs: Vec<String>,
}

/// Destinations, the one that was seen last first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destinations {
    /// The destinations.
    pub destinations: Vec<Destination>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What has become of a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DetectionStatus {
    /// Nobody has decided yet.
    New,
    /// A rule hides it.
    Suppressed,
    /// Somebody has dealt with it.
    Resolved,
}

/// Something in a run that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detection {
    /// Its number.
    pub id: i64,
    /// The kind, such as `outbound-call-blocked`.
    pub kind: String,
    /// `low`, `medium` or `high`.
    pub severity: String,
    /// What was found, in one sentence.
    pub title: String,
    /// What it is about: a destination, a file.
    pub subject: String,
    /// The program that did it.
    pub program: String,
    /// The run's name.
    pub run: String,
    /// The project's full name.
    pub project: String,
    /// The pipeline.
    pub pipeline: String,
    /// The job.
    pub job: String,
    /// When it happened, by the clock of the job's machine.
    pub at_ms: i64,
    /// What has become of it.
    pub status: DetectionStatus,
    /// The rule that hides it, while it is suppressed.
    pub suppression_id: Option<i64>,
    /// Who decided.
    pub decided_by: Option<String>,
    /// What somebody wrote to it.
    pub comment: Option<String>,
}

/// Detections, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detections {
    /// The detections.
    pub detections: Vec<Detection>,
    /// Where the next page begins.
    pub next: Option<String>,
}

/// What a person or a program can make of one detection. Suppressing is what rules do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is opened again.
    New,
    /// It was dealt with.
    Resolved,
}

/// What is decided about a detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::decision())]
pub struct Decision {
    /// What has become of it.
    pub status: Verdict,
    /// Why.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Who may read the runs of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Members of the organisation.
    Private,
}

/// A project, and what it has sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Project {
    /// Its number.
    pub id: i64,
    /// The CI system.
    pub provider: Provider,
    /// Its full name there.
    pub name: String,
    /// Who may read its runs.
    pub visibility: Visibility,
    /// Its runs, as far as they are kept.
    pub runs: i64,
    /// When the last one began.
    pub last_run_at_ms: Option<i64>,
    /// Runs in which something was stopped.
    pub blocked_runs: i64,
    /// Detections that nobody has decided about.
    pub open_detections: i64,
}

/// Projects, the one with the newest run first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Projects {
    /// The projects.
    pub projects: Vec<Project>,
}

/// One day of an organisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Day {
    /// When it began, UTC.
    pub start_ms: i64,
    /// Runs that began on it.
    pub runs: i64,
    /// Of these, in block mode.
    pub blocking: i64,
    /// Calls that were stopped in them.
    pub blocked: i64,
    /// Detections in them that nobody has decided about.
    pub detections: i64,
}

/// An organisation at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// The days, oldest first, without gaps.
    pub days: Vec<Day>,
    /// Projects that have sent anything.
    pub projects: i64,
    /// Different jobs, of which a run is kept.
    pub jobs: i64,
    /// Of these, those whose last run was in block mode.
    pub blocking_jobs: i64,
    /// Detections that nobody has decided about.
    pub open_detections: i64,
    /// Detections that suppression rules hide.
    pub hidden_detections: i64,
    /// Runs that are under way.
    pub running: i64,
    /// Different destinations.
    pub destinations: i64,
}

/// A machine that sends records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Agent {
    /// Its number.
    pub id: i64,
    /// The machine's name, as it says.
    pub host: String,
    /// The version of Runward there.
    pub version: String,
    /// What the kernel there allows.
    pub tier: Option<Tier>,
    /// The kernel's release.
    pub kernel: String,
    /// The mode that the last job asked for.
    pub requested_mode: Option<Mode>,
    /// The mode that was in force in it.
    pub effective_mode: Option<Mode>,
    /// When it was heard of last.
    pub last_seen_at_ms: i64,
    /// Jobs that run there now.
    pub running: i64,
    /// Events that were lost there in the last day.
    pub lost_events: i64,
}

/// Machines, the one that was heard of last first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Agents {
    /// The machines.
    pub agents: Vec<Agent>,
}

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// To send records.
    Ingest,
    /// To read everything of the organisation.
    Read,
    /// To do what an admin may.
    Admin,
}

/// A key of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKey {
    /// Its number.
    pub id: i64,
    /// What a person called it.
    pub name: String,
    /// The beginning of the key.
    pub prefix: String,
    /// The only project that it is good for.
    pub project_id: Option<i64>,
    /// What it may be used for.
    pub scope: Scope,
    /// When it was made.
    pub created_at_ms: i64,
    /// When it was used last, to the minute.
    pub used_at_ms: Option<i64>,
    /// When it was taken back.
    pub revoked_at_ms: Option<i64>,
}

/// Keys, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiKeys {
    /// The keys.
    pub keys: Vec<ApiKey>,
}

/// A key that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::key())]
pub struct NewApiKey {
    /// What people will call it.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// What it may be used for.
    pub scope: Scope,
    /// The only project that it is good for.
    #[serde(default)]
    pub project_id: Option<i64>,
}

/// A key that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedApiKey {
    /// The whole key: the only time that it is told.
    pub secret: String,
    /// All else of it.
    pub key: ApiKey,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Reads everything.
    Auditor,
}

/// A person of the organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The person's number.
    pub id: i64,
    /// What the person logs in with, or is called by the identity provider.
    pub login: String,
    /// What the person may do.
    pub role: Role,
    /// Whether the person has a password here; all others come from the identity provider.
    pub password: bool,
}

/// People, by login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Members {
    /// The people.
    pub members: Vec<Member>,
}

/// What is to become of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::member())]
pub struct MemberChange {
    /// What the person may do from now on.
    pub role: Role,
}

/// Projects whose jobs may send records by their CI system's tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trust {
    /// Its number.
    pub id: i64,
    /// Who signs the tokens.
    pub issuer: String,
    /// A project's full name (`group/app`), or all of a group (`group/*`).
    pub pattern: String,
    /// When it was added.
    pub created_at_ms: i64,
}

/// Whom the organisation trusts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trusts {
    /// The entries, by issuer and pattern.
    pub trusts: Vec<Trust>,
}

/// Whom the organisation is to trust.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::trust())]
pub struct NewTrust {
    /// Who signs the tokens: one of the server's setting `ci-issuers`.
    pub issuer: String,
    /// A project's full name (`group/app`), or all of a group (`group/*`).
    #[schemars(length(min = 3, max = 300))]
    pub pattern: String,
}

/// A token for a machine that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedRegistration {
    /// The whole token: the only time that it is told.
    pub token: String,
    /// When it is good for nothing any more.
    pub expires_at_ms: i64,
}

/// A machine that wants a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::agent())]
pub struct NewAgent {
    /// The machine's name.
    #[schemars(length(min = 1, max = 100))]
    pub host: String,
}
