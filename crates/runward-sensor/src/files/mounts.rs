//! Mounts that hide tracked files: their paths show something else then, although no file has changed.
//!
//! Whoever may mount can do this, and the kernel tells watchers of files nothing of it. So the table of mounts is read
//! again whenever the kernel says that it changed, and what shows at the paths of tracked files is compared: at once, and
//! from time to time for as long as the mount stands, for it may be filled later.
//!
//! A process in a mount namespace of its own can have mounts that nobody else sees. Which process mounts anything the
//! caller tells ([`MountWatch::called`]); its namespace is then held open for a moment, longer if something of the
//! workspace is hidden in it.
//!
//! What shows through a mount may be answered by a process of the job (FUSE), which can make a reader wait for ever. So
//! nothing is looked up but in memory and on file systems that were there before the job: the walk goes one name at a
//! time, and asks after each which mount it has come to, which the kernel tells without asking the file system.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use runward_event::{Body, FileChange, MountOver, ProcessId, Texts};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};

use crate::files::Change;
use crate::files::changes::{Audience, Differ};
use crate::files::content::{self, Mounts, Root, Stamp};
use crate::files::folders::{Mount, fsid_of};
use crate::files::groups::boot_ns;
use crate::files::settings::as_path;
use crate::files::tracked::{FileId, Tracked};

/// The longest table that is read, in bytes: tens of thousands of mounts. A longer one is read up to here.
const MAX_TABLE: u64 = 8 << 20;
/// How many mount points below the workspace are watched for changes of files.
const MAX_WATCHED: usize = 64;
/// How many mounts that hide something are followed in one namespace.
const MAX_OVER: usize = 1_000;
/// How many namespaces of the job are looked into at a time.
const MAX_NAMESPACES: usize = 64;
/// How many tracked files below one mount are compared at a time; the others follow, in turns.
const MAX_COMPARED: usize = 2_000;
/// For how many files below one mount a difference is told.
const MAX_TOLD: usize = 32;
/// How many files of one mount are remembered as compared.
const MAX_SEEN: usize = 100_000;
/// How many sentences there are about what was given up for these bounds.
const MAX_NOTES: usize = 16;
/// How much of a file is hashed that shows through a mount.
const MAX_HASHED: u64 = 16 << 20;
/// How long a namespace is held after a process in it mounted something: the call that was seen may still be under way.
const HOLD_NS: u64 = 500_000_000;
/// The same where something of the workspace is hidden in it.
const HOLD_HIDING_NS: u64 = 60_000_000_000;
/// How long after its call a process counts as the one that mounted what has appeared.
const CALL_NS: u64 = 2_000_000_000;
/// The shortest time between two comparisons, and the part of the time that they may take.
const COMPARE_NS: u64 = 100_000_000;
const COMPARE_SHARE: u64 = 20;
/// File systems that answer by themselves. Others may be answered by a process or by another machine.
const ON_DISK: [&str; 8] = [
    "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "xfs", "zfs",
];
/// File systems that need nothing but memory, whenever they were mounted.
const IN_MEMORY: [&str; 2] = ["ramfs", "tmpfs"];

/// Follows what is mounted over the workspace while a job runs.
#[derive(Debug)]
pub(crate) struct MountWatch {
    workspace: Vec<u8>,
    own: Option<Namespace>,
    others: Vec<Namespace>,
    /// Devices that were mounted at the start, of file systems that answer by themselves.
    safe: HashSet<String>,
    /// Who made calls that mount, in our own namespace, last.
    caller: Option<Caller>,
    compare_at: u64,
    /// What a reader should know.
    pub(crate) notes: Vec<String>,
    noted: usize,
}

/// A process that was seen in a call that mounts something.
#[derive(Clone, Copy, Debug)]
struct Caller {
    process: ProcessId,
    pid: u32,
    boot_ns: u64,
}

