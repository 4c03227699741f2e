//! Operations of the object store.

use std::time::Instant;

use prometheus_client::metrics::family::Family;
use prometheus_client::registry::{Registry, Unit};

use super::{Counters, Histograms, histogram};
use crate::objects::ObjectError;

/// What is counted of them.
#[derive(Clone, Debug)]
pub(crate) struct ObjectMetrics {
    operations: Counters<2>,
    seconds: Histograms<1>,
}

impl Default for ObjectMetrics {
    fn default() -> ObjectMetrics {
        ObjectMetrics {
            operations: Counters::default(),
            seconds: Family::new_with_constructor(histogram),
        }
    }
}

impl ObjectMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "object_operations",
            "What the object store was asked for, by operation and outcome",
            self.operations.clone(),
        );
        registry.register_with_unit(
            "object_operation_duration",
            "How long that took, attempts that were repeated included",
            Unit::Seconds,
            self.seconds.clone(),
        );
    }

    /// Counts an operation that this future does.
    pub(crate) async fn count<T>(
        &self,
        operation: &'static str,
        done: impl Future<Output = Result<T, ObjectError>>,
    ) -> Result<T, ObjectError> {
        let began = Instant::now();
        let done = done.await;
        let seconds = began.elapsed().as_secs_f64();
        let operation = ("operation", operation);
        self.seconds.get_or_create(&[operation]).observe(seconds);
        let outcome = match &done {
            Ok(_) => "ok",
            Err(ObjectError::Missing(_)) => "missing",
            Err(ObjectError::Unavailable(_)) => "failed",
        };
        let labels = [operation, ("outcome", outcome)];
        self.operations.get_or_create(&labels).inc();
        done
    }
}
