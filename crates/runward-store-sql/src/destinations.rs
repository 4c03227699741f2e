use runward_store::{
    Cursor, Destination, DestinationFilter, Observation, OrgId, Page, PageRequest, ProjectId,
    Sighting, StoreError, Went,
};
use sqlx::any::AnyRow;

use crate::digest::read_programs;
use crate::filter::Filter;
use crate::values::{anywhere, int, text};
use crate::{SqlStore, unavailable};

const DESTINATION: &str = "SELECT id, name, runs, jobs, connections, blocked, first_seen_at, last_seen_at, programs FROM destination";

fn read_destination(row: &AnyRow) -> Result<Destination, StoreError> {
    Ok(Destination {
        id: int(row, 0)?,
        destination: text(row, 1)?,
        runs: int(row, 2)?,
        jobs: int(row, 3)?,
        connections: int(row, 4)?,
        blocked: int(row, 5)?,
        first_seen_at: int(row, 6)?,
        last_seen_at: int(row, 7)?,
        programs: read_programs(&text(row, 8)?),
    })
}

impl SqlStore {
    pub(crate) async fn select_destinations(
        &self,
        org: OrgId,
        filter: &DestinationFilter,
        page: PageRequest,
    ) -> Result<Page<Destination>, StoreError> {
        let mut asked = Filter::default();
        asked.int("org = {}", org.0);
        if let Some(text) = &filter.text {
            // Names of destinations are in small letters as they come.
            asked.text(r"name LIKE {} ESCAPE '\'", anywhere(text));
        }
        if filter.blocked {
            asked.plain("blocked > 0");
        }
        asked.after("last_seen_at", "id", page.after);
        let rows = asked
            .ask(&self.read, DESTINATION, "last_seen_at DESC, id DESC", page)
            .await?;
        let rows = rows
            .iter()
            .map(read_destination)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(rows, page.limit, |row| Cursor {
            time: row.last_seen_at,
            id: row.id,
        }))
    }

    pub(crate) async fn select_destination(
        &self,
        org: OrgId,
        id: i64,
    ) -> Result<Option<Destination>, StoreError> {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!(
            "{DESTINATION} WHERE org = $1 AND id = $2"
        )))
        .bind(org.0)
        .bind(id)
        .fetch_optional(&self.read)
        .await
        .map_err(unavailable)?;
        row.as_ref().map(read_destination).transpose()
    }

    pub(crate) async fn select_sightings(
        &self,
        org: OrgId,
        destination: i64,
        page: PageRequest,
    ) -> Result<Page<Sighting>, StoreError> {
        let mut asked = Filter::default();
        asked.int("observation.destination = {}", destination);
        asked.int("destination.org = {}", org.0);
        asked.after("observation.started_at", "observation.run", page.after);
        let rows = asked
            .ask(
                &self.read,
                "SELECT run.id, run.number, run.project, project.name, job.pipeline, job.name, observation.started_at,
                    destination.name, observation.connections, observation.blocked, observation.bytes_sent,
                    observation.bytes_received, observation.program
                 FROM observation JOIN destination ON destination.id = observation.destination
                 JOIN run ON run.number = observation.run JOIN project ON project.id = run.project
                 JOIN job ON job.id = run.job",
                "observation.started_at DESC, observation.run DESC",
                page,
            )
            .await?;
        let rows = rows
            .iter()
            .map(read_sighting)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Page::of(rows, page.limit, |row| Cursor {
            time: row.started_at,
            id: row.number,
        }))
    }
}

impl SqlStore {
    pub(crate) async fn select_went(
        &self,
        org: OrgId,
        run: i64,
        most: u32,
    ) -> Result<Vec<Went>, StoreError> {
        let rows = sqlx::query(
            "SELECT destination.id, destination.name, observation.connections, observation.blocked,
                observation.bytes_sent, observation.bytes_received, observation.program
             FROM observation JOIN destination ON destination.id = observation.destination
             WHERE observation.run = $1 AND destination.org = $2
             ORDER BY observation.blocked DESC, observation.connections DESC, destination.id LIMIT $3",
        )
        .bind(run)
        .bind(org.0)
        .bind(i64::from(most))
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| {
                Ok(Went {
                    destination: int(row, 0)?,
                    observation: read_observation(row, 1)?,
                })
            })
            .collect()
    }
}

fn read_sighting(row: &AnyRow) -> Result<Sighting, StoreError> {
    Ok(Sighting {
        run: text(row, 0)?,
        number: int(row, 1)?,
        project: ProjectId(int(row, 2)?),
        project_name: text(row, 3)?,
        pipeline: text(row, 4)?,
        job: text(row, 5)?,
        started_at: int(row, 6)?,
        observation: read_observation(row, 7)?,
    })
}

/// Reads an observation whose columns begin at `at`.
fn read_observation(row: &AnyRow, at: usize) -> Result<Observation, StoreError> {
    Ok(Observation {
        destination: text(row, at)?,
        connections: int(row, at + 1)?,
        blocked: int(row, at + 2)?,
        bytes_sent: int(row, at + 3)?,
        bytes_received: int(row, at + 4)?,
        program: text(row, at + 5)?,
    })
}
