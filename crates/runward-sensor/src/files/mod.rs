//! The file half of the sensor: which files git tracks, and every change of files in the workspace.
//!
//! Changes are heard through fanotify, on the whole file system, so that no way of altering a file goes unheard:
//! `io_uring`, memory maps and hard links included. The parts, from the kernel up:
//!
//! - [`sys`]: the system calls; the only unsafe code here;
//! - [`record`]: the bytes that fanotify writes, parsed; [`handle`]: the kernel's lasting name of a file;
//! - [`groups`]: what is listened to, and the queue; [`folders`]: where a folder is;
//! - [`index`], [`repository`], [`settings`], [`ignored`]: what git tracks, converts and ignores;
//! - [`content`]: looking at and hashing a file; [`tracked`]: what tracked files held and hold;
//! - [`objects`], [`diff`]: what a text held before, and what differs;
//! - [`changes`]: events made of all this; [`mounts`]: what hides tracked files without changing them.
//! - [`places`], [`sensitive`]: files elsewhere that are looked after: credentials, and what makes programs start again.
//!
//! **What is recorded.** Every change of a tracked file, with the process that made it, and its hash before (when the
//! job started) and after. Creations, writes, renames and deletions of other files, when a process of the job made
//! them, unless git ignores the file. Of git's own folder only `config` and `hooks/`. What is not recorded is counted.
//!
//! **What escapes, and is found at the end.** A file that is written and put back within one drain (some
//! twenty milliseconds) shows only its last content. Writes through a memory map are told when the map is closed;
//! what is still mapped at the end, or was lost when the kernel's queue was full, is found by looking at every tracked
//! file once more ([`Watcher::finish`]): such a change has no process.
//!
//! **Sensitive files** are told of wherever they are, ignored by git or not: see [`Config::places`]. Reads of credentials
//! are heard by a group with a mark on each of these files, so that no other file costs anything; what comes into being at
//! a place is heard by the group of the whole file system, of which folders at places are never silenced.
//!
//! **Cost**, measured on two busy processors (Linux 6.18) with a process that creates, renames and deletes 60,000 files,
//! watched and bare in turns, drained every 20 ms: 1.30 × on tmpfs, where it is the kernel's own making of events that
//! costs; 1.18 × in a folder that git ignores and 1.16 × outside the workspace, which are silenced; nothing that could be
//! told from noise on ext4.
//!
//! **Limits.** 4,000,000 tracked files, about 450 bytes of memory each. Up to 100,000 each also have a mark, which keeps
//! an inode in the kernel's memory; with more, the kernel tells of every write on the file system instead, which costs
//! the job more. A file of more than 4 GiB has no hash. `truncate(2)` by name is heard for tracked files only. Writes
//! of a file that git does not track, through a hard link in a folder that is ignored or elsewhere, may go unheard.

mod changes;
mod content;
mod diff;
mod folders;
mod groups;
mod handle;
mod ignored;
mod index;
mod mounts;
mod objects;
mod places;
mod record;
mod repository;
mod sensitive;
mod settings;
mod sys;
mod tracked;

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use runward_event::{Body, ProcessId};
use rustix::fs::{Mode, OFlags};
use thiserror::Error;

use crate::files::changes::{Audience, Changes};
use crate::files::content::Root;
use crate::files::folders::{Folders, Mount, fsid_of};
use crate::files::groups::Groups;
use crate::files::handle::Handle;
use crate::files::mounts::{MountTable, MountWatch};
pub use crate::files::places::Place;
use crate::files::places::Places;
use crate::files::sensitive::Sensitive;
use crate::files::tracked::Baseline;

/// Where a path of another process's mount namespace is in this one: a volume of a container, or a folder of the machine
/// that was mounted into it. `None` when what is there can't be reached from here, and for a path that goes back up.
pub fn place_here(pid: u32, path: &Path) -> Option<PathBuf> {
    let goes_up = |part: Component<'_>| part == Component::ParentDir;
    if path.components().any(goes_up) {
        return None;
    }
    let theirs = MountTable::of(&pid.to_string())?;
    theirs.place_in(&MountTable::of("self")?, path)
}

/// Events are read again when folding has taken this long, so that the kernel's queue doesn't fill meanwhile.
const PUMP_EVERY: Duration = Duration::from_millis(5);
/// One drain takes no longer than this, but for the hash of one file.
const DRAIN_FOR: Duration = Duration::from_millis(100);
/// How long [`Watcher::finish`] waits for events to end, when processes of the job go on making them.
const FINISH_FOR: Duration = Duration::from_secs(10);

/// What to watch.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder whose files are watched, with everything in it.
    pub workspace: PathBuf,
    /// Home folders whose git settings apply, besides that of the repository's owner: the invoking user's.
    pub homes: Vec<PathBuf>,
    /// Whether what differs in a tracked text is told.
    pub diffs: bool,
    /// Places, here and elsewhere, where more is told of files than of others.
    pub places: Vec<Place>,
}

