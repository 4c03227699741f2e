use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use runward_store::{Connections, Load};
use sqlx::AnyPool;

use crate::{READERS, SqlStore, failures};

/// Changes that were begun, and how long they waited for that.
#[derive(Debug, Default)]
pub(crate) struct Waits {
    changes: AtomicU64,
    nanos: AtomicU64,
}

impl Waits {
    pub(crate) fn count(&self, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.changes.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }
}

impl SqlStore {
    pub(crate) fn measure(&self) -> Load {
        Load {
            readers: connections(&self.read, READERS),
            writers: connections(&self.write, self.writers()),
            failures: failures(),
            changes: self.waits.changes.load(Ordering::Relaxed),
            waited: Duration::from_nanos(self.waits.nanos.load(Ordering::Relaxed)),
        }
    }
}

fn connections(pool: &AnyPool, most: u32) -> Connections {
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    Connections {
        // The two are not counted at the same moment.
        used: pool.size().saturating_sub(idle),
        idle,
        most,
    }
}
