//! What the job's processes do with files at the places that somebody asked to be told of.
//!
//! A fanotify group of its own has a mark on each such file: reads of credentials are heard there by whatever name, link
//! or mount the file was reached, and whether it was read or mapped; changes of files that start programs likewise. What
//! comes into being at a place is told by the names group, which hears of the whole file system, and gets its mark then.
//!
//! **What escapes.** A credential that is made while the job runs and read before it is noticed, some 25 ms later. One
//! that is opened for writing, changed, and read through a map only. Files behind a file system that the job mounts.

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use runward_event::{
    Body, EventKind, FileAct, LossReason, Lost, ProcessId, SensitiveClass, SensitiveFile, Texts,
};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::files::Change;
use crate::files::changes::Audience;
use crate::files::folders::fsid_of;
use crate::files::groups::boot_ns;
use crate::files::handle::Handle;
use crate::files::places::{Places, fits};
use crate::files::record::{Mask, Records};
use crate::files::settings::as_path;
use crate::files::sys::{fanotify_init, fanotify_mark};

/// How many files are marked: each mark keeps an inode in the kernel's memory.
const MAX_MARKS: usize = 4096;
/// How many entries of one folder are compared with a pattern.
const MAX_ENTRIES: usize = 10_000;
/// How much one read takes from the kernel, and how many reads one drain makes.
const READ: usize = 1 << 16;
const READS: usize = 64;
/// How many files are followed at a time that were opened and not yet read.
const MAX_OPEN: usize = 1024;
/// A file that was opened, and neither read, written nor closed for this long, is mapped, or will be read.
const OPEN_FOR_NS: u64 = 15_000_000;
/// How many acts are remembered, so that each is told once. When they are too many, they may be told again.
const MAX_TOLD: usize = 20_000;
/// How much of a file of Python's is read to see whether it runs code.
const PTH_READ: u64 = 1 << 16;
/// How many entries of renamed folders are looked at in one drain.
const MAX_WALKED: usize = 10_000;
/// How many folders wait meanwhile to be looked through: each is an open descriptor.
const MAX_FOLDERS: usize = 128;
/// How many files of them are held open to be told of.
const MAX_FOUND: usize = 256;

/// Files at places, and what was told of them.
#[derive(Debug)]
pub(crate) struct Sensitive {
    pub(crate) places: Places,
    /// Missing when there are no places, or the kernel has no groups left.
    group: Option<OwnedFd>,
    marked: HashMap<Handle, Marked>,
    /// Files that could not be marked, or looked at, since this was told.
    refused: u64,
    /// How many entries of renamed folders may still be looked at before the next drain.
    walk: usize,
    opened: HashMap<(Handle, u32), Opened>,
    told: HashSet<u64>,
    hasher: RandomState,
    buffer: Vec<u8>,
}

/// A file that has a mark.
#[derive(Clone, Debug)]
struct Marked {
    place: usize,
    /// Where it was when it was marked.
    path: Vec<u8>,
}

/// A file that was opened, not yet known for what.
#[derive(Debug)]
struct Opened {
    process: ProcessId,
    since: u64,
}

/// Who did something, and when it was noticed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Doer {
    pub(crate) process: ProcessId,
    pub(crate) pid: u32,
    pub(crate) boot_ns: u64,
}

/// What is told of one act.
#[derive(Debug)]
pub(crate) struct Deed<'a> {
    pub(crate) act: FileAct,
    pub(crate) place: usize,
    pub(crate) path: &'a [u8],
    pub(crate) from: Option<&'a [u8]>,
    pub(crate) runs_code: Option<bool>,
}

