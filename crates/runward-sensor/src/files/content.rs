//! Looks at a file and hashes it, without ever being led astray: no symbolic link is followed, nothing that isn't a
//! regular file is read, and neither a FIFO nor a lease can make us wait.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use gix_hash::ObjectId;
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, Stat};

use crate::files::diff;
use crate::files::handle::Handle;

/// A file of more than this many bytes has no hash: a sparse file can claim any size.
pub(crate) const MAX_HASHED: u64 = 1 << 32;

/// How much is read in one go.
const STEP: usize = 1 << 20;

/// The folder that everything is relative to, held open.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) fd: OwnedFd,
    pub(crate) path: PathBuf,
}

impl Root {
    pub(crate) fn open(path: &Path) -> io::Result<Root> {
        let path = path.canonicalize()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(&path, flags, Mode::empty())?;
        Ok(Root { fd, path })
    }

    /// Opens a file's place below the root, whatever it is, without following any symbolic link.
    pub(crate) fn place(&self, path: &[u8], mounts: Mounts) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | mounts.resolve();
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat2(
            &self.fd,
            path,
            flags,
            Mode::empty(),
            resolve,
        )?)
    }
}

/// Whether a path may lead over a mount point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mounts {
    /// It may: the mount was there before the job.
    Cross,
    /// It may not: what the job mounts is not the file that was there, and may make us wait for ever.
    Stay,
}

impl Mounts {
    fn resolve(self) -> ResolveFlags {
        match self {
            Mounts::Cross => ResolveFlags::empty(),
            Mounts::Stay => ResolveFlags::NO_XDEV,
        }
    }
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    pub(crate) size: u64,
    pub(crate) mtime: (i64, u32),
    pub(crate) ctime: (i64, u32),
    pub(crate) link: bool,
}

/// A file that is there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) fd: OwnedFd,
    pub(crate) stamp: Stamp,
    pub(crate) handle: Handle,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Looks for a file or symbolic link below `root`. `None` when there is none.
///
/// `fsid` is the file system's, which the handle alone doesn't tell.
pub(crate) fn look(
    root: &Root,
    path: &[u8],
    mounts: Mounts,
    mut fsid: impl FnMut(&OwnedFd, u64) -> [u8; 8],
) -> Option<Found> {
    let fd = root.place(path, mounts).ok()?;
    let (stamp, stat) = stamp_of(&fd)?;
    let handle = Handle::of(fd.as_fd(), fsid(&fd, stat.st_dev)).ok()?;
    Some(Found {
        stamp,
        handle,
        fd,
        uid: stat.st_uid,
        gid: stat.st_gid,
    })
}

/// The state of what a descriptor stands for, if that is a file or a symbolic link.
pub(crate) fn stamp_of(fd: &OwnedFd) -> Option<(Stamp, Stat)> {
    let stat = rustix::fs::fstat(fd).ok()?;
    let link = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => false,
        FileType::Symlink => true,
        _ => return None,
    };
    let stamp = Stamp {
        dev: stat.st_dev,
        ino: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime: (stat.st_mtime, stat.st_mtime_nsec as u32),
        ctime: (stat.st_ctime, stat.st_ctime_nsec as u32),
        link,
    };
    Some((stamp, stat))
}

/// A file's content on its way into a hash, so that a large one can be hashed in slices.
#[derive(Debug)]
pub(crate) struct Hashing {
    file: File,
    kind: gix_hash::Kind,
    hasher: HasherBox,
    size: u64,
    left: u64,
    tries: u8,
    /// The content, when it is short enough to be compared line by line.
    kept: Option<Vec<u8>>,
}

/// The hash of a file, and the content that has it when that is short.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    pub(crate) id: Option<ObjectId>,
    pub(crate) content: Option<Vec<u8>>,
}

/// Where a hash stands after a slice.
#[derive(Debug)]
pub(crate) enum Progress {
    /// There is more to read.
    More,
    /// Done; `None` when the file could not be read, or changed each time that we tried.
    Done(Option<ObjectId>),
}

