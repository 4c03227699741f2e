use std::borrow::Cow;
use std::collections::BTreeMap;

use runward_event::AttributionVar;

/// A step of a CI job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// What the CI system calls it: GitHub's `GITHUB_ACTION` (`__run_2`, `__actions_checkout`, or the step's id),
    /// GitLab's `stage: job`.
    pub name: String,
    /// Tells apart steps of the same name: the part of GitHub's `GITHUB_STEP_SUMMARY` that is new for each step, or
    /// GitLab's `CI_JOB_ID`.
    pub id: Option<String>,
}

/// The longest name or id kept, in bytes. GitHub limits a step's id to 100 characters, GitLab a job's name to 255.
const MAX_TEXT: usize = 512;

/// The step that an environment names, if any.
pub(crate) fn step_of(env: &BTreeMap<AttributionVar, String>) -> Option<StepName<'_>> {
    github(env).or_else(|| gitlab(env))
}

/// A [`Step`] that still borrows from the environment: nearly always it is the parent's, and need not be kept again.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StepName<'a> {
    name: Cow<'a, str>,
    id: Option<&'a str>,
}

impl StepName<'_> {
    pub(crate) fn is(&self, step: &Step) -> bool {
        self.name == step.name && self.id == step.id.as_deref()
    }

    pub(crate) fn into_step(self) -> Step {
        Step {
            name: self.name.into_owned(),
            id: self.id.map(str::to_owned),
        }
    }
}

/// GitHub Actions, and the runners of Gitea and Forgejo, which set the same names.
///
/// `GITHUB_STEP_SUMMARY` is `…/_runner_file_commands/step_summary_<uuid>` with a new uuid for each step. Gitea's
/// runner uses one file for all steps; its path then says nothing about the step.
fn github(env: &BTreeMap<AttributionVar, String>) -> Option<StepName<'_>> {
    let name = text(env, AttributionVar::GithubAction)?;
    let id = text(env, AttributionVar::GithubStepSummary)
        .and_then(|path| path.rsplit('/').next())
        .and_then(|file| file.strip_prefix("step_summary_"))
        .filter(|id| !id.is_empty());
    Some(StepName {
        name: Cow::Borrowed(name),
        id,
    })
}

/// GitLab CI. A job's script lines share one shell, so the job is the finest thing that its environment tells.
fn gitlab(env: &BTreeMap<AttributionVar, String>) -> Option<StepName<'_>> {
    let name = match (
        text(env, AttributionVar::CiJobStage),
        text(env, AttributionVar::CiJobName),
    ) {
        (Some(stage), Some(job)) => Cow::Owned(format!("{stage}: {job}")),
        (None, Some(one)) | (Some(one), None) => Cow::Borrowed(one),
        (None, None) => return None,
    };
    Some(StepName {
        name,
        id: text(env, AttributionVar::CiJobId),
    })
}

fn text(env: &BTreeMap<AttributionVar, String>, var: AttributionVar) -> Option<&str> {
    let text = env.get(&var)?.as_str();
    let text = &text[..text.floor_char_boundary(MAX_TEXT)];
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(env: &[(&str, &str)], want: Option<(&str, Option<&str>)>) {
        let env = env
            .iter()
            .map(|(name, value)| {
                let var = AttributionVar::from_name(name.as_bytes()).unwrap();
                (var, (*value).to_owned())
            })
            .collect();
        let got = step_of(&env).map(StepName::into_step);
        let want = want.map(|(name, id)| Step {
            name: name.to_owned(),
            id: id.map(str::to_owned),
        });
        assert_eq!(got, want);
    }

    #[test]
    fn github_names_a_step_and_its_summary_file_tells_it_apart() {
        let summary = "/home/runner/work/_temp/_runner_file_commands/step_summary_5b1e7f3c-8a0a-4c6e-9d0e-2f6f5b7c1a11";
        let id = Some("5b1e7f3c-8a0a-4c6e-9d0e-2f6f5b7c1a11");
        check(
            &[
                ("GITHUB_ACTION", "__run_2"),
                ("GITHUB_STEP_SUMMARY", summary),
                ("GITHUB_JOB", "build"),
            ],
            Some(("__run_2", id)),
        );
        check(
            &[("GITHUB_ACTION", "__actions_checkout")],
            Some(("__actions_checkout", None)),
        );
        // Between steps the runner sets the summary file alone: that names no step.
        check(
            &[("GITHUB_STEP_SUMMARY", summary), ("GITHUB_JOB", "build")],
            None,
        );
        check(
            &[("GITHUB_ACTION", ""), ("GITHUB_STEP_SUMMARY", summary)],
            None,
        );
    }

    #[test]
    fn gitea_uses_one_summary_file_for_all_steps() {
        check(
            &[
                ("GITHUB_ACTION", "1"),
                ("GITHUB_STEP_SUMMARY", "/var/run/act/workflow/SUMMARY.md"),
            ],
            Some(("1", None)),
        );
    }

    #[test]
    fn gitlab_names_stage_and_job() {
        check(
            &[
                ("CI_JOB_STAGE", "test"),
                ("CI_JOB_NAME", "rspec 1/3"),
                ("CI_JOB_ID", "9000"),
            ],
            Some(("test: rspec 1/3", Some("9000"))),
        );
        check(&[("CI_JOB_NAME", "lint")], Some(("lint", None)));
        check(
            &[("CI_JOB_STAGE", "test"), ("CI_JOB_NAME", "")],
            Some(("test", None)),
        );
        check(&[("CI_JOB_ID", "9000")], None);
    }

    #[test]
    fn an_environment_of_no_ci_names_no_step() {
        check(&[], None);
        check(&[("CARGO_PKG_NAME", "ring")], None);
    }

    #[test]
    fn hostile_lengths_are_cut_between_characters() {
        let long = "é".repeat(4_000);
        check(&[("GITHUB_ACTION", &long)], Some((&"é".repeat(256), None)));
    }
}
