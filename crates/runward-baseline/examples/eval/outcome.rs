//! What was found, for programs and for people.

use serde_json::{Map, Value, json};

use crate::attack::{KINDS, Kind};
use crate::found::{Before, Found, METHODS, OURS, Tally};
use crate::promise::Promise;

/// What each rule is called in the table.
const WORDS: [&str; 4] = [
    "(a) exact set after 100 runs",
    "(b) registered domain",
    "(c) seen in the last 30 days",
    "(d) Runward",
];

/// The promises made first to each job: jobs that run often would count more otherwise.
pub(crate) fn first(promises: &[Promise]) -> Vec<&Promise> {
    promises.iter().filter(|promise| promise.first).collect()
}

pub(crate) fn share(of: &[&Promise], holds: fn(&Promise) -> bool) -> Option<f64> {
    let kept = of.iter().filter(|promise| holds(promise)).count();
    (!of.is_empty()).then(|| kept as f64 / of.len() as f64)
}

pub(crate) fn summary(found: &Found) -> Value {
    let [exact, .., ours] = &found.tallies;
    let mut methods: Map<String, Value> = METHODS
        .iter()
        .zip(WORDS)
        .zip(&found.tallies)
        .map(|((id, words), tally)| ((*id).to_owned(), of_method(words, tally)))
        .collect();
    let inside = share(&first(&found.promises), Promise::is_kept);
    methods[METHODS[OURS]]["share_of_jobs_inside_promised_bounds"] = json!(inside);
    json!({
        "jobs": found.jobs,
        "repositories": found.repositories,
        "runs": found.all_runs,
        "benign_runs_compared": exact.runs,
        "methods": methods,
        "times_fewer_alerts_than_exact": {
            "all_runs": exact.alerts_per_1000() / ours.alerts_per_1000(),
            "by_repository":
                exact.alerts_per_1000_by_repository() / ours.alerts_per_1000_by_repository(),
            "alerting_runs": exact.alerting_per_1000() / ours.alerting_per_1000(),
        },
        "where_ours_is_worse": worse(found),
        "calibration": calibration(&found.promises),
        "states_at_the_end": found.states,
        "bytes_of_state": bytes(&found.bytes),
        "figures_of_the_prior": figures(found),
    })
}

fn of_method(words: &str, tally: &Tally) -> Value {
    let by_kind = |of: &dyn Fn(Kind) -> Option<f64>| -> Map<String, Value> {
        let kinds = KINDS.iter();
        kinds
            .map(|kind| (kind.id().to_owned(), json!(of(*kind))))
            .collect()
    };
    json!({
        "name": words,
        "alerts_per_1000_benign_runs": tally.alerts_per_1000(),
        "alerts_per_1000_benign_runs_by_repository": tally.alerts_per_1000_by_repository(),
        "alerting_runs_per_1000_benign_runs": tally.alerting_per_1000(),
        "recall": by_kind(&|kind| tally.recall(kind)),
        "runs_until_alert": by_kind(&|kind| tally.runs_until(kind)),
        "attacks": by_kind(&|kind| tally.attacks.get(&kind).map(|caught| caught.attacks as f64)),
        "slow_poisoning_still_not_normal_after_20_runs": tally.still_new(),
        // Only this crate promises anything.
        "share_of_jobs_inside_promised_bounds": Value::Null,
    })
}

/// Each kind of attack that a simpler rule tells of more often.
fn worse(found: &Found) -> Vec<Value> {
    let ours = &found.tallies[OURS];
    let mut worse = Vec::new();
    for (words, tally) in WORDS.iter().zip(&found.tallies).take(OURS) {
        if tally.alerts_per_1000() < ours.alerts_per_1000() {
            worse.push(json!({
                "rule": words,
                "what": "alerts per 1,000 benign runs",
                "theirs": tally.alerts_per_1000(),
                "ours": ours.alerts_per_1000(),
            }));
        }
        for kind in KINDS {
            if let (Some(theirs), Some(recall)) = (tally.recall(kind), ours.recall(kind))
                && theirs > recall
            {
                let what = format!("recall: {}", kind.words());
                worse.push(json!({"rule": words, "what": what, "theirs": theirs, "ours": recall}));
            }
        }
    }
    worse
}

