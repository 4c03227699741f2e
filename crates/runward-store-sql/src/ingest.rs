use runward_event::JobIdentity;
use runward_store::{
    Batch, Claim, Millis, Opened, OrgId, ProjectId, Received, StoreError, Visibility,
};
use sqlx::any::AnyRow;

use crate::retention::{GONE, WHOLE};
use crate::values::{int, storable, text, word};
use crate::{Change, SqlStore, unavailable};

/// The longest text of one field that is kept, in bytes.
const FIELD_MAX: usize = 1024;
/// Runs that fall silent in one change: nobody else can write to SQLite meanwhile.
const SILENCED: i64 = 500;

impl SqlStore {
    pub(crate) async fn insert_run(
        &self,
        claim: &Claim,
        now: Millis,
    ) -> Result<Opened, StoreError> {
        let mut change = self.begin().await?;
        let known = sqlx::query("SELECT number, events, aged, org, project FROM run WHERE id = $1")
            .bind(&claim.run)
            .fetch_optional(&mut *change)
            .await
            .map_err(unavailable)?;
        if let Some(row) = known {
            let (org, project) = (OrgId(int(&row, 3)?), ProjectId(int(&row, 4)?));
            if org != claim.org || claim.project.is_some_and(|only| only != project) {
                return Err(StoreError::Missing("run"));
            }
            return read_opened(&row);
        }
        let project = find_project(&mut change, claim, now).await?;
        let job = find_job(&mut change, claim, project).await?;
        let agent = note_agent(&mut change, claim, now).await?;
        let number = insert(&mut change, claim, (project, job, agent), now).await?;
        change.commit().await.map_err(unavailable)?;
        Ok(Opened { number, events: 0 })
    }

    pub(crate) async fn select_opened(
        &self,
        org: OrgId,
        project: Option<ProjectId>,
        run: &str,
    ) -> Result<Option<Opened>, StoreError> {
        let row = sqlx::query(
            "SELECT number, events, aged FROM run WHERE id = $1 AND org = $2 AND ($3 = 0 OR project = $3)",
        )
        .bind(run)
        .bind(org.0)
        .bind(project.map_or(0, |project| project.0))
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(read_opened).transpose()
    }

