//! What lets a fence outlive the process that built it: its links and its map of tasks, pinned to a file system.
//!
//! One folder for each sensor, named after the process that made it: `runward/PID-STARTTIME` on the BPF file system.
//! Removing the folder ends the fence, once nobody holds its programs any more.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, PidfdFlags, getpid, pidfd_open};

use crate::SensorError;
use crate::abi::{self, rw_task};

/// Where the BPF file system is mounted on every distribution.
const BPFFS: &str = "/sys/fs/bpf";
/// The folder above it.
const BPFFS_PARENT: &str = "/sys/fs";
/// The folder of all sensors in it.
const FOLDER: &str = "runward";
/// The user and group that the kernel itself shows for those it does not know.
const NOBODY: u32 = 65_534;
/// How the names of folders end that hold what stops the first processes of jobs ([`crate::Arrivals`]).
const ARRIVALS: &str = "-arrivals";
/// The pin of the map of tasks.
const TASKS: &str = "tasks";
/// The pin of the map of the programs' variables. Among them is the number of the newest process.
const VARIABLES: &str = "variables";
/// The pin of the map of what each job may reach.
const FENCES: &str = "fences";
/// How often all processes are looked at again because new ones of the job came meanwhile.
const LOOKS: usize = 100;
/// How long to wait before looking again where processes come and go too quickly to be seen.
const BREATH: Duration = Duration::from_millis(100);

/// The folder of one sensor. Dropping it removes the pins, unless processes of its jobs still run: for these the fence
/// keeps standing.
#[derive(Debug)]
pub(crate) struct Pins {
    folder: PathBuf,
    /// Whether nobody is to be fenced by it any more.
    discarded: bool,
}

impl Pins {
    /// Makes a folder of this process.
    pub(crate) fn create() -> Result<Pins, SensorError> {
        // One process may fence more than once, one after the other.
        Pins::named((0..u32::MAX).map(|attempt| format!("-{attempt}")))
    }

    /// Makes the folder for what stops the first processes of jobs. One process does that once.
    pub(crate) fn of_arrivals() -> Result<Pins, SensorError> {
        Pins::named(std::iter::once(ARRIVALS.to_owned()))
    }

    /// The folders of that kind whose agents are gone.
    pub(crate) fn of_arrivals_that_are_gone() -> Vec<PathBuf> {
        let folders = folders().unwrap_or_default().into_iter();
        folders
            .filter(|path| is_of_arrivals(path) && !owner_lives(path))
            .collect()
    }

    /// Makes the folder of this process with the first ending that is free.
    fn named(endings: impl Iterator<Item = String>) -> Result<Pins, SensorError> {
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
        let own = name(getpid().as_raw_nonzero().get().cast_unsigned());
        for ending in endings {
            let folder = all.join(format!("{own}{ending}"));
            match fs::DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    return Ok(Pins {
                        folder,
                        discarded: false,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&folder, error)),
            }
        }
        Err(failed(&all, io::Error::from(io::ErrorKind::AlreadyExists)))
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

    /// Has the pins removed whoever still runs.
    pub(crate) fn discard(&mut self) {
        self.discarded = true;
    }

    pub(crate) fn link(&self, link: &mut Link, name: &OsStr) -> Result<(), SensorError> {
        let path = self.folder.join(name);
        link.pin(&path).map_err(|source| SensorError::Pin {
            path,
            source: io::Error::other(source),
        })
    }

    /// Pins what tells later whether processes of the jobs still run, and what takes their fences down.
    pub(crate) fn maps(
        &self,
        tasks: &mut MapHandle,
        variables: &mut MapHandle,
        fences: &mut MapHandle,
    ) -> Result<(), SensorError> {
        let maps = [(tasks, TASKS), (variables, VARIABLES), (fences, FENCES)];
        for (map, name) in maps {
            let path = self.folder.join(name);
            map.pin(&path).map_err(|source| SensorError::Pin {
                path,
                source: io::Error::other(source),
            })?;
        }
        Ok(())
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        let is_over =
            !is_of_arrivals(&self.folder) && StillRunning::of(&self.folder) == StillRunning::Nobody;
        if self.discarded || is_over {
            // What cannot be removed is found by `leftovers` later.
            let _ = take_down(&self.folder);
        }
    }
}

