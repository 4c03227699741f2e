//! The service itself: one thread that waits for jobs, for attendants, for who asks, and for its end.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use runward_agent::{Spool, Supervisor};
use runward_sensor::{Arrivals, Clock, RunnerProgram, check_machine};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::SignalsInfo;

use super::attendants::{Attendants, sweep};
use super::forwarder::Forwarder;
use super::machine::Machine;
use super::status::{self, AgentStatus};
use crate::output;

/// Where jobs begin.
const PROGRAMS: [RunnerProgram<'static>; 4] = [
    // GitHub's runner starts one of these for each job.
    RunnerProgram::Job("Runner.Worker"),
    // GitLab's starts a shell for each stage of a job.
    RunnerProgram::Starter("gitlab-runner"),
    // These look after the containers that it has docker, containerd or podman start.
    RunnerProgram::Keeper("containerd-shim-runc-v2"),
    RunnerProgram::Keeper("conmon"),
];

const RUN: &str = "/run/runward";
const LOCK: &str = "/run/runward/agent.lock";
const SPOOL: &str = "/var/lib/runward/spool";
/// How long it waits where a job may be without an attendant.
const SOON: Duration = Duration::from_millis(100);
/// The longest it waits: the service manager wants to hear of it now and then.
const TICK: Duration = Duration::from_secs(5);

/// Runs until it is told to end.
pub(crate) fn serve(settings: &Path) -> Result<()> {
    check_machine()?;
    let machine = Machine::read(settings)?;
    let _lock = alone()?;
    let mut signals: SignalsInfo =
        SignalsInfo::new([SIGTERM, SIGINT]).context("cannot handle signals")?;
    let spool = Spool::open(Path::new(SPOOL), machine.spool_limit())
        .with_context(|| format!("cannot keep records in {SPOOL}"))?;
    let asked = status::listen()?;
    let forwarder = Forwarder::start(spool.clone(), machine.upload()?)?;
    let mut attendants = Attendants::found();
    let mut arrivals = Arrivals::open(&PROGRAMS)?;
    for arrival in arrivals
        .earlier()
        .context("cannot look for jobs that run")?
    {
        attendants.begin_earlier(arrival, &machine, &spool);
    }
    sweep();
    let mut supervisor = Supervisor::find();
    supervisor
        .ready()
        .context("cannot tell the service manager that the agent is there")?;
    output::say(format_args!(
        "jobs of this machine are watched, in {} mode unless they ask for more",
        machine.mode.name()
    ));
    loop {
        let fds =
            [arrivals.fd(), asked.as_fd()].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let tick = match attendants.is_in_doubt() {
            true => SOON,
            false => TICK,
        };
        wait(fds.into_iter().chain(attendants.fds()), tick);
        if signals.pending().next().is_some() {
            break;
        }
        for arrival in arrivals.take()? {
            attendants.begin(arrival, &machine, &spool);
        }
        if attendants.look(&machine, &spool) {
            forwarder.look();
        }
        status::answer(&asked, || {
            let spooled = spool.look().unwrap_or_default();
            AgentStatus {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                pid: std::process::id(),
                mode: machine.mode.name().to_owned(),
                policy: machine.sources.clone(),
                jobs: attendants.statuses(),
                waiting: spooled.waiting,
                bytes: spooled.bytes,
                trouble: forwarder.trouble(),
            }
        });
        // Where nobody listens any more, the service manager will act.
        let _ = supervisor.alive(Duration::from_nanos(Clock::boot_ns()));
    }
    let _ = supervisor.stopping();
    let late = arrivals.leave().unwrap_or_else(|error| {
        output::say(format_args!("cannot tell who was stopped last: {error}"));
        Vec::new()
    });
    attendants.leave(late, &machine, &spool);
    output::say("the agent ends: jobs that run stay watched, later ones are not");
    Ok(())
}

fn wait<'fd>(fds: impl Iterator<Item = PollFd<'fd>>, tick: Duration) {
    let mut fds: Vec<PollFd<'_>> = fds.collect();
    let tick = Timespec::try_from(tick).ok();
    // A signal ends it early.
    let _ = poll(&mut fds, tick.as_ref());
}

/// One agent for a machine.
fn alone() -> Result<File> {
    match fs::DirBuilder::new().mode(0o755).create(RUN) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(error).with_context(|| format!("cannot make {RUN}"));
        }
        _ => {}
    }
    let lock = File::create(LOCK).with_context(|| format!("cannot write {LOCK}"))?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!("another agent runs here: `runward agent status` tells of it");
    }
    Ok(lock)
}
