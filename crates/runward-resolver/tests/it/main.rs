//! The resolver between real clients and the lab's DNS server.

#![expect(
    clippy::unwrap_used,
    reason = "a helper's failure is the test's failure"
)]

mod answers;
mod bounds;
mod fence;
mod programs;
mod upstreams;

use std::time::Duration;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
