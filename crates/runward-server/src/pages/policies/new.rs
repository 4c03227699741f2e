use askama::Template;
use runward_store::{KnownJob, ProjectSummary};

use super::super::hostile::Text;
use super::super::runs::{Choice, project_choices};
use super::super::shell::{Section, Shell};
use super::editor::{Answer, Editor, Typed, runs};
use crate::policy::NAME_MAX;

/// What a new policy begins with when it begins with nothing else.
const FIRST: &str = "\
# What jobs may connect to. Begin with audit, look at what is recorded, then block.
egress-policy: audit
allowed-endpoints: []
denied-endpoints: []
";

/// What a new policy was made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    /// Which jobs' runs, as somebody chose them.
    pub(crate) project: Option<i64>,
    pub(crate) pipeline: String,
    pub(crate) job: String,
    /// A sentence about it.
    pub(crate) said: Option<String>,
    /// Whether that sentence says that there was nothing.
    pub(crate) failed: bool,
}

/// `/o/{org}/policies/new`: with `?run=` made of one run, with `?project=…&pipeline=…&job=…&runs=…` of the newest of a job.
#[derive(Template)]
#[template(path = "policy/new.html")]
pub(crate) struct NewPolicyPage {
    shell: Shell,
    editor: Editor,
    name: String,
    name_max: usize,
    action: String,
    list_href: String,
    said: Option<String>,
    failed: bool,
    projects: Vec<Choice>,
    pipeline: String,
    job: String,
    runs: Vec<Choice>,
    pipelines: Vec<Text>,
    jobs: Vec<Text>,
}

impl NewPolicyPage {
    pub(crate) fn new(
        shell: Shell,
        typed: &Typed,
        answer: &Answer,
        start: &Start,
        projects: &[ProjectSummary],
        jobs: &[KnownJob],
    ) -> NewPolicyPage {
        let shell = shell.titled("New policy", Section::Policies);
        let typed = match typed.text.is_empty() && matches!(answer, Answer::None) {
            true => &Typed {
                text: FIRST.to_owned(),
                ..typed.clone()
            },
            false => typed,
        };
        NewPolicyPage {
            editor: Editor::new(&shell, typed, answer, projects, false),
            name: typed.name.chars().take(NAME_MAX).collect(),
            name_max: NAME_MAX,
            action: shell.at(&["policies", "new"]).to_string(),
            list_href: shell.at(&["policies"]).to_string(),
            said: start.said.clone(),
            failed: start.failed,
            projects: project_choices(projects, start.project),
            pipeline: start.pipeline.clone(),
            job: start.job.clone(),
            runs: runs(typed),
            pipelines: super::one::pipelines(jobs),
            jobs: super::one::job_names(jobs),
            shell,
        }
    }
}
