//! The pages of an organisation.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{
    Cursor, Destination, DetectionFilter, DetectionStatus, PageRequest, RunFilter,
};
use serde::Deserialize;

use super::access::{Member, PageError, shown};
use crate::app::{App, now};
use crate::pages::{
    AgentsPage, DestinationPage, DestinationQuery, DestinationsPage, DestinationsQuery,
    DetectionKindsPage, DetectionsPage, DetectionsQuery, OverviewPage, ProjectsPage, RunsPage,
    RunsQuery,
};
use crate::problem::Problem;

/// A query as it stands in the address.
pub(super) type Pairs = Query<Vec<(String, String)>>;

/// Days that the overview shows.
const DAYS: u32 = 30;
/// Rows of the overview's lists.
const NEWEST: PageRequest = PageRequest {
    after: None,
    limit: 8,
};
/// Rows that are asked for at once for an export.
const EXPORT_PART: u32 = 1_000;
/// Rows of an export; whoever has more asks the API.
const EXPORT_MAX: usize = 100_000;

pub(crate) async fn overview(
    State(app): State<App>,
    member: Member,
) -> Result<Response, PageError> {
    let store = app.store();
    let org = member.org.id;
    let overview = store.overview(org, DAYS, now()).await?;
    let runs = store.runs(org, &RunFilter::default(), NEWEST).await?;
    let open = DetectionFilter {
        status: Some(DetectionStatus::New),
        ..DetectionFilter::default()
    };
    let detections = store.detections(org, &open, NEWEST).await?;
    let page = OverviewPage::new(
        member.shell(),
        &overview,
        &runs.rows,
        &detections.rows,
        now(),
    );
    Ok(shown(&page))
}

pub(crate) async fn projects(
    State(app): State<App>,
    member: Member,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let projects = app.store().projects(org).await?;
    let policies = app.store().policies(org, false).await?;
    let attachments = app.store().policy_attachments(org, None).await?;
    Ok(shown(&ProjectsPage::new(
        member.shell(),
        &projects,
        &policies,
        &attachments,
        now(),
    )))
}

pub(crate) async fn runs(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let query = RunsQuery::parse(&pairs);
    let org = member.org.id;
    let runs = app
        .store()
        .runs(org, &query.filter(now()), query.page())
        .await?;
    let projects = app.store().projects(org).await?;
    Ok(shown(&RunsPage::new(
        member.shell(),
        &query,
        &runs,
        &projects,
        now(),
    )))
}

pub(crate) async fn destinations(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let query = DestinationsQuery::parse(&pairs);
    let found = app
        .store()
        .destinations(member.org.id, &query.filter(), query.page())
        .await?;
    Ok(shown(&DestinationsPage::new(
        member.shell(),
        &query,
        &found,
        now(),
    )))
}

pub(crate) async fn destination(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let query = DestinationQuery::parse(&pairs);
    let found = match id.parse() {
        Ok(id) => app.store().destination(member.org.id, id).await?,
        Err(_) => None,
    };
    let Some(destination) = found else {
        return Err(PageError::missing(member.shell()));
    };
    let runs = app
        .store()
        .sightings(member.org.id, destination.id, query.page())
        .await?;
    let page = DestinationPage::new(member.shell(), &query, &destination, &runs, now());
    Ok(shown(&page))
}

async fn all_destinations(
    app: &App,
    member: &Member,
    query: &DestinationsQuery,
) -> Result<Vec<Destination>, PageError> {
    let mut all = Vec::new();
    let mut after: Option<Cursor> = None;
    while all.len() < EXPORT_MAX {
        let part = PageRequest {
            after,
            limit: EXPORT_PART,
        };
        let page = app
            .store()
            .destinations(member.org.id, &query.filter(), part)
            .await?;
        all.extend(page.rows);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    Ok(all)
}

pub(crate) async fn destinations_csv(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let all = all_destinations(&app, &member, &DestinationsQuery::parse(&pairs)).await?;
    let mut text = String::from(
        "destination,runs,jobs,connections,blocked,first_seen_ms,last_seen_ms,programs\r\n",
    );
    for row in &all {
        let fields = [
            cell(&row.destination),
            row.runs.to_string(),
            row.jobs.to_string(),
            row.connections.to_string(),
            row.blocked.to_string(),
            row.first_seen_at.to_string(),
            row.last_seen_at.to_string(),
            cell(&row.programs.join(" ")),
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"destinations.csv\"",
        ),
    ];
    Ok((headers, text).into_response())
}

pub(crate) async fn destinations_json(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let all = all_destinations(&app, &member, &DestinationsQuery::parse(&pairs)).await?;
    let rows: Vec<_> = all
        .iter()
        .map(|row| {
            serde_json::json!({
                "destination": row.destination, "runs": row.runs, "jobs": row.jobs,
                "connections": row.connections, "blocked": row.blocked,
                "first_seen_ms": row.first_seen_at, "last_seen_ms": row.last_seen_at,
                "programs": row.programs,
            })
        })
        .collect();
    let name = "attachment; filename=\"destinations.json\"";
    Ok(([(header::CONTENT_DISPOSITION, name)], axum::Json(rows)).into_response())
}

/// A field of a CSV file (RFC 4180). What a spreadsheet would take for a formula becomes text.
fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let quote = if formula { "'" } else { "" };
    format!("\"{quote}{}\"", text.replace('"', "\"\""))
}

pub(crate) async fn detections(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let query = DetectionsQuery::parse(&pairs);
    let org = member.org.id;
    let found = app
        .store()
        .detections(org, &query.filter(), query.page())
        .await?;
    let counts = app.store().detection_counts(org, &query.filter()).await?;
    Ok(shown(&DetectionsPage::new(
        member.shell(),
        &query,
        &found,
        &counts,
        now(),
    )))
}

pub(crate) async fn detection_kinds(
    State(app): State<App>,
    member: Member,
) -> Result<Response, PageError> {
    let all = DetectionFilter::default();
    let counts = app.store().detection_counts(member.org.id, &all).await?;
    Ok(shown(&DetectionKindsPage::new(member.shell(), &counts)))
}

#[derive(Deserialize)]
pub(crate) struct Decision {
    csrf: String,
    action: String,
    #[serde(default)]
    comment: String,
}

pub(crate) async fn decide(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, i64)>,
    Form(form): Form<Decision>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let (status, act) = match form.action.as_str() {
        "resolve" => (DetectionStatus::Resolved, "detection.resolve"),
        "reopen" => (DetectionStatus::New, "detection.reopen"),
        _ => return Err(Problem::bad("a detection is resolved or reopened").into()),
    };
    let org = member.org.id;
    let comment: String = form.comment.trim().chars().take(1000).collect();
    let comment = (!comment.is_empty()).then_some(comment.as_str());
    app.store()
        .decide(org, id, status, member.who(), comment)
        .await?;
    app.store()
        .audit(org, now(), member.who(), act, &id.to_string())
        .await?;
    Ok(Redirect::to(&format!("/o/{}/detections", member.org.slug)).into_response())
}

pub(crate) async fn agents(State(app): State<App>, member: Member) -> Result<Response, PageError> {
    let agents = app.store().agents(member.org.id, now()).await?;
    Ok(shown(&AgentsPage::new(member.shell(), &agents, now())))
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn cells_are_text_whatever_is_in_them() {
        for (text, expected) in [
            ("a.example:443", "\"a.example:443\""),
            ("a\"b,c\n", "\"a\"\"b,c\n\""),
            ("=cmd()", "\"'=cmd()\""),
            ("@x", "\"'@x\""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }
}
