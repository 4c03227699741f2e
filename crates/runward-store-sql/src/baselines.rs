//! Baselines: their states, what is known around jobs, and what was not normal. The states are bytes here.

use runward_store::{
    Baseline, BaselineChange, BaselineEntry, BaselineFilter, BaselineSettings, BaselineState,
    BaselineSummary, Cursor, JobId, KeptBaseline, KeptKey, KeptLevel, Millis, NewBaselineEntry,
    OrgId, Page, PageRequest, ProjectId, RunPlace, StoreError,
};
use sqlx::any::AnyRow;

use crate::filter::Filter;
use crate::values::{
    baseline_state, bytes, int, maybe_int, maybe_text, real, storable, text, word,
};
use crate::{Change, SqlStore, unavailable};

/// Levels around a job, as they stand in tables.
const PROJECT: i64 = 0;
const ORGANISATION: i64 = 1;
/// Keys of one level that are kept. What fewest jobs know goes first.
const KEYS_MAX: i64 = 20_000;
/// Lines of the changelog of one job that are kept.
const ENTRIES_MAX: i64 = 5_000;
/// The longest text of one field, in bytes.
const TEXT_MAX: usize = 1024;

impl SqlStore {
    pub(crate) async fn select_run_place(&self, run: i64) -> Result<Option<RunPlace>, StoreError> {
        let row = sqlx::query(
            "SELECT number, id, org, project, job, commit_id, cause, last_seen_at FROM run WHERE number = $1",
        )
        .bind(run)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.map(|row| {
            Ok(RunPlace {
                number: int(&row, 0)?,
                id: text(&row, 1)?,
                org: OrgId(int(&row, 2)?),
                project: ProjectId(int(&row, 3)?),
                job: JobId(int(&row, 4)?),
                commit: maybe_text(&row, 5)?,
                trigger: maybe_text(&row, 6)?,
                last_seen_at: int(&row, 7)?,
            })
        })
        .transpose()
    }

    pub(crate) async fn select_kept_baseline(
        &self,
        job: JobId,
    ) -> Result<KeptBaseline, StoreError> {
        let row = sqlx::query("SELECT version, state FROM baseline WHERE job = $1")
            .bind(job.0)
            .fetch_optional(&self.read)
            .await
            .map_err(unavailable)?;
        let Some(row) = row else {
            return Ok(KeptBaseline::default());
        };
        Ok(KeptBaseline {
            version: int(&row, 0)?,
            state: bytes(&row, 1)?,
        })
    }

    pub(crate) async fn select_around(
        &self,
        org: OrgId,
        project: ProjectId,
        keys: &[i64],
    ) -> Result<[KeptLevel; 2], StoreError> {
        Ok([
            self.select_level(PROJECT, project.0, keys).await?,
            self.select_level(ORGANISATION, org.0, keys).await?,
        ])
    }

    async fn select_level(
        &self,
        level: i64,
        place: i64,
        keys: &[i64],
    ) -> Result<KeptLevel, StoreError> {
        let row = sqlx::query(
            "SELECT alerts, expected_alerts, news, expected_news, at FROM baseline_rate
             WHERE level = $1 AND place = $2",
        )
        .bind(level)
        .bind(place)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        let mut found = KeptLevel::default();
        if let Some(row) = row {
            found.rates = [
                real(&row, 0)?,
                real(&row, 1)?,
                real(&row, 2)?,
                real(&row, 3)?,
            ];
            found.rated_at = Some(int(&row, 4)?);
        }
        for key in keys {
            let row = sqlx::query(
                "SELECT normal, open, opened_at FROM baseline_key WHERE level = $1 AND place = $2 AND key = $3",
            )
            .bind(level)
            .bind(place)
            .bind(key)
            .fetch_optional(&self.read)
            .await
            .map_err(unavailable)?;
            if let Some(row) = row {
                found.keys.push(KeptKey {
                    key: *key,
                    normal: int(&row, 0)?,
                    open: int(&row, 1)?,
                    opened_at: maybe_int(&row, 2)?,
                });
            }
        }
        Ok(found)
    }

