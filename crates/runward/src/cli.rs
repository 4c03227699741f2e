use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};
use runward_migrate::{ACTION, Action};

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
    Job(JobCommands),
    Agent(AgentOptions),
    Report(ReportOptions),
    Policy(PolicyOptions),
    Replay(ReplayOptions),
    Doctor(DoctorOptions),
    Upload(UploadOptions),
    Migrate(MigrateOptions),
    Install(InstallOptions),
    Uninstall(UninstallOptions),
    #[command(name = launch_name(), hide = true)]
    Launch(LaunchOptions),
    #[command(name = outlast_name(), hide = true)]
    Outlast(OutlastOptions),
    #[command(name = relay_name(), hide = true)]
    Relay,
    #[command(name = attend_name(), hide = true)]
    Attend(AttendOptions),
}

/// The hidden subcommand that `run` starts the command through.
pub(crate) const fn launch_name() -> &'static str {
    "__launch"
}

/// The hidden subcommand that `run` leaves behind where processes outlive the command.
pub(crate) const fn outlast_name() -> &'static str {
    "__outlast"
}

/// The hidden subcommand that stands between a job and its output.
pub(crate) const fn relay_name() -> &'static str {
    "__relay"
}

/// The hidden subcommand that holds a job which somebody else started.
pub(crate) const fn attend_name() -> &'static str {
    "__attend"
}

/// Run a command and record what it does.
///
/// Ends with the command's own exit code. 86: the command succeeded but something named in --fail-on was found.
/// 87: the job did something named in --lockdown and was killed.
/// 125: Runward failed before the command started. 126 and 127: the command could not be run or was not found.
#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) watch: WatchOptions,
    /// Let the job gain no privileges: sudo and programs like it run as the user
    #[arg(long)]
    pub(crate) disable_sudo: bool,
    /// As --disable-sudo, and keep the job from daemons that start containers
    #[arg(long)]
    pub(crate) disable_sudo_and_containers: bool,
    /// A folder or file that is kept after the job, searched for secrets when the job has ended; may be given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) artifacts: Vec<PathBuf>,
    /// Leave the command's output alone: it is not searched for secrets
    #[arg(long)]
    pub(crate) no_output_scan: bool,
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

/// How a job is watched, whoever starts it.
#[derive(Clone, Debug, Args)]
pub(crate) struct WatchOptions {
    /// The folder whose files are watched [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Where the report goes
    #[arg(long, value_name = "DIR", default_value = "runward-report")]
    pub(crate) report: PathBuf,
    /// A control plane to send the record to while the job runs; its key is read from RUNWARD_API_KEY
    #[arg(long, value_name = "URL", env = "RUNWARD_SERVER")]
    pub(crate) server: Option<String>,
    /// A policy file
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: PolicySources,
    /// A list of destinations that the job must not reach, in audit mode too; can be given several times. One a line: a
    /// name, `*.name`, an address or a network, then the reason
    #[arg(long, value_name = "FILE")]
    pub(crate) block_list: Vec<PathBuf>,
    /// Refuse nothing because of the list that comes with Runward: hosts of known attacks
    #[arg(long)]
    pub(crate) no_builtin_block_list: bool,
    /// A file of rules: what else to find in what the job does
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Keep what differs in altered source files out of the record; their hashes stay
    #[arg(long)]
    pub(crate) no_diff: bool,
    /// Findings that make a successful command fail with exit code 86: names of detections and rules and the least
    /// severity (`low`, `medium`, `high`), separated by commas; `any` is `low`
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) fail_on: Vec<String>,
    /// Findings on which the job is killed at once, all of it, with exit code 87: a list as for --fail-on
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) lockdown: Vec<String>,
}

/// Watch every job of this machine: the service that `runward install` and the packages install.
///
/// A job of GitHub's runner waits, before its first instruction, until it is watched. Where the machine's policy says
/// `block` and a job can't be fenced, it is ended.
///
/// Ends with 0 when it is told to end, and with 125 when nothing can be watched.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AgentOptions {
    /// The settings of this machine
    #[arg(long, value_name = "FILE", default_value = "/etc/runward/agent.yml")]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Option<AgentCommand>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    Status(AgentStatusOptions),
}

