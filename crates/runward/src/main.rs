//! `runward`: watches what a build really does.
//!
//! The command line: `run` records a command, `job` one that runs already, `agent` all of a machine, `report` makes the reports again, `policy` and
//! `replay` work on egress policies, `migrate` takes files of other tools over, `doctor` tells what the machine allows,
//! `install` makes the agent a service.
//!
//! **Architecture invariant.** This crate is the shell around the agent: it reads arguments and the environment,
//! starts the command, and prints. It decides nothing about events.

mod agent;
mod block_list;
mod cli;
mod confine;
mod doctor;
mod exit;
mod fail_on;
mod inherited;
mod install;
mod invoker;
mod job;
mod launch;
mod migrate;
mod outlast;
mod output;
mod pace;
mod policy;
mod prepare;
mod probe;
mod record;
mod replay;
mod report;
mod rules;
mod run;
mod secrets;
mod upload;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return cli::refuse(&error),
    };
    match cli.command {
        Command::Run(options) => run::run(options),
        Command::Agent(options) => agent::agent(&options),
        Command::Job(commands) => job::job(&commands.command),
        Command::Report(options) => report::report(&options),
        Command::Policy(options) => policy::policy(&options.command),
        Command::Replay(options) => replay::replay(&options),
        Command::Doctor(options) => doctor::doctor(&options),
        Command::Upload(options) => upload::upload(&options),
        Command::Migrate(options) => migrate::migrate(&options),
        Command::Install(options) => install::install(&options),
        Command::Uninstall(options) => install::uninstall(&options),
        Command::Launch(options) => launch::launch(&options),
        Command::Outlast(options) => outlast::outlast(&options),
        Command::Attend(options) => job::attend(&options),
        Command::Relay => secrets::relay(),
    }
}
