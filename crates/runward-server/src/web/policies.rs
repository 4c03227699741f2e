//! The pages of named policies.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{JobId, NewPolicyVersion, Policy, PolicyScope, RunFilter, StoreError};
use serde::Deserialize;

use super::access::{Member, PageError, shown};
use super::organisation::Pairs;
use crate::app::{App, now};
use crate::learn::{self, Subject};
use crate::pages::{
    Answer, NewPolicyPage, Notice, PoliciesPage, PolicyPage, PolicyQuery, PolicySource, Start,
    Typed, VersionPage,
};
use crate::policy::{self, ReadPolicy};
use crate::problem::Problem;
use crate::trial::{self, RUNS_MAX, Whose};
use crate::what_if::recommended;

/// Runs that are looked through unless somebody says how many.
const RUNS: u32 = 10;

pub(super) async fn list(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let archived = pairs
        .iter()
        .any(|(key, value)| key == "archived" && value == "1");
    let policies = app.store().policies(org, archived).await?;
    let attachments = app.store().policy_attachments(org, None).await?;
    let notice = PolicyQuery::parse(&pairs).notice();
    Ok(shown(&PoliciesPage::new(
        member.shell().telling(notice),
        &policies,
        &attachments,
        archived,
        now(),
    )))
}

/// What a form with a policy's text says.
#[derive(Deserialize)]
pub(super) struct TextForm {
    csrf: String,
    action: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    base: i64,
    text: String,
    #[serde(default)]
    note: String,
    #[serde(default)]
    whose: String,
    #[serde(default)]
    runs: String,
}

impl TextForm {
    fn typed(&self) -> Typed {
        Typed {
            name: self.name.clone(),
            text: policy::plain_lines(&self.text),
            note: self.note.clone(),
            whose: self.whose.clone(),
            runs: self.runs.parse().ok(),
        }
    }

    /// Checks or tries the text: both change nothing.
    async fn answered(
        &self,
        app: &App,
        member: &Member,
        policy: Option<i64>,
    ) -> Result<Answer, PageError> {
        let read = match policy::read(&self.text) {
            Ok(read) => read,
            Err(faults) => return Ok(Answer::Faults(faults)),
        };
        let ReadPolicy {
            mode,
            matcher,
            doubts,
            ..
        } = read;
        if self.action != "try" {
            return Ok(Answer::Fine(mode, doubts));
        }
        let whose = match (self.whose.as_str(), policy) {
            ("policy", Some(policy)) => Whose::Policy(policy),
            (text, _) => Whose::Scope(match text.parse() {
                Ok(project) => PolicyScope::Project(runward_store::ProjectId(project)),
                Err(_) => PolicyScope::Org,
            }),
        };
        let most = self.runs.parse().unwrap_or(RUNS).clamp(1, RUNS_MAX);
        let tried = trial::attempt(app, member.org.id, matcher, &whose, most).await?;
        Ok(Answer::Tried(mode, doubts, tried))
    }

    /// The text as a version, or its faults.
    fn version(&self, member: &Member) -> Result<NewPolicyVersion, Answer> {
        let read = policy::read(&self.text).map_err(Answer::Faults)?;
        Ok(NewPolicyVersion {
            text: read.text,
            mode: read.mode,
            note: policy::note(&self.note),
            by: member.who().to_owned(),
        })
    }
}

#[derive(Deserialize)]
pub(super) struct StartQuery {
    run: Option<String>,
    baseline: Option<String>,
    project: Option<String>,
    #[serde(default)]
    pipeline: String,
    #[serde(default)]
    job: String,
    runs: Option<String>,
}

pub(super) async fn begin(
    State(app): State<App>,
    member: Member,
    Query(query): Query<StartQuery>,
) -> Result<Response, PageError> {
    let mut typed = Typed::default();
    let mut start = Start::default();
    if let Some(run) = &query.run {
        of_run(&app, &member, run, &mut typed, &mut start).await?;
    } else if let Some(job) = &query.baseline {
        of_baseline(&app, &member, job, &mut typed, &mut start).await?;
    } else if query.project.is_some() {
        of_runs(&app, &member, &query, &mut typed, &mut start).await?;
    }
    show_new(&app, &member, &typed, &Answer::None, &start).await
}