/// Tell what the service is doing: its mode, the jobs that run, and the records that wait to be sent.
///
/// Ends with 0 when it runs, and with 1 when it does not.
#[derive(Debug, Args)]
pub(crate) struct AgentStatusOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Watch a job that runs already: the script, or the CI's worker, that this is called from.
#[derive(Debug, Args)]
pub(crate) struct JobCommands {
    #[command(subcommand)]
    pub(crate) command: JobCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobCommand {
    Start(Box<JobStartOptions>),
    End(JobEndOptions),
    Status(JobStatusOptions),
}

/// Begin to watch the job that this is called from, with all its processes, and return.
///
/// The job is the CI's worker and all that it has started; without one, the shell that calls this. It is watched, and
/// fenced, until that process ends.
///
/// Ends with 0 when everything that was asked for is in force, and with 125 when it is not: then nothing is.
#[derive(Debug, Args)]
pub(crate) struct JobStartOptions {
    #[command(flatten)]
    pub(crate) watch: WatchOptions,
    /// The process that the job stands and falls with [default: the CI's worker, or the calling shell]
    #[arg(long, value_name = "PID")]
    pub(crate) root: Option<u32>,
}

/// Write the reports of the job that this is called from, as far as it has come, and print the summary.
///
/// The job is watched on until its first process ends, and then the reports are written again: else whoever calls this
/// first would end the watch.
///
/// Ends with 0; with 86 when something named in --fail-on of `job start` was found; with 87 when the job was killed for
/// something named in --lockdown; with 1 when there is no such job.
#[derive(Debug, Args)]
pub(crate) struct JobEndOptions {
    /// The job, as `runward job status` names it; only for root outside of every job
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<String>,
    /// Write the summary for a page of the CI into this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    /// Print no summary
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// Tell which jobs are watched: the one that this is called from; for root outside of every job, all of them.
#[derive(Debug, Args)]
pub(crate) struct JobStatusOptions {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Hold a job.
#[derive(Debug, Args)]
pub(crate) struct AttendOptions {
    #[command(flatten)]
    pub(crate) start: JobStartOptions,
    /// The process that waits for this one to be ready
    #[arg(long, value_name = "PID")]
    pub(crate) starter: u32,
    /// The service holds this job: what there is to say goes where the service's words go
    #[arg(long)]
    pub(crate) held: bool,
    /// The job ran before the service found it
    #[arg(long)]
    pub(crate) runs: bool,
    /// The job had an attendant before, which has ended
    #[arg(long)]
    pub(crate) again: bool,
    /// Only what the process itself starts tells who the job is
    #[arg(long)]
    pub(crate) children_tell: bool,
    /// What the stages of a GitLab job are known by: the process is the first of several
    #[arg(long, value_name = "PID:DIR")]
    pub(crate) slot: Option<String>,
}

/// Make the reports again from a folder's events.jsonl.
#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    /// A report folder
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// A file of rules: what else to find in the record
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
}

/// Check, explain, show and suggest egress policies.
#[derive(Debug, Args)]
pub(crate) struct PolicyOptions {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Check(CheckOptions),
    Explain(ExplainOptions),
    Show(ShowOptions),
    Suggest(SuggestOptions),
}

/// What a policy is read from, on the command line.
#[derive(Clone, Debug, Args)]
pub(crate) struct PolicySources {
    /// Endpoints that the policy allows: `host[:ports][/udp]`, separated by white space or commas
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub(crate) allowed_endpoints: Option<String>,
    /// Endpoints that the policy denies, whatever else allows them
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub(crate) denied_endpoints: Option<String>,
    /// What is done about traffic that the policy does not allow: `audit` records it, `block` stops it [default: audit]
    #[arg(long, value_name = "MODE")]
    pub(crate) egress_policy: Option<String>,
}

impl PolicySources {
    /// Whether nothing is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.allowed_endpoints.is_none()
            && self.denied_endpoints.is_none()
            && self.egress_policy.is_none()
    }
}

/// Read a policy and tell all that is wrong with it.
///
/// Ends with 0 when it can be applied, and with 2 when it has errors.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// A policy file; `-` for standard input
    #[arg(value_name = "FILE", required_unless_present_any = ["allowed_endpoints", "denied_endpoints", "egress_policy"])]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: PolicySources,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tell whether a policy allows a destination, and by which line.
///
/// Ends with 0 when it is allowed, with 1 when it is not, and with 2 when the policy has errors. Without --policy and
/// the other sources of the command line, all sources are read that `runward policy show` reads.
#[derive(Debug, Args)]
pub(crate) struct ExplainOptions {
    /// The destination: a name or an address, with port 443 unless given, and `/udp` for UDP
    #[arg(value_name = "HOST:PORT")]
    pub(crate) destination: String,
    /// A policy file; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: PolicySources,
    /// The address that the name resolves to
    #[arg(long, value_name = "IP")]
    pub(crate) ip: Option<std::net::IpAddr>,
    /// The CI step that connects
    #[arg(long, value_name = "NAME")]
    pub(crate) step: Option<String>,
    /// The path of the program that connects
    #[arg(long, value_name = "PATH")]
    pub(crate) executable: Option<String>,
    /// The container image that it runs in
    #[arg(long, value_name = "IMAGE")]
    pub(crate) image: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the policy in force: all sources together, groups expanded, each line with its origin.
///
/// Sources by strength: the command line, the policy file, `.runward.yml` at the root of the workspace, and the
/// variables RUNWARD_EGRESS_POLICY, RUNWARD_ALLOWED_ENDPOINTS and RUNWARD_DENIED_ENDPOINTS. A weaker one only tightens.
#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// A policy file; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: PolicySources,
    /// The folder that may have a `.runward.yml` [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub(crate) workspace: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a minimal policy from recorded runs.
#[derive(Debug, Args)]
pub(crate) struct SuggestOptions {
    /// Report folders, their events.jsonl, or their report.json
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tell what is found in recorded runs, and what a policy would have blocked. Nothing is sent anywhere.
///
/// Every detection looks at the record as if it happened now, and so do the rules of a file. With a policy, also what it
/// would have blocked. With --rules alone, only that file is checked.
///
/// Ends with 0; with 2 when the policy or the rules have errors or a record can't be read; with 86 when something named in
/// --fail-on was found.
#[derive(Debug, Args)]
pub(crate) struct ReplayOptions {
    /// A policy file; `-` for standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) sources: PolicySources,
    /// A file of rules: what else to find
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Findings that end this with 86: names of detections and rules and the least severity (`low`, `medium`, `high`),
    /// separated by commas; `any` is `low`
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(crate) fail_on: Vec<String>,
    /// Records of runs, or report folders
    #[arg(value_name = "EVENTS", required_unless_present = "rules")]
    pub(crate) events: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
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

/// Send a recorded run to a control plane
///
/// The key is read from the variable RUNWARD_API_KEY. Sending a run again changes nothing.
#[derive(Debug, Args)]
pub(crate) struct UploadOptions {
    /// The folder of the report
    #[arg(value_name = "DIR", default_value = "runward-report")]
    pub(crate) report: PathBuf,
    /// The server's address, such as https://runward.example.com
    #[arg(long, value_name = "URL", env = "RUNWARD_SERVER")]
    pub(crate) server: String,
}

/// Take CI files of other tools over: Harden-Runner, bullfrog, Cimon, and GitHub's egress firewall.
///
/// Shows what would change, and changes nothing. What could not be carried over is told with its line.
///
/// Ends with 0; with 1 when --check is given and something would change; with 2 when a file can't be read, is not YAML or
/// can't be changed by machine.
#[derive(Debug, Args)]
pub(crate) struct MigrateOptions {
    /// Files, and folders with `.yml` and `.yaml` files, such as .github
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Write the files
    #[arg(long)]
    pub(crate) write: bool,
    /// Show nothing, and end with 1 when something would change
    #[arg(long, conflicts_with = "write")]
    pub(crate) check: bool,
    /// The action that is written behind `uses:`
    #[arg(long, value_name = "REF", default_value = ACTION, value_parser = Action::parse)]
    pub(crate) action: Action,
}

/// Install this program as a service that watches the jobs of this machine.
///
/// For machines without packages: copies this program to /usr/local/bin, writes the unit of systemd and, unless there is
/// one, the configuration /etc/runward/agent.yml, and starts the service. Again, with a newer program: updates it.
#[derive(Debug, Args)]
pub(crate) struct InstallOptions {
    /// Install into the folder of an image, and start nothing
    #[arg(long, value_name = "DIR", conflicts_with = "no_start")]
    pub(crate) root: Option<PathBuf>,
    /// Enable the service, and leave the start to the next boot
    #[arg(long)]
    pub(crate) no_start: bool,
}

/// Remove what `runward install` has installed.
///
/// The configuration and records that wait to be sent are kept.
#[derive(Debug, Args)]
pub(crate) struct UninstallOptions {
    /// Remove it from the folder of an image
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Remove the configuration and the records as well
    #[arg(long)]
    pub(crate) purge: bool,
    /// Also while jobs are under watch
    #[arg(long)]
    pub(crate) force: bool,
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

/// Wait for the last process of a job, then remove its fence.
#[derive(Debug, Args)]
pub(crate) struct OutlastOptions {
    /// The fence's folder
    pub(crate) folder: PathBuf,
}

/// Prints help or what is wrong with the arguments, and gives the exit code for it.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    // Nothing to be done when even the error cannot be printed.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        // Of `run` a caller must be able to tell our failures from the command's; of `job start`, that nothing is in force.
        _ if is_start() => ExitCode::from(exit::RUNWARD),
        _ => ExitCode::from(exit::USAGE),
    }
}

fn is_start() -> bool {
    let words: Vec<OsString> = std::env::args_os().skip(1).take(2).collect();
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    matches!(words[..], ["run", ..] | ["job", "start"])
}