/// A mount namespace, held open.
#[derive(Debug)]
struct Namespace {
    inode: u64,
    private: bool,
    table: File,
    root: OwnedFd,
    /// Mounts that were there before.
    known: HashSet<Line>,
    /// What was there at the start is there in every copy of our namespace, under other numbers: so many on each point.
    copied: HashMap<Vec<u8>, usize>,
    /// Whether the table was read at all.
    read: bool,
    over: Vec<Over>,
    /// Whether an overlay was mounted through which files can be written without a word.
    unheard: bool,
    /// Whether a mount went that lay over the workspace from the start: other files show in its place.
    bared: bool,
    full: bool,
    caller: Option<Caller>,
    until: u64,
}

/// A mount that hides something of the workspace.
#[derive(Debug)]
struct Over {
    id: u32,
    point: Vec<u8>,
    kind: String,
    caller: Option<Caller>,
    seen: HashMap<FileId, Stamp>,
    /// The file to go on with.
    next: usize,
    told: usize,
    /// Whether it was told that it hides files.
    told_hiding: bool,
}

impl MountWatch {
    /// Remembers the mounts that are there before the job starts.
    pub(crate) fn new(workspace: &Path) -> MountWatch {
        let mut own = Namespace::open("/proc/self", false);
        let table = own.as_mut().and_then(Namespace::read).unwrap_or_default();
        if let Some(own) = &mut own {
            own.known = table.lines.iter().cloned().collect();
            own.read = true;
        }
        let workspace = workspace.as_os_str().as_bytes().to_vec();
        // What leads to the workspace is read all the time, whatever it is.
        let on_disk = table.lines.iter().filter(|line| {
            ON_DISK.contains(&line.kind.as_str()) || below(&workspace, &line.point).is_some()
        });
        MountWatch {
            own,
            others: Vec::new(),
            safe: on_disk.map(|line| line.device.clone()).collect(),
            workspace,
            caller: None,
            compare_at: 0,
            notes: Vec::new(),
            noted: 0,
        }
    }

    /// A process of the job is in a call that mounts something, in the mount namespace with this inode.
    pub(crate) fn called(&mut self, process: ProcessId, pids: &[u32], inode: u64) {
        let now = boot_ns();
        let caller = Caller {
            process,
            pid: pids.first().copied().unwrap_or(0),
            boot_ns: now,
        };
        if self.own.as_ref().is_none_or(|own| own.inode == inode) {
            self.caller = Some(caller);
            return;
        }
        // The process itself may be gone already, but not whoever it made the mount for.
        let opened = pids.iter().find_map(|pid| {
            Namespace::open(&format!("/proc/{pid}"), true).filter(|opened| opened.inode == inode)
        });
        let until = now.saturating_add(HOLD_NS);
        let known = self.others.iter().position(|other| other.inode == inode);
        if let Some(at) = known
            && let Some(known) = self.others.get_mut(at)
        {
            let moved = |opened: &Namespace| mount_of(&opened.root) != mount_of(&known.root);
            if !opened.as_ref().is_some_and(moved) {
                known.caller = Some(caller);
                known.until = known.until.max(until);
                return;
            }
            // It has another root by now, as a container gets: what was opened shows nothing of that.
            self.others.remove(at);
        }
        let Some(mut opened) = opened else { return };
        opened.caller = Some(caller);
        opened.until = until;
        for line in self.own.iter().flat_map(|own| &own.known) {
            *opened.copied.entry(line.point.clone()).or_default() += 1;
        }
        if self.others.len() >= MAX_NAMESPACES {
            let done = |other: &Namespace| other.read && other.over.is_empty();
            let at = self.others.iter().position(done).unwrap_or(0);
            if !done(&self.others.remove(at)) {
                self.note(format!(
                    "more than {MAX_NAMESPACES} mount namespaces of the job at a time: mounts in some were not looked at"
                ));
            }
        }
        self.others.push(opened);
    }

    fn note(&mut self, note: String) {
        if self.noted < MAX_NOTES && !self.notes.contains(&note) {
            self.noted += 1;
            self.notes.push(note);
        }
    }

