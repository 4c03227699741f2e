use std::cell::RefCell;
use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use runward_detect::{Observer, Selection};
use runward_event::{
    Act, Body, EventKind, FORMAT_VERSION, JobContext, JobEnd, JobIdentity, JobStart, LossReason,
    Mode, OutputPlace, ProcessId, RulesInForce, SecretFound, Tamper, Texts,
};
use runward_policy::{BlockList, Matcher, Policy};
use runward_report::Report;
use runward_sensor::files::{Change, Config, Place, Watcher};
use runward_sensor::{Clock, Loss, Peer, Sensor, SensorError, SensorEvent, SensorOptions};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::block_list;
use crate::containers::Containers;
use crate::fence::{BlockError, Fenced, policy_rules};
use crate::folder::{EVENTS, FolderError, ReportFolder};
use crate::lockdown::Lockdown;
use crate::output::{Seen, author};
use crate::recorder::{Recorder, Whom};
use crate::resolvers;

/// The number of the job inside its sensor; `runward run` has one job.
const JOB: u64 = 1;
/// How many full batches one tick takes, so that a storm cannot keep the caller from its signals for long.
const BATCHES: usize = 32;
/// How often it is looked for others behind the fence of an attendant that is gone: what they start is in the job with them.
const TAKE_OVER_LOOKS: usize = 16;
/// How many ticks pass between two looks at the loss counters.
const LOSS_TICKS: u32 = 16;
/// How many ticks pass between two looks for sockets that were handed to a fenced job.
const SOCKET_TICKS: u32 = 16;
/// How far above a process that mounts something another one is looked for in the same namespace.
const MOUNT_CLIMB: usize = 8;
/// How many ticks of a job in lockdown come for one of another job's.
const HURRY: u32 = 8;
/// How many different notes of the fence are kept.
const NOTES_MAX: usize = 16;

/// What a report says that is made before the job's end.
const STILL_RUNS: &str =
    "The job still ran when this report was made; it is made again at the job's end.";
/// Attempts to give a job another policy that are recorded each; of more, the number is.
const POLICIES_TOLD: u64 = 64;

/// What a job is, before it starts.
#[derive(Clone, Debug)]
pub struct JobOptions {
    /// Who it is.
    pub identity: JobIdentity,
    /// What it was made with.
    pub context: JobContext,
    /// The command and its arguments, as bytes.
    pub args: Vec<Vec<u8>>,
    /// The working directory of the command.
    pub cwd: PathBuf,
    /// The folder whose files are watched.
    pub workspace: PathBuf,
    /// Home folders whose git settings apply to it.
    pub homes: Vec<PathBuf>,
    /// Whether what differs in an altered source file is recorded.
    pub diffs: bool,
    /// What was asked for. [`Mode::Block`] is what is in force then, or the job can't be prepared.
    pub requested_mode: Mode,
    /// What the job may reach.
    pub policy: Policy,
    /// The findings on which it is killed.
    pub lockdown: Selection,
    /// What it may not reach, in audit mode too.
    pub block_list: Arc<BlockList>,
    /// Whether it may run where the block list can't be enforced; the record says so then.
    pub block_list_optional: bool,
    /// Whether it begins with processes that run already: see [`Job::adopt`].
    pub adopts: bool,
    /// From whom it is to be learnt while the job runs who it is, and what else its policy says: see [`Job::learn`].
    pub learns: Learns,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// From whose environment it is learnt who a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learns {
    /// It is known before.
    Nothing,
    /// From what its first process itself starts: everything else may be the job's work.
    FromChildren,
    /// From whatever of its processes says so first: its first process is no more than a way to a shell.
    FromAll,
}

/// Why a job could not be watched.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The kernel's side.
    #[error(transparent)]
    Sensor(#[from] SensorError),
    /// The record's side.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The fence.
    #[error("cannot block traffic, so nothing was started: {0}")]
    Block(#[from] BlockError),
    /// Processes of a job whose attendant is gone.
    #[error("the job's processes make others faster than they can be taken over")]
    TooMany,
    /// Something that a job has already, and that a fence round it could not stop.
    #[error(
        "process {pid} of the job has a socket of family {family}, through which it could send past the fence: begin the job before such a socket is made"
    )]
    StrangeSocket {
        /// A process that has it.
        pid: u32,
        /// The family's number.
        family: u32,
    },
}

