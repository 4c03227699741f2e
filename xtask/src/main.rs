//! The project's own tools: all checks in one run, tests inside virtual machines, packages, and measurements.
//!
//! A person calls them through `make`. Also the home of the tests about the workspace itself: who may import whom,
//! where `unsafe` may stand, what each crate's front page must say, and that every promise names a real test.
//!
//! **Architecture invariant.** Imports no crate of the workspace: it looks at them from outside, through cargo and
//! the binaries that they make.

#![expect(
    clippy::print_stdout,
    reason = "a tool that talks to a person on the terminal"
)]

mod action;
mod bench;
mod benign;
mod check;
mod dist;
mod eval;
mod fuzz;
#[cfg(test)]
mod layers;
mod libtest;
mod outcome;
mod shell;
#[cfg(test)]
mod tidy;
mod vm;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own tools.
#[derive(Debug, Parser)]
#[command(name = "xtask", disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check everything that this machine can check, and end with the totals.
    Test,
    /// Check the format and the lints.
    Lint,
    /// Run the tests that need a kernel inside virtual machines.
    VmTest(vm::Options),
    /// Measure what Runward costs.
    Bench(bench::Options),
    /// Measure how often baselines cry wolf, and what they miss, on histories of real allowlists.
    Eval(eval::Options),
    /// Watch real builds that do no harm: nothing must be found in them that is not explained.
    Benign(benign::Options),
    /// Make the packages of the agent.
    Dist(dist::Options),
    /// Give the parsers of hostile input what they have never seen, for a bounded time.
    Fuzz(fuzz::Options),
    /// Play one of the loads that `bench` measures.
    #[command(hide = true)]
    Load(bench::Load),
}

fn main() -> anyhow::Result<ExitCode> {
    let report = match Cli::parse().task {
        Task::Test => check::everything()?,
        Task::Lint => check::lint()?,
        Task::VmTest(options) => vm::run(&options)?,
        Task::Fuzz(options) => fuzz::run(&options)?,
        Task::Bench(options) => {
            bench::run(&options)?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::Dist(options) => {
            dist::run(&options)?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::Benign(options) => {
            let clean = benign::run(&options)?;
            return Ok(ExitCode::from(u8::from(!clean)));
        }
        Task::Eval(options) => {
            eval::run(&options)?;
            return Ok(ExitCode::SUCCESS);
        }
        Task::Load(load) => {
            load.play()?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    print!("\n{report}");
    Ok(if report.failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
