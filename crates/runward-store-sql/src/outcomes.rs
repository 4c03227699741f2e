//! How jobs came out becomes messages to those who stand at their commits, within the change by which it is known.
//!
//! A message is made where what it says is not what the last one of the same job said, and takes the place of one that
//! still waits. So a run that is sent or digested again says nothing twice, and the last word is the last to be said.

use runward_store::{
    ANOMALOUS_CALLS, BLOCKED_CALL, BadCall, CALLS_TOLD_MAX, Channel, ChannelKind, Millis,
    OUTCOMES_WAITING_MAX, OrgId, Outcome, OutcomeState, ProjectId, Severity, StoreError,
    TOGETHER_MAX, is_request,
};
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;

use crate::channels::{UNCOUNTED, read_channel};
use crate::outbox::{About, count_waiting, insert};
use crate::values::{hex, int, maybe_int, maybe_text, provider, text, word};
use crate::{Change, Dialect, SqlStore, unavailable};

/// Characters of an outcome's id: half of a hash tells them apart, and can be read.
const ID: usize = 32;
/// Characters of a sentence.
const SENTENCE_MAX: usize = 300;
/// What is said while a job goes on, whatever else is known by then.
const RUNNING: &str = "running";

/// The runs of one job in one pipeline.
const TOGETHER: &str = "run.job = $1 AND (run.number = $2 OR (
    run.provider_run = $3 AND COALESCE(run.attempt, 0) = $4 AND run.commit_id = $5))";

/// A run, and by what those beside it are known.
struct Place {
    org: OrgId,
    job: i64,
    provider_run: Option<String>,
    attempt: i64,
    commit: Option<String>,
    outcome: Outcome,
}

impl SqlStore {
    /// Tells how the job of this run came out, as far as that is known by now.
    pub(crate) async fn tell_outcome(
        &self,
        change: &mut Change,
        run: i64,
        now: Millis,
    ) -> Result<(), StoreError> {
        let Some((mut place, running)) = read_place(change, run).await? else {
            return Ok(());
        };
        // Most runs of most organisations are over with this. A run that goes on is looked at again and again.
        if !anybody_asks(change, &place, running).await? {
            return Ok(());
        }
        // What workers beside this one know of the same job is known here once they have let go of the channels.
        let channels = self.asking(change, place.org).await?;
        complete(change, &mut place, run).await?;
        let outcome = &place.outcome;
        for channel in &channels {
            if channel
                .kept
                .wants
                .include_outcome(channel.kept.kind, outcome)
            {
                post(change, channel, outcome, now).await?;
            }
        }
        Ok(())
    }

    /// The channels that are told of runs, locked.
    async fn asking(&self, change: &mut Change, org: OrgId) -> Result<Vec<Channel>, StoreError> {
        let lock = match self.dialect {
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR NO KEY UPDATE",
        };
        let rows = sqlx::query(AssertSqlSafe(format!(
            "{UNCOUNTED} WHERE org = $1 AND removed_at IS NULL AND is_on = 1 AND runs <> 'none' ORDER BY id {lock}"
        )))
        .bind(org.0)
        .fetch_all(&mut **change)
        .await
        .map_err(unavailable)?;
        rows.iter().map(read_channel).collect()
    }
}