/// A job under watch: one thread, driven by the caller's ticks.
pub struct Job {
    /// Before the sensor, so that it is gone first.
    fenced: Option<Fenced>,
    sensor: Sensor,
    /// `None` when files cannot be watched here, which the record says.
    watcher: Option<Watcher>,
    /// How many of the watcher's notes stand in `start`.
    notes_told: usize,
    recorder: Recorder,
    block_list: Arc<BlockList>,
    /// From whom it is to be learnt who the job is.
    learns: Learns,
    /// What the fence could not do for the job, a sentence each. What it let through is not among it.
    fence_notes: Vec<String>,
    /// What else a reader should know and could not be said at the start.
    end_notes: Vec<String>,
    start: JobStart,
    /// The processes that an adopted job stands and falls with: one after the other, or several at once.
    roots: Vec<ProcessId>,
    policies_refused: u64,
    containers: Containers,
    started_boot_ns: u64,
    ticks: u32,
    /// How often the caller ticks more than usual: a job in lockdown is looked at more often, what costs more is not.
    hurry: u32,
}

/// What is known of a job only while it runs.
#[derive(Clone, Debug)]
pub struct Learnt {
    /// Who it is.
    pub identity: JobIdentity,
    /// What it was made with.
    pub context: JobContext,
    /// What it may reach: no more than before.
    pub policy: Policy,
    /// What a reader should know, a sentence each.
    pub notes: Vec<String>,
}

/// What is left when a job has ended.
#[derive(Debug)]
pub struct Finished {
    /// The report.
    pub report: Report,
    /// `events.jsonl`, open.
    pub events: File,
    /// Why `events.jsonl` is incomplete, if it is.
    pub write_failure: Option<std::io::Error>,
    /// How lockdown ended the job, if that was not told before.
    pub lockdown: Option<String>,
    /// Whether lockdown ended the job.
    pub killed: bool,
}

/// The record of a job that still runs.
#[derive(Debug)]
pub struct SoFar {
    /// `events.jsonl`.
    pub events: File,
    /// How much of it was written when this was made; more may follow.
    pub bytes: u64,
    /// How the record would end now.
    pub end: JobEnd,
    /// Whether lockdown has ended the job.
    pub killed: bool,
}

