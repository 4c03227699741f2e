//! The pages of one run.

use std::sync::Arc;

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Redirect, Response};
use runward_report::Report;
use runward_store::{Anomaly, AttachedPolicy, DetectionFilter, JobId, JobName, PageRequest};
use serde::Deserialize;

use super::access::{PageError, Seen, shown};
use super::organisation::Pairs;
use crate::app::{App, now};
use crate::auth::Viewer;
use crate::learn::OVERWRITTEN;
use crate::pages::{
    DetectionsTab, FilesTab, GoneTab, HttpsTab, NetworkTab, PolicyTab, ProcessesJson, ProcessesTab,
    RowsQuery, RunSource, StepsTab, SummaryTab,
};
use crate::problem::Problem;
use crate::what_if::{recommended, tried};

/// Detections that a run's page lists.
const DETECTIONS: u32 = 200;
/// Destinations that it lists where it has nothing but what the store knows.
const DESTINATIONS: u32 = 200;

/// `GET /runs/{run}`: what agents print, without knowing the organisation's name.
pub(crate) async fn forward(
    State(app): State<App>,
    Viewer(person): Viewer,
    Path(run): Path<String>,
) -> Result<Redirect, PageError> {
    let next = format!("/runs/{run}");
    let Some(person) = person else {
        return Err(PageError::Login(next));
    };
    let orgs = app.store().orgs().await?;
    let own = orgs
        .into_iter()
        .find(|org| org.id == person.session.user.org);
    match own {
        Some(org) if run.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Ok(Redirect::to(&format!("/o/{}/runs/{run}", org.slug)))
        }
        _ => Err(Problem::missing("run").into()),
    }
}

pub(crate) async fn summary(
    State(app): State<App>,
    seen: Seen,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let policies = named_policies(&app, &seen).await?;
    let judged = Judged::of(&app, &seen).await?;
    let state = state_of(&seen, &policies, &judged);
    if is_known(&state, &headers) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    if seen.run.events_deleted.is_some() {
        let went = app
            .store()
            .went(seen.org.id, seen.run.number, DESTINATIONS)
            .await?;
        let report = Arc::default();
        let page = GoneTab::summary(seen.shell(), &source(&seen, &report, &policies), &went);
        return Ok(tagged(&state, shown(&page)));
    }
    let report = app.report(&seen.run).await?;
    let source = RunSource {
        anomalies: &judged.anomalies,
        job: judged.job,
        told_files: judged.told_files.as_deref(),
        ..source(&seen, &report, &policies)
    };
    let page = SummaryTab::new(seen.shell(), &source);
    Ok(tagged(&state, shown(&page)))
}

/// What the baseline of the run's job has said of the run.
struct Judged {
    anomalies: Vec<Anomaly>,
    /// The job, for those who may see its baseline.
    job: Option<JobId>,
    /// See [`RunSource::told_files`].
    told_files: Option<Vec<String>>,
}

impl Judged {
    async fn of(app: &App, seen: &Seen) -> Result<Judged, PageError> {
        let store = app.store();
        let anomalies = store.anomalies(seen.run.number).await?;
        let place = match seen.person {
            Some(_) => store.run_place(seen.run.number).await?,
            None => None,
        };
        let filter = DetectionFilter {
            run: Some(seen.run.id.clone()),
            kind: Some(OVERWRITTEN.to_owned()),
            ..DetectionFilter::default()
        };
        let page = PageRequest {
            after: None,
            limit: DETECTIONS,
        };
        let told = store.detections(seen.org.id, &filter, page).await?;
        let files = told.rows.into_iter().map(|detection| detection.subject);
        Ok(Judged {
            anomalies,
            job: place.map(|place| place.job),
            told_files: told.next.is_none().then(|| files.collect()),
        })
    }
}

/// The named policies that are attached where the run's job lies; what the organisation has is for its members.
async fn named_policies(app: &App, seen: &Seen) -> Result<Vec<AttachedPolicy>, PageError> {
    if seen.person.is_none() {
        return Ok(Vec::new());
    }
    let job = JobName {
        provider: seen.project.provider,
        project: &seen.project.name,
        pipeline: &seen.run.pipeline,
        job: &seen.run.job,
    };
    Ok(app.store().policies_for(seen.org.id, job).await?)
}

