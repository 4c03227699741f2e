//! Looks through the records of runs on behalf of a policy, within bounds.

use runward_policy::Matcher;
use runward_store::{OrgId, PageRequest, PolicyAttachment, PolicyScope, Run, RunFilter, in_effect};
use tokio::sync::Semaphore;

use crate::app::App;
use crate::problem::Problem;
use crate::what_if::{Observed, Trial, Tried};

/// Runs that are looked through at once.
pub(crate) const RUNS_MAX: u32 = 50;
/// Events of all of them together: what can be read well within the time that a request has.
const EVENTS_MAX: i64 = 1_000_000;
/// Of each place where a policy is attached, so many of the newest runs are looked at, of which it may be in effect in a few.
const CANDIDATES: u32 = 200;
/// Places where a policy is attached that are looked at.
const PLACES: usize = 20;

/// Each takes as much time as the bounds above allow, so only so many go on at a time; others wait for their turn.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Which runs are looked through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Those of a scope.
    Scope(PolicyScope),
    /// Those of the jobs for which this policy is in effect.
    Policy(i64),
}

/// What a policy would have stopped in the newest runs.
pub(crate) async fn attempt(
    app: &App,
    org: OrgId,
    matcher: Matcher,
    whose: &Whose,
    most: u32,
) -> Result<Tried, Problem> {
    let _turn = TURNS.acquire().await;
    let (runs, omitted) = affordable(newest(app, org, whose, most).await?);
    let mut trial = Trial::new(matcher);
    for run in runs {
        let report = app.report(&run).await?;
        trial = off_thread(move || {
            trial.add(run, &report);
            trial
        })
        .await?;
    }
    Ok(Tried {
        omitted,
        ..trial.finish()
    })
}

/// The policy that lets the newest of some runs do what they did, and of how many it was made.
pub(crate) async fn suggested(
    app: &App,
    org: OrgId,
    filter: RunFilter,
    most: u32,
) -> Result<(String, usize), Problem> {
    let _turn = TURNS.acquire().await;
    let page = PageRequest {
        after: None,
        limit: most.clamp(1, RUNS_MAX),
    };
    let filter = RunFilter {
        recorded: true,
        ..filter
    };
    let runs = app.store().runs(org, &filter, page).await?.rows;
    let (runs, _) = affordable(runs);
    let count = runs.len();
    let mut observed = Observed::default();
    for run in runs {
        observed.add(&*app.report(&run).await?);
    }
    let text = off_thread(move || observed.suggested()).await?;
    Ok((text, count))
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::unavailable("the record could not be looked through"))
}

/// The newest runs, as long as they are not too much together; how many are left out.
fn affordable(runs: Vec<Run>) -> (Vec<Run>, u64) {
    let all = runs.len();
    let mut events = 0i64;
    let kept: Vec<Run> = runs
        .into_iter()
        .take_while(|run| {
            events = events.saturating_add(run.events);
            events <= EVENTS_MAX
        })
        .collect();
    let omitted = u64::try_from(all - kept.len()).unwrap_or(u64::MAX);
    (kept, omitted)
}

async fn newest(app: &App, org: OrgId, whose: &Whose, most: u32) -> Result<Vec<Run>, Problem> {
    let most = most.clamp(1, RUNS_MAX);
    let policy = match whose {
        Whose::Scope(scope) => return of_scope(app, org, scope, most).await,
        Whose::Policy(policy) => *policy,
    };
    let all = app.store().policy_attachments(org, None).await?;
    let mut runs = Vec::new();
    for own in all.iter().filter(|own| own.policy == policy).take(PLACES) {
        let found = of_scope(app, org, &own.scope, CANDIDATES).await?;
        runs.extend(found.into_iter().filter(|run| holds(&all, policy, run)));
    }
    runs.sort_by_key(|run| std::cmp::Reverse((run.started_at, run.number)));
    runs.dedup_by_key(|run| run.number);
    runs.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    Ok(runs)
}

/// Whether a policy is in effect for a run's job.
fn holds(attachments: &[PolicyAttachment], policy: i64, run: &Run) -> bool {
    let job = PolicyScope::Job(run.project, run.pipeline.clone(), run.job.clone());
    in_effect(attachments, &job).is_some_and(|found| found.policy == policy)
}

async fn of_scope(
    app: &App,
    org: OrgId,
    scope: &PolicyScope,
    limit: u32,
) -> Result<Vec<Run>, Problem> {
    let filter = RunFilter {
        project: scope.project(),
        pipeline: scope.pipeline().map(str::to_owned),
        job: scope.job().map(str::to_owned),
        recorded: true,
        ..RunFilter::default()
    };
    let page = PageRequest { after: None, limit };
    Ok(app.store().runs(org, &filter, page).await?.rows)
}
