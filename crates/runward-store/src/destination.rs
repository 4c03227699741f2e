use crate::{Millis, ProjectId};

/// One destination in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// `name:port`, or `ip:port` when no name is known.
    pub destination: String,
    /// Connections that were asked for.
    pub connections: i64,
    /// Calls that were stopped.
    pub blocked: i64,
    /// Bytes that were sent.
    pub bytes_sent: i64,
    /// Bytes that were received.
    pub bytes_received: i64,
    /// The first program that went there.
    pub program: String,
}

/// A destination that a run went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Went {
    /// The destination's number.
    pub destination: i64,
    /// What the run did there.
    pub observation: Observation,
}

/// One destination in everything that an organisation has sent. Its sums and its first time are since it was first seen,
/// also in runs that are no longer kept; it is forgotten with the last run that went there.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub first_seen_at: Millis,
    /// The last one.
    pub last_seen_at: Millis,
    /// Programs that went there, at most a few.
    pub programs: Vec<String>,
}

/// Which destinations are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DestinationFilter {
    /// With this text in them.
    pub text: Option<String>,
    /// Only those where something was stopped.
    pub blocked: bool,
}

/// One run that went to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The run's name.
    pub run: String,
    /// Its number.
    pub number: i64,
    /// Its project.
    pub project: ProjectId,
    /// The project's full name.
    pub project_name: String,
    /// The pipeline.
    pub pipeline: String,
    /// The job.
    pub job: String,
    /// When it began.
    pub started_at: Millis,
    /// What it did there.
    pub observation: Observation,
}
