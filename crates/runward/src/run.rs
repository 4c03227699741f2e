use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result};
use runward_agent::{EVENTS, Finished, Following, Job, JobOptions, ReportFolder, read_context};
use runward_detect::{Observer, Selection};
use runward_event::{JobContext, JobIdentity, Mode};
use runward_report::annotations;
use runward_rules::Rules;
use runward_sensor::check_machine;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use crate::cli::RunOptions;
use crate::confine::{self, Confinement};
use crate::invoker::Invoker;
use crate::report::write_reports;
use crate::secrets::Secrets;
use crate::{block_list, exit, fail_on, launch, outlast, output, policy, probe, rules, upload};

/// How often what the kernel recorded is taken in. Waking up costs more than recording, so not at every event; a burst
/// that fills an eighth of the ring wakes the reader at once.
const TICK: Duration = Duration::from_millis(25);
/// How slow the tick gets while nothing happens: a finding is told within a tenth of a second.
const IDLE_TICK: Duration = Duration::from_millis(75);
/// The same for a job in lockdown, idle or not: what the kernel does not wake for at once waits no longer than this.
const LOCKDOWN_TICK: Duration = Duration::from_millis(4);

/// `runward run`.
pub(crate) fn run(options: RunOptions) -> ExitCode {
    let prepared = match Wanted::of(&options).and_then(|wanted| prepare(&options, wanted)) {
        Ok(prepared) => prepared,
        Err(error) => {
            output::say(format_args!("{error:#}"));
            return ExitCode::from(exit::RUNWARD);
        }
    };
    let folder = prepared.folder;
    let page = prepared.page;
    let watched = watch(
        prepared.job,
        &options,
        prepared.invoker.as_ref(),
        prepared.probe,
        prepared.secrets,
    );
    outlast::leave_behind();
    let (status, finished) = match watched {
        Ok(watched) => watched,
        Err(error) => {
            output::say(format_args!("{error:#}"));
            return ExitCode::from(exit::RUNWARD);
        }
    };
    // From here on, nothing may hide the command's own result.
    let code = exit::shell_code(status);
    let Some(finished) = finished else {
        return ExitCode::from(code);
    };
    if let Some(sentence) = &finished.lockdown {
        output::say(sentence);
    }
    deliver(&folder, &finished);
    let report = &finished.report;
    if options.json {
        output::json(report);
    } else if !options.quiet {
        output::summary(report, folder.path());
    }
    if !options.json {
        for line in annotations(report) {
            output::command(&line);
        }
    }
    if let Some(following) = prepared.following {
        tell_upload(following, page.as_deref(), &folder);
    }
    folder.finish();
    if finished.killed {
        // Said in full when it happened.
        return ExitCode::from(exit::LOCKDOWN);
    }
    if code == 0
        && let Some(found) = fail_on::first(&report.detections, &prepared.fail_on)
    {
        output::say(format_args!("found {found}, which --fail-on names"));
        return ExitCode::from(exit::FOUND);
    }
    ExitCode::from(code)
}

/// What is looked for, and the lists of findings of the command line.
struct Wanted {
    rules: Option<Rules>,
    fail_on: Selection,
    lockdown: Selection,
}

impl Wanted {
    fn of(options: &RunOptions) -> Result<Wanted> {
        let rules = options.rules.as_deref().map(rules::of_job).transpose()?;
        let abouts = rules.as_ref().map_or(&[][..], Observer::abouts);
        Ok(Wanted {
            fail_on: fail_on::parse("--fail-on", &options.fail_on, abouts)?,
            lockdown: fail_on::parse("--lockdown", &options.lockdown, abouts)?,
            rules,
        })
    }
}

struct Prepared {
    fail_on: Selection,
    /// What a fenced job must not reach; tried before the command starts.
    probe: Option<SocketAddr>,
    job: Job,
    secrets: Secrets,
    folder: ReportFolder,
    invoker: Option<Invoker>,
    /// The record's way to a control plane, and where its pages are.
    following: Option<Following>,
    page: Option<String>,
}

