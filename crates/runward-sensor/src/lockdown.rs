//! The end of a job in lockdown: every process of it, whatever it has moved to.

use std::collections::HashSet;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle, Object};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::abi::{self, rw_ban, rw_condemned, rw_lockdown, rw_program, rw_task};
use crate::{Clock, SensorError, load};

/// What the kernel side stops of a job by itself, the moment it is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bans(u32);

impl Bans {
    /// Reaching into the memory of a process outside of the job.
    pub const MEMORY_OUTSIDE: Bans = Bans(rw_ban::RW_BAN_MEMORY_OUTSIDE.0);
    /// Reaching into the memory of a process of the job that the reader did not start.
    pub const MEMORY_INSIDE: Bans = Bans(rw_ban::RW_BAN_MEMORY_INSIDE.0);
    /// Reading the variables of the CI's runner.
    pub const ENVIRON_RUNNER: Bans = Bans(rw_ban::RW_BAN_ENVIRON_RUNNER.0);
    /// Reading the variables of any process outside of the job.
    pub const ENVIRON_OUTSIDE: Bans = Bans(rw_ban::RW_BAN_ENVIRON_OUTSIDE.0);
    /// Reading the variables of a process of the job that the reader did not start.
    pub const ENVIRON_INSIDE: Bans = Bans(rw_ban::RW_BAN_ENVIRON_INSIDE.0);
    /// Running a program that no file system has a name for.
    pub const FILELESS: Bans = Bans(rw_ban::RW_BAN_FILELESS.0);

    /// These and those.
    #[must_use]
    pub fn and(self, other: Bans) -> Bans {
        Bans(self.0 | other.0)
    }
}

/// Ends one job. Everything here can be done while the job runs.
#[derive(Debug)]
pub struct Lockdown {
    job: u64,
    lockdowns: MapHandle,
    runners: MapHandle,
    tasks: MapHandle,
    list: Link,
}

/// What came of ending a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many processes were sent their end from here. Those that the kernel side killed before are not among them.
    pub killed: u64,
    /// How many had not ended when this gave up waiting. Nothing of them can make a process or start a program any more.
    pub left: u64,
}

/// How long nobody may have ended before this gives up: who is in the middle of a request to a broken disk can take for
/// ever.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a job's end is waited for at most.
const LONGEST: Duration = Duration::from_secs(10);
/// Between two looks: at first, and at most.
const BREATH: Duration = Duration::from_micros(200);
const LONGEST_BREATH: Duration = Duration::from_millis(20);
/// A process that is just being made is on no list for a moment, and its maker may be gone from it: who looks twice sees
/// one of them.
const LOOKS: u32 = 2;
/// How many processes are counted by name; beyond, one may be counted twice.
const COUNTED_MAX: usize = 1 << 17;

impl Lockdown {
    pub(crate) fn open(object: &Object, job: u64, list: Link) -> Result<Lockdown, SensorError> {
        Ok(Lockdown {
            job,
            lockdowns: load::map(object, "lockdowns")?,
            runners: load::map(object, "runners")?,
            tasks: load::map(object, "tasks")?,
            list,
        })
    }

    pub(crate) fn arm(&self, bans: Bans, runners: &[&str]) -> Result<(), SensorError> {
        for runner in runners {
            let mut program = rw_program::default();
            let room = program.name.len() - 1;
            for (place, byte) in program.name.iter_mut().zip(runner.bytes().take(room)) {
                *place = byte.cast_signed();
            }
            put(&self.runners, "runners", abi::bytes_of(&program), &[1])?;
        }
        self.write(&rw_lockdown {
            bans: bans.0,
            ..rw_lockdown::default()
        })
    }

    /// Has the kernel side stop this, too, of a job that runs.
    ///
    /// Were the job condemned in between, that would be forgotten: the act stands in the record all the same, and its
    /// finding ends the job.
    pub fn widen(&self, bans: Bans) -> Result<(), SensorError> {
        let state = self.read()?;
        let all = Bans(state.bans).and(bans).0;
        if all == state.bans {
            return Ok(());
        }
        self.write(&rw_lockdown { bans: all, ..state })
    }

