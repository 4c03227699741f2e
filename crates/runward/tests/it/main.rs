//! `runward` as a whole, on a real kernel: runs the binary and reads what it recorded.
//!
//! One test binary, which the virtual machines run as well. It needs root for almost everything; what this machine
//! cannot run says so by name.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod adopted;
mod bed;
mod block_list;
mod builds;
mod bypass;
mod command;
mod containers;
mod dns;
mod fence;
mod files;
mod flood;
mod github;
mod gitlab;
mod hostile;
mod image;
mod install;
mod kubernetes;
mod lockdown;
mod machine;
mod memory;
mod migrate;
mod network;
mod pipeline;
mod policies;
mod processes;
mod protect;
mod replays;
mod report;
mod rules;
mod secrets;
mod sensitive;
mod service;
mod strace;
mod upload;
