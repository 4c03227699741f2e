//! The page that stands in for another one that can't be shown.

use askama::Template;
use runward_report::text::clipped;

use super::shell::{Section, Shell};

/// An error, in a sentence, and what to do about it.
#[derive(Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage {
    shell: Shell,
    status: u16,
    said: String,
    advice: String,
}

impl ErrorPage {
    /// `said` is what went wrong, `advice` what the person can do, a sentence each.
    pub(crate) fn new(shell: Shell, status: u16, said: &str, advice: &str) -> ErrorPage {
        ErrorPage {
            shell: shell.titled(&format!("Error {status}"), Section::None),
            status,
            said: clipped(said, 300),
            advice: clipped(advice, 500),
        }
    }
}
