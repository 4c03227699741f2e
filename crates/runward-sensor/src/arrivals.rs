//! Where jobs begin on a machine that is watched whole: each is stopped before its first instruction, until somebody has
//! put it under watch.
//!
//! The kernel side (`bpf/arrivals.bpf.c`) is pinned. When the agent is killed it goes on stopping, so that no job begins
//! unseen; the next agent finds those that wait.

use std::cell::RefCell;
use std::fs;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, RingBuffer, RingBufferBuilder};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::SensorError;
use crate::load;
use crate::peer::is_held;
use crate::pins::Pins;

/// How long the kernel's name of a process is, with the byte that ends it.
const COMM_SIZE: usize = 16;
/// By which variable a container of a GitLab job is known, as in `bpf/arrivals.bpf.c`.
const GITLAB_JOB: &[u8] = b"CI_JOB_ID=";
/// How the pin of the program is called.
const PROGRAM: &str = "hold_arrival";
const UNTOLD: &str = "untold";

/// A program of a CI runner, by the name of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunnerProgram<'a> {
    /// Runs one job: it is the job's first process.
    Job(&'a str),
    /// Starts the first process of every job.
    Starter(&'a str),
    /// Looks after a container, and a job's containers say in their environment which GitLab job they are of.
    Keeper(&'a str),
}

impl RunnerProgram<'_> {
    fn name(&self) -> &str {
        match self {
            RunnerProgram::Job(name)
            | RunnerProgram::Starter(name)
            | RunnerProgram::Keeper(name) => name,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            RunnerProgram::Job(_) => Kind::Job,
            RunnerProgram::Starter(_) => Kind::Starter,
            RunnerProgram::Keeper(_) => Kind::Keeper,
        }
    }

    /// The name of a process that runs it.
    fn comm(&self) -> [u8; COMM_SIZE] {
        let mut comm = [0; COMM_SIZE];
        let name = self.name().bytes().take(COMM_SIZE - 1);
        for (place, byte) in comm.iter_mut().zip(name) {
            *place = byte;
        }
        comm
    }
}

/// What a program is, as in `bpf/arrivals.bpf.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    Job = 1,
    Starter = 2,
    Keeper = 3,
}

/// By what a process is known that a job begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArrivalKind {
    /// By its own program.
    Program,
    /// By who has started it.
    Started,
    /// It is the first program of a container, or was started in one from outside, and says so itself.
    Contained,
}

/// Stops the first process of every job that a runner of this machine starts.
pub struct Arrivals {
    ring: RingBuffer<'static>,
    inbox: Rc<RefCell<Vec<(u32, ArrivalKind)>>>,
    programs: Vec<([u8; COMM_SIZE], Kind)>,
    untold: MapHandle,
    missed: u64,
    // The link goes before the object that owns its program.
    _link: Link,
    _object: libbpf_rs::Object,
    pins: Pins,
}

/// The first process of a job. It does not run until it is told to.
#[derive(Debug)]
pub struct Arrival {
    /// Its process id.
    pub pid: u32,
    /// By what it is known.
    pub kind: ArrivalKind,
    handle: OwnedFd,
}