impl Job {
    /// Makes everything ready: after this, nothing but the command itself is missing.
    pub fn prepare(options: JobOptions, folder: &ReportFolder) -> Result<Job, JobError> {
        let events = folder.create_file(EVENTS)?;
        let block = options.requested_mode == Mode::Block;
        let learns = options.learns != Learns::Nothing;
        let block_list = Arc::clone(&options.block_list);
        let sensor_options = SensorOptions {
            fence: block || learns,
            lockdown: !options.lockdown.is_empty() || learns,
            adopts: options.adopts,
            ..SensorOptions::default()
        };
        let blocking = block_list::open(sensor_options, &block_list, options.block_list_optional)?;
        let mut sensor = blocking.sensor;
        if sensor_options.fence {
            sensor.protect_report(folder.path())?;
        }
        sensor.tell_environments(learns);
        let fenced = block
            .then(|| {
                Fenced::raise(
                    &mut sensor,
                    JOB,
                    Arc::new(Matcher::new(options.policy.clone())),
                    Arc::clone(&block_list),
                )
            })
            .transpose()?;
        let hurried = !options.lockdown.is_empty();
        let lockdown = sensor_options
            .lockdown
            .then(|| Lockdown::arm(&mut sensor, JOB, options.lockdown.clone()))
            .transpose()?;
        let mut start = job_start(&options, &sensor);
        if blocking.enforced {
            start.block_lists = options.block_list.lists().to_vec();
        }
        start.notes.extend(blocking.note);
        let strength = lockdown.as_ref().filter(|_| hurried);
        start
            .notes
            .extend(strength.map(|lockdown| lockdown.strength(&sensor)));
        let gate = fenced.as_ref().map(Fenced::gate);
        let recorder = Recorder::new(
            Clock::new(),
            JOB,
            events,
            gate,
            Arc::clone(&block_list),
            lockdown,
        );
        let config = Config {
            workspace: options.workspace,
            homes: options.homes,
            diffs: options.diffs,
            places: runward_detect::sensitive_places()
                .map(|(class, pattern)| Place {
                    class,
                    pattern: pattern.to_owned(),
                })
                .collect(),
        };
        let watcher = match Watcher::open(&config) {
            Ok(watcher) => Some(watcher),
            Err(error) => {
                start
                    .notes
                    .push(format!("No changes of files are recorded: {error}."));
                None
            }
        };
        if let Some(watcher) = &watcher {
            start.files_watched = true;
            start.tracked_files = watcher
                .tracked_count()
                .and_then(|count| u64::try_from(count).ok());
            start.notes.extend_from_slice(watcher.notes());
        }
        let notes_told = watcher.as_ref().map_or(0, |watcher| watcher.notes().len());
        let started_boot_ns = Clock::boot_ns();
        Ok(Job {
            fenced,
            sensor,
            watcher,
            notes_told,
            recorder,
            block_list,
            learns: options.learns,
            fence_notes: Vec::new(),
            end_notes: Vec::new(),
            start,
            roots: Vec::new(),
            policies_refused: 0,
            containers: Containers::default(),
            started_boot_ns,
            ticks: 0,
            hurry: if hurried { HURRY } else { 1 },
        })
    }

    /// Has the job watched by rules of a user's own, too. To be called before it starts.
    pub fn watch_by(&mut self, observer: Box<dyn Observer>, rules: RulesInForce) {
        self.recorder.look_with(observer);
        self.start.rules = Some(rules);
    }

    /// The record so far, and as it grows, for somebody who reads at places of their own.
    pub fn record(&self) -> std::io::Result<File> {
        self.recorder.file()
    }

    /// Puts the command's process into the job. It must wait: only after this may it run code of the job.
    pub fn start(&mut self, pid: u32) -> Result<(), JobError> {
        self.started_boot_ns = Clock::boot_ns();
        let clock = self.recorder.clock();
        self.recorder.record(
            clock.wall(self.started_boot_ns),
            Body::JobStart(Box::new(self.start.clone())),
        );
        self.sensor.start_job(JOB, pid)?;
        if self.fenced.is_some() {
            self.sensor.tag_open_sockets()?;
        }
        Ok(())
    }

    /// Puts a process into the job before it begins, for proving that the fence stands. It must end before
    /// [`Job::forget_probe`].
    pub fn admit_probe(&mut self, pid: u32) -> Result<(), JobError> {
        self.sensor.start_job(JOB, pid)?;
        Ok(())
    }

