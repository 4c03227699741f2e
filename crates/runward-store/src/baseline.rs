use serde::{Deserialize, Serialize};

use crate::{Cursor, Millis, NewDetection, OrgId, ProjectId};

/// A job's number in this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

/// What a run's judgement needs to know of the run beside its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunPlace {
    /// The run's number.
    pub number: i64,
    /// Its name.
    pub id: String,
    /// Its organisation.
    pub org: OrgId,
    /// Its project.
    pub project: ProjectId,
    /// Its job.
    pub job: JobId,
    /// The commit that was built.
    pub commit: Option<String>,
    /// Why it started, in the provider's word.
    pub trigger: Option<String>,
    /// When something came of it last.
    pub last_seen_at: Millis,
}

/// The state of a job's baseline, as bytes that the database does not look into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptBaseline {
    /// Goes up with every change; 0 for a job of which nothing is kept yet.
    pub version: i64,
    /// The state; empty for such a job.
    pub state: Vec<u8>,
}

/// What is kept of the jobs of one project or organisation together, of the keys that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptLevel {
    /// Runs with alerts, how many were to be expected, runs with anything new, and how many were to be expected.
    pub rates: [f64; 4],
    /// When these were added to last.
    pub rated_at: Option<Millis>,
    /// The keys that are known.
    pub keys: Vec<KeptKey>,
}

/// What is kept of one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptKey {
    /// The key, its bits as they are.
    pub key: i64,
    /// Jobs in which it is normal.
    pub normal: i64,
    /// Jobs in which it is new and nobody has answered.
    pub open: i64,
    /// When the last of these was opened.
    pub opened_at: Option<Millis>,
}

/// How far a baseline can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BaselineState {
    /// Too few runs.
    #[default]
    Creating,
    /// It raises no more alerts than were promised.
    Stable,
    /// It may raise more.
    Unstable,
}

/// What lists say of a baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BaselineSummary {
    /// How far it can be relied on.
    pub state: BaselineState,
    /// Runs that were learned.
    pub runs: i64,
    /// Destinations and files that are normal.
    pub members: i64,
    /// New things that nobody has answered.
    pub open: i64,
    /// Alerts to be expected of a run: the best guess, and bounds that hold for nine in ten jobs.
    pub alert_rate: [f64; 3],
}

/// A change of a job's baseline. It is kept as a whole, or, when the baseline is not of the version that it was made from
/// any more, not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BaselineChange {
    /// The version that it was made from.
    pub version: i64,
    /// The new state.
    pub state: Vec<u8>,
    /// What lists say of it.
    pub summary: BaselineSummary,
    /// Lines of the changelog.
    pub entries: Vec<NewBaselineEntry>,
    /// Keys, and what is added to their two numbers of jobs.
    pub keys: Vec<(i64, i32, i32)>,
    /// What is added to the rates of the project and of the organisation.
    pub rates: [f64; 4],
    /// How much of what these were is still counted: of the project's, and of the organisation's.
    pub faded: [f64; 2],
    /// When.
    pub at: Millis,
}

/// A new line of a changelog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBaselineEntry {
    /// When.
    pub at: Millis,
    /// What: `joined`, `opened`, and so on.
    pub what: String,
    /// What it is about.
    pub subject: String,
    /// The name of the run that caused it.
    pub run: Option<String>,
    /// The person who decided it, if one did.
    pub person: Option<String>,
    /// Why, in one sentence.
    pub why: String,
}

/// A line of the changelog of a job's baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaselineEntry {
    /// Its number.
    pub id: i64,
    /// What it says.
    pub entry: NewBaselineEntry,
}

/// A job's baseline in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// The job.
    pub job: JobId,
    /// Its project.
    pub project: ProjectId,
    /// The project's full name.
    pub project_name: String,
    /// The pipeline.
    pub pipeline: String,
    /// The job's name.
    pub job_name: String,
    /// What there is to say.
    pub summary: BaselineSummary,
    /// When it changed last.
    pub changed_at: Millis,
}

/// Which baselines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaselineFilter {
    /// Of one project.
    pub project: Option<ProjectId>,
    /// In one state.
    pub state: Option<BaselineState>,
}

impl Baseline {
    /// Its place in a list.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            time: self.changed_at,
            id: self.job.0,
        }
    }
}

