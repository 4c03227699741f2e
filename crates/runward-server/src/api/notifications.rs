//! Where people are told, and what became of what they were to be told.

use axum::extract::State;
use axum::http::StatusCode;
use runward_api as api;
use runward_store::{
    Channel, ChannelKind, Delivery, DeliveryFilter, DeliveryState, Fault, MessageBody, OrgId,
    ProjectId, RunScope, Severity,
};
use serde::Deserialize;

use super::answers::{Answer, next, page, who, whole_org};
use super::{AdminKey, Json, Path, Query, ReadKey};
use crate::app::{App, now};
use crate::notify::{ChannelDraft, Drafted, Every, Refused, sign_anew, try_channel, usual_quiet};
use crate::problem::Problem;

pub(super) async fn list(State(app): State<App>, ReadKey(key): ReadKey) -> Answer<api::Channels> {
    let channels = app.store().channels(whole_org(&key)?).await?;
    let channels = channels.into_iter().map(|channel| told(&app, channel));
    Ok(Json(api::Channels {
        channels: channels.collect(),
    }))
}

pub(super) async fn create(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Json(wanted): Json<api::NewChannel>,
) -> Result<(StatusCode, Json<api::CreatedChannel>), Problem> {
    key.fresh()?;
    let draft = ChannelDraft {
        name: wanted.name,
        project: wanted.project_id.map(ProjectId),
        kinds: wanted.kinds,
        least: severity(wanted.least_severity),
        every: every(wanted.pace),
        quiet_hours: wanted
            .quiet_hours
            .unwrap_or_else(|| usual_quiet(kind(wanted.kind))),
        body: body(wanted.body),
        on: wanted.on,
        to: wanted.to.join("\n"),
        url: wanted.url.unwrap_or_default(),
        token: wanted.token.unwrap_or_default(),
        slack_channel: wanted.slack_channel.unwrap_or_default(),
        app: wanted.app_id.unwrap_or_default(),
        app_key: wanted.app_key.unwrap_or_default(),
        header: wanted.header.unwrap_or_default(),
        bucket: wanted.bucket.unwrap_or_default(),
        region: wanted.region.unwrap_or_default(),
        key_id: wanted.access_key_id.unwrap_or_default(),
        secret_key: wanted.secret_access_key.unwrap_or_default(),
        runs: wanted.runs.map(runs),
        neutral: wanted.neutral,
    };
    let drafted = draft.make(&app, kind(wanted.kind)).map_err(refused)?;
    let Drafted {
        uid,
        channel,
        signing,
    } = drafted;
    let who = who(&key);
    let kept = app
        .store()
        .add_channel(key.org, &uid, &channel, &who, now())
        .await?;
    audit(&app, key.org, &who, "channel.create", &kept).await?;
    let created = api::CreatedChannel {
        channel: told(&app, kept),
        signing_secret: signing.map(|key| key.text()),
    };
    Ok((StatusCode::CREATED, Json(created)))
}

pub(super) async fn show(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(id): Path<i64>,
) -> Answer<api::Channel> {
    let found = found(&app, whole_org(&key)?, id).await?;
    Ok(Json(told(&app, found)))
}

pub(super) async fn change(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
    Json(wanted): Json<api::ChannelChange>,
) -> Answer<api::Channel> {
    let channel = found(&app, key.org, id).await?;
    let draft = changed(ChannelDraft::of(&channel, app.config().notify.hour), wanted);
    if draft.leads_elsewhere() {
        key.fresh()?;
    }
    let changed = draft.change(&app, &channel).map_err(refused)?;
    let kept = app.store().change_channel(key.org, id, &changed).await?;
    audit(&app, key.org, &who(&key), "channel.change", &kept).await?;
    Ok(Json(told(&app, kept)))
}

fn changed(draft: ChannelDraft, wanted: api::ChannelChange) -> ChannelDraft {
    ChannelDraft {
        name: wanted.name.unwrap_or(draft.name),
        project: wanted
            .project_id
            .map_or(draft.project, |project| project.map(ProjectId)),
        kinds: wanted.kinds.unwrap_or(draft.kinds),
        least: wanted.least_severity.map_or(draft.least, severity),
        every: wanted.pace.map_or(draft.every, every),
        quiet_hours: wanted.quiet_hours.unwrap_or(draft.quiet_hours),
        body: wanted.body.map_or(draft.body, body),
        on: wanted.on.unwrap_or(draft.on),
        to: wanted.to.unwrap_or_default().join("\n"),
        url: wanted.url.unwrap_or_default(),
        token: wanted.token.unwrap_or_default(),
        slack_channel: wanted.slack_channel.unwrap_or_default(),
        app: wanted.app_id.unwrap_or_default(),
        app_key: wanted.app_key.unwrap_or_default(),
        header: wanted.header.unwrap_or_default(),
        bucket: wanted.bucket.unwrap_or_default(),
        region: wanted.region.unwrap_or_default(),
        key_id: wanted.access_key_id.unwrap_or_default(),
        secret_key: wanted.secret_access_key.unwrap_or_default(),
        runs: wanted.runs.map(runs).or(draft.runs),
        neutral: wanted.neutral.unwrap_or(draft.neutral),
    }
}

