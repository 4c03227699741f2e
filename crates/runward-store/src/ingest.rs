use runward_event::{JobIdentity, Mode, Tier};

use crate::{
    Anomaly, BaselineChange, Millis, NewDetection, NewIncident, Observation, OrgId, ProjectId, Tags,
};

/// What a run says of itself with its first event.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The run's name: 32 hexadecimal digits.
    pub run: String,
    /// The organisation of the key that it came with.
    pub org: OrgId,
    /// Who the job is. `project`, `pipeline` and `job` are set by now.
    pub identity: JobIdentity,
    /// The only project that the key is good for.
    pub project: Option<ProjectId>,
    /// The command, cut.
    pub command: String,
    /// What was asked for.
    pub requested_mode: Mode,
    /// What is in force.
    pub effective_mode: Mode,
    /// What the kernel allows.
    pub tier: Tier,
    /// The machine.
    pub host: String,
    /// The version of Runward there.
    pub version: String,
    /// The kernel's release there.
    pub kernel: String,
    /// When it began, by its own clock.
    pub started_at: Millis,
}

/// A run that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its number.
    pub number: i64,
    /// Events that have come, without gaps.
    pub events: i64,
}

/// Events that came together and lie in one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The sequence number of the first event.
    pub first: i64,
    /// And of the last.
    pub last: i64,
    /// Where they are.
    pub object: String,
    /// How many bytes there.
    pub bytes: i64,
}

/// What is known after a batch was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// All events up to this one are kept, without gaps.
    pub acknowledged: i64,
    /// Whether the batch was known before.
    pub repeated: bool,
}

/// What a run's events amount to. It replaces what was known of the run before.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    /// When it was made, by the server's clock.
    pub at: Millis,
    /// The last event that went into it.
    pub events: i64,
    /// Whether the last event of the job is among them.
    pub complete: bool,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The command's exit code.
    pub exit_code: Option<i64>,
    /// Processes.
    pub processes: i64,
    /// Connections.
    pub connections: i64,
    /// Calls that were stopped.
    pub blocked: i64,
    /// Changes of files.
    pub file_changes: i64,
    /// Events that were lost.
    pub lost: i64,
    /// What is remarkable, but for [`crate::Tag::NewDestination`], which the store finds.
    pub tags: Tags,
    /// Where it went.
    pub observations: Vec<Observation>,
    /// What a person should look at.
    pub detections: Vec<NewDetection>,
    /// What is not normal for the job.
    pub anomalies: Vec<Anomaly>,
    /// The image of the machine, and whether the machine is the provider's.
    pub machine: (Option<String>, Option<bool>),
    /// What it is a part of: the same things that are not normal, in other jobs at the same time.
    pub incidents: Vec<NewIncident>,
    /// What changes in the job's baseline by it.
    pub baseline: Option<BaselineChange>,
}
