use runward_store::StoreError;
use sqlx::AssertSqlSafe;

use crate::{Dialect, SqlStore, unavailable};

/// What brings a database from one version to the next, oldest first; a database keeps the number of those that it has
/// seen. One that was in a release is never changed.
///
/// `{id}` is a column that numbers its rows, and `{blob}` the type of bytes.
const STEPS: [&[&str]; 1] = [&[
    // For how many days things are kept; NULL is for ever.
    "CREATE TABLE org (
        id {id}, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL, keep_events BIGINT, keep_detections BIGINT,
        keep_runs BIGINT)",
    "CREATE TABLE project (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), provider TEXT NOT NULL, name TEXT NOT NULL,
        visibility TEXT NOT NULL, created_at BIGINT NOT NULL, last_run_at BIGINT, UNIQUE (org, provider, name))",
    "CREATE TABLE job (
        id {id}, project BIGINT NOT NULL REFERENCES project(id), pipeline TEXT NOT NULL, name TEXT NOT NULL,
        effective_mode TEXT, UNIQUE (project, pipeline, name))",
    "CREATE TABLE agent (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), host TEXT NOT NULL, version TEXT NOT NULL, tier TEXT,
        kernel TEXT NOT NULL, requested_mode TEXT, effective_mode TEXT, last_seen_at BIGINT NOT NULL,
        UNIQUE (org, host))",
    // `state`: 0 running, 1 finished, 2 silent. `search` is what text is looked for in, in small letters. `aged`: how much
    // of it is gone, see retention.rs.
    "CREATE TABLE run (
        number {id}, id TEXT NOT NULL UNIQUE, org BIGINT NOT NULL REFERENCES org(id),
        project BIGINT NOT NULL REFERENCES project(id), job BIGINT NOT NULL REFERENCES job(id),
        agent BIGINT NOT NULL REFERENCES agent(id), provider_run TEXT, attempt BIGINT, branch TEXT, commit_id TEXT,
        actor TEXT, cause TEXT, url TEXT, command TEXT NOT NULL, requested_mode TEXT, effective_mode TEXT, tier TEXT,
        state BIGINT NOT NULL, started_at BIGINT NOT NULL, last_seen_at BIGINT NOT NULL, duration_ms BIGINT,
        exit_code BIGINT, events BIGINT NOT NULL, digested BIGINT NOT NULL, processes BIGINT NOT NULL,
        connections BIGINT NOT NULL, destinations BIGINT NOT NULL, blocked BIGINT NOT NULL,
        file_changes BIGINT NOT NULL, detections BIGINT NOT NULL, lost BIGINT NOT NULL, tags BIGINT NOT NULL,
        search TEXT NOT NULL, aged BIGINT NOT NULL DEFAULT 0, events_gone_at BIGINT, events_gone_after BIGINT,
        detections_gone_at BIGINT, detections_gone_after BIGINT)",
    // Columns behind those by which they are sorted spare searches and counts the rows themselves.
    "CREATE INDEX run_by_time ON run (org, started_at DESC, number DESC, search)",
    "CREATE INDEX run_days ON run (org, started_at, effective_mode, blocked, detections)",
    "CREATE INDEX run_by_project ON run (project, started_at DESC, number DESC)",
    "CREATE INDEX run_counts ON run (project, blocked, detections)",
    "CREATE INDEX run_by_job ON run (job, number)",
    "CREATE INDEX run_by_pipeline ON run (job, provider_run)",
    "CREATE INDEX run_by_agent ON run (agent, started_at)",
    "CREATE INDEX run_open ON run (last_seen_at) WHERE state = 0",
    "CREATE INDEX run_undigested ON run (last_seen_at) WHERE events > digested AND aged = 0",
    // A run that goes on, of which batches come, is not in it.
    "CREATE INDEX run_by_age ON run (org, aged, last_seen_at) WHERE state <> 0",
    "CREATE TABLE batch (
        run BIGINT NOT NULL REFERENCES run(number), first BIGINT NOT NULL, last BIGINT NOT NULL,
        object TEXT NOT NULL, bytes BIGINT NOT NULL, PRIMARY KEY (run, first, last))",
    "CREATE TABLE destination (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), name TEXT NOT NULL, runs BIGINT NOT NULL,
        jobs BIGINT NOT NULL, connections BIGINT NOT NULL, blocked BIGINT NOT NULL, first_seen_at BIGINT NOT NULL,
        last_seen_at BIGINT NOT NULL, programs TEXT NOT NULL, UNIQUE (org, name))",
    "CREATE INDEX destination_by_time ON destination (org, last_seen_at DESC, id DESC)",
    "CREATE TABLE observation (
        run BIGINT NOT NULL REFERENCES run(number), destination BIGINT NOT NULL REFERENCES destination(id),
        started_at BIGINT NOT NULL, connections BIGINT NOT NULL, blocked BIGINT NOT NULL, bytes_sent BIGINT NOT NULL,
        bytes_received BIGINT NOT NULL, program TEXT NOT NULL, PRIMARY KEY (run, destination))",
    "CREATE INDEX observation_by_destination ON observation (destination, started_at DESC, run DESC)",
    // The first run of a job that went somewhere; NULL once that is no longer kept.
    "CREATE TABLE job_destination (
        job BIGINT NOT NULL REFERENCES job(id), destination BIGINT NOT NULL REFERENCES destination(id),
        first_run BIGINT REFERENCES run(number), PRIMARY KEY (job, destination))",
    "CREATE INDEX job_destination_by_run ON job_destination (first_run)",
    "CREATE INDEX job_destination_by_destination ON job_destination (destination)",
    // `backlog`: what a change of the rule has left to do; where it goes on among new detections, newest first.
    "CREATE TABLE suppression (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), name TEXT NOT NULL, matches TEXT NOT NULL,
        reason TEXT NOT NULL, created_by TEXT NOT NULL, created_at BIGINT NOT NULL, expires_at BIGINT,
        ended_at BIGINT, ended_by TEXT, given_back BIGINT NOT NULL, backlog TEXT)",
    "CREATE INDEX suppression_by_time ON suppression (org, created_at DESC, id DESC)",
    "CREATE INDEX suppression_live ON suppression (org, id) WHERE ended_at IS NULL",
    "CREATE INDEX suppression_due ON suppression (expires_at) WHERE ended_at IS NULL",
    "CREATE INDEX suppression_busy ON suppression (id) WHERE backlog IS NOT NULL",
    // `suppressed_by` is there while the status is `suppressed`, and then only.
    "CREATE TABLE detection (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), run BIGINT NOT NULL REFERENCES run(number),
        kind TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, subject TEXT NOT NULL,
        about TEXT NOT NULL, program TEXT NOT NULL, at BIGINT NOT NULL, status TEXT NOT NULL,
        suppressed_by BIGINT REFERENCES suppression(id), decided_by TEXT, comment TEXT,
        UNIQUE (run, kind, subject, program))",
    "CREATE INDEX detection_by_rule ON detection (suppressed_by) WHERE suppressed_by IS NOT NULL",
    "CREATE INDEX detection_by_time ON detection (org, at DESC, id DESC)",
    "CREATE INDEX detection_counts ON detection (org, kind, status)",
    "CREATE INDEX detection_by_status ON detection (org, status, at DESC, id DESC)",
    "CREATE TABLE person (
        id {id}, login TEXT NOT NULL UNIQUE, password_hash TEXT, subject TEXT UNIQUE,
        org BIGINT NOT NULL REFERENCES org(id), role TEXT NOT NULL, created_at BIGINT NOT NULL)",
    "CREATE INDEX person_by_org ON person (org, login)",
    "CREATE TABLE session (
        hash TEXT PRIMARY KEY, person BIGINT NOT NULL REFERENCES person(id), csrf TEXT NOT NULL,
        authenticated_at BIGINT NOT NULL, expires_at BIGINT NOT NULL)",
    "CREATE INDEX session_by_person ON session (person)",
    "CREATE TABLE registration (
        hash TEXT PRIMARY KEY, org BIGINT NOT NULL REFERENCES org(id), expires_at BIGINT NOT NULL)",
    "CREATE TABLE trust (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), issuer TEXT NOT NULL, pattern TEXT NOT NULL,
        created_at BIGINT NOT NULL, UNIQUE (issuer, pattern, org))",
    "CREATE TABLE api_key (
        id {id}, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, prefix TEXT NOT NULL,
        org BIGINT NOT NULL REFERENCES org(id), project BIGINT REFERENCES project(id), scope TEXT NOT NULL,
        created_at BIGINT NOT NULL, used_at BIGINT, revoked_at BIGINT)",
    "CREATE TABLE audit (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), at BIGINT NOT NULL, who TEXT NOT NULL, act TEXT NOT NULL,
        subject TEXT NOT NULL)",
    "CREATE INDEX audit_by_time ON audit (org, at DESC, id DESC)",
    // `version` is the newest one's number.
    "CREATE TABLE policy (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), name TEXT NOT NULL, version BIGINT NOT NULL,
        archived_at BIGINT)",
    "CREATE UNIQUE INDEX policy_by_name ON policy (org, name) WHERE archived_at IS NULL",
    "CREATE TABLE policy_version (
        policy BIGINT NOT NULL REFERENCES policy(id), number BIGINT NOT NULL, mode TEXT NOT NULL, text TEXT NOT NULL,
        note TEXT NOT NULL, made_by TEXT NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (policy, number))",
    // `level`: 0 organisation, 1 project, 2 pipeline, 3 job. What a level does not name is NULL or empty.
    "CREATE TABLE policy_attachment (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), policy BIGINT NOT NULL REFERENCES policy(id),
        level BIGINT NOT NULL, project BIGINT REFERENCES project(id), pipeline TEXT NOT NULL, job TEXT NOT NULL,
        made_by TEXT NOT NULL, at BIGINT NOT NULL)",
    "CREATE UNIQUE INDEX policy_attachment_by_scope
        ON policy_attachment (org, level, COALESCE(project, 0), pipeline, job)",
    "CREATE INDEX policy_attachment_by_policy ON policy_attachment (policy)",
    // `secret` is sealed with the key that `sealed_by` names. Whoever sends to a channel holds it until `leased_until`,
    // and nobody sends before `rest_until`. One that was removed stays as long as messages to it do.
    "CREATE TABLE channel (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), uid TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        kind TEXT NOT NULL, target TEXT NOT NULL, secret TEXT, sealed_by TEXT NOT NULL, body TEXT NOT NULL,
        project BIGINT REFERENCES project(id), kinds TEXT, least TEXT NOT NULL, every BIGINT NOT NULL,
        quiet BIGINT NOT NULL, is_on BIGINT NOT NULL, created_by TEXT NOT NULL, created_at BIGINT NOT NULL,
        removed_at BIGINT, leased_by TEXT, leased_until BIGINT NOT NULL, rest_until BIGINT NOT NULL,
        failures BIGINT NOT NULL, delivered_at BIGINT, failed_at BIGINT, error TEXT, runs TEXT NOT NULL,
        neutral BIGINT NOT NULL)",
    "CREATE INDEX channel_by_org ON channel (org, id) WHERE removed_at IS NULL",
    // A message to a channel. While it is `open`, more is put into it; it is closed before it is sent. `since` is when it
    // was due first. One that tells how a job came out names which (`about`), and keeps a hash of what it says.
    "CREATE TABLE delivery (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), channel BIGINT NOT NULL REFERENCES channel(id),
        state TEXT NOT NULL, open BIGINT NOT NULL, test BIGINT NOT NULL, severity TEXT NOT NULL, what TEXT NOT NULL,
        parcel TEXT NOT NULL, count BIGINT NOT NULL, created_at BIGINT NOT NULL, since BIGINT NOT NULL,
        due_at BIGINT NOT NULL, attempts BIGINT NOT NULL, attempted_at BIGINT, ended_at BIGINT, error TEXT,
        about TEXT, said TEXT)",
    "CREATE INDEX delivery_by_subject ON delivery (channel, about, id) WHERE about IS NOT NULL",
    "CREATE INDEX delivery_by_time ON delivery (org, created_at DESC, id DESC)",
    "CREATE INDEX delivery_by_channel ON delivery (channel, created_at DESC, id DESC)",
    "CREATE INDEX delivery_waiting ON delivery (channel, due_at, id) WHERE state = 'waiting'",
    "CREATE INDEX delivery_dead ON delivery (channel) WHERE state = 'dead'",
    "CREATE INDEX delivery_ended ON delivery (ended_at) WHERE ended_at IS NOT NULL",
    // What a channel was told last, and how often it has come again since: `held` is not told yet, `said` was told the
    // last time. `same` is a hash.
    "CREATE TABLE told (
        channel BIGINT NOT NULL REFERENCES channel(id), same TEXT NOT NULL, told_at BIGINT NOT NULL,
        held BIGINT NOT NULL, said BIGINT NOT NULL, PRIMARY KEY (channel, same))",
    "CREATE INDEX told_by_time ON told (told_at)",
    // `state` is what the rules of baselines keep; the other columns are what lists say of it.
    "CREATE TABLE baseline (
        job BIGINT PRIMARY KEY REFERENCES job(id), org BIGINT NOT NULL REFERENCES org(id), version BIGINT NOT NULL,
        state {blob} NOT NULL, stability TEXT NOT NULL, runs BIGINT NOT NULL, members BIGINT NOT NULL,
        open BIGINT NOT NULL, rate DOUBLE PRECISION NOT NULL, rate_low DOUBLE PRECISION NOT NULL,
        rate_high DOUBLE PRECISION NOT NULL, changed_at BIGINT NOT NULL)",
    "CREATE INDEX baseline_by_time ON baseline (org, changed_at DESC, job DESC)",
    // `level`: 0 project, 1 organisation; `place` is its number.
    "CREATE TABLE baseline_rate (
        level BIGINT NOT NULL, place BIGINT NOT NULL, alerts DOUBLE PRECISION NOT NULL,
        expected_alerts DOUBLE PRECISION NOT NULL, news DOUBLE PRECISION NOT NULL,
        expected_news DOUBLE PRECISION NOT NULL, at BIGINT NOT NULL, PRIMARY KEY (level, place))",
    "CREATE TABLE baseline_key (
        level BIGINT NOT NULL, place BIGINT NOT NULL, key BIGINT NOT NULL, normal BIGINT NOT NULL,
        open BIGINT NOT NULL, opened_at BIGINT, PRIMARY KEY (level, place, key))",
    "CREATE TABLE baseline_entry (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), job BIGINT NOT NULL REFERENCES job(id), at BIGINT NOT NULL,
        what TEXT NOT NULL, subject TEXT NOT NULL, run TEXT, person TEXT, why TEXT NOT NULL)",
    "CREATE INDEX baseline_entry_by_job ON baseline_entry (job, id DESC)",
    "CREATE TABLE baseline_settings (
        org BIGINT PRIMARY KEY REFERENCES org(id), min_runs BIGINT NOT NULL, min_days BIGINT,
        runs_per_alert BIGINT NOT NULL, news_commits BIGINT NOT NULL, alert_commits BIGINT)",
    "CREATE TABLE anomaly (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), job BIGINT NOT NULL REFERENCES job(id),
        run BIGINT NOT NULL REFERENCES run(number), key TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT NOT NULL,
        program TEXT NOT NULL, step TEXT, dependency TEXT, at BIGINT NOT NULL, score DOUBLE PRECISION NOT NULL,
        severity TEXT NOT NULL, confidence TEXT NOT NULL, disposition TEXT NOT NULL, explanation TEXT NOT NULL,
        image TEXT, hosted BIGINT, UNIQUE (run, key))",
    "CREATE INDEX anomaly_by_key ON anomaly (key, at DESC)",
    // Over all organisations; which of them it reaches stands in the second table.
    "CREATE TABLE incident (
        id {id}, key TEXT NOT NULL, subject TEXT NOT NULL, first_at BIGINT NOT NULL, last_at BIGINT NOT NULL,
        jobs BIGINT NOT NULL, state {blob} NOT NULL)",
    "CREATE INDEX incident_by_key ON incident (key, last_at DESC)",
    "CREATE TABLE incident_org (
        org BIGINT NOT NULL REFERENCES org(id), incident BIGINT NOT NULL REFERENCES incident(id),
        told BIGINT NOT NULL, PRIMARY KEY (org, incident))",
]];

