//! Where folders are: from the handle in an event to a path below the workspace, mostly without asking the kernel.
//!
//! Every folder that was seen once is a node with a parent and a name, so a renamed folder moves with all that is in
//! it. Folders made during the job become known by the event that tells of them; others are asked for by handle, once.
//! Nodes of deleted folders stay, because events of files in them may still come.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use ignore::gitignore::Gitignore;

use crate::files::content::{Mounts, Root};
use crate::files::handle::{Handle, RawHandle};
use crate::files::ignored::{Rules, Verdict};
use crate::files::places::Places;
use crate::files::sys;

/// How many folders are remembered; after that the sensor forgets them all and starts again. A node with its place
/// in the map takes about 250 bytes, so all take some 25 MB.
pub(crate) const MAX_FOLDERS: usize = 100_000;
/// How many departing folders are remembered within one batch of events.
const MAX_DEPARTING: usize = 50_000;
/// No path is deeper: each level takes at least two bytes of a path.
const MAX_DEPTH: usize = 2048;

/// Names a folder that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FolderId(usize);

/// Where a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the workspace, or the workspace itself.
    Inside(FolderId),
    /// Somewhere else on the same file system.
    Outside(FolderId),
    /// Nobody knows: it is gone, and no event told where it was.
    Unknown,
}

/// A file system that is watched, with a descriptor that handles can be opened through.
#[derive(Debug)]
pub(crate) struct Mount {
    pub(crate) fd: OwnedFd,
    pub(crate) fsid: [u8; 8],
    /// The mount point relative to the workspace; empty for the one that holds the workspace.
    pub(crate) point: Vec<u8>,
}

#[derive(Debug)]
struct Node {
    handle: Handle,
    kind: Kind,
    /// Whether what happens in it is recorded; holds while `epoch` is the current one.
    verdict: Option<(u32, Verdict)>,
    rules: OwnRules,
    /// Events in a row that were dropped because of where this folder is.
    noise: u32,
    /// Whether files in it may be at a place that is looked after; holds while the epochs are the current ones.
    watched: Option<((u32, u32), bool)>,
}

#[derive(Debug)]
enum Kind {
    Workspace,
    Child { parent: usize, name: Box<[u8]> },
    Outside,
    Unknown,
}

/// The patterns of a folder's own `.gitignore`.
#[derive(Debug)]
enum OwnRules {
    Unread,
    None,
    Some(Box<Gitignore>),
}

/// Every folder that was seen.
#[derive(Debug)]
pub(crate) struct Folders {
    nodes: Vec<Node>,
    by_handle: HashMap<Handle, usize>,
    mounts: Vec<Mount>,
    /// Where else places are that are looked after, and where the kernel is asked for absolute paths: the first is `/`.
    elsewhere: Vec<Mount>,
    departing: HashMap<Handle, (Handle, Box<[u8]>)>,
    epoch: u32,
    /// Counts the folders outside of the workspace that were renamed and matter.
    arrivals: u32,
}

impl Folders {
    pub(crate) fn new(
        root: &Root,
        mounts: Vec<Mount>,
        elsewhere: Vec<Mount>,
    ) -> std::io::Result<Folders> {
        let mut folders = Folders {
            nodes: Vec::new(),
            by_handle: HashMap::new(),
            mounts,
            elsewhere,
            departing: HashMap::new(),
            epoch: 0,
            arrivals: 0,
        };
        folders.reset(root)?;
        Ok(folders)
    }

    pub(crate) fn mounts(&self) -> &[Mount] {
        &self.mounts
    }

    /// Whether a file in this folder may be at one of these places, by more than its name.
    pub(crate) fn is_watched(&mut self, root: &Root, places: &Places, id: FolderId) -> bool {
        let Some(node) = self.nodes.get(id.0) else {
            return false;
        };
        // Paths in the workspace follow from names, those of other folders have to be asked for.
        let inside = !matches!(node.kind, Kind::Outside | Kind::Unknown);
        let epoch = (if inside { self.epoch } else { 0 }, self.arrivals);
        if let Some((known, watched)) = node.watched
            && known == epoch
        {
            return watched;
        }
        let path = self.absolute(root, id);
        let watched = path.is_some_and(|path| places.are_in(&path));
        if let Some(node) = self.nodes.get_mut(id.0) {
            node.watched = Some((epoch, watched));
        }
        watched
    }

