use runward_event::{Mode, Provider};

use crate::{Millis, ProjectId};

/// A policy that has a name in its organisation, as its newest version has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Its number.
    pub id: i64,
    /// Its name: unique among the organisation's policies that are not archived.
    pub name: String,
    /// Its newest version.
    pub newest: PolicyVersion,
    /// When it was put away. From then on it can't be changed or attached.
    pub archived_at: Option<Millis>,
}

/// What is known of a version of a policy without its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Counted from 1.
    pub number: i64,
    /// The mode that the text asks for.
    pub mode: Mode,
    /// Why it was made, in the words of who made it.
    pub note: String,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// A text that is to become a version. Whoever keeps it has read it: its faults are not the store's affair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPolicyVersion {
    /// The policy file.
    pub text: String,
    /// See [`PolicyVersion::mode`].
    pub mode: Mode,
    /// See [`PolicyVersion::note`].
    pub note: String,
    /// See [`PolicyVersion::by`].
    pub by: String,
}

/// What a policy holds for. Ordered from the widest to the narrowest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PolicyScope {
    /// Every job of the organisation.
    Org,
    /// Every job of a project.
    Project(ProjectId),
    /// Every job of a project's pipeline.
    Pipeline(ProjectId, String),
    /// One job: its project, pipeline and name.
    Job(ProjectId, String, String),
}

/// That a policy holds for a scope. A scope has at most one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyAttachment {
    /// Its number.
    pub id: i64,
    /// The policy.
    pub policy: i64,
    /// What it holds for.
    pub scope: PolicyScope,
    /// The full name of the scope's project.
    pub project_name: Option<String>,
    /// Who attached it.
    pub by: String,
    /// When.
    pub at: Millis,
}

/// A job by the names that it says it has, of which the store may know none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobName<'a> {
    /// The CI system.
    pub provider: Provider,
    /// The project's full name there.
    pub project: &'a str,
    /// The pipeline.
    pub pipeline: &'a str,
    /// The job.
    pub job: &'a str,
}

/// A job that has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownJob {
    /// Its project.
    pub project: ProjectId,
    /// The pipeline.
    pub pipeline: String,
    /// Its name.
    pub job: String,
}

/// A policy that is attached to a scope in which a job lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedPolicy {
    /// The policy.
    pub policy: Policy,
    /// The text of its newest version.
    pub text: String,
    /// Where it is attached.
    pub attachment: PolicyAttachment,
}

impl PolicyScope {
    /// The project, unless it is the whole organisation.
    pub fn project(&self) -> Option<ProjectId> {
        match self {
            PolicyScope::Org => None,
            PolicyScope::Project(project)
            | PolicyScope::Pipeline(project, _)
            | PolicyScope::Job(project, _, _) => Some(*project),
        }
    }

    /// The pipeline, if it is one or a job of one.
    pub fn pipeline(&self) -> Option<&str> {
        match self {
            PolicyScope::Org | PolicyScope::Project(_) => None,
            PolicyScope::Pipeline(_, pipeline) | PolicyScope::Job(_, pipeline, _) => Some(pipeline),
        }
    }

    /// The job, if it is one.
    pub fn job(&self) -> Option<&str> {
        match self {
            PolicyScope::Job(_, _, job) => Some(job),
            _ => None,
        }
    }

    /// Whether every job of `inner` lies in this scope.
    pub fn holds(&self, inner: &PolicyScope) -> bool {
        fn fits<T: PartialEq>(own: Option<T>, other: Option<T>) -> bool {
            own.is_none() || own == other
        }
        fits(self.project(), inner.project())
            && fits(self.pipeline(), inner.pipeline())
            && fits(self.job(), inner.job())
    }
}

/// Of some attachments, the one that is in effect in all of a scope: the narrowest that holds it.
pub fn in_effect<'a>(
    attachments: &'a [PolicyAttachment],
    scope: &PolicyScope,
) -> Option<&'a PolicyAttachment> {
    attachments
        .iter()
        .filter(|attachment| attachment.scope.holds(scope))
        .max_by(|one, other| one.scope.cmp(&other.scope))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(project: i64, pipeline: &str, job: &str) -> PolicyScope {
        PolicyScope::Job(ProjectId(project), pipeline.to_owned(), job.to_owned())
    }

    #[test]
    fn the_narrowest_scope_that_holds_a_job_decides() {
        let scopes = [
            PolicyScope::Project(ProjectId(1)),
            job(1, "ci.yml", "test"),
            PolicyScope::Org,
            PolicyScope::Pipeline(ProjectId(1), "ci.yml".to_owned()),
            PolicyScope::Project(ProjectId(2)),
        ];
        let attachments: Vec<PolicyAttachment> = (0..)
            .zip(scopes)
            .map(|(id, scope)| PolicyAttachment {
                id,
                policy: id,
                scope,
                project_name: None,
                by: String::new(),
                at: 0,
            })
            .collect();
        for (scope, expected) in [
            (job(1, "ci.yml", "test"), 1),
            (job(1, "ci.yml", "build"), 3),
            (job(1, "release.yml", "test"), 0),
            (job(2, "ci.yml", "test"), 4),
            (job(3, "ci.yml", "test"), 2),
            (PolicyScope::Project(ProjectId(1)), 0),
            (PolicyScope::Org, 2),
        ] {
            let found = in_effect(&attachments, &scope).map(|found| found.id);
            assert_eq!(found, Some(expected), "{scope:?}");
        }
        assert_eq!(in_effect(&attachments[..2], &PolicyScope::Org), None);
    }
}
