//! What was not normal in runs, and what of it happened in many places at once.

use std::collections::BTreeSet;

use runward_store::{
    Anomaly, Cursor, Digest, FINDING_SEEN, Incident, JobId, Millis, NewIncident, OrgId, Page,
    PageRequest, ProjectId, SeenAnomaly, StoreError,
};
use sqlx::any::AnyRow;

use crate::filter::Filter;
use crate::values::{bytes, int, maybe_int, maybe_text, real, storable, text};
use crate::{Change, SqlStore, unavailable};

/// The longest text of one field, in bytes.
const TEXT_MAX: usize = 1024;

const ANOMALY: &str = "anomaly.key, anomaly.kind, anomaly.subject, anomaly.program, anomaly.step, anomaly.dependency, \
    anomaly.at, anomaly.score, anomaly.severity, anomaly.confidence, anomaly.disposition, anomaly.explanation";

fn read_anomaly(row: &AnyRow) -> Result<Anomaly, StoreError> {
    Ok(Anomaly {
        key: text(row, 0)?,
        kind: text(row, 1)?,
        subject: text(row, 2)?,
        program: text(row, 3)?,
        step: maybe_text(row, 4)?,
        dependency: maybe_text(row, 5)?,
        at: int(row, 6)?,
        score: real(row, 7)?,
        severity: text(row, 8)?,
        confidence: text(row, 9)?,
        disposition: text(row, 10)?,
        explanation: text(row, 11)?,
    })
}

/// Keeps what was not normal in a run, in place of what was known of it. What was an alert stays one: somebody was told.
pub(crate) async fn put_anomalies(
    change: &mut Change,
    (org, job, run): (i64, i64, i64),
    digest: &Digest,
) -> Result<(), StoreError> {
    let (image, hosted) = &digest.machine;
    for anomaly in &digest.anomalies {
        let kept = |text: &str| storable(text, TEXT_MAX);
        sqlx::query(
            "INSERT INTO anomaly (org, job, run, key, kind, subject, program, step, dependency, at, score, severity,
                confidence, disposition, explanation, image, hosted)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
             ON CONFLICT (run, key) DO UPDATE SET score = excluded.score, severity = excluded.severity,
                confidence = excluded.confidence, explanation = excluded.explanation,
                disposition = CASE WHEN anomaly.disposition = 'alert' THEN 'alert' ELSE excluded.disposition END",
        )
        .bind(org)
        .bind(job)
        .bind(run)
        .bind(kept(&anomaly.key))
        .bind(&anomaly.kind)
        .bind(kept(&anomaly.subject))
        .bind(kept(&anomaly.program))
        .bind(anomaly.step.as_deref().map(kept))
        .bind(anomaly.dependency.as_deref().map(kept))
        .bind(anomaly.at)
        .bind(anomaly.score)
        .bind(&anomaly.severity)
        .bind(&anomaly.confidence)
        .bind(&anomaly.disposition)
        .bind(storable(&anomaly.explanation, 4 * TEXT_MAX))
        .bind(image.as_deref().map(kept))
        .bind(hosted.map(i64::from))
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    }
    Ok(())
}

/// Keeps an incident, in place of what was known of it. Whether the organisation has to be told of it.
pub(crate) async fn put_incident(
    change: &mut Change,
    org: i64,
    incident: &NewIncident,
) -> Result<bool, StoreError> {
    // Two waves of the same thing do not overlap; what does is one.
    let known: Option<i64> = sqlx::query_scalar(
        "SELECT id FROM incident WHERE key = $1 AND last_at >= $2 AND first_at <= $3 ORDER BY id LIMIT 1",
    )
    .bind(&incident.key)
    .bind(incident.first_at)
    .bind(incident.last_at)
    .fetch_optional(&mut **change)
    .await
    .map_err(unavailable)?;
    let sql = match known {
        Some(_) => {
            "UPDATE incident SET key = $1, subject = $2, first_at = $3, last_at = $4, jobs = $5, state = $6
             WHERE id = $7 RETURNING id"
        }
        None => {
            "INSERT INTO incident (key, subject, first_at, last_at, jobs, state)
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING id"
        }
    };
    let keeping = sqlx::query_scalar(sql)
        .bind(&incident.key)
        .bind(storable(&incident.subject, TEXT_MAX))
        .bind(incident.first_at)
        .bind(incident.last_at)
        .bind(incident.jobs)
        .bind(incident.state.clone());
    let keeping = match known {
        Some(id) => keeping.bind(id),
        None => keeping,
    };
    let id: i64 = keeping
        .fetch_one(&mut **change)
        .await
        .map_err(unavailable)?;
    for reached in incident.orgs.iter().collect::<BTreeSet<_>>() {
        sqlx::query(
            "INSERT INTO incident_org (org, incident, told) VALUES ($1, $2, 0) ON CONFLICT (org, incident) DO NOTHING",
        )
        .bind(reached.0)
        .bind(id)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    }
    let told = sqlx::query(
        "UPDATE incident_org SET told = 1 WHERE org = $1 AND incident = $2 AND told = 0",
    )
    .bind(org)
    .bind(id)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(told.rows_affected() > 0)
}

impl SqlStore {
    pub(crate) async fn select_anomalies(&self, run: i64) -> Result<Vec<Anomaly>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {ANOMALY} FROM anomaly WHERE run = $1 AND kind <> $2 ORDER BY score DESC, id"
        )))
        .bind(run)
        .bind(FINDING_SEEN)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter().map(read_anomaly).collect()
    }

    pub(crate) async fn select_sightings_of(
        &self,
        key: &str,
        since: Millis,
        most: u32,
    ) -> Result<Vec<SeenAnomaly>, StoreError> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {ANOMALY}, anomaly.org, run.project, anomaly.job, run.id, anomaly.image, anomaly.hosted
             FROM anomaly JOIN run ON run.number = anomaly.run
             WHERE anomaly.key = $1 AND anomaly.at >= $2 ORDER BY anomaly.at DESC LIMIT $3"
        )))
        .bind(key)
        .bind(since)
        .bind(i64::from(most))
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                Ok(SeenAnomaly {
                    anomaly: read_anomaly(row)?,
                    org: OrgId(int(row, 12)?),
                    project: ProjectId(int(row, 13)?),
                    job: JobId(int(row, 14)?),
                    run: text(row, 15)?,
                    image: maybe_text(row, 16)?,
                    hosted: maybe_int(row, 17)?.map(|hosted| hosted != 0),
                })
            })
            .collect()
    }

    pub(crate) async fn select_incidents(
        &self,
        org: OrgId,
        page: PageRequest,
    ) -> Result<Page<Incident>, StoreError> {
        let mut asked = Filter::default();
        asked.int("incident_org.org = {}", org.0);
        asked.after("incident.last_at", "incident.id", page.after);
        let select = "SELECT incident.id, incident.key, incident.subject, incident.first_at, incident.last_at, \
            incident.jobs, incident.state FROM incident_org JOIN incident ON incident.id = incident_org.incident";
        let order = "incident.last_at DESC, incident.id DESC";
        let rows = asked.ask(&self.read, select, order, page).await?;
        let incident = |row: &AnyRow| {
            Ok(Incident {
                id: int(row, 0)?,
                key: text(row, 1)?,
                subject: text(row, 2)?,
                first_at: int(row, 3)?,
                last_at: int(row, 4)?,
                jobs: int(row, 5)?,
                state: bytes(row, 6)?,
            })
        };
        let rows = rows.iter().map(incident).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(rows, page.limit, |row: &Incident| Cursor {
            time: row.last_at,
            id: row.id,
        }))
    }
}
