//! A run whose events were deleted: what the store still knows of it, in place of what was made of the events.

use askama::Template;
use runward_store::{Deleted, Went};

use super::super::hostile::Text;
use super::super::moment::date;
use super::super::number::{bytes, count, counted};
use super::super::shell::Shell;
use super::RunSource;
use super::frame::{Frame, Tab, tab_address};

/// `/o/{org}/runs/{run}` of such a run, and all of its tabs but the detections.
#[derive(Template)]
#[template(path = "run/gone.html")]
pub(crate) struct GoneTab {
    shell: Shell,
    frame: Frame,
    /// On the first tab, and there only.
    summary: Option<Summary>,
    summary_href: String,
    detections_href: String,
}

struct Summary {
    command: Text,
    sums: Vec<String>,
    blocked: Option<String>,
    destinations: Vec<Row>,
    more: Option<String>,
}

struct Row {
    destination: Text,
    /// For members: destinations of the organisation are for nobody else.
    href: Option<String>,
    program: Text,
    connections: String,
    blocked: Option<String>,
    sent: String,
    received: String,
}

impl GoneTab {
    /// The first tab, with where the run went.
    pub(crate) fn summary(shell: Shell, source: &RunSource<'_>, went: &[Went]) -> GoneTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Summary);
        let summary = Summary::new(&shell, source, went);
        GoneTab::of(shell, frame, source, Some(summary))
    }

    /// The tab of this name, of which nothing is left; none has it, if there is no answer.
    pub(crate) fn named(shell: Shell, source: &RunSource<'_>, name: &str) -> Option<GoneTab> {
        let (shell, frame) = Frame::new(shell, source, Tab::named(name)?);
        Some(GoneTab::of(shell, frame, source, None))
    }

    fn of(shell: Shell, frame: Frame, source: &RunSource<'_>, summary: Option<Summary>) -> GoneTab {
        let link = |tab| tab_address(&shell, &source.run.id, tab).to_string();
        GoneTab {
            summary,
            summary_href: link(Tab::Summary),
            detections_href: link(Tab::Detections),
            frame,
            shell,
        }
    }
}

impl Summary {
    fn new(shell: &Shell, source: &RunSource<'_>, went: &[Went]) -> Summary {
        let run = source.run;
        let rest = run.destinations - i64::try_from(went.len()).unwrap_or(i64::MAX);
        Summary {
            command: Text::new(&run.command, 300),
            sums: vec![
                counted(run.events, "event", "events"),
                counted(run.processes, "process", "processes"),
                counted(run.connections, "connection", "connections"),
                counted(run.destinations, "destination", "destinations"),
                counted(run.file_changes, "file change", "file changes"),
            ],
            blocked: (run.blocked > 0)
                .then(|| counted(run.blocked, "blocked call", "blocked calls")),
            destinations: went.iter().map(|went| Row::new(shell, went)).collect(),
            more: (rest > 0).then(|| count(rest)),
        }
    }
}

impl Row {
    fn new(shell: &Shell, went: &Went) -> Row {
        let seen = &went.observation;
        let address = || shell.at(&["destinations", &went.destination.to_string()]);
        Row {
            destination: Text::new(&seen.destination, 72),
            href: shell.login.is_some().then(|| address().to_string()),
            program: Text::program(&seen.program, 32),
            connections: count(seen.connections),
            blocked: (seen.blocked > 0).then(|| count(seen.blocked)),
            sent: bytes(seen.bytes_sent),
            received: bytes(seen.bytes_received),
        }
    }
}

/// When and why something of a run was deleted: the end of a sentence that begins with what it was.
pub(crate) fn deleted_when(deleted: Deleted) -> String {
    format!(
        "on {}, as the organisation's settings said to do after {}",
        date(deleted.at),
        counted(deleted.after_days, "day", "days")
    )
}
