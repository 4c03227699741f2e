use crate::{Millis, Project};

/// One day of an organisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// When it began, UTC.
    pub start: Millis,
    /// Runs that began on it.
    pub runs: i64,
    /// Of these, in block mode.
    pub blocking: i64,
    /// Calls that were stopped in them.
    pub blocked: i64,
    /// Detections in them.
    pub detections: i64,
}

/// An organisation at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// A project and what it has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSummary {
    /// The project.
    pub project: Project,
    /// Its runs, as far as they are kept.
    pub runs: i64,
    /// When the last one began.
    pub last_run_at: Option<Millis>,
    /// Runs in which something was stopped.
    pub blocked_runs: i64,
    /// Detections that nobody has decided about.
    pub open_detections: i64,
}