/// Begins with what one run did.
async fn of_run(
    app: &App,
    member: &Member,
    run: &str,
    typed: &mut Typed,
    start: &mut Start,
) -> Result<(), PageError> {
    let Some((run, project)) = app.store().run(member.org.id, run).await? else {
        return Err(PageError::missing(member.shell()));
    };
    let report = app.report(&run).await?;
    typed.text = recommended(&report);
    typed.whose = project.id.0.to_string();
    start.project = Some(project.id.0);
    start.pipeline = run.pipeline;
    start.job = run.job;
    start.said = Some(
        "The text allows what one run did and nothing else. Read it before you keep it: a policy made from a bad run \
         allows what was bad."
            .to_owned(),
    );
    Ok(())
}

/// Begins with what is normal for a job.
async fn of_baseline(
    app: &App,
    member: &Member,
    job: &str,
    typed: &mut Typed,
    start: &mut Start,
) -> Result<(), PageError> {
    let org = member.org.id;
    let row = match job.parse() {
        Ok(job) => app.store().baseline(org, JobId(job)).await?,
        Err(_) => None,
    };
    let Some(row) = row else {
        return Err(PageError::missing(member.shell()));
    };
    let Some(subject) = Subject::of(app, org, row.project, row.job).await? else {
        return Err(Problem::unavailable("this baseline can't be read").into());
    };
    typed.text = learn::policy(&subject.baseline);
    typed.whose = row.project.0.to_string();
    start.project = Some(row.project.0);
    start.pipeline = row.pipeline;
    start.job = row.job_name;
    start.said = Some(
        "The text allows what is normal for the job and nothing else. A * of a policy is wider than the pattern that \
         was learned."
            .to_owned(),
    );
    Ok(())
}

/// Begins with what the newest runs of a scope did.
async fn of_runs(
    app: &App,
    member: &Member,
    query: &StartQuery,
    typed: &mut Typed,
    start: &mut Start,
) -> Result<(), PageError> {
    let project = query.project.as_deref().and_then(|text| text.parse().ok());
    let runs = query.runs.as_deref().and_then(|text| text.parse().ok());
    typed.runs = runs;
    typed.whose = project.map_or_else(String::new, |id: i64| id.to_string());
    start.project = project;
    start.pipeline = query.pipeline.trim().to_owned();
    start.job = query.job.trim().to_owned();
    start.failed = true;
    let filter = RunFilter {
        project: project.map(runward_store::ProjectId),
        pipeline: named(&start.pipeline),
        job: named(&start.job),
        ..RunFilter::default()
    };
    let words = [&start.pipeline, &start.job];
    if words.iter().any(|word| policy::word(word).is_err()) {
        start.said = Some("No pipeline or job has such a name.".to_owned());
        return Ok(());
    }
    let most = runs.unwrap_or(RUNS).clamp(1, RUNS_MAX);
    let (text, count) = trial::suggested(app, member.org.id, filter, most).await?;
    if count == 0 {
        start.said = Some("No run fits: the text is made of none.".to_owned());
        return Ok(());
    }
    start.failed = false;
    start.said = Some(format!(
        "The text allows what the last {count} of these runs did and nothing else. Read it before you keep it: a policy \
         made from bad runs allows what was bad."
    ));
    typed.text = text;
    Ok(())
}

