//! From what the kernel told to what a reader wants to know: which file changed, by whom, from what to what.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use gix_hash::ObjectId;
use runward_event::{
    Body, EventKind, FileAct, FileChange, FileDiff, LossReason, Lost, NoDiff, ProcessId, Texts,
};

use crate::files::content::{self, Found, Hashed, Hashing, Progress, Root};
use crate::files::diff;
use crate::files::folders::{FolderId, Folders, Place};
use crate::files::groups::{Batch, Groups, Source, boot_ns};
use crate::files::handle::Handle;
use crate::files::ignored::{Rules, Verdict};
use crate::files::objects::Objects;
use crate::files::record::{Mask, Name, Record, Records};
use crate::files::repository::{self, Repository, UserFiles};
use crate::files::sensitive::{Deed, Doer, Sensitive, file_in};
use crate::files::settings::as_path;
use crate::files::tracked::{Baseline, FileId, Tracked};
use crate::files::{Change, Config};

/// A file of up to this many bytes is hashed when its change is told; a larger one in slices of this size, one a
/// drain, and its change is told when that is done.
const INLINE: u64 = 4 << 20;
/// How many large files are hashed in slices at a time; the hash of any other one is missing from its event.
const MAX_SLICED: usize = 64;
/// How many tracked files that are open for writing are followed at a time.
const MAX_OPEN: usize = 4096;
/// A write that no close followed for this long was a `truncate(2)`, or its writer keeps the file open.
const OPEN_FOR_NS: u64 = 300_000_000;
/// How long a writer has to close the file before it is looked at: a program that writes a file anew empties it first, and
/// what it holds in between is nobody's version of it.
const FIRST_LOOK_NS: u64 = 100_000_000;
/// The shortest and the longest time between two looks at a file that stays open for writing.
const OPEN_LOOK_NS: (u64, u64) = (20_000_000, 1_280_000_000);
/// How many folders that were renamed are looked through one by one; beyond it, the whole workspace is.
const MAX_RESCANS: usize = 1000;
/// How many entries of the workspace are looked at for a repository whose making was lost.
const MAX_SEARCHED: usize = 1000;
/// Looking through renamed folders may take one part in this many of the time.
const RESCAN_SHARE: u64 = 10;
/// How many events of a folder are dropped before it is silenced.
const NOISE: u32 = 32;
/// The longest that hashing at the end of the job may take; a file that isn't reached has no hash.
const SWEEP_NS: u64 = 30_000_000_000;

/// How many diffs a job may have, how many bytes all of them together, and how long may be spent on them: a job can
/// write a tracked file as often as it likes.
const MAX_DIFFS: usize = 500;
const MAX_DIFF_BYTES: usize = 4 << 20;
const MAX_DIFF_NS: u64 = 5_000_000_000;
/// The longest content at the start that is read. Beyond what is compared, so that a reader learns which it was.
const MAX_ORIGINAL: usize = 1 << 20;

/// Whom events are told to, and who knows which process is one of the job's.
pub(crate) struct Audience<'a> {
    pub(crate) who: &'a mut dyn FnMut(u32) -> Option<ProcessId>,
    pub(crate) sink: &'a mut dyn FnMut(Change),
    last: Option<(u32, Option<ProcessId>)>,
}

impl<'a> Audience<'a> {
    pub(crate) fn new(
        who: &'a mut dyn FnMut(u32) -> Option<ProcessId>,
        sink: &'a mut dyn FnMut(Change),
    ) -> Audience<'a> {
        Audience {
            who,
            sink,
            last: None,
        }
    }

    pub(crate) fn process(&mut self, pid: u32) -> Option<ProcessId> {
        if let Some((last, process)) = self.last
            && last == pid
        {
            return process;
        }
        let process = if pid == 0 { None } else { (self.who)(pid) };
        self.last = Some((pid, process));
        process
    }
}

/// What folding keeps between events.
#[derive(Debug)]
pub(crate) struct Changes {
    root: Root,
    homes: Vec<PathBuf>,
    pub(crate) folders: Folders,
    pub(crate) sensitive: Sensitive,
    rules: Rules,
    repository: Option<Repository>,
    pub(crate) tracked: Option<Tracked>,
    pub(crate) notes: Vec<String>,
    pub(crate) lost: u64,
    pub(crate) unrecorded: u64,
    /// The last round in which a write of this file by this process was told.
    told: HashMap<(FileId, u32), u64>,
    /// The last round whose changes are in the hash of this file.
    hashed: HashMap<FileId, u64>,
    /// What differs in the content with this hash, for those that were hashed since the last settling.
    diffs: HashMap<FileId, (ObjectId, Result<FileDiff, NoDiff>)>,
    pub(crate) differ: Differ,
    /// Writes of untracked files that were told in the current round.
    writes: HashSet<u64>,
    writes_round: u64,
    hasher: RandomState,
    open: HashMap<(FileId, u32), OpenWrite>,
    sliced: VecDeque<Sliced>,
    rescans: HashMap<Vec<u8>, Actor>,
    rescan_after: u64,
    moved_from: Option<MovedFrom>,
    /// The round in which all folders were last forgotten.
    forgot: Option<u64>,
    buffer: Vec<u8>,
}

/// Who did something, and when it was noticed.
#[derive(Clone, Copy, Debug)]
struct Actor {
    pid: u32,
    process: Option<ProcessId>,
    boot_ns: u64,
    round: u64,
}

/// A tracked file that was written to and not yet closed.
#[derive(Debug)]
struct OpenWrite {
    actor: Actor,
    last: u64,
    look_at: u64,
    pause: u64,
    told: bool,
}

