//! Operations about how long things are kept.

use axum::extract::State;
use runward_api as api;
use runward_store::Retention;

use super::answers::{Answer, whole_org};
use super::{AdminKey, Json, ReadKey};
use crate::app::{App, now};
use crate::problem::Problem;

pub(super) async fn show(State(app): State<App>, ReadKey(key): ReadKey) -> Answer<api::Retention> {
    let terms = app.store().retention(whole_org(&key)?).await?;
    Ok(Json(told(&terms)))
}

pub(super) async fn change(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Json(change): Json<api::RetentionChange>,
) -> Answer<api::Retention> {
    let before = app.store().retention(key.org).await?;
    let wanted = Retention::new(
        change.events_days.unwrap_or(before.events().days()),
        change.detections_days.unwrap_or(before.detections().days()),
        change.runs_days.unwrap_or(before.runs().days()),
    )
    .map_err(|fault| Problem::not_possible(fault.to_string()))?;
    if wanted.losses(&before).is_some() {
        key.fresh()?;
    }
    if wanted != before {
        app.store()
            .change_retention(key.org, &before, &wanted)
            .await?;
        let changes = wanted.changes(&before);
        app.store()
            .audit(key.org, now(), &key.who, "retention.change", &changes)
            .await?;
    }
    Ok(Json(told(&wanted)))
}

fn told(terms: &Retention) -> api::Retention {
    api::Retention {
        events_days: terms.events().days(),
        detections_days: terms.detections().days(),
        runs_days: terms.runs().days(),
    }
}