fn calibration(promises: &[Promise]) -> Value {
    let jobs = first(promises);
    let all: Vec<&Promise> = promises.iter().collect();
    let sum = |of: fn(&Promise) -> f64| jobs.iter().map(|promise| of(promise)).sum::<f64>();
    let runs = sum(|promise| f64::from(promise.runs));
    let promised = sum(|promise| promise.rate.mean * f64::from(promise.runs));
    let actual = sum(|promise| f64::from(promise.alerts));
    json!({
        "promise": "of 100 jobs, 90 have as many runs with alerts among their next 200 (at least 50) as lie between the 5th \
                    and the 95th part of what was predicted",
        "jobs": jobs.len(),
        "inside": share(&jobs, Promise::is_kept),
        "above": share(&jobs, |promise| promise.alerts > promise.expected().high),
        "below": share(&jobs, |promise| promise.alerts < promise.expected().low),
        "windows": all.len(),
        "inside_all_windows": share(&all, Promise::is_kept),
        "bare_quotient_between_the_bounds_of_the_rate": share(&all, Promise::is_quotient_inside),
        "stable_jobs_within_budget": within_budget(&jobs),
        "promised_alerts_per_1000_runs": 1_000.0 * promised / runs,
        "actual_alerts_per_1000_runs": 1_000.0 * actual / runs,
    })
}

/// Of jobs that were called stable, those whose alerts stayed within the budget of one in 200.
fn within_budget(jobs: &[&Promise]) -> Option<f64> {
    let stable: Vec<&Promise> = jobs
        .iter()
        .copied()
        .filter(|promise| promise.stable)
        .collect();
    share(&stable, |promise| {
        promise.alerts <= promise.runs.div_ceil(200)
    })
}

fn bytes(bytes: &[usize]) -> Value {
    let mut sorted = bytes.to_vec();
    sorted.sort_unstable();
    let part =
        |of: usize| sorted.get((sorted.len() * of / 100).min(sorted.len().saturating_sub(1)));
    json!({"median": part(50), "p90": part(90), "max": sorted.last()})
}

/// What the figures of `novelty.rs` should be, from the half of the time before the comparison: alerts, and any news, for
/// each run and for each day between runs, by weighted least squares.
fn figures(found: &Found) -> Value {
    let fit = |seen: fn(&Before) -> f64| {
        let (mut rr, mut rd, mut dd, mut rs, mut ds) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for before in found.before.iter().filter(|before| before.runs > 0.0) {
            let weight = 1.0 / before.runs;
            rr += weight * before.runs * before.runs;
            rd += weight * before.runs * before.days;
            dd += weight * before.days * before.days;
            rs += weight * before.runs * seen(before);
            ds += weight * before.days * seen(before);
        }
        let determinant = rr * dd - rd * rd;
        let (run, day) = (
            (rs * dd - ds * rd) / determinant,
            (rr * ds - rd * rs) / determinant,
        );
        // A rate below nothing means that all of it goes with the other.
        match (run < 0.0, day < 0.0) {
            (true, _) => (0.0, ds / dd),
            (_, true) => (rs / rr, 0.0),
            _ => (run, day),
        }
    };
    let (alerts, news) = (fit(|before| before.alerts), fit(|before| before.news));
    json!({
        "alerts_per_run_and_day": [alerts.0, alerts.1],
        "news_per_run_and_day": [news.0, news.1],
    })
}

/// The table of the README.
pub(crate) fn table(found: &Found) -> String {
    let percent = |part: Option<f64>| match part {
        Some(part) => format!(" {:.1} % |", 100.0 * part),
        None => " – |".to_owned(),
    };
    let mut text = String::from("| rule | alerts per 1,000 benign runs |");
    for kind in KINDS {
        text.push_str(&format!(" {} |", kind.words()));
    }
    text.push_str(" runs until that is told | not normal after it |\n|---|---|---|---|");
    text.push_str(&"---|".repeat(KINDS.len()));
    text.push('\n');
    for (words, tally) in WORDS.iter().zip(&found.tallies) {
        text.push_str(&format!("| {words} | {:.2} |", tally.alerts_per_1000()));
        for kind in KINDS {
            text.push_str(&percent(tally.recall(kind)));
        }
        // The run of the alert counts, too.
        text.push_str(&match tally.runs_until(Kind::SlowPoisoning) {
            Some(runs) => format!(" {:.2} |", 1.0 + runs),
            None => " – |".to_owned(),
        });
        text.push_str(&percent(tally.still_new()));
        text.push('\n');
    }
    text
}

/// The few numbers that a variant is judged by.
pub(crate) fn short(found: &Found) -> Value {
    let [exact, .., ours] = &found.tallies;
    let jobs = first(&found.promises);
    json!({
        "alerts_per_1000_exact": exact.alerts_per_1000(),
        "alerts_per_1000_ours": ours.alerts_per_1000(),
        "times_fewer": exact.alerts_per_1000() / ours.alerts_per_1000(),
        "inside_promised_bounds": share(&jobs, Promise::is_kept),
    })
}