/// A change that waits for the hash of a large file.
#[derive(Debug)]
struct Sliced {
    id: FileId,
    what: What,
    from: Option<Vec<u8>>,
    actor: Actor,
    at_end: bool,
    hashing: Hashing,
}

/// The first half of a rename, on kernels that tell it in two events.
#[derive(Debug)]
struct MovedFrom {
    named: Named,
    target: Option<Handle>,
    actor: Actor,
}

/// The place that an event names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Named {
    Inside { folder: FolderId, path: Vec<u8> },
    Outside(FolderId),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Create,
    Write,
    Rename,
    Delete,
}

/// What a tracked file holds now.
#[derive(Debug)]
enum Content {
    Gone,
    Hash(Option<ObjectId>),
    Large(Hashing),
}

impl Changes {
    pub(crate) fn new(
        root: Root,
        config: &Config,
        folders: Folders,
        sensitive: Sensitive,
    ) -> Changes {
        Changes {
            root,
            homes: config.homes.clone(),
            folders,
            sensitive,
            rules: Rules::default(),
            repository: None,
            tracked: None,
            notes: Vec::new(),
            lost: 0,
            unrecorded: 0,
            told: HashMap::new(),
            hashed: HashMap::new(),
            diffs: HashMap::new(),
            differ: Differ {
                wanted: config.diffs,
                ..Differ::default()
            },
            writes: HashSet::new(),
            writes_round: 0,
            hasher: RandomState::new(),
            open: HashMap::new(),
            sliced: VecDeque::new(),
            rescans: HashMap::new(),
            rescan_after: 0,
            moved_from: None,
            forgot: None,
            buffer: Vec::new(),
        }
    }

    /// Reads what the repository around the workspace tracks, before the job starts.
    pub(crate) fn find_repository(&mut self) -> Option<repository::Listing> {
        let repository = Repository::discover(&self.root.path)?;
        let own = repository.worktree == self.root.path;
        let listing = self.read_repository(repository)?;
        if listing.files.is_empty() && !own {
            // A repository around the workspace that has nothing to do with it, and most likely ignores all of it.
            self.repository = None;
            self.rules = Rules::default();
            return None;
        }
        Some(listing)
    }

    fn read_repository(&mut self, repository: Repository) -> Option<repository::Listing> {
        let user = UserFiles::of(&repository, &self.homes);
        let listing = match repository::list(&repository, &self.root.path, &user) {
            Ok(listing) => listing,
            Err(note) => {
                self.notes.push(note);
                None
            }
        };
        self.rules = Rules::read(Some(&repository), &self.root.path, &user);
        self.repository = Some(repository);
        let mut listing = listing?;
        self.notes.append(&mut listing.notes);
        Some(listing)
    }

    /// Takes the baseline of every tracked file, and listens to each.
    pub(crate) fn track(
        &mut self,
        listing: repository::Listing,
        from: Baseline,
        groups: &mut Groups,
    ) {
        if self.differ.wanted {
            self.differ.objects = Some(Objects::open(
                listing.kind,
                &listing.objects,
                from == Baseline::Files,
            ));
        }
        let tracked = Tracked::open(&self.root, listing, from, |found| groups.mark_file(found));
        for folder in tracked.folders() {
            self.folders.register(&self.root, &folder);
        }
        self.tracked = Some(tracked);
    }

    /// Remembers where folders are that were deleted somewhere in a batch, for the events before that.
    pub(crate) fn foresee(&mut self, batch: &Batch) {
        if batch.source != Source::Names {
            return;
        }
        for record in Records::new(batch.bytes()).flatten() {
            if record.mask.has(libc::FAN_ONDIR)
                && record.mask.has(libc::FAN_DELETE)
                && let (Some(target), Some(at)) = (record.target, record.at)
            {
                self.folders.departs(target, at.folder, at.name);
            }
        }
    }

    /// Folds one batch.
    pub(crate) fn batch(&mut self, batch: &Batch, groups: &mut Groups, to: &mut Audience<'_>) {
        // A process id may have been used again since the last batch.
        to.last = None;
        for record in Records::new(batch.bytes()) {
            let Ok(record) = record else {
                self.lose(1, LossReason::Malformed, batch.boot_ns, to);
                continue;
            };
            if record.mask.has(libc::FAN_Q_OVERFLOW) {
                self.lose(1, LossReason::QueueOverflow, batch.boot_ns, to);
                // What was lost may have been a folder's new name, or the making of a repository.
                self.forget_folders(batch.round);
                self.look_for_repository(groups);
                continue;
            }
            let actor = Actor {
                pid: record.pid,
                process: None,
                boot_ns: batch.boot_ns,
                round: batch.round,
            };
            match batch.source {
                Source::Inodes => self.inode_event(&record, actor, groups, to),
                Source::Names if record.mask.has(libc::FAN_ONDIR) => {
                    self.folder_event(&record, actor, groups, to);
                }
                Source::Names => self.file_event(&record, actor, groups, to),
            }
        }
    }

    /// Does what is due when the events at hand have been folded. `all` leaves nothing for later.
    pub(crate) fn settle(&mut self, all: bool, groups: &mut Groups, to: &mut Audience<'_>) {
        if let Some(moved) = self.moved_from.take() {
            self.renamed(
                moved.named,
                Named::Unknown,
                moved.target,
                moved.actor,
                groups,
                to,
            );
        }
        self.folders.batch_ends();
        self.check_open(all, groups, to);
        self.rescan(all, groups, to);
        self.advance_sliced(if all { u64::MAX } else { INLINE }, to);
        if self.folders.is_full() {
            self.forget_folders(groups.round());
        }
        let last = groups.round().saturating_sub(1);
        self.told.retain(|_, round| *round >= last);
        self.hashed.clear();
        self.diffs.clear();
    }

