use std::collections::BTreeSet;

use askama::Template;
use runward_store::{
    Cursor, KnownJob, Millis, Page, PageRequest, Policy, PolicyAttachment, PolicyScope,
    PolicyVersion, ProjectSummary,
};

use super::super::hostile::Text;
use super::super::moment::Moment;
use super::super::number::count;
use super::super::pager::Older;
use super::super::pill::Pill;
use super::super::query::{self, Pairs};
use super::super::runs::{Choice, project_choices};
use super::super::shell::{Notice, Section, Shell};
use super::changes::Changes;
use super::editor::{Answer, Editor, Typed};
use super::{ScopeView, policy_address};

/// Versions on one page.
const VERSIONS: u32 = 20;
/// Names that a field offers.
const OFFERED: usize = 500;

/// What the address of a policy says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PolicyQuery {
    versions: Option<Cursor>,
    done: Option<String>,
}

impl PolicyQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> PolicyQuery {
        PolicyQuery {
            versions: query::cursor(pairs, "versions"),
            done: query::text(pairs, "done"),
        }
    }

    /// Which part of the history is wanted.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            after: self.versions,
            limit: VERSIONS,
        }
    }

    /// What the form before has done. Only sentences of this list are ever said.
    pub(crate) fn notice(&self) -> Option<Notice> {
        let said = match self.done.as_deref()? {
            "created" => "The policy was made. Attach it to the jobs that it is for.",
            "saved" => "The new version was saved.",
            "attached" => "The policy was attached.",
            "detached" => "The policy was detached.",
            "archived" => "The policy was archived. Its versions stay.",
            _ => return None,
        };
        Some(Notice::done(said))
    }
}

/// What the store holds of a policy.
pub(crate) struct PolicySource<'a> {
    pub(crate) policy: &'a Policy,
    /// The text of its newest version.
    pub(crate) text: &'a str,
    pub(crate) versions: &'a Page<PolicyVersion>,
    /// All attachments of the organisation.
    pub(crate) attachments: &'a [PolicyAttachment],
    pub(crate) projects: &'a [ProjectSummary],
    pub(crate) jobs: &'a [KnownJob],
    pub(crate) now: Millis,
}

/// `/o/{org}/policies/{id}`.
///
/// Its forms: itself (action=check, try or save, base, text, whose, runs, note), `…/attachments` (project, pipeline,
/// job), `…/attachments/{id}`, `…/archive`; each with csrf.
#[derive(Template)]
#[template(path = "policy/one.html")]
pub(crate) struct PolicyPage {
    shell: Shell,
    editor: Editor,
    name: Text,
    mode: Pill,
    version: String,
    base: i64,
    changed: Moment,
    by: Text,
    archived: Option<Moment>,
    list_href: String,
    action: String,
    attach_action: String,
    archive_action: String,
    attachments: Vec<AttachmentRow>,
    projects: Vec<Choice>,
    pipelines: Vec<Text>,
    job_names: Vec<Text>,
    versions: Vec<VersionRow>,
    older: Older,
    /// What the typed text would change, where another one was saved meanwhile.
    clash: Option<Changes>,
}

struct AttachmentRow {
    scope: ScopeView,
    /// Where a narrower attachment of another policy decides.
    exceptions: Option<String>,
    unknown: bool,
    by: Text,
    at: Moment,
    action: String,
}

struct VersionRow {
    number: String,
    href: String,
    mode: Pill,
    by: Text,
    at: Moment,
    note: Option<Text>,
}

