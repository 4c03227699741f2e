//! Deleting runs, and what only they stood for: in steps of a bounded number of rows, as nobody else can write to SQLite
//! meanwhile.
//!
//! Sums of destinations stay as they are: they are since a destination was first seen. What must be right at any moment
//! is which destinations and jobs there are: a destination is there as long as a run that went there, a job and a machine
//! as long as a run of theirs, and `destination.jobs` is the number of its rows in `job_destination`.

use std::collections::BTreeSet;

use runward_store::{DAY, DeletedRuns, Millis, OrgId, StoreError};
use sqlx::any::AnyRow;

use crate::values::{int, text};
use crate::{Change, SqlStore, unavailable};

/// Rows that one step deletes or changes.
const ROWS: i64 = 500;

/// A run that goes.
struct Leaving {
    run: i64,
    job: i64,
    agent: i64,
}

/// What is left of a step, and what it has done.
///
/// Digests and new runs change the same rows at the same time, and nobody may wait for somebody who waits for them. So a
/// step takes destinations in the order of their names, as digests do, and once; then what jobs have of them; then jobs,
/// then machines, as new runs do. What would take one of these anew is left to the next step.
struct Step {
    rows: i64,
    done: DeletedRuns,
    /// Destinations were taken, or what jobs have of them.
    is_over: bool,
    /// Machines of the runs that were deleted.
    agents: BTreeSet<i64>,
}

impl SqlStore {
    pub(crate) async fn remove_runs(
        &self,
        org: OrgId,
        now: Millis,
    ) -> Result<DeletedRuns, StoreError> {
        let mut change = self.begin_step(org).await?;
        let mut step = Step {
            rows: ROWS,
            done: DeletedRuns::default(),
            is_over: false,
            agents: BTreeSet::new(),
        };
        while let Some(leaving) = next(&mut change, org, now).await? {
            let gone = step.remove(&mut change, &leaving).await?;
            if !gone || step.is_over || step.rows <= 0 {
                step.done.more = true;
                break;
            }
        }
        step.remove_agents(&mut change).await?;
        change.commit().await.map_err(unavailable)?;
        Ok(step.done)
    }
}

/// The run that has been kept for its term the longest ago.
async fn next(change: &mut Change, org: OrgId, now: Millis) -> Result<Option<Leaving>, StoreError> {
    let row = sqlx::query(
        "SELECT number, job, agent FROM run JOIN org ON org.id = run.org
         WHERE run.org = $1 AND aged = 4 AND state <> 0 AND last_seen_at <= $2 - keep_runs * $3
         ORDER BY last_seen_at LIMIT 1",
    )
    .bind(org.0)
    .bind(now)
    .bind(DAY)
    .fetch_optional(&mut **change)
    .await
    .map_err(unavailable)?;
    row.map(|row| {
        Ok(Leaving {
            run: int(&row, 0)?,
            job: int(&row, 1)?,
            agent: int(&row, 2)?,
        })
    })
    .transpose()
}

impl Step {
    /// Notes rows that were deleted or changed. Whether there is room for more.
    fn spend(&mut self, rows: u64) -> bool {
        self.rows -= i64::try_from(rows).unwrap_or(i64::MAX);
        self.rows > 0
    }

    /// Deletes a run, or as much of it as the step has room for; whether it is gone.
    async fn remove(&mut self, change: &mut Change, leaving: &Leaving) -> Result<bool, StoreError> {
        let unusual = execute(change, "DELETE FROM anomaly WHERE run = $1", leaving.run).await?;
        self.spend(unusual);
        let bare = self.shared_places(change, leaving).await?
            && self.last_places(change, leaving).await?
            && self.first_times(change, leaving).await?;
        if !bare {
            return Ok(false);
        }
        // This locks the job's row: a new run of it waits here, and finds what is there then.
        execute(
            change,
            "UPDATE job SET effective_mode = effective_mode WHERE id = $1",
            leaving.job,
        )
        .await?;
        let other = "SELECT COUNT(*) FROM (SELECT 1 FROM run WHERE job = $1 AND number <> $2 LIMIT 1) AS other";
        let is_last = count(change, other, leaving.job, leaving.run).await? == 0;
        if is_last
            && !(self.baseline(change, leaving.job).await?
                && self.job_places(change, leaving.job).await?)
        {
            return Ok(false);
        }
        execute(change, "DELETE FROM run WHERE number = $1", leaving.run).await?;
        if is_last {
            execute(change, "DELETE FROM job WHERE id = $1", leaving.job).await?;
            self.done.jobs += 1;
        }
        self.agents.insert(leaving.agent);
        self.done.runs += 1;
        self.spend(1);
        Ok(true)
    }