    /// Has every tracked file looked at soon: some may have been written without a word.
    pub(crate) fn look_at_all(&mut self) {
        let actor = Actor {
            pid: 0,
            process: None,
            boot_ns: boot_ns(),
            round: 0,
        };
        self.rescans.entry(Vec::new()).or_insert(actor);
    }

    /// Tells what was done with files at places that are looked after.
    pub(crate) fn drain_sensitive(&mut self, all: bool, to: &mut Audience<'_>) {
        to.last = None;
        self.lost += self.sensitive.drain(all, to);
    }

    /// Looks at every tracked file again, and tells what no event told.
    pub(crate) fn sweep(&mut self, groups: &mut Groups, to: &mut Audience<'_>) {
        let actor = Actor {
            pid: 0,
            process: None,
            boot_ns: boot_ns(),
            round: u64::MAX,
        };
        let ids = self
            .tracked
            .iter()
            .flat_map(Tracked::ids)
            .collect::<Vec<_>>();
        for id in ids {
            self.compare(id, actor, true, groups, to);
        }
        self.advance_sliced(u64::MAX, to);
    }

    fn inode_event(
        &mut self,
        record: &Record<'_>,
        actor: Actor,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        if let Some(id) = self.by_handle(record.target.map(Handle::new)) {
            self.wrote(id, record.mask, actor, groups, to);
        }
    }

    fn folder_event(
        &mut self,
        record: &Record<'_>,
        mut actor: Actor,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        let Some(at) = record.at else { return };
        let target = record.target.map(Handle::new);
        if record.mask.has(libc::FAN_CREATE)
            && let Some(target) = target
        {
            let parent = self.folders.place(&self.root, Handle::new(at.folder));
            if parent != Place::Unknown {
                self.folders.learn(target, parent, at.name);
            }
        }
        if record.mask.has(libc::FAN_MOVE) {
            // Half of a rename is not enough to follow a folder: forget, and look at every tracked file again.
            self.forget_folders(actor.round);
            groups.hear_all();
            self.rescans.entry(Vec::new()).or_insert(actor);
        }
        if !record.mask.has(libc::FAN_RENAME) {
            return;
        }
        let Some(new) = record.to else { return };
        let from = self.name(at);
        let parent = self.folders.place(&self.root, Handle::new(new.folder));
        match target {
            Some(target) => self.folders.moved(target, parent, new.name),
            None => self.forget_folders(actor.round),
        }
        let renamed_to = self.name(new);
        self.folder_arrives(new, target, actor, groups, to);
        if matches!(renamed_to, Named::Inside { .. }) {
            // Folders below the renamed one may be silenced, and lie now where they must be heard.
            groups.hear_all();
        }
        actor.process = to.process(actor.pid);
        for named in [&from, &renamed_to] {
            if let Named::Inside { path, .. } = named {
                self.rescan_later(path.clone(), actor);
            }
        }
        if actor.process.is_none() {
            return;
        }
        if let Named::Inside { path, folder } = &renamed_to
            && (self.is_recorded(*folder, path) || self.is_recorded_name(&from))
        {
            let from = from.into_path();
            self.tell(What::Rename, path, from.as_deref(), actor, to);
        } else if let Named::Inside { path, folder } = &from
            && self.is_recorded(*folder, path)
        {
            self.tell(What::Delete, path, None, actor, to);
        }
    }

    fn file_event(
        &mut self,
        record: &Record<'_>,
        actor: Actor,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        let Some(at) = record.at else { return };
        let target = record.target.map(Handle::new);
        let mask = record.mask;
        let mut named = self.name(at);
        if named == Named::Unknown && !self.folders.knows(Handle::new(at.folder)) {
            // The folder is gone, and the event of its deletion was not read yet: that one tells where it was.
            groups.pump(|batch| self.foresee(batch));
            named = self.name(at);
            if named == Named::Unknown {
                self.folders.give_up(Handle::new(at.folder));
            }
        }
        self.at_place(record, actor, to);
        if let Some(moved) = self.moved_from.take() {
            let same = moved.actor.pid == actor.pid && moved.target == target;
            if mask.has(libc::FAN_MOVED_TO) && same {
                return self.renamed(moved.named, named, target, actor, groups, to);
            }
            self.renamed(
                moved.named,
                Named::Unknown,
                moved.target,
                moved.actor,
                groups,
                to,
            );
        }
        if mask.has(libc::FAN_RENAME) {
            let Some(new) = record.to else { return };
            let new = self.name(new);
            return self.renamed(named, new, target, actor, groups, to);
        }
        if mask.has(libc::FAN_MOVED_TO) {
            return self.renamed(Named::Unknown, named, target, actor, groups, to);
        }
        if mask.has(libc::FAN_MOVED_FROM) {
            self.moved_from = Some(MovedFrom {
                named,
                target,
                actor,
            });
            return;
        }
        let id = self.by_handle(target);
        let wrote = mask.has(libc::FAN_CLOSE_WRITE | libc::FAN_MODIFY);
        match named {
            Named::Inside { folder, path } => {
                if let Some(id) = self.by_path(&path) {
                    return self.tracked_event(id, mask, actor, groups, to);
                }
                if let Some(id) = id.filter(|_| wrote) {
                    // Another hard link to a tracked file.
                    self.wrote(id, mask, actor, groups, to);
                }
                self.untracked_event(folder, &path, mask, actor, groups, to);
            }
            _ if id.is_some() && wrote => {
                if let Some(id) = id {
                    self.wrote(id, mask, actor, groups, to);
                }
            }
            Named::Outside(folder) => self.silence_if_noisy(folder, groups),
            // The folder is gone, and no event told where it was. Of one in the workspace that is not ignored, its making
            // or its deletion would have told, and both are read before this; so it lay elsewhere. Should the kernel have
            // run out of places for events meanwhile, that is counted as loss where it is noticed. What was forgotten
            // since may have been what told.
            Named::Unknown if self.forgot.is_some_and(|round| actor.round <= round + 1) => {
                self.lose(1, LossReason::NoMemory, actor.boot_ns, to);
            }
            Named::Unknown => self.unrecorded += 1,
        }
    }

