//! The jobs of this machine, and the attendants that hold them.
//!
//! A job waits, stopped, until its attendant holds it. An attendant that ends before its job is followed by another one:
//! meanwhile the fence stands by itself.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use runward_agent::{Spool, environment_of, variables};
use runward_ci::{Stage, StagePlace, container_slot, is_of_job};
use runward_event::Mode;
use runward_sensor::{Arrival, ArrivalKind, StillRunning, leftovers};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::machine::Machine;
use super::script::{self, Script};
use crate::cli;
use crate::job::{Begun, Joined, Status, close, jobs_at_a_glance, join, slot_of};
use crate::policy::sources::VARIABLES;
use crate::{exit, output};

/// How long an attendant may take until it holds its job.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an attendant that has hung up may take to end.
const BREATH: Duration = Duration::from_secs(1);
/// How long the agent waits, when it is told to end, for attendants that are about to hold a job.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(5);
/// How often one job gets another attendant.
const ATTENDANTS_MAX: u32 = 10;
/// The longest that an attendant tells, in bytes.
const BEGUN_MAX: usize = 64 << 10;
/// Jobs that are held at once. Beyond, a job waits until another one ends. The kernel takes 64 programs at one place of a
/// control group: each sensor has one there, and so have others on the machine.
const JOBS_MAX: usize = 48;

/// All jobs of this machine.
pub(crate) struct Attendants {
    jobs: Vec<Held>,
    /// Those in stages that an earlier agent has left between two of them.
    between: Vec<Status>,
    /// Those for whom there was no room yet, and what their jobs' stages are known by.
    waiting: VecDeque<(Arrival, Option<String>)>,
    /// Those of whom it is not known yet which job they are of, or whose job nobody holds yet.
    unread: Vec<(Arrival, Clue)>,
    /// Those that an agent which is gone has had attended to, as it seems; since when.
    unclear: Vec<(Arrival, Instant)>,
}

/// By what it is found which job a process is of.
enum Clue {
    /// The script that it is going to read.
    Script(Script),
    /// What the job is known by. Its attendant does not hold it yet.
    Slot(String),
}

struct Held {
    root: Arrival,
    /// Other processes that it stands and falls with, some of which may have ended.
    others: Vec<Arrival>,
    /// What the stages of a job are known by that has more than one.
    slot: Option<String>,
    holder: Holder,
    /// How many attendants it had before this one.
    before: u32,
}

/// The job whose next stage begins.
enum Earlier<'a> {
    Held(&'a mut Held),
    Found(Status),
}

enum Holder {
    /// Does not hold it yet.
    Starting {
        slot: Option<String>,
        child: Child,
        told: ChildStdout,
        said: Vec<u8>,
        since: Instant,
    },
    Holding {
        attendant: OwnedFd,
        /// `None` for one that an earlier agent has started.
        child: Option<Child>,
        status: Status,
    },
}

/// What became of an attendant that was starting.
enum Told {
    NotYet,
    Holds(Begun),
    Failed,
}

impl Attendants {
    /// Finds the attendants that an earlier agent has left, with their jobs.
    pub(crate) fn found() -> Attendants {
        let mut jobs = Vec::new();
        let mut between = Vec::new();
        for status in jobs_at_a_glance() {
            let is_staged = status.held && status.slot.is_some();
            match Held::found(status.clone()) {
                Some(held) => jobs.push(held),
                None if is_staged => between.push(status),
                None => {}
            }
        }
        Attendants {
            jobs,
            between,
            waiting: VecDeque::new(),
            unread: Vec::new(),
            unclear: Vec::new(),
        }
    }

