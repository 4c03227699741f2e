use runward_store::{Day, Millis, OrgId, Overview, ProjectSummary, StoreError};
use sqlx::AssertSqlSafe;

use crate::access::{PROJECT, read_project};
use crate::values::{int, maybe_int};
use crate::{SqlStore, unavailable};

const DAY_MS: Millis = 24 * 3600 * 1000;

impl SqlStore {
    pub(crate) async fn select_overview(
        &self,
        org: OrgId,
        days: u32,
        now: Millis,
    ) -> Result<Overview, StoreError> {
        let today = now - now.rem_euclid(DAY_MS);
        let first = today - DAY_MS * (i64::from(days.max(1)) - 1);
        // The plus leads SQLite to the index of the few runs that are open.
        let row = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM project WHERE org = $1 AND last_run_at IS NOT NULL),
                (SELECT COUNT(*) FROM job JOIN project ON project.id = job.project WHERE project.org = $1),
                (SELECT COUNT(*) FROM job JOIN project ON project.id = job.project
                    WHERE project.org = $1 AND job.effective_mode = 'block'),
                (SELECT COUNT(*) FROM detection WHERE org = $1 AND status = 'new'),
                (SELECT COUNT(*) FROM run WHERE +org = $1 AND state = 0),
                (SELECT COUNT(*) FROM destination WHERE org = $1),
                (SELECT COUNT(*) FROM detection WHERE org = $1 AND status = 'suppressed')",
        )
        .bind(org.0)
        .fetch_one(&self.read)
        .await
        .map_err(unavailable)?;
        Ok(Overview {
            days: self.select_days(org, first, today).await?,
            projects: int(&row, 0)?,
            jobs: int(&row, 1)?,
            blocking_jobs: int(&row, 2)?,
            open_detections: int(&row, 3)?,
            running: int(&row, 4)?,
            destinations: int(&row, 5)?,
            hidden_detections: int(&row, 6)?,
        })
    }

    async fn select_days(
        &self,
        org: OrgId,
        first: Millis,
        today: Millis,
    ) -> Result<Vec<Day>, StoreError> {
        // Integer division cuts in both databases.
        let rows = sqlx::query(
            "SELECT started_at / 86400000, COUNT(*),
                COUNT(CASE WHEN effective_mode = 'block' THEN 1 END),
                CAST(COALESCE(SUM(blocked), 0) AS BIGINT), CAST(COALESCE(SUM(detections), 0) AS BIGINT)
             FROM run WHERE org = $1 AND started_at >= $2 GROUP BY started_at / 86400000",
        )
        .bind(org.0)
        .bind(first)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        let mut days: Vec<Day> = (0..=(today - first) / DAY_MS)
            .map(|day| Day {
                start: first + day * DAY_MS,
                ..Day::default()
            })
            .collect();
        for row in &rows {
            let start = int(row, 0)? * DAY_MS;
            if let Some(day) = days.iter_mut().find(|day| day.start == start) {
                day.runs = int(row, 1)?;
                day.blocking = int(row, 2)?;
                day.blocked = int(row, 3)?;
                day.detections = int(row, 4)?;
            }
        }
        Ok(days)
    }

    pub(crate) async fn select_projects(
        &self,
        org: OrgId,
    ) -> Result<Vec<ProjectSummary>, StoreError> {
        let rows = sqlx::query(AssertSqlSafe(format!(
            "SELECT {PROJECT}, COALESCE(seen.runs, 0), project.last_run_at, COALESCE(seen.blocked, 0),
                COALESCE(seen.detections, 0)
             FROM project LEFT JOIN (
                SELECT project, COUNT(*) AS runs, COUNT(CASE WHEN blocked > 0 THEN 1 END) AS blocked,
                    CAST(SUM(detections) AS BIGINT) AS detections
                FROM run WHERE project IN (SELECT id FROM project WHERE org = $1) GROUP BY project
             ) AS seen ON seen.project = project.id
             WHERE org = $1 ORDER BY COALESCE(last_run_at, 0) DESC, id DESC LIMIT 1000"
        )))
        .bind(org.0)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                Ok(ProjectSummary {
                    project: read_project(row, 0)?,
                    runs: int(row, 5)?,
                    last_run_at: maybe_int(row, 6)?,
                    blocked_runs: int(row, 7)?,
                    open_detections: int(row, 8)?,
                })
            })
            .collect()
    }
}
