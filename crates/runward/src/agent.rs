//! `runward agent`: the service that watches every job of a machine.
//!
//! It finds where jobs begin and starts an attendant for each, which holds the job as after `runward job start`: so one
//! job's watch does not depend on another's, nor on this process, which may be updated while jobs run. What this process
//! does itself is small: it waits for jobs, looks after attendants, and sends records that could not be sent before.

mod attendants;
mod forwarder;
mod machine;
mod script;
mod serve;
mod status;

use std::process::ExitCode;

use crate::cli::{AgentCommand, AgentOptions};
use crate::{exit, output};

/// `runward agent`.
pub(crate) fn agent(options: &AgentOptions) -> ExitCode {
    match &options.command {
        Some(AgentCommand::Status(options)) => status::status(options),
        None => match serve::serve(&options.config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                output::say(format_args!("{error:#}"));
                ExitCode::from(exit::RUNWARD)
            }
        },
    }
}