impl PolicyPage {
    /// `typed` is what somebody sent, if it was not saved; `clash` says that another version was saved meanwhile.
    pub(crate) fn new(
        shell: Shell,
        query: &PolicyQuery,
        source: &PolicySource<'_>,
        typed: Option<&Typed>,
        answer: &Answer,
        clash: bool,
    ) -> PolicyPage {
        let policy = source.policy;
        let name = Text::new(&policy.name, 80);
        let shell = shell.titled(&format!("Policy {}", name.plain()), Section::Policies);
        let own: Vec<&PolicyAttachment> = source
            .attachments
            .iter()
            .filter(|own| own.policy == policy.id)
            .collect();
        let kept = Typed {
            text: source.text.to_owned(),
            whose: if own.is_empty() { "" } else { "policy" }.to_owned(),
            ..Typed::default()
        };
        let typed = typed.unwrap_or(&kept);
        let address = policy_address(&shell, policy.id);
        let id = policy.id.to_string();
        PolicyPage {
            editor: Editor::new(&shell, typed, answer, source.projects, !own.is_empty()),
            mode: Pill::asked_mode(policy.newest.mode),
            version: count(policy.newest.number),
            base: policy.newest.number,
            changed: Moment::ago(policy.newest.at, source.now),
            by: Text::new(&policy.newest.by, 48),
            archived: policy.archived_at.map(|at| Moment::ago(at, source.now)),
            list_href: shell.at(&["policies"]).to_string(),
            attach_action: shell.at(&["policies", &id, "attachments"]).to_string(),
            archive_action: shell.at(&["policies", &id, "archive"]).to_string(),
            attachments: own
                .iter()
                .map(|own| AttachmentRow::new(&shell, own, source))
                .collect(),
            projects: project_choices(source.projects, None),
            pipelines: pipelines(source.jobs),
            job_names: job_names(source.jobs),
            versions: source
                .versions
                .rows
                .iter()
                .map(|version| VersionRow::new(&shell, policy.id, version, source.now))
                .collect(),
            older: Older {
                next: source.versions.next.map(|next| {
                    format!(
                        "{}#history",
                        address.clone().with("versions", &next.to_text())
                    )
                }),
                newest: query.versions.map(|_| format!("{address}#history")),
            },
            clash: clash.then(|| Changes::between(source.text, &typed.text)),
            action: address.to_string(),
            name,
            shell,
        }
    }
}

impl AttachmentRow {
    fn new(shell: &Shell, own: &PolicyAttachment, source: &PolicySource<'_>) -> AttachmentRow {
        let others = source.attachments.iter().filter(|other| {
            other.policy != own.policy && other.scope != own.scope && own.scope.holds(&other.scope)
        });
        let exceptions = match others.count() {
            0 => None,
            1 => Some("but for 1 place with a policy of its own".to_owned()),
            n => Some(format!("but for {n} places with policies of their own")),
        };
        AttachmentRow {
            scope: ScopeView::new(&own.scope, own.project_name.as_deref()),
            exceptions,
            unknown: !is_known(&own.scope, source.jobs),
            by: Text::new(&own.by, 48),
            at: Moment::ago(own.at, source.now),
            action: shell
                .at(&[
                    "policies",
                    &own.policy.to_string(),
                    "attachments",
                    &own.id.to_string(),
                ])
                .to_string(),
        }
    }
}

/// Whether any job that has run lies in the scope; a name that was mistyped is noticed by that.
fn is_known(scope: &PolicyScope, jobs: &[KnownJob]) -> bool {
    scope.pipeline().is_none()
        || jobs.iter().any(|known| {
            let job = PolicyScope::Job(known.project, known.pipeline.clone(), known.job.clone());
            scope.holds(&job)
        })
}

impl VersionRow {
    fn new(shell: &Shell, policy: i64, version: &PolicyVersion, now: Millis) -> VersionRow {
        VersionRow {
            number: count(version.number),
            href: shell
                .at(&[
                    "policies",
                    &policy.to_string(),
                    "versions",
                    &version.number.to_string(),
                ])
                .to_string(),
            mode: Pill::asked_mode(version.mode),
            by: Text::new(&version.by, 48),
            at: Moment::ago(version.at, now),
            note: Some(Text::new(&version.note, 200)).filter(|note| !note.is_empty()),
        }
    }
}

/// Names of pipelines that a field offers.
pub(super) fn pipelines(jobs: &[KnownJob]) -> Vec<Text> {
    offered(jobs.iter().map(|known| known.pipeline.as_str()))
}

/// Names of jobs that a field offers.
pub(super) fn job_names(jobs: &[KnownJob]) -> Vec<Text> {
    offered(jobs.iter().map(|known| known.job.as_str()))
}

/// Only names that are shown whole: another one, once chosen, would be no job's.
fn offered<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Text> {
    let names: BTreeSet<&str> = names.collect();
    names
        .into_iter()
        .filter(|name| !name.is_empty())
        .map(|name| (name, Text::new(name, 120)))
        .filter(|(name, shown)| shown.plain() == *name)
        .take(OFFERED)
        .map(|(_, shown)| shown)
        .collect()
}
