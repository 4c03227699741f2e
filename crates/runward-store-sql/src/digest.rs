use std::collections::HashMap;

use runward_store::{
    Backlog, Digest, Millis, NewDetection, NewIncident, News, Observation, OrgId, ProjectId, Scene,
    StoreError, Tag,
};
use sqlx::any::AnyRow;

use crate::anomalies::{put_anomalies, put_incident};
use crate::baselines::put_baseline;
use crate::retention::WHOLE;
use crate::suppressions::{LiveRule, hiding, live_rules};
use crate::values::{int, maybe_int, maybe_text, storable, text, word};
use crate::{Change, SqlStore, unavailable};

/// The longest text of one field that is kept, in bytes: as long as a path.
const TEXT_MAX: usize = 4096;
/// Programs that a destination keeps.
const PROGRAMS_MAX: usize = 8;
/// Destinations of one run that are kept; a run that has more has made its point, and its record has them all.
const OBSERVATIONS_MAX: usize = 10_000;
/// Detections of one run that are kept, and as many that rules hide: a flood of these must not push out the others.
const DETECTIONS_MAX: usize = 1_000;
/// Detections of one run that are held against rules.
const JUDGED_MAX: usize = 20_000;

/// What of a run its destinations, its detections, and those who are told of them need.
struct Place {
    run: i64,
    org: i64,
    job: i64,
    started_at: Millis,
    project_name: String,
    pipeline: String,
    job_name: String,
    name: String,
    project: i64,
    branch: Option<String>,
    actor: Option<String>,
    slug: String,
}

impl Place {
    fn scene(&self) -> Scene<'_> {
        Scene {
            org: &self.slug,
            run: &self.name,
            project: ProjectId(self.project),
            project_name: &self.project_name,
            pipeline: &self.pipeline,
            job: &self.job_name,
            branch: self.branch.as_deref(),
            actor: self.actor.as_deref(),
        }
    }
}

/// An observation that is already there.
struct Known {
    destination: i64,
    connections: i64,
    blocked: i64,
}

