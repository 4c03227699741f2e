//! Named policies.

use axum::extract::State;
use axum::http::StatusCode;
use runward_api as api;
use runward_event::Provider;
use runward_store::{
    AttachedPolicy, JobName, NewPolicyVersion, OrgId, Policy, PolicyAttachment, PolicyScope,
    PolicyVersion, ProjectId,
};
use serde::Deserialize;

use super::answers::{Answer, next, page, project, who, whole_org};
use super::{AdminKey, Caller, Json, Path, Query, ReadKey};
use crate::app::{App, now};
use crate::policy::{self, PolicyFault, ReadPolicy};
use crate::problem::Problem;
use crate::trial::{self, RUNS_MAX, Whose};

/// Runs that a policy is tried on unless somebody says how many.
const RUNS: u32 = 10;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    archived: Option<bool>,
}

pub(super) async fn list(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<ListQuery>,
) -> Answer<api::Policies> {
    let org = whole_org(&key)?;
    let archived = query.archived.unwrap_or(false);
    let policies = app.store().policies(org, archived).await?;
    let attachments = app.store().policy_attachments(org, None).await?;
    let policies = policies.into_iter().map(|policy| {
        let own = attachments.iter().filter(|own| own.policy == policy.id);
        let own = own.cloned().collect();
        told(policy, own, None)
    });
    Ok(Json(api::Policies {
        policies: policies.collect(),
    }))
}

fn told(policy: Policy, attachments: Vec<PolicyAttachment>, text: Option<String>) -> api::Policy {
    api::Policy {
        id: policy.id,
        name: policy.name,
        version: policy.newest.number,
        mode: policy.newest.mode,
        changed_by: policy.newest.by,
        changed_at_ms: policy.newest.at,
        note: policy.newest.note,
        archived_at_ms: policy.archived_at,
        attachments: attachments.into_iter().map(told_attachment).collect(),
        text,
    }
}

fn told_attachment(attachment: PolicyAttachment) -> api::PolicyAttachment {
    let scope = attachment.scope;
    api::PolicyAttachment {
        id: attachment.id,
        policy_id: attachment.policy,
        project_id: scope.project().map(|project| project.0),
        project: attachment.project_name,
        pipeline: scope.pipeline().map(str::to_owned),
        job: scope.job().map(str::to_owned),
        attached_by: attachment.by,
        attached_at_ms: attachment.at,
    }
}

fn told_version(version: PolicyVersion, text: Option<String>) -> api::PolicyVersion {
    api::PolicyVersion {
        version: version.number,
        mode: version.mode,
        changed_by: version.by,
        changed_at_ms: version.at,
        note: version.note,
        text,
    }
}

fn read(text: &str) -> Result<ReadPolicy, Problem> {
    policy::read(text)
        .map_err(|faults| Problem::policy(faults.into_iter().map(PolicyFault::told).collect()))
}

fn version_of(text: &str, note: &str, by: &Caller) -> Result<NewPolicyVersion, Problem> {
    let read = read(text)?;
    Ok(NewPolicyVersion {
        text: read.text,
        mode: read.mode,
        note: policy::note(note),
        by: who(by),
    })
}

pub(super) async fn create(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Json(new): Json<api::NewPolicy>,
) -> Result<(StatusCode, Json<api::Policy>), Problem> {
    let name = policy::name(&new.name).map_err(Problem::not_possible)?;
    let version = version_of(&new.text, &new.note, &key)?;
    let kept = app
        .store()
        .add_policy(key.org, &name, &version, now())
        .await?;
    note(&app, &key, "policy.create", &name).await?;
    let made = told(kept, Vec::new(), Some(version.text));
    Ok((StatusCode::CREATED, Json(made)))
}

async fn note(app: &App, key: &Caller, act: &str, subject: &str) -> Result<(), Problem> {
    let who = who(key);
    Ok(app
        .store()
        .audit(key.org, now(), &who, act, subject)
        .await?)
}

