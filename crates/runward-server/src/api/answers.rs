//! One function for each operation.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use runward_api as api;
use runward_store::{
    ApiKey, Cursor, DestinationFilter, DetectionFilter, DetectionStatus, KeyScope, NewApiKey,
    OrgId, PageRequest, ProjectId, ProjectSummary, Run, RunFilter, RunState, Tag, Tags, Visibility,
};
use serde::Deserialize;

use super::{AdminKey, Caller, Json, Path, Query, ReadKey};
use crate::app::{App, now};
use crate::auth::NewKey;
use crate::problem::Problem;

pub(super) type Answer<T> = Result<Json<T>, Problem>;

impl<T: serde::Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

pub(super) async fn describe() -> Json<serde_json::Value> {
    Json(api::openapi())
}

/// Where a page begins, and how long it is.
pub(super) fn page(after: Option<&str>, limit: Option<u32>) -> Result<PageRequest, Problem> {
    let limit = limit.unwrap_or(50);
    if !(1..=200).contains(&limit) {
        return Err(Problem::bad("limit: a page has 1 to 200 rows"));
    }
    let after = after.map(|text| {
        Cursor::parse(text)
            .ok_or_else(|| Problem::bad("after: take `next` of the page before, as it is"))
    });
    Ok(PageRequest {
        after: after.transpose()?,
        limit,
    })
}

pub(super) fn next(cursor: Option<Cursor>) -> Option<String> {
    cursor.map(Cursor::to_text)
}

/// What is about the whole organisation is not for a key of one project.
pub(super) fn whole_org(key: &Caller) -> Result<OrgId, Problem> {
    match key.project {
        None => Ok(key.org),
        Some(_) => Err(Problem::no_key()),
    }
}

/// The project that is asked for, or the only one that the key is good for.
pub(super) fn project(key: &Caller, asked: Option<i64>) -> Result<Option<ProjectId>, Problem> {
    match (key.project, asked.map(ProjectId)) {
        (Some(only), Some(asked)) if only != asked => Err(Problem::missing("project")),
        (Some(only), _) => Ok(Some(only)),
        (None, asked) => Ok(asked),
    }
}

#[derive(Deserialize)]
pub(super) struct OverviewQuery {
    days: Option<u32>,
}

pub(super) async fn overview(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<OverviewQuery>,
) -> Answer<api::Overview> {
    let days = query.days.unwrap_or(30);
    if !(1..=366).contains(&days) {
        return Err(Problem::bad("days: 1 to 366 can be asked for"));
    }
    let overview = app.store().overview(whole_org(&key)?, days, now()).await?;
    Ok(Json(api::Overview {
        days: overview
            .days
            .iter()
            .map(|day| api::Day {
                start_ms: day.start,
                runs: day.runs,
                blocking: day.blocking,
                blocked: day.blocked,
                detections: day.detections,
            })
            .collect(),
        projects: overview.projects,
        jobs: overview.jobs,
        blocking_jobs: overview.blocking_jobs,
        open_detections: overview.open_detections,
        hidden_detections: overview.hidden_detections,
        running: overview.running,
        destinations: overview.destinations,
    }))
}

pub(super) async fn projects(
    State(app): State<App>,
    ReadKey(key): ReadKey,
) -> Answer<api::Projects> {
    let projects = app.store().projects(whole_org(&key)?).await?;
    let projects = projects.into_iter().map(told_project).collect();
    Ok(Json(api::Projects { projects }))
}

fn told_project(summary: ProjectSummary) -> api::Project {
    api::Project {
        id: summary.project.id.0,
        provider: summary.project.provider,
        name: summary.project.name,
        visibility: match summary.project.visibility {
            Visibility::Public => api::Visibility::Public,
            Visibility::Private => api::Visibility::Private,
        },
        runs: summary.runs,
        last_run_at_ms: summary.last_run_at,
        blocked_runs: summary.blocked_runs,
        open_detections: summary.open_detections,
    }
}

