use runward_store::{
    Cursor, Detection, DetectionFilter, DetectionStatus, HiddenBy, JobId, OrgId, Page, PageRequest,
    ProjectId, StoreError,
};
use sqlx::any::AnyRow;

use crate::filter::Filter;
use crate::suppressions::{hiding, live_rules};
use crate::values::{about, int, maybe_int, maybe_text, status, text, word};
use crate::{Change, SqlStore, unavailable};

pub(crate) const DETECTION: &str = "SELECT detection.id, detection.kind, detection.severity, detection.title, \
    detection.subject, detection.program, run.id, run.project, project.name, job.pipeline, job.name, detection.at, \
    detection.status, detection.decided_by, detection.comment, detection.about, suppression.id, suppression.name \
    FROM detection JOIN run ON run.number = detection.run JOIN project ON project.id = run.project \
    JOIN job ON job.id = run.job LEFT JOIN suppression ON suppression.id = detection.suppressed_by";
pub(crate) const NEWEST_FIRST: &str = "detection.at DESC, detection.id DESC";

pub(crate) fn read_detection(row: &AnyRow) -> Result<Detection, StoreError> {
    Ok(Detection {
        id: int(row, 0)?,
        kind: text(row, 1)?,
        severity: text(row, 2)?,
        title: text(row, 3)?,
        subject: text(row, 4)?,
        program: text(row, 5)?,
        run: text(row, 6)?,
        project: ProjectId(int(row, 7)?),
        project_name: text(row, 8)?,
        pipeline: text(row, 9)?,
        job: text(row, 10)?,
        at: int(row, 11)?,
        status: status(row, 12)?,
        decided_by: maybe_text(row, 13)?,
        comment: maybe_text(row, 14)?,
        about: about(row, 15)?,
        hidden_by: match (maybe_int(row, 16)?, maybe_text(row, 17)?) {
            (Some(rule), Some(name)) => Some(HiddenBy { rule, name }),
            _ => None,
        },
    })
}

impl SqlStore {
    pub(crate) async fn select_detections(
        &self,
        org: OrgId,
        filter: &DetectionFilter,
        page: PageRequest,
    ) -> Result<Page<Detection>, StoreError> {
        let mut asked = Filter::default();
        narrow(&mut asked, org, filter);
        if let Some(kind) = &filter.kind {
            asked.text("detection.kind = {}", kind.clone());
        }
        if let Some(status) = filter.status {
            asked.text("detection.status = {}", word(&status));
        }
        asked.after("detection.at", "detection.id", page.after);
        let rows = asked.ask(&self.read, DETECTION, NEWEST_FIRST, page).await?;
        let rows = rows
            .iter()
            .map(read_detection)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(rows, page.limit, |row| Cursor {
            time: row.at,
            id: row.id,
        }))
    }

    pub(crate) async fn count_detections(
        &self,
        org: OrgId,
        filter: &DetectionFilter,
    ) -> Result<Vec<(String, DetectionStatus, i64)>, StoreError> {
        let mut asked = Filter::default();
        narrow(&mut asked, org, filter);
        // Without a run's conditions, the counts come from detections alone.
        let from = if filter.project.is_some() || filter.run.is_some() {
            "FROM detection JOIN run ON run.number = detection.run"
        } else {
            "FROM detection"
        };
        let rows = asked
            .ask_all(
                &self.read,
                &format!("SELECT detection.kind, detection.status, COUNT(*) {from}"),
                "GROUP BY detection.kind, detection.status ORDER BY detection.kind, detection.status",
            )
            .await?;
        rows.iter()
            .map(|row| Ok((text(row, 0)?, status(row, 1)?, int(row, 2)?)))
            .collect()
    }

    pub(crate) async fn select_detection(
        &self,
        org: OrgId,
        id: i64,
    ) -> Result<Option<Detection>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{DETECTION} WHERE detection.org = $1 AND detection.id = $2"
        )))
        .bind(org.0)
        .bind(id)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(read_detection).transpose()
    }

    pub(crate) async fn update_detection(
        &self,
        org: OrgId,
        id: i64,
        status: DetectionStatus,
        by: &str,
        comment: Option<&str>,
    ) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        self.change_rules(&mut change, org).await?;
        let found = select_within(&mut change, org, id)
            .await?
            .ok_or(StoreError::Missing("detection"))?;
        let rule = match status {
            DetectionStatus::Resolved => None,
            DetectionStatus::New | DetectionStatus::Suppressed => {
                let rules = live_rules(&mut change, org).await?;
                hiding(&rules, &found.facts())
            }
        };
        let status = match (status, rule) {
            (DetectionStatus::Resolved, _) => DetectionStatus::Resolved,
            (_, Some(_)) => DetectionStatus::Suppressed,
            (_, None) => DetectionStatus::New,
        };
        sqlx::query(
            "UPDATE detection SET status = $1, suppressed_by = $2, decided_by = $3, comment = $4 WHERE id = $5",
        )
        .bind(word(&status))
        .bind(rule)
        .bind(by)
        .bind(comment)
        .bind(id)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        count_open(&mut change, &found.run).await?;
        change.commit().await.map_err(unavailable)
    }
}