async fn known(app: &App, org: OrgId, id: i64) -> Result<Policy, Problem> {
    let found = app.store().policy(org, id).await?;
    found.ok_or_else(|| Problem::missing("policy"))
}

pub(super) async fn show(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(id): Path<i64>,
) -> Answer<api::Policy> {
    let org = whole_org(&key)?;
    let policy = known(&app, org, id).await?;
    let attachments = app.store().policy_attachments(org, Some(id)).await?;
    let text = app
        .store()
        .policy_text(org, id, policy.newest.number)
        .await?;
    Ok(Json(told(policy, attachments, text.map(|(_, text)| text))))
}

pub(super) async fn change(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
    Json(change): Json<api::PolicyChange>,
) -> Answer<api::Policy> {
    known(&app, key.org, id).await?;
    let version = version_of(&change.text, &change.note, &key)?;
    let kept = app
        .store()
        .change_policy(key.org, id, change.version, &version, now())
        .await?;
    let subject = format!("{} (version {})", kept.name, kept.newest.number);
    note(&app, &key, "policy.change", &subject).await?;
    let attachments = app.store().policy_attachments(key.org, Some(id)).await?;
    Ok(Json(told(kept, attachments, Some(version.text))))
}

pub(super) async fn archive(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let policy = known(&app, key.org, id).await?;
    app.store().archive_policy(key.org, id, now()).await?;
    note(&app, &key, "policy.archive", &policy.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
pub(super) struct PageQuery {
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn versions(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(id): Path<i64>,
    Query(query): Query<PageQuery>,
) -> Answer<api::PolicyVersions> {
    let org = whole_org(&key)?;
    let page = page(query.after.as_deref(), query.limit)?;
    known(&app, org, id).await?;
    let found = app.store().policy_versions(org, id, page).await?;
    let versions = found.rows.into_iter().map(|row| told_version(row, None));
    Ok(Json(api::PolicyVersions {
        versions: versions.collect(),
        next: next(found.next),
    }))
}

pub(super) async fn version(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path((id, number)): Path<(i64, i64)>,
) -> Answer<api::PolicyVersion> {
    let org = whole_org(&key)?;
    let found = app.store().policy_text(org, id, number).await?;
    let (version, text) = found.ok_or_else(|| Problem::missing("version of a policy"))?;
    Ok(Json(told_version(version, Some(text))))
}

fn scope(project: Option<i64>, asked: &api::PolicyScope) -> Result<PolicyScope, Problem> {
    // A script whose variable is not set must not let a policy hold for everything.
    if [&asked.pipeline, &asked.job]
        .iter()
        .any(|name| name.as_deref() == Some(""))
    {
        return Err(Problem::not_possible(
            "a name is empty: leave the field out where all are meant",
        ));
    }
    policy::scope(project, asked.pipeline.as_deref(), asked.job.as_deref())
        .map_err(Problem::not_possible)
}

pub(super) async fn attach(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
    Json(asked): Json<api::PolicyScope>,
) -> Result<(StatusCode, Json<api::PolicyAttachment>), Problem> {
    let policy = known(&app, key.org, id).await?;
    let scope = scope(asked.project_id, &asked)?;
    let made = app
        .store()
        .attach_policy(key.org, id, &scope, &who(&key), now())
        .await?;
    let subject = attachment_said(&policy, &made);
    note(&app, &key, "policy.attach", &subject).await?;
    Ok((StatusCode::CREATED, Json(told_attachment(made))))
}

fn attachment_said(policy: &Policy, attachment: &PolicyAttachment) -> String {
    let scope = policy::scope_said(&attachment.scope, attachment.project_name.as_deref());
    format!("{}: {scope}", policy.name)
}

pub(super) async fn detach(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path((id, attachment)): Path<(i64, i64)>,
) -> Result<StatusCode, Problem> {
    let policy = known(&app, key.org, id).await?;
    let ended = app.store().detach_policy(key.org, id, attachment).await?;
    let ended = ended.ok_or_else(|| Problem::missing("attachment"))?;
    let subject = attachment_said(&policy, &ended);
    note(&app, &key, "policy.detach", &subject).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn attempt(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Json(trial): Json<api::PolicyTrial>,
) -> Answer<api::TriedPolicy> {
    let most = trial.runs.unwrap_or(RUNS);
    if !(1..=RUNS_MAX).contains(&most) {
        return Err(Problem::not_possible(
            "runs: a policy is tried on 1 to 50 runs",
        ));
    }
    let read = read(&trial.text)?;
    let project = project(&key, trial.scope.project_id)?;
    let scope = scope(project.map(|project| project.0), &trial.scope)?;
    if let Some(project) = project
        && app.store().project(key.org, project).await?.is_none()
    {
        return Err(Problem::missing("project"));
    }
    let tried = trial::attempt(&app, key.org, read.matcher, &Whose::Scope(scope), most).await?;
    let runs = tried.runs.into_iter().map(|tried| api::TriedRun {
        run: tried.run.id,
        connections: tried.connections,
        stopped: tried.stopped,
        not_judged: tried.unjudged,
    });
    let stopped = tried.rows.into_iter().map(|row| api::Stopped {
        destination: row.destination,
        connections: row.connections,
        stopped_then: row.stopped_then,
        runs: row.runs,
        programs: row.processes,
        reason: row.reason,
    });
    Ok(Json(api::TriedPolicy {
        mode: read.mode,
        runs: runs.collect(),
        omitted_runs: tried.omitted,
        stopped: stopped.collect(),
        unlisted: tried.unlisted,
    }))
}

#[derive(Deserialize)]
pub(super) struct JobQuery {
    provider: Provider,
    project: String,
    #[serde(default)]
    pipeline: String,
    #[serde(default)]
    job: String,
}

pub(super) async fn effective(
    State(app): State<App>,
    key: Caller,
    Query(asked): Query<JobQuery>,
) -> Answer<api::EffectivePolicy> {
    for text in [&asked.project, &asked.pipeline, &asked.job] {
        policy::word(text).map_err(Problem::bad)?;
    }
    if let Some(only) = key.project {
        own_project(&app, &key, only, &asked).await?;
    }
    let job = JobName {
        provider: asked.provider,
        project: &asked.project,
        pipeline: &asked.pipeline,
        job: &asked.job,
    };
    let mut found = app.store().policies_for(key.org, job).await?.into_iter();
    Ok(Json(api::EffectivePolicy {
        policy: found.next().map(told_effective),
        overridden: found.map(told_overridden).collect(),
    }))
}

/// A key for one project learns nothing of others, not even that they are there.
async fn own_project(
    app: &App,
    key: &Caller,
    only: ProjectId,
    asked: &JobQuery,
) -> Result<(), Problem> {
    let own = app.store().project(key.org, only).await?;
    let same =
        |own: &runward_store::Project| own.provider == asked.provider && own.name == asked.project;
    match own.filter(same) {
        Some(_) => Ok(()),
        None => Err(Problem::missing("project")),
    }
}

fn told_effective(found: AttachedPolicy) -> api::InEffect {
    api::InEffect {
        id: found.policy.id,
        name: found.policy.name,
        version: found.policy.newest.number,
        mode: found.policy.newest.mode,
        text: found.text,
        attached_to: attached_to(&found.attachment.scope),
    }
}

fn told_overridden(found: AttachedPolicy) -> api::Overridden {
    api::Overridden {
        id: found.policy.id,
        name: found.policy.name,
        attached_to: attached_to(&found.attachment.scope),
    }
}

fn attached_to(scope: &PolicyScope) -> api::AttachedTo {
    match scope {
        PolicyScope::Org => api::AttachedTo::Organisation,
        PolicyScope::Project(_) => api::AttachedTo::Project,
        PolicyScope::Pipeline(..) => api::AttachedTo::Pipeline,
        PolicyScope::Job(..) => api::AttachedTo::Job,
    }
}
