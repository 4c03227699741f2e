//! How busy the database is, looked at when somebody asks.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use runward_store::Store;

pub(super) struct Database(pub(super) Arc<dyn Store>);

impl fmt::Debug for Database {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Database")
    }
}

impl Collector for Database {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let load = self.0.load();
        let pools = [("read", load.readers), ("write", load.writers)];
        let mut connections = encoder.encode_descriptor(
            "database_connections",
            "Connections to the database by what they are for, and whether they are in use",
            None,
            MetricType::Gauge,
        )?;
        for (pool, of) in pools {
            for (state, count) in [("used", of.used), ("idle", of.idle)] {
                let labels = [("pool", pool), ("state", state)];
                ConstGauge::new(count).encode(connections.encode_family(&labels)?)?;
            }
        }
        let mut most = encoder.encode_descriptor(
            "database_connections_limit",
            "How many connections there may be",
            None,
            MetricType::Gauge,
        )?;
        for (pool, of) in pools {
            ConstGauge::new(of.most).encode(most.encode_family(&[("pool", pool)])?)?;
        }
        let failures = encoder.encode_descriptor(
            "database_failures",
            "Statements and connections that the database failed",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(load.failures).encode(failures)?;
        let changes = encoder.encode_descriptor(
            "database_changes",
            "Changes of several statements that were begun",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(load.changes).encode(changes)?;
        let waited = encoder.encode_descriptor(
            "database_change_wait",
            "How long they waited for their turn to write, all together",
            Some(&Unit::Seconds),
            MetricType::Counter,
        )?;
        ConstCounter::new(load.waited.as_secs_f64()).encode(waited)
    }
}
