//! What is done without anybody asking: runs are digested, and given up when they have fallen silent;
//! suppression rules end when their time is over.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::app::{App, now};
use crate::digest::{digest, fold};
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
/// But it rests no longer than this: the time may have gone by waiting for a store, and its end may have come meanwhile.
const REST_MAX: Duration = Duration::from_secs(15);
/// How long a run rests that could not be digested, so that it does not stand in the way of others.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// How long a turn may take. A database or a store that has gone without a word is then asked anew.
const TURN_MAX: Duration = Duration::from_secs(600);
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
        match timeout(TURN_MAX, turn(&app, &mut resting, &order)).await {
            Ok(Ok(Turn::Done)) => {}
            Ok(Ok(Turn::MoreToDo)) => pause = Duration::ZERO,
            // It is tried again with the next tick; the store has said what is wrong.
            Ok(Err(problem)) => {
                tracing::warn!(detail = problem.detail(), "a turn of work failed");
            }
            Err(_) => tracing::warn!("a turn of work took too long and was broken off"),
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
    let patience = i64::try_from(app.config().silent_after.as_millis()).unwrap_or(i64::MAX);
    app.store().silence(now() - patience).await?;
    app.store().tend_suppressions(now()).await?;
    resting.retain(|_, until| *until > Instant::now());
    let undigested = app.store().undigested(RUNS).await?;
    let mut runs: Vec<i64> = undigested.into_iter().map(|(run, _)| run).collect();
    runs.retain(|run| !resting.contains_key(run));
    runs.sort_by_cached_key(|run| order.hash_one(run));
    for &run in runs.iter().take(DIGESTS) {
        let began = Instant::now();
        let done = digest_run(app, run).await;
        let rest = match &done {
            Ok(Digested::Over) => None,
            Ok(Digested::GoesOn) => Some((began.elapsed() * REST).clamp(TICK, REST_MAX)),
            Err(_) => Some(REST_AFTER_FAILURE),
        };
        if let Some(rest) = rest.filter(|_| resting.len() < RESTING_MAX) {
            resting.insert(run, Instant::now() + rest);
        }
        done?;
    }
    Ok(if runs.len() > DIGESTS {
        Turn::MoreToDo
    } else {
        Turn::Done
    })
}

enum Digested {
    Over,
    GoesOn,
}

async fn digest_run(app: &App, run: i64) -> Result<Digested, Problem> {
    let batches = app.store().batches(run).await?;
    let folded = fold(app.objects(), &batches).await?;
    let digest = digest(&folded);
    app.store().digest(run, &digest).await?;
    Ok(if digest.complete {
        Digested::Over
    } else {
        Digested::GoesOn
    })
}
