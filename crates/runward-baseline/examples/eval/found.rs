//! Everything that was found, counted.

use std::collections::BTreeMap;

use runward_baseline::{Anomaly, Disposition, Judgement};

use crate::attack::Kind;
use crate::promise::Promise;

/// The rules in the order of the table.
pub(crate) const METHODS: [&str; 4] = ["exact", "domain", "recent", "ours"];

/// Of these, the one that is this crate's.
pub(crate) const OURS: usize = 3;

/// Everything that was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) tallies: [Tally; 4],
    pub(crate) promises: Vec<Promise>,
    pub(crate) before: Vec<Before>,
    pub(crate) states: BTreeMap<&'static str, u64>,
    pub(crate) bytes: Vec<usize>,
    pub(crate) jobs: usize,
    pub(crate) repositories: usize,
    pub(crate) all_runs: u64,
    /// Why the exact set and this crate told of benign runs: how the call came about, and what was said.
    pub(crate) reasons: BTreeMap<String, u64>,
    /// Attacks that this crate did not tell of: kind, what was called, and what it said instead.
    pub(crate) missed: Vec<String>,
}

/// What was found of one rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) runs: u64,
    pub(crate) alerts: u64,
    pub(crate) alerting_runs: u64,
    /// Runs and alerts by repository.
    by_repository: BTreeMap<usize, (u64, u64)>,
    /// By kind of attack.
    pub(crate) attacks: BTreeMap<Kind, Caught>,
    /// Of slow poisonings: in how many the last run was still not normal.
    pub(crate) still_new: u64,
}

/// Attacks, how many were told of, and runs until then.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Caught {
    pub(crate) attacks: u64,
    pub(crate) caught: u64,
    pub(crate) runs_until: u64,
}

/// Runs, days and alerts of one job before the comparison, from which the figures of the prior come.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    pub(crate) runs: f64,
    pub(crate) days: f64,
    pub(crate) alerts: f64,
    pub(crate) news: f64,
}

impl Found {
    /// Notes why this crate told somebody of a benign run.
    pub(crate) fn note(&mut self, judgement: &Judgement) {
        let told = |anomaly: &&Anomaly| anomaly.disposition == Disposition::Alert;
        for anomaly in judgement.anomalies.iter().filter(told) {
            let first = anomaly.explanation.first().map_or("", String::as_str);
            let why = format!("(d) {:?}: {}", anomaly.kind, shape_of(first));
            *self.reasons.entry(why).or_default() += 1;
        }
    }
}

/// A sentence without what is different in each.
fn shape_of(sentence: &str) -> String {
    let words: Vec<&str> = sentence
        .split(' ')
        .filter(|word| !word.contains(['.', '/', ':', '(']) || word.ends_with('.'))
        .collect();
    words.join(" ").chars().take(90).collect()
}

impl Tally {
    pub(crate) fn add(&mut self, repository: usize, alerts: u64) {
        self.runs += 1;
        self.alerts += alerts;
        self.alerting_runs += u64::from(alerts > 0);
        let (runs, sum) = self.by_repository.entry(repository).or_default();
        *runs += 1;
        *sum += alerts;
    }

    pub(crate) fn alerts_per_1000(&self) -> f64 {
        1_000.0 * self.alerts as f64 / self.runs.max(1) as f64
    }

    pub(crate) fn alerting_per_1000(&self) -> f64 {
        1_000.0 * self.alerting_runs as f64 / self.runs.max(1) as f64
    }

    /// The mean over repositories, each as much as another, of those with runs enough.
    pub(crate) fn alerts_per_1000_by_repository(&self) -> f64 {
        let rates: Vec<f64> = self
            .by_repository
            .values()
            .filter(|(runs, _)| *runs >= 100)
            .map(|(runs, alerts)| 1_000.0 * *alerts as f64 / *runs as f64)
            .collect();
        rates.iter().sum::<f64>() / rates.len().max(1) as f64
    }

    pub(crate) fn recall(&self, kind: Kind) -> Option<f64> {
        let caught = self.attacks.get(&kind)?;
        (caught.attacks > 0).then(|| caught.caught as f64 / caught.attacks as f64)
    }

    /// Mean runs from the first run of an attack to the alert, over those that were told of.
    pub(crate) fn runs_until(&self, kind: Kind) -> Option<f64> {
        let caught = self.attacks.get(&kind)?;
        (caught.caught > 0).then(|| caught.runs_until as f64 / caught.caught as f64)
    }

    /// The part of slow poisonings of which the last run was still not normal.
    pub(crate) fn still_new(&self) -> Option<f64> {
        let caught = self.attacks.get(&Kind::SlowPoisoning)?;
        (caught.attacks > 0).then(|| self.still_new as f64 / caught.attacks as f64)
    }
}
