use runward_store::{
    Cursor, Detection, DetectionFilter, DetectionStatus, OrgId, Page, PageRequest, ProjectId,
    StoreError,
};
use sqlx::any::AnyRow;

use crate::filter::Filter;
use crate::values::{int, maybe_text, status, text, word};
use crate::{SqlStore, unavailable};

const DETECTION: &str = "SELECT detection.id, detection.kind, detection.severity, detection.title, detection.subject, \
    detection.program, run.id, run.project, project.name, job.pipeline, job.name, detection.at, detection.status, \
    detection.decided_by, detection.comment FROM detection JOIN run ON run.number = detection.run \
    JOIN project ON project.id = run.project JOIN job ON job.id = run.job";

fn read_detection(row: &AnyRow) -> Result<Detection, StoreError> {
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
        asked.int("detection.org = {}", org.0);
        if let Some(kind) = &filter.kind {
            asked.text("detection.kind = {}", kind.clone());
        }
        if let Some(status) = filter.status {
            asked.text("detection.status = {}", word(&status));
        }
        if let Some(project) = filter.project {
            asked.int("run.project = {}", project.0);
        }
        if let Some(run) = &filter.run {
            asked.text("run.id = {}", run.clone());
        }
        asked.after("detection.at", "detection.id", page.after);
        let order = "detection.at DESC, detection.id DESC";
        let rows = asked.ask(&self.read, DETECTION, order, page).await?;
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
    ) -> Result<Vec<(String, DetectionStatus, i64)>, StoreError> {
        let rows = sqlx::query(
            "SELECT kind, status, COUNT(*) FROM detection WHERE org = $1 GROUP BY kind, status ORDER BY kind, status",
        )
        .bind(org.0)
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
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
        let done = sqlx::query(
            "UPDATE detection SET status = $1, decided_by = $2, comment = $3 WHERE org = $4 AND id = $5",
        )
        .bind(word(&status))
        .bind(by)
        .bind(comment)
        .bind(org.0)
        .bind(id)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing("detection"));
        }
        sqlx::query(
            "UPDATE run SET detections = (
                SELECT COUNT(*) FROM detection WHERE detection.run = run.number AND status = 'new')
             WHERE number = (SELECT run FROM detection WHERE id = $1)",
        )
        .bind(id)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        change.commit().await.map_err(unavailable)
    }
}
