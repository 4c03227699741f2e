//! The detections of one run, as its own record has them, with what has been decided about each.

use askama::Template;
use runward_report::NetworkRow;
use runward_store::{Detection, DetectionStatus, Page};

use super::super::detections::{DetectionRow, Hidden, is_call};
use super::super::shell::Shell;
use super::RunSource;
use super::actor::Actor;
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
                .map(|d| DetectionRow::new(&shell, d, source.now).done_by(actor(source, d)))
                .collect(),
            deleted: source.run.detections_deleted.map(deleted_when),
            more_href: page.next.map(|_| all.to_string()),
            frame,
            shell,
        }
    }
}

/// Who did it: of a call that is not normal, the process that made it first; of all else, that of the report's finding of
/// the same kind about the same subject, by the same program.
fn actor(source: &RunSource<'_>, detection: &Detection) -> Option<Actor> {
    let id = format!("d{}-actor", detection.id);
    if is_call(&detection.kind) {
        let mut calls = source.report.network_events.iter();
        let by_it = |row: &&NetworkRow| {
            row.process.exe == detection.program && subject(row) == detection.subject.as_str()
        };
        return calls.find(by_it).map(|row| Actor::new(&row.process, &id));
    }
    let subject = Some(detection.subject.as_str());
    source
        .report
        .detections
        .iter()
        .filter(|found| found.detection == detection.kind)
        .filter(|found| found.path.as_deref() == subject || found.destination.as_deref() == subject)
        .filter_map(|found| found.process.as_deref())
        .find(|process| process.exe == detection.program)
        .map(|process| Actor::new(process, &id))
}
