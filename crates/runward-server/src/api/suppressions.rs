//! Rules that hide detections.

use axum::extract::State;
use axum::http::StatusCode;
use runward_api as api;
use runward_store::{
    Fault, Field, Matcher, Millis, Pattern, Suppression, SuppressionDraft, SuppressionState,
};
use serde::Deserialize;

use super::answers::{Answer, next, page, told_detection, who, whole_org};
use super::{AdminKey, Json, Path, Query, ReadKey};
use crate::app::{App, now};
use crate::problem::Problem;

/// Detections that a preview shows.
const PREVIEW_ROWS: u32 = 20;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    state: Option<api::SuppressionState>,
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<ListQuery>,
) -> Answer<api::Suppressions> {
    let org = whole_org(&key)?;
    let state = query.state.map(|state| match state {
        api::SuppressionState::Live => SuppressionState::Live,
        api::SuppressionState::Expired => SuppressionState::Expired,
        api::SuppressionState::Ended => SuppressionState::Ended,
    });
    let page = page(query.after.as_deref(), query.limit)?;
    let found = app.store().suppressions(org, state, page).await?;
    let at = now();
    Ok(Json(api::Suppressions {
        suppressions: found.rows.into_iter().map(|rule| told(rule, at)).collect(),
        next: next(found.next),
    }))
}

pub(super) async fn create(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Json(wanted): Json<api::NewSuppression>,
) -> Result<(StatusCode, Json<api::Suppression>), Problem> {
    let draft = SuppressionDraft {
        name: wanted.name,
        reason: wanted.reason,
        expires_at: wanted.expires_at_ms,
        patterns: patterns(wanted.matches),
    };
    let rule = draft.check(now()).map_err(refused)?;
    let who = who(&key);
    let kept = app
        .store()
        .add_suppression(key.org, &rule, &who, now())
        .await?;
    let subject = format!("{} {}", kept.id, kept.name);
    app.store()
        .audit(key.org, now(), &who, "suppression.create", &subject)
        .await?;
    Ok((StatusCode::CREATED, Json(told(kept, now()))))
}

pub(super) async fn preview(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Json(asked): Json<api::Matches>,
) -> Answer<api::SuppressionPreview> {
    let org = whole_org(&key)?;
    let draft = SuppressionDraft {
        patterns: patterns(asked),
        ..SuppressionDraft::default()
    };
    let matcher = draft.matcher().map_err(refused)?;
    let preview = app
        .store()
        .preview_suppression(org, &matcher, PREVIEW_ROWS)
        .await?;
    Ok(Json(api::SuppressionPreview {
        hides: preview.hides,
        complete: preview.complete,
        detections: preview.rows.into_iter().map(told_detection).collect(),
    }))
}

pub(super) async fn show(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(id): Path<i64>,
) -> Answer<api::Suppression> {
    let found = app.store().suppression(whole_org(&key)?, id).await?;
    let rule = found.ok_or_else(|| Problem::missing("suppression rule"))?;
    Ok(Json(told(rule, now())))
}

pub(super) async fn end(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let who = who(&key);
    if !app
        .store()
        .end_suppression(key.org, id, &who, now())
        .await?
    {
        return Err(Problem::missing("live suppression rule"));
    }
    app.store()
        .audit(key.org, now(), &who, "suppression.end", &id.to_string())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn patterns(matches: api::Matches) -> Vec<(Field, String)> {
    let fields = [
        (Field::Project, matches.project),
        (Field::Pipeline, matches.pipeline),
        (Field::Job, matches.job),
        (Field::Kind, matches.kind),
        (Field::Destination, matches.destination),
        (Field::Host, matches.host),
        (Field::Program, matches.program),
        (Field::Path, matches.path),
        (Field::File, matches.file),
        (Field::Secret, matches.secret),
    ];
    let fields = fields.into_iter();
    fields
        .filter_map(|(field, text)| Some((field, text?)))
        .collect()
}

fn refused(faults: Vec<Fault>) -> Problem {
    let told: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.at, fault.why))
        .collect();
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "not possible",
        told.join("; "),
    )
}

fn told(rule: Suppression, now: Millis) -> api::Suppression {
    api::Suppression {
        state: match rule.state(now) {
            SuppressionState::Live => api::SuppressionState::Live,
            SuppressionState::Expired => api::SuppressionState::Expired,
            SuppressionState::Ended => api::SuppressionState::Ended,
        },
        id: rule.id,
        name: rule.name,
        matches: told_matches(&rule.matcher),
        reason: rule.reason,
        hides: rule.hides,
        given_back: rule.given_back,
        busy: rule.busy,
        created_by: rule.created_by,
        created_at_ms: rule.created_at,
        expires_at_ms: rule.expires_at,
        ended_at_ms: rule.ended_at,
        ended_by: rule.ended_by,
    }
}

fn told_matches(matcher: &Matcher) -> api::Matches {
    let text = |field| {
        let pattern = matcher.pattern(field).map(Pattern::as_str);
        pattern.map(str::to_owned)
    };
    api::Matches {
        project: text(Field::Project),
        pipeline: text(Field::Pipeline),
        job: text(Field::Job),
        kind: text(Field::Kind),
        destination: text(Field::Destination),
        host: text(Field::Host),
        program: text(Field::Program),
        path: text(Field::Path),
        file: text(Field::File),
        secret: text(Field::Secret),
    }
}
