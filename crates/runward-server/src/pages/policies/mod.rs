//! Named policies: the list, one with its text and history, a new one, and what a version changed.

mod changes;
mod editor;
mod list;
mod new;
mod one;
mod version;

use runward_store::PolicyScope;

use super::address::Address;
use super::hostile::Text;
use super::shell::Shell;

pub(crate) use editor::{Answer, Typed};
pub(crate) use list::PoliciesPage;
pub(crate) use new::{NewPolicyPage, Start};
pub(crate) use one::{PolicyPage, PolicyQuery, PolicySource};
pub(crate) use version::VersionPage;

/// The address of a policy.
pub(super) fn policy_address(shell: &Shell, id: i64) -> Address {
    shell.at(&["policies", &id.to_string()])
}

/// What a policy is attached to, in words that fit "attached to …" in the place of one job.
pub(super) fn attached_to(scope: &PolicyScope) -> &'static str {
    match scope {
        PolicyScope::Org => "the organisation",
        PolicyScope::Project(_) => "the project",
        PolicyScope::Pipeline(..) => "the pipeline",
        PolicyScope::Job(..) => "the job",
    }
}

/// A scope by its names.
pub(crate) struct ScopeView {
    /// `organisation`, `project`, `pipeline` or `job`.
    kind: &'static str,
    /// The project, the pipeline and the job, as far as it names them.
    parts: Vec<Text>,
}

impl ScopeView {
    fn new(scope: &PolicyScope, project: Option<&str>) -> ScopeView {
        let kind = match scope {
            PolicyScope::Org => "organisation",
            PolicyScope::Project(_) => "project",
            PolicyScope::Pipeline(..) => "pipeline",
            PolicyScope::Job(..) => "job",
        };
        let names = [scope.project().and(project), scope.pipeline(), scope.job()];
        ScopeView {
            kind,
            parts: names
                .into_iter()
                .flatten()
                .map(|name| Text::new(name, 60))
                .collect(),
        }
    }
}
