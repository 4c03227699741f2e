//! Plays all runs in the order of their time, under every rule, with attacks beside.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use runward_baseline::{Scope, Settings};

use crate::found::Found;
use crate::methods::Around;
use crate::player::Player;
use crate::promise::Promise;
use crate::world::World;

const MILLISECONDS_OF_DAY: f64 = 86_400e3;

/// What is known around the jobs.
#[derive(Default)]
struct Scopes {
    projects: BTreeMap<usize, Scope>,
    organisations: BTreeMap<usize, Scope>,
}

/// Runs still to come, by time, job and number.
type Queue = BinaryHeap<Reverse<(u64, usize, usize)>>;

pub(crate) fn play(world: &World, settings: &Settings, salt: u64) -> Found {
    let split = split(world);
    let mut found = Found {
        jobs: world.jobs.len(),
        ..Found::default()
    };
    let mut scopes = Scopes::default();
    let jobs = world.jobs.iter().enumerate();
    let mut players: Vec<Player<'_>> = jobs
        .map(|(at, job)| Player::new(at, job, split, salt, settings))
        .collect();
    let mut queue = Queue::new();
    for at in 0..players.len() {
        come(&mut queue, world, at, 0);
    }
    while let Some(Reverse((_, at, number))) = queue.pop() {
        come(&mut queue, world, at, number + 1);
        turn(&mut found, &mut scopes, &mut players[at], number, split);
    }
    for player in &mut players {
        end(&mut found, &scopes, player);
    }
    found.repositories = scopes.projects.len();
    found
}

fn come(queue: &mut Queue, world: &World, at: usize, number: usize) {
    if let Some(day) = world.jobs[at].times.get(number) {
        queue.push(Reverse(((day * MILLISECONDS_OF_DAY) as u64, at, number)));
    }
}

/// One run of one job.
fn turn(
    found: &mut Found,
    scopes: &mut Scopes,
    player: &mut Player<'_>,
    number: usize,
    split: f64,
) {
    let job = player.job;
    let day = job.times[number];
    let project = scopes.projects.entry(job.repository).or_default();
    let organisation = scopes.organisations.entry(job.organisation).or_default();
    let around = Around {
        project,
        organisation,
    };
    let learned_enough = player.has_learned(number);
    let counts = learned_enough && day >= split;
    if counts {
        player.attacked(number, &around, found);
        player.make_promise(&around, found);
    }
    let played = player.play(number, &around);
    player.hold_promise(&played);
    player.count_before(day, learned_enough && day < split, &played);
    found.all_runs += 1;
    if counts {
        for (tally, told) in found.tallies.iter_mut().zip(&played.told) {
            tally.add(job.repository, told.len() as u64);
        }
        for subject in &played.told[0] {
            let cause = format!("(a) {}", job.cause(subject, day));
            *found.reasons.entry(cause).or_default() += 1;
        }
        found.note(&played.learned.judgement);
    }
    let at = played.run.facts.received;
    project.apply(&played.learned.delta, at);
    organisation.apply(&played.learned.delta, at);
}

/// After the last run of all.
fn end(found: &mut Found, scopes: &Scopes, player: &mut Player<'_>) {
    let job = player.job;
    let (Some(project), Some(organisation)) = (
        scopes.projects.get(&job.repository),
        scopes.organisations.get(&job.organisation),
    ) else {
        return;
    };
    let around = Around {
        project,
        organisation,
    };
    *found.states.entry(player.state(&around)).or_default() += 1;
    found.bytes.push(player.ours.baseline.encode().len());
    let promise = player.promise.take();
    found.promises.extend(promise.filter(Promise::is_told));
    found.before.push(player.before);
}

/// The day that half of all runs lie before.
fn split(world: &World) -> f64 {
    let jobs = world.jobs.iter();
    let mut days: Vec<f64> = jobs.flat_map(|job| job.times.iter().copied()).collect();
    days.sort_by(f64::total_cmp);
    days.get(days.len() / 2).copied().unwrap_or_default()
}