    /// Deletes that the run went where others went, too. Whether there is room for more.
    async fn shared_places(
        &mut self,
        change: &mut Change,
        leaving: &Leaving,
    ) -> Result<bool, StoreError> {
        let deleted = sqlx::query(
            "DELETE FROM observation WHERE run = $1 AND destination IN (
                SELECT own.destination FROM observation AS own
                WHERE own.run = $1 AND EXISTS (SELECT 1 FROM observation AS other
                    WHERE other.destination = own.destination AND other.run <> $1)
                LIMIT $2)",
        )
        .bind(leaving.run)
        .bind(self.rows)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
        Ok(self.spend(deleted.rows_affected()))
    }

    /// Forgets destinations that no other run went to. Whether there were none.
    async fn last_places(
        &mut self,
        change: &mut Change,
        leaving: &Leaving,
    ) -> Result<bool, StoreError> {
        let rows = sqlx::query(
            "SELECT destination.id, destination.name FROM observation
             JOIN destination ON destination.id = observation.destination
             WHERE observation.run = $1 ORDER BY destination.id LIMIT $2",
        )
        .bind(leaving.run)
        .bind(self.rows)
        .fetch_all(&mut **change)
        .await
        .map_err(unavailable)?;
        for destination in by_name(&rows)? {
            self.is_over = true;
            if !self.last_place(change, leaving.run, destination).await? {
                break;
            }
        }
        Ok(!self.is_over)
    }

    async fn last_place(
        &mut self,
        change: &mut Change,
        run: i64,
        destination: i64,
    ) -> Result<bool, StoreError> {
        // This locks the row: a digest that has just seen the destination is waited for, and a later one waits and finds
        // that it is not known.
        execute(
            change,
            "UPDATE destination SET runs = runs WHERE id = $1",
            destination,
        )
        .await?;
        let other = "SELECT COUNT(*) FROM (
            SELECT 1 FROM observation WHERE destination = $1 AND run <> $2 LIMIT 1) AS other";
        let is_last = count(change, other, destination, run).await? == 0;
        if is_last && !self.jobs_there(change, destination).await? {
            return Ok(false);
        }
        sqlx::query("DELETE FROM observation WHERE run = $1 AND destination = $2")
            .bind(run)
            .bind(destination)
            .execute(&mut **change)
            .await
            .map_err(unavailable)?;
        if is_last {
            execute(change, "DELETE FROM destination WHERE id = $1", destination).await?;
            self.done.destinations += 1;
        }
        Ok(self.spend(2))
    }

    /// Forgets which jobs went to a destination that no other run is kept of. Whether there is room for more.
    async fn jobs_there(
        &mut self,
        change: &mut Change,
        destination: i64,
    ) -> Result<bool, StoreError> {
        let deleted = sqlx::query(
            "DELETE FROM job_destination WHERE destination = $1 AND job IN (
                SELECT job FROM job_destination WHERE destination = $1 LIMIT $2)",
        )
        .bind(destination)
        .bind(self.rows)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
        let deleted = deleted.rows_affected();
        sqlx::query("UPDATE destination SET jobs = jobs - $2 WHERE id = $1")
            .bind(destination)
            .bind(i64::try_from(deleted).unwrap_or(0))
            .execute(&mut **change)
            .await
            .map_err(unavailable)?;
        Ok(self.spend(deleted))
    }

    /// Forgets which run was the first of its job to go somewhere, but not that one did: it is no news if another one goes
    /// there. Whether there is room for more.
    async fn first_times(
        &mut self,
        change: &mut Change,
        leaving: &Leaving,
    ) -> Result<bool, StoreError> {
        let changed = sqlx::query(
            "UPDATE job_destination SET first_run = NULL WHERE first_run = $1 AND destination IN (
                SELECT destination FROM job_destination WHERE first_run = $1 LIMIT $2)",
        )
        .bind(leaving.run)
        .bind(self.rows)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
        self.is_over |= changed.rows_affected() > 0;
        Ok(self.spend(changed.rows_affected()))
    }

    /// Forgets what was normal for a job, of which no other run is kept. Whether there is room for more.
    async fn baseline(&mut self, change: &mut Change, job: i64) -> Result<bool, StoreError> {
        let deleted = sqlx::query(
            "DELETE FROM baseline_entry WHERE job = $1 AND id IN (
                SELECT id FROM baseline_entry WHERE job = $1 LIMIT $2)",
        )
        .bind(job)
        .bind(self.rows.max(1))
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
        if !self.spend(deleted.rows_affected()) {
            return Ok(false);
        }
        execute(change, "DELETE FROM baseline WHERE job = $1", job).await?;
        Ok(self.spend(1))
    }

    /// Forgets where a job went, of which no other run is kept. Whether there is room for more.
    async fn job_places(&mut self, change: &mut Change, job: i64) -> Result<bool, StoreError> {
        let rows = sqlx::query(
            "SELECT destination.id, destination.name FROM job_destination
             JOIN destination ON destination.id = job_destination.destination
             WHERE job_destination.job = $1 ORDER BY destination.id LIMIT $2",
        )
        .bind(job)
        .bind(self.rows)
        .fetch_all(&mut **change)
        .await
        .map_err(unavailable)?;
        // Nobody digests a run of this job meanwhile, so that taking destinations anew is no harm.
        self.is_over |= !rows.is_empty();
        for destination in by_name(&rows)? {
            execute(
                change,
                "UPDATE destination SET jobs = jobs - 1 WHERE id = $1",
                destination,
            )
            .await?;
            sqlx::query("DELETE FROM job_destination WHERE job = $1 AND destination = $2")
                .bind(job)
                .bind(destination)
                .execute(&mut **change)
                .await
                .map_err(unavailable)?;
        }
        Ok(self.spend(u64::try_from(rows.len()).unwrap_or(u64::MAX)))
    }

    /// Forgets machines of which no run is kept.
    async fn remove_agents(&mut self, change: &mut Change) -> Result<(), StoreError> {
        for &agent in &self.agents {
            // This locks the row, as above.
            execute(
                change,
                "UPDATE agent SET last_seen_at = last_seen_at WHERE id = $1",
                agent,
            )
            .await?;
            let deleted = execute(
                change,
                "DELETE FROM agent WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM run WHERE agent = $1)",
                agent,
            )
            .await?;
            self.done.agents += i64::try_from(deleted).unwrap_or(0);
        }
        Ok(())
    }
}

/// Destinations in the order in which digests take them.
fn by_name(rows: &[AnyRow]) -> Result<Vec<i64>, StoreError> {
    let named = rows.iter().map(|row| Ok((text(row, 1)?, int(row, 0)?)));
    let mut named = named.collect::<Result<Vec<(String, i64)>, StoreError>>()?;
    named.sort_unstable();
    Ok(named.into_iter().map(|(_, id)| id).collect())
}

async fn execute(change: &mut Change, statement: &'static str, id: i64) -> Result<u64, StoreError> {
    let done = sqlx::query(statement)
        .bind(id)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    Ok(done.rows_affected())
}

async fn count(
    change: &mut Change,
    question: &'static str,
    of: i64,
    but: i64,
) -> Result<i64, StoreError> {
    sqlx::query_scalar(question)
        .bind(of)
        .bind(but)
        .fetch_one(&mut **change)
        .await
        .map_err(unavailable)
}