    /// What tells that [`Attendants::look`] has something to do.
    pub(crate) fn fds(&self) -> impl Iterator<Item = PollFd<'_>> {
        let jobs = self.jobs.iter().map(|held| match &held.holder {
            Holder::Starting { told, .. } => told.as_fd(),
            Holder::Holding { attendant, .. } => attendant.as_fd(),
        });
        let jobs = jobs.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        let scripts = self.unread.iter().filter_map(|(_, clue)| match clue {
            // That it is written to says nothing yet.
            Clue::Script(script) => {
                Some(PollFd::from_borrowed_fd(script.as_fd(), PollFlags::empty()))
            }
            Clue::Slot(_) => None,
        });
        jobs.chain(scripts)
    }

    /// The jobs that are held.
    pub(crate) fn statuses(&self) -> Vec<Status> {
        let held = self.jobs.iter().filter_map(|held| match &held.holder {
            Holder::Holding { status, .. } => Some(status.clone()),
            Holder::Starting { .. } => None,
        });
        held.collect()
    }

    /// Has an attendant hold a job that begins, or that runs already.
    pub(crate) fn begin(&mut self, root: Arrival, machine: &Machine, spool: &Spool) {
        if self.knows(&root) {
            return;
        }
        if is_held(&root) {
            // A process of a job took a runner's name, or the job was begun by hand.
            return release(&root);
        }
        if has_ended(&root) {
            // It may have been held, and is not to be found any more.
            return;
        }
        let contained = || {
            let variables = variables(&environment_of(root.pid));
            container_slot(&|name| variables.get(name).cloned(), &VARIABLES)
        };
        let clue = match root.kind {
            ArrivalKind::Program => None,
            ArrivalKind::Started => Script::of(&root).map(Clue::Script),
            ArrivalKind::Contained => contained().map(Clue::Slot),
        };
        match clue {
            Some(clue) => self.unread.push((root, clue)),
            None => self.begin_job(root, None, machine, spool),
        }
    }

    /// Whether a process was told before.
    fn knows(&self, process: &Arrival) -> bool {
        let held = self.jobs.iter().map(|held| &held.root);
        let waiting = self.waiting.iter().map(|(root, _)| root);
        let unread = self.unread.iter().map(|(root, _)| root);
        let unclear = self.unclear.iter().map(|(root, _)| root);
        held.chain(waiting)
            .chain(unread)
            .chain(unclear)
            .any(|known| known.pid == process.pid && !has_ended(known))
    }

    /// Goes on with those whose script can be read by now.
    fn read(&mut self, machine: &Machine, spool: &Spool) {
        for (root, clue) in std::mem::take(&mut self.unread) {
            match clue {
                Clue::Slot(slot) => self.begin_contained(root, slot, machine, spool),
                Clue::Script(script) => match script.look() {
                    script::Looked::NotYet => self.unread.push((root, Clue::Script(script))),
                    script::Looked::Is(None) => {
                        output::say(format_args!(
                            "process {}, which a runner has started, reads no script of a stage: it is watched as a job of its own",
                            root.pid
                        ));
                        self.begin_job(root, None, machine, spool);
                    }
                    script::Looked::Is(Some(stage)) => {
                        self.begin_stage(root, stage, machine, spool);
                    }
                },
            }
        }
    }

    /// A container of a job that may have others: the first one begins it.
    fn begin_contained(&mut self, root: Arrival, slot: String, machine: &Machine, spool: &Spool) {
        let known = best(self.jobs.iter().map(|held| held.slot.as_deref()), &slot);
        if let Some(at) = known
            && matches!(
                self.jobs.get(at).map(|held| &held.holder),
                Some(Holder::Starting { .. })
            )
        {
            return self.unread.push((root, Clue::Slot(slot)));
        }
        if is_held(&root) {
            // An attendant has taken it over with others, behind the fence of one that is gone.
            release(&root);
            if let Some(held) = known.and_then(|at| self.jobs.get_mut(at)) {
                held.others.push(root);
            }
            return;
        }
        match self.earlier(&slot) {
            None => self.begin_job(root, Some(slot), machine, spool),
            Some(earlier) => match follow(earlier, root, false) {
                Followed::Goes(found) => self.jobs.extend(found.map(|found| *found)),
                // The other job is known by nothing any more.
                Followed::Not(root) => self.begin_job(root, Some(slot), machine, spool),
            },
        }
    }

    /// The job that is known by this.
    fn earlier(&mut self, slot: &str) -> Option<Earlier<'_>> {
        let between = self.between.iter().map(|status| status.slot.as_deref());
        match best(between, slot) {
            Some(at) => Some(Earlier::Found(self.between.swap_remove(at))),
            None => {
                let held = best(self.jobs.iter().map(|held| held.slot.as_deref()), slot);
                held.and_then(|at| self.jobs.get_mut(at)).map(Earlier::Held)
            }
        }
    }

    /// A stage of a job: the first one begins it, and the others go on in it.
    fn begin_stage(&mut self, root: Arrival, stage: Stage, machine: &Machine, spool: &Spool) {
        let Stage { slot, place } = stage;
        // Only who has started the stage before starts the next one.
        let Some(starter) = root.parent() else {
            return self.begin_job(root, None, machine, spool);
        };
        let slot = slot_of(starter, &slot);
        let (root, is_free) = match self.earlier(&slot) {
            None => (root, true),
            Some(earlier) if !earlier.is_between() => {
                output::say(format_args!(
                    "process {} begins a stage of a job of which another one still runs: it is watched as a job of its own",
                    root.pid
                ));
                // Two that claim the same are told apart by nothing: neither gets what comes later.
                earlier.close();
                (root, false)
            }
            Some(earlier) if place == StagePlace::First => {
                earlier.close();
                (root, true)
            }
            Some(earlier) => match follow(earlier, root, place == StagePlace::Last) {
                Followed::Goes(found) => return self.jobs.extend(found.map(|found| *found)),
                Followed::Not(root) => (root, true),
            },
        };
        let slot = Some(slot).filter(|_| is_free && place != StagePlace::Last);
        self.begin_job(root, slot, machine, spool);
    }

    fn begin_job(&mut self, root: Arrival, slot: Option<String>, machine: &Machine, spool: &Spool) {
        if self.jobs.len() >= JOBS_MAX {
            output::say(format_args!(
                "{JOBS_MAX} jobs are watched already: the one that begins with process {} waits",
                root.pid
            ));
            self.waiting.push_back((root, slot));
            return;
        }
        self.start(root, slot, 0, machine, spool);
    }

    /// The same for one that was there before this agent: an attendant may hold it that has not said so yet.
    pub(crate) fn begin_earlier(&mut self, root: Arrival, machine: &Machine, spool: &Spool) {
        if self.jobs.iter().any(|held| held.root.pid == root.pid) {
            return;
        }
        if is_held(&root) {
            self.unclear.push((root, Instant::now()));
        } else {
            self.begin(root, machine, spool);
        }
    }

    /// Asks again about those of which it is not clear who holds them.
    fn clear_up(&mut self, machine: &Machine, spool: &Spool) {
        if self.unclear.is_empty() {
            return;
        }
        let statuses = jobs_at_a_glance();
        for (root, since) in std::mem::take(&mut self.unclear) {
            let status = statuses.iter().find(|status| status.root == root.pid);
            if let Some(held) = status.cloned().and_then(Held::found) {
                self.jobs.push(held);
            } else if !is_held(&root) {
                self.begin(root, machine, spool);
            } else if since.elapsed() >= PATIENCE {
                // It is the first process of no job, but in one.
                release(&root);
            } else {
                self.unclear.push((root, since));
            }
        }
    }

    /// Whether [`Attendants::look`] should be called soon, whatever the descriptors tell.
    pub(crate) fn is_in_doubt(&self) -> bool {
        !self.unclear.is_empty() || !self.unread.is_empty()
    }

    fn start(
        &mut self,
        root: Arrival,
        slot: Option<String>,
        before: u32,
        machine: &Machine,
        spool: &Spool,
    ) {
        let runs = !root.waits();
        match Holder::start(&root, slot.as_deref(), runs, before > 0, machine, spool) {
            Ok(holder) => self.jobs.push(Held {
                root,
                others: Vec::new(),
                slot,
                holder,
                before,
            }),
            Err(error) => {
                output::say(format_args!("{error:#}"));
                give_up(&root, machine);
            }
        }
    }

    /// Goes on with every job whose attendant has something to tell or has ended. Returns whether a record was finished.
    pub(crate) fn look(&mut self, machine: &Machine, spool: &Spool) -> bool {
        self.clear_up(machine, spool);
        self.read(machine, spool);
        let finished = self.look_at_holders(machine, spool);
        if finished {
            sweep();
        }
        while self.jobs.len() < JOBS_MAX
            && let Some((root, slot)) = self.waiting.pop_front()
        {
            self.start(root, slot, 0, machine, spool);
        }
        finished
    }

    fn look_at_holders(&mut self, machine: &Machine, spool: &Spool) -> bool {
        let mut finished = false;
        for held in std::mem::take(&mut self.jobs) {
            let Held {
                root,
                others,
                slot,
                mut holder,
                before,
            } = held;
            match holder.look() {
                Looked::Goes => self.jobs.push(Held {
                    root,
                    others,
                    slot,
                    holder,
                    before,
                }),
                Looked::Holds(begun) => match Holder::holding(holder, begun) {
                    Ok(holder) => {
                        // What its predecessor has left would answer no question for names any more.
                        remove_fences_of_the_dead(&root);
                        release(&root);
                        self.jobs.push(Held {
                            root,
                            others,
                            slot,
                            holder,
                            before,
                        });
                    }
                    Err(error) => {
                        output::say(format_args!("{error:#}"));
                        give_up(&root, machine);
                    }
                },
                Looked::Failed { why: Why::Said } if before == 0 => give_up(&root, machine),
                Looked::Failed { .. } => self.again(root, slot, before, machine, spool),
                Looked::Ended => {
                    finished = true;
                    let roots = std::iter::once(root).chain(others);
                    // The next attendant finds the others by the fence that stands round all of them.
                    let Some(root) = roots.into_iter().find(|root| !has_ended(root)) else {
                        continue;
                    };
                    output::say(format_args!(
                        "the attendant of the job that begins with process {} has ended before it: another one follows",
                        root.pid
                    ));
                    self.again(root, slot, before, machine, spool);
                }
            }
        }
        finished
    }

    fn again(
        &mut self,
        root: Arrival,
        slot: Option<String>,
        before: u32,
        machine: &Machine,
        spool: &Spool,
    ) {
        if has_ended(&root) {
            return;
        }
        if before + 1 >= ATTENDANTS_MAX {
            output::say(format_args!(
                "the job that begins with process {} had {ATTENDANTS_MAX} attendants, and none stayed",
                root.pid
            ));
            return give_up(&root, machine);
        }
        self.start(root, slot, before + 1, machine, spool);
    }

    /// Waits for those attendants that are about to hold their jobs, and lets go of everybody else who waits. To be called
    /// when the agent ends because it was told to, and no more arrive.
    pub(crate) fn leave(mut self, late: Vec<Arrival>, machine: &Machine, spool: &Spool) {
        let since = Instant::now();
        while self.starts() && since.elapsed() < LEAVE_PATIENCE {
            self.look_at_holders(machine, spool);
            std::thread::sleep(LOOK);
        }
        let waiting = self.waiting.into_iter().map(|(root, _)| root);
        let unread = self.unread.into_iter().map(|(root, _)| root);
        let unclear = self.unclear.into_iter().map(|(root, _)| root);
        let starting = self.jobs.into_iter().filter_map(|held| match held.holder {
            Holder::Starting { .. } => Some(held.root),
            Holder::Holding { .. } => None,
        });
        let nobodys = late.into_iter().chain(waiting).chain(unread);
        for root in nobodys.chain(unclear).chain(starting) {
            if root.waits() {
                output::say(format_args!(
                    "effective mode: none: process {}, with which a job begins, runs unwatched",
                    root.pid
                ));
                release(&root);
            }
        }
    }

    fn starts(&self) -> bool {
        let mut jobs = self.jobs.iter();
        jobs.any(|held| matches!(held.holder, Holder::Starting { .. }))
    }
}

