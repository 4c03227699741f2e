//! The kernel's side: two fanotify groups, their marks, and the queue of what they told.
//!
//! The *names* group has a mark on each whole file system: creations, deletions, renames and closes of written files,
//! with their names. The *inodes* group has a mark on each tracked file, and hears of every write to it, by any name:
//! that covers `truncate(2)`, which closes nothing, and it makes it safe to silence noisy folders in the names group,
//! because the kernel lets an ignore mark of a group win over that group's other marks, but not over another group's.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

use crate::files::FilesError;
use crate::files::content::Found;
use crate::files::folders::Mount;
use crate::files::handle::Handle;
use crate::files::sys::{self, fanotify_init, fanotify_mark};

/// Above this many tracked files they get no marks of their own: each pins an inode in the kernel's memory.
pub(crate) const MAX_INODE_MARKS: usize = 100_000;
/// How much one read takes from the kernel: some hundreds of events.
const READ: usize = 1 << 16;
/// How much is held that was read and not yet looked at. Beyond it the kernel's own queue fills, and says so.
const MAX_BACKLOG: usize = 256;

/// Which of the two groups told something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Names,
    Inodes,
}

/// Some events, as the kernel wrote them.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) source: Source,
    /// Counts the reads of everything there was. What is hashed after a round holds all changes told in it.
    pub(crate) round: u64,
    /// When it was read, by the clock that runs since boot.
    pub(crate) boot_ns: u64,
    buffer: Vec<u8>,
    len: usize,
}

impl Batch {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

/// The fanotify groups of one watched workspace.
#[derive(Debug)]
pub(crate) struct Groups {
    names: OwnedFd,
    /// Missing when the kernel refuses it, or there are too many tracked files.
    inodes: Option<OwnedFd>,
    inode_marks: usize,
    /// Whether noisy folders can be silenced; found by trying.
    can_silence: bool,
    silenced: usize,
    backlog: VecDeque<Batch>,
    spare: Vec<Vec<u8>>,
    round: u64,
}

impl Groups {
    /// Makes the groups, without any mark.
    pub(crate) fn new() -> Result<Groups, FilesError> {
        // Which file a created or removed name stands for is told since Linux 5.17; the folder's tree is then known
        // from events alone. Since 5.9 at least the names are told.
        let base = libc::FAN_CLASS_NOTIF | libc::FAN_CLOEXEC | libc::FAN_NONBLOCK;
        let names = fanotify_init(base | libc::FAN_REPORT_DFID_NAME_TARGET)
            .or_else(|_| fanotify_init(base | libc::FAN_REPORT_DFID_NAME | libc::FAN_REPORT_FID))
            .map_err(|error| match Errno::from_io_error(&error) {
                Some(Errno::PERM) => FilesError::Privilege(error),
                Some(Errno::MFILE) => FilesError::Limit(error),
                _ => FilesError::Kernel(error),
            })?;
        let inodes = fanotify_init(base | libc::FAN_REPORT_FID | libc::FAN_UNLIMITED_MARKS).ok();
        Ok(Groups {
            names,
            inodes,
            inode_marks: 0,
            can_silence: true,
            silenced: 0,
            backlog: VecDeque::new(),
            spare: Vec::new(),
            round: 0,
        })
    }

    /// The descriptor that becomes readable when something was told.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.names.as_fd()
    }

    /// Says how many files will be marked, and marks the file systems: the first must succeed.
    ///
    /// Those of `elsewhere` are marked if they can be. Gives the mount points of those that can't.
    pub(crate) fn mark(
        &mut self,
        mounts: &[Mount],
        elsewhere: &[Mount],
        files: usize,
    ) -> io::Result<Vec<Vec<u8>>> {
        if files > MAX_INODE_MARKS {
            self.inodes = None;
        }
        if self.inodes.is_none() {
            self.can_silence = false;
        }
        let mut refused = Vec::new();
        for (at, mount) in mounts.iter().enumerate() {
            match self.mark_file_system(mount) {
                Ok(()) => {}
                Err(error) if at == 0 => return Err(error),
                Err(_) => refused.push(mount.point.clone()),
            }
        }
        for mount in elsewhere {
            let marked = mounts.iter().any(|other| other.fsid == mount.fsid);
            if !marked && self.mark_file_system(mount).is_err() {
                refused.push(mount.point.clone());
            }
        }
        Ok(refused)
    }

    fn mark_file_system(&self, mount: &Mount) -> io::Result<()> {
        let mut mask =
            libc::FAN_CREATE | libc::FAN_DELETE | libc::FAN_CLOSE_WRITE | libc::FAN_ONDIR;
        if self.inodes.is_none() {
            // Nobody else would tell of truncate(2).
            mask |= libc::FAN_MODIFY;
        }
        let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM;
        // Both names of a rename come in one event since Linux 5.17, and in two before.
        let attempts = [mask | libc::FAN_RENAME, mask | libc::FAN_MOVE];
        let mut result = Ok(());
        for mask in attempts {
            result = fanotify_mark(self.names.as_fd(), flags, mask, mount.fd.as_fd(), c".");
            if result
                .as_ref()
                .is_err_and(|error| Errno::from_io_error(error) == Some(Errno::INVAL))
            {
                continue;
            }
            break;
        }
        result
    }