    pub(crate) async fn insert_batch(
        &self,
        run: i64,
        batch: &Batch,
        now: Millis,
    ) -> Result<Received, StoreError> {
        let mut change = self.begin().await?;
        // The run's row is locked by this until the end, so that batches that come at once, perhaps to different servers,
        // are counted one after the other. A run that was given up goes on when something comes of it again; one that has
        // ended stays so.
        let row = sqlx::query(
            "UPDATE run SET last_seen_at = $1, state = CASE WHEN state = 2 THEN 0 ELSE state END
             WHERE number = $2 RETURNING number, events, aged",
        )
        .bind(now)
        .bind(run)
        .fetch_optional(&mut *change)
        .await
        .map_err(unavailable)?
        .ok_or(StoreError::Missing("run"))?;
        // Its events may have been deleted since it was looked up; then nothing of this is kept.
        let mut acknowledged = read_opened(&row)?.events;
        let mut inserted = 0;
        // What is acknowledged stays as it is. A batch that has nothing new is not kept, and of one that overlaps, only
        // what is new counts.
        if batch.last > acknowledged {
            let row = sqlx::query(
                "INSERT INTO batch (run, first, last, object, bytes) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (run, first, last) DO NOTHING",
            )
            .bind(run)
            .bind(batch.first.max(acknowledged + 1))
            .bind(batch.last)
            .bind(&batch.object)
            .bind(batch.bytes)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
            inserted = row.rows_affected();
        }
        // Batches that came before their turn may follow now.
        loop {
            let reached: Option<i64> = sqlx::query_scalar(
                "SELECT MAX(last) FROM batch WHERE run = $1 AND first <= $2 + 1 AND last > $2",
            )
            .bind(run)
            .bind(acknowledged)
            .fetch_one(&mut *change)
            .await
            .map_err(unavailable)?;
            match reached {
                Some(last) => acknowledged = last,
                None => break,
            }
        }
        sqlx::query("UPDATE run SET events = $1 WHERE number = $2")
            .bind(acknowledged)
            .bind(run)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        sqlx::query(
            "UPDATE agent SET last_seen_at = $1 WHERE id = (SELECT agent FROM run WHERE number = $2)",
        )
        .bind(now)
        .bind(run)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)?;
        Ok(Received {
            acknowledged,
            repeated: inserted == 0,
        })
    }

    pub(crate) async fn note_heartbeat(&self, run: i64, now: Millis) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let agent: Option<i64> = sqlx::query_scalar(
            "UPDATE run SET last_seen_at = $1, state = 0 WHERE number = $2 AND state <> 1 RETURNING agent",
        )
        .bind(now)
        .bind(run)
        .fetch_optional(&mut *change)
        .await
        .map_err(unavailable)?;
        sqlx::query("UPDATE agent SET last_seen_at = $1 WHERE id = $2")
            .bind(now)
            .bind(agent)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)
    }

    pub(crate) async fn select_batches(&self, run: i64) -> Result<Vec<Batch>, StoreError> {
        let rows = sqlx::query(
            "SELECT first, last, object, bytes FROM batch WHERE run = $1 ORDER BY first, last DESC",
        )
        .bind(run)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                Ok(Batch {
                    first: int(row, 0)?,
                    last: int(row, 1)?,
                    object: text(row, 2)?,
                    bytes: int(row, 3)?,
                })
            })
            .collect()
    }

    pub(crate) async fn mark_silent(&self, since: Millis, now: Millis) -> Result<u64, StoreError> {
        let mut change = self.begin().await?;
        let rows = sqlx::query(
            "UPDATE run SET state = 2 WHERE number IN (
                SELECT number FROM run WHERE state = 0 AND last_seen_at < $1 ORDER BY last_seen_at LIMIT $2)
             AND state = 0 RETURNING number",
        )
        .bind(since)
        .bind(SILENCED)
        .fetch_all(&mut *change)
        .await
        .map_err(unavailable)?;
        for row in &rows {
            self.tell_outcome(&mut change, int(row, 0)?, now).await?;
        }
        change.commit().await.map_err(unavailable)?;
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }
}

/// A run that still takes something, from its number, its events and its age.
fn read_opened(row: &AnyRow) -> Result<Opened, StoreError> {
    if int(row, 2)? != WHOLE {
        return Err(GONE);
    }
    Ok(Opened {
        number: int(row, 0)?,
        events: int(row, 1)?,
    })
}

/// The project that a run says it is of. A key for one project is good for that one only; a key of the organisation makes
/// projects that are not known yet, which nobody but members can see.
async fn find_project(change: &mut Change, claim: &Claim, now: Millis) -> Result<i64, StoreError> {
    let name = kept(claim.identity.project.as_deref());
    let provider = word(&claim.identity.provider);
    if claim.project.is_none() {
        sqlx::query(
            "INSERT INTO project (org, provider, name, visibility, created_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (org, provider, name) DO NOTHING",
        )
        .bind(claim.org.0)
        .bind(&provider)
        .bind(&name)
        .bind(word(&Visibility::Private))
        .bind(now)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    }
    let found: Option<i64> =
        sqlx::query_scalar("SELECT id FROM project WHERE org = $1 AND provider = $2 AND name = $3")
            .bind(claim.org.0)
            .bind(&provider)
            .bind(&name)
            .fetch_optional(&mut **change)
            .await
            .map_err(unavailable)?;
    let found = found.filter(|id| claim.project.is_none_or(|only| only.0 == *id));
    let id = found.ok_or(StoreError::Missing("project"))?;
    sqlx::query("UPDATE project SET last_run_at = $1 WHERE id = $2 AND (last_run_at IS NULL OR last_run_at < $1)")
        .bind(claim.started_at)
        .bind(id)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    Ok(id)
}