/// Removes the fences of attendants that were killed and that nobody needs any more: there is room for so many.
pub(crate) fn sweep() {
    for leftover in leftovers().unwrap_or_default() {
        if leftover.running == StillRunning::Nobody {
            // Should it stay, the next look finds it.
            let _ = leftover.remove();
        }
    }
}

/// What an attendant does.
enum Looked {
    Goes,
    Holds(Begun),
    Failed { why: Why },
    Ended,
}

/// Why an attendant does not hold its job.
enum Why {
    /// It can't, and has said why: the next one couldn't either.
    Said,
    /// It was ended, or takes too long.
    Unknown,
}

impl Held {
    /// A job of an earlier agent, by what its attendant answers.
    fn found(status: Status) -> Option<Held> {
        if !status.held {
            // Begun by hand, and nobody's but its own.
            return None;
        }
        let mut root = Arrival::of(status.root).ok()??;
        if status.slot.is_some() {
            root.kind = ArrivalKind::Started;
        }
        // The agent that its attendant told was gone before it could let the job go on.
        if root.waits() {
            release(&root);
        }
        let attendant = handle(status.attendant).ok()?;
        Some(Held {
            root,
            others: Vec::new(),
            slot: status.slot.clone(),
            holder: Holder::Holding {
                attendant,
                child: None,
                status,
            },
            before: 0,
        })
    }
}

