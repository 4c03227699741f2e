//! Deleting what organisations keep no longer. It goes on in small steps beside everything else, and any number of servers
//! may do it at once.
//!
//! What order the steps have is the store's affair ([`runward_store::Store::cut_events`] and what comes after it). It is
//! such that a server may break off between any two of them, and that another one goes on: a run says that its events are
//! gone before they are, and what leads to an object is forgotten after the object is gone. What no batch ever led to, as
//! its server broke off in between, lies in the folder of its run, and is looked for there when nothing can come into it
//! any more.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use runward_store::{DeletedRuns, Millis, OrgId, StoreError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::app::{App, now};
use crate::ingest::object_folder;
use crate::objects::ObjectError;

/// How often it is looked whether there is something to delete.
const TICK: Duration = Duration::from_secs(2);
/// How long a turn may take until it tells what it has done, and looks anew.
const TURN: Duration = Duration::from_secs(30);
/// How long one that waits for a database or a store may take, until that is asked anew.
const TURN_MAX: Duration = Duration::from_secs(300);
/// After a step in the database it rests so many times as long as that took: nobody else can write to SQLite meanwhile.
const REST: u32 = 2;
/// Runs whose events are taken away in one step.
const CUTS: u32 = 500;
/// Runs that are looked at for their objects, and of these, as many as one round deletes the objects of.
const RUNS: u32 = 1000;
const RUNS_A_ROUND: usize = 50;
/// Objects that are deleted before that is noted.
const OBJECTS: u32 = 200;
/// A run whose objects can't be deleted is left alone for so long, so that it does not stand in the way of others.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(10);
/// Runs that are remembered for that.
const RESTING_MAX: usize = 10_000;
/// After so many failures in one turn, the place of the objects is away, and is asked again in the next turn: while it is
/// away, each object that is asked for takes seconds.
const FAILURES_MAX: u32 = 3;

/// Deletes until it is told to end.
pub(crate) async fn keep_to_terms(app: App, mut ends: watch::Receiver<bool>) {
    let mut keeper = Keeper {
        app,
        resting: HashMap::new(),
        order: RandomState::new(),
        done: Done::default(),
        failures: 0,
    };
    let mut pause = TICK;
    loop {
        tokio::select! {
            _ = ends.changed() => return,
            () = sleep(pause) => {}
        }
        let turned = tokio::select! {
            _ = ends.changed() => return,
            turned = timeout(TURN_MAX, keeper.turn()) => turned,
        };
        keeper.tell();
        pause = match turned {
            Ok(Ok(true)) => Duration::ZERO,
            Ok(Ok(false)) => TICK,
            Ok(Err(error)) => {
                tracing::warn!(%error, "what is kept no longer could not be looked for");
                TICK
            }
            Err(_) => {
                tracing::warn!("deleting what is kept no longer took too long and was broken off");
                TICK
            }
        };
    }
}

struct Keeper {
    app: App,
    /// Runs whose objects could not be deleted, and until when they are left alone.
    resting: HashMap<i64, Instant>,
    /// Servers beside this one look at the same runs, and take them in an order of their own.
    order: RandomState,
    done: Done,
    /// Of this turn: places of objects that could not do what they were asked.
    failures: u32,
}

/// What a turn has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Done {
    /// Runs whose events were taken away.
    events: u64,
    /// Objects with these events.
    objects: u64,
    /// Objects that nothing led to.
    strays: u64,
    detections: i64,
    undecided: i64,
    runs: DeletedRuns,
}