    /// Looks for new mounts, and compares what shows at the paths of tracked files. Returns whether all tracked files are
    /// to be looked at, too, because some may have been written without a word.
    pub(crate) fn look(
        &mut self,
        last: bool,
        tracked: &Tracked,
        differ: &mut Differ,
        to: &mut Audience<'_>,
    ) -> bool {
        let start = boot_ns();
        let compare = last || start >= self.compare_at;
        let caller = self
            .caller
            .filter(|caller| start.saturating_sub(caller.boot_ns) < CALL_NS);
        let (mut compared, mut unheard) = (false, false);
        let mut notes = Vec::new();
        for namespace in self.own.iter_mut().chain(&mut self.others) {
            if !namespace.private {
                namespace.caller = caller;
            }
            let changed = namespace.changed();
            let follows = namespace.unheard || !namespace.over.is_empty();
            if !(changed || compare && follows) {
                continue;
            }
            // Once more after the last of them is gone.
            unheard |= namespace.unheard;
            let Some(table) = namespace.read() else {
                continue;
            };
            namespace.find(&table, &self.workspace, tracked);
            let mut comparison = Comparison {
                workspace: &self.workspace,
                safe: &self.safe,
                root: &namespace.root,
                private: namespace.private,
                tracked,
                differ: &mut *differ,
                last,
                notes: &mut notes,
            };
            for over in &mut namespace.over {
                comparison.compare(over, &table, to);
                compared = true;
            }
            unheard |= namespace.unheard || std::mem::take(&mut namespace.bared);
            if std::mem::take(&mut namespace.full) {
                notes.push(format!(
                    "more than {MAX_OVER} mounts over the workspace: what the others hide was not looked at"
                ));
            }
            if namespace.unheard || !namespace.over.is_empty() {
                namespace.until = namespace.until.max(start.saturating_add(HOLD_HIDING_NS));
            }
        }
        for note in notes {
            self.note(note);
        }
        self.others.retain(|other| other.until > start);
        if compared || unheard {
            let took = boot_ns().saturating_sub(start);
            let pause = COMPARE_NS.max(took.saturating_mul(COMPARE_SHARE));
            self.compare_at = start.saturating_add(pause);
        }
        unheard
    }
}

impl Namespace {
    /// That of the process with this folder in `/proc`.
    fn open(process: &str, private: bool) -> Option<Namespace> {
        let table = File::open(format!("{process}/mountinfo")).ok()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, format!("{process}/root"), flags, Mode::empty()).ok()?;
        let name = std::fs::read_link(format!("{process}/ns/mnt")).ok()?;
        let inode = name.as_os_str().as_bytes();
        let inode = inode.strip_prefix(b"mnt:[")?.strip_suffix(b"]")?;
        Some(Namespace {
            inode: number(inode)?,
            private,
            table,
            root,
            known: HashSet::new(),
            copied: HashMap::new(),
            read: false,
            over: Vec::new(),
            unheard: false,
            bared: false,
            full: false,
            caller: None,
            until: u64::MAX,
        })
    }

    /// Whether the table has changed since the last call.
    fn changed(&mut self) -> bool {
        let mut fds = [PollFd::new(&self.table, PollFlags::PRI)];
        let ready = poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0);
        let first = !std::mem::replace(&mut self.read, true);
        ready || first
    }

    fn read(&mut self) -> Option<MountTable> {
        self.table.rewind().ok()?;
        let mut bytes = Vec::new();
        (&self.table).take(MAX_TABLE).read_to_end(&mut bytes).ok()?;
        Some(MountTable::parse(&bytes))
    }

    /// Takes note of mounts that are new and hide tracked files, and of those that are gone.
    fn find(&mut self, table: &MountTable, workspace: &[u8], tracked: &Tracked) {
        self.over.retain(|over| {
            table
                .line(over.id)
                .is_some_and(|line| line.point == over.point)
        });
        self.unheard = false;
        let mut copied = self.copied.clone();
        for line in &table.lines {
            let copy = copied.get_mut(&line.point).filter(|left| **left > 0);
            let is_copy = copy.map(|left| *left -= 1).is_some();
            if is_copy
                || self.known.contains(line)
                || self.over.iter().any(|over| over.id == line.id)
            {
                continue;
            }
            self.unheard |= line.writes_elsewhere;
            let hides = match below(&line.point, workspace) {
                Some(point) => !hidden(tracked, point).is_empty(),
                // The root is another one in every container.
                None if self.private && line.point == b"/" => false,
                None => below(workspace, &line.point).is_some(),
            };
            if !hides {
                continue;
            }
            if self.over.len() >= MAX_OVER {
                self.full = true;
                continue;
            }
            self.over.push(Over {
                id: line.id,
                point: line.point.clone(),
                kind: line.kind.clone(),
                caller: self.caller,
                seen: HashMap::new(),
                next: 0,
                told: 0,
                told_hiding: false,
            });
        }
        if !self.private {
            let there: HashSet<_> = table.lines.iter().collect();
            let bared = &mut self.bared;
            self.known.retain(|line| {
                let stays = there.contains(line);
                *bared |= !stays && below(&line.point, workspace).is_some();
                stays
            });
        }
    }
}

