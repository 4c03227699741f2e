//! Events come in: read, kept, and only then acknowledged.

mod batch;
mod intake;

use axum::body::Body as Incoming;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use runward_api::Acknowledged;
use runward_event::{Body, Event, FORMAT_VERSION, JobStart, OLDEST_FORMAT, Provider};
use runward_report::text::command_line;
use runward_store::{Batch, Claim, Millis, Opened, OrgId, Received};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tracing::{Instrument as _, info_span};

use crate::api::{Json, Path, Query};
use crate::app::{App, millis, now};
use crate::auth::{Mismatch, Sender};
use crate::problem::Problem;
use batch::Events;
pub(crate) use intake::Intake;

/// Events of one run: a run is read again as a whole, so this bounds what one costs.
const RUN_EVENTS_MAX: u64 = 10_000_000;
/// How far a job's clock may be ahead of the server's.
const AHEAD_MAX: Millis = 24 * 3600 * 1000;
/// Nothing was recorded before 2020.
const EARLIEST: Millis = 1_577_836_800_000;
/// Characters of a command that are kept for lists.
const COMMAND_MAX: usize = 500;

#[derive(Debug, Deserialize)]
pub(crate) struct BatchQuery {
    /// The number of the batch's first event.
    first: u64,
    /// The machine's name.
    #[serde(default)]
    host: String,
}

/// `POST /api/v1/runs/{run}/events?first=N`: events of one run, as zstd-compressed NDJSON, from number N on without gaps.
///
/// The same batch may be sent again, and batches may come in any order but for the first one, which makes the run known.
pub(crate) async fn receive(
    State(app): State<App>,
    sender: Sender,
    headers: HeaderMap,
    Path(run): Path<String>,
    Query(query): Query<BatchQuery>,
    body: Incoming,
) -> Result<Json<Acknowledged>, Problem> {
    let taken = take(&app, &sender, &headers, &run, &query, body).await;
    let counts = &app.metrics().ingest;
    match &taken {
        Ok((batch, received)) => counts.took(batch, received),
        Err(problem) => counts.refused(problem.status()),
    }
    let (_, received) = taken?;
    Ok(acknowledged(&app, received.acknowledged))
}

async fn take(
    app: &App,
    sender: &Sender,
    headers: &HeaderMap,
    run: &str,
    query: &BatchQuery,
    body: Incoming,
) -> Result<(Batch, Received), Problem> {
    check_run_id(run)?;
    if query.first == 0 {
        return Err(Problem::bad("events are counted from 1"));
    }
    let packed = app.intake().body(sender, headers, body);
    let packed = packed.instrument(info_span!("ingest.receive")).await?;
    let read = info_span!(
        "ingest.read",
        runward.batch.bytes = i64::try_from(packed.bytes.len()).unwrap_or(i64::MAX)
    );
    let (packed, events) = app
        .intake()
        .read(packed, query.first)
        .instrument(read)
        .await?;
    if events.last > RUN_EVENTS_MAX {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the run is too long",
            format!("a run has at most {RUN_EVENTS_MAX} events here; what was acknowledged stays"),
        ));
    }
    let opened = open(app, sender, run, &query.host, &events).await?;
    let batch = Batch {
        first: i64::try_from(query.first).map_err(|_| Problem::bad("the number is too large"))?,
        last: i64::try_from(events.last).map_err(|_| Problem::bad("the number is too large"))?,
        object: object_key(sender, run, query.first, events.last, &packed.bytes),
        bytes: i64::try_from(packed.bytes.len()).unwrap_or(i64::MAX),
    };
    if batch.last > opened.events {
        app.objects()
            .put(&batch.object, packed.bytes.clone())
            .await?;
    }
    let received = app.store().receive(opened.number, &batch, now()).await?;
    Ok((batch, received))
}

/// `POST /api/v1/runs/{run}/heartbeat`: the run's agent lives, and has nothing to send.
pub(crate) async fn heartbeat(
    State(app): State<App>,
    sender: Sender,
    Path(run): Path<String>,
) -> Result<Json<Acknowledged>, Problem> {
    check_run_id(&run)?;
    let opened = known(&app, &sender, &run).await?;
    own(&app, &sender, &run).await?;
    app.store().heartbeat(opened.number, now()).await?;
    app.metrics().ingest.heartbeats.inc();
    Ok(acknowledged(&app, opened.events))
}

fn acknowledged(app: &App, acknowledged: i64) -> Json<Acknowledged> {
    Json(Acknowledged {
        acknowledged,
        silent_after_seconds: app.config().silent_after.as_secs(),
    })
}

