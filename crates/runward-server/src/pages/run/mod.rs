//! The pages of one run, which share a header and tabs. They are made from the store's row, which is always there, and
//! from the report of the run's events so far.

mod actor;
mod change;
mod detections;
mod files;
mod frame;
mod gone;
mod https;
mod network;
mod policy;
mod process_rows;
mod processes;
mod rows_query;
mod steps;
mod summary;
mod unusual;

use runward_report::Report;
use runward_store::{Anomaly, AttachedPolicy, JobId, Millis, Project, Run};

pub(super) use actor::Actor;
pub(super) use change::Change;
pub(crate) use detections::DetectionsTab;
pub(crate) use files::FilesTab;
pub(crate) use gone::{GoneTab, deleted_when};
pub(crate) use https::HttpsTab;
pub(crate) use network::NetworkTab;
pub(crate) use policy::{PolicyTab, WhatIf, WhatIfRow};
pub(crate) use process_rows::ProcessesJson;
pub(crate) use processes::ProcessesTab;
pub(crate) use rows_query::RowsQuery;
pub(crate) use steps::StepsTab;
pub(crate) use summary::SummaryTab;

/// What all pages of a run are made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunSource<'a> {
    pub(crate) run: &'a Run,
    pub(crate) project: &'a Project,
    /// Empty where the run's events were deleted.
    pub(crate) report: &'a Report,
    /// Named policies that are attached where the run's job lies, the one in effect first. Empty for who is no member.
    pub(crate) policies: &'a [AttachedPolicy],
    /// What was not normal for the job, the worst first.
    pub(crate) anomalies: &'a [Anomaly],
    /// The job, whose baseline members may see.
    pub(crate) job: Option<JobId>,
    /// Overwritten files that are told, where others are what the job always overwrites.
    pub(crate) told_files: Option<&'a [String]>,
    pub(crate) now: Millis,
}
