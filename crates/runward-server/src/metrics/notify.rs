//! Messages that are sent to people.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use runward_store::Settled;

use super::{Counters, counters, histogram};

/// What is counted of them.
#[derive(Clone, Debug)]
pub(crate) struct NotifyMetrics {
    attempts: Counters<1>,
    seconds: Histogram,
}

impl Default for NotifyMetrics {
    fn default() -> NotifyMetrics {
        NotifyMetrics {
            attempts: counters("outcome", &["delivered", "later", "given-up"]),
            seconds: histogram(),
        }
    }
}

impl NotifyMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "notifications_attempts",
            "Attempts to deliver a message to a channel, by outcome",
            self.attempts.clone(),
        );
        registry.register_with_unit(
            "notifications_attempt_duration",
            "How long these took",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }

    /// Counts an attempt by what becomes of its message.
    pub(crate) fn attempted(&self, settled: &Settled, took: Duration) {
        let outcome = match settled {
            Settled::Delivered => "delivered",
            Settled::Later { .. } => "later",
            Settled::Dead { .. } => "given-up",
        };
        self.attempts.get_or_create(&[("outcome", outcome)]).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}