    /// Something was done to a file by a name that may be at a place that is looked after.
    fn at_place(&mut self, record: &Record<'_>, actor: Actor, to: &mut Audience<'_>) {
        let mask = record.mask;
        let (at, act) = match (record.to, record.at) {
            (Some(to), _) if mask.has(libc::FAN_RENAME) => (to, FileAct::Rename),
            (_, Some(at)) if mask.has(libc::FAN_MOVED_TO) => (at, FileAct::Rename),
            (_, Some(at)) if mask.has(libc::FAN_CREATE) => (at, FileAct::Create),
            (_, Some(at)) if mask.has(libc::FAN_CLOSE_WRITE | libc::FAN_MODIFY) => {
                (at, FileAct::Write)
            }
            (_, Some(at)) if mask.has(libc::FAN_DELETE) => (at, FileAct::Delete),
            _ => return,
        };
        let (Place::Inside(id) | Place::Outside(id)) =
            self.folders.place(&self.root, Handle::new(at.folder))
        else {
            return;
        };
        let places = &self.sensitive.places;
        if places.is_empty()
            || !(places.is_name(at.name) || self.folders.is_watched(&self.root, places, id))
        {
            return;
        }
        let Some(folder) = self.folders.absolute(&self.root, id) else {
            return;
        };
        let path = [folder.strip_suffix(b"/").unwrap_or(&folder), at.name].join(&b'/');
        let Some(place) = self.sensitive.places.find(&path) else {
            return;
        };
        let Some(process) = to.process(actor.pid) else {
            return;
        };
        let who = Doer {
            process,
            pid: actor.pid,
            boot_ns: actor.boot_ns,
        };
        let from = record.at.filter(|_| record.to.is_some());
        let from = from.and_then(|from| self.absolute_name(from));
        let open = self.folders.open(id);
        let file = open.and_then(|folder| file_in(&folder, at.name));
        let mut deed = Deed {
            act,
            place,
            path: &path,
            from: from.as_deref(),
            runs_code: None,
        };
        // The kernel merges what one process does with one name: what it removed and made.
        if mask.has(libc::FAN_DELETE) && act != FileAct::Delete {
            deed.act = FileAct::Delete;
            self.sensitive.named(&mut deed, None, who, to);
            deed.act = act;
        }
        self.sensitive.named(&mut deed, file.as_ref(), who, to);
    }

    fn absolute_name(&mut self, name: Name<'_>) -> Option<Vec<u8>> {
        let (Place::Inside(id) | Place::Outside(id)) =
            self.folders.place(&self.root, Handle::new(name.folder))
        else {
            return None;
        };
        let folder = self.folders.absolute(&self.root, id)?;
        Some([folder.strip_suffix(b"/").unwrap_or(&folder), name.name].join(&b'/'))
    }

    /// A folder got a name by which files in it may be at places that are looked after.
    fn folder_arrives(
        &mut self,
        new: Name<'_>,
        target: Option<Handle>,
        actor: Actor,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        if self.sensitive.places.is_empty() {
            return;
        }
        let Some(path) = self.absolute_name(new) else {
            return;
        };
        if !self.sensitive.places.may_be_below(&path) {
            return;
        }
        self.folders.arrived();
        // Folders below it may be silenced.
        groups.hear_all();
        let (Some(target), Some(process)) = (target, to.process(actor.pid)) else {
            return;
        };
        let (Place::Inside(id) | Place::Outside(id)) = self.folders.place(&self.root, target)
        else {
            return;
        };
        let Some(folder) = self.folders.open(id) else {
            return;
        };
        let who = Doer {
            process,
            pid: actor.pid,
            boot_ns: actor.boot_ns,
        };
        for (path, place, file) in self.sensitive.walk(folder, &path) {
            let mut deed = Deed {
                act: FileAct::Rename,
                place,
                path: &path,
                from: None,
                runs_code: None,
            };
            self.sensitive.named(&mut deed, Some(&file), who, to);
        }
    }

    fn tracked_event(
        &mut self,
        id: FileId,
        mask: Mask,
        actor: Actor,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        let deleted = mask.has(libc::FAN_DELETE);
        let mut deleted_last = deleted;
        if mask.has(libc::FAN_CREATE) {
            let content = self.examine(id, actor.round, groups);
            if deleted && !matches!(content, Content::Gone) {
                // The kernel merged both into one event; that the file is there says which came last.
                self.tell_tracked(What::Delete, id, None, actor, false, Content::Gone, to);
                deleted_last = false;
            }
            self.tell_tracked(What::Create, id, None, actor, false, content, to);
            self.told.insert((id, actor.pid), actor.round);
        } else if mask.has(libc::FAN_CLOSE_WRITE | libc::FAN_MODIFY) {
            self.wrote(id, mask, actor, groups, to);
        }
        if deleted_last {
            self.hashed.remove(&id);
            self.open.retain(|(open, _), _| *open != id);
            if let Some(tracked) = &mut self.tracked {
                tracked.unbind(id);
            }
            self.tell_tracked(What::Delete, id, None, actor, false, Content::Gone, to);
        }
    }