pub(super) async fn remove(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let removed = app.store().remove_channel(key.org, id, now()).await?;
    let name = removed.ok_or_else(|| Problem::missing("channel"))?;
    let subject = format!("{id} {name}");
    app.store()
        .audit(key.org, now(), &who(&key), "channel.remove", &subject)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn test(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Answer<api::Tried> {
    let channel = found(&app, key.org, id).await?;
    let orgs = app.store().orgs().await?;
    let org = orgs.into_iter().find(|org| org.id == key.org);
    let org = org.ok_or_else(|| Problem::missing("organisation"))?;
    let who = who(&key);
    let error = try_channel(&app, &channel, (&org.slug, &org.name), &who).await?;
    audit(&app, key.org, &who, "channel.test", &channel).await?;
    Ok(Json(api::Tried {
        delivered: error.is_none(),
        error,
    }))
}

pub(super) async fn renew(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Result<(StatusCode, Json<api::SigningSecret>), Problem> {
    key.fresh()?;
    let channel = found(&app, key.org, id).await?;
    let (changed, signing) = sign_anew(&app, &channel)?;
    let kept = app.store().change_channel(key.org, id, &changed).await?;
    audit(&app, key.org, &who(&key), "channel.renew-secret", &kept).await?;
    let signing_secret = signing.text();
    let made = Json(api::SigningSecret { signing_secret });
    Ok((StatusCode::CREATED, made))
}

#[derive(Deserialize)]
pub(super) struct DeliveriesQuery {
    channel_id: Option<i64>,
    state: Option<api::DeliveryState>,
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn deliveries(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<DeliveriesQuery>,
) -> Answer<api::Deliveries> {
    let org = whole_org(&key)?;
    let filter = DeliveryFilter {
        channel: query.channel_id,
        state: query.state.map(|state| match state {
            api::DeliveryState::Waiting => DeliveryState::Waiting,
            api::DeliveryState::Delivered => DeliveryState::Delivered,
            api::DeliveryState::Dead => DeliveryState::Dead,
        }),
    };
    let page = page(query.after.as_deref(), query.limit)?;
    let found = app.store().deliveries(org, &filter, page).await?;
    Ok(Json(api::Deliveries {
        deliveries: found.rows.into_iter().map(told_delivery).collect(),
        next: next(found.next),
    }))
}

pub(super) async fn send_again(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    let what = app.store().send_again(key.org, id, now()).await?;
    if what.is_none() {
        return Err(Problem::missing("message that was given up"));
    }
    app.teller().wake();
    app.store()
        .audit(
            key.org,
            now(),
            &who(&key),
            "delivery.send-again",
            &id.to_string(),
        )
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn found(app: &App, org: OrgId, id: i64) -> Result<Channel, Problem> {
    let found = app.store().channel(org, id).await?;
    found.ok_or_else(|| Problem::missing("channel"))
}

/// Notes a change, without anything secret.
async fn audit(
    app: &App,
    org: OrgId,
    who: &str,
    act: &str,
    channel: &Channel,
) -> Result<(), Problem> {
    let subject = format!("{} {}", channel.id, channel.kept.name);
    Ok(app.store().audit(org, now(), who, act, &subject).await?)
}

fn refused(refused: Refused) -> Problem {
    match refused {
        Refused::Problem(problem) => problem,
        Refused::Faults(faults) => {
            let told = faults
                .iter()
                .map(|Fault { at, why }| format!("{at}: {why}"));
            Problem::not_possible(told.collect::<Vec<_>>().join("; "))
        }
    }
}

fn told(app: &App, channel: Channel) -> api::Channel {
    let (kept, health) = (channel.kept, channel.health);
    let hour = app.config().notify.hour;
    api::Channel {
        id: channel.id,
        name: kept.name,
        kind: told_kind(kept.kind),
        target: kept.target,
        project_id: kept.wants.project.map(|project| project.0),
        kinds: kept.wants.kinds,
        least_severity: told_severity(kept.wants.least),
        pace: match Every::of(kept.wants.every, hour) {
            Every::Time => api::ChannelPace::AtOnce,
            Every::Hour => api::ChannelPace::Hourly,
            Every::Day => api::ChannelPace::Daily,
        },
        quiet_hours: kept.wants.quiet / hour.max(1),
        body: match kept.body {
            MessageBody::Envelope => api::WebhookBody::Envelope,
            MessageBody::Raw => api::WebhookBody::Raw,
            MessageBody::Ocsf => api::WebhookBody::Ocsf,
        },
        runs: match kept.wants.runs {
            RunScope::None => api::ChannelRuns::None,
            RunScope::Requests => api::ChannelRuns::Requests,
            RunScope::All => api::ChannelRuns::All,
        },
        neutral: kept.neutral,
        on: kept.on,
        created_by: channel.created_by,
        created_at_ms: channel.created_at,
        delivered_at_ms: health.delivered_at,
        failed_at_ms: health.failed_at,
        error: health.error,
        failures: health.failures,
        waiting: health.waiting,
        dead: health.dead,
        held: health.held,
    }
}

fn told_delivery(row: Delivery) -> api::Delivery {
    api::Delivery {
        id: row.id,
        channel_id: row.channel,
        channel: row.channel_name,
        state: match row.state {
            DeliveryState::Waiting => api::DeliveryState::Waiting,
            DeliveryState::Delivered => api::DeliveryState::Delivered,
            DeliveryState::Dead => api::DeliveryState::Dead,
        },
        test: row.test,
        severity: told_severity(row.severity),
        what: row.what,
        count: row.count,
        created_at_ms: row.created_at,
        due_at_ms: (row.state == DeliveryState::Waiting).then_some(row.due_at),
        attempts: row.attempts,
        attempted_at_ms: row.attempted_at,
        ended_at_ms: row.ended_at,
        error: row.error,
    }
}

fn kind(kind: api::ChannelKind) -> ChannelKind {
    match kind {
        api::ChannelKind::Email => ChannelKind::Email,
        api::ChannelKind::Slack => ChannelKind::Slack,
        api::ChannelKind::SlackBot => ChannelKind::SlackBot,
        api::ChannelKind::Teams => ChannelKind::Teams,
        api::ChannelKind::Webhook => ChannelKind::Webhook,
        api::ChannelKind::Syslog => ChannelKind::Syslog,
        api::ChannelKind::OtlpLogs => ChannelKind::OtlpLogs,
        api::ChannelKind::S3 => ChannelKind::S3,
        api::ChannelKind::GithubCheck => ChannelKind::GithubCheck,
        api::ChannelKind::GitlabStatus => ChannelKind::GitlabStatus,
    }
}

fn told_kind(kind: ChannelKind) -> api::ChannelKind {
    match kind {
        ChannelKind::Email => api::ChannelKind::Email,
        ChannelKind::Slack => api::ChannelKind::Slack,
        ChannelKind::SlackBot => api::ChannelKind::SlackBot,
        ChannelKind::Teams => api::ChannelKind::Teams,
        ChannelKind::Webhook => api::ChannelKind::Webhook,
        ChannelKind::Syslog => api::ChannelKind::Syslog,
        ChannelKind::OtlpLogs => api::ChannelKind::OtlpLogs,
        ChannelKind::S3 => api::ChannelKind::S3,
        ChannelKind::GithubCheck => api::ChannelKind::GithubCheck,
        ChannelKind::GitlabStatus => api::ChannelKind::GitlabStatus,
    }
}

fn body(body: api::WebhookBody) -> MessageBody {
    match body {
        api::WebhookBody::Envelope => MessageBody::Envelope,
        api::WebhookBody::Raw => MessageBody::Raw,
        api::WebhookBody::Ocsf => MessageBody::Ocsf,
    }
}

fn runs(runs: api::ChannelRuns) -> RunScope {
    match runs {
        api::ChannelRuns::None => RunScope::None,
        api::ChannelRuns::Requests => RunScope::Requests,
        api::ChannelRuns::All => RunScope::All,
    }
}

fn severity(severity: api::Severity) -> Severity {
    match severity {
        api::Severity::Low => Severity::Low,
        api::Severity::Medium => Severity::Medium,
        api::Severity::High => Severity::High,
        api::Severity::Critical => Severity::Critical,
    }
}

pub(super) fn told_severity(severity: Severity) -> api::Severity {
    match severity {
        Severity::Low => api::Severity::Low,
        Severity::Medium => api::Severity::Medium,
        Severity::High => api::Severity::High,
        Severity::Critical => api::Severity::Critical,
    }
}

fn every(pace: api::ChannelPace) -> Every {
    match pace {
        api::ChannelPace::AtOnce => Every::Time,
        api::ChannelPace::Hourly => Every::Hour,
        api::ChannelPace::Daily => Every::Day,
    }
}
