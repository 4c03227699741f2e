//! A run as a row of a table.

use runward_store::{Millis, Run, RunState};

use super::hostile::Text;
use super::moment::{Moment, took};
use super::number::count;
use super::pill::{Pill, weakened};
use super::shell::Shell;

/// A run as a row of a table; `templates/part/runs.html` shows it.
pub(crate) struct RunRow {
    pub(crate) href: String,
    pub(crate) job: Text,
    pub(crate) project: Text,
    pub(crate) pipeline: Text,
    pub(crate) branch: Option<Text>,
    pub(crate) commit: Option<Text>,
    pub(crate) actor: Option<Text>,
    pub(crate) trigger: Option<Text>,
    /// How it stands, as a sign before the job's name.
    pub(crate) mark: Mark,
    pub(crate) mode: Pill,
    /// The mode that was asked for, if another one was in force.
    pub(crate) weakened: Option<&'static str>,
    pub(crate) destinations: String,
    pub(crate) blocked: Option<String>,
    pub(crate) detections: Option<String>,
    pub(crate) detections_href: String,
    pub(crate) tags: Vec<Pill>,
    pub(crate) started: Moment,
    pub(crate) took: String,
}

/// How a run stands, in one sign and a word for those who don't see it.
pub(crate) struct Mark {
    pub(crate) tone: &'static str,
    pub(crate) said: String,
}

impl RunRow {
    pub(crate) fn new(shell: &Shell, run: &Run, now: Millis) -> RunRow {
        let some = |text: &Option<String>, max| text.as_deref().map(|text| Text::new(text, max));
        RunRow {
            href: shell.at(&["runs", &run.id]).to_string(),
            job: Text::new(&run.job, 48),
            project: Text::new(&run.project_name, 40),
            pipeline: Text::new(&run.pipeline, 36),
            branch: some(&run.branch, 28),
            commit: run.commit.as_deref().map(Text::hash),
            actor: some(&run.actor, 28),
            trigger: some(&run.trigger, 28),
            mark: mark(run),
            mode: Pill::mode(run.effective_mode),
            weakened: weakened(run.requested_mode, run.effective_mode),
            destinations: count(run.destinations),
            blocked: (run.blocked > 0).then(|| count(run.blocked)),
            detections: (run.detections > 0).then(|| count(run.detections)),
            detections_href: shell.at(&["runs", &run.id, "detections"]).to_string(),
            tags: run.tags.list().into_iter().map(Pill::tag).collect(),
            started: Moment::ago(run.started_at, now),
            took: run_took(run, now),
        }
    }
}

/// How long a run took; for one that is under way, how long it has been.
pub(crate) fn run_took(run: &Run, now: Millis) -> String {
    match (run.duration_ms, run.state) {
        (Some(millis), _) => took(millis),
        (None, RunState::Running) => took(now.saturating_sub(run.started_at)),
        (None, _) => "unknown".to_owned(),
    }
}

/// The sign of a run.
pub(crate) fn mark(run: &Run) -> Mark {
    let (tone, said) = match (run.state, run.exit_code) {
        (RunState::Running, _) => ("live", "running".to_owned()),
        (RunState::Silent, _) => ("warn", "silent: the record is incomplete".to_owned()),
        (RunState::Finished, Some(0)) => ("good", "finished, exit 0".to_owned()),
        (RunState::Finished, Some(code)) => ("alarm", format!("finished, exit {code}")),
        (RunState::Finished, None) => ("plain", "finished, exit code unknown".to_owned()),
    };
    Mark { tone, said }
}