    /// The content of a tracked file may have changed, through whatever name.
    fn wrote(
        &mut self,
        id: FileId,
        mask: Mask,
        mut actor: Actor,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        if let Some(file) = self
            .tracked
            .as_mut()
            .and_then(|tracked| tracked.file_mut(id))
        {
            file.touched = true;
        }
        let key = (id, actor.pid);
        if self
            .told
            .get(&key)
            .is_some_and(|round| *round >= actor.round)
        {
            return;
        }
        let closed = mask.has(libc::FAN_CLOSE_WRITE);
        if !closed && (self.open.len() < MAX_OPEN || self.open.contains_key(&key)) {
            let now = actor.boot_ns;
            actor.process = to.process(actor.pid);
            let open = self.open.entry(key).or_insert(OpenWrite {
                actor,
                last: now,
                look_at: now.saturating_add(FIRST_LOOK_NS),
                pause: OPEN_LOOK_NS.0,
                told: false,
            });
            open.last = now;
            return;
        }
        // The two groups are read one after the other, so one may tell a round later what the other told before.
        let told_before = self
            .told
            .get(&key)
            .is_some_and(|round| *round + 1 >= actor.round);
        let (writer, open) = self.take_open(key);
        let told = open.as_ref().is_some_and(|open| open.told) || told_before;
        actor = open.map_or(actor, |open| Actor {
            round: actor.round,
            ..open.actor
        });
        let before = self.last_hash(id);
        let content = self.examine(id, actor.round, groups);
        self.told.insert(key, actor.round);
        self.told.insert(writer, actor.round);
        if told && matches!(content, Content::Hash(hash) if hash == before) {
            return;
        }
        self.tell_tracked(What::Write, id, None, actor, false, content, to);
    }

    /// Ends the write that this process closed. Who closes last need not be who wrote: a child that was made meanwhile
    /// holds the file open, too. So the write of another process counts when this one has none.
    fn take_open(&mut self, key: (FileId, u32)) -> ((FileId, u32), Option<OpenWrite>) {
        let key = if self.open.contains_key(&key) {
            key
        } else {
            let of_file = |other: &&(FileId, u32)| other.0 == key.0;
            self.open.keys().find(of_file).copied().unwrap_or(key)
        };
        (key, self.open.remove(&key))
    }

    fn renamed(
        &mut self,
        from: Named,
        new: Named,
        target: Option<Handle>,
        mut actor: Actor,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        actor.process = to.process(actor.pid);
        let from_id = from.path().and_then(|path| self.by_path(path));
        let mut told_from = false;
        if let Named::Inside { folder, path } = &new {
            if let Some(id) = self.by_path(path) {
                let content = self.examine(id, actor.round, groups);
                let from = from.path().map(<[u8]>::to_vec);
                self.tell_tracked(What::Rename, id, from, actor, false, content, to);
                self.told.insert((id, actor.pid), actor.round);
            } else if self.is_recorded(*folder, path)
                || from_id.is_some()
                || self.is_recorded_name(&from)
            {
                if actor.process.is_some() || from_id.is_some() {
                    self.tell(What::Rename, path, from.path(), actor, to);
                }
                told_from = from_id.is_none();
            } else {
                self.unrecorded += 1;
            }
            if path.ends_with(b".git/index") {
                self.index_appears(&path.clone(), groups);
            }
        }
        if let Some(id) = from_id {
            let gone = match &mut self.tracked {
                Some(tracked) => {
                    let was = tracked
                        .file(id)
                        .and_then(|file| file.now.as_ref())
                        .map(|now| now.handle);
                    if target.is_none() || target == was {
                        tracked.unbind(id);
                        self.hashed.remove(&id);
                        self.open.retain(|(open, _), _| *open != id);
                    }
                    tracked.look(&self.root, id).is_none()
                }
                None => false,
            };
            // Something else has that name in an exchange, or already again: its own event tells.
            if gone {
                self.tell_tracked(What::Delete, id, None, actor, false, Content::Gone, to);
            }
        } else if !told_from
            && !matches!(new, Named::Inside { .. })
            && let Named::Inside { folder, path } = &from
            && actor.process.is_some()
            && self.is_recorded(*folder, path)
        {
            self.tell(What::Delete, path, None, actor, to);
        }
    }

    fn untracked_event(
        &mut self,
        folder: FolderId,
        path: &[u8],
        mask: Mask,
        mut actor: Actor,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        if path.ends_with(b".git/index") {
            self.index_appears(path, groups);
        }
        if !self.is_recorded(folder, path) {
            self.unrecorded += 1;
            let verdict = self.folders.verdict(&self.root, &self.rules, folder);
            if verdict.is_silent() {
                self.silence_if_noisy(folder, groups);
            }
            return;
        }
        actor.process = to.process(actor.pid);
        if actor.process.is_none() {
            return;
        }
        let created = mask.has(libc::FAN_CREATE);
        let deleted = mask.has(libc::FAN_DELETE);
        let written = mask.has(libc::FAN_CLOSE_WRITE);
        // Only when both came in one event is it worth a look which came last.
        let delete_first = created && deleted && !written && self.is_there(path);
        if delete_first {
            self.tell(What::Delete, path, None, actor, to);
        }
        if created {
            self.tell(What::Create, path, None, actor, to);
        } else if written && self.is_first_write(path, actor) && !self.is_nameless(path) {
            self.tell(What::Write, path, None, actor, to);
        }
        if deleted && !delete_first {
            self.tell(What::Delete, path, None, actor, to);
        }
    }