    /// What was concluded of folders outside of the workspace no longer holds.
    pub(crate) fn arrived(&mut self) {
        self.arrivals = self.arrivals.wrapping_add(1);
    }

    /// The absolute path of a folder, on this machine.
    pub(crate) fn absolute(&self, root: &Root, id: FolderId) -> Option<Vec<u8>> {
        if let Some(below) = self.path(id) {
            let mut path = root.path.as_os_str().as_bytes().to_vec();
            if !below.is_empty() {
                if !path.ends_with(b"/") {
                    path.push(b'/');
                }
                path.extend_from_slice(&below);
            }
            return Some(path);
        }
        let open = self.open(id)?;
        let link = format!("/proc/self/fd/{}", open.as_raw_fd());
        let path = rustix::fs::readlink(link, Vec::new()).ok()?.into_bytes();
        (!path.ends_with(b" (deleted)")).then_some(path)
    }

    /// The folder, for its place only.
    pub(crate) fn open(&self, id: FolderId) -> Option<OwnedFd> {
        let handle = self.handle(id)?;
        let raw = handle.raw()?;
        self.elsewhere
            .iter()
            .chain(&self.mounts)
            .filter(|mount| mount.fsid == raw.fsid)
            .find_map(|mount| {
                sys::open_folder_by_handle(mount.fd.as_fd(), raw.kind, raw.bytes).ok()
            })
    }

    pub(crate) fn elsewhere(&self) -> &[Mount] {
        &self.elsewhere
    }

    /// Forgets every folder but the workspace and the mount points in it.
    pub(crate) fn reset(&mut self, root: &Root) -> std::io::Result<()> {
        self.nodes.clear();
        self.by_handle.clear();
        self.epoch = self.epoch.wrapping_add(1);
        let fsid = self.mounts.first().map_or([0; 8], |mount| mount.fsid);
        let workspace = Handle::of(root.fd.as_fd(), fsid)?;
        self.insert(workspace, Kind::Workspace);
        let points: Vec<_> = self
            .mounts
            .iter()
            .skip(1)
            .filter_map(|mount| {
                Some((
                    mount.point.clone(),
                    Handle::of(mount.fd.as_fd(), mount.fsid).ok()?,
                ))
            })
            .collect();
        for (point, handle) in points {
            self.intern(root, &point, handle);
        }
        Ok(())
    }

    /// Where the folder with this handle is. Asks the kernel when it has not been seen.
    pub(crate) fn place(&mut self, root: &Root, handle: Handle) -> Place {
        let id = match self.by_handle.get(&handle) {
            Some(id) => Some(*id),
            None => self.find(root, handle, 0),
        };
        id.map_or(Place::Unknown, |id| self.place_of(id))
    }

    /// Whether this folder was placed, or given up, before.
    pub(crate) fn knows(&self, handle: Handle) -> bool {
        self.by_handle.contains_key(&handle)
    }

    /// Gives up on a folder that could not be placed: it is not asked for again.
    pub(crate) fn give_up(&mut self, handle: Handle) {
        if !self.knows(handle) {
            self.insert(handle, Kind::Unknown);
        }
    }

    /// As [`Folders::place`], for a folder that an event just told of.
    pub(crate) fn learn(&mut self, handle: Handle, parent: Place, name: &[u8]) {
        let kind = match parent {
            Place::Inside(FolderId(parent)) => Kind::Child {
                parent,
                name: name.into(),
            },
            Place::Outside(_) => Kind::Outside,
            Place::Unknown => Kind::Unknown,
        };
        self.insert(handle, kind);
    }

    /// A folder got another name: whatever was concluded from names no longer holds.
    pub(crate) fn moved(&mut self, handle: Handle, parent: Place, name: &[u8]) {
        let came_in = matches!(parent, Place::Inside(_))
            && self
                .by_handle
                .get(&handle)
                .is_none_or(|id| !self.is_inside(*id));
        self.epoch = self.epoch.wrapping_add(1);
        if came_in {
            // Its folders are remembered as outside, without their names: they must be asked for again.
            self.forget_outside();
        }
        self.learn(handle, parent, name);
    }