/// Which of these is the job that something known by `slot` is of.
fn best<'a>(known: impl Iterator<Item = Option<&'a str>> + Clone, slot: &str) -> Option<usize> {
    let same = known.clone().position(|known| known == Some(slot));
    same.or_else(|| {
        let mut known = known;
        known.position(|known| known.is_some_and(|known| is_of_job(slot, known)))
    })
}

/// Has a process go on in its job, if that can be.
fn follow(earlier: Earlier<'_>, root: Arrival, last: bool) -> Followed {
    match earlier.go_on(&root, last) {
        Ok(Next::Goes(found)) => {
            release(&root);
            Followed::Goes(found)
        }
        Ok(Next::Killed(why)) => {
            output::say(format_args!(
                "process {} begins a stage of a job that was ended ({why}), and was ended, too",
                root.pid
            ));
            Followed::Goes(None)
        }
        Err(error) => {
            output::say(format_args!(
                "process {} begins a stage of a job, whose attendant does not take it: {error:#}: it is watched as a job of its own",
                root.pid
            ));
            Followed::Not(root)
        }
    }
}

/// What became of a process that may go on in a job.
enum Followed {
    /// It does, or was ended. The job, if it was not among the others.
    Goes(Option<Box<Held>>),
    /// It needs a job of its own.
    Not(Arrival),
}