    pub(crate) async fn update_baseline(
        &self,
        org: OrgId,
        job: JobId,
        change: &BaselineChange,
    ) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let project: i64 = sqlx::query_scalar(
            "SELECT project.id FROM job JOIN project ON project.id = job.project
             WHERE job.id = $1 AND project.org = $2",
        )
        .bind(job.0)
        .bind(org.0)
        .fetch_optional(&mut *transaction)
        .await
        .map_err(unavailable)?
        .ok_or(StoreError::Missing("job"))?;
        put_baseline(&mut transaction, (org.0, project, job.0), change).await?;
        transaction.commit().await.map_err(unavailable)
    }

    pub(crate) async fn select_baseline_settings(
        &self,
        org: OrgId,
    ) -> Result<BaselineSettings, StoreError> {
        let row = sqlx::query(
            "SELECT min_runs, min_days, runs_per_alert, news_commits, alert_commits FROM baseline_settings
             WHERE org = $1",
        )
        .bind(org.0)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        let Some(row) = row else {
            return Ok(BaselineSettings::default());
        };
        Ok(BaselineSettings {
            min_runs: int(&row, 0)?,
            min_days: maybe_int(&row, 1)?,
            runs_per_alert: int(&row, 2)?,
            news_commits: int(&row, 3)?,
            alert_commits: maybe_int(&row, 4)?,
        })
    }

    pub(crate) async fn update_baseline_settings(
        &self,
        org: OrgId,
        settings: &BaselineSettings,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO baseline_settings (org, min_runs, min_days, runs_per_alert, news_commits, alert_commits)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (org) DO UPDATE SET min_runs = excluded.min_runs, min_days = excluded.min_days,
                runs_per_alert = excluded.runs_per_alert, news_commits = excluded.news_commits,
                alert_commits = excluded.alert_commits",
        )
        .bind(org.0)
        .bind(settings.min_runs)
        .bind(settings.min_days)
        .bind(settings.runs_per_alert)
        .bind(settings.news_commits)
        .bind(settings.alert_commits)
        .execute(&self.write)
        .await
        .map_err(unavailable)?;
        Ok(())
    }

    pub(crate) async fn select_baselines(
        &self,
        org: OrgId,
        filter: &BaselineFilter,
        page: PageRequest,
    ) -> Result<Page<Baseline>, StoreError> {
        let mut asked = Filter::default();
        asked.int("baseline.org = {}", org.0);
        if let Some(project) = filter.project {
            asked.int("job.project = {}", project.0);
        }
        if let Some(state) = filter.state {
            asked.text("baseline.stability = {}", word(&state));
        }
        asked.after("baseline.changed_at", "baseline.job", page.after);
        let order = "baseline.changed_at DESC, baseline.job DESC";
        let rows = asked.ask(&self.read, BASELINE, order, page).await?;
        let rows = rows
            .iter()
            .map(read_baseline)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(rows, page.limit, Baseline::cursor))
    }

    pub(crate) async fn count_baselines(
        &self,
        org: OrgId,
    ) -> Result<Vec<(BaselineState, i64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT stability, COUNT(*) FROM baseline WHERE org = $1 GROUP BY stability ORDER BY stability",
        )
        .bind(org.0)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| Ok((baseline_state(row, 0)?, int(row, 1)?)))
            .collect()
    }

    pub(crate) async fn select_baseline(
        &self,
        org: OrgId,
        job: JobId,
    ) -> Result<Option<Baseline>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{BASELINE} WHERE baseline.org = $1 AND baseline.job = $2"
        )))
        .bind(org.0)
        .bind(job.0)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(read_baseline).transpose()
    }

    pub(crate) async fn select_baseline_entries(
        &self,
        org: OrgId,
        job: JobId,
        page: PageRequest,
    ) -> Result<Page<BaselineEntry>, StoreError> {
        let mut asked = Filter::default();
        asked.int("job = {}", job.0);
        asked.int("org = {}", org.0);
        asked.after("id", "id", page.after);
        let select = "SELECT id, at, what, subject, run, person, why FROM baseline_entry";
        let rows = asked.ask(&self.read, select, "id DESC", page).await?;
        let entry = |row: &AnyRow| {
            Ok(BaselineEntry {
                id: int(row, 0)?,
                entry: NewBaselineEntry {
                    at: int(row, 1)?,
                    what: text(row, 2)?,
                    subject: text(row, 3)?,
                    run: maybe_text(row, 4)?,
                    person: maybe_text(row, 5)?,
                    why: text(row, 6)?,
                },
            })
        };
        let rows = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(rows, page.limit, |row: &BaselineEntry| Cursor {
            time: row.id,
            id: row.id,
        }))
    }
}

