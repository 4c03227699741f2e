//! Operations about what is normal for jobs.

use axum::extract::State;
use axum::http::StatusCode;
use runward_api as api;
use runward_baseline::{How, Incident, Member, OpenAnomaly, Rate, State as Reliance};
use runward_event::Time;
use runward_store::{
    Anomaly, Baseline, BaselineFilter, BaselineSettings, BaselineState, JobId, Severity,
};
use serde::Deserialize;

use super::answers::{Answer, next, page, project, seen, who, whole_org};
use super::notifications::told_severity;
use super::{AdminKey, Caller, Json, Path, Query, ReadKey};
use crate::app::{App, millis};
use crate::learn::{self, Subject};
use crate::problem::Problem;

#[derive(Deserialize)]
pub(super) struct BaselinesQuery {
    project_id: Option<i64>,
    state: Option<api::BaselineState>,
    after: Option<String>,
    limit: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct PageQuery {
    after: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<BaselinesQuery>,
) -> Answer<api::Baselines> {
    let filter = BaselineFilter {
        project: project(&key, query.project_id)?,
        state: query.state.map(|state| match state {
            api::BaselineState::Creating => BaselineState::Creating,
            api::BaselineState::Stable => BaselineState::Stable,
            api::BaselineState::Unstable => BaselineState::Unstable,
        }),
    };
    let page = page(query.after.as_deref(), query.limit)?;
    let found = app.store().baselines(key.org, &filter, page).await?;
    Ok(Json(api::Baselines {
        baselines: found.rows.iter().map(told).collect(),
        next: next(found.next),
    }))
}

/// The baseline of the job with this number, if the caller may see it.
async fn found(app: &App, key: &Caller, job: i64) -> Result<Baseline, Problem> {
    let found = app.store().baseline(key.org, JobId(job)).await?;
    let found = found.filter(|row| key.project.is_none_or(|only| only == row.project));
    found.ok_or_else(|| Problem::missing("baseline"))
}

pub(super) async fn show(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(job): Path<i64>,
) -> Answer<api::BaselineDetail> {
    let row = found(&app, &key, job).await?;
    let Some(subject) = Subject::of(&app, key.org, row.project, row.job).await? else {
        return Err(learn::unreadable());
    };
    let baseline = &subject.baseline;
    let reasons = match baseline.state(&subject.around, &subject.settings) {
        Reliance::Stable => Vec::new(),
        Reliance::Creating { missing, .. } => vec![api::BaselineReason {
            what: missing,
            remedy: String::new(),
            culprits: Vec::new(),
            policy: Vec::new(),
        }],
        Reliance::Unstable { reasons } => reasons
            .into_iter()
            .map(|reason| api::BaselineReason {
                what: reason.what,
                remedy: reason.remedy,
                culprits: reason.culprits,
                policy: reason.policy,
            })
            .collect(),
    };
    let open = baseline.open(&subject.settings);
    Ok(Json(api::BaselineDetail {
        baseline: told(&row),
        reasons,
        news_rate: told_rate(&baseline.novelty(&subject.around).news),
        members: baseline.members().into_iter().map(told_member).collect(),
        new: open.into_iter().map(told_open).collect(),
        policy: learn::policy(baseline),
    }))
}

pub(super) async fn changes(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(job): Path<i64>,
    Query(query): Query<PageQuery>,
) -> Answer<api::BaselineChanges> {
    let row = found(&app, &key, job).await?;
    let page = page(query.after.as_deref(), query.limit)?;
    let found = app.store().baseline_entries(key.org, row.job, page).await?;
    let changes = found.rows.into_iter().map(|row| api::BaselineChange {
        at_ms: row.entry.at,
        what: row.entry.what,
        subject: row.entry.subject,
        run: row.entry.run,
        person: row.entry.person,
        why: row.entry.why,
    });
    Ok(Json(api::BaselineChanges {
        changes: changes.collect(),
        next: next(found.next),
    }))
}

pub(super) async fn decide(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(job): Path<i64>,
    Json(wanted): Json<api::BaselineDecision>,
) -> Result<StatusCode, Problem> {
    let row = found(&app, &key, job).await?;
    let decision = match wanted.verdict {
        api::BaselineVerdict::Accept => learn::Decision::Accept,
        api::BaselineVerdict::Reject => learn::Decision::Reject,
        api::BaselineVerdict::Remove => learn::Decision::Remove,
    };
    let decided = learn::decide(&app, &row, key.org, decision, &wanted.key, &who(&key)).await?;
    decided
        .map(|_| StatusCode::NO_CONTENT)
        .ok_or_else(|| Problem::missing("anomaly or member with this key"))
}

pub(super) async fn show_settings(
    State(app): State<App>,
    ReadKey(key): ReadKey,
) -> Answer<api::BaselineSettings> {
    let settings = app.store().baseline_settings(whole_org(&key)?).await?;
    Ok(Json(told_settings(&settings)))
}

pub(super) async fn change_settings(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Json(change): Json<api::BaselineSettingsChange>,
) -> Answer<api::BaselineSettings> {
    let before = app.store().baseline_settings(key.org).await?;
    let wanted = BaselineSettings {
        min_runs: change.min_runs.unwrap_or(before.min_runs),
        min_days: change.min_days.unwrap_or(before.min_days),
        runs_per_alert: change.runs_per_alert.unwrap_or(before.runs_per_alert),
        news_commits: change.news_commits.unwrap_or(before.news_commits),
        alert_commits: change.alert_commits.unwrap_or(before.alert_commits),
    };
    learn::set(&app, key.org, &wanted, &who(&key)).await?;
    Ok(Json(told_settings(&wanted)))
}

pub(super) async fn anomalies(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Path(run): Path<String>,
) -> Answer<api::Anomalies> {
    let run = seen(&app, &key, &run).await?;
    let anomalies = app.store().anomalies(run.number).await?;
    Ok(Json(api::Anomalies {
        anomalies: anomalies.into_iter().map(told_anomaly).collect(),
    }))
}

pub(super) async fn incidents(
    State(app): State<App>,
    ReadKey(key): ReadKey,
    Query(query): Query<PageQuery>,
) -> Answer<api::Incidents> {
    let org = whole_org(&key)?;
    let page = page(query.after.as_deref(), query.limit)?;
    let found = app.store().incidents(org, page).await?;
    let incidents = found.rows.iter().filter_map(|row| {
        // One that a newer version wrote is left out, as long as an older one looks at it.
        let incident: Incident = serde_json::from_slice(&row.state).ok()?;
        Some(told_incident(row.id, &incident.seen_by(org.0)))
    });
    Ok(Json(api::Incidents {
        incidents: incidents.collect(),
        next: next(found.next),
    }))
}

fn told(row: &Baseline) -> api::Baseline {
    let summary = row.summary;
    let [mean, low, high] = summary.alert_rate;
    api::Baseline {
        job_id: row.job.0,
        job: row.job_name.clone(),
        pipeline: row.pipeline.clone(),
        project_id: row.project.0,
        project: row.project_name.clone(),
        state: match summary.state {
            BaselineState::Creating => api::BaselineState::Creating,
            BaselineState::Stable => api::BaselineState::Stable,
            BaselineState::Unstable => api::BaselineState::Unstable,
        },
        runs: summary.runs,
        members: summary.members,
        open: summary.open,
        alert_rate: api::Rate { mean, low, high },
        changed_at_ms: row.changed_at,
    }
}

fn told_rate(rate: &Rate) -> api::Rate {
    api::Rate {
        mean: rate.mean,
        low: rate.low,
        high: rate.high,
    }
}

fn told_member(member: Member) -> api::BaselineMember {
    api::BaselineMember {
        key: member.key.as_str().to_owned(),
        subject: member.subject,
        is_file: member.is_file,
        stars: member
            .pattern
            .map(|pattern| pattern.stars)
            .unwrap_or_default(),
        programs: member.programs,
        steps: member.steps,
        first_seen_at_ms: at(member.first_seen),
        last_seen_at_ms: at(member.last_seen),
        runs: member.runs,
        most_sent: member.most_sent,
        accepted_by: match member.how {
            How::Accepted(by) => Some(by),
            How::Created | How::Recurred => None,
        },
    }
}

fn told_open(open: OpenAnomaly) -> api::OpenAnomaly {
    api::OpenAnomaly {
        key: open.key.as_str().to_owned(),
        subject: open.subject,
        told: open.told,
        programs: open.programs,
        first_seen_at_ms: at(open.first_seen),
        last_seen_at_ms: at(open.last_seen),
        runs: open.runs,
        counted: open.counted,
        takes: open.takes,
        rejected_by: open.rejected_by,
    }
}

fn at(time: Time) -> i64 {
    millis(time)
}

fn told_settings(settings: &BaselineSettings) -> api::BaselineSettings {
    api::BaselineSettings {
        min_runs: settings.min_runs,
        min_days: settings.min_days,
        runs_per_alert: settings.runs_per_alert,
        news_commits: settings.news_commits,
        alert_commits: settings.alert_commits,
    }
}

fn told_anomaly(anomaly: Anomaly) -> api::Anomaly {
    api::Anomaly {
        key: anomaly.key,
        kind: anomaly.kind,
        subject: anomaly.subject,
        program: anomaly.program,
        step: anomaly.step,
        dependency: anomaly.dependency,
        at_ms: anomaly.at,
        score: anomaly.score,
        severity: told_severity(Severity::parse(&anomaly.severity).unwrap_or(Severity::High)),
        confidence: anomaly.confidence,
        disposition: anomaly.disposition,
        explanation: anomaly.explanation,
    }
}

fn told_incident(id: i64, incident: &Incident) -> api::Incident {
    let common = &incident.common;
    api::Incident {
        id,
        subject: incident.subject.clone(),
        summary: incident.sentence(),
        first_at_ms: at(incident.first.at),
        last_at_ms: at(incident.last),
        jobs: incident.spread.jobs(),
        projects: incident.spread.projects(),
        elsewhere: incident.spread.elsewhere,
        program: common.program.clone(),
        image: common.image.clone(),
        dependency: common.dependency.clone(),
        hosted: common.hosted,
    }
}