    /// The first index of a repository that the job itself made says what is tracked from now on.
    fn index_appears(&mut self, path: &[u8], groups: &mut Groups) {
        let Some(worktree) = path.strip_suffix(b".git/index") else {
            return;
        };
        if !(worktree.is_empty() || worktree.ends_with(b"/")) {
            return;
        }
        let folder = self.root.path.join(as_path(worktree));
        let known = self.tracked.is_some()
            && self.repository.as_ref().is_some_and(|known| {
                // One in a folder of the workspace does not replace any; the workspace's own replaces one above it.
                !worktree.is_empty() || known.worktree.starts_with(&self.root.path)
            });
        if known {
            return;
        }
        let Some(repository) = Repository::at(&folder) else {
            return;
        };
        if let Some(listing) = self.read_repository(repository) {
            self.folders.rules_changed();
            groups.hear_all();
            self.track(listing, Baseline::Index, groups);
        }
    }

    /// Finds a repository of which no event told that the job made it: the workspace's own, or one directly in it.
    fn look_for_repository(&mut self, groups: &mut Groups) {
        self.index_appears(b".git/index", groups);
        if self.tracked.is_some() {
            return;
        }
        let Ok(folders) = std::fs::read_dir(&self.root.path) else {
            return;
        };
        for folder in folders.flatten().take(MAX_SEARCHED) {
            let index = [folder.file_name().as_bytes(), b"/.git/index"].concat();
            self.index_appears(&index, groups);
        }
    }

    /// Looks again at files that were written to and not closed.
    fn check_open(&mut self, all: bool, groups: &mut Groups, to: &mut Audience<'_>) {
        if self.open.is_empty() {
            return;
        }
        let now = boot_ns();
        let due: Vec<_> = self
            .open
            .iter()
            .filter(|(_, open)| all || open.look_at <= now)
            .map(|(k, _)| *k)
            .collect();
        for key in due {
            let Some(mut open) = self.open.remove(&key) else {
                continue;
            };
            let id = key.0;
            let before = self.last_hash(id);
            let over = all || now.saturating_sub(open.last) > OPEN_FOR_NS;
            // A round that is not over yet: the hash is taken now, whatever was hashed before.
            self.hashed.remove(&id);
            let content = self.examine(id, open.actor.round, groups);
            let changed = !matches!(content, Content::Hash(hash) if hash == before);
            if changed || (over && !open.told) {
                self.tell_tracked(What::Write, id, None, open.actor, false, content, to);
                open.told = true;
            }
            if !over {
                open.look_at = now.saturating_add(open.pause);
                open.pause = open.pause.saturating_mul(2).min(OPEN_LOOK_NS.1);
                self.open.insert(key, open);
            }
        }
    }

    fn rescan_later(&mut self, folder: Vec<u8>, actor: Actor) {
        let Some(tracked) = &self.tracked else { return };
        if tracked.below(&folder).next().is_none() && tracked.by_path(&folder).is_none() {
            return;
        }
        let folder = if self.rescans.len() >= MAX_RESCANS {
            Vec::new()
        } else {
            folder
        };
        self.rescans.entry(folder).or_insert(actor);
    }

    /// Looks through folders that were renamed, or that took another's name.
    fn rescan(&mut self, all: bool, groups: &mut Groups, to: &mut Audience<'_>) {
        let start = boot_ns();
        if self.rescans.is_empty() || (!all && start < self.rescan_after) {
            return;
        }
        let mut seen = BTreeSet::new();
        for (folder, mut actor) in std::mem::take(&mut self.rescans) {
            actor.process = actor.process.or_else(|| to.process(actor.pid));
            let Some(tracked) = &self.tracked else { break };
            let ids: Vec<_> = tracked
                .below(&folder)
                .chain(tracked.by_path(&folder))
                .collect();
            for id in ids {
                if seen.insert(id) {
                    self.compare(id, actor, false, groups, to);
                }
            }
        }
        let took = boot_ns().saturating_sub(start);
        self.rescan_after = start.saturating_add(took.saturating_mul(RESCAN_SHARE));
    }

    /// Compares a tracked file with what was last seen of it, and tells the difference.
    fn compare(
        &mut self,
        id: FileId,
        actor: Actor,
        at_end: bool,
        groups: &mut Groups,
        to: &mut Audience<'_>,
    ) {
        let Some(tracked) = &mut self.tracked else {
            return;
        };
        let Some(file) = tracked.file(id) else { return };
        let (before, touched) = (file.now.clone(), file.touched);
        let Some(found) = tracked.look(&self.root, id) else {
            if before.is_some() && !is_hidden(&self.root, tracked.path(id)) {
                tracked.unbind(id);
                self.tell_tracked(What::Delete, id, None, actor, at_end, Content::Gone, to);
            }
            return;
        };
        // A file that stayed mapped can change without its stamp changing, but not without having been touched.
        let same = before
            .as_ref()
            .is_some_and(|before| before.stamp == found.stamp);
        if same && !(at_end && touched) {
            return;
        }
        let content = self.examine_found(id, found, u64::MAX, groups);
        let hash = before.as_ref().map(|before| before.hash);
        if let (Some(before), Content::Hash(now)) = (hash, &content)
            && before == *now
        {
            return;
        }
        let what = if before.is_some() {
            What::Write
        } else {
            What::Create
        };
        self.tell_tracked(what, id, None, actor, at_end, content, to);
    }

    /// What a tracked file holds, with at least the changes of `round` in it.
    fn examine(&mut self, id: FileId, round: u64, groups: &mut Groups) -> Content {
        if self.hashed.get(&id).is_some_and(|hashed| *hashed >= round) {
            return Content::Hash(self.last_hash(id));
        }
        let found = self
            .tracked
            .as_mut()
            .and_then(|tracked| tracked.look(&self.root, id));
        match found {
            Some(found) => self.examine_found(id, found, round, groups),
            None => Content::Gone,
        }
    }

