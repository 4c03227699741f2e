//! The attendant: holds a job that somebody else started, as `run` holds one of its own.
//!
//! Outside of the job, in a session of its own, without a terminal. Until everything that was asked for is in force it
//! speaks through who started it, and when that can't be, nothing is in force; afterwards it listens on its socket, and
//! what it has to say goes to a log. When it is killed, its pins leave the fence standing.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use runward_agent::{Finished, Job, JobError, Learns, Outputs, ReportFolder, Spool};
use runward_ci::is_of_containers;
use runward_detect::Selection;
use runward_event::{Mode, ProcessId};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, Signal, getpid, getppid, pidfd_open, pidfd_send_signal, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::SignalsInfo;

use super::client;
use super::control::{Asked, Control, answer};
use super::kept::Kept;
use super::learn::{Handed, Learner};
use super::place::Place;
use super::pod;
use super::root;
use super::so_far::{Eyes, Reporter};
use super::wire::{self, Answer, Begun, Request, Status, line};
use crate::cli::AttendOptions;
use crate::invoker::Invoker;
use crate::pace::Pace;
use crate::prepare::{First, Plan, Ready, Sent, own_variable};
use crate::report::{deliver, send_later, tell_upload};
use crate::{exit, fail_on, launch, outlast, output, rules};

/// What stands in the record of every such job.
const ADOPTED: &str = "The job ran before it was watched. Of processes from before, the start was not seen: what is told of them was read afterwards, and who had been left by its parent by then is not among them.";
const NO_OUTPUT: &str = "The output is not searched for secrets: it does not pass through Runward, because the job was started by somebody else.";
const AGAIN: &str = "This job had an attendant before, which has ended: what it saw stands in another record. What happened until this one held the job is in neither; the fence stood meanwhile.";
const NO_OUTPUT_HELD: &str = "The output is not searched for secrets: it does not pass through Runward, because the job's runner is watched from outside.";
/// The command that the proof is made in place of.
const NOTHING: &str = "true";

/// Between two reports that somebody asks for: a job that asks for them again and again costs no more than this.
const BETWEEN_REPORTS: Duration = Duration::from_secs(1);
/// How long the next stage of a job may take to begin. Runners begin it at once.
const BETWEEN_STAGES: Duration = Duration::from_secs(30);
/// Between two looks whether a report is written.
const BREATH: Duration = Duration::from_millis(10);

/// `runward __attend`.
pub(crate) fn attend(options: &AttendOptions) -> ExitCode {
    // Out of reach of the signals of the caller's terminal and process group. Where that fails, so does the caller.
    let _ = setsid();
    let begun = begin(options).and_then(|begun| begun.map(Attendant::detach).transpose());
    match begun {
        Ok(Some(attendant)) => attendant.hold(),
        Ok(None) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(format_args!("{error:#}"));
            ExitCode::from(exit::RUNWARD)
        }
    }
}

struct Attendant {
    job: Job,
    /// What it stands and falls with, as far as it has not ended.
    roots: Vec<OwnedFd>,
    processes: usize,
    place: Place,
    control: Control,
    reporter: Reporter,
    status: Status,
    /// Where it is to be learnt who the job is.
    learner: Option<Learner>,
    sent: Option<Sent>,
    hurried: bool,
    /// Whether the service holds it.
    held: bool,
    /// Of a job in stages, since when the last one is over.
    between: Option<Instant>,
    /// Whether no more stages come.
    is_last: bool,
    /// Why the job was ended before its time, if it was.
    ended: Option<String>,
    /// When reports were made last because somebody asked for them.
    reported: Option<Instant>,
    signals: SignalsInfo,
}

