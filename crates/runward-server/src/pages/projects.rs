//! Projects, and what each has sent.

use askama::Template;
use runward_store::{Millis, Policy, PolicyAttachment, PolicyScope, ProjectSummary, in_effect};

use super::hostile::Text;
use super::moment::Moment;
use super::number::count;
use super::pill::Pill;
use super::policies::{attached_to, policy_address};
use super::shell::{Section, Shell};

/// `/o/{org}/projects`.
#[derive(Template)]
#[template(path = "projects.html")]
pub(crate) struct ProjectsPage {
    shell: Shell,
    rows: Vec<Row>,
    settings_href: String,
}

struct Row {
    name: Text,
    provider: &'static str,
    visibility: Pill,
    runs: String,
    runs_href: String,
    blocked_runs: Option<String>,
    blocked_href: String,
    open_detections: Option<String>,
    detections_href: String,
    last: Option<Moment>,
    policy: Option<PolicyCell>,
    /// Pipelines and jobs of it that have a policy of their own.
    exceptions: Option<String>,
}

/// The named policy that is in effect in a project.
struct PolicyCell {
    name: Text,
    href: String,
    mode: Pill,
    to: &'static str,
}

impl ProjectsPage {
    /// All projects, in the order in which they shall stand.
    pub(crate) fn new(
        shell: Shell,
        projects: &[ProjectSummary],
        policies: &[Policy],
        attachments: &[PolicyAttachment],
        now: Millis,
    ) -> ProjectsPage {
        let shell = shell.titled("Projects", Section::Projects);
        ProjectsPage {
            rows: projects
                .iter()
                .map(|p| Row {
                    policy: PolicyCell::of(&shell, p, policies, attachments),
                    exceptions: exceptions(p, attachments),
                    ..Row::new(&shell, p, now)
                })
                .collect(),
            settings_href: format!("{}#keys", shell.at(&["settings"])),
            shell,
        }
    }
}

impl Row {
    fn new(shell: &Shell, summary: &ProjectSummary, now: Millis) -> Row {
        let id = summary.project.id.0.to_string();
        let runs = shell.at(&["runs"]).with("project", &id);
        Row {
            name: Text::new(&summary.project.name, 80),
            provider: provider_name(summary.project.provider),
            visibility: Pill::visibility(summary.project.visibility),
            runs: count(summary.runs),
            runs_href: runs.to_string(),
            blocked_runs: (summary.blocked_runs > 0).then(|| count(summary.blocked_runs)),
            blocked_href: runs.with("tag", "blocked-call").to_string(),
            open_detections: (summary.open_detections > 0).then(|| count(summary.open_detections)),
            detections_href: shell.at(&["detections"]).with("project", &id).to_string(),
            last: summary.last_run_at.map(|at| Moment::ago(at, now)),
            policy: None,
            exceptions: None,
        }
    }
}

impl PolicyCell {
    fn of(
        shell: &Shell,
        summary: &ProjectSummary,
        policies: &[Policy],
        attachments: &[PolicyAttachment],
    ) -> Option<PolicyCell> {
        let found = in_effect(attachments, &PolicyScope::Project(summary.project.id))?;
        let policy = policies.iter().find(|policy| policy.id == found.policy)?;
        Some(PolicyCell {
            name: Text::new(&policy.name, 48),
            href: policy_address(shell, policy.id).to_string(),
            mode: Pill::asked_mode(policy.newest.mode),
            to: attached_to(&found.scope),
        })
    }
}

fn exceptions(summary: &ProjectSummary, attachments: &[PolicyAttachment]) -> Option<String> {
    let project = PolicyScope::Project(summary.project.id);
    let narrower = attachments
        .iter()
        .filter(|own| own.scope != project && project.holds(&own.scope));
    match i64::try_from(narrower.count()) {
        Ok(0) | Err(_) => None,
        Ok(1) => Some("1 of its pipelines and jobs has another one".to_owned()),
        Ok(n) => Some(format!(
            "{} of its pipelines and jobs have others",
            count(n)
        )),
    }
}

/// What a CI system is called.
pub(crate) fn provider_name(provider: runward_event::Provider) -> &'static str {
    use runward_event::Provider::*;
    match provider {
        Local => "no CI system",
        Github => "GitHub Actions",
        Gitlab => "GitLab CI/CD",
        Gitea => "Gitea Actions",
        Jenkins => "Jenkins",
        Azure => "Azure Pipelines",
        Circleci => "CircleCI",
        Buildkite => "Buildkite",
        Bitbucket => "Bitbucket Pipelines",
        Woodpecker => "Woodpecker CI",
        Drone => "Drone",
        _ => "unknown CI system",
    }
}