    /// Remembers where a folder was that is being deleted, for events in it that come before the deletion's.
    pub(crate) fn departs(&mut self, handle: RawHandle<'_>, parent: RawHandle<'_>, name: &[u8]) {
        let handle = Handle::new(handle);
        if !self.by_handle.contains_key(&handle) && self.departing.len() < MAX_DEPARTING {
            self.departing
                .insert(handle, (Handle::new(parent), name.into()));
        }
    }

    pub(crate) fn batch_ends(&mut self) {
        self.departing.clear();
    }

    /// Whether more folders were seen than are remembered.
    pub(crate) fn is_full(&self) -> bool {
        self.nodes.len() > MAX_FOLDERS
    }

    /// The path of a folder, relative to the workspace.
    pub(crate) fn path(&self, id: FolderId) -> Option<Vec<u8>> {
        let mut parts = Vec::new();
        let mut at = id.0;
        loop {
            match &self.nodes.get(at)?.kind {
                Kind::Workspace => break,
                Kind::Child { parent, name } => {
                    parts.push(name);
                    at = *parent;
                }
                Kind::Outside | Kind::Unknown => return None,
            }
            if parts.len() > MAX_DEPTH {
                return None;
            }
        }
        let mut path = Vec::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
        for part in parts.iter().rev() {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(part);
        }
        Some(path)
    }

    /// Whether what happens to files directly in this folder is recorded.
    pub(crate) fn verdict(&mut self, root: &Root, rules: &Rules, id: FolderId) -> Verdict {
        // From the folder up to the first one whose verdict stands, then down again.
        let mut chain = Vec::new();
        let mut at = id.0;
        let mut verdict = Verdict::Recorded;
        while let Some(node) = self.nodes.get(at) {
            if let Some((epoch, known)) = node.verdict
                && epoch == self.epoch
            {
                verdict = known;
                break;
            }
            let Kind::Child { parent, .. } = &node.kind else {
                break;
            };
            chain.push(at);
            at = *parent;
            if chain.len() > MAX_DEPTH {
                break;
            }
        }
        for at in chain.into_iter().rev() {
            let Some(path) = self.path(FolderId(at)) else {
                break;
            };
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            verdict = match verdict.of_folder_called(name) {
                Verdict::Recorded if self.is_ignored(root, rules, at, &path, true) => {
                    Verdict::Ignored
                }
                other => other,
            };
            let epoch = self.epoch;
            if let Some(node) = self.nodes.get_mut(at) {
                node.verdict = Some((epoch, verdict));
            }
        }
        verdict
    }

    /// Whether git ignores a file in a folder that is not itself ignored.
    pub(crate) fn ignores_file(
        &mut self,
        root: &Root,
        rules: &Rules,
        id: FolderId,
        path: &[u8],
    ) -> bool {
        if rules.is_empty() {
            return false;
        }
        if let Some(ignored) = self.own_rules(root, id.0, path, false) {
            return ignored;
        }
        self.is_ignored(root, rules, id.0, path, false)
    }

    /// Asks the rules of every folder above `id`, nearest first, and then those of the whole repository.
    fn is_ignored(
        &mut self,
        root: &Root,
        rules: &Rules,
        id: usize,
        path: &[u8],
        folder: bool,
    ) -> bool {
        if rules.is_empty() {
            return false;
        }
        let mut at = id;
        for _ in 0..MAX_DEPTH {
            let Some(Node {
                kind: Kind::Child { parent, .. },
                ..
            }) = self.nodes.get(at)
            else {
                break;
            };
            at = *parent;
            if let Some(ignored) = self.own_rules(root, at, path, folder) {
                return ignored;
            }
        }
        rules.ignores(path, folder)
    }