/// Begins to hold a job; `None` when the service of this machine holds it, and has taken the policy.
fn begin(options: &AttendOptions) -> Result<Option<Attendant>> {
    let signals = SignalsInfo::new([SIGHUP, SIGINT, SIGTERM]).context("cannot handle signals")?;
    let starter = starter(options.starter)?;
    if !options.held
        && let Some(status) = client::hand_over(&options.start.watch)?
    {
        let begun = Begun {
            job: status.job,
            root: status.root,
            mode: status.mode,
            processes: 0,
            report: status.report,
            policy: status.policy,
        };
        let mut out = std::io::stdout();
        out.write_all(&line(&begun)).and_then(|()| out.flush())?;
        return Ok(None);
    }
    let root = root::find(options.starter, options.start.root, options.held)?;
    let mut watch = options.start.watch.clone();
    watch.report = std::path::absolute(&watch.report).context("cannot tell the current folder")?;
    let rules = watch.rules.as_deref().map(rules::text).transpose()?;
    let invoker = Invoker::find()?;
    let script = if options.held {
        let variables = root::variables(root.pid);
        let found = || match options.slot.as_deref() {
            Some(slot) if is_of_containers(slot) => {
                let project = variables.get("CI_PROJECT_DIR");
                Some(root::workspace_of_container(root.pid, project))
            }
            Some(slot) => root::workspace_of(slot),
            None => root::work_folder(root.pid),
        };
        watch.workspace = watch.workspace.or_else(found);
        variables
    } else {
        root::environment(options.starter)
    };
    // What the service was started with says nothing of a job.
    let own = |name: &str| own_variable(name).filter(|_| !options.held);
    let variable = |name: &str| own(name).or_else(|| script.get(name).cloned());
    let mut plan = Plan::of(&watch, invoker.as_ref(), &variable)?;
    plan.note(&notes(options));
    if options.held {
        plan.learn(match options.children_tell {
            true => Learns::FromChildren,
            false => Learns::FromAll,
        });
    }
    plan.note(pod::note(root.pid).as_slice());
    let place = Place::create()?;
    let control = Control::new(place.listen()?);
    let mode = plan.mode();
    let sources = plan.policy_sources();
    let Ready {
        mut job,
        folder,
        fail_on,
        probe,
        sending,
        sources: said,
    } = plan.carry_out(First::Adopted {
        args: root.args.clone(),
        cwd: root.cwd.clone(),
    })?;
    let (learner, sent) = if options.held {
        (Some(Learner::new(said, mode, sending)), None)
    } else {
        (
            None,
            sending.map(|sending| sending.follow(&job)).transpose()?,
        )
    };
    let begun = prove(&mut job, probe).and_then(|()| {
        if !is_parent(options.starter) {
            bail!("who started this has ended");
        }
        let own = pidfd_open(getpid(), PidfdFlags::empty()).context("cannot find myself")?;
        let spared = [own.as_fd(), starter.as_fd()];
        let processes = job.adopt(root.handle.as_fd(), root.pid, &spared)?;
        // Also where the agent that knew of the one before is gone.
        let others = match options.held {
            true => job.take_over(root.pid)?,
            false => Vec::new(),
        };
        Ok((processes + others.len(), others))
    });
    let (processes, others) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            job.abandon();
            return Err(error);
        }
    };
    let root_pid = root.pid;
    let mut roots = vec![root.handle];
    if options.slot.as_deref().is_some_and(is_of_containers) {
        // Each is the first process of a container.
        roots.extend(others);
    }
    let mut attendant = Attendant {
        status: Status {
            job: place.id.clone(),
            root: root_pid,
            attendant: std::process::id(),
            mode: mode.name().to_owned(),
            policy: sources,
            report: folder.path().display().to_string(),
            held: options.held,
            slot: options.slot.clone(),
        },
        reporter: Reporter {
            folder: Arc::new(folder),
            rules,
            fail_on,
            log: place.log_path().display().to_string(),
            busy: Arc::new(AtomicBool::new(false)),
        },
        job,
        roots,
        processes,
        place,
        control,
        learner,
        sent,
        hurried: !options.start.watch.lockdown.is_empty(),
        held: options.held,
        between: None,
        is_last: options.slot.is_none(),
        ended: None,
        reported: None,
        signals,
    };
    if options.held
        && let Err(error) = attendant.resume(root_pid)
    {
        attendant.job.abandon();
        return Err(error);
    }
    // A container says in its own environment who the job is: then that is in force before its first instruction.
    attendant.learn_or_end();
    Ok(Some(attendant))
}

fn notes(options: &AttendOptions) -> Vec<String> {
    let begun = match options {
        AttendOptions { again: true, .. } => Some(AGAIN),
        AttendOptions {
            held: true,
            runs: false,
            ..
        } => None,
        _ => Some(ADOPTED),
    };
    let output = if options.held {
        NO_OUTPUT_HELD
    } else {
        NO_OUTPUT
    };
    begun
        .into_iter()
        .chain([output])
        .map(str::to_owned)
        .collect()
}