fn named(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

async fn show_new(
    app: &App,
    member: &Member,
    typed: &Typed,
    answer: &Answer,
    start: &Start,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let projects = app.store().projects(org).await?;
    let jobs = app.store().jobs(org, None).await?;
    let page = NewPolicyPage::new(member.shell(), typed, answer, start, &projects, &jobs);
    Ok(shown(&page))
}

pub(super) async fn create(
    State(app): State<App>,
    member: Member,
    Form(form): Form<TextForm>,
) -> Result<Response, PageError> {
    let again = async |answer: Answer| {
        show_new(&app, &member, &form.typed(), &answer, &Start::default()).await
    };
    if form.action != "save" {
        member.came_from_here(&form.csrf)?;
        return again(form.answered(&app, &member, None).await?).await;
    }
    member.may_change(&form.csrf)?;
    let name = match policy::name(&form.name) {
        Ok(name) => name,
        Err(why) => return again(Answer::Refused(format!("Nothing was saved: {why}."))).await,
    };
    let version = match form.version(&member) {
        Ok(version) => version,
        Err(answer) => return again(answer).await,
    };
    let org = member.org.id;
    let made = match app.store().add_policy(org, &name, &version, now()).await {
        Ok(made) => made,
        Err(error @ (StoreError::Exists(_) | StoreError::Conflict(_))) => {
            return again(Answer::Refused(format!("Nothing was saved: {error}."))).await;
        }
        Err(other) => return Err(other.into()),
    };
    note(&app, &member, "policy.create", &name).await?;
    Ok(to(&member, made.id, "created"))
}

async fn note(app: &App, member: &Member, act: &str, subject: &str) -> Result<(), PageError> {
    app.store()
        .audit(member.org.id, now(), member.who(), act, subject)
        .await?;
    Ok(())
}

/// Leads to a policy's page, which then says what was done.
fn to(member: &Member, id: i64, done: &str) -> Response {
    let slug = &member.org.slug;
    Redirect::to(&format!("/o/{slug}/policies/{id}?done={done}")).into_response()
}

async fn known(app: &App, member: &Member, id: &str) -> Result<Policy, PageError> {
    let found = match id.parse() {
        Ok(id) => app.store().policy(member.org.id, id).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| PageError::missing(member.shell()))
}

/// What a policy's page says beside what the store has of it.
struct Said<'a> {
    query: &'a PolicyQuery,
    notice: Option<Notice>,
    typed: Option<&'a Typed>,
    answer: &'a Answer,
    clash: bool,
}

async fn show_one(
    app: &App,
    member: &Member,
    policy: &Policy,
    said: Said<'_>,
) -> Result<Response, PageError> {
    let (store, org) = (app.store(), member.org.id);
    let text = store
        .policy_text(org, policy.id, policy.newest.number)
        .await?;
    let source = PolicySource {
        policy,
        text: &text.map(|(_, text)| text).unwrap_or_default(),
        versions: &store
            .policy_versions(org, policy.id, said.query.page())
            .await?,
        attachments: &store.policy_attachments(org, None).await?,
        projects: &store.projects(org).await?,
        jobs: &store.jobs(org, None).await?,
        now: now(),
    };
    let shell = member.shell().telling(said.notice);
    let page = PolicyPage::new(
        shell,
        said.query,
        &source,
        said.typed,
        said.answer,
        said.clash,
    );
    Ok(shown(&page))
}

pub(super) async fn show(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let policy = known(&app, &member, &id).await?;
    let query = PolicyQuery::parse(&pairs);
    let said = Said {
        notice: query.notice(),
        query: &query,
        typed: None,
        answer: &Answer::None,
        clash: false,
    };
    show_one(&app, &member, &policy, said).await
}

pub(super) async fn change(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
    Form(form): Form<TextForm>,
) -> Result<Response, PageError> {
    let policy = known(&app, &member, &id).await?;
    let again = async |policy: &Policy, answer: Answer, clash: bool| {
        let said = Said {
            notice: None,
            query: &PolicyQuery::default(),
            typed: Some(&form.typed()),
            answer: &answer,
            clash,
        };
        show_one(&app, &member, policy, said).await
    };
    if form.action != "save" {
        member.came_from_here(&form.csrf)?;
        let answer = form.answered(&app, &member, Some(policy.id)).await?;
        // Somebody else may have saved meanwhile: the page would forget which version this text was made of.
        let clash = form.base != policy.newest.number;
        return again(&policy, answer, clash).await;
    }
    member.may_change(&form.csrf)?;
    let version = match form.version(&member) {
        Ok(version) => version,
        Err(answer) => return again(&policy, answer, form.base != policy.newest.number).await,
    };
    let (store, org) = (app.store(), member.org.id);
    let saved = store
        .change_policy(org, policy.id, form.base, &version, now())
        .await;
    match saved {
        Ok(saved) => {
            let subject = format!("{} (version {})", saved.name, saved.newest.number);
            note(&app, &member, "policy.change", &subject).await?;
            Ok(to(&member, policy.id, "saved"))
        }
        Err(StoreError::Conflict(why)) => {
            let policy = known(&app, &member, &id).await?;
            let clash = policy.archived_at.is_none();
            let answer = match clash {
                true => Answer::None,
                false => Answer::Refused(format!("Nothing was saved: {why}.")),
            };
            again(&policy, answer, clash).await
        }
        Err(other) => Err(other.into()),
    }
}