/// Something that happened to a file, or events that were lost.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When it was noticed, in nanoseconds of the clock that runs since boot (`CLOCK_BOOTTIME`): it happened between
    /// the drain before and this point.
    pub boot_ns: u64,
    /// One of the `File…` kinds, or [`Body::Lost`].
    pub body: Body,
}

/// Why files can't be watched. The job can run without; its record must say so.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FilesError {
    /// The workspace isn't a folder that can be opened.
    #[error("the workspace {} can't be opened ({source}); name a folder that exists with --workspace", path.display())]
    Workspace {
        /// The workspace.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Watching a file system is for root.
    #[error(
        "watching files needs the capabilities CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH ({0}); run runward as root"
    )]
    Privilege(#[source] io::Error),
    /// The machine has no fanotify groups left.
    #[error(
        "no more fanotify groups can be made ({0}); raise the sysctl fs.fanotify.max_user_groups"
    )]
    Limit(#[source] io::Error),
    /// The kernel can't tell names.
    #[error(
        "this kernel can't report file names through fanotify ({0}); it needs Linux 5.9 or later with CONFIG_FANOTIFY"
    )]
    Kernel(#[source] io::Error),
    /// The file system can't be watched, or its handles can't be opened.
    #[error(
        "files in {} can't be watched, because its file system ({kind}) doesn't support it ({source}); \
         put the workspace on ext4, XFS, Btrfs or tmpfs (in a container: on a volume)",
        path.display()
    )]
    FileSystem {
        /// The workspace.
        path: PathBuf,
        /// The type of its file system.
        kind: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Watches the files of one workspace from [`Watcher::open`] to [`Watcher::finish`].
#[derive(Debug)]
pub struct Watcher {
    groups: Groups,
    changes: Changes,
    mounts: MountWatch,
}

impl Watcher {
    /// Begins to watch, and takes the baseline of every tracked file.
    ///
    /// Call it before the job's first process runs: what is there now is what the job started from.
    pub fn open(config: &Config) -> Result<Watcher, FilesError> {
        let failed = |source| FilesError::Workspace {
            path: config.workspace.clone(),
            source,
        };
        let root = Root::open(&config.workspace).map_err(failed)?;
        let mountinfo = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
        let table = MountTable::parse(&mountinfo);
        let kind = table.kind_of(&root.path);
        let unsupported = |source| FilesError::FileSystem {
            path: config.workspace.clone(),
            kind: kind.clone(),
            source,
        };
        let mount_watch = MountWatch::new(&root.path);
        let mut groups = Groups::new()?;
        let workspace = root.fd.try_clone().map_err(failed)?;
        let fsid = fsid_of(&workspace).unwrap_or_default();
        let mut mounts = vec![Mount {
            fd: workspace,
            fsid,
            point: Vec::new(),
        }];
        mounts.extend(table.below(&root.path));

        // Handles must work both ways: a file system may name its files in a form that it can't find them by.
        let handle = Handle::of(root.fd.as_fd(), fsid).map_err(unsupported)?;
        if let Some(raw) = handle.raw() {
            sys::open_folder_by_handle(root.fd.as_fd(), raw.kind, raw.bytes).map_err(|error| {
                match rustix::io::Errno::from_io_error(&error) {
                    Some(rustix::io::Errno::PERM) => FilesError::Privilege(error),
                    _ => unsupported(error),
                }
            })?;
        }
        let elsewhere = elsewhere(config);
        let folders = Folders::new(&root, mounts, elsewhere).map_err(unsupported)?;
        let places = Places::new(&config.places, &root.path, &config.homes);
        let mut sensitive = Sensitive::open(places);
        let note = sensitive.note();
        let mut changes = Changes::new(root, config, folders, sensitive);
        changes.notes.extend(note);
        let listing = changes.find_repository();
        let files = listing.as_ref().map_or(0, |listing| listing.files.len());

        // First listen, then look: what changes in between is told, rather than taken for the baseline.
        let refused = groups
            .mark(changes.folders.mounts(), changes.folders.elsewhere(), files)
            .map_err(unsupported)?;
        for point in refused {
            changes.notes.push(format!(
                "files below {} are not watched: its file system doesn't support it",
                String::from_utf8_lossy(&point)
            ));
        }
        if let Some(listing) = listing {
            changes.track(listing, Baseline::Files, &mut groups);
        }
        Ok(Watcher {
            groups,
            changes,
            mounts: mount_watch,
        })
    }

    /// How many files git tracks in the workspace. `None` without an index; the job may make one.
    pub fn tracked_count(&self) -> Option<usize> {
        self.changes.tracked.as_ref().map(tracked::Tracked::len)
    }

    /// What a reader of the record should know, a sentence each. Grows when the job makes a repository.
    pub fn notes(&self) -> &[String] {
        &self.changes.notes
    }

    /// A descriptor that is readable when changes wait. Draining on a timer, every 20 ms, costs the job less than
    /// waking up for each.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.groups.fd()
    }

    /// A descriptor that is readable when something was done with a file at one of the places. Waking up for it costs
    /// little, as long as a job that does nothing else is kept from waking its reader all the time.
    pub fn sensitive_fd(&self) -> Option<BorrowedFd<'_>> {
        self.changes.sensitive.fd()
    }

    /// Tells what has happened since the last drain, and returns when there is no more, or after about 100 ms.
    ///
    /// `who` names the process of the job that has a process id now; drain the process events first, so that it knows
    /// them. Changes by other processes are told for tracked files only, without a process.
    pub fn drain(
        &mut self,
        who: &mut dyn FnMut(u32) -> Option<ProcessId>,
        sink: &mut dyn FnMut(Change),
    ) {
        let mut audience = Audience::new(who, sink);
        self.groups.pump(|batch| self.changes.foresee(batch));
        self.fold(DRAIN_FOR, true, &mut audience);
        self.changes.settle(false, &mut self.groups, &mut audience);
        self.changes.drain_sensitive(false, &mut audience);
        self.look_at_mounts(false, &mut audience);
    }

    /// A process of the job is in a call that mounts something. `pids` are its own process id and those of processes that
    /// may be in the same mount namespace, which has this inode.
    pub fn mounting(&mut self, process: ProcessId, pids: &[u32], namespace: u64) {
        self.mounts.called(process, pids, namespace);
    }

    fn look_at_mounts(&mut self, last: bool, audience: &mut Audience<'_>) {
        if let Some(tracked) = &self.changes.tracked {
            let differ = &mut self.changes.differ;
            if self.mounts.look(last, tracked, differ, audience) {
                self.changes.look_at_all();
            }
            self.changes.notes.append(&mut self.mounts.notes);
        }
    }

    /// Tells everything that is left, then looks at every tracked file once more and tells what no event told.
    ///
    /// To be called when the job has ended. Changes that are found only now have no process.
    pub fn finish(
        &mut self,
        who: &mut dyn FnMut(u32) -> Option<ProcessId>,
        sink: &mut dyn FnMut(Change),
    ) {
        let mut audience = Audience::new(who, sink);
        let start = Instant::now();
        // The job has ended, so once all has been read, what still comes is of others on the same file system.
        while start.elapsed() < FINISH_FOR {
            let all = self.groups.pump(|batch| self.changes.foresee(batch));
            self.fold(FINISH_FOR, !all, &mut audience);
            if all {
                break;
            }
        }
        self.changes.settle(true, &mut self.groups, &mut audience);
        self.changes.drain_sensitive(true, &mut audience);
        self.look_at_mounts(true, &mut audience);
        self.changes.sweep(&mut self.groups, &mut audience);
    }

    /// How many times events were lost. Each was also told as [`Body::Lost`].
    pub fn lost(&self) -> u64 {
        self.changes.lost
    }

    /// How many events were dropped because git ignores the file or it is git's own. A lower bound: the kernel is
    /// asked to keep quiet about folders with many.
    pub fn unrecorded(&self) -> u64 {
        self.changes.unrecorded
    }

    /// Folds what was read for at most `limit`, reading more meanwhile if `pump` says so.
    fn fold(&mut self, limit: Duration, pump: bool, audience: &mut Audience<'_>) {
        let start = Instant::now();
        let mut pumped = start;
        while let Some(batch) = self.groups.next() {
            self.changes.batch(&batch, &mut self.groups, audience);
            self.groups.done(batch);
            if start.elapsed() > limit {
                break;
            }
            if pump && pumped.elapsed() > PUMP_EVERY {
                self.groups.pump(|batch| self.changes.foresee(batch));
                pumped = Instant::now();
            }
        }
    }
}

