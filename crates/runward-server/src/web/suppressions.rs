//! Suppression rules.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{
    DetectionFilter, DetectionStatus, Fault, PageRequest, StoreError, SuppressionPreview,
};
use serde::Deserialize;

use super::access::{Member, PageError, shown};
use super::organisation::Pairs;
use crate::app::{App, now};
use crate::kinds;
use crate::pages::{
    SuppressionForm, SuppressionFormPage, SuppressionPage, SuppressionsPage, SuppressionsQuery,
};
use crate::problem::Problem;

/// Detections that the page of a rule and a preview list.
const ROWS: u32 = 20;

/// `GET /o/{org}/suppressions`
pub(crate) async fn list(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let query = SuppressionsQuery::parse(&pairs);
    let org = member.org.id;
    let found = app
        .store()
        .suppressions(org, query.state(), query.page())
        .await?;
    let hidden = counted(&app, &member, DetectionStatus::Suppressed).await?;
    Ok(shown(&SuppressionsPage::new(
        member.shell(),
        &query,
        &found,
        hidden,
        now(),
    )))
}

/// How many detections are in a state.
async fn counted(app: &App, member: &Member, status: DetectionStatus) -> Result<i64, StoreError> {
    let all = DetectionFilter::default();
    let counts = app.store().detection_counts(member.org.id, &all).await?;
    let counts = counts.iter().filter(|(_, counted, _)| *counted == status);
    Ok(counts.map(|(_, _, n)| n).sum())
}

/// `GET /o/{org}/suppressions/new`: the form, filled with what the address says, and what the rule would hide.
pub(crate) async fn form(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let form = SuppressionForm::parse(&pairs);
    if form.is_empty() {
        return show(&app, &member, &form, &[], None).await;
    }
    preview(&app, &member, &form).await
}

/// `POST /o/{org}/suppressions`: shows what a rule would hide, or saves it.
pub(crate) async fn make(
    State(app): State<App>,
    member: Member,
    Form(pairs): Form<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let value = |name: &str| {
        let found = pairs.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    };
    member.may_change(value("csrf"))?;
    let form = SuppressionForm::parse(&pairs);
    match value("action") {
        "preview" => preview(&app, &member, &form).await,
        "save" => save(&app, &member, &form).await,
        _ => Err(Problem::bad("a rule is previewed or saved").into()),
    }
}

async fn preview(
    app: &App,
    member: &Member,
    form: &SuppressionForm,
) -> Result<Response, PageError> {
    let draft = form.draft().map_err(|fault| vec![fault]);
    match draft.and_then(|draft| draft.matcher()) {
        Ok(matcher) => {
            let store = app.store();
            let found = store
                .preview_suppression(member.org.id, &matcher, ROWS)
                .await?;
            show(app, member, form, &[], Some(&found)).await
        }
        Err(faults) => show(app, member, form, &faults, None).await,
    }
}

async fn save(app: &App, member: &Member, form: &SuppressionForm) -> Result<Response, PageError> {
    let draft = form.draft().map_err(|fault| vec![fault]);
    let rule = match draft.and_then(|draft| draft.check(now())) {
        Ok(rule) => rule,
        Err(faults) => return show(app, member, form, &faults, None).await,
    };
    let org = member.org.id;
    let kept = app
        .store()
        .add_suppression(org, &rule, member.who(), now())
        .await;
    let kept = match kept {
        Err(full @ StoreError::Full(_)) => {
            let fault = Fault {
                at: "rule",
                why: full.to_string(),
            };
            return show(app, member, form, &[fault], None).await;
        }
        kept => kept?,
    };
    let subject = format!("{} {}", kept.id, kept.name);
    app.store()
        .audit(org, now(), member.who(), "suppression.create", &subject)
        .await?;
    Ok(Redirect::to(&address(member, kept.id)).into_response())
}

async fn show(
    app: &App,
    member: &Member,
    form: &SuppressionForm,
    faults: &[Fault],
    preview: Option<&SuppressionPreview>,
) -> Result<Response, PageError> {
    let all = DetectionFilter::default();
    let counts = app.store().detection_counts(member.org.id, &all).await?;
    let open = counts
        .iter()
        .filter(|(_, status, _)| *status == DetectionStatus::New)
        .map(|(_, _, n)| n)
        .sum();
    let kinds = kinds::names(&counts);
    let shell = member.shell();
    let page = SuppressionFormPage::new(shell, form, faults, preview, (&kinds, open), now());
    let status = if faults.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    Ok((status, shown(&page)).into_response())
}

fn address(member: &Member, id: i64) -> String {
    format!("/o/{}/suppressions/{id}", member.org.slug)
}

/// `GET /o/{org}/suppressions/{id}`
pub(crate) async fn rule(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let found = match id.parse() {
        Ok(id) => app.store().suppression(org, id).await?,
        Err(_) => None,
    };
    let Some(rule) = found else {
        return Err(PageError::missing(member.shell()));
    };
    let hidden = DetectionFilter {
        rule: Some(rule.id),
        ..DetectionFilter::default()
    };
    let page = PageRequest {
        after: None,
        limit: ROWS,
    };
    let detections = app.store().detections(org, &hidden, page).await?;
    Ok(shown(&SuppressionPage::new(
        member.shell(),
        &rule,
        &detections,
        now(),
    )))
}

#[derive(Deserialize)]
pub(crate) struct EndForm {
    csrf: String,
}

/// `POST /o/{org}/suppressions/{id}`: ends the rule.
pub(crate) async fn end(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, i64)>,
    Form(form): Form<EndForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let (org, who) = (member.org.id, member.who());
    // A second click finds it ended, and sees so.
    if app.store().end_suppression(org, id, who, now()).await? {
        app.store()
            .audit(org, now(), who, "suppression.end", &id.to_string())
            .await?;
    }
    Ok(Redirect::to(&address(&member, id)).into_response())
}