    fn examine_found(
        &mut self,
        id: FileId,
        found: Found,
        round: u64,
        groups: &mut Groups,
    ) -> Content {
        let Some(tracked) = &mut self.tracked else {
            return Content::Gone;
        };
        if tracked.bind(id, &found) {
            // First listen, then read: what is written in between is then told.
            groups.mark_file(&found);
        }
        let kind = tracked.kind;
        let Some(file) = tracked.file_mut(id) else {
            return Content::Gone;
        };
        file.touched = true;
        match content::hash((&found.fd, &found.stamp), kind, INLINE, &mut self.buffer) {
            Ok(hashed) => {
                let (hash, baseline) = (hashed.id, file.baseline);
                if let Some(now) = &mut file.now {
                    now.hash = hash;
                }
                self.hashed.insert(id, round);
                if let (Some(hash), Some(baseline)) = (hash, baseline)
                    && hash != baseline
                {
                    self.diffs
                        .insert(id, (hash, self.differ.diff(&baseline, &hashed)));
                }
                Content::Hash(hash)
            }
            Err(hashing) => Content::Large(hashing),
        }
    }

    /// Goes on hashing large files, up to `budget` bytes.
    fn advance_sliced(&mut self, budget: u64, to: &mut Audience<'_>) {
        let deadline = boot_ns().saturating_add(SWEEP_NS);
        while let Some(mut sliced) = self.sliced.pop_front() {
            let late = boot_ns() > deadline;
            let progress = match late {
                true => Progress::Done(None),
                false => sliced.hashing.advance(INLINE, &mut self.buffer),
            };
            match progress {
                Progress::More => self.sliced.push_front(sliced),
                Progress::Done(hash) => {
                    let before = self.last_hash(sliced.id);
                    let file = self.tracked.as_mut().and_then(|t| t.file_mut(sliced.id));
                    if let Some(now) = file.and_then(|file| file.now.as_mut()) {
                        now.hash = hash;
                    }
                    // The sweep only tells what differs from what was told before.
                    if !(sliced.at_end && hash.is_some() && hash == before) {
                        let content = Content::Hash(hash);
                        let Sliced {
                            id,
                            what,
                            from,
                            actor,
                            at_end,
                            ..
                        } = sliced;
                        self.tell_tracked(what, id, from, actor, at_end, content, to);
                    }
                }
            }
            if budget != u64::MAX {
                break;
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "these are the parts of one event"
    )]
    fn tell_tracked(
        &mut self,
        what: What,
        id: FileId,
        from: Option<Vec<u8>>,
        mut actor: Actor,
        at_end: bool,
        content: Content,
        to: &mut Audience<'_>,
    ) {
        if actor.process.is_none() && !at_end {
            actor.process = to.process(actor.pid);
        }
        let hash = match content {
            Content::Gone => None,
            Content::Hash(hash) => hash,
            Content::Large(hashing) if self.sliced.len() < MAX_SLICED => {
                // A newer content of the same file by the same process stands for the older one.
                self.sliced.retain(|other| {
                    other.id != id || other.actor.pid != actor.pid || other.what != what
                });
                self.sliced.push_back(Sliced {
                    id,
                    what,
                    from,
                    actor,
                    at_end,
                    hashing,
                });
                return;
            }
            Content::Large(_) => None,
        };
        let Some(tracked) = &self.tracked else { return };
        let path = tracked.path(id).to_vec();
        let baseline = tracked.file(id).and_then(|file| file.baseline);
        let (diff, no_diff) = self.difference(id, baseline, hash);
        let mut texts = Texts::default();
        let change = FileChange {
            process: actor.process,
            pid: actor.pid,
            path: texts.text(|| "/path".into(), &path),
            from: from.map(|from| texts.text(|| "/from".into(), &from)),
            tracked: true,
            hash_before: baseline.map(|id| id.to_string()),
            hash_after: hash.map(|id| id.to_string()),
            found_at_end: at_end,
            diff,
            no_diff,
            mount: None,
            raw: texts.into_raw(),
        };
        emit(what, change, actor.boot_ns, to);
    }

    /// What differs between these two contents, or why that isn't known.
    fn difference(
        &self,
        id: FileId,
        before: Option<ObjectId>,
        after: Option<ObjectId>,
    ) -> (Option<FileDiff>, Option<NoDiff>) {
        let (Some(before), Some(after)) = (before, after) else {
            return (None, None);
        };
        if before == after {
            return (None, None);
        }
        match self.diffs.get(&id) {
            Some((of, Ok(diff))) if *of == after => (Some(diff.clone()), None),
            Some((of, Err(why))) if *of == after => (None, Some(*why)),
            // Only what is hashed in slices, or was told before, comes here.
            _ => (None, Some(NoDiff::Large)),
        }
    }

    /// Tells of a file that git doesn't track.
    fn tell(
        &self,
        what: What,
        path: &[u8],
        from: Option<&[u8]>,
        actor: Actor,
        to: &mut Audience<'_>,
    ) {
        let mut texts = Texts::default();
        let change = FileChange {
            process: actor.process,
            pid: actor.pid,
            path: texts.text(|| "/path".into(), path),
            from: from.map(|from| texts.text(|| "/from".into(), from)),
            tracked: false,
            hash_before: None,
            hash_after: None,
            found_at_end: false,
            diff: None,
            no_diff: None,
            mount: None,
            raw: texts.into_raw(),
        };
        emit(what, change, actor.boot_ns, to);
    }

    fn lose(&mut self, count: u64, reason: LossReason, boot_ns: u64, to: &mut Audience<'_>) {
        self.lost += count;
        let body = Body::Lost(Lost {
            lost: EventKind::File,
            count,
            reason,
        });
        (to.sink)(Change { boot_ns, body });
    }

    fn forget_folders(&mut self, round: u64) {
        self.forgot = Some(round);
        // Only fails when the workspace itself can't be looked at any more; then nothing in it can.
        if self.folders.reset(&self.root).is_ok()
            && let Some(tracked) = &self.tracked
        {
            for folder in tracked.folders().iter().take(MAX_RESCANS) {
                self.folders.register(&self.root, folder);
            }
        }
    }

    fn silence_if_noisy(&mut self, folder: FolderId, groups: &mut Groups) {
        if !self.folders.dropped(folder, NOISE) || !groups.can_silence() {
            return;
        }
        let places = &self.sensitive.places;
        if !places.is_empty() && self.folders.is_watched(&self.root, places, folder) {
            return;
        }
        if let Some(path) = self.folders.path(folder) {
            // Events of tracked files are needed by name, too: they may be deleted and made again.
            if self
                .tracked
                .as_ref()
                .is_some_and(|tracked| tracked.has_in(&path))
            {
                return;
            }
        }
        if let Some(handle) = self.folders.handle(folder) {
            groups.silence(handle, self.folders.mounts());
        }
    }

    fn name(&mut self, name: Name<'_>) -> Named {
        let place = self.folders.place(&self.root, Handle::new(name.folder));
        match place {
            Place::Inside(folder) => match self.folders.path(folder) {
                Some(mut path) => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(name.name);
                    Named::Inside { folder, path }
                }
                None => Named::Unknown,
            },
            Place::Outside(folder) => Named::Outside(folder),
            Place::Unknown => Named::Unknown,
        }
    }

