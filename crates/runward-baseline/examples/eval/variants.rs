//! The same lists with other answers to what they don't tell: what the numbers would be if the assumptions were wrong.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use runward_baseline::Settings;
use serde_json::{Map, Value};

use crate::assumptions::Assumptions;
use crate::corpus::Listed;
use crate::found::Found;
use crate::measure::play;
use crate::outcome;
use crate::world::World;

/// One answer to everything that the lists don't tell.
struct Variant {
    name: &'static str,
    assumptions: Assumptions,
    seed: u64,
}

/// Plays the lists under the usual assumptions, and beside that under each of the others. None knows of another, so that
/// the number of threads changes nothing.
pub(crate) fn play_all(listed: &[Listed], seed: u64) -> Result<(Found, Value), String> {
    let variants = variants(seed);
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(variant) = variants.get(next.fetch_add(1, Ordering::Relaxed)) {
            let world = World::of(listed, &variant.assumptions, variant.seed);
            let found = play(&world, &Settings::default(), variant.seed);
            done.push((variant.name, found));
        }
        done
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let all: Vec<(&str, Found)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let done = threads.into_iter().map(|thread| thread.join());
        let done: Result<Vec<_>, _> = done.collect();
        done.map(|done| done.into_iter().flatten().collect())
    })
    .map_err(|_| "a thread of the evaluation has panicked; see above".to_owned())?;
    let mut usual = None;
    let mut others = Map::new();
    for (name, found) in all {
        if name == USUAL {
            usual = Some(found);
        } else {
            others.insert(name.to_owned(), outcome::short(&found));
        }
    }
    let usual = usual.ok_or("nothing was played")?;
    Ok((usual, Value::Object(others)))
}

const USUAL: &str = "as usual";

fn variants(seed: u64) -> Vec<Variant> {
    let usual = Assumptions::default();
    let with = |name, change: fn(&mut Assumptions)| {
        let mut assumptions = usual.clone();
        change(&mut assumptions);
        Variant {
            name,
            assumptions,
            seed,
        }
    };
    let mut variants = vec![
        with(USUAL, |_| {}),
        with("half as many endpoints that are called seldom", |a| {
            a.seldom /= 2.0;
        }),
        with("twice as many endpoints that are called seldom", |a| {
            a.always -= a.seldom;
            a.seldom *= 2.0;
        }),
        with("no machines of GitHub", |a| a.hosted = 0.0),
        with("programs change three times as often", |a| {
            a.days_of_lineage /= 3.0;
        }),
        with("all repositories are of one organisation", |a| {
            a.one_organisation = true;
        }),
        with("the same, by other chance", |_| {}),
    ];
    if let Some(last) = variants.last_mut() {
        last.seed = seed + 1;
    }
    variants
}