/// The tracked files at or below a path.
fn hidden(tracked: &Tracked, point: &[u8]) -> Vec<FileId> {
    let all = tracked.below(point).chain(tracked.by_path(point));
    all.collect()
}

/// What is needed to compare what shows through the mounts of a namespace.
struct Comparison<'a> {
    workspace: &'a [u8],
    safe: &'a HashSet<String>,
    root: &'a OwnedFd,
    private: bool,
    tracked: &'a Tracked,
    differ: &'a mut Differ,
    last: bool,
    notes: &'a mut Vec<String>,
}

impl Comparison<'_> {
    fn compare(&mut self, over: &mut Over, table: &MountTable, to: &mut Audience<'_>) {
        let point = below(&over.point, self.workspace)
            .unwrap_or_default()
            .to_vec();
        // Where the workspace begins below the mount point, when all of it is hidden.
        let lead = below(self.workspace, &over.point).unwrap_or_default();
        let ids = hidden(self.tracked, &point);
        let place = self.walk(&over.point, table);
        if place.as_ref().is_some_and(|(_, line)| line.id != over.id) {
            // Another mount lies on top of it, or hides what leads to it.
            return;
        }
        // Everything that makes a container replaces folders that lead to the workspace; it shows other files, or none.
        let is_container = self.private && !lead.is_empty();
        let Some((fd, _)) = place.filter(|(_, line)| self.is_safe(line)) else {
            if !is_container {
                self.tell_hiding(over, &point, ids.len(), false, to);
            }
            return;
        };
        let base = Root {
            fd,
            path: as_path(&over.point).to_owned(),
        };
        let mut gone = false;
        let (from, len) = match self.last {
            true => (0, ids.len()),
            false => (over.next, MAX_COMPARED),
        };
        let end = from.saturating_add(len);
        over.next = if end < ids.len() { end } else { 0 };
        if over.seen.len() >= MAX_SEEN {
            over.seen.clear();
        }
        for id in ids.iter().copied().skip(from).take(len) {
            let path = self.tracked.path(id);
            let rest = join(lead, below(path, &point).unwrap_or_default());
            let opened = match rest.is_empty() {
                true => base.fd.try_clone(),
                false => base.place(&rest, Mounts::Stay),
            };
            let found = match opened {
                Ok(fd) => content::stamp_of(&fd).map(|(stamp, _)| (fd, stamp)),
                // Another mount lies over it, which is looked at by itself.
                Err(error) if content::leads_elsewhere(&error) => continue,
                Err(_) => None,
            };
            let Some((fd, stamp)) = found else {
                gone = true;
                continue;
            };
            if over.seen.insert(id, stamp) != Some(stamp) {
                self.file(over, &point, ids.len(), id, (&fd, &stamp), to);
            }
        }
        if gone && !is_container {
            self.tell_hiding(over, &point, ids.len(), true, to);
        }
    }

    /// Compares one file with what it was when the job started.
    fn file(
        &mut self,
        over: &mut Over,
        point: &[u8],
        hides: usize,
        id: FileId,
        found: (&OwnedFd, &Stamp),
        to: &mut Audience<'_>,
    ) {
        let Some(file) = self.tracked.file(id) else {
            return;
        };
        // What happens to the file itself is told by itself.
        let itself = file
            .now
            .as_ref()
            .is_some_and(|now| (now.stamp.dev, now.stamp.ino) == (found.1.dev, found.1.ino));
        let Some(baseline) = file.baseline.filter(|_| !itself) else {
            return;
        };
        let mut buffer = Vec::new();
        let hashed =
            content::hash(found, self.tracked.kind, MAX_HASHED, &mut buffer).unwrap_or_default();
        if hashed.id == Some(baseline) {
            return;
        }
        if over.told >= MAX_TOLD {
            self.notes.push(format!(
                "more than {MAX_TOLD} source files show other content through the mount at {}: the others are not listed",
                String::from_utf8_lossy(&over.point)
            ));
            return;
        }
        over.told += 1;
        let diff = hashed.id.map(|_| self.differ.diff(&baseline, &hashed));
        let (diff, no_diff) = match diff {
            Some(Ok(diff)) => (Some(diff), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        let path = self.tracked.path(id).to_vec();
        let change = self.change(over, &path, point, hides, hashed.id.is_some());
        let change = FileChange {
            hash_before: Some(baseline.to_string()),
            hash_after: hashed.id.map(|id| id.to_string()),
            diff,
            no_diff,
            ..change
        };
        tell(change, to);
    }

    fn tell_hiding(
        &self,
        over: &mut Over,
        point: &[u8],
        hides: usize,
        compared: bool,
        to: &mut Audience<'_>,
    ) {
        if hides > 0 && !std::mem::replace(&mut over.told_hiding, true) {
            let path = if point.is_empty() { b"." } else { point };
            tell(self.change(over, path, point, hides, compared), to);
        }
    }

    fn change(
        &self,
        over: &Over,
        path: &[u8],
        point: &[u8],
        hides: usize,
        compared: bool,
    ) -> FileChange {
        let mut texts = Texts::default();
        FileChange {
            process: over.caller.map(|caller| caller.process),
            pid: over.caller.map_or(0, |caller| caller.pid),
            path: texts.text(|| "/path".into(), path),
            from: None,
            tracked: true,
            hash_before: None,
            hash_after: None,
            found_at_end: false,
            diff: None,
            no_diff: None,
            mount: Some(MountOver {
                point: texts.text(|| "/mount/point".into(), point),
                file_system: over.kind.clone(),
                hides: hides as u64,
                private: self.private,
                compared,
            }),
            raw: texts.into_raw(),
        }
    }

    /// Goes to a place in the namespace, and says on which mount it is.
    fn walk<'t>(&self, path: &[u8], table: &'t MountTable) -> Option<(OwnedFd, &'t Line)> {
        // A way that leads over one of these waits for its daemon, even if it ends there.
        let waits = |line: &Line| {
            line.kind == "autofs" && !self.is_safe(line) && below(path, &line.point).is_some()
        };
        if table.lines.iter().any(waits) {
            return None;
        }
        let mut at = self.root.try_clone().ok()?;
        let mut line = table.line(mount_of(&at)?)?;
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            // Here is what answers the next look-up.
            if !self.is_safe(line) {
                return None;
            }
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            at = rustix::fs::openat2(&at, name, flags, Mode::empty(), resolve).ok()?;
            let id = mount_of(&at)?;
            if id != line.id {
                line = table.line(id)?;
            }
        }
        Some((at, line))
    }

    fn is_safe(&self, line: &Line) -> bool {
        IN_MEMORY.contains(&line.kind.as_str()) || self.safe.contains(&line.device)
    }
}

