//! Policies: the page says what it will hold, and holds nothing yet.

use askama::Template;

use super::shell::{Section, Shell};

/// `/o/{org}/policies`.
#[derive(Template)]
#[template(path = "policies.html")]
pub(crate) struct PoliciesPage {
    shell: Shell,
}

impl PoliciesPage {
    /// The page as long as there is nothing to show.
    pub(crate) fn new(shell: Shell) -> PoliciesPage {
        PoliciesPage {
            shell: shell.titled("Policies", Section::Policies),
        }
    }
}