/// A fence whose agent is gone, or done with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its folder of pins.
    pub folder: PathBuf,
    /// Who still needs it.
    pub running: StillRunning,
}

/// The processes of a fence's jobs: as long as there are any, the fence is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StillRunning {
    /// All have ended.
    Nobody,
    /// These run.
    Processes(Vec<u32>),
    /// That could not be seen: they come and go too quickly, or the kernel would not let anybody look. There may be some.
    Unseen,
}

fn is_of_arrivals(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(ARRIVALS)
}

/// Finds the fences of agents that are gone, and what they have left to stop the first processes of jobs.
pub fn leftovers() -> io::Result<Vec<Leftover>> {
    let abandoned = folders()?.into_iter().filter(|path| !owner_lives(path));
    Ok(abandoned.map(|path| Leftover::at(&path)).collect())
}

/// Finds the fences that this process has made and dropped, and that processes of their jobs still need.
pub fn own_leftovers() -> io::Result<Vec<Leftover>> {
    let own = name(getpid().as_raw_nonzero().get().cast_unsigned());
    let is_own = |path: &PathBuf| {
        let folder = path.file_name().unwrap_or_default().to_string_lossy();
        folder
            .strip_prefix(&own)
            .is_some_and(|rest| rest.starts_with('-'))
    };
    Ok(folders()?
        .into_iter()
        .filter(is_own)
        .map(|path| Leftover::at(&path))
        .collect())
}

fn folders() -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(Path::new(BPFFS).join(FOLDER)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other?.map(|folder| Ok(folder?.path())).collect(),
    }
}

impl Leftover {
    /// The fence that is pinned in this folder.
    pub fn at(folder: &Path) -> Leftover {
        Leftover {
            folder: folder.to_path_buf(),
            running: StillRunning::of(folder),
        }
    }

    /// Whether a process is fenced by it.
    pub fn needs(&self, pid: u32) -> bool {
        matches!(&self.running, StillRunning::Processes(pids) if pids.contains(&pid))
    }