/// Names a state of a run's pages: a browser that has a page of this state need not load it again.
fn state_of(seen: &Seen, policies: &[AttachedPolicy], judged: &Judged) -> String {
    let run = &seen.run;
    let viewer = seen.person.is_some();
    let policies: Vec<String> = policies
        .iter()
        .map(|found| format!("{}.{}", found.attachment.id, found.policy.newest.number))
        .collect();
    format!(
        "W/\"{}-{:?}-{}-{}-{}{}-{viewer}-{}\"",
        run.events,
        run.state,
        run.detections,
        judged.anomalies.len(),
        u8::from(run.events_deleted.is_some()),
        u8::from(run.detections_deleted.is_some()),
        policies.join("-")
    )
}

fn is_known(state: &str, headers: &HeaderMap) -> bool {
    let known = headers.get(header::IF_NONE_MATCH);
    known.and_then(|known| known.to_str().ok()) == Some(state)
}

fn tagged(state: &str, mut response: Response) -> Response {
    if let Ok(value) = state.parse() {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

fn source<'a>(
    seen: &'a Seen,
    report: &'a Arc<Report>,
    policies: &'a [AttachedPolicy],
) -> RunSource<'a> {
    RunSource {
        run: &seen.run,
        project: &seen.project,
        report,
        policies,
        anomalies: &[],
        job: None,
        told_files: None,
        now: now(),
    }
}

pub(crate) async fn tab(
    State(app): State<App>,
    seen: Seen,
    Path((_, _, tab)): Path<(String, String, String)>,
    Query(pairs): Pairs,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let policies = named_policies(&app, &seen).await?;
    let judged = Judged::of(&app, &seen).await?;
    let state = state_of(&seen, &policies, &judged);
    if is_known(&state, &headers) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    let shell = seen.shell();
    let is_gone = seen.run.events_deleted.is_some();
    // Data of what is gone is told as a problem, and pages of it say so themselves.
    let report = if is_gone && tab != "processes.json" {
        Arc::default()
    } else {
        app.report(&seen.run).await?
    };
    let source = RunSource {
        anomalies: &judged.anomalies,
        ..source(&seen, &report, &policies)
    };
    if is_gone && tab != "detections" {
        let page = GoneTab::named(shell, &source, &tab);
        let page = page.ok_or_else(|| PageError::missing(seen.shell()))?;
        return Ok(tagged(&state, shown(&page)));
    }
    let rows = RowsQuery::parse(&pairs);
    let response = match tab.as_str() {
        "network" => shown(&NetworkTab::new(shell, &source, &rows)),
        "https" => shown(&HttpsTab::new(shell, &source, &rows)),
        "files" => shown(&FilesTab::new(shell, &source, &rows)),
        "processes" => shown(&ProcessesTab::new(shell, &source, &rows)),
        "processes.json" => Json(ProcessesJson::new(&report, seen.run.events)).into_response(),
        "detections" => {
            let filter = DetectionFilter {
                run: Some(seen.run.id.clone()),
                shown: true,
                ..DetectionFilter::default()
            };
            let page = PageRequest {
                after: None,
                limit: DETECTIONS,
            };
            let found = app.store().detections(seen.org.id, &filter, page).await?;
            let all = DetectionFilter {
                shown: false,
                ..filter
            };
            let counts = app.store().detection_counts(seen.org.id, &all).await?;
            shown(&DetectionsTab::new(shell, &source, &found, &counts))
        }
        "policy" => shown(&PolicyTab::new(shell, &source, &recommended(&report), None)),
        "steps" => shown(&StepsTab::new(shell, &source)),
        _ => return Err(PageError::missing(shell)),
    };
    Ok(tagged(&state, response))
}

#[derive(Deserialize)]
pub(crate) struct WhatIfForm {
    policy: String,
}

/// `POST …/policy`: what a policy would have done. It changes nothing, so it needs no secret.
pub(crate) async fn what_if(
    State(app): State<App>,
    seen: Seen,
    Path((_, _, tab)): Path<(String, String, String)>,
    Form(form): Form<WhatIfForm>,
) -> Result<Response, PageError> {
    if tab != "policy" {
        return Err(PageError::missing(seen.shell()));
    }
    let report = app.report(&seen.run).await?;
    let record = Arc::clone(&report);
    // Not where requests are answered: a run may have many connections.
    let answer = tokio::task::spawn_blocking(move || tried(&record, form.policy));
    let answer = answer
        .await
        .map_err(|_| Problem::unavailable("the policy could not be tried"))?;
    let policies = named_policies(&app, &seen).await?;
    let source = source(&seen, &report, &policies);
    let page = PolicyTab::new(seen.shell(), &source, &recommended(&report), Some(&answer));
    Ok(shown(&page))
}
