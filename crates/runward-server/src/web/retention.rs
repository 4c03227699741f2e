//! How long an organisation keeps things.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use runward_store::{Retention, RetentionFault, StoreError};
use serde::Deserialize;

use super::access::PageError;
use super::confirm::{Act, Confirmed};
use super::settings::{News, told};
use crate::app::{App, now};
use crate::pages::{Notice, RetentionTyped, seen};
use crate::problem::Problem;

#[derive(Deserialize)]
pub(crate) struct RetentionForm {
    csrf: String,
    events: String,
    detections: String,
    runs: String,
    /// The terms that stood on the page. That these are the terms is checked when they are changed, so that nobody makes a
    /// dangerous change look harmless by them.
    seen: String,
    /// The terms of which it was said that what they delete is meant to be deleted.
    #[serde(default)]
    sure: String,
}

impl RetentionForm {
    fn seen(&self) -> Option<Retention> {
        let mut parts = self.seen.split('-');
        let mut next = || days(parts.next()?).ok();
        let terms = Retention::new(next()?, next()?, next()?);
        terms.ok()
    }

    fn wanted(&self) -> Result<Retention, String> {
        let [events, detections, runs] = [&self.events, &self.detections, &self.runs].map(|text| {
            days(text).map_err(|()| "a term is a number of days, or empty for ever".to_owned())
        });
        Retention::new(events?, detections?, runs?)
            .map_err(|fault: RetentionFault| fault.to_string())
    }

    fn typed(&self) -> [String; 3] {
        [
            self.events.clone(),
            self.detections.clone(),
            self.runs.clone(),
        ]
    }
}

/// A term as it is typed.
fn days(text: &str) -> Result<Option<i64>, ()> {
    match text.trim() {
        "" => Ok(None),
        text => text.parse().map(Some).map_err(drop),
    }
}

impl Act for RetentionForm {
    fn csrf(&self) -> &str {
        &self.csrf
    }

    fn danger(&self) -> Option<String> {
        let wanted = self.wanted().ok()?;
        // Until somebody has said that it is meant, nothing is changed.
        let losses = wanted.losses(&self.seen()?)?;
        (self.sure == seen(&wanted)).then_some(losses)
    }
}

/// `POST /o/{org}/settings/retention`: longer terms are saved. What shorter ones would delete is said first, and they are
/// saved when it is meant.
pub(crate) async fn change(
    State(app): State<App>,
    Confirmed { member, form }: Confirmed<RetentionForm>,
) -> Result<Response, PageError> {
    let org = member.org.id;
    let typed = |losses| RetentionTyped {
        terms: form.typed(),
        losses,
    };
    let before = form
        .seen()
        .ok_or_else(|| Problem::bad("the form does not say which terms it is about"))?;
    let wanted = match form.wanted() {
        Ok(wanted) => wanted,
        Err(why) => {
            let notice = Notice::failed(&format!("Nothing was changed: {why}."));
            return told(&app, &member, News::retention(Some(notice), typed(None))).await;
        }
    };
    if wanted.losses(&before).is_some() && form.sure != seen(&wanted) {
        let overdue = app.store().overdue(org, &wanted, now()).await?;
        let losses = typed(Some((overdue, seen(&wanted))));
        return told(&app, &member, News::retention(None, losses)).await;
    }
    if wanted != before {
        match app.store().change_retention(org, &before, &wanted).await {
            Ok(()) => {}
            Err(StoreError::Conflict(why)) => {
                let notice = Notice::failed(&format!("Nothing was changed: {why}."));
                return told(&app, &member, notice).await;
            }
            Err(error) => return Err(error.into()),
        }
        let changes = wanted.changes(&before);
        app.store()
            .audit(org, now(), member.who(), "retention.change", &changes)
            .await?;
    }
    let settings = format!("/o/{}/settings#retention", member.org.slug);
    Ok(Redirect::to(&settings).into_response())
}