impl SqlStore {
    pub(crate) async fn bring_up(&self) -> Result<(), StoreError> {
        let (id, blob) = match self.dialect {
            Dialect::Sqlite => ("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB"),
            Dialect::Postgres => (
                "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
                "BYTEA",
            ),
        };
        let mut change = self.begin().await?;
        if self.dialect == Dialect::Postgres {
            // Servers that start together do this one after the other. The number is any that nobody else uses.
            sqlx::query("SELECT pg_advisory_xact_lock(7236810)")
                .execute(&mut *change)
                .await
                .map_err(unavailable)?;
        }
        sqlx::query("CREATE TABLE IF NOT EXISTS schema_step (step BIGINT PRIMARY KEY)")
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        let done: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM schema_step")
            .fetch_one(&mut *change)
            .await
            .map_err(unavailable)?;
        for (number, step) in (0i64..).zip(STEPS) {
            if number < done {
                continue;
            }
            for statement in step {
                let statement = statement.replace("{id}", id).replace("{blob}", blob);
                sqlx::query(AssertSqlSafe(statement))
                    .execute(&mut *change)
                    .await
                    .map_err(unavailable)?;
            }
            sqlx::query("INSERT INTO schema_step (step) VALUES ($1)")
                .bind(number)
                .execute(&mut *change)
                .await
                .map_err(unavailable)?;
        }
        change.commit().await.map_err(unavailable)
    }
}