async fn read_place(change: &mut Change, run: i64) -> Result<Option<(Place, bool)>, StoreError> {
    let row = sqlx::query(
        "SELECT run.org, run.job, run.provider_run, COALESCE(run.attempt, 0), run.commit_id, run.branch, run.cause,
            run.state, run.id, run.project, project.provider, project.name, job.pipeline, job.name, org.slug
         FROM run JOIN project ON project.id = run.project JOIN job ON job.id = run.job JOIN org ON org.id = run.org
         WHERE run.number = $1",
    )
    .bind(run)
    .fetch_optional(&mut **change)
    .await
    .map_err(unavailable)?;
    let Some(row) = row else { return Ok(None) };
    let provider_run = maybe_text(&row, 2)?.filter(|id| !id.is_empty());
    let (attempt, commit) = (int(&row, 3)?, maybe_text(&row, 4)?);
    let provider = provider(&row, 10)?;
    let (name, project_name) = (text(&row, 8)?, text(&row, 11)?);
    let (pipeline, job) = (text(&row, 12)?, text(&row, 13)?);
    let id = match &provider_run {
        Some(of) => hash(&[&project_name, &pipeline, &job, of, &attempt.to_string()]),
        None => name.clone(),
    };
    let outcome = Outcome {
        id,
        provider,
        project: Some(ProjectId(int(&row, 9)?)),
        project_name,
        pipeline,
        job,
        commit: commit.clone().unwrap_or_default(),
        provider_run: provider_run.clone(),
        request: is_request(
            provider,
            maybe_text(&row, 5)?.as_deref(),
            maybe_text(&row, 6)?.as_deref(),
        ),
        state: OutcomeState::Ended,
        runs: 0,
        started_at: 0,
        last_seen_at: 0,
        blocked: 0,
        anomalous: 0,
        first: Vec::new(),
        lost: 0,
        link: format!("/o/{}/runs/{name}", text(&row, 14)?),
    };
    let place = Place {
        org: OrgId(int(&row, 0)?),
        job: int(&row, 1)?,
        provider_run,
        attempt,
        commit,
        outcome,
    };
    Ok(Some((place, int(&row, 7)? == 0)))
}

fn hash(parts: &[&str]) -> String {
    let mut id = hex(&Sha256::digest(parts.join("\0").as_bytes()).into());
    id.truncate(ID);
    id
}

/// Whether there is a channel that is told of runs, and of one that goes on, one that was not told of that yet.
async fn anybody_asks(
    change: &mut Change,
    place: &Place,
    running: bool,
) -> Result<bool, StoreError> {
    let asked: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM channel WHERE org = $1 AND removed_at IS NULL AND is_on = 1 AND runs <> 'none'
            AND ($2 = 0 OR (kind = $3 AND COALESCE((SELECT said FROM delivery
                WHERE channel = channel.id AND about = $4 ORDER BY id DESC LIMIT 1), '') <> $5))",
    )
    .bind(place.org.0)
    .bind(i64::from(running))
    .bind(word(&ChannelKind::GithubCheck))
    .bind(&place.outcome.id)
    .bind(RUNNING)
    .fetch_one(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(asked > 0)
}