/// What becomes of a stage that goes on in its job.
enum Next {
    /// It is held. The job, if it was not among the others.
    Goes(Option<Box<Held>>),
    /// The job was ended before, and so is its stage; with the reason.
    Killed(String),
}

impl Earlier<'_> {
    /// Whether its stage is over.
    fn is_between(&self) -> bool {
        match self {
            Earlier::Held(held) => has_ended(&held.root),
            Earlier::Found(_) => true,
        }
    }

    /// Has its attendant go on with the next one.
    fn go_on(self, root: &Arrival, last: bool) -> Result<Next> {
        match self {
            Earlier::Held(held) => {
                // Whatever comes of it: what it has now is not known otherwise.
                let slot = held.slot.take();
                let Holder::Holding { status, .. } = &mut held.holder else {
                    anyhow::bail!("it does not hold the job yet");
                };
                match join(&status.job, root.pid, last)? {
                    Joined::Killed(why) => {
                        held.slot = slot;
                        Ok(Next::Killed(why))
                    }
                    Joined::Goes(now) => {
                        *status = now;
                        held.slot = slot.filter(|_| !last);
                        let kind = root.kind;
                        let mut root = Arrival::of(root.pid)?.context("the process has ended")?;
                        root.kind = kind;
                        held.others.retain(|other| !has_ended(other));
                        held.others.push(std::mem::replace(&mut held.root, root));
                        Ok(Next::Goes(None))
                    }
                }
            }
            Earlier::Found(status) => Ok(match join(&status.job, root.pid, last)? {
                Joined::Killed(why) => Next::Killed(why),
                Joined::Goes(now) => Next::Goes(Held::found(now).map(Box::new)),
            }),
        }
    }

    /// Tells its attendant that there are no more.
    fn close(self) {
        match self {
            Earlier::Held(held) => {
                held.slot = None;
                if let Holder::Holding { status, .. } = &held.holder {
                    close(&status.job);
                }
            }
            Earlier::Found(status) => close(&status.job),
        }
    }
}

impl Holder {
    fn start(
        root: &Arrival,
        slot: Option<&str>,
        runs: bool,
        again: bool,
        machine: &Machine,
        spool: &Spool,
    ) -> Result<Holder> {
        let mut words: Vec<OsString> = vec![
            cli::attend_name().into(),
            format!("--starter={}", std::process::id()).into(),
            format!("--root={}", root.pid).into(),
            "--held".into(),
        ];
        if again {
            words.push("--again".into());
        } else if runs {
            words.push("--runs".into());
        }
        if root.kind == ArrivalKind::Program {
            words.push("--children-tell".into());
        }
        words.extend(slot.map(|slot| format!("--slot={slot}").into()));
        let mut report = OsString::from("--report=");
        report.push(spool.place(root.pid));
        words.push(report);
        words.extend(machine.options());
        let mut child = Command::new("/proc/self/exe")
            .arg0("runward")
            .args(words)
            .envs(machine.variables())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start a process that holds a job")?;
        let told = child.stdout.take();
        Ok(Holder::Starting {
            slot: slot.map(str::to_owned),
            told: told.context("cannot hear the process that holds a job")?,
            child,
            said: Vec::new(),
            since: Instant::now(),
        })
    }