impl Sensitive {
    /// Listens to the files that are there. To be called before the job starts: paths are followed here.
    pub(crate) fn open(places: Places) -> Sensitive {
        let flags = libc::FAN_CLASS_NOTIF
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK
            | libc::FAN_REPORT_FID
            | libc::FAN_UNLIMITED_MARKS;
        let group = match places.is_empty() {
            true => None,
            false => fanotify_init(flags).ok(),
        };
        let mut sensitive = Sensitive {
            places,
            group,
            marked: HashMap::new(),
            refused: 0,
            walk: MAX_WALKED,
            opened: HashMap::new(),
            told: HashSet::new(),
            hasher: RandomState::new(),
            buffer: Vec::new(),
        };
        let roots: Vec<(usize, Vec<Box<[u8]>>)> = sensitive
            .places
            .roots()
            .map(|(place, parts)| (place, parts.to_vec()))
            .collect();
        for (place, parts) in roots {
            for path in expand(&parts) {
                // A pattern before this one may mean the file, too.
                let place = sensitive.places.find(&path).unwrap_or(place);
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                if let Ok(file) = rustix::fs::open(as_path(&path), flags, Mode::empty()) {
                    sensitive.mark(&file, place, &path);
                }
            }
        }
        sensitive
    }

    /// What of this can't be done here, in a sentence.
    pub(crate) fn note(&mut self) -> Option<String> {
        match (&self.group, std::mem::take(&mut self.refused)) {
            (None, _) if !self.places.is_empty() => Some(
                "who reads credentials is not told: the kernel makes no more fanotify groups, or none that tell of files"
                    .to_owned(),
            ),
            (Some(_), refused @ 1..) => Some(format!(
                "who reads credentials is told of some files only: {refused} could not be watched, because of their \
                 file system or their number"
            )),
            _ => None,
        }
    }

