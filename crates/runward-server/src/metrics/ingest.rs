//! Batches of events.

use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use runward_store::{Batch, Received};
use tokio::sync::Semaphore;

use super::{Counters, counters};

/// What is counted of batches.
#[derive(Clone, Debug)]
pub(crate) struct IngestMetrics {
    events: Counter,
    bytes: Counter,
    batches: Counters<1>,
    refused: Counters<1>,
    /// Also among those that were refused.
    pub(crate) turned_away: Counter,
    pub(crate) heartbeats: Counter,
}

impl Default for IngestMetrics {
    fn default() -> IngestMetrics {
        let reasons = REASONS.map(|(_, reason)| reason);
        IngestMetrics {
            events: Counter::default(),
            bytes: Counter::default(),
            batches: counters("outcome", &["accepted", "repeated"]),
            refused: counters("reason", &reasons),
            turned_away: Counter::default(),
            heartbeats: Counter::default(),
        }
    }
}

/// Why a batch is not taken, by the status that its sender gets.
const REASONS: [(StatusCode, &str); 8] = [
    (StatusCode::BAD_REQUEST, "unreadable"),
    (StatusCode::FORBIDDEN, "identity"),
    (StatusCode::NOT_FOUND, "unknown-run"),
    (StatusCode::REQUEST_TIMEOUT, "too-slow"),
    (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
    (StatusCode::UNPROCESSABLE_ENTITY, "unfit"),
    (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    (StatusCode::INTERNAL_SERVER_ERROR, "other"),
];

impl IngestMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "ingest_events",
            "Events of batches that were kept",
            self.events.clone(),
        );
        registry.register_with_unit(
            "ingest",
            "Batches that were kept, packed as they came",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "ingest_batches",
            "Batches that were acknowledged: kept now, or known before",
            self.batches.clone(),
        );
        registry.register(
            "ingest_refused_batches",
            "Batches of known senders that were not acknowledged, by reason",
            self.refused.clone(),
        );
        registry.register(
            "ingest_turned_away_batches",
            "Batches for which there was no room in time; counted as unavailable, too",
            self.turned_away.clone(),
        );
        registry.register(
            "ingest_heartbeats",
            "Heartbeats of quiet jobs",
            self.heartbeats.clone(),
        );
    }

    pub(crate) fn took(&self, batch: &Batch, received: &Received) {
        let outcome = if received.repeated {
            "repeated"
        } else {
            let events = u64::try_from(batch.last - batch.first + 1).unwrap_or(0);
            self.events.inc_by(events);
            self.bytes.inc_by(u64::try_from(batch.bytes).unwrap_or(0));
            "accepted"
        };
        self.batches.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(crate) fn refused(&self, status: StatusCode) {
        let reason = REASONS.iter().find(|(known, _)| *known == status);
        let reason = reason.map_or("other", |(_, reason)| reason);
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }
}

/// The room for batches under way, looked at when somebody asks.
pub(crate) struct Room {
    pub(crate) free: Arc<Semaphore>,
    pub(crate) units: usize,
    pub(crate) unit_bytes: usize,
}

impl fmt::Debug for Room {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Room")
    }
}

impl Collector for Room {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let used = self.units.saturating_sub(self.free.available_permits());
        for (name, help, units) in [
            ("ingest_room_used", "Room that batches under way take", used),
            ("ingest_room", "Room for batches under way", self.units),
        ] {
            let bytes = u64::try_from(units * self.unit_bytes).unwrap_or(u64::MAX);
            let gauge =
                encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(gauge)?;
        }
        Ok(())
    }
}