impl SqlStore {
    pub(crate) async fn resolve_detections(
        &self,
        org: OrgId,
        job: JobId,
        kinds: &[&str],
        subject: &str,
        by: &str,
        comment: &str,
    ) -> Result<u64, StoreError> {
        let mut change = self.begin().await?;
        self.change_rules(&mut change, org).await?;
        let mut resolved = 0;
        for kind in kinds {
            let runs: Vec<String> = sqlx::query_scalar(
                "SELECT run.id FROM detection JOIN run ON run.number = detection.run
                 WHERE detection.org = $1 AND run.job = $2 AND detection.kind = $3 AND detection.subject = $4
                    AND detection.status = 'new' ORDER BY run.number",
            )
            .bind(org.0)
            .bind(job.0)
            .bind(kind)
            .bind(subject)
            .fetch_all(&mut *change)
            .await
            .map_err(unavailable)?;
            let done = sqlx::query(
                "UPDATE detection SET status = 'resolved', decided_by = $5, comment = $6
                 WHERE org = $1 AND kind = $3 AND subject = $4 AND status = 'new'
                    AND run IN (SELECT number FROM run WHERE job = $2)",
            )
            .bind(org.0)
            .bind(job.0)
            .bind(kind)
            .bind(subject)
            .bind(by)
            .bind(comment)
            .execute(&mut *change)
            .await
            .map_err(unavailable)?;
            resolved += done.rows_affected();
            for run in &runs {
                count_open(&mut change, run).await?;
            }
        }
        change.commit().await.map_err(unavailable)?;
        Ok(resolved)
    }
}

/// What of a filter is neither kind nor state.
fn narrow(asked: &mut Filter, org: OrgId, filter: &DetectionFilter) {
    match &filter.run {
        // By the run's own few; the plus keeps SQLite from going through all of the organisation's by their time.
        Some(run) => {
            asked.text("run.id = {}", run.clone());
            asked.int("+detection.org = {}", org.0);
        }
        None => asked.int("detection.org = {}", org.0),
    }
    if let Some(project) = filter.project {
        asked.int("run.project = {}", project.0);
    }
    if let Some(rule) = filter.rule {
        asked.int("detection.suppressed_by = {}", rule);
    }
    if filter.shown {
        asked.plain("detection.status <> 'suppressed'");
    }
}

async fn select_within(
    change: &mut Change,
    org: OrgId,
    id: i64,
) -> Result<Option<Detection>, StoreError> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "{DETECTION} WHERE detection.org = $1 AND detection.id = $2"
    )))
    .bind(org.0)
    .bind(id)
    .fetch_optional(&mut **change)
    .await
    .map_err(unavailable)?;
    row.as_ref().map(read_detection).transpose()
}

/// Counts the open detections of a run again.
pub(crate) async fn count_open(change: &mut Change, run: &str) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE run SET detections = (
            SELECT COUNT(*) FROM detection WHERE detection.run = run.number AND status = 'new') WHERE id = $1",
    )
    .bind(run)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(())
}