const BASELINE: &str = "SELECT baseline.job, job.project, project.name, job.pipeline, job.name, baseline.stability, \
    baseline.runs, baseline.members, baseline.open, baseline.rate, baseline.rate_low, baseline.rate_high, \
    baseline.changed_at \
    FROM baseline JOIN job ON job.id = baseline.job JOIN project ON project.id = job.project";

fn read_baseline(row: &AnyRow) -> Result<Baseline, StoreError> {
    Ok(Baseline {
        job: JobId(int(row, 0)?),
        project: ProjectId(int(row, 1)?),
        project_name: text(row, 2)?,
        pipeline: text(row, 3)?,
        job_name: text(row, 4)?,
        summary: BaselineSummary {
            state: baseline_state(row, 5)?,
            runs: int(row, 6)?,
            members: int(row, 7)?,
            open: int(row, 8)?,
            alert_rate: [real(row, 9)?, real(row, 10)?, real(row, 11)?],
        },
        changed_at: int(row, 12)?,
    })
}

/// Keeps a change of the baseline of (organisation, project, job) as part of another change.
pub(crate) async fn put_baseline(
    transaction: &mut Change,
    (org, project, job): (i64, i64, i64),
    change: &BaselineChange,
) -> Result<(), StoreError> {
    if !put_state(transaction, org, job, change).await? {
        return Err(StoreError::Conflict(
            "the baseline has changed in the meantime".to_owned(),
        ));
    }
    for entry in &change.entries {
        put_entry(transaction, org, job, entry).await?;
    }
    if !change.entries.is_empty() {
        bound_entries(transaction, job).await?;
    }
    let mut keys = change.keys.clone();
    // In one order, so that nobody waits for somebody who waits here.
    keys.sort_unstable();
    let [of_project, of_org] = change.faded;
    for (level, place, faded) in [(PROJECT, project, of_project), (ORGANISATION, org, of_org)] {
        put_rates(transaction, level, place, faded, change).await?;
        for key in &keys {
            put_key(transaction, level, place, *key, change.at).await?;
        }
        if !keys.is_empty() {
            bound_keys(transaction, level, place).await?;
        }
    }
    Ok(())
}

/// Whether it was of the version that the change was made from.
async fn put_state(
    transaction: &mut Change,
    org: i64,
    job: i64,
    change: &BaselineChange,
) -> Result<bool, StoreError> {
    let BaselineSummary {
        state,
        runs,
        members,
        open,
        alert_rate: [rate, low, high],
    } = change.summary;
    let sql = if change.version == 0 {
        "INSERT INTO baseline (version, state, stability, runs, members, open, rate, rate_low, rate_high, changed_at,
            org, job) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (job) DO NOTHING"
    } else {
        "UPDATE baseline SET version = $1, state = $2, stability = $3, runs = $4, members = $5, open = $6, rate = $7,
            rate_low = $8, rate_high = $9, changed_at = $10 WHERE org = $11 AND job = $12 AND version = $1 - 1"
    };
    let done = sqlx::query(sql)
        .bind(change.version + 1)
        .bind(change.state.clone())
        .bind(word(&state))
        .bind(runs)
        .bind(members)
        .bind(open)
        .bind(rate)
        .bind(low)
        .bind(high)
        .bind(change.at)
        .bind(org)
        .bind(job)
        .execute(&mut **transaction)
        .await
        .map_err(unavailable)?;
    Ok(done.rows_affected() > 0)
}

