//! The process tree as rows, in the order of a walk from the top: for the island that draws only the rows in view, and
//! for the page without it.

use std::collections::HashMap;

use runward_event::Status;
use runward_report::text::{base_name, clipped, command_line};
use runward_report::{ProcessRow, Report};
use serde::Serialize;

use super::actor::dependency_name;

/// Characters of a command in the rows for the island. A hundred thousand rows must fit into one answer; the whole
/// command stands on the page of the process.
const COMMAND: usize = 240;
/// Characters of a path or name there.
const PATH: usize = 200;

/// `/o/{org}/runs/{run}/processes.json`: columns of numbers, and each text once in `strings`, in which 0 is the empty
/// one. Rows stand in the order of a walk from the top, so that the descendants of a row are the ones after it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ProcessesJson {
    /// Changes when the rows may have changed.
    version: i64,
    strings: Vec<String>,
    id: Vec<u64>,
    pid: Vec<u32>,
    /// How many rows stand above it on the way up.
    depth: Vec<u32>,
    /// How many of the rows after it are its descendants.
    size: Vec<u32>,
    /// Milliseconds from the start of the job.
    start: Vec<u64>,
    /// Milliseconds that it ran; -1 when it was still running, or its end was lost.
    took: Vec<i64>,
    program: Vec<u32>,
    path: Vec<u32>,
    command: Vec<u32>,
    folder: Vec<u32>,
    cause: Vec<u32>,
    /// How it ended, in words; 0 when it ended well or has not ended.
    end: Vec<u32>,
    /// -1 when not known.
    user: Vec<i64>,
    /// Bits: 1 it never started a program of its own, 2 its parent is not known, 4 something of it is cut.
    flags: Vec<u8>,
    connections: Vec<u32>,
    blocked: Vec<u32>,
    files: Vec<u32>,
    /// Processes without a row.
    omitted: u64,
}

impl ProcessesJson {
    /// All rows of a report; `version` is the run's number of events.
    pub(crate) fn new(report: &Report, version: i64) -> ProcessesJson {
        let mut json = ProcessesJson {
            version,
            omitted: report.omitted.processes,
            strings: vec![String::new()],
            ..ProcessesJson::default()
        };
        let mut texts: HashMap<String, u32> = HashMap::new();
        texts.insert(String::new(), 0);
        let acts = Acts::of(report);
        for place in walk(&report.processes) {
            let Some(row) = report.processes.get(place.row) else {
                continue;
            };
            let mut text = |text: String| {
                let strings = &mut json.strings;
                *texts.entry(text).or_insert_with_key(|text| {
                    strings.push(text.clone());
                    u32::try_from(strings.len() - 1).unwrap_or(0)
                })
            };
            json.program.push(text(program(row)));
            json.path.push(text(clipped(&row.exe, PATH)));
            json.command.push(text(command_line(
                row.args.get(1..).unwrap_or_default(),
                COMMAND,
            )));
            json.folder.push(text(clipped(&row.cwd, PATH)));
            json.cause.push(text(clipped(&cause(row), PATH)));
            json.end.push(text(ended_badly(row).unwrap_or_default()));
            json.id.push(row.process.0);
            json.pid.push(row.pid);
            json.depth.push(place.depth);
            json.size.push(place.size);
            json.start.push(
                report
                    .start
                    .map_or(0, |start| row.start.nanos_since(start) / 1_000_000),
            );
            json.took.push(row.end.map_or(-1, |end| {
                i64::try_from(end.nanos_since(row.start) / 1_000_000).unwrap_or(i64::MAX)
            }));
            json.user.push(row.uid.map_or(-1, i64::from));
            json.flags.push(
                u8::from(row.forked_only)
                    | u8::from(!row.parent_known) << 1
                    | u8::from(!row.truncated.is_empty()) << 2,
            );
            let acts = acts.of_process(row.process.0);
            json.connections.push(acts.connections);
            json.blocked.push(acts.blocked);
            json.files.push(acts.files);
        }
        json
    }
}

/// What one process did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Act {
    pub(super) connections: u32,
    pub(super) blocked: u32,
    pub(super) files: u32,
}

/// What the processes did, as far as the report has rows of it.
pub(super) struct Acts(HashMap<u64, Act>);

impl Acts {
    pub(super) fn of(report: &Report) -> Acts {
        let mut acts: HashMap<u64, Act> = HashMap::new();
        for row in &report.network_events {
            let act = acts.entry(row.process.process.0).or_default();
            act.connections += 1;
            act.blocked += u32::from(row.status == Status::Blocked);
        }
        for process in report
            .file_events
            .iter()
            .filter_map(|row| row.process.as_deref())
        {
            acts.entry(process.process.0).or_default().files += 1;
        }
        Acts(acts)
    }

