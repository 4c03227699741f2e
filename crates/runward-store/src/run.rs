use runward_event::{Mode, Provider, Tier};
use serde::{Deserialize, Serialize};

use crate::{Deleted, Millis, ProjectId};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Events still come.
    Running,
    /// Its last event has come.
    Finished,
    /// Nothing has come for so long that nothing is expected any more.
    Silent,
}

/// What is remarkable about a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// Tags of one run, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tags(pub i64);

impl Tag {
    /// Every tag, in the order in which they are shown.
    pub const ALL: [Tag; 7] = [
        Tag::BlockedCall,
        Tag::NewDestination,
        Tag::OverwrittenFile,
        Tag::Terminated,
        Tag::Loss,
        Tag::NotMonitored,
        Tag::Anomalous,
    ];

    /// The name in addresses and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Tag::BlockedCall => "blocked-call",
            Tag::NewDestination => "new-destination",
            Tag::OverwrittenFile => "overwritten-file",
            Tag::Terminated => "terminated",
            Tag::Loss => "loss",
            Tag::NotMonitored => "not-monitored",
            Tag::Anomalous => "anomalous",
        }
    }

    /// The tag of this name.
    pub fn from_name(name: &str) -> Option<Tag> {
        Tag::ALL.into_iter().find(|tag| tag.name() == name)
    }

    /// The bit in [`Tags`], which is also the database's: never used again for another tag.
    pub fn bit(self) -> i64 {
        1 << Tag::ALL
            .into_iter()
            .position(|tag| tag == self)
            .unwrap_or(0)
    }
}

impl Tags {
    /// Whether the tag is among them.
    pub fn has(self, tag: Tag) -> bool {
        self.0 & tag.bit() != 0
    }

    /// With this tag, too.
    #[must_use]
    pub fn with(self, tag: Tag) -> Tags {
        Tags(self.0 | tag.bit())
    }

    /// Without it.
    #[must_use]
    pub fn without(self, tag: Tag) -> Tags {
        Tags(self.0 & !tag.bit())
    }

    /// The tags, in the order in which they are shown.
    pub fn list(self) -> Vec<Tag> {
        Tag::ALL.into_iter().filter(|tag| self.has(*tag)).collect()
    }
}

/// One watched run of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its number in this database; newer runs have larger ones.
    pub number: i64,
    /// Its name everywhere else: 32 hexadecimal digits that the agent chose.
    pub id: String,
    /// The project.
    pub project: ProjectId,
    /// The project's full name.
    pub project_name: String,
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
    /// Where a person finds it at the provider: as the job says, so not to be trusted.
    pub url: Option<String>,
    /// The command, as a shell would read it, cut.
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
    pub started_at: Millis,
    /// When something came of it last.
    pub last_seen_at: Millis,
    /// How long it took, in milliseconds, once it has ended.
    pub duration_ms: Option<i64>,
    /// The command's exit code, once it has ended.
    pub exit_code: Option<i64>,
    /// Events that have come, without gaps.
    pub events: i64,
    /// Processes.
    pub processes: i64,
    /// Connections.
    pub connections: i64,
    /// Different destinations.
    pub destinations: i64,
    /// Calls that were stopped.
    pub blocked: i64,
    /// Changes of files.
    pub file_changes: i64,
    /// Detections that are neither suppressed nor resolved.
    pub detections: i64,
    /// Events that were lost.
    pub lost: i64,
    /// What is remarkable.
    pub tags: Tags,
    /// That its events are there no longer, so that nothing can be made of them any more.
    pub events_deleted: Option<Deleted>,
    /// That it had detections, which are there no longer.
    pub detections_deleted: Option<Deleted>,
}

/// Which runs are wanted. What is `None` says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of one project.
    pub project: Option<ProjectId>,
    /// Of one pipeline.
    pub pipeline: Option<String>,
    /// Of one job.
    pub job: Option<String>,
    /// Of one branch.
    pub branch: Option<String>,
    /// In one state.
    pub state: Option<RunState>,
    /// With all of these tags.
    pub tags: Tags,
    /// Only those whose events are still there.
    pub recorded: bool,
    /// Not before.
    pub since: Option<Millis>,
    /// Before.
    pub until: Option<Millis>,
    /// With this text in project, pipeline, job, branch, commit or actor.
    pub text: Option<String>,
}