fn tell(change: FileChange, to: &mut Audience<'_>) {
    (to.sink)(Change {
        boot_ns: boot_ns(),
        body: Body::FileWrite(Box::new(change)),
    });
}

/// The number of the mount that a descriptor is on. The file system isn't asked.
fn mount_of(fd: &impl AsFd) -> Option<u32> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
    let text = std::fs::read(path).ok()?;
    let line = text
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"mnt_id:"))?;
    number(line.trim_ascii())
}

/// The mounts of a mount namespace, in the order of mounting.
#[derive(Debug, Default)]
pub(crate) struct MountTable {
    lines: Vec<Line>,
}

/// One mount: a line of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).
///
/// Numbers are used again, so that two of them are the same only with all of this.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Line {
    id: u32,
    /// Major and minor number, as text.
    device: String,
    /// What of the file system is mounted.
    root: Vec<u8>,
    point: Vec<u8>,
    kind: String,
    /// Whether it is an overlay that writes to a folder elsewhere: the kernel tells nobody of these writes there.
    writes_elsewhere: bool,
}

impl MountTable {
    /// The mounts that a process sees.
    pub(crate) fn of(process: &str) -> Option<MountTable> {
        let table = File::open(format!("/proc/{process}/mountinfo")).ok()?;
        let mut mountinfo = Vec::new();
        table.take(MAX_TABLE).read_to_end(&mut mountinfo).ok()?;
        Some(MountTable::parse(&mountinfo))
    }

