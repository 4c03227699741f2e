//! The detections of one run, as its own record has them, with what has been decided about each.

use askama::Template;
use runward_report::NetworkRow;
use runward_store::{Detection, DetectionStatus, Page};

use super::super::detections::{DetectionRow, Hidden, is_call};
use super::super::shell::Shell;
use super::RunSource;
use super::actor::Actor;
use super::change::Change;
use super::frame::{Frame, Tab};
use super::gone::deleted_when;
use super::unusual::subject;

/// `/o/{org}/runs/{run}/detections`.
#[derive(Template)]
#[template(path = "run/detections.html")]
pub(crate) struct DetectionsTab {
    shell: Shell,
    frame: Frame,
    rows: Vec<DetectionRow>,
    /// Whether there may be more than the ones shown.
    more_href: Option<String>,
    hidden: Option<Hidden>,
    /// When and why those that there were have been deleted.
    deleted: Option<String>,
}

impl DetectionsTab {
    /// `page` are those of this run that no rule hides, and `counts` how many there are in each state.
    pub(crate) fn new(
        shell: Shell,
        source: &RunSource<'_>,
        page: &Page<Detection>,
        counts: &[(String, DetectionStatus, i64)],
    ) -> DetectionsTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Detections);
        let all = shell
            .at(&["detections"])
            .with("status", "all")
            .with("run", &source.run.id);
        DetectionsTab {
            hidden: Hidden::new(&shell, counts, None, |address| {
                address.with("run", &source.run.id)
            }),
            rows: page
                .rows
                .iter()
                .map(|d| with_evidence(DetectionRow::new(&shell, d, source.now), source, d))
                .collect(),
            deleted: source.run.detections_deleted.map(deleted_when),
            more_href: page.next.map(|_| all.to_string()),
            frame,
            shell,
        }
    }
}

/// Who did it, and what it changed: of a call that is not normal, the process that made it first; of all else, what the
/// report's finding says.
fn with_evidence(row: DetectionRow, source: &RunSource<'_>, detection: &Detection) -> DetectionRow {
    let id = format!("d{}-actor", detection.id);
    if is_call(&detection.kind) {
        let mut calls = source.report.network_events.iter();
        let by_it = |row: &&NetworkRow| {
            row.process.exe == detection.program && subject(row) == detection.subject.as_str()
        };
        let call = calls.find(by_it);
        return row.done_by(call.map(|call| Actor::new(&call.process, &id)));
    }
    let Some(found) = finding(source, detection) else {
        return row;
    };
    let process = found.process.as_deref();
    row.done_by(process.map(|process| Actor::new(process, &id)))
        .changed(found.content.as_ref().and_then(Change::new))
}

/// The report's finding of the same kind about the same subject, by the same program.
fn finding<'a>(
    source: &RunSource<'a>,
    detection: &Detection,
) -> Option<&'a runward_report::Detection> {
    let subject = Some(detection.subject.as_str());
    let program = |found: &runward_report::Detection| {
        let process = found.process.as_ref();
        process.map_or("", |process| process.exe.as_str()) == detection.program
    };
    source
        .report
        .detections
        .iter()
        .filter(|found| found.detection == detection.kind && program(found))
        .find(|found| {
            // What is about neither is told apart by its words.
            let about = found.path.as_ref().or(found.destination.as_ref());
            Some(about.unwrap_or(&found.message).as_str()) == subject
        })
}