    /// What the `.gitignore` of the folder `at` says about a path below it.
    fn own_rules(&mut self, root: &Root, at: usize, path: &[u8], folder: bool) -> Option<bool> {
        if matches!(self.nodes.get(at)?.rules, OwnRules::None) {
            return None;
        }
        let above = self.path(FolderId(at))?;
        let node = self.nodes.get_mut(at)?;
        if matches!(node.rules, OwnRules::Unread) {
            node.rules = match Rules::of_folder(root, &above) {
                Some(rules) => OwnRules::Some(Box::new(rules)),
                None => OwnRules::None,
            };
        }
        let OwnRules::Some(rules) = &node.rules else {
            return None;
        };
        let below = path.get(above.len()..)?;
        Rules::decide(rules, below.strip_prefix(b"/").unwrap_or(below), folder)
    }

    /// Counts an event that was dropped because of its folder; true when it is time to silence that folder.
    pub(crate) fn dropped(&mut self, id: FolderId, limit: u32) -> bool {
        let Some(node) = self.nodes.get_mut(id.0) else {
            return false;
        };
        node.noise += 1;
        if node.noise < limit {
            return false;
        }
        node.noise = 0;
        true
    }

    /// The handle of a folder.
    pub(crate) fn handle(&self, id: FolderId) -> Option<Handle> {
        Some(self.nodes.get(id.0)?.handle)
    }

    /// Forgets every conclusion about what is ignored, because the rules have changed.
    pub(crate) fn rules_changed(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        for node in &mut self.nodes {
            node.rules = OwnRules::Unread;
        }
    }

    /// Makes the folder at `path`, and those above it, known. Its handle is `leaf`.
    fn intern(&mut self, root: &Root, path: &[u8], leaf: Handle) -> Option<usize> {
        let mut parent = 0;
        let mut end = 0;
        while end < path.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            let rest = path.get(start..)?;
            let len = rest
                .iter()
                .position(|byte| *byte == b'/')
                .unwrap_or(rest.len());
            let name = rest.get(..len)?;
            end = start + len;
            let handle = if end == path.len() {
                leaf
            } else {
                self.handle_at(root, path.get(..end)?)?
            };
            parent = match self.by_handle.get(&handle) {
                Some(id) if self.is_inside(*id) => *id,
                _ => self.insert(
                    handle,
                    Kind::Child {
                        parent,
                        name: name.into(),
                    },
                ),
            };
        }
        Some(parent)
    }

    /// Makes the folder at `path` known, if there is one.
    pub(crate) fn register(&mut self, root: &Root, path: &[u8]) {
        if let Some(handle) = self.handle_at(root, path) {
            self.intern(root, path, handle);
        }
    }

    fn handle_at(&self, root: &Root, path: &[u8]) -> Option<Handle> {
        // Mounts that were there from the start are trusted; what the job mounts may make us wait for ever.
        let mounts = if self.mounts.len() > 1 {
            Mounts::Cross
        } else {
            Mounts::Stay
        };
        let fd = root.place(path, mounts).ok()?;
        let fsid = fsid_of(&fd)?;
        Handle::of(fd.as_fd(), fsid).ok()
    }

    /// Finds a folder that has not been seen.
    fn find(&mut self, root: &Root, handle: Handle, depth: usize) -> Option<usize> {
        if let Some((parent, name)) = self.departing.get(&handle).cloned() {
            let parent = match self.by_handle.get(&parent) {
                Some(id) => *id,
                None if depth < MAX_DEPTH => self.find(root, parent, depth + 1)?,
                None => return None,
            };
            let place = self.place_of(parent);
            if place == Place::Unknown {
                return None;
            }
            self.learn(handle, place, &name);
            return self.by_handle.get(&handle).copied();
        }
        match self.ask(root, handle)? {
            Asked::Inside(path) => self.intern(root, &path, handle),
            Asked::Outside => Some(self.insert(handle, Kind::Outside)),
        }
    }

    /// Asks the kernel where a folder is, through each mount of its file system.
    fn ask(&self, root: &Root, handle: Handle) -> Option<Asked> {
        let raw = handle.raw()?;
        let mut found = None;
        for mount in self.mounts.iter().filter(|mount| mount.fsid == raw.fsid) {
            let Ok(fd) = sys::open_folder_by_handle(mount.fd.as_fd(), raw.kind, raw.bytes) else {
                continue;
            };
            found = Some(Asked::Outside);
            let Some(path) = below(root, &fd) else {
                continue;
            };
            // A path that the kernel prints may be one of another mount, or of a folder that is deleted.
            let path = path.strip_suffix(b" (deleted)").unwrap_or(&path);
            match self.handle_at(root, path) {
                Some(there) if there != handle => {}
                _ => return Some(Asked::Inside(path.to_vec())),
            }
        }
        let is_there = |mount: &Mount| {
            mount.fsid == raw.fsid
                && sys::open_folder_by_handle(mount.fd.as_fd(), raw.kind, raw.bytes).is_ok()
        };
        if found.is_none() && self.elsewhere.iter().any(is_there) {
            found = Some(Asked::Outside);
        }
        found
    }

    fn insert(&mut self, handle: Handle, kind: Kind) -> usize {
        let node = Node {
            handle,
            kind,
            verdict: None,
            rules: OwnRules::Unread,
            noise: 0,
            watched: None,
        };
        match self.by_handle.get(&handle) {
            Some(id) => {
                if let Some(old) = self.nodes.get_mut(*id) {
                    // The workspace itself stays what it is, whatever it is called now.
                    if !matches!(old.kind, Kind::Workspace) {
                        *old = node;
                    }
                }
                *id
            }
            None => {
                self.nodes.push(node);
                let id = self.nodes.len() - 1;
                self.by_handle.insert(handle, id);
                id
            }
        }
    }

    fn forget_outside(&mut self) {
        let nodes = &self.nodes;
        self.by_handle.retain(|_, id| {
            nodes
                .get(*id)
                .is_some_and(|node| matches!(node.kind, Kind::Workspace | Kind::Child { .. }))
        });
    }

    fn is_inside(&self, id: usize) -> bool {
        matches!(self.place_of(id), Place::Inside(_))
    }

    fn place_of(&self, id: usize) -> Place {
        let mut at = id;
        for _ in 0..MAX_DEPTH {
            match self.nodes.get(at).map(|node| &node.kind) {
                Some(Kind::Workspace) => return Place::Inside(FolderId(id)),
                Some(Kind::Child { parent, .. }) => at = *parent,
                Some(Kind::Outside) => return Place::Outside(FolderId(id)),
                Some(Kind::Unknown) | None => return Place::Unknown,
            }
        }
        Place::Unknown
    }
}