struct HasherBox(Box<gix_hash::Hasher>);

impl std::fmt::Debug for HasherBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hashing {
    /// Starts to hash a regular file.
    fn start(fd: &OwnedFd, kind: gix_hash::Kind) -> io::Result<Hashing> {
        // The descriptor that was looked at is opened again, so that nothing can take its place meanwhile.
        // O_NONBLOCK: opening a file that another process holds a lease on fails instead of waiting.
        let place = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(fd));
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(CWD, place, flags, Mode::empty())?);
        let size = file.metadata()?.len();
        if size > MAX_HASHED {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let hasher = header(kind, size);
        Ok(Hashing {
            file,
            kind,
            hasher,
            size,
            left: size,
            tries: 0,
            kept: keep(size),
        })
    }

    /// Reads and hashes up to `budget` bytes more.
    pub(crate) fn advance(&mut self, mut budget: u64, buffer: &mut Vec<u8>) -> Progress {
        while budget > 0 && self.left > 0 {
            let step = usize::try_from(self.left.min(budget))
                .unwrap_or(STEP)
                .min(STEP);
            buffer.resize(step, 0);
            match self.file.read(buffer) {
                Ok(0) => return self.again(),
                Ok(read) => {
                    let bytes = buffer.get(..read).unwrap_or_default();
                    self.hasher.0.update(bytes);
                    if let Some(kept) = &mut self.kept {
                        kept.extend_from_slice(bytes);
                    }
                    self.left -= read as u64;
                    budget = budget.saturating_sub(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Progress::Done(None),
            }
        }
        if self.left > 0 {
            return Progress::More;
        }
        // A blob's hash covers its size, so a file that has grown meanwhile must be read again from the start.
        if self.file.metadata().map_or(0, |m| m.len()) != self.size {
            return self.again();
        }
        Progress::Done((*self.hasher.0).clone().try_finalize().ok())
    }

    fn again(&mut self) -> Progress {
        self.tries += 1;
        let size = self.file.metadata().map_or(u64::MAX, |m| m.len());
        if self.tries > 3 || size > MAX_HASHED || io::Seek::rewind(&mut self.file).is_err() {
            return Progress::Done(None);
        }
        self.size = size;
        self.left = size;
        self.kept = keep(size);
        self.hasher = header(self.kind, size);
        Progress::More
    }
}

/// What is kept of a file while it is hashed.
fn keep(size: u64) -> Option<Vec<u8>> {
    (size <= diff::MAX_BYTES as u64).then(Vec::new)
}

/// Either the hash of a file or symbolic link that was looked at, or the work that is left when it is longer than `inline` bytes.
pub(crate) fn hash(
    (fd, stamp): (&OwnedFd, &Stamp),
    kind: gix_hash::Kind,
    inline: u64,
    buffer: &mut Vec<u8>,
) -> Result<Hashed, Hashing> {
    if stamp.link {
        return Ok(hash_link(fd, kind));
    }
    let Ok(mut hashing) = Hashing::start(fd, kind) else {
        return Ok(Hashed::default());
    };
    let mut budget = inline;
    loop {
        match hashing.advance(budget, buffer) {
            Progress::Done(id) => {
                return Ok(Hashed {
                    content: hashing.kept.filter(|_| id.is_some()),
                    id,
                });
            }
            Progress::More if hashing.size > inline => return Err(hashing),
            // It changed under our hands and starts again, at most three times.
            Progress::More => budget = inline,
        }
    }
}

fn hash_link(fd: &OwnedFd, kind: gix_hash::Kind) -> Hashed {
    let Ok(target) = rustix::fs::readlinkat(fd, "", Vec::new()) else {
        return Hashed::default();
    };
    let target = target.into_bytes();
    Hashed {
        id: blob_hash(kind, &target),
        content: Some(target),
    }
}

/// The hash that git names these bytes by.
pub(crate) fn blob_hash(kind: gix_hash::Kind, bytes: &[u8]) -> Option<ObjectId> {
    let mut hasher = header(kind, bytes.len() as u64);
    hasher.0.update(bytes);
    hasher.0.try_finalize().ok()
}

fn header(kind: gix_hash::Kind, size: u64) -> HasherBox {
    let mut hasher = gix_hash::hasher(kind);
    hasher.update(format!("blob {size}\0").as_bytes());
    HasherBox(Box::new(hasher))
}

/// Reads a small file of git's whole: `None` when it isn't a regular file of at most `limit` bytes.
pub(crate) fn read_small(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    read_limited(rustix::fs::open(path, flags, Mode::empty()).ok()?, limit)
}

/// As [`read_small`], for a file below `root` that the job may have put there.
pub(crate) fn read_small_below(root: &Root, path: &[u8], limit: u64) -> Option<Vec<u8>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Opening a device can do things, so look before opening.
    let place = root.place(path, Mounts::Stay).ok()?;
    let mode = rustix::fs::fstat(&place).ok()?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::RegularFile {
        return None;
    }
    let fd = rustix::fs::openat2(&root.fd, path, flags, Mode::empty(), resolve).ok()?;
    read_limited(fd, limit)
}

