use serde::{Deserialize, Serialize};

use crate::{Millis, ProjectId};

/// What has become of a detection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DetectionStatus {
    /// Nobody has decided yet.
    New,
    /// A rule hides it.
    Suppressed,
    /// Somebody has dealt with it.
    Resolved,
}

/// Something in a run that a person should look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Detection {
    /// Its number.
    pub id: i64,
    /// The kind, such as `outbound-call-blocked`.
    pub kind: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// What was found, in one sentence.
    pub title: String,
    /// What it is about: a destination, a file. By this, one in another run is the same.
    pub subject: String,
    /// The program that did it.
    pub program: String,
    /// The run's name.
    pub run: String,
    /// The run's project.
    pub project: ProjectId,
    /// The project's full name.
    pub project_name: String,
    /// The pipeline.
    pub pipeline: String,
    /// The job.
    pub job: String,
    /// When it happened, by the clock of the job's machine.
    pub at: Millis,
    /// What has become of it.
    pub status: DetectionStatus,
    /// Who decided.
    pub decided_by: Option<String>,
    /// What somebody wrote to it.
    pub comment: Option<String>,
}

/// A detection as it comes out of a run's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDetection {
    /// See [`Detection::kind`].
    pub kind: String,
    /// See [`Detection::severity`].
    pub severity: String,
    /// See [`Detection::title`].
    pub title: String,
    /// See [`Detection::subject`].
    pub subject: String,
    /// See [`Detection::program`].
    pub program: String,
    /// See [`Detection::at`].
    pub at: Millis,
}

/// Which detections are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DetectionFilter {
    /// Of one kind.
    pub kind: Option<String>,
    /// In one state.
    pub status: Option<DetectionStatus>,
    /// Of one project.
    pub project: Option<ProjectId>,
    /// Of one run.
    pub run: Option<String>,
}
