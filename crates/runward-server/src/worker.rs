//! What is done without anybody asking: runs are digested, and given up when they have fallen silent;
//! suppression rules end when their time is over.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use runward_store::StoreError;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{Instrument as _, Span, info_span};

use crate::app::{App, now};
use crate::digest::{digest, fold};
use crate::learn;
use crate::metrics::Outcome;
use crate::problem::Problem;

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_millis(500);
/// Runs that are looked at in a turn.
const RUNS: u32 = 1000;
/// Runs that are digested in a turn. Workers beside this one look at the same ones, so it looks again soon, and takes them
/// in an order of its own.
const DIGESTS: usize = 8;
/// A run that goes on is digested again when so many times has passed what the last time took: a long run costs a
/// bounded share of the machine.
const REST: u32 = 20;
/// But it rests no longer than this: what is not normal is to be told within five seconds, and the time may have gone by
/// waiting for a store.
const REST_MAX: Duration = Duration::from_secs(3);
/// How long a run rests that could not be digested, so that it does not stand in the way of others.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long the digest of one run may take. A database or a store that has gone without a word is then asked anew.
const DIGEST_MAX: Duration = Duration::from_secs(300);
/// How long what goes before may take.
const TEND_MAX: Duration = Duration::from_secs(60);
/// Runs that are remembered for that.
const RESTING_MAX: usize = 10_000;

/// Works until it is told to end.
pub(crate) async fn work(app: App, mut ends: watch::Receiver<bool>) {
    let mut resting: HashMap<i64, Instant> = HashMap::new();
    let order = RandomState::new();
    let mut pause = TICK;
    loop {
        tokio::select! {
            _ = ends.changed() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = TICK;
        let began = Instant::now();
        let turned = tokio::select! {
            _ = ends.changed() => return,
            turned = turn(&app, &mut resting, &order) => turned,
        };
        let counts = &app.metrics().work;
        match turned {
            Ok(turn) => {
                counts.turned(began.elapsed(), now());
                if let Turn::MoreToDo = turn {
                    pause = Duration::ZERO;
                }
            }
            // It is tried again with the next tick; the store has said what is wrong.
            Err(problem) => {
                counts.failed("turn");
                tracing::warn!(detail = problem.detail(), "a turn of work failed");
            }
        }
    }
}

enum Turn {
    Done,
    MoreToDo,
}

async fn turn(
    app: &App,
    resting: &mut HashMap<i64, Instant>,
    order: &RandomState,
) -> Result<Turn, Problem> {
    let counts = &app.metrics().work;
    let patience = i64::try_from(app.config().silent_after.as_millis()).unwrap_or(i64::MAX);
    let tended = timeout(TEND_MAX, async {
        app.store().silence(now() - patience, now()).await?;
        app.store().tend_suppressions(now()).await
    });
    // What goes wrong here must not keep runs from being digested.
    match tended.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            counts.failed("tending");
            tracing::warn!(%error, "silent runs and rules could not be tended");
        }
        Err(_) => {
            counts.failed("tending");
            tracing::warn!("tending silent runs and rules took too long");
        }
    }
    counts.found(&app.store().backlog().await?, now());
    resting.retain(|_, until| *until > Instant::now());
    let undigested = app.store().undigested(RUNS).await?;
    let mut runs: Vec<i64> = undigested.into_iter().map(|(run, _)| run).collect();
    runs.retain(|run| !resting.contains_key(run));
    runs.sort_by_cached_key(|run| order.hash_one(run));
    let span = match runs.as_slice() {
        [] => Span::none(),
        _ => info_span!("worker.turn"),
    };
    digest_runs(app, &runs, resting).instrument(span).await;
    Ok(if runs.len() > DIGESTS {
        Turn::MoreToDo
    } else {
        Turn::Done
    })
}

async fn digest_runs(app: &App, runs: &[i64], resting: &mut HashMap<i64, Instant>) {
    let counts = &app.metrics().work;
    for &run in runs.iter().take(DIGESTS) {
        let began = Instant::now();
        let span = info_span!("worker.digest", runward.run = run);
        let digested = timeout(DIGEST_MAX, digest_run(app, run))
            .instrument(span)
            .await;
        counts.digested(
            match &digested {
                Ok(Ok(_)) => Outcome::Done,
                Ok(Err(_)) => Outcome::Failed,
                Err(_) => Outcome::TookTooLong,
            },
            began.elapsed(),
        );
        let rest = match digested {
            Ok(Ok(Digested::Over)) => None,
            Ok(Ok(Digested::GoesOn)) => Some((began.elapsed() * REST).clamp(TICK, REST_MAX)),
            // One run that can't be digested does not stand in the way of the others.
            Ok(Err(problem)) => {
                tracing::warn!(
                    run,
                    detail = problem.detail(),
                    "a run could not be digested"
                );
                Some(REST_AFTER_FAILURE)
            }
            Err(_) => {
                tracing::warn!(run, "digesting a run took too long and was broken off");
                Some(REST_AFTER_FAILURE)
            }
        };
        if let Some(rest) = rest.filter(|_| resting.len() < RESTING_MAX) {
            resting.insert(run, Instant::now() + rest);
        }
    }
}

/// How often a run is judged before it has to wait for its next turn.
const TRIES: usize = 8;

enum Digested {
    Over,
    GoesOn,
}

async fn digest_run(app: &App, run: i64) -> Result<Digested, Problem> {
    let batches = app.store().batches(run).await?;
    let folded = fold(app.objects(), &batches).await?;
    let own = digest(&folded, now());
    // Where another run of the job was learned in the meantime, nothing was kept, and this one is judged again.
    for _ in 0..TRIES {
        let mut digest = own.clone();
        if let Some(place) = app.store().run_place(run).await? {
            learn::judge(app, &place, &folded.report, &mut digest).await?;
            learn::compare(app, &place, &folded.report, &mut digest).await?;
        }
        match app.store().digest(run, &digest).await {
            Err(StoreError::Conflict(_)) => continue,
            other => other?,
        }
        if !digest.detections.is_empty() || !digest.incidents.is_empty() || digest.complete {
            app.teller().wake();
        }
        return Ok(if digest.complete {
            Digested::Over
        } else {
            Digested::GoesOn
        });
    }
    Err(Problem::unavailable(
        "other runs of the job were learned all the time",
    ))
}