impl Keeper {
    /// Goes round the organisations, a little of each at a time, until nothing is left or the turn is over. Whether there
    /// may be more to do now.
    async fn turn(&mut self) -> Result<bool, StoreError> {
        self.failures = 0;
        self.resting.retain(|_, until| *until > Instant::now());
        let over = Instant::now() + TURN;
        let mut failed = BTreeSet::new();
        while Instant::now() < over {
            let mut more = false;
            let at = now();
            let mut orgs = self.app.store().orgs_to_clean(at).await?;
            orgs.retain(|org| !failed.contains(org));
            for org in orgs {
                match self.round(org, at).await {
                    Ok(any) => more |= any,
                    // What is wrong with one organisation does not stand in the way of the others.
                    Err(error) => {
                        tracing::warn!(org = org.0, %error, "what an organisation keeps no longer could not be deleted");
                        failed.insert(org);
                    }
                }
            }
            if !more {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A little of one organisation. Whether there may be more.
    async fn round(&mut self, org: OrgId, at: Millis) -> Result<bool, StoreError> {
        let rows = self.rows(org, at).await?;
        Ok(self.objects(org, at).await? || rows)
    }

    /// A step of each kind in the database. Whether one of them did anything.
    async fn rows(&mut self, org: OrgId, at: Millis) -> Result<bool, StoreError> {
        let began = Instant::now();
        let cut = self.app.store().cut_events(org, at, CUTS).await?;
        self.done.events += cut;
        rest(began, cut > 0).await;

        let began = Instant::now();
        let detections = self.app.store().delete_detections(org, at).await?;
        self.done.detections += detections.detections;
        self.done.undecided += detections.undecided;
        rest(began, detections.runs > 0).await;

        let began = Instant::now();
        let runs = self.app.store().delete_runs(org, at).await?;
        let sum = &mut self.done.runs;
        sum.runs += runs.runs;
        sum.destinations += runs.destinations;
        sum.jobs += runs.jobs;
        sum.agents += runs.agents;
        let any = runs.more || runs.runs > 0;
        rest(began, any).await;
        Ok(cut > 0 || detections.runs > 0 || any)
    }

    /// Deletes objects of some runs. Whether there were any, and they could be.
    async fn objects(&mut self, org: OrgId, at: Millis) -> Result<bool, StoreError> {
        let mut any = false;
        let known = self.app.store().runs_to_clear(org, RUNS).await?;
        for (run, _) in self.some_of(known) {
            if self.failures < FAILURES_MAX {
                let cleared = self.clear(run).await;
                any |= self.noted(run, cleared)?;
            }
        }
        let quiet = self.app.store().runs_to_sweep(org, at, RUNS).await?;
        for (run, name) in self.some_of(quiet) {
            if self.failures < FAILURES_MAX {
                let swept = self.sweep(org, run, &name).await;
                any |= self.noted(run, swept)?;
            }
        }
        Ok(any)
    }

    fn some_of(&self, mut runs: Vec<(i64, String)>) -> Vec<(i64, String)> {
        runs.retain(|(run, _)| !self.resting.contains_key(run));
        runs.sort_by_cached_key(|(run, _)| self.order.hash_one(run));
        runs.truncate(RUNS_A_ROUND);
        runs
    }

    /// Deletes the objects that the batches of a run lead to.
    async fn clear(&mut self, run: i64) -> Result<(), Failed> {
        loop {
            let batches = self.app.store().batches_to_clear(run, OBJECTS).await?;
            let objects = batches.iter().map(|batch| batch.object.clone()).collect();
            self.app.objects().delete_all(objects).await?;
            self.done.objects += u64::try_from(batches.len()).unwrap_or(0);
            let began = Instant::now();
            let more = self.app.store().cleared(run, &batches).await?;
            rest(began, true).await;
            if !more {
                return Ok(());
            }
        }
    }

    /// Deletes what is left in the folder of a run. That it is empty is only noted once it was found so: what was deleted
    /// a moment ago may be there again when the machine breaks off.
    async fn sweep(&mut self, org: OrgId, run: i64, name: &str) -> Result<(), Failed> {
        let most = usize::try_from(OBJECTS).unwrap_or(usize::MAX);
        let folder = object_folder(org, name);
        let strays = self.app.objects().sweep(&folder, most).await?;
        if strays == 0 {
            self.app.store().swept(run).await?;
        }
        self.done.strays += u64::try_from(strays).unwrap_or(0);
        Ok(())
    }

    /// Whether it worked. Objects that can't be deleted now are for later, and everything else goes on.
    fn noted(&mut self, run: i64, outcome: Result<(), Failed>) -> Result<bool, StoreError> {
        match outcome {
            Ok(()) => Ok(true),
            Err(Failed::Store(error)) => Err(error),
            Err(Failed::Objects(error)) => {
                tracing::warn!(run, %error, "the events of a run could not be deleted now");
                self.failures += 1;
                if self.resting.len() < RESTING_MAX {
                    self.resting
                        .insert(run, Instant::now() + REST_AFTER_FAILURE);
                }
                Ok(false)
            }
        }
    }

    /// Says what was deleted since it was said last.
    fn tell(&mut self) {
        let done = std::mem::take(&mut self.done);
        if done == Done::default() {
            return;
        }
        tracing::info!(
            runs_without_events = done.events,
            objects = done.objects,
            stray_objects = done.strays,
            detections = done.detections,
            undecided = done.undecided,
            runs = done.runs.runs,
            destinations = done.runs.destinations,
            jobs = done.runs.jobs,
            machines = done.runs.agents,
            "deleted what is kept no longer"
        );
    }
}

enum Failed {
    Store(StoreError),
    Objects(ObjectError),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Store(error)
    }
}

impl From<ObjectError> for Failed {
    fn from(error: ObjectError) -> Failed {
        Failed::Objects(error)
    }
}

/// Leaves the database to others after a step that changed something.
async fn rest(began: Instant, changed: bool) {
    if changed {
        sleep(began.elapsed() * REST).await;
    }
}
