//! What each kind of detection is, and what to do when one is found.

use askama::Template;
use runward_detect::{About, Confidence, Severity};
use runward_store::DetectionStatus;

use super::detections::severity_name;
use super::number::counted;
use super::pill::Pill;
use super::shell::{Section, Shell};
use crate::kinds;

/// `/o/{org}/detections/kinds`.
#[derive(Template)]
#[template(path = "detection_kinds.html")]
pub(crate) struct DetectionKindsPage {
    shell: Shell,
    detections_href: String,
    channels_href: String,
    rows: Vec<Row>,
}

struct Row {
    text: KindText,
    /// `3 open detections`.
    said: String,
    href: String,
    suppress_href: String,
}

/// What is known of a kind before anything of it is found.
pub(crate) struct KindText {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) severity: Pill,
    pub(crate) severity_name: &'static str,
    pub(crate) confidence: &'static str,
    pub(crate) needs: &'static str,
    pub(crate) next: &'static str,
}

impl KindText {
    pub(crate) fn new(about: &'static About) -> KindText {
        let severity = match about.severity {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
        };
        KindText {
            id: about.id,
            title: about.title,
            severity: Pill::severity(severity),
            severity_name: severity_name(severity),
            confidence: match about.confidence {
                Confidence::Low => "low",
                Confidence::Medium => "medium",
                Confidence::High => "high",
            },
            needs: about.needs,
            next: about.next,
        }
    }
}

impl DetectionKindsPage {
    /// `counts` says how many there are of each kind in each state.
    pub(crate) fn new(
        shell: Shell,
        counts: &[(String, DetectionStatus, i64)],
    ) -> DetectionKindsPage {
        let shell = shell.titled("What is looked for", Section::Detections);
        let rows = kinds::known().into_iter().map(|about| {
            let open = counts
                .iter()
                .filter(|(kind, status, _)| kind == about.id && *status == DetectionStatus::New);
            let open = open.fold(0, |sum: i64, (_, _, n)| sum.saturating_add(*n));
            Row {
                text: KindText::new(about),
                said: counted(open, "open detection", "open detections"),
                href: shell.at(&["detections"]).with("kind", about.id).to_string(),
                suppress_href: shell
                    .at(&["suppressions", "new"])
                    .with("kind", about.id)
                    .to_string(),
            }
        });
        DetectionKindsPage {
            rows: rows.collect(),
            detections_href: shell.at(&["detections"]).to_string(),
            channels_href: shell.at(&["settings", "notifications"]).to_string(),
            shell,
        }
    }
}
