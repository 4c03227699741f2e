//! What is not normal in a run.

use runward_detect::Severity;
use runward_event::Time;
use serde::{Deserialize, Serialize};

use crate::key::AnomalyKey;
use crate::summary::Lineage;

/// What is not normal in a run, or in as much of it as has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// One for each new thing, the worst first. At most [`crate::limits::ANOMALIES`].
    pub anomalies: Vec<Anomaly>,
    /// Set when the run has so many alerts that they are told as one.
    pub storm: Option<Storm>,
    /// Calls and overwritten files that are not normal, but were too many to be listed.
    pub omitted: u64,
}

/// One thing that is not normal.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// The same whenever the job shows the same thing again: by this, the shell tells of it once.
    pub key: AnomalyKey,
    /// What kind of thing.
    pub kind: Kind,
    /// What it is about, as people read it: `name:port`, `address:port/udp`, or a path. Shortened and harmless.
    pub subject: String,
    /// Who did it.
    pub lineage: Lineage,
    /// When it happened first in this run.
    pub at: Time,
    /// How many times likelier in an attack than in an ordinary run of this job, as a power of ten.
    pub score: f64,
    /// How much it matters, if nobody meant it to happen.
    pub severity: Severity,
    /// How sure the score is, by how much is known of the job.
    pub confidence: Confidence,
    /// Whether somebody should be told now.
    pub disposition: Disposition,
    /// Why, in sentences for people, the weightiest first.
    pub explanation: Vec<String>,
}

/// What kind of thing is not normal.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[non_exhaustive]
pub enum Kind {
    /// A destination that the job never called.
    #[default]
    NewDestination,
    /// A known destination, called by a program or for a dependency that never called it.
    NewLineage,
    /// Far more data than ever to a known destination.
    DataVolume,
    /// A file that the job never overwrote, or a program that never overwrote it.
    NewOverwrite,
    /// So many new things in one run that they are told as one.
    Storm,
}

/// Whether somebody should be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Disposition {
    /// New, but expected: shown on pages, nobody is told.
    News,
    /// Somebody was told of the same thing before: in this job, in another one of the organisation, or in the summary of
    /// a storm. Still not normal.
    Known,
    /// Somebody should be told now.
    Alert,
}

/// How sure a score is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    /// Few runs, or the job has just been changed.
    Low,
    /// Enough runs to go by.
    Medium,
    /// Many runs, of this job and of others around it.
    High,
}

/// A run with more alerts than anybody reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    /// By this, the shell tells of it once.
    pub key: AnomalyKey,
    /// Whether somebody should be told now.
    pub disposition: Disposition,
    /// How many alerts it stands for, listed or not.
    pub alerts: u64,
    /// One sentence for people.
    pub sentence: String,
}
