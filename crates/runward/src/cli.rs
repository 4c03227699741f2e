use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::exit;

/// Watch what a build really does: every process, connection and source file changed.
#[derive(Debug, Parser)]
#[command(name = "runward", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunOptions),
    Report(ReportOptions),
    Doctor(DoctorOptions),
    #[command(name = launch_name(), hide = true)]
    Launch(LaunchOptions),
}

/// The hidden subcommand that `run` starts the command through.
pub(crate) const fn launch_name() -> &'static str {
    "__launch"
}

/// Run a command and record what it does.
///
/// Ends with the command's own exit code. 86: the command succeeded but something named in --fail-on was found.
/// 125: Runward failed before the command started. 126 and 127: the command could not be run or was not found.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The folder whose files are watched [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = "runward-report")]
    pub(crate) report: PathBuf,
    /// A policy file
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// What is done about traffic that the policy does not allow [default: audit]
    #[arg(long, value_name = "MODE", value_enum)]
    pub(crate) egress_policy: Option<EgressPolicy>,
    /// Endpoints that the job may reach, as `host[:port]`, separated by spaces or commas
    #[arg(long, value_name = "LIST")]
    pub(crate) allowed_endpoints: Option<String>,
    /// Endpoints that the job may not reach, whatever else allows them
    #[arg(long, value_name = "LIST")]
    pub(crate) denied_endpoints: Option<String>,
    /// Let the job gain no privileges: sudo and programs like it run as the user
    #[arg(long)]
    pub(crate) disable_sudo: bool,
    /// As --disable-sudo, and keep the job from daemons that start containers
    #[arg(long)]
    pub(crate) disable_sudo_and_containers: bool,
    /// Detections that make a successful command fail with exit code 86: their names, separated by commas, or `any`
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) fail_on: Vec<String>,
    /// Print no summary
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print the report as one line of JSON in place of the summary
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EgressPolicy {
    /// Record it.
    Audit,
    /// Record and stop it.
    Block,
}

/// Make the reports again from a folder's events.jsonl.
#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    /// A report folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}

/// Tell what this machine lets Runward do, and how to get what is missing.
#[derive(Debug, Args)]
pub(crate) struct DoctorOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Remove what a Runward that was killed has left in the kernel, where no process needs it any more
    #[arg(long, conflicts_with = "json")]
    pub(crate) clean: bool,
}

/// Wait to be watched, then become the command.
#[derive(Debug, Args)]
pub(crate) struct LaunchOptions {
    #[arg(long)]
    pub(crate) uid: Option<u32>,
    #[arg(long)]
    pub(crate) gid: Option<u32>,
    #[arg(long, value_delimiter = ',')]
    pub(crate) groups: Vec<u32>,
    #[arg(long)]
    pub(crate) no_privileges: bool,
    #[arg(long)]
    pub(crate) no_containers: bool,
    /// An address that the fence must refuse; tried before the command
    #[arg(long)]
    pub(crate) probe: Option<std::net::SocketAddr>,
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

/// Prints help or what is wrong with the arguments, and gives the exit code for it.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    // Nothing to be done when even the error cannot be printed.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        // Of `run` a caller must be able to tell our failures from the command's.
        _ if std::env::args_os().nth(1).is_some_and(|name| name == "run") => {
            ExitCode::from(exit::RUNWARD)
        }
        _ => ExitCode::from(exit::USAGE),
    }
}
