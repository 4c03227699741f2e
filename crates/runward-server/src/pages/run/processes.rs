//! The process tree of a run. A browser with scripts gets it from `processes.json` and draws the rows in view; this page
//! is what there is without scripts: the same rows, part by part.

use askama::Template;
use runward_report::ProcessRow;
use runward_report::text::{clipped, count, counted};

use super::super::hostile::Text;
use super::super::moment::{Moment, offset};
use super::super::number::length;
use super::super::pager::{Part, part};
use super::super::shell::Shell;
use super::frame::{Frame, Tab, tab_address};
use super::process_rows::{Acts, Place, cause, ended_badly, program, walk};
use super::{RowsQuery, RunSource};

/// Rows of one page.
const ROWS: usize = 200;
/// Indentation past this says nothing more.
const DEEPEST: u32 = 24;

/// `/o/{org}/runs/{run}/processes`.
#[derive(Template)]
#[template(path = "run/processes.html")]
pub(crate) struct ProcessesTab {
    shell: Shell,
    frame: Frame,
    action: String,
    json_href: String,
    query: RowsQuery,
    filtered: bool,
    summary: String,
    omitted: Option<String>,
    rows: Vec<Row>,
    part: Part,
}

struct Row {
    pid: u32,
    depth: u32,
    program: String,
    path: Text,
    command: Text,
    folder: Text,
    user: Option<u32>,
    container: Option<Text>,
    cause: Option<Text>,
    end: Option<String>,
    start: Moment,
    took: String,
    forked_only: bool,
    parent_unknown: bool,
    cut: String,
    connections: u32,
    blocked: u32,
    files: u32,
}

impl ProcessesTab {
    pub(crate) fn new(shell: Shell, source: &RunSource<'_>, query: &RowsQuery) -> ProcessesTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Processes);
        let report = source.report;
        let address = tab_address(&shell, &source.run.id, Tab::Processes);
        let chosen: Vec<(Place, &ProcessRow)> = walk(&report.processes)
            .into_iter()
            .filter_map(|place| Some((place, report.processes.get(place.row)?)))
            .filter(|(_, row)| query.text.is_none() || query.finds(searched(row)))
            .collect();
        let (chosen, part) = part(chosen, query.page, ROWS, |page| {
            address
                .clone()
                .with_some("q", query.text.as_deref())
                .with("page", &page.to_string())
        });
        let acts = Acts::of(report);
        let counts = &report.counts;
        ProcessesTab {
            frame,
            action: address.to_string(),
            json_href: shell
                .at(&["runs", &source.run.id, "processes.json"])
                .to_string(),
            filtered: query.is_filtered(),
            query: query.clone(),
            summary: format!(
                "{}, {}",
                counted(
                    counts.processes.max(length(&report.processes)),
                    "process",
                    "processes"
                ),
                counted(counts.execs, "program started", "programs started")
            ),
            omitted: (report.omitted.processes > 0).then(|| count(report.omitted.processes)),
            rows: chosen
                .into_iter()
                .map(|(place, row)| Row::new(place, row, source, &acts))
                .collect(),
            part,
            shell,
        }
    }
}

/// Where a text is searched for.
fn searched(row: &ProcessRow) -> impl Iterator<Item = &str> {
    [row.exe.as_str(), row.cwd.as_str()]
        .into_iter()
        .chain(row.args.iter().map(String::as_str))
        .chain(row.step.as_deref())
        .chain(row.dependency.as_ref().map(|d| d.name.as_str()))
}

impl Row {
    fn new(place: Place, row: &ProcessRow, source: &RunSource<'_>, acts: &Acts) -> Row {
        let cause = cause(row);
        let acts = acts.of_process(row.process.0);
        Row {
            pid: row.pid,
            depth: place.depth.min(DEEPEST),
            program: program(row),
            path: Text::new(&row.exe, 160),
            command: Text::command(row.args.get(1..).unwrap_or_default(), 110),
            folder: Text::new(&row.cwd, 120),
            user: row.uid,
            container: row
                .container
                .as_deref()
                .map(|id| Text::new(&source.report.container_label(id), 48)),
            cause: (!cause.is_empty()).then(|| Text::new(&cause, 48)),
            end: ended_badly(row),
            start: Moment::since(row.start, source.report.start),
            took: row
                .end
                .map_or_else(String::new, |end| offset(end, row.start)),
            forked_only: row.forked_only,
            parent_unknown: !row.parent_known,
            cut: clipped(&row.truncated.join(", "), 120),
            connections: acts.connections,
            blocked: acts.blocked,
            files: acts.files,
        }
    }
}