    pub(crate) fn parse(mountinfo: &[u8]) -> MountTable {
        let lines = mountinfo.split(|byte| *byte == b'\n').filter_map(|line| {
            let (mount, source) = split_once(line, b" - ")?;
            let mut fields = mount.split(|byte| *byte == b' ');
            let kind = source.split(|byte| *byte == b' ').next()?;
            let upper = source.windows(9).any(|part| part == b"upperdir=");
            Some(Line {
                writes_elsewhere: kind == b"overlay" && upper,
                id: number(fields.next()?)?,
                device: String::from_utf8_lossy(fields.nth(1)?).into_owned(),
                root: unescape(fields.next()?),
                point: unescape(fields.next()?),
                kind: String::from_utf8_lossy(kind).into_owned(),
            })
        });
        MountTable {
            lines: lines.collect(),
        }
    }

    fn line(&self, id: u32) -> Option<&Line> {
        self.lines.iter().find(|line| line.id == id)
    }

    /// The type of the file system that `path` is on.
    pub(crate) fn kind_of(&self, path: &Path) -> String {
        let nearest = self.nearest(path);
        nearest.map_or_else(|| "unknown".to_owned(), |line| line.kind.clone())
    }

    /// The mount that `path` is on.
    fn nearest(&self, path: &Path) -> Option<&Line> {
        let mounts = self
            .lines
            .iter()
            .filter(|line| path.starts_with(as_path(&line.point)));
        // Of mounts on the same point, the last one is on top.
        mounts.max_by_key(|line| as_path(&line.point).components().count())
    }

    /// What `path` of this namespace is in another one, where what is mounted there is mounted, too.
    pub(crate) fn place_in(&self, other: &MountTable, path: &Path) -> Option<PathBuf> {
        let mount = self.nearest(path)?;
        let below = path.strip_prefix(as_path(&mount.point)).ok()?;
        let inside = as_path(&mount.root).join(below);
        let same = other
            .lines
            .iter()
            .filter(|line| line.device == mount.device);
        let mut places = same.filter_map(|line| {
            let below = inside.strip_prefix(as_path(&line.root)).ok()?;
            // Without the slash that an empty end would leave.
            Some(as_path(&line.point).join(below).components().collect())
        });
        places.next()
    }