/// The file systems, besides the workspace's, that places are on; each once, the root's first.
fn elsewhere(config: &Config) -> Vec<Mount> {
    let mut found: Vec<Mount> = Vec::new();
    if config.places.is_empty() {
        return found;
    }
    let system = ["/", "/etc", "/usr", "/var"].map(PathBuf::from);
    for point in system.iter().chain(&config.homes) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let Ok(fd) = rustix::fs::open(point, flags, Mode::empty()) else {
            continue;
        };
        let Some(fsid) = fsid_of(&fd) else { continue };
        if !found.iter().any(|mount| mount.fsid == fsid) {
            let point = std::os::unix::ffi::OsStrExt::as_bytes(point.as_os_str()).to_vec();
            found.push(Mount { fd, fsid, point });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_to_do() {
        let error = || io::Error::from_raw_os_error(95);
        let errors = [
            FilesError::Workspace {
                path: "/w".into(),
                source: error(),
            },
            FilesError::Privilege(error()),
            FilesError::Limit(error()),
            FilesError::Kernel(error()),
            FilesError::FileSystem {
                path: "/w".into(),
                kind: "overlay".into(),
                source: error(),
            },
        ];
        for error in errors {
            let text = error.to_string();
            assert!(text.contains("Operation not supported"), "{text}");
            assert!(
                [
                    "name a",
                    "run runward",
                    "raise",
                    "needs Linux",
                    "put the workspace"
                ]
                .iter()
                .any(|advice| text.contains(advice))
            );
        }
    }
}