    fn is_recorded_name(&mut self, named: &Named) -> bool {
        match named {
            Named::Inside { folder, path } => self.is_recorded(*folder, path),
            Named::Outside(_) | Named::Unknown => false,
        }
    }

    fn is_recorded(&mut self, folder: FolderId, path: &[u8]) -> bool {
        match self.folders.verdict(&self.root, &self.rules, folder) {
            Verdict::Recorded => !self
                .folders
                .ignores_file(&self.root, &self.rules, folder, path),
            Verdict::GitTop => path.ends_with(b"/config"),
            Verdict::GitHooks => true,
            Verdict::GitInner | Verdict::Ignored => false,
        }
    }

    /// Whether this is the first write of this file by this process in this round.
    fn is_first_write(&mut self, path: &[u8], actor: Actor) -> bool {
        if self.writes_round != actor.round {
            self.writes_round = actor.round;
            self.writes.clear();
        }
        self.writes.insert(self.hasher.hash_one((path, actor.pid)))
    }

    /// Whether a path is the stand-in that the kernel gives a file made without a name (`O_TMPFILE`).
    fn is_nameless(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let number = name.strip_prefix(b"#").unwrap_or_default();
        !number.is_empty() && number.iter().all(u8::is_ascii_digit) && !self.is_there(path)
    }

    fn is_there(&self, path: &[u8]) -> bool {
        self.root.place(path, content::Mounts::Stay).is_ok()
    }

    fn by_path(&self, path: &[u8]) -> Option<FileId> {
        self.tracked.as_ref()?.by_path(path)
    }

    fn by_handle(&self, handle: Option<Handle>) -> Option<FileId> {
        self.tracked.as_ref()?.by_handle(&handle?)
    }

    fn last_hash(&self, id: FileId) -> Option<ObjectId> {
        self.tracked.as_ref()?.file(id)?.now.as_ref()?.hash
    }
}

/// Whether a mount that came later lies over a path, or over what leads to it.
fn is_hidden(root: &Root, path: &[u8]) -> bool {
    let opened = root.place(path, content::Mounts::Stay);
    opened.is_err_and(|error| content::leads_elsewhere(&error))
}

fn emit(what: What, change: FileChange, boot_ns: u64, to: &mut Audience<'_>) {
    let change = Box::new(change);
    let body = match what {
        What::Create => Body::FileCreate(change),
        What::Write => Body::FileWrite(change),
        What::Rename => Body::FileRename(change),
        What::Delete => Body::FileDelete(change),
    };
    (to.sink)(Change { boot_ns, body });
}

/// Makes diffs, as long as the job has some left.
#[derive(Debug, Default)]
pub(crate) struct Differ {
    wanted: bool,
    objects: Option<Objects>,
    made: usize,
    bytes: usize,
    spent_ns: u64,
}

impl Differ {
    pub(crate) fn diff(&mut self, before: &ObjectId, after: &Hashed) -> Result<FileDiff, NoDiff> {
        let objects = self
            .objects
            .as_ref()
            .filter(|_| self.wanted)
            .ok_or(NoDiff::Off)?;
        if self.made >= MAX_DIFFS || self.bytes >= MAX_DIFF_BYTES || self.spent_ns >= MAX_DIFF_NS {
            return Err(NoDiff::TooMany);
        }
        let start = boot_ns();
        let content = after.content.as_deref().ok_or(NoDiff::Large)?;
        let diff = objects
            .blob(before, MAX_ORIGINAL)
            .ok_or(NoDiff::NoOriginal)
            .and_then(|before| diff::diff(&before, content));
        self.spent_ns += boot_ns().saturating_sub(start);
        self.made += 1;
        self.bytes += diff.as_ref().map_or(0, |diff| diff.text.len());
        diff
    }
}

impl Named {
    fn path(&self) -> Option<&[u8]> {
        match self {
            Named::Inside { path, .. } => Some(path),
            Named::Outside(_) | Named::Unknown => None,
        }
    }

    fn into_path(self) -> Option<Vec<u8>> {
        match self {
            Named::Inside { path, .. } => Some(path),
            Named::Outside(_) | Named::Unknown => None,
        }
    }
}