async fn put_entry(
    transaction: &mut Change,
    org: i64,
    job: i64,
    entry: &NewBaselineEntry,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO baseline_entry (org, job, at, what, subject, run, person, why)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(org)
    .bind(job)
    .bind(entry.at)
    .bind(&entry.what)
    .bind(storable(&entry.subject, TEXT_MAX))
    .bind(&entry.run)
    .bind(entry.person.as_deref().map(|who| storable(who, TEXT_MAX)))
    .bind(storable(&entry.why, TEXT_MAX))
    .execute(&mut **transaction)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn bound_entries(transaction: &mut Change, job: i64) -> Result<(), StoreError> {
    sqlx::query(
        "DELETE FROM baseline_entry WHERE job = $1 AND id <= (
            SELECT id FROM baseline_entry WHERE job = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)",
    )
    .bind(job)
    .bind(ENTRIES_MAX)
    .execute(&mut **transaction)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn put_rates(
    transaction: &mut Change,
    level: i64,
    place: i64,
    faded: f64,
    change: &BaselineChange,
) -> Result<(), StoreError> {
    let [alerts, expected_alerts, news, expected_news] = change.rates;
    sqlx::query(
        "INSERT INTO baseline_rate (level, place, alerts, expected_alerts, news, expected_news, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (level, place) DO UPDATE SET alerts = baseline_rate.alerts * $8 + excluded.alerts,
            expected_alerts = baseline_rate.expected_alerts * $8 + excluded.expected_alerts,
            news = baseline_rate.news * $8 + excluded.news,
            expected_news = baseline_rate.expected_news * $8 + excluded.expected_news, at = excluded.at",
    )
    .bind(level)
    .bind(place)
    .bind(alerts)
    .bind(expected_alerts)
    .bind(news)
    .bind(expected_news)
    .bind(change.at)
    .bind(faded)
    .execute(&mut **transaction)
    .await
    .map_err(unavailable)?;
    Ok(())
}

async fn put_key(
    transaction: &mut Change,
    level: i64,
    place: i64,
    (key, normal, open): (i64, i32, i32),
    at: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO baseline_key (level, place, key, normal, open, opened_at)
         VALUES ($1, $2, $3, CASE WHEN $4 > 0 THEN $4 ELSE 0 END, CASE WHEN $5 > 0 THEN $5 ELSE 0 END, $6)
         ON CONFLICT (level, place, key) DO UPDATE SET
            normal = CASE WHEN baseline_key.normal + $4 > 0 THEN baseline_key.normal + $4 ELSE 0 END,
            open = CASE WHEN baseline_key.open + $5 > 0 THEN baseline_key.open + $5 ELSE 0 END,
            opened_at = COALESCE($6, baseline_key.opened_at)",
    )
    .bind(level)
    .bind(place)
    .bind(key)
    .bind(i64::from(normal))
    .bind(i64::from(open))
    .bind((open > 0).then_some(at))
    .execute(&mut **transaction)
    .await
    .map_err(unavailable)?;
    sqlx::query("DELETE FROM baseline_key WHERE level = $1 AND place = $2 AND key = $3 AND normal = 0 AND open = 0")
        .bind(level)
        .bind(place)
        .bind(key)
        .execute(&mut **transaction)
        .await
        .map_err(unavailable)?;
    Ok(())
}

async fn bound_keys(transaction: &mut Change, level: i64, place: i64) -> Result<(), StoreError> {
    let count: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM baseline_key WHERE level = $1 AND place = $2")
            .bind(level)
            .bind(place)
            .fetch_one(&mut **transaction)
            .await
            .map_err(unavailable)?;
    if count <= KEYS_MAX {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM baseline_key WHERE level = $1 AND place = $2 AND key IN (
            SELECT key FROM baseline_key WHERE level = $1 AND place = $2
            ORDER BY normal, COALESCE(opened_at, 0), key LIMIT $3)",
    )
    .bind(level)
    .bind(place)
    .bind(count - KEYS_MAX)
    .execute(&mut **transaction)
    .await
    .map_err(unavailable)?;
    Ok(())
}