    /// A descriptor that is readable when something was done with a marked file.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.group.as_ref().map(AsFd::as_fd)
    }

    /// Listens to a file, which `file` has open for its place only.
    fn mark(&mut self, file: &OwnedFd, place: usize, path: &[u8]) {
        let Some(group) = &self.group else { return };
        let regular = rustix::fs::fstat(file)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
        if !regular {
            return;
        }
        let handle = fsid_of(file).and_then(|fsid| Handle::of(file.as_fd(), fsid).ok());
        let Some(handle) = handle else {
            self.refused += 1;
            return;
        };
        let class = self.places.get(place).map(|place| place.class);
        let changes = libc::FAN_MODIFY | libc::FAN_CLOSE_WRITE;
        let mask = match class {
            Some(SensitiveClass::Credential) => {
                changes | libc::FAN_OPEN | libc::FAN_ACCESS | libc::FAN_CLOSE_NOWRITE
            }
            Some(SensitiveClass::Persistence) => changes,
            _ => return,
        };
        let link = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let Ok(link) = link else { return };
        if (self.marked.len() < MAX_MARKS || self.marked.contains_key(&handle))
            && fanotify_mark(group.as_fd(), libc::FAN_MARK_ADD, mask, CWD, &link).is_ok()
        {
            let path = path.to_vec();
            self.marked.insert(handle, Marked { place, path });
        } else {
            self.refused += 1;
        }
    }

    /// Tells what was done with marked files since the last drain; `all` leaves nothing for later.
    pub(crate) fn drain(&mut self, all: bool, to: &mut Audience<'_>) -> u64 {
        let mut lost = 0;
        let Some(group) = self.group.take() else {
            return lost;
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(READ, 0);
        for _ in 0..READS {
            match rustix::io::read(&group, buffer.as_mut_slice()) {
                Ok(len) if len > 0 => {
                    lost += self.batch(buffer.get(..len).unwrap_or_default(), to);
                }
                Err(Errno::INTR) => {}
                _ => break,
            }
        }
        self.buffer = buffer;
        self.group = Some(group);
        self.settle(all, to);
        self.walk = MAX_WALKED;
        let refused = std::mem::take(&mut self.refused);
        if refused > 0 {
            lost += 1;
            tell_lost(refused, LossReason::NoMemory, boot_ns(), to);
        }
        lost
    }

    fn batch(&mut self, bytes: &[u8], to: &mut Audience<'_>) -> u64 {
        let now = boot_ns();
        let mut lost = 0;
        for record in Records::new(bytes) {
            let reason = match &record {
                Ok(record) if record.mask.has(libc::FAN_Q_OVERFLOW) => LossReason::QueueOverflow,
                Err(_) => LossReason::Malformed,
                Ok(record) => {
                    if let Some(target) = record.target {
                        self.used(Handle::new(target), record.mask, record.pid, now, to);
                    }
                    continue;
                }
            };
            lost += 1;
            tell_lost(1, reason, now, to);
        }
        lost
    }

    /// Something was done with a marked file. The kernel merges what one process does with it.
    fn used(&mut self, handle: Handle, mask: Mask, pid: u32, now: u64, to: &mut Audience<'_>) {
        let Some(marked) = self.marked.get(&handle).cloned() else {
            return;
        };
        let Some(process) = to.process(pid) else {
            return;
        };
        let who = Doer {
            process,
            pid,
            boot_ns: now,
        };
        let credential = self
            .places
            .get(marked.place)
            .is_some_and(|place| place.class == SensitiveClass::Credential);
        let modified = mask.has(libc::FAN_MODIFY);
        if !credential {
            // Closed alone: opened for writing, and left as it was.
            if modified {
                self.tell(who, &marked.deed(FileAct::Write), to);
            }
            return;
        }
        let key = (handle, pid);
        let open = self.opened.remove(&key);
        let closed = mask.has(libc::FAN_CLOSE_WRITE);
        if mask.has(libc::FAN_ACCESS | libc::FAN_CLOSE_NOWRITE) {
            self.tell(who, &marked.deed(FileAct::Read), to);
        } else if modified {
            // It writes what it knows.
        } else if closed && (open.is_some() || mask.has(libc::FAN_OPEN)) {
            // Open for reading and writing, and not written to: mapped.
            self.tell(who, &marked.deed(FileAct::Read), to);
        } else if mask.has(libc::FAN_OPEN) && self.opened.len() < MAX_OPEN {
            let since = open.map_or(now, |open| open.since);
            self.opened.insert(key, Opened { process, since });
        }
    }

    /// Tells of files that stay open without having been read: a map reads without a call.
    fn settle(&mut self, all: bool, to: &mut Audience<'_>) {
        if self.opened.is_empty() {
            return;
        }
        let now = boot_ns();
        let due: Vec<(Handle, u32)> = self
            .opened
            .iter()
            .filter(|(_, open)| all || now.saturating_sub(open.since) >= OPEN_FOR_NS)
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let (Some(open), Some(marked)) =
                (self.opened.remove(&key), self.marked.get(&key.0).cloned())
            else {
                continue;
            };
            let who = Doer {
                process: open.process,
                pid: key.1,
                boot_ns: open.since,
            };
            self.tell(who, &marked.deed(FileAct::Read), to);
        }
    }

    /// The names group told of a file at a place: it is listened to from now on, and told if that is what the place is
    /// for.
    pub(crate) fn named(
        &mut self,
        deed: &mut Deed<'_>,
        file: Option<&OwnedFd>,
        who: Doer,
        to: &mut Audience<'_>,
    ) {
        // Of what Python runs, the content has to be looked at, and that is done where its name is known.
        if let Some(file) = file.filter(|_| !is_pth(deed.path)) {
            self.mark(file, deed.place, deed.path);
        }
        let class = self.places.get(deed.place).map(|place| place.class);
        if class != Some(SensitiveClass::Persistence) {
            return;
        }
        if is_pth(deed.path) && deed.act != FileAct::Delete {
            deed.runs_code = file.and_then(runs_code);
            // One that was just made is still empty: its content comes with the event of its closing.
            if deed.act == FileAct::Create && file.is_some_and(is_empty) {
                return;
            }
        }
        self.tell(who, deed, to);
    }

    fn tell(&mut self, who: Doer, deed: &Deed<'_>, to: &mut Audience<'_>) {
        let key = (who.process, deed.act, deed.path, deed.runs_code);
        let key = self.hasher.hash_one(key);
        if self.told.len() >= MAX_TOLD {
            self.told.clear();
        }
        let Some(place) = self.places.get(deed.place) else {
            return;
        };
        if !self.told.insert(key) {
            return;
        }
        let mut texts = Texts::default();
        let path = texts.text(|| "/path".into(), deed.path);
        let from = deed.from.map(|from| texts.text(|| "/from".into(), from));
        (to.sink)(Change {
            boot_ns: who.boot_ns,
            body: Body::SensitiveFile(Box::new(SensitiveFile {
                process: who.process,
                pid: who.pid,
                act: deed.act,
                path,
                from,
                class: place.class,
                place: place.pattern.clone(),
                runs_code: deed.runs_code,
                raw: texts.into_raw(),
            })),
        });
    }

    /// Files at places below a folder that was given a name.
    pub(crate) fn walk(&mut self, folder: OwnedFd, path: &[u8]) -> Vec<(Vec<u8>, usize, OwnedFd)> {
        let mut found = Vec::new();
        let mut folders = vec![(folder, path.to_vec())];
        while let Some((folder, path)) = folders.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let open = rustix::fs::openat(&folder, c".", flags, Mode::empty());
            let Some(entries) = open.ok().and_then(|open| rustix::fs::Dir::new(open).ok()) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name().to_bytes();
                if matches!(name, b"." | b"..") {
                    continue;
                }
                if self.walk == 0 {
                    self.refused += 1;
                    return found;
                }
                self.walk -= 1;
                let below = [&path, name].join(&b'/');
                let is_folder = entry.file_type() == FileType::Directory;
                let place = match is_folder {
                    true => None,
                    false => self.places.find(&below),
                };
                if place.is_none() && !(is_folder && self.places.may_be_below(&below)) {
                    continue;
                }
                match (file_in(&folder, name), place) {
                    (Some(file), Some(place)) if found.len() < MAX_FOUND => {
                        found.push((below, place, file));
                    }
                    (Some(folder), None) if folders.len() < MAX_FOLDERS => {
                        folders.push((folder, below));
                    }
                    (Some(_), _) => self.refused += 1,
                    (None, _) => {}
                }
            }
        }
        found
    }
}