/// Sums up all runs of the job, and what was found in them.
async fn complete(change: &mut Change, place: &mut Place, run: i64) -> Result<(), StoreError> {
    let rows = sqlx::query(AssertSqlSafe(format!(
        "SELECT run.state, run.started_at, run.last_seen_at, run.lost FROM run WHERE {TOGETHER}
         ORDER BY run.number LIMIT $6"
    )))
    .bind(place.job)
    .bind(run)
    .bind(&place.provider_run)
    .bind(place.attempt)
    .bind(&place.commit)
    .bind(i64::from(TOGETHER_MAX))
    .fetch_all(&mut **change)
    .await
    .map_err(unavailable)?;
    let outcome = &mut place.outcome;
    outcome.started_at = Millis::MAX;
    for row in &rows {
        outcome.state = match (outcome.state, int(row, 0)?) {
            (OutcomeState::Running, _) | (_, 0) => OutcomeState::Running,
            (OutcomeState::Silent, _) | (_, 2) => OutcomeState::Silent,
            _ => OutcomeState::Ended,
        };
        outcome.runs += 1;
        outcome.started_at = outcome.started_at.min(int(row, 1)?);
        outcome.last_seen_at = outcome.last_seen_at.max(int(row, 2)?);
        outcome.lost = outcome.lost.saturating_add(int(row, 3)?);
    }
    let counts = found(
        change,
        place,
        run,
        "detection.kind, COUNT(*)",
        "GROUP BY detection.kind",
    )
    .await?;
    for row in &counts {
        match text(row, 0)?.as_str() {
            BLOCKED_CALL => place.outcome.blocked += int(row, 1)?,
            _ => place.outcome.anomalous += int(row, 1)?,
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let first = format!("ORDER BY detection.at, detection.id LIMIT {CALLS_TOLD_MAX}");
    let rows = found(
        change,
        place,
        run,
        "detection.severity, detection.title, run.id",
        &first,
    )
    .await?;
    let outcome = &mut place.outcome;
    for (at, row) in rows.iter().enumerate() {
        if at == 0
            && let Some((before, _)) = outcome.link.rsplit_once('/')
        {
            outcome.link = format!("{before}/{}/detections", text(row, 2)?);
        }
        outcome.first.push(BadCall {
            // A word of a newer version is rather told than not.
            severity: Severity::parse(&text(row, 0)?).unwrap_or(Severity::High),
            sentence: text(row, 1)?.chars().take(SENTENCE_MAX).collect(),
        });
    }
    Ok(())
}

/// Asks for the calls of these runs that nobody has decided about, and that no rule hides.
async fn found(
    change: &mut Change,
    place: &Place,
    run: i64,
    what: &str,
    end: &str,
) -> Result<Vec<sqlx::any::AnyRow>, StoreError> {
    let [first, second, third] = ANOMALOUS_CALLS;
    sqlx::query(AssertSqlSafe(format!(
        "SELECT {what} FROM detection JOIN run ON run.number = detection.run
         WHERE {TOGETHER} AND detection.status = 'new' AND detection.kind IN ($6, $7, $8, $9) {end}"
    )))
    .bind(place.job)
    .bind(run)
    .bind(&place.provider_run)
    .bind(place.attempt)
    .bind(&place.commit)
    .bind(BLOCKED_CALL)
    .bind(first)
    .bind(second)
    .bind(third)
    .fetch_all(&mut **change)
    .await
    .map_err(unavailable)
}

/// Makes a message of it, unless the last one said the same.
async fn post(
    change: &mut Change,
    channel: &Channel,
    outcome: &Outcome,
    now: Millis,
) -> Result<(), StoreError> {
    let said = saying(outcome)?;
    let last: Option<String> = sqlx::query_scalar(
        "SELECT said FROM delivery WHERE channel = $1 AND about = $2 ORDER BY id DESC LIMIT 1",
    )
    .bind(channel.id)
    .bind(&outcome.id)
    .fetch_optional(&mut **change)
    .await
    .map_err(unavailable)?;
    if last.as_deref() == Some(&said) {
        return Ok(());
    }
    // Whoever sends it at this moment finds that it is gone, and goes on with the next.
    sqlx::query("DELETE FROM delivery WHERE channel = $1 AND about = $2 AND state = 'waiting'")
        .bind(channel.id)
        .bind(&outcome.id)
        .execute(&mut **change)
        .await
        .map_err(unavailable)?;
    make_room(change, channel.id, now).await?;
    let about = About {
        id: &outcome.id,
        said: &said,
    };
    insert(
        change,
        channel,
        &outcome.parcel(now),
        (now, now),
        Some(about),
    )
    .await
}

/// The oldest that waits is given up where too many do.
async fn make_room(change: &mut Change, channel: i64, now: Millis) -> Result<(), StoreError> {
    if count_waiting(change, channel).await? < OUTCOMES_WAITING_MAX {
        return Ok(());
    }
    sqlx::query(
        "UPDATE delivery SET state = 'dead', ended_at = $1, error = 'too many waited for this channel'
         WHERE id = (SELECT MIN(id) FROM delivery WHERE channel = $2 AND state = 'waiting')",
    )
    .bind(now)
    .bind(channel)
    .execute(&mut **change)
    .await
    .map_err(unavailable)?;
    Ok(())
}

/// By which it is known whether something else is said than before. Times move without that.
fn saying(outcome: &Outcome) -> Result<String, StoreError> {
    if outcome.state == OutcomeState::Running {
        return Ok(RUNNING.to_owned());
    }
    let timeless = Outcome {
        started_at: 0,
        last_seen_at: 0,
        ..outcome.clone()
    };
    let text = serde_json::to_string(&timeless);
    let text = text.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(hash(&[&text]))
}

/// The number of the newest message about the same, where it is another one than this.
pub(crate) async fn newer(change: &mut Change, message: i64) -> Result<Option<i64>, StoreError> {
    let row = sqlx::query(
        "SELECT MAX(newer.id) FROM delivery JOIN delivery AS newer
            ON newer.channel = delivery.channel AND newer.about = delivery.about AND newer.id > delivery.id
         WHERE delivery.id = $1",
    )
    .bind(message)
    .fetch_one(&mut **change)
    .await
    .map_err(unavailable)?;
    maybe_int(&row, 0)
}
