//! What a run costs, and what a job's state takes.

use std::time::{Duration, Instant};

use runward_baseline::{
    Baseline, Call, Lineage, RunFacts, RunSummary, Settings, Surroundings, Trust,
};
use runward_event::Time;
use serde_json::{Value, json};

use crate::job::call;

/// Calls of the run that is measured.
const CALLS: usize = 1_000;

/// Runs of the short and of the long history.
const HISTORIES: [u64; 2] = [100, 100_000];

/// How often each is measured, in turns; the fastest counts.
const ROUNDS: usize = 41;

/// Judges and learns a run of 1,000 calls against a short and a long history, and a year of a job.
pub(crate) fn measure() -> Value {
    let settings = Settings::default();
    let jobs = HISTORIES.map(|runs| history(runs, &settings));
    let around = Surroundings::default();
    let mut times: [Vec<Duration>; 2] = Default::default();
    for round in 0..ROUNDS as u64 {
        for ((job, runs), times) in jobs.iter().zip(HISTORIES).zip(&mut times) {
            let run = large(runs + 1 + round);
            let mut job = job.clone();
            let begun = Instant::now();
            job.judge(&run, &around, &settings);
            job.learn(&run, &around, &settings);
            times.push(begun.elapsed());
        }
    }
    // What else the machine does can only add.
    let fastest = |times: Vec<Duration>| times.into_iter().min().unwrap_or_default();
    let [short, long] = times.map(|times| fastest(times).as_secs_f64());
    let begun = Instant::now();
    history(20_000, &settings);
    let for_each = begun.elapsed().as_secs_f64() / 20_000.0;
    let [small, large] = [&jobs[0], &jobs[1]].map(|job| job.encode().len());
    json!({
        "calls": CALLS,
        "milliseconds_after_100_runs": 1e3 * short,
        "milliseconds_after_100000_runs": 1e3 * long,
        "ratio": long / short,
        "bytes_after_100_runs": small,
        "bytes_after_100000_runs": large,
        "microseconds_for_an_ordinary_run": 1e6 * for_each,
        "minutes_for_a_year_of_1000_jobs_with_10_runs_a_day": for_each * 3_650_000.0 / 60.0,
    })
}

/// A job of twelve destinations, some of which take turns, and something new now and then.
fn history(runs: u64, settings: &Settings) -> Baseline {
    let mut job = Baseline::default();
    let around = Surroundings::default();
    for number in 0..runs {
        let mut hosts: Vec<String> = (0..11)
            .map(|host| format!("host{host}.vendor{}.example", host / 3))
            .collect();
        hosts.push(format!("shard{}.store.vendor.example", number % 40));
        if number % 400 == 399 {
            hosts.push(format!("news{number}.stranger{number}.example"));
        }
        let run = run(
            number,
            hosts.iter().map(|host| made(host, (number as usize) % 3)),
        );
        job.learn(&run, &around, settings);
    }
    job
}

/// A thousand calls: a hundred destinations, by ten programs each, most of them new to the job.
fn large(number: u64) -> RunSummary {
    let calls = (0..CALLS).map(|at| {
        made(
            &format!("host{}.vendor{}.example", at % 100, at % 33),
            at / 100,
        )
    });
    run(number, calls)
}

fn made(host: &str, program: usize) -> Call {
    let lineage = Lineage {
        executable: format!("/usr/bin/tool-{}", char::from(b'a' + (program % 26) as u8)),
        step: Some("build".to_owned()),
        dependency: None,
    };
    call(host, 443, &lineage, 10_000, Time::default())
}

fn run(number: u64, calls: impl Iterator<Item = Call>) -> RunSummary {
    let at = Time::from_unix_nanos((1_767_225_600 + number * 600) * 1_000_000_000);
    RunSummary {
        facts: RunFacts {
            id: number.to_string(),
            started: at,
            received: at,
            commit: Some(number.to_string()),
            trust: Trust::Protected,
            ..RunFacts::default()
        },
        calls: calls.collect(),
        ..RunSummary::default()
    }
}