#[derive(Deserialize)]
pub(super) struct VersionQuery {
    against: Option<String>,
}

pub(super) async fn version(
    State(app): State<App>,
    member: Member,
    Path((_, id, number)): Path<(String, String, String)>,
    Query(query): Query<VersionQuery>,
) -> Result<Response, PageError> {
    let policy = known(&app, &member, &id).await?;
    let (store, org) = (app.store(), member.org.id);
    let of = async |number: Option<i64>| match number {
        Some(number) => store.policy_text(org, policy.id, number).await,
        None => Ok(None),
    };
    let number: Option<i64> = number.parse().ok();
    let Some(kept) = of(number).await? else {
        return Err(PageError::missing(member.shell()));
    };
    let asked = query.against.and_then(|text| text.parse().ok());
    let other = of(asked.or(Some(kept.0.number - 1))).await?;
    Ok(shown(&VersionPage::new(
        member.shell(),
        &policy,
        &kept,
        other.as_ref(),
        now(),
    )))
}

#[derive(Deserialize)]
pub(super) struct AttachForm {
    csrf: String,
    #[serde(default)]
    project: String,
    #[serde(default)]
    pipeline: String,
    #[serde(default)]
    job: String,
}

pub(super) async fn attach(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
    Form(form): Form<AttachForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let policy = known(&app, &member, &id).await?;
    let refused = async |why: String| {
        let said = Said {
            query: &PolicyQuery::default(),
            notice: Some(Notice::failed(&format!("It was not attached: {why}."))),
            typed: None,
            answer: &Answer::None,
            clash: false,
        };
        show_one(&app, &member, &policy, said).await
    };
    let project = match form.project.trim() {
        "" => None,
        // What is no number is no project, either; it must not become the whole organisation.
        text => Some(text.parse().unwrap_or(0)),
    };
    let scope = policy::scope(project, Some(form.pipeline.trim()), Some(form.job.trim()));
    let scope = match scope {
        Ok(scope) => scope,
        Err(why) => return refused(why.to_owned()).await,
    };
    let (store, org) = (app.store(), member.org.id);
    let attached = store
        .attach_policy(org, policy.id, &scope, member.who(), now())
        .await;
    match attached {
        Ok(made) => {
            let scope = policy::scope_said(&made.scope, made.project_name.as_deref());
            let subject = format!("{}: {scope}", policy.name);
            note(&app, &member, "policy.attach", &subject).await?;
            Ok(to(&member, policy.id, "attached"))
        }
        Err(error @ (StoreError::Conflict(_) | StoreError::Exists(_) | StoreError::Missing(_))) => {
            refused(error.to_string()).await
        }
        Err(other) => Err(other.into()),
    }
}

#[derive(Deserialize)]
pub(super) struct PlainForm {
    csrf: String,
}

pub(super) async fn detach(
    State(app): State<App>,
    member: Member,
    Path((_, id, attachment)): Path<(String, String, i64)>,
    Form(form): Form<PlainForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let policy = known(&app, &member, &id).await?;
    let ended = app
        .store()
        .detach_policy(member.org.id, policy.id, attachment)
        .await?;
    if let Some(ended) = ended {
        let scope = policy::scope_said(&ended.scope, ended.project_name.as_deref());
        let subject = format!("{}: {scope}", policy.name);
        note(&app, &member, "policy.detach", &subject).await?;
    }
    Ok(to(&member, policy.id, "detached"))
}

pub(super) async fn archive(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
    Form(form): Form<PlainForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let policy = known(&app, &member, &id).await?;
    app.store()
        .archive_policy(member.org.id, policy.id, now())
        .await
        .map_err(Problem::from)?;
    note(&app, &member, "policy.archive", &policy.name).await?;
    Ok(Redirect::to(&format!("/o/{}/policies?done=archived", member.org.slug)).into_response())
}