    /// The mounts below the workspace.
    pub(crate) fn below(&self, workspace: &Path) -> Vec<Mount> {
        let points = self.lines.iter().filter_map(|line| {
            let point = as_path(&line.point);
            let below = point.strip_prefix(workspace).ok()?;
            if below.as_os_str().is_empty() {
                return None;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let fd = rustix::fs::open(point, flags, Mode::empty()).ok()?;
            let fsid = fsid_of(&fd)?;
            let point = below.as_os_str().as_bytes().to_vec();
            Some(Mount { fd, fsid, point })
        });
        points.take(MAX_WATCHED).collect()
    }
}

fn number<T: std::str::FromStr>(text: &[u8]) -> Option<T> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What of `path` comes below `folder`: empty when they are the same.
fn below<'a>(path: &'a [u8], folder: &[u8]) -> Option<&'a [u8]> {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    let rest = path.strip_prefix(folder)?;
    match rest.split_first() {
        None => Some(rest),
        Some((b'/', rest)) => Some(rest),
        Some(_) if folder.is_empty() => Some(rest),
        Some(_) => None,
    }
}

fn join(folder: &[u8], path: &[u8]) -> Vec<u8> {
    match (folder, path) {
        ([], path) => path.to_vec(),
        (folder, []) => folder.to_vec(),
        (folder, path) => [folder, b"/", path].concat(),
    }
}

fn split_once<'a>(bytes: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(by.len()).position(|window| window == by)?;
    Some((bytes.get(..at)?, bytes.get(at + by.len()..)?))
}

/// Undoes the octal escapes of spaces, tabs, line ends and backslashes.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let escaped = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'))
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() {
            after.get(3..).unwrap_or_default()
        } else {
            after
        };
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_escapes() {
        let text = b"22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
            30 22 0:26 / /srv/a\\040b rw - tmpfs tmpfs rw\n\
            31 22 0:27 /x /srv rw master:1 - overlay overlay rw,lowerdir=/l\n\
            broken line\n";
        let table = MountTable::parse(text);
        assert_eq!(table.kind_of(Path::new("/home")), "ext4");
        assert_eq!(table.kind_of(Path::new("/srv/a b/c")), "tmpfs");
        assert_eq!(table.kind_of(Path::new("/srv/a")), "overlay");
        assert!(table.lines.iter().all(|line| !line.writes_elsewhere));
        let told = b"5 1 0:9 / /x rw - overlay o rw,lowerdir=/l,upperdir=u,workdir=w";
        assert!(MountTable::parse(told).lines[0].writes_elsewhere);
    }

    #[test]
    fn a_path_of_a_container_is_found_outside() {
        let inside = MountTable::parse(
            b"50 40 0:50 / / rw - overlay overlay rw\n\
              51 50 8:1 /var/lib/volumes/v/_data /builds rw - ext4 /dev/sda rw\n\
              52 50 0:60 / /secret rw - tmpfs tmpfs rw\n",
        );
        let outside = MountTable::parse(
            b"29 1 8:1 / / rw - ext4 /dev/sda rw\n30 29 0:50 / /var/merged rw - overlay overlay rw\n",
        );
        for (path, want) in [
            (
                "/builds/group/app",
                Some("/var/lib/volumes/v/_data/group/app"),
            ),
            ("/builds", Some("/var/lib/volumes/v/_data")),
            ("/home/app", Some("/var/merged/home/app")),
            ("/secret/app", None),
            ("builds", None),
        ] {
            let place = inside.place_in(&outside, Path::new(path));
            assert_eq!(place.as_deref(), want.map(Path::new), "{path}");
            let text = place.map(|place| place.into_os_string());
            assert_eq!(text.as_deref(), want.map(std::ffi::OsStr::new), "{path}");
        }
    }

    #[test]
    fn what_is_below_a_folder_is_told_by_whole_names() {
        for (path, folder, rest) in [
            ("/w/a", "/w", Some("a")),
            ("/w", "/w", Some("")),
            ("/w", "/", Some("w")),
            ("/wide", "/w", None),
            ("/", "/w", None),
            ("a/b", "", Some("a/b")),
        ] {
            let found = below(path.as_bytes(), folder.as_bytes());
            assert_eq!(found, rest.map(str::as_bytes), "{path} in {folder}");
        }
    }
}
