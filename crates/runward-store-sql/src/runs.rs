use runward_store::{
    Cursor, Deleted, OrgId, Page, PageRequest, Project, ProjectId, Run, RunFilter, StoreError, Tags,
};
use sqlx::any::AnyRow;

use crate::access::{PROJECT, read_project};
use crate::filter::Filter;
use crate::values::{
    anywhere, int, maybe_int, maybe_mode, maybe_text, maybe_tier, provider, state, state_number,
    text,
};
use crate::{SqlStore, unavailable};

const RUN: &str = "run.number, run.id, run.project, project.name, project.provider, job.pipeline, job.name, \
    run.provider_run, run.attempt, run.branch, run.commit_id, run.actor, run.cause, run.url, run.command, \
    run.requested_mode, run.effective_mode, run.tier, agent.host, run.state, run.started_at, run.last_seen_at, \
    run.duration_ms, run.exit_code, run.events, run.processes, run.connections, run.destinations, run.blocked, \
    run.file_changes, run.detections, run.lost, run.tags, run.events_gone_at, run.events_gone_after, \
    run.detections_gone_at, run.detections_gone_after";
const FROM: &str = "FROM run JOIN project ON project.id = run.project JOIN job ON job.id = run.job \
    JOIN agent ON agent.id = run.agent";
/// How many columns [`RUN`] has.
const WIDTH: usize = 37;

fn read_run(row: &AnyRow) -> Result<Run, StoreError> {
    Ok(Run {
        number: int(row, 0)?,
        id: text(row, 1)?,
        project: ProjectId(int(row, 2)?),
        project_name: text(row, 3)?,
        provider: provider(row, 4)?,
        pipeline: text(row, 5)?,
        job: text(row, 6)?,
        provider_run: maybe_text(row, 7)?,
        attempt: maybe_int(row, 8)?,
        branch: maybe_text(row, 9)?,
        commit: maybe_text(row, 10)?,
        actor: maybe_text(row, 11)?,
        trigger: maybe_text(row, 12)?,
        url: maybe_text(row, 13)?,
        command: text(row, 14)?,
        requested_mode: maybe_mode(row, 15)?,
        effective_mode: maybe_mode(row, 16)?,
        tier: maybe_tier(row, 17)?,
        host: text(row, 18)?,
        state: state(row, 19)?,
        started_at: int(row, 20)?,
        last_seen_at: int(row, 21)?,
        duration_ms: maybe_int(row, 22)?,
        exit_code: maybe_int(row, 23)?,
        events: int(row, 24)?,
        processes: int(row, 25)?,
        connections: int(row, 26)?,
        destinations: int(row, 27)?,
        blocked: int(row, 28)?,
        file_changes: int(row, 29)?,
        detections: int(row, 30)?,
        lost: int(row, 31)?,
        tags: Tags(int(row, 32)?),
        events_deleted: deleted(row, 33)?,
        detections_deleted: deleted(row, 35)?,
    })
}

/// When something was deleted, and after how many days.
fn deleted(row: &AnyRow, from: usize) -> Result<Option<Deleted>, StoreError> {
    let (at, after_days) = (maybe_int(row, from)?, maybe_int(row, from + 1)?);
    Ok(at
        .zip(after_days)
        .map(|(at, after_days)| Deleted { at, after_days }))
}

impl SqlStore {
    pub(crate) async fn select_runs(
        &self,
        org: OrgId,
        filter: &RunFilter,
        page: PageRequest,
    ) -> Result<Page<Run>, StoreError> {
        let mut asked = Filter::default();
        match filter.project {
            // By the project's own index; that it is the organisation's is checked all the same.
            Some(project) => {
                asked.int("run.project = {}", project.0);
                asked.int("project.org = {}", org.0);
            }
            None => asked.int("run.org = {}", org.0),
        }
        for (condition, value) in [
            ("job.pipeline = {}", &filter.pipeline),
            ("job.name = {}", &filter.job),
            ("run.branch = {}", &filter.branch),
        ] {
            if let Some(value) = value {
                asked.text(condition, value.clone());
            }
        }
        if let Some(state) = filter.state {
            asked.int("run.state = {}", state_number(state));
        }
        for tag in filter.tags.list() {
            asked.int("run.tags & {} <> 0", tag.bit());
        }
        if filter.recorded {
            asked.plain("run.aged = 0");
        }
        if let Some(since) = filter.since {
            asked.int("run.started_at >= {}", since);
        }
        if let Some(until) = filter.until {
            asked.int("run.started_at < {}", until);
        }
        if let Some(text) = &filter.text {
            asked.text(r"run.search LIKE {} ESCAPE '\'", anywhere(text));
        }
        asked.after("run.started_at", "run.number", page.after);
        let rows = asked
            .ask(
                &self.read,
                &format!("SELECT {RUN} {FROM}"),
                "run.started_at DESC, run.number DESC",
                page,
            )
            .await?;
        let runs = rows.iter().map(read_run).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(runs, page.limit, |run| Cursor {
            time: run.started_at,
            id: run.number,
        }))
    }

    pub(crate) async fn select_run(
        &self,
        org: OrgId,
        id: &str,
    ) -> Result<Option<(Run, Project)>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT {RUN}, {PROJECT} {FROM} WHERE run.id = $1 AND run.org = $2"
        )))
        .bind(id)
        .bind(org.0)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.map(|row| Ok((read_run(&row)?, read_project(&row, WIDTH)?)))
            .transpose()
    }
}
