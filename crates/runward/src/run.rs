use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, ExitCode, ExitStatus};

use anyhow::{Context as _, Result};
use runward_agent::{Finished, Job};
use runward_report::annotations;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use crate::cli::RunOptions;
use crate::confine::{self, Confinement};
use crate::invoker::Invoker;
use crate::pace::Pace;
use crate::prepare::{First, Plan, Ready, own_variable};
use crate::report::{deliver, send_later, tell_upload};
use crate::secrets::Secrets;
use crate::{exit, fail_on, launch, outlast, output};

/// `runward run`.
pub(crate) fn run(options: RunOptions) -> ExitCode {
    let prepared = match prepare(&options) {
        Ok(prepared) => prepared,
        Err(error) => {
            output::say(format_args!("{error:#}"));
            return ExitCode::from(exit::RUNWARD);
        }
    };
    let Prepared {
        watch: ready,
        secrets,
        invoker,
    } = prepared;
    let Ready {
        folder,
        sending,
        fail_on,
        ..
    } = ready;
    let sent = match sending
        .map(|sending| sending.follow(&ready.job))
        .transpose()
    {
        Ok(sent) => sent,
        Err(error) => {
            output::say(format_args!("{error:#}"));
            return ExitCode::from(exit::RUNWARD);
        }
    };
    let watched = watch(ready.job, &options, invoker.as_ref(), ready.probe, secrets);
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
    if let Some(sent) = sent {
        tell_upload(sent, &send_later(&folder));
    }
    folder.finish();
    if finished.killed {
        // Said in full when it happened.
        return ExitCode::from(exit::LOCKDOWN);
    }
    if code == 0
        && let Some(found) = fail_on::first(&report.detections, &fail_on)
    {
        output::say(format_args!("found {found}, which --fail-on names"));
        return ExitCode::from(exit::FOUND);
    }
    ExitCode::from(code)
}

struct Prepared {
    watch: Ready,
    secrets: Secrets,
    invoker: Option<Invoker>,
}

fn prepare(options: &RunOptions) -> Result<Prepared> {
    let mut invoker = Invoker::find()?;
    if let Some(confinement) = confinement(options) {
        confine::prepare(confinement, invoker.as_mut())?;
    }
    let mut plan = Plan::of(&options.watch, invoker.as_ref(), &own_variable)?;
    let secrets = Secrets::prepare(options, plan.identity(), plan.owner())?;
    plan.note(secrets.notes());
    let args = options.command.iter();
    let args = args.map(|arg| arg.as_bytes().to_vec()).collect();
    let cwd = plan.cwd().to_path_buf();
    Ok(Prepared {
        watch: plan.carry_out(First::Started { args, cwd })?,
        secrets,
        invoker,
    })
}

fn confinement(options: &RunOptions) -> Option<Confinement> {
    if options.disable_sudo_and_containers {
        Some(Confinement::SudoAndContainers)
    } else {
        options.disable_sudo.then_some(Confinement::Sudo)
    }
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
    let hurried = !options.watch.lockdown.is_empty();
    let mut pace = Pace::new(hurried);
    let mut rested = true;
    loop {
        let timeout = Timespec::try_from(pace.tick()).ok();
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
                Ok(busy) => pace.after(busy),
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