    /// Begins the job with a process that runs already, and all that it has started. From here on they are watched, and
    /// fenced where the job is. The processes in `spared` stay outside. Returns how many processes are in it.
    ///
    /// After an error, the job is to be given up: [`Job::abandon`].
    pub fn adopt(
        &mut self,
        root: BorrowedFd<'_>,
        root_pid: u32,
        spared: &[BorrowedFd<'_>],
    ) -> Result<usize, JobError> {
        self.started_boot_ns = Clock::boot_ns();
        let told = self.take_in(root, root_pid, spared)?;
        let clock = self.recorder.clock();
        self.recorder.record(
            clock.wall(self.started_boot_ns),
            Body::JobStart(Box::new(self.start.clone())),
        );
        let root = told.first().and_then(|event| event.body.process());
        self.roots.extend(root);
        match self.learns {
            Learns::Nothing => {}
            Learns::FromChildren => self.recorder.ask(Whom::ChildrenOf(root)),
            Learns::FromAll => self.recorder.ask(Whom::All),
        }
        let is_program = |event: &&SensorEvent| matches!(event.body, Body::ProcessExec(_));
        let count = told.iter().filter(is_program).count();
        for event in told {
            take(&mut self.recorder, self.fenced.as_ref(), event);
        }
        self.recorder.flush();
        Ok(count)
    }

    /// Goes on with another process that the job stands and falls with. It must be stopped.
    ///
    /// After an error it may be in the job and yet not fenced as it should be.
    pub fn join(&mut self, root: BorrowedFd<'_>, root_pid: u32) -> Result<(), JobError> {
        let told = self.take_in(root, root_pid, &[])?;
        self.roots
            .extend(told.first().and_then(|event| event.body.process()));
        for event in told {
            take(&mut self.recorder, self.fenced.as_ref(), event);
        }
        self.recorder.flush();
        Ok(())
    }

    /// Takes in whoever else stands behind the fence of an attendant that is gone, together with this process: who was left
    /// by its parent, and who came from elsewhere, is not found by ancestry. Returns those.
    ///
    /// After an error, the job is to be given up: [`Job::abandon`].
    pub fn take_over(&mut self, root_pid: u32) -> Result<Vec<OwnedFd>, JobError> {
        let mut taken = Vec::new();
        for _ in 0..TAKE_OVER_LOOKS {
            let strays = self.sensor.strays(root_pid)?;
            if strays.is_empty() {
                return Ok(taken);
            }
            for (pid, handle) in strays {
                // Those that another one has started came with it.
                if self.sensor.has(pid)? {
                    continue;
                }
                match self.take_in(handle.as_fd(), pid, &[]) {
                    Ok(told) => {
                        for event in told {
                            take(&mut self.recorder, self.fenced.as_ref(), event);
                        }
                        taken.push(handle);
                    }
                    Err(_) if has_ended(&handle) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Err(JobError::TooMany)
    }

    fn take_in(
        &mut self,
        root: BorrowedFd<'_>,
        root_pid: u32,
        spared: &[BorrowedFd<'_>],
    ) -> Result<Vec<SensorEvent>, JobError> {
        let told = self.sensor.adopt_job(JOB, root, root_pid, spared)?;
        if self.fenced.is_some()
            && let Some(strange) = self.sensor.tag_open_sockets()?.first()
        {
            return Err(JobError::StrangeSocket {
                pid: strange.pid,
                family: strange.family,
            });
        }
        Ok(told)
    }

    /// The environment by which the job says who it is, once: of the first process that its root has started and that has
    /// one. Only where it is to be learnt.
    pub fn take_environment(&mut self) -> Option<Box<[u8]>> {
        let environment = self.recorder.take_environment()?;
        self.sensor.tell_environments(false);
        Some(environment)
    }

    /// Takes in what was learnt: puts the policy in force, and writes the record's beginning again. To be called before
    /// anybody else reads the record.
    ///
    /// What can't be written stands in the record's notes: no full disk ends a job. After an error, the fence may be missing
    /// or be another one than the record says: unless [`Job::is_fenced`] says that there is none, the job must not go on.
    pub fn learn(&mut self, learnt: Learnt, folder: &ReportFolder) -> Result<(), JobError> {
        let mode = learnt.policy.mode();
        let rules = policy_rules(&learnt.policy);
        if mode == Mode::Block && (rules != self.start.policy || self.fenced.is_none()) {
            let matcher = Arc::new(Matcher::new(learnt.policy));
            self.enforce(matcher)?;
        }
        let start = &mut self.start;
        start.identity = learnt.identity;
        start.context = learnt.context;
        start.requested_mode = mode;
        start.effective_mode = mode;
        start.policy = rules;
        start.notes.extend(learnt.notes);
        if let Err(error) = self.recorder.begin_again(&self.start, folder) {
            self.end_notes.push(format!(
                "The record's first line could not be written again, so it does not say who the job is and what its policy was in the end: {error}."
            ));
        }
        Ok(())
    }

    /// Puts a job that learns into lockdown, for these findings beside those that it was in it for: one that was made already
    /// ends it now. The record's beginning says so when [`Job::learn`] writes it again.
    pub fn lock_down(&mut self, selection: &Selection) -> Result<(), JobError> {
        let Some(lockdown) = self.recorder.lockdown().filter(|_| !selection.is_empty()) else {
            return Ok(());
        };
        let before = lockdown.strength(&self.sensor);
        lockdown.widen(selection)?;
        let notes = &mut self.start.notes;
        notes.retain(|note| *note != before);
        notes.push(lockdown.strength(&self.sensor));
        self.start.lockdown = lockdown.words().to_vec();
        self.hurry = HURRY;
        self.recorder.look_back_for_lockdown();
        Ok(())
    }

    /// Whether a fence stands round the job.
    pub fn is_fenced(&self) -> bool {
        self.fenced.is_some()
    }

    fn enforce(&mut self, matcher: Arc<Matcher>) -> Result<(), JobError> {
        if let Some(fenced) = &self.fenced {
            fenced.tighten(matcher)?;
        } else {
            let block_list = Arc::clone(&self.block_list);
            let fenced = Fenced::raise(&mut self.sensor, JOB, matcher, block_list)?;
            self.recorder.fence(fenced.gate());
            self.fenced = Some(fenced);
            if let Some(strange) = self.sensor.tag_open_sockets()?.first() {
                return Err(JobError::StrangeSocket {
                    pid: strange.pid,
                    family: strange.family,
                });
            }
        }
        if let Some(fenced) = &self.fenced {
            let tree = self.recorder.tree();
            let running = tree.processes().filter(|process| process.exit.is_none());
            for process in running {
                fenced.look_at(process.id, tree);
            }
        }
        Ok(())
    }

    /// Ends every process of a job that must not go on. Returns whether none is left.
    pub fn end_all(&self) -> std::io::Result<bool> {
        self.sensor.end_jobs()
    }

    /// Gives up a job that could not begin. Nothing of it stays in force.
    pub fn abandon(self) {
        self.sensor.discard();
    }

    /// How the process ended that an adopted job stands and falls with: its exit code as a shell tells it, and the signal
    /// that ended it. Of several, the first that did not end well. `None` while it runs, and when its end was lost.
    pub fn root_exit(&self) -> Option<(i32, Option<i32>)> {
        let tree = self.recorder.tree();
        let exits = self.roots.iter().filter_map(|root| {
            let exit = tree.process(*root)?.exit?;
            let code = exit.code.or(exit.signal.map(|signal| 128 + signal));
            Some((code.unwrap_or(0), exit.signal))
        });
        let mut ended_well = None;
        for exit in exits {
            if exit != (0, None) {
                return Some(exit);
            }
            ended_well = Some(exit);
        }
        ended_well
    }

    /// The process ids of what an adopted job stands and falls with, of those that have ended, too.
    pub fn root_pids(&self) -> impl Iterator<Item = u32> {
        let tree = self.recorder.tree();
        let roots = self.roots.iter();
        roots.filter_map(|root| Some(tree.process(*root)?.pid))
    }

    /// Whether lockdown has ended the job.
    pub fn is_killed(&self) -> bool {
        self.recorder.is_killed()
    }

    /// Who is at the other end of a socket of the UNIX domain.
    pub fn peer(&self, stream: BorrowedFd<'_>) -> std::io::Result<Peer> {
        self.sensor.peer(stream)
    }

    /// Records that a process of the job tried to change what the job may do, and was refused.
    pub fn record_refused_policy(&mut self, process: ProcessId, pid: u32) -> Result<(), JobError> {
        self.policies_refused += 1;
        if self.policies_refused > POLICIES_TOLD {
            return Ok(());
        }
        // Who it is was told before.
        self.drain_sensor(BATCHES)?;
        self.recorder.record(
            self.recorder.clock().now(),
            Body::Tamper(Box::new(Tamper {
                process,
                pid,
                act: Act::Policy,
                target: None,
                prevented: true,
                killed: false,
                raw: Texts::default().into_raw(),
            })),
        );
        Ok(())
    }

    /// The record as far as it goes, for a report while the job still runs.
    pub fn so_far(&mut self) -> Result<SoFar, JobError> {
        self.drain_sensor(BATCHES * 64)?;
        self.follow_mounts();
        self.drain_files(false);
        self.note_losses()?;
        let events = self.recorder.file().map_err(|source| FolderError {
            path: EVENTS.into(),
            source,
        })?;
        let mut end = self.job_end(0, None);
        end.notes.insert(0, STILL_RUNS.to_owned());
        Ok(SoFar {
            bytes: self.recorder.written(),
            events,
            end,
            killed: self.recorder.is_killed(),
        })
    }

    /// Forgets what the command's process did so far: it proved that the fence stands.
    pub fn forget_probe(&mut self) -> Result<(), JobError> {
        while self.sensor.drain(&mut |_| ())? > 0 {}
        Ok(())
    }

    /// Readable when so much waits that [`Job::tick`] should not wait for the timer.
    pub fn urgent_fd(&self) -> BorrowedFd<'_> {
        self.sensor.as_fd()
    }

    /// Readable when a file was used whose uses are told at once, see [`Watcher::sensitive_fd`].
    pub fn sensitive_fd(&self) -> Option<BorrowedFd<'_>> {
        self.watcher.as_ref().and_then(Watcher::sensitive_fd)
    }

    /// What the fence refused since the last call, in sentences fit for a terminal: each destination once in the job's
    /// life.
    pub fn take_refusals(&mut self) -> Vec<String> {
        self.recorder.take_refusals()
    }

    /// What was found since the last call, in sentences fit for a terminal. What the fence refused is not among it.
    pub fn take_findings(&mut self) -> Vec<String> {
        self.recorder.take_findings()
    }

    /// How lockdown ended the job, once, in a sentence fit for a terminal.
    pub fn take_lockdown(&mut self) -> Option<String> {
        self.recorder.take_lockdown()
    }

    /// Takes in what happened since the last tick. Returns whether anything did.
    pub fn tick(&mut self) -> Result<bool, JobError> {
        self.follow_namespaces();
        let mut busy = self.drain_sensor(BATCHES)?;
        self.follow_mounts();
        self.follow_containers()?;
        busy |= self.drain_files(false);
        self.ticks = self.ticks.wrapping_add(1);
        if self.ticks.is_multiple_of(LOSS_TICKS * self.hurry) {
            self.note_losses()?;
        }
        if self.fenced.is_some() && self.ticks.is_multiple_of(SOCKET_TICKS * self.hurry) {
            self.sensor.tag_open_sockets()?;
        }
        self.recorder.name_containers();
        self.recorder.look_for_unheard();
        self.recorder.flush();
        Ok(busy)
    }

    /// Records a secret that was seen in what the job printed or left behind.
    pub fn record_secret(&mut self, seen: Seen) -> Result<(), JobError> {
        // Who printed it was born before, and that must be known.
        self.drain_sensor(BATCHES)?;
        let time = self.recorder.clock().wall(seen.boot_ns);
        // Who wrote a file is told by nobody.
        let author = (seen.place != OutputPlace::File)
            .then(|| author(self.recorder.tree(), time))
            .flatten();
        let mut texts = Texts::default();
        let path = seen
            .path
            .map(|path| texts.text(|| "/path".to_owned(), &path));
        let found = seen.found;
        self.recorder.record(
            time,
            Body::SecretFound(Box::new(SecretFound {
                process: author.map(|(process, _)| process),
                pid: author.map_or(0, |(_, pid)| pid),
                place: seen.place,
                path,
                line: found.line,
                rule: found.rule,
                variable: found.variable,
                encoding: found.encoding,
                verified: found.verified,
                hash: found.hash,
                raw: texts.into_raw(),
            })),
        );
        Ok(())
    }

    /// Takes note of what a search for secrets could not tell: findings that were too many, and sentences for the end of
    /// the record.
    pub fn note_search(&mut self, untold: u64, notes: impl IntoIterator<Item = String>) {
        if untold > 0 {
            self.recorder.lose(Loss {
                kind: EventKind::SecretFound,
                reason: LossReason::Limit,
                count: untold,
            });
        }
        self.end_notes.extend(notes);
    }

    /// A program in a new network namespace may ask for a name at any moment, so this comes first.
    fn follow_namespaces(&mut self) {
        let Some(fenced) = &mut self.fenced else {
            return;
        };
        let recorder = &mut self.recorder;
        // A batch: what was told so far. The ring is drained again right after this.
        let drained = self
            .sensor
            .drain(&mut |event| take(recorder, Some(fenced), event));
        for used in self.sensor.take_namespaces() {
            if let Err(note) = fenced.enter(used)
                && self.fence_notes.len() < NOTES_MAX
                && !self.fence_notes.contains(&note)
            {
                self.fence_notes.push(note);
            }
        }
        // Should the ring be broken, the drain after this says so.
        drop(drained);
    }

    /// A mount namespace is gone with its last process, so this comes soon after the sensor told.
    fn follow_mounts(&mut self) {
        for call in self.sensor.take_mount_calls() {
            let Some(watcher) = &mut self.watcher else {
                return;
            };
            let tree = self.recorder.tree();
            let above = tree.climb(call.process).skip(1).take(MOUNT_CLIMB);
            let pids: Vec<u32> = std::iter::once(call.pid)
                .chain(above.map(|process| process.pid))
                .collect();
            watcher.mounting(call.process, &pids, call.namespace);
        }
    }

    /// Takes containers into the job that a daemon starts because a process of the job asks it to.
    fn follow_containers(&mut self) -> Result<(), JobError> {
        let mut has_taken = false;
        for start in self.sensor.take_containers() {
            let identity = &self.start.identity;
            if !self.containers.is_ours(start, JOB, identity, &self.sensor) {
                continue;
            }
            // It may have ended meanwhile, with nobody to tell of.
            let told = Pid::from_raw(start.pid.cast_signed())
                .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
                .and_then(|handle| {
                    let adopted = self.sensor.adopt_job(JOB, handle.as_fd(), start.pid, &[]);
                    adopted.ok()
                });
            for event in told.into_iter().flatten() {
                take(&mut self.recorder, self.fenced.as_ref(), event);
                has_taken = true;
            }
        }
        if has_taken && self.fenced.is_some() {
            self.sensor.tag_open_sockets()?;
        }
        Ok(())
    }

    fn drain_sensor(&mut self, batches: usize) -> Result<bool, JobError> {
        let mut busy = false;
        for _ in 0..batches {
            let recorder = &mut self.recorder;
            let fenced = self.fenced.as_ref();
            let taken = self
                .sensor
                .drain(&mut |event| take(recorder, fenced, event))?;
            if taken == 0 {
                break;
            }
            busy = true;
        }
        Ok(busy)
    }

    /// Takes in what happened to files; `last` also looks for what no event told. A change carries the process id of who
    /// made it, and the event of that process's birth may still wait in the ring: then the ring is drained until it is
    /// known. Who uses a sensitive file is judged by its program, so that one's start has to be known, too.
    fn drain_files(&mut self, last: bool) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        let mut busy = false;
        let recorder = RefCell::new(&mut self.recorder);
        let sensor = RefCell::new(&mut self.sensor);
        let fenced = self.fenced.as_ref();
        let catch_up = || {
            let mut observe = |event: SensorEvent| take(&mut recorder.borrow_mut(), fenced, event);
            let mut sensor = sensor.borrow_mut();
            // Should the ring be broken, the next tick says so. What was in it fits in this; a storm goes on for ever.
            for _ in 0..BATCHES * 64 {
                if !sensor.drain(&mut observe).is_ok_and(|taken| taken > 0) {
                    break;
                }
            }
        };
        let mut who = |pid| {
            let known = recorder.borrow().process(pid);
            known.or_else(|| {
                catch_up();
                recorder.borrow().process(pid)
            })
        };
        let mut sink = |change: Change| {
            busy = true;
            if matches!(change.body, Body::SensitiveFile(_)) {
                catch_up();
            }
            let mut recorder = recorder.borrow_mut();
            let time = recorder.clock().wall(change.boot_ns);
            recorder.record(time, change.body);
        };
        if last {
            watcher.finish(&mut who, &mut sink);
        } else {
            watcher.drain(&mut who, &mut sink);
        }
        busy
    }

    fn note_losses(&mut self) -> Result<(), JobError> {
        for loss in self.sensor.losses()? {
            self.recorder.lose(loss);
        }
        Ok(())
    }

    /// Ends the watch: takes in what is left, and gives the report.
    pub fn finish(mut self, exit_code: i32, signal: Option<i32>) -> Result<Finished, JobError> {
        let over = Clock::boot_ns();
        // Processes that outlive the command may keep the ring busy; what was there when it ended fits in this.
        self.drain_sensor(BATCHES * 64)?;
        self.follow_mounts();
        self.drain_files(true);
        self.note_losses()?;
        self.recorder.name_last_containers();
        self.recorder.end_stragglers();
        if let Some(count) = self.policies_refused.checked_sub(POLICIES_TOLD)
            && count > 0
        {
            self.recorder.lose(Loss {
                kind: EventKind::Tamper,
                reason: LossReason::Limit,
                count,
            });
        }
        let mut end = self.job_end(exit_code, signal);
        end.duration_ns = over.saturating_sub(self.started_boot_ns);
        Ok(self.recorder.finish(Body::JobEnd(end)))
    }

    fn job_end(&self, exit_code: i32, signal: Option<i32>) -> JobEnd {
        let watcher = self.watcher.as_ref();
        JobEnd {
            exit_code,
            signal,
            duration_ns: Clock::boot_ns().saturating_sub(self.started_boot_ns),
            still_running: self.recorder.alive(),
            unrecorded_file_changes: watcher.map_or(0, Watcher::unrecorded),
            notes: watcher
                .map_or(&[][..], Watcher::notes)
                .iter()
                .skip(self.notes_told)
                .chain(&self.fence_notes)
                .chain(&self.end_notes)
                .cloned()
                .chain(self.containers.notes())
                .collect(),
        }
    }
}

fn has_ended(process: &OwnedFd) -> bool {
    let mut fds = [PollFd::new(process, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Records an event, and has the fence look at a program that it tells of.
fn take(recorder: &mut Recorder, fenced: Option<&Fenced>, event: SensorEvent) {
    let process = match &event.body {
        Body::ProcessExec(exec) => Some(exec.process),
        Body::ProcessFork(fork) => Some(fork.process),
        _ => None,
    };
    recorder.observe(event);
    if let (Some(process), Some(fenced)) = (process, fenced) {
        fenced.look_at(process, recorder.tree());
    }
}

fn job_start(options: &JobOptions, sensor: &Sensor) -> JobStart {
    use std::os::unix::ffi::OsStrExt;
    let mut texts = Texts::default();
    let args = options
        .args
        .iter()
        .enumerate()
        .map(|(index, arg)| texts.text(|| format!("/args/{index}"), arg))
        .collect();
    let cwd = texts.text(|| "/cwd".to_owned(), options.cwd.as_os_str().as_bytes());
    let workspace = texts.text(
        || "/workspace".to_owned(),
        options.workspace.as_os_str().as_bytes(),
    );
    JobStart {
        format: FORMAT_VERSION,
        runward: env!("CARGO_PKG_VERSION").to_owned(),
        identity: options.identity.clone(),
        context: options.context.clone(),
        args,
        cwd,
        workspace,
        tracked_files: None,
        files_watched: false,
        requested_mode: options.requested_mode,
        // Preparing a job that is to be blocked fails where it cannot be.
        effective_mode: options.requested_mode,
        tier: sensor.tier(),
        kernel: rustix::system::uname()
            .release()
            .to_string_lossy()
            .into_owned(),
        policy: policy_rules(&options.policy),
        rules: None,
        lockdown: options.lockdown.words().to_vec(),
        block_lists: Vec::new(),
        resolvers: resolvers::of_machine(),
        notes: options.notes.clone(),
        raw: texts.into_raw(),
    }
}