fn prepare(options: &RunOptions, wanted: Wanted) -> Result<Prepared> {
    let cwd = std::env::current_dir().context("cannot tell the current folder")?;
    let workspace = workspace(options, &cwd)?;
    let mut invoker = Invoker::find()?;
    if let Some(confinement) = confinement(options) {
        confine::prepare(confinement, invoker.as_mut())?;
    }
    let owner = invoker.as_ref().map(|invoker| (invoker.uid, invoker.gid));
    let policy = policy::of_job(&options.sources, options.policy.as_deref(), &workspace)?;
    let mode = policy.mode();
    let mut notes = Vec::new();
    if mode == Mode::Audit && !policy.rules().is_empty() {
        notes.push("A policy was given; in audit mode it stops nothing.".to_owned());
    }
    let block_list = block_list::of_job(&options.block_list, !options.no_builtin_block_list)?;
    if options.no_builtin_block_list {
        notes.push("The built-in block list was turned off (--no-builtin-block-list).".to_owned());
    }
    let probe = (mode == Mode::Block)
        .then(|| probe::refused_address(&policy))
        .flatten();
    let upload = options
        .server
        .as_deref()
        .map(upload::to_server)
        .transpose()?;
    // Before the folder is made: nobody wants an empty one.
    check_machine()?;
    let folder = ReportFolder::create(&options.report, owner)?;
    let identity = runward_ci::identify(&variable);
    let secrets = Secrets::prepare(options, &identity, owner)?;
    notes.extend_from_slice(secrets.notes());
    let mut job = Job::prepare(
        JobOptions {
            context: context(&identity, &workspace),
            identity,
            args: options
                .command
                .iter()
                .map(|arg| arg.as_bytes().to_vec())
                .collect(),
            cwd,
            workspace,
            homes: invoker
                .iter()
                .map(Invoker::home)
                .chain(std::env::var_os("HOME").map(PathBuf::from))
                .collect(),
            diffs: !options.no_diff,
            requested_mode: mode,
            policy,
            lockdown: wanted.lockdown,
            block_list: block_list.into(),
            block_list_optional: options.block_list.is_empty(),
            notes,
        },
        &folder,
    )?;
    if let Some(rules) = wanted.rules {
        let in_force = rules.in_force();
        job.watch_by(Box::new(rules), in_force);
    }
    let page = upload.as_ref().map(|upload| upload.page(""));
    let following = upload
        .map(|upload| upload.follow(job.record()?))
        .transpose()
        .context("cannot send the record while it grows")?;
    Ok(Prepared {
        fail_on: wanted.fail_on,
        probe,
        job,
        secrets,
        folder,
        invoker,
        following,
        page,
    })
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// What the job was made with, by its variables and by the files that lie there before it starts.
fn context(identity: &JobIdentity, workspace: &Path) -> JobContext {
    let event = variable("GITHUB_EVENT_PATH").map(PathBuf::from);
    let known = runward_ci::context(identity, &variable);
    read_context(known, identity, workspace, event.as_deref())
}

fn confinement(options: &RunOptions) -> Option<Confinement> {
    if options.disable_sudo_and_containers {
        Some(Confinement::SudoAndContainers)
    } else {
        options.disable_sudo.then_some(Confinement::Sudo)
    }
}

fn workspace(options: &RunOptions, cwd: &Path) -> Result<PathBuf> {
    let wanted = options.workspace.as_deref().unwrap_or(cwd);
    let workspace = wanted
        .canonicalize()
        .and_then(|path| std::fs::read_dir(&path).map(|_| path));
    workspace.with_context(|| {
        format!(
            "cannot read the workspace {}: name a readable folder with --workspace",
            wanted.display()
        )
    })
}

/// Runs the command to its end. An error means that it did not start; `None` in place of a record, that the record was
/// lost on the way, which has been said.
fn watch(
    mut job: Job,
    options: &RunOptions,
    invoker: Option<&Invoker>,
    probe: Option<SocketAddr>,
    mut secrets: Secrets,
) -> Result<(ExitStatus, Option<Finished>)> {
    // Before the child exists, so that no signal in between is lost.
    let mut signals =
        SignalsInfo::<WithOrigin>::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])
            .context("cannot handle signals")?;
    let mut child = launch::start(
        &options.command,
        invoker,
        probe,
        confinement(options),
        &mut secrets.outputs,
    )?;
    let started = job
        .start(child.id())
        .map_err(anyhow::Error::from)
        .and_then(|()| match probe {
            Some(_) => launch::prove(&child).and_then(|()| Ok(job.forget_probe()?)),
            None => Ok(()),
        })
        .and_then(|()| launch::release(&child))
        .and_then(|()| {
            pidfd_open(Pid::from_child(&child), PidfdFlags::empty())
                .context("cannot wait for the command")
        });
    let ended = match started {
        Ok(ended) => ended,
        Err(error) => {
            // It has not run anything yet; without a watch it must not.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
    };

    let mut failure = None;
    let hurried = !options.lockdown.is_empty();
    let mut tick = if hurried { LOCKDOWN_TICK } else { TICK };
    let mut rested = true;
    loop {
        let timeout = Timespec::try_from(tick).ok();
        let mut fds = vec![PollFd::new(&ended, PollFlags::IN)];
        let mut listens = false;
        if failure.is_none() {
            fds.push(PollFd::from_borrowed_fd(job.urgent_fd(), PollFlags::IN));
            // Every other time at most, so that a job that reads such files over and over does not keep us awake.
            let sensitive = job.sensitive_fd().filter(|_| rested);
            listens = sensitive.is_some();
            fds.extend(sensitive.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            let outputs = secrets.outputs.fds();
            fds.extend(outputs.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        }
        // Interrupted by a signal: handled just below.
        let _ = poll(&mut fds, timeout.as_ref());
        rested = !(listens && fds.get(2).is_some_and(|fd| !fd.revents().is_empty()));
        let over = fds.first().is_some_and(|fd| !fd.revents().is_empty());
        forward(&mut signals, &child);
        if failure.is_none() {
            let ticked = secrets.record(&mut job).and_then(|()| job.tick());
            match ticked {
                Ok(_) if hurried => {}
                Ok(true) => tick = TICK,
                Ok(false) => tick = (tick * 2).min(IDLE_TICK),
                Err(error) => failure = Some(error),
            }
            let told = job.take_refusals().into_iter().chain(job.take_findings());
            for sentence in told.chain(job.take_lockdown()) {
                output::say(sentence);
            }
        }
        if over {
            break;
        }
    }
    let status = child.wait().context("cannot learn how the command ended")?;
    let ended = secrets.finish(&mut job);
    for sentence in job.take_findings() {
        output::say(sentence);
    }
    let finished = match failure.map_or(ended, Err) {
        Err(error) => Err(error),
        Ok(()) => job.finish(i32::from(exit::shell_code(status)), signal_of(status)),
    };
    match finished {
        Ok(finished) => Ok((status, Some(finished))),
        Err(error) => {
            output::say(format_args!("the record of this run broke off: {error}"));
            Ok((status, None))
        }
    }
}

fn signal_of(status: ExitStatus) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    status.signal()
}

/// Passes signals on to the command. Those that a terminal sends reach it by themselves, because it is in the same
/// process group; those that a process sent to us alone do not.
fn forward(signals: &mut SignalsInfo<WithOrigin>, child: &Child) {
    for origin in signals.pending() {
        let from_terminal = origin.process.is_none();
        if let Some(signal) = Signal::from_named_raw(origin.signal)
            && !from_terminal
        {
            // It may have ended already.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }
}

/// Writes what people and machines read. Failures are said, never returned: the command's result stands.
fn deliver(folder: &ReportFolder, finished: &Finished) {
    if let Some(error) = &finished.write_failure {
        output::say(format_args!(
            "{EVENTS} is incomplete: {error}; make room and run again (the other reports count everything)"
        ));
    }
    match folder.restore(EVENTS, &finished.events) {
        Ok(false) => {}
        Ok(true) => output::say(format_args!(
            "{EVENTS} was replaced during the run; it has been written again"
        )),
        Err(error) => output::say(error),
    }
    write_reports(folder, &finished.report);
}

/// Says where the run is to be seen, or how to send what the server has not got.
fn tell_upload(following: Following, page: Option<&str>, folder: &ReportFolder) {
    match following.finish() {
        Ok(uploaded) => output::say(format_args!(
            "this run on the server: {}{}",
            page.unwrap_or_default(),
            uploaded.run
        )),
        Err(error) => output::say(format_args!(
            "the server has not got all of this run: {error}; send it later with `runward upload {}`",
            folder.path().display()
        )),
    }
}