async fn find_job(change: &mut Change, claim: &Claim, project: i64) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "INSERT INTO job (project, pipeline, name, effective_mode) VALUES ($1, $2, $3, $4)
         ON CONFLICT (project, pipeline, name) DO UPDATE SET effective_mode = excluded.effective_mode
         RETURNING id",
    )
    .bind(project)
    .bind(kept(claim.identity.pipeline.as_deref()))
    .bind(kept(claim.identity.job.as_deref()))
    .bind(word(&claim.effective_mode))
    .fetch_one(&mut **change)
    .await
    .map_err(unavailable)?;
    int(&row, 0)
}

async fn note_agent(change: &mut Change, claim: &Claim, now: Millis) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "INSERT INTO agent (org, host, version, tier, kernel, requested_mode, effective_mode, last_seen_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (org, host) DO UPDATE SET version = excluded.version, tier = excluded.tier,
            kernel = excluded.kernel, requested_mode = excluded.requested_mode,
            effective_mode = excluded.effective_mode, last_seen_at = excluded.last_seen_at
         RETURNING id",
    )
    .bind(claim.org.0)
    .bind(kept(Some(&claim.host)))
    .bind(kept(Some(&claim.version)))
    .bind(word(&claim.tier))
    .bind(kept(Some(&claim.kernel)))
    .bind(word(&claim.requested_mode))
    .bind(word(&claim.effective_mode))
    .bind(now)
    .fetch_one(&mut **change)
    .await
    .map_err(unavailable)?;
    int(&row, 0)
}

async fn insert(
    change: &mut Change,
    claim: &Claim,
    (project, job, agent): (i64, i64, i64),
    now: Millis,
) -> Result<i64, StoreError> {
    let JobIdentity {
        run,
        attempt,
        branch,
        commit,
        actor,
        trigger,
        url,
        ..
    } = &claim.identity;
    let row = sqlx::query(
        "INSERT INTO run (id, org, project, job, agent, provider_run, attempt, branch, commit_id, actor, cause, url,
            command, requested_mode, effective_mode, tier, state, started_at, last_seen_at, events, digested,
            processes, connections, destinations, blocked, file_changes, detections, lost, tags, search)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, $17, $18, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, $19)
         RETURNING number",
    )
    .bind(&claim.run)
    .bind(claim.org.0)
    .bind(project)
    .bind(job)
    .bind(agent)
    .bind(maybe_kept(run.as_deref()))
    .bind(attempt.map(i64::from))
    .bind(maybe_kept(branch.as_deref()))
    .bind(maybe_kept(commit.as_deref()))
    .bind(maybe_kept(actor.as_deref()))
    .bind(maybe_kept(trigger.as_deref()))
    .bind(maybe_kept(url.as_deref()))
    .bind(kept(Some(&claim.command)))
    .bind(word(&claim.requested_mode))
    .bind(word(&claim.effective_mode))
    .bind(word(&claim.tier))
    .bind(claim.started_at)
    .bind(now)
    .bind(search_text(&claim.identity))
    .fetch_one(&mut **change)
    .await
    .map_err(unavailable)?;
    int(&row, 0)
}

/// What text is looked for in, in small letters.
fn search_text(identity: &JobIdentity) -> String {
    let fields = [
        &identity.project,
        &identity.pipeline,
        &identity.job,
        &identity.branch,
        &identity.commit,
        &identity.actor,
    ];
    let fields = fields
        .iter()
        .map(|field| kept(field.as_deref()).to_lowercase());
    fields.collect::<Vec<_>>().join("\n")
}

/// A text as it is kept: cut at a character's end, and without the character that PostgreSQL can't hold.
fn kept(text: Option<&str>) -> String {
    storable(text.unwrap_or_default(), FIELD_MAX)
}

fn maybe_kept(text: Option<&str>) -> Option<String> {
    text.map(|text| kept(Some(text)))
}