    fn write(&self, state: &rw_lockdown) -> Result<(), SensorError> {
        let key = self.job.to_ne_bytes();
        put(&self.lockdowns, "lockdowns", &key, abi::bytes_of(state))
    }

    fn read(&self) -> Result<rw_lockdown, SensorError> {
        let value = self
            .lockdowns
            .lookup(&self.job.to_ne_bytes(), MapFlags::ANY)
            .map_err(|source| SensorError::Map {
                map: "lockdowns",
                source,
            })?;
        let state = value.and_then(|bytes| Some(abi::read::<rw_lockdown>(&bytes)?.0));
        Ok(state.unwrap_or_default())
    }

    /// When the kernel side, or [`Lockdown::end`], has condemned the job: in nanoseconds since boot.
    pub fn condemned(&self) -> Result<Option<u64>, SensorError> {
        let since = self.read()?.condemned_boot_ns;
        Ok((since != 0).then_some(since))
    }

    /// Ends the job. From the first step on, no process of it can make another or start a program; then all of them are
    /// killed, until nobody is left.
    pub fn end(&self) -> Result<Ended, SensorError> {
        let mut state = self.read()?;
        if state.condemned_boot_ns == 0 {
            state.condemned_boot_ns = Clock::boot_ns();
            self.write(&state)?;
        }
        let longest = Instant::now() + LONGEST;
        let mut patience = Instant::now() + PATIENCE;
        let mut fewest = usize::MAX;
        let mut counted = HashSet::new();
        let mut ended = Ended::default();
        let mut breath = BREATH;
        let mut looks = 0;
        loop {
            let left = self.list()?;
            ended.left = u64::try_from(left.len()).unwrap_or(u64::MAX);
            looks = if left.is_empty() { looks + 1 } else { 0 };
            if left.len() < fewest {
                fewest = left.len();
                patience = longest.min(Instant::now() + PATIENCE);
            }
            if looks == LOOKS || Instant::now() >= patience {
                return Ok(ended);
            }
            for process in &left {
                if self.kill(process) && counted.len() < COUNTED_MAX {
                    ended.killed += u64::from(counted.insert(process.process));
                }
            }
            if looks == 0 {
                thread::sleep(breath);
                breath = (breath * 2).min(LONGEST_BREATH);
            }
        }
    }

    /// The processes of the job that have not ended.
    fn list(&self) -> Result<Vec<rw_condemned>, SensorError> {
        let failed = |source| SensorError::Lockdown { source };
        let mut walk =
            Iter::new(&self.list).map_err(|error| failed(std::io::Error::other(error)))?;
        let mut bytes = Vec::new();
        walk.read_to_end(&mut bytes).map_err(failed)?;
        let mut rest = &bytes[..];
        let mut found = Vec::new();
        while let Some((process, after)) = abi::read::<rw_condemned>(rest) {
            rest = after;
            if process.job == self.job {
                found.push(process);
            }
        }
        Ok(found)
    }

    /// Kills the process, if the id still means it.
    fn kill(&self, process: &rw_condemned) -> bool {
        let handle = Pid::from_raw(process.pid.cast_signed())
            .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // What has ended meanwhile needs no end.
        handle.is_some_and(|handle| {
            self.is(&handle, process) && pidfd_send_signal(&handle, Signal::KILL).is_ok()
        })
    }

    fn is(&self, handle: &OwnedFd, process: &rw_condemned) -> bool {
        let key = handle.as_fd().as_raw_fd().to_ne_bytes();
        let place = self.tasks.lookup(&key, MapFlags::ANY).ok().flatten();
        let place = place.and_then(|bytes| Some(abi::read::<rw_task>(&bytes)?.0));
        place.is_some_and(|place| (place.job, place.process) == (self.job, process.process))
    }
}

fn put(map: &MapHandle, name: &'static str, key: &[u8], value: &[u8]) -> Result<(), SensorError> {
    map.update(key, value, MapFlags::ANY)
        .map_err(|source| SensorError::Map { map: name, source })
}
