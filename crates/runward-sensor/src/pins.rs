//! What lets a fence outlive the process that built it: its links and its map of tasks, pinned to a file system.
//!
//! One folder for each sensor, named after the process that made it: `runward/PID-STARTTIME` on the BPF file system.
//! Removing the folder ends the fence, once nobody holds its programs any more.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle};
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use crate::SensorError;

/// Where the BPF file system is mounted on every distribution.
const BPFFS: &str = "/sys/fs/bpf";
/// The folder of all sensors in it.
const FOLDER: &str = "runward";
/// The user and group that the kernel itself shows for those it does not know.
const NOBODY: u32 = 65_534;
/// The pin of the map of tasks.
const TASKS: &str = "tasks";

/// The folder of one sensor. Dropping it removes the pins, unless processes of its jobs still run: for these the fence
/// keeps standing.
#[derive(Debug)]
pub(crate) struct Pins {
    folder: PathBuf,
}

impl Pins {
    /// Makes the folder of this process.
    pub(crate) fn create() -> Result<Pins, SensorError> {
        let all = bpffs()?.join(FOLDER);
        let failed = |path: &Path, source| SensorError::Pin {
            path: path.to_path_buf(),
            source,
        };
        let mut private = fs::DirBuilder::new();
        private.mode(0o700).recursive(true);
        private.create(&all).map_err(|error| failed(&all, error))?;
        fs::set_permissions(&all, fs::Permissions::from_mode(0o700))
            .map_err(|error| failed(&all, error))?;
        let own = getpid().as_raw_nonzero().get().cast_unsigned();
        // One process may fence more than once, one after the other.
        for attempt in 0..u32::MAX {
            let folder = all.join(format!("{}-{attempt}", name(own)));
            match fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => return Ok(Pins { folder }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&folder, error)),
            }
        }
        unreachable!("nobody makes so many folders")
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Gives the folder to nobody, when everything is in it: even root then needs a right of its own to enter, and where
    /// the kernel asks for rights, the sensor can see it.
    pub(crate) fn give_away(&self) -> Result<(), SensorError> {
        chown(&self.folder, Some(NOBODY), Some(NOBODY)).map_err(|source| SensorError::Pin {
            path: self.folder.clone(),
            source,
        })
    }

    pub(crate) fn link(&self, link: &mut Link, name: &OsStr) -> Result<(), SensorError> {
        let path = self.folder.join(name);
        link.pin(&path).map_err(|source| SensorError::Pin {
            path,
            source: io::Error::other(source),
        })
    }

    pub(crate) fn tasks(&self, tasks: &mut MapHandle) -> Result<(), SensorError> {
        let path = self.folder.join(TASKS);
        tasks.pin(&path).map_err(|source| SensorError::Pin {
            path,
            source: io::Error::other(source),
        })
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if tracked_processes(&self.folder).is_empty() {
            // What cannot be removed is found by `leftovers` later.
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// What an agent that was killed has left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its folder of pins.
    pub folder: PathBuf,
    /// Processes of its jobs that still run: as long as there are any, the fence is needed.
    pub processes: Vec<u32>,
}

/// Finds the fences of agents that are gone.
pub fn leftovers() -> io::Result<Vec<Leftover>> {
    let mut found = Vec::new();
    let folders = match fs::read_dir(Path::new(BPFFS).join(FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        other => other?,
    };
    for folder in folders {
        let folder = folder?.path();
        if !owner_lives(&folder) {
            let processes = tracked_processes(&folder);
            found.push(Leftover { folder, processes });
        }
    }
    Ok(found)
}

impl Leftover {
    /// Removes it. Without processes, nothing notices.
    pub fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.folder)
    }
}

/// A process id and when it started: together, never used again.
fn name(pid: u32) -> String {
    format!("{pid}-{}", start_time(pid).unwrap_or(0))
}

fn start_time(pid: u32) -> Option<u64> {
    stat_field(pid, 22)?.parse().ok()
}

/// Whether a process has ended, and only its parent has not looked yet.
fn is_dead(pid: u32) -> bool {
    stat_field(pid, 3).is_none_or(|state| state == "Z" || state == "X")
}

/// A field of /proc/PID/stat, by its number in proc(5): the third, or one after it.
fn stat_field(pid: u32, number: usize) -> Option<String> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The second field, the command in parentheses, may hold anything.
    let after = stat.iter().rposition(|byte| *byte == b')')?;
    let fields = String::from_utf8_lossy(stat.get(after + 1..)?).into_owned();
    let mut fields = fields.split_whitespace();
    fields.nth(number.checked_sub(3)?).map(str::to_owned)
}

fn owner_lives(folder: &Path) -> bool {
    let text = folder.file_name().unwrap_or_default().to_string_lossy();
    let mut parts = text.split('-');
    let (Some(pid), Some(started)) = (parts.next(), parts.next()) else {
        return false;
    };
    let Ok(pid) = pid.parse() else { return false };
    start_time(pid).is_some_and(|time| time.to_string() == started)
}

/// The processes that a pinned map of tasks knows.
fn tracked_processes(folder: &Path) -> Vec<u32> {
    let Ok(tasks) = MapHandle::from_pinned_path(folder.join(TASKS)) else {
        return Vec::new();
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| is_tracked(&tasks, *pid))
        .collect()
}

fn is_tracked(tasks: &MapHandle, pid: u32) -> bool {
    use std::os::fd::{AsFd, AsRawFd};
    let handle = Pid::from_raw(pid.cast_signed())
        .filter(|_| !is_dead(pid))
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    handle.is_some_and(|handle| {
        let key = handle.as_fd().as_raw_fd().to_ne_bytes();
        tasks
            .lookup(&key, MapFlags::ANY)
            .is_ok_and(|place| place.is_some())
    })
}

/// The BPF file system, mounted if it was not: every loader expects it there.
fn bpffs() -> Result<PathBuf, SensorError> {
    let mounts = fs::read("/proc/self/mounts").unwrap_or_default();
    let mounted = mounts.split(|byte| *byte == b'\n').any(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        fields.nth(1) == Some(BPFFS.as_bytes()) && fields.next() == Some(b"bpf")
    });
    let path = PathBuf::from(BPFFS);
    if !mounted {
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("bpf", &path, "bpf", flags, c"mode=700").map_err(|errno| SensorError::Pin {
            path: path.clone(),
            source: errno.into(),
        })?;
    }
    Ok(path)
}