/// What an admin sets for all baselines of an organisation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BaselineSettings {
    /// Runs before a baseline stops being created.
    pub min_runs: i64,
    /// Days after which it does, too.
    pub min_days: Option<i64>,
    /// Runs of which one may raise a false alert.
    pub runs_per_alert: i64,
    /// Commits of protected branches in which expected news recurs until it is normal.
    pub news_commits: i64,
    /// The same for what raised an alert; none if only a person may accept that.
    pub alert_commits: Option<i64>,
}

impl BaselineSettings {
    /// What is wrong with them, if anything is.
    pub fn fault(&self) -> Option<&'static str> {
        let within = |number: i64, most: i64| (1..=most).contains(&number);
        let maybe = |number: Option<i64>, most: i64| number.is_none_or(|n| within(n, most));
        let checks = [
            (within(self.min_runs, 10_000), "min_runs: 1 to 10,000 runs"),
            (
                maybe(self.min_days, 365),
                "min_days: 1 to 365 days, or none",
            ),
            (
                within(self.runs_per_alert, 100_000),
                "runs_per_alert: 1 to 100,000 runs",
            ),
            (
                within(self.news_commits, 64),
                "news_commits: 1 to 64 commits",
            ),
            (
                maybe(self.alert_commits, 64),
                "alert_commits: 1 to 64 commits, or none",
            ),
        ];
        let mut wrong = checks.into_iter().filter(|(good, _)| !good);
        wrong.next().map(|(_, fault)| fault)
    }
}

impl Default for BaselineSettings {
    fn default() -> BaselineSettings {
        BaselineSettings {
            min_runs: 100,
            min_days: None,
            runs_per_alert: 200,
            news_commits: 5,
            alert_commits: Some(50),
        }
    }
}

/// The kind of an [`Anomaly`] that only says that a run has a finding, so that those of other projects find it: such a row
/// is among the sightings, and is none of what was not normal in the run.
pub const FINDING_SEEN: &str = "finding";

/// Something in a run that is not normal for its job.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// The same whenever a job shows the same thing.
    pub key: String,
    /// `new-destination`, `new-lineage`, `data-volume`, `new-overwrite` or `storm`.
    pub kind: String,
    /// `name:port`, or a path.
    pub subject: String,
    /// The program.
    pub program: String,
    /// The step.
    pub step: Option<String>,
    /// The dependency.
    pub dependency: Option<String>,
    /// When it happened first in the run.
    pub at: Millis,
    /// How many times likelier in an attack, as a power of ten.
    pub score: f64,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `low`, `medium` or `high`.
    pub confidence: String,
    /// `news`, `known` or `alert`.
    pub disposition: String,
    /// Why, in sentences.
    pub explanation: String,
}

/// An anomaly, and where it was seen: in which organisation, too.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenAnomaly {
    /// What was seen.
    pub anomaly: Anomaly,
    /// The organisation.
    pub org: OrgId,
    /// The project.
    pub project: ProjectId,
    /// The job.
    pub job: JobId,
    /// The run.
    pub run: String,
    /// The image of the machine.
    pub image: Option<String>,
    /// Whether the machine is the provider's.
    pub hosted: Option<bool>,
}

/// The same new thing in several jobs at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// What the anomalies have in common.
    pub key: String,
    /// The same for people.
    pub subject: String,
    /// When it was first seen.
    pub first_at: Millis,
    /// When it was last seen.
    pub last_at: Millis,
    /// Jobs.
    pub jobs: i64,
    /// All that is known of it, as bytes that the database does not look into.
    pub state: Vec<u8>,
}

/// An incident as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewIncident {
    /// See [`Incident::key`].
    pub key: String,
    /// See [`Incident::subject`].
    pub subject: String,
    /// See [`Incident::first_at`]. Together with the key it tells waves of the same thing apart.
    pub first_at: Millis,
    /// See [`Incident::last_at`].
    pub last_at: Millis,
    /// See [`Incident::jobs`].
    pub jobs: i64,
    /// Organisations that it reaches.
    pub orgs: Vec<OrgId>,
    /// What the organisation of the run is told, once.
    pub detection: NewDetection,
    /// The finding that it is made of, where it is of findings: an organisation that hides it is not told.
    pub cause: Option<NewDetection>,
    /// See [`Incident::state`].
    pub state: Vec<u8>,
}