enum Asked {
    Inside(Vec<u8>),
    Outside,
}

/// The path of an open folder relative to the workspace, if the kernel says that it is in there.
fn below(root: &Root, fd: &OwnedFd) -> Option<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", AsRawFd::as_raw_fd(fd));
    let path = rustix::fs::readlink(link, Vec::new()).ok()?;
    // Asked for each time: the job may have renamed the workspace, or a folder above it.
    let workspace = format!("/proc/self/fd/{}", AsRawFd::as_raw_fd(&root.fd));
    let workspace = rustix::fs::readlink(workspace, Vec::new()).ok()?;
    let below = path.to_bytes().strip_prefix(workspace.to_bytes())?;
    match below.split_first() {
        None => Some(Vec::new()),
        Some((b'/', rest)) => Some(rest.to_vec()),
        // The workspace is the root folder itself, whose path already ends with a slash.
        Some(_) if workspace.to_bytes() == b"/" => Some(below.to_vec()),
        Some(_) => None,
    }
}

/// The id of the file system that an open file is on, as events carry it.
pub(crate) fn fsid_of(fd: &OwnedFd) -> Option<[u8; 8]> {
    let fsid = rustix::fs::fstatvfs(fd).ok()?.f_fsid;
    // The kernel has two 32-bit numbers, which rustix joins with the first in the lower half.
    let mut bytes = [0; 8];
    let halves = (fsid as u32)
        .to_ne_bytes()
        .into_iter()
        .chain(((fsid >> 32) as u32).to_ne_bytes());
    for (to, from) in bytes.iter_mut().zip(halves) {
        *to = from;
    }
    Some(bytes)
}