async fn known(app: &App, sender: &Sender, run: &str) -> Result<Opened, Problem> {
    let opened = app.store().opened(sender.org, sender.project, run).await?;
    opened.ok_or_else(|| Problem::missing("run; send its first events first"))
}

async fn open(
    app: &App,
    sender: &Sender,
    run: &str,
    host: &str,
    events: &Events,
) -> Result<Opened, Problem> {
    let opened = match &events.start {
        Some(Event {
            time,
            body: Body::JobStart(start),
            ..
        }) => {
            let claim = claim(sender, run, host, start, millis(*time))?;
            app.store().open_run(&claim, now()).await?
        }
        _ => known(app, sender, run).await?,
    };
    own(app, sender, run).await?;
    Ok(opened)
}

/// A job's token is good for that job's runs only. Those of others that are known are told apart here, by what was kept
/// when they became known.
async fn own(app: &App, sender: &Sender, run: &str) -> Result<(), Problem> {
    let Some(job) = &sender.job else {
        return Ok(());
    };
    match app.store().run(sender.org, run).await? {
        Some((run, project)) => job.owns(&run, &project).map_err(not_the_tokens),
        None => Ok(()),
    }
}

fn not_the_tokens(mismatch: Mismatch) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "the run's identity isn't the token's",
        mismatch.to_string(),
    )
}

/// What the first event says, checked as far as the server can.
fn claim(
    sender: &Sender,
    run: &str,
    host: &str,
    start: &JobStart,
    started_at: Millis,
) -> Result<Claim, Problem> {
    let unreadable = |detail: String| {
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "the run can't be taken",
            detail,
        )
    };
    check_format(start.format).map_err(unreadable)?;
    if !(EARLIEST..now() + AHEAD_MAX).contains(&started_at) {
        return Err(unreadable(
            "the job's clock is more than a day ahead, or before 2020: set the machine's clock"
                .to_owned(),
        ));
    }
    let mut identity = start.identity.clone();
    if let Some(job) = &sender.job {
        job.claims(&mut identity).map_err(not_the_tokens)?;
    }
    // Outside of CI there is neither; such runs are told apart by their folder and command.
    if identity.project.is_none() {
        let folder = start.workspace.rsplit('/').find(|part| !part.is_empty());
        identity.project = Some(folder.unwrap_or("local").to_owned());
    }
    if identity.pipeline.is_none() {
        let word = if identity.provider == Provider::Local {
            "local"
        } else {
            "unknown"
        };
        identity.pipeline = Some(word.to_owned());
    }
    if identity.job.is_none() {
        identity.job = Some(command_line(&start.args, 80));
    }
    Ok(Claim {
        run: run.to_owned(),
        org: sender.org,
        identity,
        project: sender.project,
        command: command_line(&start.args, COMMAND_MAX),
        requested_mode: start.requested_mode,
        effective_mode: start.effective_mode,
        tier: start.tier,
        host: if host.is_empty() { "unnamed" } else { host }.to_owned(),
        version: start.runward.clone(),
        kernel: start.kernel.clone(),
        started_at,
    })
}

/// A server takes what agents of its own version send, and what those of the version before it do: it is updated first.
fn check_format(format: u32) -> Result<(), String> {
    if (OLDEST_FORMAT..=FORMAT_VERSION).contains(&format) {
        return Ok(());
    }
    let what = if format > FORMAT_VERSION {
        "this server is older than the runward that recorded it: update the server, then send the record again"
    } else {
        "the runward that recorded it is too old for this server: update it on the machines where jobs run"
    };
    Err(format!(
        "the record is of format {format}, and formats {OLDEST_FORMAT} to {FORMAT_VERSION} are taken; {what}"
    ))
}

fn check_run_id(run: &str) -> Result<(), Problem> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if run.len() == 32 && run.bytes().all(is_digit) {
        return Ok(());
    }
    Err(Problem::bad(
        "a run's name is 32 hexadecimal digits in small letters",
    ))
}

/// Where a batch is kept. With its content in the name, nothing that is kept can be overwritten by something else.
fn object_key(sender: &Sender, run: &str, first: u64, last: u64, packed: &[u8]) -> String {
    let hash = Sha256::digest(packed);
    let hash: String = hash
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!(
        "{}/{first:012}-{last:012}-{hash}.ndjson.zst",
        object_folder(sender.org, run)
    )
}

/// What the names of all objects of a run begin with. An object is only kept of a run that is known by then.
pub(crate) fn object_folder(org: OrgId, run: &str) -> String {
    format!("events/{}/{run}", org.0)
}
