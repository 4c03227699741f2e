//! What is done without anybody asking: runs are digested, and given up when they have fallen silent;
//! suppression rules end when their time is over.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::app::{App, now};
use crate::digest::{digest, fold};

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_millis(500);
/// Runs that are taken at once.
const RUNS: u32 = 32;
/// A run that goes on is digested again when so many times has passed what the last time took: a long run costs a
/// bounded share of the machine.
const REST: u32 = 20;
/// Runs that are remembered for that.
const RESTING_MAX: usize = 10_000;

/// Works until it is told to end.
pub(crate) async fn work(app: App, mut ends: watch::Receiver<bool>) {
    let mut resting: HashMap<i64, Instant> = HashMap::new();
    loop {
        tokio::select! {
            _ = ends.changed() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        if let Err(problem) = turn(&app, &mut resting).await {
            // It is tried again with the next tick; the store has said what is wrong.
            tracing::warn!(detail = problem.detail(), "a turn of work failed");
        }
    }
}

async fn turn(
    app: &App,
    resting: &mut HashMap<i64, Instant>,
) -> Result<(), crate::problem::Problem> {
    let patience = i64::try_from(app.config().silent_after.as_millis()).unwrap_or(i64::MAX);
    app.store().silence(now() - patience).await?;
    app.store().tend_suppressions(now()).await?;
    resting.retain(|_, until| *until > Instant::now());
    for (run, _) in app.store().undigested(RUNS).await? {
        if resting.contains_key(&run) {
            continue;
        }
        let began = Instant::now();
        let batches = app.store().batches(run).await?;
        let folded = fold(app.objects(), &batches).await?;
        let digest = digest(&folded);
        let over = digest.complete;
        app.store().digest(run, &digest).await?;
        if !over && resting.len() < RESTING_MAX {
            resting.insert(run, Instant::now() + (began.elapsed() * REST).max(TICK));
        }
    }
    Ok(())
}