fn has_ended(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn has_hung_up(stream: &UnixStream) -> bool {
    let mut fds = [PollFd::new(stream, PollFlags::empty())];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

fn is_parent(pid: u32) -> bool {
    getppid().is_some_and(|parent| parent.as_raw_nonzero().get().cast_unsigned() == pid)
}

/// The process that waits for this one: its parent, or nobody.
fn starter(pid: u32) -> Result<OwnedFd> {
    let parent = getppid().filter(|_| is_parent(pid));
    parent
        .and_then(|parent| pidfd_open(parent, PidfdFlags::empty()).ok())
        .filter(|_| getppid() == parent)
        .context("who started this has ended")
}

/// Has a process of the job find that the fence stands, before anybody else is in it.
fn prove(job: &mut Job, probe: Option<std::net::SocketAddr>) -> Result<()> {
    if probe.is_none() {
        return Ok(());
    }
    let command = [NOTHING.into()];
    let mut child = launch::start(&command, None, probe, None, &mut Outputs::default())?;
    let proved = job
        .admit_probe(child.id())
        .map_err(anyhow::Error::from)
        .and_then(|()| launch::prove(&child));
    // It has stopped itself again, and never becomes the command.
    let _ = child.kill();
    let _ = child.wait();
    proved?;
    Ok(job.forget_probe()?)
}

impl Attendant {
    /// Tells who waits that the job is held, and lets go of everything that is the caller's.
    fn detach(self) -> Result<Attendant> {
        let detached = self.place.log().and_then(|log| {
            let begun = Begun {
                job: self.status.job.clone(),
                root: self.status.root,
                mode: self.status.mode.clone(),
                processes: self.processes,
                report: self.status.report.clone(),
                policy: self.status.policy.clone(),
            };
            let nothing = File::open("/dev/null").context("cannot open /dev/null")?;
            std::env::set_current_dir("/").context("cannot leave the folder of the job")?;
            dup2_stdin(&nothing).context("cannot leave the caller's input")?;
            let mut out = std::io::stdout();
            let told = out.write_all(&line(&begun)).and_then(|()| out.flush());
            // A service that is gone is followed by another one, which finds this by its socket.
            if !self.held {
                told.context("nobody waits for the job any more")?;
            }
            // Who waited knows now that the job is held: from here on, nothing may fail.
            if self.held {
                let _ = dup2_stdout(&nothing);
            } else {
                let _ = dup2_stdout(&log);
                let _ = dup2_stderr(&log);
            }
            Ok(())
        });
        match detached {
            Ok(()) => Ok(self),
            Err(error) => {
                self.job.abandon();
                Err(error)
            }
        }
    }

    /// Until the root has ended.
    fn hold(mut self) -> ExitCode {
        let failure = self.watch();
        let (code, signal) = self.job.root_exit().unwrap_or((0, None));
        let Attendant {
            job,
            place,
            reporter,
            mut learner,
            mut sent,
            held,
            ..
        } = self;
        if let Some(learner) = &mut learner {
            match learner.send(&job) {
                Ok(begun) => sent = sent.or(begun),
                Err(error) => output::say(format_args!("{error:#}")),
            }
        }
        let finished = failure.map_or_else(|| job.finish(code, signal), Err);
        outlast::leave_behind();
        while !reporter.claim() {
            // A report of the job as it was is on its way; the last one is written last.
            std::thread::sleep(BREATH);
        }
        let ended = match finished {
            Ok(finished) => {
                tell(&reporter.folder, &finished);
                ExitCode::SUCCESS
            }
            Err(error) => {
                output::say(format_args!("the record of this job broke off: {error}"));
                ExitCode::from(exit::FAILURE)
            }
        };
        if let Some(sent) = sent {
            let later = match held {
                true => "the agent sends it later".to_owned(),
                false => send_later(&reporter.folder),
            };
            let sent = tell_upload(sent, &later);
            if sent
                && held
                && let Err(error) = Spool::mark_sent(reporter.folder.path())
            {
                output::say(format_args!(
                    "{}: it will be sent once more, which changes nothing: {error}",
                    reporter.folder.path().display()
                ));
            }
        }
        reporter.folder.finish();
        drop(place);
        ended
    }

    /// An error means that the record broke off; the fence stands for all that.
    fn watch(&mut self) -> Option<JobError> {
        let mut hurried = self.hurried;
        let mut pace = Pace::new(hurried);
        let mut rested = true;
        loop {
            let timeout = Timespec::try_from(pace.tick()).ok();
            let mut fds = vec![PollFd::from_borrowed_fd(
                self.job.urgent_fd(),
                PollFlags::IN,
            )];
            fds.extend(
                self.roots
                    .iter()
                    .map(|root| PollFd::new(root, PollFlags::IN)),
            );
            let waits_for = fds.len();
            if rested {
                // Every other time at most, so that a job that asks or reads such files over and over does not keep us
                // awake.
                let sensitive = self.job.sensitive_fd().into_iter();
                let asked = sensitive.chain(self.control.fds());
                fds.extend(asked.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            }
            let _ = poll(&mut fds, timeout.as_ref());
            let woken = |fd: &PollFd<'_>| !fd.revents().is_empty();
            rested = !fds.iter().skip(waits_for).any(woken);
            self.look_at_roots();
            let told_to_end = self.signals.pending().next().is_some();
            let asked = self.control.take(&self.job);
            let ticked = asked
                .into_iter()
                .try_for_each(|asked| self.serve(asked))
                .and_then(|()| self.job.tick());
            match ticked {
                Ok(busy) => pace.after(busy),
                Err(error) => return Some(error),
            }
            if self.hurried && !hurried {
                hurried = true;
                pace.hurry();
            }
            self.learn_or_end();
            let told = self.job.take_refusals().into_iter();
            let told = told.chain(self.job.take_findings());
            for sentence in told.chain(self.job.take_lockdown()) {
                self.say(&sentence);
            }
            if told_to_end || self.is_over() {
                return None;
            }
        }
    }

    fn look_at_roots(&mut self) {
        self.roots.retain(|root| !has_ended(root));
        if self.roots.is_empty() {
            self.between.get_or_insert_with(Instant::now);
        }
    }

    /// Whether its processes have ended, and none follows.
    fn is_over(&self) -> bool {
        let is_late = |since: Instant| self.is_last || since.elapsed() >= BETWEEN_STAGES;
        self.between.is_some_and(is_late)
    }

    /// Goes on with the next stage.
    fn join(&mut self, asker: u32, pid: u32, last: bool) -> Answer {
        self.look_at_roots();
        let slot = self.status.slot.as_deref();
        let is_free = self.roots.is_empty() || slot.is_some_and(is_of_containers);
        if self.is_last || !is_free {
            return Answer::NotYours;
        }
        let failed = |error: anyhow::Error| Answer::Failed {
            why: format!("{error:#}"),
        };
        let root = match root::find(asker, Some(pid), true) {
            Ok(root) => root,
            Err(error) => return failed(error),
        };
        // What the stage before has told of the job is in force before the next one begins.
        let caught_up = self.job.tick();
        self.learn_or_end();
        let killed = self.job.is_killed().then(|| "lockdown".to_owned());
        let result = match self.ended.clone().or(killed) {
            Some(why) => Err(Answer::Killed { why }),
            None => caught_up
                .and_then(|_| self.job.join(root.handle.as_fd(), root.pid))
                .map_err(|error| failed(error.into())),
        };
        match result {
            Ok(()) => {
                if let Some(learner) = &self.learner {
                    learner.keep(&self.job);
                }
                self.status.root = root.pid;
                self.roots.push(root.handle);
                self.between = None;
                self.is_last = last;
                Answer::Joined(self.status.clone())
            }
            Err(answer) => {
                // It has a place in the job perhaps, and must not run past the fence.
                let is_over = matches!(answer, Answer::Killed { .. });
                if is_over || self.status.mode == Mode::Block.name() {
                    let _ = pidfd_send_signal(&root.handle, Signal::KILL);
                }
                answer
            }
        }
    }

    /// Who asks for more than can be had must not go on with less.
    fn learn_or_end(&mut self) {
        if let Err(error) = self.learn() {
            end(&self.job, &self.status.job, &error);
            self.ended = Some(format!("{error:#}"));
        }
    }

    fn learn(&mut self) -> Result<()> {
        if let Some(learner) = &mut self.learner
            && let Some(sent) = learner.look(&mut self.job, &self.reporter.folder)?
        {
            self.sent = Some(sent);
        }
        self.know();
        Ok(())
    }

    /// What is in force stands in the answer to who asks.
    fn know(&mut self) {
        if let Some(learner) = &self.learner {
            learner.mode().name().clone_into(&mut self.status.mode);
            self.status.policy = learner.written().to_vec();
        }
    }

    /// Where the service's words go, those of all jobs do.
    fn say(&self, sentence: &str) {
        if self.held {
            output::say(format_args!("job {}: {sentence}", self.status.job));
        } else {
            output::say(sentence);
        }
    }

    /// Puts in force what an attendant before this one had learnt, before the fence that it has left is removed.
    fn resume(&mut self, root: u32) -> Result<()> {
        let Some(kept) = Kept::of(root)? else {
            return Ok(());
        };
        let is_handed = kept.handed.is_some();
        let (fail_on, lockdown) = self.lists(&kept.handed.clone().unwrap_or_default())?;
        if let Some(learner) = &mut self.learner {
            learner.resume(kept, &lockdown, &mut self.job, &self.reporter.folder)?;
        }
        if is_handed {
            self.reporter.fail_on = fail_on;
        }
        self.hurried |= !lockdown.is_empty();
        self.know();
        Ok(())
    }

    /// What a policy names: the findings on which a job fails, and those on which it is killed.
    fn lists(&self, policy: &wire::Policy) -> Result<(Selection, Selection)> {
        let rules = self.reporter.abouts();
        let fail_on = fail_on::parse("--fail-on", &policy.fail_on, &rules)?;
        let lockdown = fail_on::parse("--lockdown", &policy.lockdown, &rules)?;
        Ok((fail_on, lockdown))
    }

    /// A policy of the job's own: where the service holds the job, one is taken, early; else none.
    fn take_policy(
        &mut self,
        policy: &wire::Policy,
        process: ProcessId,
        pid: u32,
    ) -> Result<Answer, JobError> {
        let lists = self.lists(policy);
        let handed = match (&mut self.learner, lists) {
            (None, _) => Handed::Refused,
            (Some(_), Err(error)) => Handed::Wrong(format!("{error:#}")),
            (Some(learner), Ok((fail_on, lockdown))) => {
                let handed = learner.take(policy, &lockdown, &mut self.job, &self.reporter.folder);
                let handed = handed.unwrap_or_else(|error| {
                    end(&self.job, &self.status.job, &error);
                    let why = format!("{error:#}");
                    self.ended = Some(why.clone());
                    Handed::Wrong(why)
                });
                if matches!(handed, Handed::InForce) {
                    self.reporter.fail_on = fail_on;
                    self.hurried |= !lockdown.is_empty();
                }
                handed
            }
        };
        self.know();
        match handed {
            Handed::InForce => Ok(Answer::Tightened(self.status.clone())),
            Handed::Wrong(why) => Ok(Answer::Refused { why }),
            Handed::Refused => {
                self.job.record_refused_policy(process, pid)?;
                Ok(Answer::Taken {
                    job: self.status.job.clone(),
                })
            }
        }
    }

    fn serve(&mut self, asked: Asked) -> Result<(), JobError> {
        let Asked {
            stream,
            peer,
            request,
        } = asked;
        match request {
            Request::Begin { policy } => match peer.place {
                Some((_, process)) => {
                    let told = self.take_policy(&policy, process, peer.pid)?;
                    answer(&stream, &told);
                }
                None => answer(&stream, &Answer::NotYours),
            },
            Request::Status {} => answer(&stream, &Answer::Status(self.status.clone())),
            Request::Join { .. } | Request::Over {} if peer.place.is_some() => {
                answer(&stream, &Answer::NotYours);
            }
            // Who waits no longer has the process watched otherwise.
            Request::Join { .. } if has_hung_up(&stream) => {}
            Request::Join { root, last } => answer(&stream, &self.join(peer.pid, root, last)),
            Request::Over {} => {
                self.is_last = true;
                answer(&stream, &Answer::Status(self.status.clone()));
            }
            Request::End { width, color } => {
                let last = self.reported.replace(Instant::now());
                let is_soon = last.is_some_and(|last| last.elapsed() < BETWEEN_REPORTS);
                if is_soon || !self.reporter.claim() {
                    self.reported = last;
                    answer(&stream, &Answer::Busy);
                    return Ok(());
                }
                match self.job.so_far() {
                    Ok(so_far) => self.reporter.tell(so_far, Eyes { width, color }, stream),
                    Err(error) => {
                        self.reporter.release();
                        return Err(error);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Ends a job of the service: who asks for more than can be had must not go on with less.
fn end(job: &Job, name: &str, why: &anyhow::Error) {
    output::say(format_args!("job {name}: {why:#}: the job is ended"));
    match job.end_all() {
        Ok(true) => {}
        Ok(false) => output::say(format_args!(
            "job {name}: its processes make others faster than they can be ended"
        )),
        Err(error) => output::say(format_args!("job {name}: cannot end the job: {error}")),
    }
}

fn tell(folder: &ReportFolder, finished: &Finished) {
    if let Some(sentence) = &finished.lockdown {
        output::say(sentence);
    }
    deliver(folder, finished);
}
