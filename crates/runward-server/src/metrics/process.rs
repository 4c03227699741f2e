//! What the process takes of the machine, looked at when somebody asks. The names are those of every Prometheus client.

use std::fmt;

use procfs::process::{LimitValue, Process as Own};
use procfs::{ProcResult, boot_time_secs, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

#[derive(Debug)]
pub(super) struct Process;

struct Taken {
    cpu_seconds: f64,
    started_at_seconds: f64,
    virtual_bytes: u64,
    resident_bytes: u64,
    threads: u64,
    descriptors: u64,
    descriptors_max: Option<u64>,
}

impl Taken {
    fn now() -> ProcResult<Taken> {
        let own = Own::myself()?;
        let stat = own.stat()?;
        let ticks = |ticks: u64| ticks as f64 / ticks_per_second() as f64;
        Ok(Taken {
            cpu_seconds: ticks(stat.utime + stat.stime),
            started_at_seconds: boot_time_secs()? as f64 + ticks(stat.starttime),
            virtual_bytes: stat.vsize,
            resident_bytes: stat.rss * page_size(),
            threads: u64::try_from(stat.num_threads).unwrap_or(0),
            descriptors: u64::try_from(own.fd_count()?).unwrap_or(u64::MAX),
            descriptors_max: match own.limits()?.max_open_files.soft_limit {
                LimitValue::Value(most) => Some(most),
                LimitValue::Unlimited => None,
            },
        })
    }
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Without `/proc`, nothing is known; all else is told nevertheless.
        let Ok(taken) = Taken::now() else {
            return Ok(());
        };
        let cpu = encoder.encode_descriptor(
            "process_cpu",
            "Time on processors, of the program and of the kernel for it",
            Some(&Unit::Seconds),
            MetricType::Counter,
        )?;
        ConstCounter::new(taken.cpu_seconds).encode(cpu)?;
        let start = encoder.encode_descriptor(
            "process_start_time",
            "When the process began, since 1970",
            Some(&Unit::Seconds),
            MetricType::Gauge,
        )?;
        ConstGauge::new(taken.started_at_seconds).encode(start)?;
        for (name, help, unit, value) in [
            (
                "process_virtual_memory",
                "Addresses in use",
                Some(&Unit::Bytes),
                Some(taken.virtual_bytes),
            ),
            (
                "process_resident_memory",
                "Memory in use",
                Some(&Unit::Bytes),
                Some(taken.resident_bytes),
            ),
            ("process_threads", "Threads", None, Some(taken.threads)),
            (
                "process_open_fds",
                "Open file descriptors",
                None,
                Some(taken.descriptors),
            ),
            (
                "process_max_fds",
                "How many file descriptors may be open",
                None,
                taken.descriptors_max,
            ),
        ] {
            if let Some(value) = value {
                let gauge = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
                ConstGauge::new(value).encode(gauge)?;
            }
        }
        Ok(())
    }
}
