use runward_store::StoreError;
use sqlx::AssertSqlSafe;

use crate::{Dialect, SqlStore, unavailable};

/// What brings a database from one version to the next, oldest first; a database keeps the number of those that it has
/// seen. One that was in a release is never changed.
///
/// `{id}` is a column that numbers its rows.
const STEPS: [&[&str]; 1] = [&[
    "CREATE TABLE org (id {id}, slug TEXT NOT NULL UNIQUE, name TEXT NOT NULL)",
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
    // `state`: 0 running, 1 finished, 2 silent. `search` is what text is looked for in, in small letters.
    "CREATE TABLE run (
        number {id}, id TEXT NOT NULL UNIQUE, org BIGINT NOT NULL REFERENCES org(id),
        project BIGINT NOT NULL REFERENCES project(id), job BIGINT NOT NULL REFERENCES job(id),
        agent BIGINT NOT NULL REFERENCES agent(id), provider_run TEXT, attempt BIGINT, branch TEXT, commit_id TEXT,
        actor TEXT, cause TEXT, url TEXT, command TEXT NOT NULL, requested_mode TEXT, effective_mode TEXT, tier TEXT,
        state BIGINT NOT NULL, started_at BIGINT NOT NULL, last_seen_at BIGINT NOT NULL, duration_ms BIGINT,
        exit_code BIGINT, events BIGINT NOT NULL, digested BIGINT NOT NULL, processes BIGINT NOT NULL,
        connections BIGINT NOT NULL, destinations BIGINT NOT NULL, blocked BIGINT NOT NULL,
        file_changes BIGINT NOT NULL, detections BIGINT NOT NULL, lost BIGINT NOT NULL, tags BIGINT NOT NULL,
        search TEXT NOT NULL)",
    "CREATE INDEX run_by_time ON run (org, started_at DESC, number DESC)",
    "CREATE INDEX run_by_project ON run (project, started_at DESC, number DESC)",
    "CREATE INDEX run_by_job ON run (job, number)",
    "CREATE INDEX run_by_agent ON run (agent, started_at)",
    "CREATE INDEX run_open ON run (last_seen_at) WHERE state = 0",
    "CREATE INDEX run_undigested ON run (last_seen_at) WHERE events > digested",
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
    // The first run of a job that went somewhere.
    "CREATE TABLE job_destination (
        job BIGINT NOT NULL REFERENCES job(id), destination BIGINT NOT NULL REFERENCES destination(id),
        first_run BIGINT NOT NULL REFERENCES run(number), PRIMARY KEY (job, destination))",
    "CREATE INDEX job_destination_by_run ON job_destination (first_run)",
    "CREATE TABLE detection (
        id {id}, org BIGINT NOT NULL REFERENCES org(id), run BIGINT NOT NULL REFERENCES run(number),
        kind TEXT NOT NULL, severity TEXT NOT NULL, title TEXT NOT NULL, subject TEXT NOT NULL,
        program TEXT NOT NULL, at BIGINT NOT NULL, status TEXT NOT NULL, decided_by TEXT, comment TEXT,
        UNIQUE (run, kind, subject))",
    "CREATE INDEX detection_by_time ON detection (org, at DESC, id DESC)",
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
]];

impl SqlStore {
    pub(crate) async fn bring_up(&self) -> Result<(), StoreError> {
        let id = match self.dialect {
            Dialect::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
            Dialect::Postgres => "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        };
        let mut change = self.write.begin().await.map_err(unavailable)?;
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
                sqlx::query(AssertSqlSafe(statement.replace("{id}", id)))
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
