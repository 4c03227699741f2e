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

/// What the subject of a detection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum About {
    /// A destination: `name:port`, or what stands for one.
    Destination,
    /// A file, by its path from the workspace.
    File,
    /// A secret, by its kind.
    Secret,
    /// The machine: there is no subject.
    Machine,
}

/// The rule that hides a detection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenBy {
    /// Its number.
    pub rule: i64,
    /// What people call it.
    pub name: String,
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
    /// What that is.
    pub about: About,
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
    /// The rule that hides it, while it is suppressed.
    pub hidden_by: Option<HiddenBy>,
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
    /// See [`Detection::about`].
    pub about: About,
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
    /// Hidden by one rule.
    pub rule: Option<i64>,
    /// Only what no rule hides.
    pub shown: bool,
}