impl SqlStore {
    pub(crate) async fn select_undigested(
        &self,
        limit: u32,
    ) -> Result<Vec<(i64, String)>, StoreError> {
        let rows = sqlx::query(
            "SELECT number, id FROM run WHERE events > digested AND aged = 0 ORDER BY last_seen_at LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.read)
        .await
        .map_err(unavailable)?;
        rows.iter()
            .map(|row| Ok((int(row, 0)?, text(row, 1)?)))
            .collect()
    }

    pub(crate) async fn count_undigested(&self) -> Result<Backlog, StoreError> {
        let row =
            sqlx::query("SELECT COUNT(*), MIN(last_seen_at) FROM run WHERE events > digested")
                .fetch_one(&self.read)
                .await
                .map_err(unavailable)?;
        Ok(Backlog {
            runs: int(&row, 0)?,
            oldest_seen_at: maybe_int(&row, 1)?,
        })
    }

    pub(crate) async fn put_digest(&self, run: i64, digest: &Digest) -> Result<(), StoreError> {
        let mut change = self.begin().await?;
        let row = sqlx::query(
            "SELECT run.org, run.job, run.started_at, project.name, job.pipeline, job.name, run.id, run.project, run.branch,
                run.actor, org.slug
             FROM run JOIN project ON project.id = run.project JOIN job ON job.id = run.job JOIN org ON org.id = run.org
             WHERE run.number = $1",
        )
        .bind(run)
        .fetch_optional(&mut *change)
        .await
        .map_err(unavailable)?
        .ok_or(StoreError::Missing("run"))?;
        let place = Place {
            run,
            org: int(&row, 0)?,
            job: int(&row, 1)?,
            started_at: int(&row, 2)?,
            project_name: text(&row, 3)?,
            pipeline: text(&row, 4)?,
            job_name: text(&row, 5)?,
            name: text(&row, 6)?,
            project: int(&row, 7)?,
            branch: maybe_text(&row, 8)?,
            actor: maybe_text(&row, 9)?,
            slug: text(&row, 10)?,
        };
        let org = OrgId(place.org);
        // The organisation before the run, as whoever changes a rule locks them, too.
        if !digest.detections.is_empty() || !digest.incidents.is_empty() {
            self.hold_rules(&mut change, org).await?;
        }
        // This locks the run's row: workers beside this one wait here, and then see what it has done.
        let row = sqlx::query(
            "UPDATE run SET digested = digested WHERE number = $1 RETURNING digested, aged",
        )
        .bind(run)
        .fetch_optional(&mut *change)
        .await
        .map_err(unavailable)?
        .ok_or(StoreError::Missing("run"))?;
        // Another worker may have been quicker, and have seen more; or the events are gone, and what they amounted to
        // with them.
        if int(&row, 0)? > digest.events || int(&row, 1)? != WHOLE {
            return Ok(());
        }
        put_observations(&mut change, &place, &storable_observations(digest)).await?;
        put_anomalies(&mut change, (place.org, place.job, run), digest).await?;
        if let Some(baseline) = &digest.baseline {
            put_baseline(&mut change, (place.org, place.project, place.job), baseline).await?;
        }
        if !digest.detections.is_empty() || !digest.incidents.is_empty() {
            let rules = live_rules(&mut change, org).await?;
            let mut found = digest.detections.clone();
            for incident in &digest.incidents {
                let told = put_incident(&mut change, place.org, incident).await?;
                if told && !is_hidden(incident, &place, &rules) {
                    found.push(incident.detection.clone());
                }
            }
            let detections = storable_detections(found);
            let news = put_detections(&mut change, &place, &detections, &rules).await?;
            self.tell(&mut change, org, &news, digest.at).await?;
        }
        let mut tags = digest.tags;
        if is_news(&mut change, &place).await? {
            tags = tags.with(Tag::NewDestination);
        }
        sqlx::query(
            "UPDATE run SET digested = $2, state = CASE WHEN $3 = 1 THEN 1 ELSE state END, duration_ms = $4,
                exit_code = $5, processes = $6, connections = $7, destinations = $8, blocked = $9,
                file_changes = $10, lost = $11, tags = $12,
                detections = (SELECT COUNT(*) FROM detection WHERE run = $1 AND status = 'new')
             WHERE number = $1",
        )
        .bind(run)
        .bind(digest.events)
        .bind(i64::from(digest.complete))
        .bind(digest.duration_ms)
        .bind(digest.exit_code)
        .bind(digest.processes)
        .bind(digest.connections)
        .bind(i64::try_from(digest.observations.len()).unwrap_or(i64::MAX))
        .bind(digest.blocked)
        .bind(digest.file_changes)
        .bind(digest.lost)
        .bind(tags.0)
        .execute(&mut *change)
        .await
        .map_err(unavailable)?;
        self.tell_outcome(&mut change, run, digest.at).await?;
        change.commit().await.map_err(unavailable)
    }
}

fn storable_observations(digest: &Digest) -> Vec<Observation> {
    let mut kept = digest.observations.clone();
    for observation in &mut kept {
        for text in [&mut observation.destination, &mut observation.program] {
            *text = storable(text, TEXT_MAX);
        }
    }
    kept
}

fn storable_detections(mut kept: Vec<NewDetection>) -> Vec<NewDetection> {
    for detection in &mut kept {
        let NewDetection {
            kind,
            title,
            subject,
            program,
            ..
        } = detection;
        for text in [kind, title, subject, program] {
            *text = storable(text, TEXT_MAX);
        }
    }
    kept
}

async fn put_observations(
    change: &mut Change,
    place: &Place,
    observations: &[Observation],
) -> Result<(), StoreError> {
    let known = known_observations(change, place.run).await?;
    // All workers take destinations in one order, so that none of them waits for one that waits for it.
    let mut observations: Vec<&Observation> = observations.iter().take(OBSERVATIONS_MAX).collect();
    observations.sort_unstable_by(|a, b| a.destination.cmp(&b.destination));
    for observation in observations {
        put_observation(
            change,
            place,
            observation,
            known.get(&observation.destination),
        )
        .await?;
    }
    Ok(())
}

async fn known_observations(
    change: &mut Change,
    run: i64,
) -> Result<HashMap<String, Known>, StoreError> {
    let rows = sqlx::query(
        "SELECT destination.name, destination.id, observation.connections, observation.blocked FROM observation
         JOIN destination ON destination.id = observation.destination WHERE observation.run = $1",
    )
    .bind(run)
    .fetch_all(&mut **change)
    .await
    .map_err(unavailable)?;
    rows.iter()
        .map(|row| {
            let known = Known {
                destination: int(row, 1)?,
                connections: int(row, 2)?,
                blocked: int(row, 3)?,
            };
            Ok((text(row, 0)?, known))
        })
        .collect()
}

/// Destinations only ever grow in a run, so what was known is the least that is there now.
async fn put_observation(
    change: &mut Change,
    place: &Place,
    observation: &Observation,
    known: Option<&Known>,
) -> Result<(), StoreError> {
    let more_connections = observation.connections - known.map_or(0, |known| known.connections);
    let more_blocked = observation.blocked - known.map_or(0, |known| known.blocked);
    if known.is_some() && more_connections == 0 && more_blocked == 0 {
        return Ok(());
    }
    let row = sqlx::query(
        "INSERT INTO destination (org, name, runs, jobs, connections, blocked, first_seen_at, last_seen_at, programs)
         VALUES ($1, $2, $3, 0, $4, $5, $6, $6, $7)
         ON CONFLICT (org, name) DO UPDATE SET runs = destination.runs + excluded.runs,
            connections = destination.connections + excluded.connections,
            blocked = destination.blocked + excluded.blocked,
            first_seen_at = CASE WHEN excluded.first_seen_at < destination.first_seen_at
                THEN excluded.first_seen_at ELSE destination.first_seen_at END,
            last_seen_at = CASE WHEN excluded.last_seen_at > destination.last_seen_at
                THEN excluded.last_seen_at ELSE destination.last_seen_at END
         RETURNING id, programs",
    )
    .bind(place.org)
    .bind(&observation.destination)
    .bind(i64::from(known.is_none()))
    .bind(more_connections)
    .bind(more_blocked)
    .bind(place.started_at)
    .bind(programs_text(std::slice::from_ref(&observation.program)))
    .fetch_one(&mut **change)
    .await
    .map_err(unavailable)?;
    let destination = known.map_or_else(|| int(&row, 0), |known| Ok(known.destination))?;
    keep_program(change, destination, &row, &observation.program).await?;
    sqlx::query(
        "INSERT INTO observation (run, destination, started_at, connections, blocked, bytes_sent, bytes_received, program)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (run, destination) DO UPDATE SET connections = excluded.connections,
            blocked = excluded.blocked, bytes_sent = excluded.bytes_sent, bytes_received = excluded.bytes_received",
    )
    .bind(place.run)
    .bind(destination)
    .bind(place.started_at)
    .bind(observation.connections)
    .bind(observation.blocked)
    .bind(observation.bytes_sent)
    .bind(observation.bytes_received)
    .bind(&observation.program)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    let first = sqlx::query(
        "INSERT INTO job_destination (job, destination, first_run) VALUES ($1, $2, $3)
         ON CONFLICT (job, destination) DO NOTHING",
    )
    .bind(place.job)
    .bind(destination)
    .bind(place.run)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    if first.rows_affected() > 0 {
        sqlx::query("UPDATE destination SET jobs = jobs + 1 WHERE id = $1")
            .bind(destination)
            .execute(&mut **change)
            .await
            .map_err(unavailable)?;
    }
    Ok(())
}

async fn keep_program(
    change: &mut Change,
    destination: i64,
    row: &AnyRow,
    program: &str,
) -> Result<(), StoreError> {
    let mut programs = read_programs(&text(row, 1)?);
    if programs.len() >= PROGRAMS_MAX || programs.iter().any(|known| known == program) {
        return Ok(());
    }
    programs.push(program.to_owned());
    sqlx::query("UPDATE destination SET programs = $1 WHERE id = $2")
        .bind(programs_text(&programs))
        .bind(destination)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Programs as they stand in their column.
pub(crate) fn read_programs(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_default()
}

fn programs_text(programs: &[String]) -> String {
    let known: Vec<&String> = programs
        .iter()
        .filter(|program| !program.is_empty())
        .collect();
    serde_json::to_string(&known).unwrap_or_default()
}

/// The severity of what is known to be harmless.
const HARMLESS: &str = "info";

/// Whether a rule hides what the incident is made of: who does not want to hear of a finding does not want to hear that
/// others have it, too.
fn is_hidden(incident: &NewIncident, place: &Place, rules: &[LiveRule]) -> bool {
    incident.cause.as_ref().is_some_and(|cause| {
        let facts = cause.facts(&place.project_name, &place.pipeline, &place.job_name);
        hiding(rules, &facts).is_some()
    })
}

/// Keeps detections; what is to be told of them: those that were not known, and that no rule hides.
async fn put_detections(
    change: &mut Change,
    place: &Place,
    detections: &[NewDetection],
    rules: &[LiveRule],
) -> Result<Vec<News>, StoreError> {
    let (mut shown, mut hidden) = (0, 0);
    let mut news = Vec::new();
    for detection in detections.iter().take(JUDGED_MAX) {
        let facts = detection.facts(&place.project_name, &place.pipeline, &place.job_name);
        let rule = hiding(rules, &facts);
        let kept = if rule.is_some() {
            &mut hidden
        } else {
            &mut shown
        };
        if *kept < DETECTIONS_MAX {
            *kept += 1;
            let is_new = put_detection(change, place, detection, rule).await?;
            // What is known to be harmless stands in lists and wakes nobody.
            if is_new && rule.is_none() && detection.severity != HARMLESS {
                news.push(News::of_detection(detection, &place.scene()));
            }
        }
    }
    Ok(news)
}

/// What is known of the run already stays as it was decided. Whether it was not known.
async fn put_detection(
    change: &mut Change,
    place: &Place,
    detection: &NewDetection,
    rule: Option<i64>,
) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO detection (org, run, kind, severity, title, subject, about, program, at, status, suppressed_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (run, kind, subject, program) DO NOTHING",
    )
    .bind(place.org)
    .bind(place.run)
    .bind(&detection.kind)
    .bind(&detection.severity)
    .bind(&detection.title)
    .bind(&detection.subject)
    .bind(word(&detection.about))
    .bind(&detection.program)
    .bind(detection.at)
    .bind(if rule.is_some() { "suppressed" } else { "new" })
    .bind(rule)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(done.rows_affected() > 0)
}

/// Whether the run went where no run of its job went before. The first run of a job is no news.
async fn is_news(change: &mut Change, place: &Place) -> Result<bool, StoreError> {
    let news: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM run WHERE number = (
            SELECT MIN(number) FROM run WHERE job = $1 AND number < $2 AND digested > 0)
         AND EXISTS (SELECT 1 FROM job_destination WHERE first_run = $2)",
    )
    .bind(place.job)
    .bind(place.run)
    .fetch_one(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(news > 0)
}