#[derive(Deserialize)]
pub(super) struct RunsQuery {
    project_id: Option<i64>,
    pipeline: Option<String>,
    job: Option<String>,
    branch: Option<String>,
    tag: Option<String>,
    since_ms: Option<i64>,
    until_ms: Option<i64>,
    q: Option<String>,
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn runs(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<RunsQuery>,
) -> Answer<api::Runs> {
    let tag = query
        .tag
        .as_deref()
        .map(|name| Tag::from_name(name).ok_or_else(|| Problem::bad("tag: there is no such tag")));
    let filter = RunFilter {
        project: project(&key, query.project_id)?,
        pipeline: query.pipeline,
        job: query.job,
        branch: query.branch,
        state: None,
        tags: tag
            .transpose()?
            .map_or(Tags::default(), |tag| Tags::default().with(tag)),
        recorded: false,
        since: query.since_ms,
        until: query.until_ms,
        text: query.q,
    };
    let page = page(query.after.as_deref(), query.limit)?;
    let found = app.store().runs(key.org, &filter, page).await?;
    Ok(Json(api::Runs {
        runs: found.rows.into_iter().map(told_run).collect(),
        next: next(found.next),
    }))
}

fn told_run(run: Run) -> api::Run {
    api::Run {
        id: run.id,
        project_id: run.project.0,
        project: run.project_name,
        provider: run.provider,
        pipeline: run.pipeline,
        job: run.job,
        provider_run: run.provider_run,
        attempt: run.attempt,
        branch: run.branch,
        commit: run.commit,
        actor: run.actor,
        trigger: run.trigger,
        command: run.command,
        requested_mode: run.requested_mode,
        effective_mode: run.effective_mode,
        tier: run.tier,
        host: run.host,
        state: match run.state {
            RunState::Running => api::RunState::Running,
            RunState::Finished => api::RunState::Finished,
            RunState::Silent => api::RunState::Silent,
        },
        started_at_ms: run.started_at,
        last_seen_at_ms: run.last_seen_at,
        duration_ms: run.duration_ms,
        exit_code: run.exit_code,
        events: run.events,
        processes: run.processes,
        connections: run.connections,
        destinations: run.destinations,
        blocked: run.blocked,
        file_changes: run.file_changes,
        detections: run.detections,
        lost: run.lost,
        tags: run.tags.list().into_iter().map(told_tag).collect(),
        events_deleted_at_ms: run.events_deleted.map(|deleted| deleted.at),
        detections_deleted_at_ms: run.detections_deleted.map(|deleted| deleted.at),
    }
}

fn told_tag(tag: Tag) -> api::Tag {
    match tag {
        Tag::BlockedCall => api::Tag::BlockedCall,
        Tag::NewDestination => api::Tag::NewDestination,
        Tag::OverwrittenFile => api::Tag::OverwrittenFile,
        Tag::Terminated => api::Tag::Terminated,
        Tag::Loss => api::Tag::Loss,
        Tag::NotMonitored => api::Tag::NotMonitored,
        Tag::Anomalous => api::Tag::Anomalous,
    }
}

/// A run that the key may see.
pub(super) async fn seen(app: &App, key: &Caller, id: &str) -> Result<Run, Problem> {
    let found = app.store().run(key.org, id).await?;
    let found = found.filter(|(run, _)| key.project.is_none_or(|only| only == run.project));
    found
        .map(|(run, _)| run)
        .ok_or_else(|| Problem::missing("run"))
}

pub(super) async fn run(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(id): Path<String>,
) -> Answer<api::Run> {
    Ok(Json(told_run(seen(&app, &key, &id).await?)))
}

pub(super) async fn report(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let run = seen(&app, &key, &id).await?;
    let report = app.report(&run).await?;
    Ok(axum::Json(&*report).into_response())
}

#[derive(Deserialize)]
pub(super) struct DestinationsQuery {
    q: Option<String>,
    blocked: Option<bool>,
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn destinations(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<DestinationsQuery>,
) -> Answer<api::Destinations> {
    let filter = DestinationFilter {
        text: query.q,
        blocked: query.blocked.unwrap_or(false),
    };
    let page = page(query.after.as_deref(), query.limit)?;
    let found = app
        .store()
        .destinations(whole_org(&key)?, &filter, page)
        .await?;
    let destinations = found.rows.into_iter().map(|row| api::Destination {
        id: row.id,
        destination: row.destination,
        runs: row.runs,
        jobs: row.jobs,
        connections: row.connections,
        blocked: row.blocked,
        first_seen_at_ms: row.first_seen_at,
        last_seen_at_ms: row.last_seen_at,
        programs: row.programs,
    });
    Ok(Json(api::Destinations {
        destinations: destinations.collect(),
        next: next(found.next),
    }))
}

#[derive(Deserialize)]
pub(super) struct DetectionsQuery {
    kind: Option<String>,
    status: Option<api::DetectionStatus>,
    project_id: Option<i64>,
    run: Option<String>,
    suppression_id: Option<i64>,
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn detections(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<DetectionsQuery>,
) -> Answer<api::Detections> {
    let filter = DetectionFilter {
        kind: query.kind,
        status: query.status.map(kept_status),
        project: project(&key, query.project_id)?,
        run: query.run,
        rule: query.suppression_id,
        shown: false,
    };
    let page = page(query.after.as_deref(), query.limit)?;
    let found = app.store().detections(key.org, &filter, page).await?;
    Ok(Json(api::Detections {
        detections: found.rows.into_iter().map(told_detection).collect(),
        next: next(found.next),
    }))
}

fn kept_status(status: api::DetectionStatus) -> DetectionStatus {
    match status {
        api::DetectionStatus::New => DetectionStatus::New,
        api::DetectionStatus::Suppressed => DetectionStatus::Suppressed,
        api::DetectionStatus::Resolved => DetectionStatus::Resolved,
    }
}

pub(super) fn told_detection(detection: runward_store::Detection) -> api::Detection {
    api::Detection {
        id: detection.id,
        kind: detection.kind,
        severity: detection.severity,
        title: detection.title,
        subject: detection.subject,
        program: detection.program,
        run: detection.run,
        project: detection.project_name,
        pipeline: detection.pipeline,
        job: detection.job,
        at_ms: detection.at,
        status: match detection.status {
            DetectionStatus::New => api::DetectionStatus::New,
            DetectionStatus::Suppressed => api::DetectionStatus::Suppressed,
            DetectionStatus::Resolved => api::DetectionStatus::Resolved,
        },
        suppression_id: detection.hidden_by.map(|by| by.rule),
        decided_by: detection.decided_by,
        comment: detection.comment,
    }
}

pub(super) async fn decide(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
    Json(decision): Json<api::Decision>,
) -> Answer<api::Detection> {
    let comment = decision.comment.map(|text| {
        text.replace('\0', "")
            .chars()
            .take(1000)
            .collect::<String>()
    });
    let (status, act) = match decision.status {
        api::Verdict::New => (DetectionStatus::New, "detection.reopen"),
        api::Verdict::Resolved => (DetectionStatus::Resolved, "detection.resolve"),
    };
    let who = who(&key);
    app.store()
        .decide(key.org, id, status, &who, comment.as_deref())
        .await?;
    app.store()
        .audit(key.org, now(), &who, act, &id.to_string())
        .await?;
    let found = app.store().detection(key.org, id).await?;
    found
        .map(told_detection)
        .map(Json)
        .ok_or_else(|| Problem::missing("detection"))
}

/// How the caller stands in the log of changes.
pub(super) fn who(key: &Caller) -> String {
    key.who.clone()
}

pub(super) async fn agents(State(app): State<App>, ReadKey(key): ReadKey) -> Answer<api::Agents> {
    let agents = app.store().agents(whole_org(&key)?, now()).await?;
    let agents = agents.into_iter().map(|agent| api::Agent {
        id: agent.id,
        host: agent.host,
        version: agent.version,
        tier: agent.tier,
        kernel: agent.kernel,
        requested_mode: agent.requested_mode,
        effective_mode: agent.effective_mode,
        last_seen_at_ms: agent.last_seen_at,
        running: agent.running,
        lost_events: agent.lost_events,
    });
    Ok(Json(api::Agents {
        agents: agents.collect(),
    }))
}

pub(super) async fn keys(State(app): State<App>, AdminKey(key): AdminKey) -> Answer<api::ApiKeys> {
    let keys = app.store().keys(key.org).await?;
    Ok(Json(api::ApiKeys {
        keys: keys.into_iter().map(told_key).collect(),
    }))
}

pub(super) fn told_key(key: ApiKey) -> api::ApiKey {
    api::ApiKey {
        id: key.id,
        name: key.name,
        prefix: key.prefix,
        project_id: key.project.map(|project| project.0),
        scope: match key.scope {
            KeyScope::Ingest => api::Scope::Ingest,
            KeyScope::Read => api::Scope::Read,
            KeyScope::Admin => api::Scope::Admin,
        },
        created_at_ms: key.created_at,
        used_at_ms: key.used_at,
        revoked_at_ms: key.revoked_at,
    }
}

pub(super) async fn create_key(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Json(wanted): Json<api::NewApiKey>,
) -> Result<(StatusCode, Json<api::CreatedApiKey>), Problem> {
    let name = wanted.name.replace('\0', "");
    if name.trim().is_empty() || name.chars().count() > 100 {
        let why = "name: a key needs a name of 1 to 100 characters";
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "not possible",
            why,
        ));
    }
    if wanted.scope == api::Scope::Admin {
        key.fresh()?;
    }
    let new =
        NewKey::generate().map_err(|_| Problem::unavailable("there is no randomness for a key"))?;
    let kept = NewApiKey {
        name: name.clone(),
        prefix: new.prefix,
        hash: new.hash,
        org: key.org,
        project: wanted.project_id.map(ProjectId),
        scope: match wanted.scope {
            api::Scope::Ingest => KeyScope::Ingest,
            api::Scope::Read => KeyScope::Read,
            api::Scope::Admin => KeyScope::Admin,
        },
    };
    let kept = app.store().add_key(&kept, now()).await?;
    app.store()
        .audit(key.org, now(), &who(&key), "api-key.create", &name)
        .await?;
    let created = api::CreatedApiKey {
        secret: new.text,
        key: told_key(kept),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

pub(super) async fn revoke_key(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    if !app.store().revoke_key(key.org, id, now()).await? {
        return Err(Problem::missing("key"));
    }
    app.store()
        .audit(
            key.org,
            now(),
            &who(&key),
            "api-key.revoke",
            &id.to_string(),
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
