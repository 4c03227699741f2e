//! How long what was sent is kept, and deleting it.
//!
//! A run goes through these in order, and never back; `run.aged` says how far it has come. A run whose events were cut
//! takes nothing more, so what is looked at from then on can't grow, and its age can't change.
//!
//! Every step asks in its own change whether the run's time is over, by the terms as they are then.

use runward_store::{
    Batch, DAY, DeletedDetections, Millis, OrgId, Overdue, Retention, RetentionFault, SWEEP_AFTER,
    StoreError,
};
use sqlx::any::AnyRow;

use crate::values::{int, maybe_int, text};
use crate::{Change, Dialect, SqlStore, unavailable};

/// Everything is there.
pub(crate) const WHOLE: i64 = 0;
/// The events count as deleted. Batches still lead to their objects.
const CUT: i64 = 1;
/// No batch is left. There may be objects that none led to.
const CLEARED: i64 = 2;
/// Nothing is left in the place of the objects.
const SWEPT: i64 = 3;
/// The detections are deleted, too.
const BARE: i64 = 4;

/// A run that waits for its digest keeps its events for so much longer: what they amount to is not known yet. But not for
/// ever: some can't be digested.
const DIGEST_PATIENCE: Millis = DAY;
/// Detections that are deleted in one step; one run may have somewhat more.
const DETECTIONS: i64 = 1_000;
/// Runs of one such step.
const RUNS: i64 = 200;

/// In PostgreSQL, what holds two steps of one organisation apart; with the organisation's number in the lower half. Any
/// number that nobody else uses.
const STEP_LOCK: i64 = 7_236_811 << 32;

const TERMS: &str = "SELECT keep_events, keep_detections, keep_runs FROM org WHERE id = $1";

fn read_terms(row: &AnyRow) -> Result<Retention, StoreError> {
    Retention::new(maybe_int(row, 0)?, maybe_int(row, 1)?, maybe_int(row, 2)?)
        .map_err(|fault: RetentionFault| StoreError::Corrupt(fault.to_string()))
}

/// What whoever sends is told.
pub(crate) const GONE: StoreError = StoreError::Gone(
    "the events of this run were deleted, as its organisation's settings say; nothing more of it is taken",
);

impl SqlStore {
    pub(crate) async fn select_retention(&self, org: OrgId) -> Result<Retention, StoreError> {
        let row = sqlx::query(TERMS)
            .bind(org.0)
            .fetch_optional(&self.read)
            .await
            .map_err(unavailable)?
            .ok_or(StoreError::Missing("organisation"))?;
        read_terms(&row)
    }