fn tell_lost(count: u64, reason: LossReason, boot_ns: u64, to: &mut Audience<'_>) {
    let body = Body::Lost(Lost {
        lost: EventKind::SensitiveFile,
        count,
        reason,
    });
    (to.sink)(Change { boot_ns, body });
}

impl Marked {
    fn deed(&self, act: FileAct) -> Deed<'_> {
        Deed {
            act,
            place: self.place,
            path: &self.path,
            from: None,
            runs_code: None,
        }
    }
}

/// What is called `name` in a folder, for its place only; nothing on another file system, and no link is followed.
pub(crate) fn file_in(folder: &OwnedFd, name: &[u8]) -> Option<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(folder, name, flags, Mode::empty(), resolve).ok()
}

fn is_pth(path: &[u8]) -> bool {
    path.ends_with(b".pth")
}

fn is_empty(file: &OwnedFd) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| stat.st_size == 0)
}

/// Whether Python would run a line of a file: one that begins with `import` and a blank (the library's `site` module).
fn runs_code(file: &OwnedFd) -> Option<bool> {
    let stat = rustix::fs::fstat(file).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    // O_NONBLOCK: a file that another process holds a lease on is an error, and not a wait.
    let place = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let open = rustix::fs::openat(CWD, place, flags, Mode::empty()).ok()?;
    let mut bytes = Vec::new();
    File::from(open)
        .take(PTH_READ)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(has_code(&bytes))
}

fn has_code(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    bytes
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .any(|line| line.starts_with(b"import ") || line.starts_with(b"import\t"))
}

/// The files that a pattern means now.
fn expand(parts: &[Box<[u8]>]) -> Vec<Vec<u8>> {
    let mut paths = vec![Vec::new()];
    for part in parts {
        let mut next = Vec::new();
        for path in paths {
            if !part.contains(&b'*') {
                next.push([&path[..], b"/", part].concat());
                continue;
            }
            let folder = if path.is_empty() {
                &b"/"[..]
            } else {
                &path[..]
            };
            let Ok(entries) = std::fs::read_dir(as_path(folder)) else {
                continue;
            };
            for entry in entries.flatten().take(MAX_ENTRIES) {
                let name = entry.file_name();
                let name = std::os::unix::ffi::OsStrExt::as_bytes(&*name);
                if fits(part, name) && next.len() < MAX_MARKS {
                    next.push([&path[..], b"/", name].concat());
                }
            }
        }
        paths = next;
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_python_runs() {
        for (text, runs) in [
            ("import os; os.system('x')", true),
            ("/src\nimport\tx\n", true),
            ("\u{feff}import x", true),
            ("# import x\n/srv/import x\nimportlib\n import x", false),
            ("", false),
        ] {
            assert_eq!(has_code(text.as_bytes()), runs, "{text:?}");
        }
    }
}
