//! The pages of baselines: what is normal for jobs, and what people decide about it.

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{Baseline, BaselineSettings, JobId};
use serde::Deserialize;

use super::access::{Member, PageError, shown};
use super::organisation::Pairs;
use crate::app::{App, now};
use crate::learn::{self, Decision, Subject};
use crate::pages::{
    BaselinePage, BaselineParts, BaselinesPage, BaselinesQuery, IncidentsPage, Notice,
    entries_page, incidents_page,
};
use crate::problem::Problem;

pub(crate) async fn list(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    show_list(&app, &member, &BaselinesQuery::parse(&pairs), None).await
}

async fn show_list(
    app: &App,
    member: &Member,
    query: &BaselinesQuery,
    notice: Option<Notice>,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let store = app.store();
    let page = store.baselines(org, &query.filter(), query.page()).await?;
    let counts = store.baseline_counts(org).await?;
    let settings = store.baseline_settings(org).await?;
    let shell = member.shell().telling(notice);
    let page = BaselinesPage::new(shell, query, &page, &counts, &settings, now());
    Ok(shown(&page))
}

/// The same new thing in several jobs at once.
pub(crate) async fn incidents(
    State(app): State<App>,
    member: Member,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let asked = incidents_page(&pairs);
    let org = member.org.id;
    let found = app.store().incidents(org, asked).await?;
    let page = IncidentsPage::new(member.shell(), org, &found, asked.after, now());
    Ok(shown(&page))
}

/// Numbers of a form; one that is left empty says nothing.
#[derive(Deserialize)]
pub(crate) struct SettingsForm {
    csrf: String,
    min_runs: i64,
    #[serde(default)]
    min_days: String,
    runs_per_alert: i64,
    news_commits: i64,
    #[serde(default)]
    alert_commits: String,
}

pub(crate) async fn set(
    State(app): State<App>,
    member: Member,
    Form(form): Form<SettingsForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let query = BaselinesQuery::parse(&[]);
    let Some(settings) = form.settings() else {
        let why = "Nothing was changed: a number is missing, or too large.";
        return show_list(&app, &member, &query, Some(Notice::failed(why))).await;
    };
    learn::set(&app, member.org.id, &settings, member.who()).await?;
    let notice = Notice::done("It holds from the next run on.");
    show_list(&app, &member, &query, Some(notice)).await
}

impl SettingsForm {
    fn settings(&self) -> Option<BaselineSettings> {
        let maybe = |text: &str| match text.trim() {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        };
        let settings = BaselineSettings {
            min_runs: self.min_runs,
            min_days: maybe(&self.min_days)?,
            runs_per_alert: self.runs_per_alert,
            news_commits: self.news_commits,
            alert_commits: maybe(&self.alert_commits)?,
        };
        settings.fault().is_none().then_some(settings)
    }
}

/// The baseline that the address names.
async fn named(app: &App, member: &Member, id: &str) -> Result<Baseline, PageError> {
    let found = match id.parse() {
        Ok(id) => app.store().baseline(member.org.id, JobId(id)).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| PageError::missing(member.shell()))
}

pub(crate) async fn one(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
    Query(pairs): Pairs,
) -> Result<Response, PageError> {
    let row = named(&app, &member, &id).await?;
    let org = member.org.id;
    let Some(subject) = Subject::of(&app, org, row.project, row.job).await? else {
        return Err(learn::unreadable().into());
    };
    let asked = entries_page(&pairs);
    let entries = app.store().baseline_entries(org, row.job, asked).await?;
    let baseline = &subject.baseline;
    let novelty = baseline.novelty(&subject.around);
    let parts = BaselineParts {
        row: &row,
        state: &baseline.state(&subject.around, &subject.settings),
        rates: [novelty.news.sentence(), novelty.alerts.sentence()],
        members: &baseline.members(),
        open: &baseline.open(&subject.settings),
        entries: &entries,
        given_up: baseline.given_up(),
    };
    Ok(shown(&BaselinePage::new(
        member.shell(),
        &parts,
        asked,
        now(),
    )))
}

#[derive(Deserialize)]
pub(crate) struct DecisionForm {
    csrf: String,
    key: String,
    action: String,
}

pub(crate) async fn decide(
    State(app): State<App>,
    member: Member,
    Path((_, id)): Path<(String, String)>,
    Form(form): Form<DecisionForm>,
) -> Result<Response, PageError> {
    member.may_change(&form.csrf)?;
    let decision = match form.action.as_str() {
        "accept" => Decision::Accept,
        "reject" => Decision::Reject,
        "remove" => Decision::Remove,
        _ => return Err(Problem::bad("something new is accepted or rejected").into()),
    };
    let row = named(&app, &member, &id).await?;
    let org = member.org.id;
    learn::decide(&app, &row, org, decision, &form.key, member.who()).await?;
    let back = format!("/o/{}/baseline/{}", member.org.slug, row.job.0);
    Ok(Redirect::to(&back).into_response())
}
