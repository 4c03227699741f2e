//! The lab's own tests: each server answers a real client, each actor does what it says, and nothing is left behind.

#![expect(
    clippy::unwrap_used,
    reason = "a helper's failure is the test's failure"
)]

mod dns;
mod files;
mod http;
mod net;
mod netns;
mod procs;
mod tls;
mod wire;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use runward_lab::{Ran, actor, run};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Any free port of an address.
fn any_port(address: impl Into<std::net::IpAddr>) -> SocketAddr {
    SocketAddr::new(address.into(), 0)
}

/// Runs an actor to its end.
fn act<S: AsRef<std::ffi::OsStr>>(name: &str, arguments: impl IntoIterator<Item = S>) -> Ran {
    run(Command::new(actor(name)).args(arguments), PATIENCE).unwrap()
}