fn read_limited(fd: OwnedFd, limit: u64) -> Option<Vec<u8>> {
    let file = File::from(fd);
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.len() > limit {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .ok()?;
    (bytes.len() as u64 <= limit).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn hash_of(root: &Root, path: &str) -> Option<String> {
        let found = look(root, path.as_bytes(), Mounts::Stay, |_, _| [0; 8])?;
        let id = match hash(
            (&found.fd, &found.stamp),
            gix_hash::Kind::Sha1,
            1 << 22,
            &mut Vec::new(),
        ) {
            Ok(hashed) => hashed.id?,
            Err(mut hashing) => loop {
                if let Progress::Done(id) = hashing.advance(1 << 20, &mut Vec::new()) {
                    break id?;
                }
            },
        };
        Some(id.to_string())
    }

    #[test]
    fn hashes_are_those_of_git() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        std::fs::write(dir.path().join("empty"), "").unwrap();
        std::fs::write(dir.path().join("hello"), "hello\n").unwrap();
        std::fs::write(dir.path().join("zeros"), vec![0; 10 << 20]).unwrap();
        symlink("hello", dir.path().join("link")).unwrap();
        // As `git hash-object` prints them; for the link, `printf hello | git hash-object --stdin`.
        let examples = [
            ("empty", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
            ("hello", "ce013625030ba8dba906f756967f9e9ca394464a"),
            ("zeros", "6c5d4031e03408e34ae476c5053ee497a91ac37b"),
            ("link", "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0"),
        ];
        for (path, id) in examples {
            assert_eq!(hash_of(&root, path).as_deref(), Some(id), "{path}");
        }
    }

    #[test]
    fn nothing_but_files_and_links_below_the_root_is_looked_at() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        std::fs::write(dir.path().join("folder/file"), "x").unwrap();
        symlink("folder", dir.path().join("shortcut")).unwrap();
        symlink("/etc", dir.path().join("etc")).unwrap();
        rustix::fs::mknodat(
            CWD,
            dir.path().join("fifo"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        for path in [
            "folder",
            "fifo",
            "shortcut/file",
            "etc/passwd",
            "../../etc/passwd",
            "none",
        ] {
            assert!(hash_of(&root, path).is_none(), "{path}");
        }
        assert!(hash_of(&root, "folder/file").is_some());
        assert!(read_small_below(&root, b"fifo", 100).is_none());
        assert!(read_small_below(&root, b"shortcut/file", 100).is_none());
        assert_eq!(read_small_below(&root, b"folder/file", 100).unwrap(), b"x");
        assert!(read_small_below(&root, b"folder/file", 0).is_none());
    }

    #[test]
    fn a_file_of_absurd_size_has_no_hash() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let file = File::create(dir.path().join("huge")).unwrap();
        file.set_len(MAX_HASHED + 1).unwrap();
        assert!(hash_of(&root, "huge").is_none());
    }
}