    /// Removes it. Without processes, nothing notices.
    pub fn remove(&self) -> io::Result<()> {
        match take_down(&self.folder) {
            // Somebody else was first.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Waits until nobody needs it any more, and removes it.
    pub fn outlast(&self) -> io::Result<()> {
        loop {
            match StillRunning::of(&self.folder) {
                StillRunning::Nobody => return self.remove(),
                StillRunning::Unseen => {}
                StillRunning::Processes(pids) => self.wait_for(&pids)?,
            }
            thread::sleep(BREATH);
        }
    }

    /// Waits for these processes, as far as it can: afterwards all are looked at again.
    fn wait_for(&self, pids: &[u32]) -> io::Result<()> {
        let Ok(tasks) = MapHandle::from_pinned_path(self.folder.join(TASKS)) else {
            return Ok(());
        };
        for pid in pids {
            if let Ok(Some(process)) = tracked(&tasks, *pid) {
                poll(&mut [PollFd::new(&process, PollFlags::IN)], None)?;
            }
        }
        Ok(())
    }
}

impl StillRunning {
    /// Looks at every process of the machine. One that is born meanwhile may be missed where process ids have come round;
    /// the number of the newest process of the jobs tells that, and then all are looked at again.
    fn of(folder: &Path) -> StillRunning {
        let open = |name| {
            let pin = folder.join(name);
            MapHandle::from_pinned_path(&pin).map_err(|_| is_absent(&pin))
        };
        let (tasks, variables) = match (open(TASKS), open(VARIABLES)) {
            (Ok(tasks), Ok(variables)) => (tasks, variables),
            // Both are pinned before anything is followed.
            (Err(true), _) | (_, Err(true)) => return StillRunning::Nobody,
            _ => return StillRunning::Unseen,
        };
        let newest = || variables.lookup(&0u32.to_ne_bytes(), MapFlags::ANY);
        for _ in 0..LOOKS {
            let (Ok(before), Ok(pids)) = (newest(), all_tracked(&tasks)) else {
                return StillRunning::Unseen;
            };
            if !pids.is_empty() {
                return StillRunning::Processes(pids);
            }
            if newest().is_ok_and(|after| after == before) {
                return StillRunning::Nobody;
            }
        }
        StillRunning::Unseen
    }
}

/// The numbers of the maps of tasks that are pinned by agents which are gone.
pub(crate) fn maps_of_the_dead() -> io::Result<HashSet<u32>> {
    let abandoned = folders()?.into_iter().filter(|path| !owner_lives(path));
    let maps = abandoned.filter_map(|folder| {
        // It may be removed just now, and one for arrivals has none.
        let tasks = MapHandle::from_pinned_path(folder.join(TASKS)).ok()?;
        Some(tasks.info().ok()?.info.id)
    });
    Ok(maps.collect())
}

/// Ends the fence that is pinned in this folder. The kernel takes programs off a moment after their last link is gone;
/// until then they would refuse what nobody forbids any more, and lead questions for names to a resolver that is gone.
/// Without their entries, they let all pass.
fn take_down(folder: &Path) -> io::Result<()> {
    if let Ok(fences) = MapHandle::from_pinned_path(folder.join(FENCES)) {
        for job in fences.keys() {
            let _ = fences.delete(&job);
        }
    }
    fs::remove_dir_all(folder)
}

fn is_absent(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn name(pid: u32) -> String {
    life_of(pid).unwrap_or_else(|| format!("{pid}-0"))
}

/// The id of a process and when it started, `PID-TIME`: together, never used again. `None` when there is no such process.
pub fn life_of(pid: u32) -> Option<String> {
    Some(format!("{pid}-{}", start_time(pid)?))
}

fn start_time(pid: u32) -> Option<u64> {
    stat_field(pid, 22)?.parse().ok()
}

/// A field of /proc/PID/stat, by its number in proc(5): the third, or one after it.
pub(crate) fn stat_field(pid: u32, number: usize) -> Option<String> {
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

/// The processes of the jobs that have not ended. An error is no answer: there may be some.
pub(crate) fn all_tracked(tasks: &MapHandle) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(pid) = pid
            && tracked(tasks, pid)?.is_some()
        {
            found.push(pid);
        }
    }
    Ok(found)
}

/// A handle on a process of the jobs, unless it has ended: it may be gone with some of its threads and go on with others,
/// and what is left of it until its parent looks does nothing any more. The kernel side knows.
pub(crate) fn tracked(tasks: &MapHandle, pid: u32) -> io::Result<Option<OwnedFd>> {
    let Some(pid) = Pid::from_raw(pid.cast_signed()) else {
        return Ok(None);
    };
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        // Gone meanwhile; kernels tell that in different ways.
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let key = handle.as_fd().as_raw_fd().to_ne_bytes();
    let place = tasks
        .lookup(&key, MapFlags::ANY)
        .map_err(io::Error::other)?;
    let place = place.and_then(|bytes| Some(abi::read::<rw_task>(&bytes)?.0));
    Ok(place.filter(|place| place.exited == 0).map(|_| handle))
}

/// The BPF file system, mounted if it was not: every loader expects it there.
fn bpffs() -> Result<PathBuf, SensorError> {
    let path = PathBuf::from(BPFFS);
    let mounted = || {
        if is_mounted() {
            return Ok(());
        }
        // Two that begin at once would each mount one, and the second would hide the pins of the first.
        let above = File::open(BPFFS_PARENT)?;
        flock(&above, FlockOperation::LockExclusive)?;
        if is_mounted() {
            return Ok(());
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("bpf", &path, "bpf", flags, c"mode=700")?;
        Ok(())
    };
    mounted().map_err(|source| SensorError::Pin {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

fn is_mounted() -> bool {
    let mounts = fs::read("/proc/self/mounts").unwrap_or_default();
    mounts.split(|byte| *byte == b'\n').any(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        fields.nth(1) == Some(BPFFS.as_bytes()) && fields.next() == Some(b"bpf")
    })
}
