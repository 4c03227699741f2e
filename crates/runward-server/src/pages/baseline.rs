//! The baseline: the page says what it will hold, and holds nothing yet.

use askama::Template;

use super::shell::{Section, Shell};

/// `/o/{org}/baseline`.
#[derive(Template)]
#[template(path = "baseline.html")]
pub(crate) struct BaselinePage {
    shell: Shell,
}

impl BaselinePage {
    /// The page as long as there is nothing to show.
    pub(crate) fn new(shell: Shell) -> BaselinePage {
        BaselinePage {
            shell: shell.titled("Baseline", Section::Baseline),
        }
    }
}