    pub(crate) async fn update_retention(
        &self,
        org: OrgId,
        seen: &Retention,
        wanted: &Retention,
    ) -> Result<(), StoreError> {
        // In one statement: what nobody has is never equal to anything, so it is compared as no number of days.
        let done = sqlx::query(
            "UPDATE org SET keep_events = $2, keep_detections = $3, keep_runs = $4
             WHERE id = $1 AND COALESCE(keep_events, 0) = $5 AND COALESCE(keep_detections, 0) = $6
                AND COALESCE(keep_runs, 0) = $7",
        )
        .bind(org.0)
        .bind(wanted.events().days())
        .bind(wanted.detections().days())
        .bind(wanted.runs().days())
        .bind(seen.events().days().unwrap_or(0))
        .bind(seen.detections().days().unwrap_or(0))
        .bind(seen.runs().days().unwrap_or(0))
        .execute(&self.write)
        .await
        .map_err(unavailable)?;
        match done.rows_affected() {
            0 => Err(StoreError::Conflict(
                "the terms were changed by somebody else meanwhile: look at them again".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    pub(crate) async fn count_overdue(
        &self,
        org: OrgId,
        terms: &Retention,
        now: Millis,
    ) -> Result<Overdue, StoreError> {
        // Nothing is as old as that.
        const NEVER: Millis = i64::MIN;
        let until = |days: Option<i64>| days.map_or(NEVER, |days| now - days * DAY);
        let row = sqlx::query(
            "SELECT
                (SELECT COUNT(*) FROM run WHERE org = $1 AND aged = 0 AND state <> 0 AND last_seen_at <= $2),
                (SELECT COUNT(*) FROM run WHERE org = $1 AND state <> 0 AND last_seen_at <= $4),
                COUNT(*), COUNT(CASE WHEN detection.status = 'new' THEN 1 END)
             FROM detection JOIN run ON run.number = detection.run
             WHERE run.org = $1 AND run.state <> 0 AND run.last_seen_at <= $3",
        )
        .bind(org.0)
        .bind(until(terms.events().days()))
        .bind(until(terms.detections().days()))
        .bind(until(terms.runs().days()))
        .fetch_one(&self.read)
        .await
        .map_err(unavailable)?;
        Ok(Overdue {
            events: int(&row, 0)?,
            runs: int(&row, 1)?,
            detections: int(&row, 2)?,
            undecided: int(&row, 3)?,
        })
    }

    pub(crate) async fn select_orgs_to_clean(&self, now: Millis) -> Result<Vec<OrgId>, StoreError> {
        // Each of these looks at one place of the index by age.
        let rows = sqlx::query(
            "SELECT id FROM org WHERE
                EXISTS (SELECT 1 FROM run WHERE run.org = org.id AND aged = 0 AND state <> 0
                    AND last_seen_at <= $1 - org.keep_events * $2
                    AND (events <= digested OR last_seen_at <= $1 - org.keep_events * $2 - $3))
                OR EXISTS (SELECT 1 FROM run WHERE run.org = org.id AND aged = 1 AND state <> 0)
                OR EXISTS (SELECT 1 FROM run WHERE run.org = org.id AND aged = 2 AND state <> 0
                    AND events_gone_at <= $1 - $4)
                OR EXISTS (SELECT 1 FROM run WHERE run.org = org.id AND aged = 3 AND state <> 0
                    AND last_seen_at <= $1 - org.keep_detections * $2)
                OR EXISTS (SELECT 1 FROM run WHERE run.org = org.id AND aged = 4 AND state <> 0
                    AND last_seen_at <= $1 - org.keep_runs * $2)
             ORDER BY id",
        )
        .bind(now)
        .bind(DAY)
        .bind(DIGEST_PATIENCE)
        .bind(SWEEP_AFTER)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter().map(|row| Ok(OrgId(int(row, 0)?))).collect()
    }

    pub(crate) async fn cut_runs(
        &self,
        org: OrgId,
        now: Millis,
        most: u32,
    ) -> Result<u64, StoreError> {
        let mut change = self.begin_step(org).await?;
        // A batch may come of one of these until its row is locked; so what must hold is said twice.
        let done = sqlx::query(
            "UPDATE run SET aged = $4, events_gone_at = $2,
                events_gone_after = (SELECT keep_events FROM org WHERE id = $1)
             WHERE number IN (
                SELECT number FROM run JOIN org ON org.id = run.org
                WHERE run.org = $1 AND aged = 0 AND state <> 0 AND last_seen_at <= $2 - keep_events * $5
                    AND (events <= digested OR last_seen_at <= $2 - keep_events * $5 - $6)
                ORDER BY last_seen_at LIMIT $3)
             AND aged = 0 AND state <> 0
             AND last_seen_at <= $2 - (SELECT keep_events FROM org WHERE id = $1) * $5",
        )
        .bind(org.0)
        .bind(now)
        .bind(i64::from(most))
        .bind(CUT)
        .bind(DAY)
        .bind(DIGEST_PATIENCE)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)?;
        Ok(done.rows_affected())
    }

    pub(crate) async fn select_runs_to_clear(
        &self,
        org: OrgId,
        most: u32,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, id FROM run WHERE org = $1 AND aged = 1 AND state <> 0 ORDER BY last_seen_at LIMIT $2",
        )
        .bind(org.0)
        .bind(i64::from(most))
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        named_runs(&rows)
    }

    pub(crate) async fn select_batches_to_clear(
        &self,
        run: i64,
        most: u32,
    ) -> Result<Vec<Batch>, StoreError> {
        let rows = sqlx::query(
            "SELECT first, last, object, bytes FROM batch
             WHERE run = (SELECT number FROM run WHERE number = $1 AND aged = $2) ORDER BY first, last LIMIT $3",
        )
        .bind(run)
        .bind(CUT)
        .bind(i64::from(most))
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

    pub(crate) async fn forget_batches(
        &self,
        run: i64,
        batches: &[Batch],
    ) -> Result<bool, StoreError> {
        let mut change = self.begin().await?;
        // This locks the run's row, for another worker may be at it, too.
        let cut = sqlx::query("UPDATE run SET aged = aged WHERE number = $1 AND aged = $2")
            .bind(run)
            .bind(CUT)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        if cut.rows_affected() == 0 {
            return Ok(false);
        }
        for batch in batches {
            sqlx::query(
                "DELETE FROM batch WHERE run = $1 AND first = $2 AND last = $3 AND object = $4",
            )
            .bind(run)
            .bind(batch.first)
            .bind(batch.last)
            .bind(&batch.object)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        }
        let done = sqlx::query(
            "UPDATE run SET aged = $2 WHERE number = $1 AND NOT EXISTS (SELECT 1 FROM batch WHERE run = $1)",
        )
        .bind(run)
        .bind(CLEARED)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)?;
        Ok(done.rows_affected() == 0)
    }

    pub(crate) async fn select_runs_to_sweep(
        &self,
        org: OrgId,
        now: Millis,
        most: u32,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, id FROM run WHERE org = $1 AND aged = 2 AND state <> 0 AND events_gone_at <= $2
             ORDER BY last_seen_at LIMIT $3",
        )
        .bind(org.0)
        .bind(now - SWEEP_AFTER)
        .bind(i64::from(most))
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        named_runs(&rows)
    }

    pub(crate) async fn note_swept(&self, run: i64) -> Result<(), StoreError> {
        sqlx::query("UPDATE run SET aged = $2 WHERE number = $1 AND aged = $3")
            .bind(run)
            .bind(SWEPT)
            .bind(CLEARED)
            .execute(&self.write)
            .await
            .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn remove_detections(
        &self,
        org: OrgId,
        now: Millis,
    ) -> Result<DeletedDetections, StoreError> {
        let mut change = self.begin_step(org).await?;
        let rows = sqlx::query(
            "SELECT number, (SELECT COUNT(*) FROM detection WHERE detection.run = number),
                (SELECT COUNT(*) FROM detection WHERE detection.run = number AND status = 'new')
             FROM run JOIN org ON org.id = run.org
             WHERE run.org = $1 AND aged = 3 AND state <> 0 AND last_seen_at <= $2 - keep_detections * $3
             ORDER BY last_seen_at LIMIT $4",
        )
        .bind(org.0)
        .bind(now)
        .bind(DAY)
        .bind(RUNS)
        .fetch_all(&mut *change)
        .await
        .map_err(unavailable)?;
        let mut done = DeletedDetections::default();
        for row in &rows {
            let (run, detections) = (int(row, 0)?, int(row, 1)?);
            if done.detections >= DETECTIONS {
                break;
            }
            strip(&mut change, org, run, detections, now).await?;
            done.runs += 1;
            done.detections += detections;
            done.undecided += int(row, 2)?;
        }
        change.commit().await.map_err(unavailable)?;
        Ok(done)
    }

    /// Begins a step of deleting. Until it is over, no other worker does one for this organisation.
    pub(crate) async fn begin_step(&self, org: OrgId) -> Result<Change, StoreError> {
        let mut change = self.begin().await?;
        let (lock, key) = match self.dialect {
            Dialect::Postgres => ("SELECT pg_advisory_xact_lock($1)", STEP_LOCK + org.0),
            // There is one writer at a time, and a change that begins by writing is it from its beginning.
            Dialect::Sqlite => ("UPDATE org SET slug = slug WHERE id = $1", org.0),
        };
        sqlx::query(lock)
            .bind(key)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
        Ok(change)
    }
}

fn named_runs(rows: &[AnyRow]) -> Result<Vec<(i64, String)>, StoreError> {
    rows.iter()
        .map(|row| Ok((int(row, 0)?, text(row, 1)?)))
        .collect()
}

/// Deletes the detections of a run. One that had none says nothing of them.
async fn strip(
    change: &mut Change,
    org: OrgId,
    run: i64,
    detections: i64,
    now: Millis,
) -> Result<(), StoreError> {
    if detections == 0 {
        sqlx::query("UPDATE run SET aged = $2 WHERE number = $1")
            .bind(run)
            .bind(BARE)
            .execute(&mut **change)
            .await
            .map_err(unavailable)?;
        return Ok(());
    }
    sqlx::query("DELETE FROM detection WHERE run = $1")
        .bind(run)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    sqlx::query(
        "UPDATE run SET aged = $2, detections = 0, detections_gone_at = $3,
            detections_gone_after = (SELECT keep_detections FROM org WHERE id = $4) WHERE number = $1",
    )
    .bind(run)
    .bind(BARE)
    .bind(now)
    .bind(org.0)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(())
}
