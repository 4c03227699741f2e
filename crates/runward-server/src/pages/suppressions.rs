//! Suppression rules: the page says what it will hold, and holds nothing yet.

use askama::Template;

use super::hostile::Text;
use super::shell::{Section, Shell};

/// `/o/{org}/suppressions`, and `/o/{org}/suppressions/new`.
#[derive(Template)]
#[template(path = "suppressions.html")]
pub(crate) struct SuppressionsPage {
    shell: Shell,
    /// The kind and the subject of the detection that somebody wants to suppress.
    asked: Option<(Text, Text)>,
    detections_href: String,
}

impl SuppressionsPage {
    /// The page as long as there is nothing to show.
    pub(crate) fn new(shell: Shell) -> SuppressionsPage {
        let shell = shell.titled("Suppression rules", Section::Suppressions);
        SuppressionsPage {
            asked: None,
            detections_href: shell.at(&["detections"]).to_string(),
            shell,
        }
    }

    /// The page for somebody who asked to suppress what this detection is about.
    pub(crate) fn asked(shell: Shell, kind: &str, subject: &str) -> SuppressionsPage {
        SuppressionsPage {
            asked: Some((Text::new(kind, 60), Text::new(subject, 160))),
            ..SuppressionsPage::new(shell)
        }
    }
}
