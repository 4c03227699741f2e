//! `runward job`: a job that somebody else started.
//!
//! `job start` finds the process that the job stands and falls with, and starts the *attendant*: a process of its own,
//! outside of the job, which holds the watch as `run` does. `job end` and `job status` ask it over its socket.

mod attend;
mod client;
mod control;
mod kept;
mod learn;
mod place;
mod pod;
mod root;
mod so_far;
mod start;
mod wire;

use std::process::ExitCode;

pub(crate) use attend::attend;
pub(crate) use client::{Joined, close, jobs_at_a_glance, join};
pub(crate) use root::slot_of;
pub(crate) use wire::{Begun, Status};

use crate::cli::JobCommand;

/// `runward job`.
pub(crate) fn job(command: &JobCommand) -> ExitCode {
    match command {
        JobCommand::Start(_) => start::start(),
        JobCommand::End(options) => client::end(options),
        JobCommand::Status(options) => client::status(options),
    }
}