impl Arrival {
    /// The process of an id, unless it is gone.
    pub fn of(pid: u32) -> io::Result<Option<Arrival>> {
        let Some(raw) = Pid::from_raw(pid.cast_signed()) else {
            return Ok(None);
        };
        match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(handle) => Ok(Some(Arrival {
                pid,
                kind: ArrivalKind::Program,
                handle,
            })),
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether it is stopped.
    pub fn waits(&self) -> bool {
        let state = crate::pins::stat_field(self.pid, 3);
        state.is_some_and(|state| state.eq_ignore_ascii_case("t"))
    }

    /// Who has started it, as long as that one lives.
    pub fn parent(&self) -> Option<u32> {
        crate::pins::stat_field(self.pid, 4)?.parse().ok()
    }

    /// Lets it run.
    pub fn release(&self) -> io::Result<()> {
        self.send(Signal::CONT)
    }

    /// Ends it.
    pub fn kill(&self) -> io::Result<()> {
        self.send(Signal::KILL)
    }

    fn send(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.handle, signal) {
            // It has ended by itself.
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether it is of a job that is watched already, by a sensor that somebody reads.
    pub fn is_held(&self) -> io::Result<bool> {
        is_held(&self.handle)
    }
}

impl AsFd for Arrival {
    /// Readable when it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl Arrivals {
    /// Begins to stop those that arrive, and ends what an agent has left that is gone.
    pub fn open(programs: &[RunnerProgram<'_>]) -> Result<Arrivals, SensorError> {
        let pins = Pins::of_arrivals()?;
        let object = load::arrivals()?;
        let map = load::map(&object, "runners")?;
        let mut known = Vec::new();
        for program in programs {
            let (comm, kind) = (program.comm(), program.kind());
            map.update(&comm, &(kind as u32).to_ne_bytes(), MapFlags::ANY)
                .map_err(|source| SensorError::Map {
                    map: "runners",
                    source,
                })?;
            known.push((comm, kind));
        }
        let inbox = Rc::new(RefCell::new(Vec::new()));
        let ring = {
            let arrivals = load::map(&object, "arrivals")?;
            let inbox = Rc::clone(&inbox);
            let mut builder = RingBufferBuilder::new();
            builder
                .add(&arrivals, move |bytes| {
                    inbox.borrow_mut().extend(told(bytes));
                    0
                })
                .map_err(SensorError::Ring)?;
            builder.build().map_err(SensorError::Ring)?
        };
        let program = object.progs_mut().find(|program| program.name() == PROGRAM);
        let program = program.ok_or(SensorError::Object(PROGRAM))?;
        let mut link = program.attach().map_err(|source| SensorError::Attach {
            program: PROGRAM.to_owned(),
            source,
        })?;
        pins.link(&mut link, PROGRAM.as_ref())?;
        // Not before this one stands.
        for folder in Pins::of_arrivals_that_are_gone() {
            let _ = fs::remove_dir_all(folder);
        }
        Ok(Arrivals {
            ring,
            inbox,
            programs: known,
            untold: load::map(&object, UNTOLD)?,
            missed: 0,
            _link: link,
            _object: object,
            pins,
        })
    }

    /// Readable when somebody has arrived.
    pub fn fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor belongs to `self.ring`, which lives as long as the borrow of `self`. libbpf-rs offers
        // it as a number only.
        unsafe { BorrowedFd::borrow_raw(self.ring.epoll_fd()) }
    }

    /// Who has arrived since the last call. After more than the ring has room for, some were told before.
    pub fn take(&mut self) -> Result<Vec<Arrival>, SensorError> {
        self.ring.consume().map_err(SensorError::Ring)?;
        let mut arrived = there(&mut self.inbox.borrow_mut());
        let missed = self.count_missed()?;
        if missed != self.missed {
            self.missed = missed;
            let all = self
                .earlier()
                .map_err(|source| SensorError::Adopt { source })?;
            arrived.extend(all.into_iter().filter(Arrival::waits));
        }
        Ok(arrived)
    }

    /// How many were stopped of whom there was no room to tell.
    fn count_missed(&self) -> Result<u64, SensorError> {
        let only = 0_u32.to_ne_bytes();
        let failed = |source| SensorError::Map {
            map: UNTOLD,
            source,
        };
        let count = self.untold.lookup(&only, MapFlags::ANY).map_err(failed)?;
        let count = count.and_then(|count| Some(u64::from_ne_bytes(*count.first_chunk()?)));
        Ok(count.unwrap_or(0))
    }

    /// Who arrived before this was opened: those that an agent which is gone has not got to or did, and those that began
    /// before there was one. The latter two run.
    pub fn earlier(&self) -> io::Result<Vec<Arrival>> {
        let mut earlier = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // The handle before the look: what is seen then is of this process.
            if let Some(mut arrival) = still_there(pid, ArrivalKind::Program)
                && let Some(kind) = self.arrives(pid)
            {
                arrival.kind = kind;
                earlier.push(arrival);
            }
        }
        Ok(earlier)
    }

    /// By what a job begins with a process, if one does.
    fn arrives(&self, pid: u32) -> Option<ArrivalKind> {
        let (own, parent) = runner_and_parent(pid, &self.programs)?;
        let above = runner_and_parent(parent, &self.programs).and_then(|(above, _)| above);
        // Whatever the program is called: an image can call its own as it likes.
        if above == Some(Kind::Keeper) && says_job(pid) {
            return Some(ArrivalKind::Contained);
        }
        match own {
            Some(Kind::Job) => Some(ArrivalKind::Program),
            Some(Kind::Starter) => None,
            Some(Kind::Keeper) | None => {
                (above == Some(Kind::Starter)).then_some(ArrivalKind::Started)
            }
        }
    }

    /// Lets jobs begin that nobody watches, from now on. To be called when the agent ends because it was told to. Returns
    /// who was stopped since the last look.
    pub fn leave(self) -> Result<Vec<Arrival>, SensorError> {
        let Arrivals {
            ring,
            inbox,
            _link: link,
            mut pins,
            ..
        } = self;
        pins.discard();
        drop(link);
        ring.consume().map_err(SensorError::Ring)?;
        Ok(there(&mut inbox.borrow_mut()))
    }
}

/// Those of whom was told and who have not ended.
fn there(told: &mut Vec<(u32, ArrivalKind)>) -> Vec<Arrival> {
    let told = mem::take(told).into_iter();
    told.filter_map(|(pid, kind)| still_there(pid, kind))
        .collect()
}

fn still_there(pid: u32, kind: ArrivalKind) -> Option<Arrival> {
    let arrival = Arrival::of(pid).ok().flatten()?;
    Some(Arrival { kind, ..arrival })
}

/// What the kernel side tells of an arrival: its process id, and by what it is known.
fn told(bytes: &[u8]) -> Option<(u32, ArrivalKind)> {
    let (pid, rest) = bytes.split_first_chunk()?;
    let kind = match u32::from_ne_bytes(*rest.first_chunk()?) {
        1 => ArrivalKind::Program,
        2 => ArrivalKind::Started,
        3 => ArrivalKind::Contained,
        _ => return None,
    };
    Some((u32::from_ne_bytes(*pid), kind))
}

/// Whether a process says in its environment that it is of a GitLab job.
fn says_job(pid: u32) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut variables = environment.split(|byte| *byte == 0);
    variables.any(|variable| variable.starts_with(GITLAB_JOB))
}

/// Which program of a runner a process runs, and who its parent is.
fn runner_and_parent(
    pid: u32,
    programs: &[([u8; COMM_SIZE], Kind)],
) -> Option<(Option<Kind>, u32)> {
    let comm = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let comm = comm.strip_suffix(b"\n").unwrap_or(&comm);
    let is = |name: &[u8; COMM_SIZE]| {
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(COMM_SIZE);
        name.get(..end) == Some(comm)
    };
    let kind = programs
        .iter()
        .find(|(name, _)| is(name))
        .map(|(_, kind)| *kind);
    let parent = crate::pins::stat_field(pid, 4)?.parse().ok()?;
    Some((kind, parent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_keeps_the_beginning_of_a_name() {
        let table: [(RunnerProgram<'_>, &[u8; COMM_SIZE]); 3] = [
            (RunnerProgram::Job("Runner.Worker"), b"Runner.Worker\0\0\0"),
            (
                RunnerProgram::Starter("a-program-with-a-long-name"),
                b"a-program-with-\0",
            ),
            (RunnerProgram::Job(""), &[0; COMM_SIZE]),
        ];
        for (program, want) in table {
            assert_eq!(&program.comm(), want);
        }
    }
}