    /// Listens to one tracked file. To be called before its content is hashed, so that nothing falls in between.
    pub(crate) fn mark_file(&mut self, found: &Found) {
        // The content of a symbolic link never changes; another link has another inode.
        let Some(inodes) = self.inodes.as_ref().filter(|_| !found.stamp.link) else {
            return;
        };
        let path = format!("/proc/self/fd/{}", found.fd.as_raw_fd());
        let Ok(path) = std::ffi::CString::new(path) else {
            return;
        };
        let mask = libc::FAN_MODIFY | libc::FAN_CLOSE_WRITE;
        let marked = self.inode_marks < 2 * MAX_INODE_MARKS
            && fanotify_mark(inodes.as_fd(), libc::FAN_MARK_ADD, mask, CWD, &path).is_ok();
        if marked {
            self.inode_marks += 1;
        } else {
            // This file is only heard of through its names from now on, so none may be silenced.
            self.can_silence = false;
            self.hear_all();
        }
    }

    /// Stops events of files in a folder at their source. Events of folders in it, and renames, still come.
    ///
    /// The mark goes away with the inode when the kernel needs memory, and is then made again.
    pub(crate) fn silence(&mut self, handle: Handle, mounts: &[Mount]) {
        let Some(raw) = handle.raw().filter(|_| self.can_silence) else {
            return;
        };
        let folder = mounts
            .iter()
            .filter(|mount| mount.fsid == raw.fsid)
            .find_map(|mount| {
                sys::open_folder_by_handle(mount.fd.as_fd(), raw.kind, raw.bytes).ok()
            });
        let Some(folder) = folder else { return };
        let flags = libc::FAN_MARK_ADD
            | libc::FAN_MARK_IGNORE_SURV
            | libc::FAN_MARK_EVICTABLE
            | libc::FAN_MARK_ONLYDIR;
        let mask =
            libc::FAN_CREATE | libc::FAN_DELETE | libc::FAN_CLOSE_WRITE | libc::FAN_EVENT_ON_CHILD;
        match fanotify_mark(self.names.as_fd(), flags, mask, folder.as_fd(), c".") {
            Ok(()) => self.silenced += 1,
            // The kernel is older than 6.0.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                self.can_silence = false;
            }
            // The folder may be gone, or the memory short: it is tried again when it has been noisy again.
            Err(_) => {}
        }
    }

    pub(crate) fn can_silence(&self) -> bool {
        self.can_silence
    }

    /// Listens to every folder again.
    pub(crate) fn hear_all(&mut self) {
        if self.silenced == 0 {
            return;
        }
        self.silenced = 0;
        let flushed = fanotify_mark(self.names.as_fd(), libc::FAN_MARK_FLUSH, 0, CWD, c".");
        // The group has no other inode marks, and flushing can't fail while the descriptor is open.
        debug_assert!(flushed.is_ok());
    }

    /// Counts the reads of everything there was.
    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Takes what the kernel has into the backlog. `each` sees every batch first. False when there was no room for all.
    pub(crate) fn pump(&mut self, mut each: impl FnMut(&Batch)) -> bool {
        self.round += 1;
        let groups = [
            (Source::Names, Some(&self.names)),
            (Source::Inodes, self.inodes.as_ref()),
        ];
        for (source, fd) in groups {
            let Some(fd) = fd else { continue };
            while self.backlog.len() < MAX_BACKLOG {
                let mut buffer = self.spare.pop().unwrap_or_default();
                buffer.resize(READ, 0);
                match rustix::io::read(fd, buffer.as_mut_slice()) {
                    Ok(len) if len > 0 => {
                        let batch = Batch {
                            source,
                            round: self.round,
                            boot_ns: boot_ns(),
                            buffer,
                            len,
                        };
                        each(&batch);
                        self.backlog.push_back(batch);
                    }
                    Err(Errno::INTR) => self.spare.push(buffer),
                    _ => {
                        self.spare.push(buffer);
                        break;
                    }
                }
            }
        }
        self.backlog.len() < MAX_BACKLOG
    }

    pub(crate) fn next(&mut self) -> Option<Batch> {
        self.backlog.pop_front()
    }

    pub(crate) fn done(&mut self, batch: Batch) {
        if self.spare.len() < 8 {
            self.spare.push(batch.buffer);
        }
    }
}

/// The clock that runs since boot, in nanoseconds.
pub(crate) fn boot_ns() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u64::try_from(now.tv_nsec));
    seconds
        .unwrap_or(0)
        .saturating_mul(1_000_000_000)
        .saturating_add(nanos.unwrap_or(0))
}
