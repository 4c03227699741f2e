//! The detections of one run, as its own record has them, with what has been decided about each.

use askama::Template;
use runward_store::Detection;

use super::super::detections::DetectionRow;
use super::super::shell::Shell;
use super::RunSource;
use super::actor::Actor;
use super::frame::{Frame, Tab};

/// `/o/{org}/runs/{run}/detections`.
#[derive(Template)]
#[template(path = "run/detections.html")]
pub(crate) struct DetectionsTab {
    shell: Shell,
    frame: Frame,
    rows: Vec<DetectionRow>,
    /// Whether there may be more than the ones shown.
    more_href: Option<String>,
}

impl DetectionsTab {
    /// `detections` are those of this run in any state; `more` says that the store has further ones.
    pub(crate) fn new(
        shell: Shell,
        source: &RunSource<'_>,
        detections: &[Detection],
        more: bool,
    ) -> DetectionsTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Detections);
        let all = shell
            .at(&["detections"])
            .with("status", "all")
            .with("run", &source.run.id);
        DetectionsTab {
            rows: detections
                .iter()
                .map(|d| DetectionRow::new(&shell, d, source.now).done_by(actor(source, d)))
                .collect(),
            more_href: more.then(|| all.to_string()),
            frame,
            shell,
        }
    }
}

/// Who did it, by the report's finding of the same kind about the same subject.
fn actor(source: &RunSource<'_>, detection: &Detection) -> Option<Actor> {
    let subject = Some(detection.subject.as_str());
    source
        .report
        .detections
        .iter()
        .filter(|found| found.detection == detection.kind)
        .find(|found| found.path.as_deref() == subject || found.destination.as_deref() == subject)
        .and_then(|found| found.process.as_deref())
        .map(|process| Actor::new(process, &format!("d{}-actor", detection.id)))
}
