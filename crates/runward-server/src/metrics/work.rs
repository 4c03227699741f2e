//! What the worker does.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use runward_store::{Backlog, Millis};

use super::{Counters, counters, histogram};

/// What is counted of it.
#[derive(Clone, Debug)]
pub(crate) struct WorkMetrics {
    turns: Histogram,
    failures: Counters<1>,
    digests: Counters<1>,
    digest_seconds: Histogram,
    waiting: Gauge,
    oldest: Gauge<f64, AtomicU64>,
    last_turn: Gauge<f64, AtomicU64>,
}

/// What became of a run's digest.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Done,
    Failed,
    TookTooLong,
}

impl Default for WorkMetrics {
    fn default() -> WorkMetrics {
        WorkMetrics {
            turns: histogram(),
            failures: counters("part", &["turn", "tending"]),
            digests: counters("outcome", &["ok", "failed", "too-long"]),
            digest_seconds: histogram(),
            waiting: Gauge::default(),
            oldest: Gauge::default(),
            last_turn: Gauge::default(),
        }
    }
}

impl WorkMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "worker_turn_duration",
            "How long turns of work took",
            Unit::Seconds,
            self.turns.clone(),
        );
        registry.register_with_unit(
            "worker_last_turn_timestamp",
            "When the last turn of work ended well",
            Unit::Seconds,
            self.last_turn.clone(),
        );
        registry.register(
            "worker_failures",
            "Turns of work that failed, or their part that tends silent runs and rules",
            self.failures.clone(),
        );
        registry.register(
            "worker_digests",
            "Runs that were digested, by outcome",
            self.digests.clone(),
        );
        registry.register_with_unit(
            "worker_digest_duration",
            "How long digesting a run took",
            Unit::Seconds,
            self.digest_seconds.clone(),
        );
        registry.register(
            "runs_waiting",
            "Runs with events that are in no digest yet, of all servers, when the last turn began",
            self.waiting.clone(),
        );
        registry.register_with_unit(
            "runs_waiting_oldest_age",
            "How long ago the longest waiting of them was heard of",
            Unit::Seconds,
            self.oldest.clone(),
        );
    }

    /// Notes what there is to do when a turn begins.
    pub(crate) fn found(&self, backlog: &Backlog, now: Millis) {
        self.waiting.set(backlog.runs);
        let oldest = backlog.oldest_seen_at.map_or(0, |at| (now - at).max(0));
        self.oldest.set(seconds(oldest));
    }

    /// Counts a turn that ended well.
    pub(crate) fn turned(&self, took: Duration, now: Millis) {
        self.turns.observe(took.as_secs_f64());
        self.last_turn.set(seconds(now));
    }

    /// Counts a failure of a part of a turn.
    pub(crate) fn failed(&self, part: &'static str) {
        self.failures.get_or_create(&[("part", part)]).inc();
    }

    pub(crate) fn digested(&self, what: Outcome, took: Duration) {
        let outcome = match what {
            Outcome::Done => "ok",
            Outcome::Failed => "failed",
            Outcome::TookTooLong => "too-long",
        };
        self.digests.get_or_create(&[("outcome", outcome)]).inc();
        self.digest_seconds.observe(took.as_secs_f64());
    }
}

fn seconds(millis: Millis) -> f64 {
    // A time in milliseconds has fewer digits than this type keeps.
    millis as f64 / 1000.0
}