    fn holding(holder: Holder, begun: Begun) -> Result<Holder> {
        let Holder::Starting { child, slot, .. } = holder else {
            return Ok(holder);
        };
        let pid = child.id();
        let attendant = handle(pid).context("cannot look after the process that holds a job")?;
        Ok(Holder::Holding {
            attendant,
            child: Some(child),
            status: Status {
                job: begun.job,
                root: begun.root,
                attendant: pid,
                mode: begun.mode,
                policy: begun.policy,
                report: begun.report,
                held: true,
                slot,
            },
        })
    }

    fn look(&mut self) -> Looked {
        match self {
            Holder::Starting {
                child,
                told,
                said,
                since,
                ..
            } => match listen(told, said) {
                Told::Holds(begun) => Looked::Holds(begun),
                Told::NotYet if since.elapsed() < PATIENCE => Looked::Goes,
                Told::NotYet | Told::Failed => {
                    // One that has said why ends by itself, at once.
                    let ended = within(BREATH, || child.try_wait().ok().flatten());
                    let said = ended.and_then(|status| status.code()) == Some(exit::RUNWARD.into());
                    let _ = child.kill();
                    let _ = child.wait();
                    Looked::Failed {
                        why: if said { Why::Said } else { Why::Unknown },
                    }
                }
            },
            Holder::Holding {
                attendant, child, ..
            } => {
                if !is_readable(attendant.as_fd()) {
                    return Looked::Goes;
                }
                if let Some(child) = child {
                    let _ = child.wait();
                }
                Looked::Ended
            }
        }
    }
}

/// Reads what an attendant tells when it holds its job: one line.
fn listen(told: &mut ChildStdout, said: &mut Vec<u8>) -> Told {
    while is_readable(told.as_fd()) {
        let mut bytes = [0; 4096];
        match told.read(&mut bytes) {
            Ok(0) | Err(_) => return Told::Failed,
            Ok(read) => said.extend_from_slice(bytes.get(..read).unwrap_or(&[])),
        }
        if let Some(end) = said.iter().position(|byte| *byte == b'\n') {
            let line = said.get(..end).unwrap_or(&[]);
            return serde_json::from_slice(line).map_or(Told::Failed, Told::Holds);
        }
        if said.len() > BEGUN_MAX {
            return Told::Failed;
        }
    }
    Told::NotYet
}

/// A job that nobody holds: where traffic was to be blocked it must not run, and else it runs unwatched.
fn give_up(root: &Arrival, machine: &Machine) {
    if has_ended(root) {
        return;
    }
    let pid = root.pid;
    if machine.mode == Mode::Block {
        output::say(format_args!(
            "the job that begins with process {pid} can't be fenced, and was ended"
        ));
        if let Err(error) = root.kill() {
            output::say(format_args!("cannot end process {pid}: {error}"));
        }
    } else {
        output::say(format_args!(
            "effective mode: none: the job that begins with process {pid} runs unwatched"
        ));
        release(root);
    }
}

fn release(root: &Arrival) {
    if let Err(error) = root.release() {
        output::say(format_args!(
            "cannot let process {} go on, with which a job begins: {error}",
            root.pid
        ));
    }
}

/// Of a job that has another attendant now, removes the fences of those before it.
fn remove_fences_of_the_dead(root: &Arrival) {
    for leftover in leftovers().unwrap_or_default() {
        if leftover.needs(root.pid)
            && let Err(error) = leftover.remove()
        {
            output::say(format_args!(
                "cannot remove {}, which an attendant has left: {error}",
                leftover.folder.display()
            ));
        }
    }
}

fn is_held(process: &Arrival) -> bool {
    process.is_held().unwrap_or_else(|error| {
        output::say(format_args!(
            "cannot tell whether process {} is in a job: {error}",
            process.pid
        ));
        false
    })
}

fn has_ended(process: &Arrival) -> bool {
    is_readable(process.as_fd())
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// What comes of something that may take a moment.
fn within<T>(limit: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let since = Instant::now();
    loop {
        let found = found();
        if found.is_some() || since.elapsed() >= limit {
            return found;
        }
        std::thread::sleep(LOOK);
    }
}

fn handle(pid: u32) -> Result<OwnedFd> {
    let pid = Pid::from_raw(pid.cast_signed()).context("there is no such process")?;
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}