    pub(super) fn of_process(&self, process: u64) -> Act {
        self.0.get(&process).copied().unwrap_or_default()
    }
}

/// A row's place in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which row of the report.
    pub(super) row: usize,
    pub(super) depth: u32,
    pub(super) size: u32,
}

/// The rows in the order of a walk from the top. Every row is visited once, whatever the parents say: a row whose
/// parent stands after it, or nowhere, counts as a top.
pub(super) fn walk(rows: &[ProcessRow]) -> Vec<Place> {
    let index: HashMap<u64, usize> = rows
        .iter()
        .zip(0..)
        .map(|(row, i)| (row.process.0, i))
        .collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); rows.len()];
    let mut tops = Vec::new();
    for (row, i) in rows.iter().zip(0..) {
        let parent = row
            .parent
            .and_then(|parent| index.get(&parent.0).copied())
            .filter(|parent| *parent < i);
        match parent.and_then(|parent| children.get_mut(parent)) {
            Some(siblings) => siblings.push(i),
            None => tops.push(i),
        }
    }
    let mut places: Vec<Place> = Vec::with_capacity(rows.len());
    // Rows that are to be visited, with their depth; the next one last.
    let mut open: Vec<(usize, u32)> = tops.into_iter().rev().map(|top| (top, 0)).collect();
    while let Some((row, depth)) = open.pop() {
        places.push(Place {
            row,
            depth,
            size: 0,
        });
        let below = children.get(row).map(Vec::as_slice).unwrap_or_default();
        open.extend(
            below
                .iter()
                .rev()
                .map(|child| (*child, depth.saturating_add(1))),
        );
    }
    // From the end, each row hands its size to the row that it is below.
    let mut sizes: Vec<u32> = Vec::new();
    for place in places.iter_mut().rev() {
        let depth = usize::try_from(place.depth).unwrap_or(usize::MAX);
        sizes.resize((depth + 2).max(sizes.len()), 0);
        let below = sizes.get_mut(depth + 1).map(std::mem::take).unwrap_or(0);
        place.size = below;
        if let Some(own) = sizes.get_mut(depth) {
            *own = own.saturating_add(below).saturating_add(1);
        }
    }
    places
}

/// A program by the name that people call it.
pub(super) fn program(row: &ProcessRow) -> String {
    match base_name(&row.exe) {
        "" => "unknown program".to_owned(),
        name => clipped(name, 60),
    }
}

/// The dependency, or else the step.
pub(super) fn cause(row: &ProcessRow) -> String {
    match (&row.dependency, &row.step) {
        (Some(dependency), _) => dependency_name(dependency),
        (None, Some(step)) => step.clone(),
        (None, None) => String::new(),
    }
}

/// `exit 1`, `signal 9`; nothing for a process that ended well or has not ended.
pub(super) fn ended_badly(row: &ProcessRow) -> Option<String> {
    let exit = row.exit?;
    match (exit.signal, exit.code) {
        (Some(signal), _) => Some(format!("signal {signal}")),
        (None, Some(code)) if code != 0 => Some(format!("exit {code}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use runward_event::ProcessId;

    use super::super::super::sample;
    use super::*;

    fn row(id: u64, parent: Option<u64>) -> ProcessRow {
        ProcessRow {
            process: ProcessId(id),
            parent: parent.map(ProcessId),
            ..sample::process()
        }
    }

    #[test]
    fn descendants_stand_after_their_ancestor() {
        let rows = [
            row(1, None),
            row(2, Some(1)),
            row(3, Some(1)),
            row(4, Some(2)),
            row(5, Some(99)),
        ];
        let places: Vec<(usize, u32, u32)> = walk(&rows)
            .iter()
            .map(|p| (p.row, p.depth, p.size))
            .collect();
        assert_eq!(
            places,
            [(0, 0, 3), (1, 1, 1), (3, 2, 0), (2, 1, 0), (4, 0, 0)]
        );
    }

    #[test]
    fn parents_in_a_circle_are_all_shown() {
        let rows = [row(1, Some(2)), row(2, Some(1)), row(3, Some(3))];
        assert_eq!(walk(&rows).len(), 3);
    }

    #[test]
    fn a_deep_tree_takes_no_stack() {
        let rows: Vec<ProcessRow> = (1..=50_000)
            .map(|id| row(id, (id > 1).then(|| id - 1)))
            .collect();
        let places = walk(&rows);
        assert_eq!(places.first().map(|p| p.size), Some(49_999));
        assert_eq!(places.last().map(|p| p.depth), Some(49_999));
    }
}
