//! What a file held before: blobs of git, read from its object folders.
//!
//! The job can write to these folders, so nothing in them is believed. Packs and their indexes are opened before the job
//! starts, and read by position: a mapped file that the job cuts off would end the agent with it, which is why no library
//! does this here. Nothing is opened that is not a regular file, sizes and chains are bounded, and a blob counts only when
//! its content has the hash that was asked for.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use gix_hash::ObjectId;
use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::files::content::{Mounts, Root, blob_hash, read_small};
use crate::files::settings::as_path;

/// How many object folders are read, those of submodules and alternates included.
const MAX_FOLDERS: usize = 64;
/// How many packs are held open, in all folders together.
const MAX_PACKS: usize = 32;
/// How many names in a folder of packs are looked at.
const MAX_NAMES: usize = 10_000;
/// The longest object that a blob is made from, in bytes: an earlier version of it may have been longer.
const MAX_BASE: usize = 1 << 20;
/// How many differences may lie between a blob and an object that is whole. Git makes at most 50, or 250 if told to.
const MAX_CHAIN: usize = 256;

/// Kinds of objects in a pack (gitformat-pack(5)).
const BLOB: u8 = 3;
const OFS_DELTA: u8 = 6;
const REF_DELTA: u8 = 7;

/// The objects of a repository, its submodules, and those that it borrows from.
#[derive(Debug)]
pub(crate) struct Objects {
    kind: gix_hash::Kind,
    folders: Vec<Root>,
    packs: Vec<Pack>,
}

impl Objects {
    /// Opens what is in these folders now. `borrow` says whether they may name others: those of a repository that the job
    /// made may lead anywhere.
    pub(crate) fn open(kind: gix_hash::Kind, folders: &[PathBuf], borrow: bool) -> Objects {
        let mut objects = Objects {
            kind,
            folders: Vec::new(),
            packs: Vec::new(),
        };
        let mut waiting: Vec<PathBuf> = folders.iter().rev().cloned().collect();
        while let Some(path) = waiting.pop()
            && objects.folders.len() < MAX_FOLDERS
        {
            let Ok(folder) = Root::open(&path) else {
                continue;
            };
            if objects
                .folders
                .iter()
                .any(|known| known.path == folder.path)
            {
                continue;
            }
            if borrow {
                waiting.extend(alternates(&folder.path));
            }
            objects.open_packs(&folder);
            objects.folders.push(folder);
        }
        objects
    }

    fn open_packs(&mut self, folder: &Root) {
        let Ok(names) = folder.path.join("pack").read_dir() else {
            return;
        };
        let names = names
            .take(MAX_NAMES)
            .flatten()
            .map(|entry| entry.file_name())
            .filter(|name| name.as_bytes().ends_with(b".idx"));
        for name in names {
            if self.packs.len() >= MAX_PACKS {
                return;
            }
            let index = [b"pack/", name.as_bytes()].concat();
            self.packs.extend(Pack::open(folder, &index, self.kind));
        }
    }

    /// The content of a blob of at most `limit` bytes: `None` when it isn't there, or isn't what it should be.
    pub(crate) fn blob(&self, id: &ObjectId, limit: usize) -> Option<Vec<u8>> {
        let bytes = self.read(id, limit.min(MAX_BASE), 0)?;
        (bytes.len() <= limit && blob_hash(self.kind, &bytes).as_ref() == Some(id)).then_some(bytes)
    }

    fn read(&self, id: &ObjectId, limit: usize, chain: usize) -> Option<Vec<u8>> {
        let packed = self.packs.iter().find_map(|pack| {
            let at = pack.find(id)?;
            self.packed(pack, at, limit, chain)
        });
        packed.or_else(|| {
            self.folders
                .iter()
                .find_map(|folder| loose(folder, id, limit))
        })
    }

    /// The object at a place of a pack.
    fn packed(&self, pack: &Pack, at: u64, limit: usize, chain: usize) -> Option<Vec<u8>> {
        if chain > MAX_CHAIN {
            return None;
        }
        let entry = pack.entry(at)?;
        if entry.kind == BLOB {
            return pack.inflate(entry.data, entry.size, limit);
        }
        let (base, delta) = match entry.kind {
            OFS_DELTA => {
                let (back, len) = pack.base_offset(entry.data)?;
                let base = at.checked_sub(back).filter(|_| back > 0)?;
                (
                    self.packed(pack, base, MAX_BASE, chain + 1)?,
                    entry.data + len,
                )
            }
            REF_DELTA => {
                let mut name = [0; 32];
                let name = name.get_mut(..self.kind.len_in_bytes())?;
                pack.data.read_exact_at(name, entry.data).ok()?;
                let base = ObjectId::try_from(&*name).ok()?;
                (
                    self.read(&base, MAX_BASE, chain + 1)?,
                    entry.data + name.len() as u64,
                )
            }
            _ => return None,
        };
        apply(&base, &pack.inflate(delta, entry.size, MAX_BASE)?, limit)
    }
}

/// The object folders that this one borrows from.
fn alternates(folder: &Path) -> Vec<PathBuf> {
    let text = read_small(&folder.join("info/alternates"), 1 << 16).unwrap_or_default();
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty() && !line.starts_with(b"#"))
        .take(MAX_FOLDERS)
        .map(|line| folder.join(as_path(line)))
        .collect()
}

/// An object in a file of its own.
fn loose(folder: &Root, id: &ObjectId, limit: usize) -> Option<Vec<u8>> {
    let name = id.to_string();
    let (first, rest) = name.split_at_checked(2)?;
    let file = open(folder, format!("{first}/{rest}").as_bytes())?;
    let bytes = read_at(&file, 0, deflated(limit))?;
    // `blob`, a space, the size and a NUL stand before the content.
    let mut bytes = decompress_to_vec_zlib_with_limit(&bytes, limit + 32).ok()?;
    let end = bytes.iter().take(32).position(|byte| *byte == 0)?;
    if !bytes.starts_with(b"blob ") {
        return None;
    }
    bytes.drain(..=end);
    Some(bytes)
}

/// A pack and its index, open.
#[derive(Debug)]
struct Pack {
    index: File,
    data: File,
    /// How many objects it has.
    count: u32,
    hash_len: u64,
}

/// Where an object's data begins, and how long it is when inflated.
struct Entry {
    kind: u8,
    size: u64,
    data: u64,
}

impl Pack {
    /// The second version of index, which every git since 2007 writes.
    const MAGIC: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];
    const FANOUT: u64 = 8;
    const NAMES: u64 = Pack::FANOUT + 256 * 4;

    fn open(folder: &Root, index: &[u8], kind: gix_hash::Kind) -> Option<Pack> {
        let data = [index.strip_suffix(b"idx")?, b"pack"].concat();
        let pack = Pack {
            index: open(folder, index)?,
            data: open(folder, &data)?,
            count: 0,
            hash_len: kind.len_in_bytes() as u64,
        };
        let mut magic = [0; 8];
        pack.index.read_exact_at(&mut magic, 0).ok()?;
        let count = pack.u32_at(Pack::FANOUT + 255 * 4)?;
        (magic == Pack::MAGIC).then_some(Pack { count, ..pack })
    }

    fn u32_at(&self, at: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.index.read_exact_at(&mut bytes, at).ok()?;
        Some(u32::from_be_bytes(bytes))
    }

    /// Where an object lies in the pack.
    fn find(&self, id: &ObjectId) -> Option<u64> {
        let wanted = id.as_bytes();
        let first = u64::from(*wanted.first()?);
        let mut low = match first {
            0 => 0,
            _ => self.u32_at(Pack::FANOUT + (first - 1) * 4)?,
        };
        let mut high = self.u32_at(Pack::FANOUT + first * 4)?.min(self.count);
        let mut name = [0; 32];
        let name = name.get_mut(..wanted.len())?;
        while low < high {
            let middle = low + (high - low) / 2;
            let at = Pack::NAMES + u64::from(middle) * self.hash_len;
            self.index.read_exact_at(name, at).ok()?;
            match (*name).cmp(wanted) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return self.offset(middle),
            }
        }
        None
    }

    fn offset(&self, number: u32) -> Option<u64> {
        let count = u64::from(self.count);
        // After the names, a checksum of 4 bytes for each, then the places.
        let places = Pack::NAMES + count * (self.hash_len + 4);
        let place = self.u32_at(places + u64::from(number) * 4)?;
        if place < 1 << 31 {
            return Some(u64::from(place));
        }
        let mut bytes = [0; 8];
        let far = places + count * 4 + u64::from(place & !(1 << 31)) * 8;
        self.index.read_exact_at(&mut bytes, far).ok()?;
        Some(u64::from_be_bytes(bytes))
    }

    fn entry(&self, at: u64) -> Option<Entry> {
        let head = read_at(&self.data, at, 16)?;
        let mut bytes = head.iter().zip(1u64..);
        let (first, mut len) = bytes.next()?;
        let mut size = u64::from(first & 15);
        let (mut shift, mut last) = (4, *first);
        while last & 0x80 != 0 {
            (last, len) = bytes.next().map(|(byte, at)| (*byte, at))?;
            size |= u64::from(last & 0x7f).checked_shl(shift)?;
            shift += 7;
        }
        Some(Entry {
            kind: first >> 4 & 7,
            size,
            data: at.checked_add(len)?,
        })
    }

    /// How far before an entry its base lies, and how many bytes say so.
    fn base_offset(&self, at: u64) -> Option<(u64, u64)> {
        let head = read_at(&self.data, at, 16)?;
        let mut back = 0u64;
        for (byte, len) in head.iter().zip(1u64..) {
            back = back.checked_mul(128)? | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some((back, len));
            }
            back = back.checked_add(1)?;
        }
        None
    }

    fn inflate(&self, at: u64, size: u64, limit: usize) -> Option<Vec<u8>> {
        let size = usize::try_from(size).ok().filter(|size| *size <= limit)?;
        let bytes = read_at(&self.data, at, deflated(size))?;
        let bytes = decompress_to_vec_zlib_with_limit(&bytes, size).ok()?;
        (bytes.len() == size).then_some(bytes)
    }
}

/// How long so many bytes are at most when deflate can't make them shorter, with some to spare.
const fn deflated(size: usize) -> usize {
    size + size / 256 + 256
}

/// Makes an object from another one and what differs.
fn apply(base: &[u8], delta: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut delta = Delta(delta);
    let from = delta.size()?;
    let size = delta.size().filter(|size| *size <= limit)?;
    if from != base.len() {
        return None;
    }
    let mut out = Vec::with_capacity(size);
    while let Some(op) = delta.byte() {
        let part = if op & 0x80 != 0 {
            let mut number = |bits: std::ops::Range<u8>| {
                bits.enumerate().try_fold(0usize, |sum, (at, bit)| {
                    let byte = if op >> bit & 1 == 1 { delta.byte()? } else { 0 };
                    Some(sum | usize::from(byte) << (8 * at))
                })
            };
            let start = number(0..4)?;
            let len = match number(4..7)? {
                0 => 0x10000,
                len => len,
            };
            base.get(start..start.checked_add(len)?)?
        } else {
            delta.bytes(usize::from(op)).filter(|_| op != 0)?
        };
        if out.len() + part.len() > size {
            return None;
        }
        out.extend_from_slice(part);
    }
    (out.len() == size).then_some(out)
}

/// What is left of a delta.
struct Delta<'a>(&'a [u8]);

impl<'a> Delta<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(first)
    }

    fn size(&mut self) -> Option<usize> {
        let (mut size, mut shift) = (0usize, 0);
        loop {
            let byte = self.byte()?;
            size |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                return Some(size);
            }
        }
    }
}

/// Opens a regular file below a folder, and nothing else: opening a FIFO or a device can wait, or do things.
fn open(folder: &Root, path: &[u8]) -> Option<File> {
    let place = folder.place(path, Mounts::Stay).ok()?;
    let mode = rustix::fs::fstat(&place).ok()?.st_mode;
    if FileType::from_raw_mode(mode) != FileType::RegularFile {
        return None;
    }
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Some(File::from(
        rustix::fs::openat(CWD, again, flags, Mode::empty()).ok()?,
    ))
}

/// Up to `len` bytes from a place on.
fn read_at(file: &File, at: u64, len: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut have = 0;
    while have < len {
        match file.read_at(bytes.get_mut(have..)?, at.checked_add(have as u64)?) {
            Ok(0) => break,
            Ok(read) => have += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    bytes.truncate(have);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A repository with a file in many versions; the names of all blobs with their content.
    struct Repository {
        folder: tempfile::TempDir,
        blobs: Vec<(ObjectId, Vec<u8>)>,
    }

    fn git(folder: &Path, args: &[&str]) -> String {
        let ran = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(["-c", "user.name=n", "-c", "user.email=e", "-c", "gc.auto=0"])
            .args(args)
            .output()
            .unwrap();
        assert!(
            ran.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    impl Repository {
        fn new(format: &str) -> Repository {
            let folder = tempfile::tempdir().unwrap();
            git(folder.path(), &["init", "-q", "--object-format", format]);
            let mut blobs = Vec::new();
            for version in 0..40 {
                let lines = (0..400).map(|line| format!("line {line} {}\n", line * 7919 % 1000));
                let mut text: Vec<String> = lines.collect();
                text[version * 7 % 400] = format!("version {version}\n");
                text.truncate(400 - version);
                let text = text.concat();
                std::fs::write(folder.path().join("file"), &text).unwrap();
                git(folder.path(), &["add", "."]);
                git(folder.path(), &["commit", "-q", "-m", "x"]);
                let name = git(folder.path(), &["rev-parse", ":file"]);
                blobs.push((name.parse().unwrap(), text.into_bytes()));
            }
            Repository { folder, blobs }
        }

        fn objects(&self, kind: gix_hash::Kind) -> Objects {
            Objects::open(kind, &[self.folder.path().join(".git/objects")], true)
        }

        /// How many of the blobs are read; none of them wrong.
        fn check(&self, kind: gix_hash::Kind) -> usize {
            let objects = self.objects(kind);
            let read = self.blobs.iter().filter(|(id, text)| {
                let blob = objects.blob(id, 1 << 18);
                assert!(blob.is_none() || blob.as_deref() == Some(text));
                blob.is_some()
            });
            read.count()
        }

        fn pack(&self, arguments: &[&str]) {
            let all = ["repack", "-q", "-a", "-d"];
            git(self.folder.path(), &[&all[..], arguments].concat());
        }
    }

    #[test]
    fn blobs_are_read_loose_packed_and_as_differences() {
        for (format, kind) in [
            ("sha1", gix_hash::Kind::Sha1),
            ("sha256", gix_hash::Kind::Sha256),
        ] {
            let repository = Repository::new(format);
            assert_eq!(repository.check(kind), 40, "loose, {format}");
            repository.pack(&["-f", "--depth=50"]);
            assert_eq!(repository.check(kind), 40, "packed, {format}");
            git(
                repository.folder.path(),
                &["config", "repack.useDeltaBaseOffset", "false"],
            );
            repository.pack(&["-f", "--depth=50"]);
            assert_eq!(
                repository.check(kind),
                40,
                "by the name of the base, {format}"
            );
            git(
                repository.folder.path(),
                &["config", "pack.indexVersion", "2,0x40"],
            );
        }
    }

    #[test]
    fn a_pack_is_read_after_the_job_removed_it() {
        let repository = Repository::new("sha1");
        repository.pack(&[]);
        let objects = repository.objects(gix_hash::Kind::Sha1);
        std::fs::remove_dir_all(repository.folder.path().join(".git/objects")).unwrap();
        let (id, text) = &repository.blobs[3];
        assert_eq!(objects.blob(id, 1 << 18).as_ref(), Some(text));
        assert_eq!(objects.blob(id, text.len() - 1), None, "too long");
    }

    #[test]
    fn objects_that_are_borrowed_are_found() {
        let lender = Repository::new("sha1");
        lender.pack(&[]);
        let folder = tempfile::tempdir().unwrap();
        let from = lender.folder.path().to_str().unwrap();
        git(folder.path(), &["clone", "-q", "--shared", from, "."]);
        let objects = Objects::open(
            gix_hash::Kind::Sha1,
            &[folder.path().join(".git/objects")],
            true,
        );
        let (id, text) = &lender.blobs[0];
        assert_eq!(objects.blob(id, 1 << 18).as_ref(), Some(text));
    }

    #[test]
    fn what_a_job_puts_among_the_objects_is_not_believed() {
        let repository = Repository::new("sha1");
        let folder = repository.folder.path().join(".git/objects");
        let place = |id: &ObjectId| {
            let name = id.to_string();
            folder.join(&name[..2]).join(&name[2..])
        };
        // Another blob under the name, a FIFO, a link, and a bomb.
        let at: Vec<PathBuf> = repository.blobs.iter().map(|(id, _)| place(id)).collect();
        for path in &at[..4] {
            std::fs::remove_file(path).unwrap();
        }
        std::fs::copy(&at[9], &at[0]).unwrap();
        rustix::fs::mknodat(CWD, &at[1], FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        std::os::unix::fs::symlink(&at[9], &at[2]).unwrap();
        let bomb = [b"blob 100000000\0".to_vec(), vec![0; 100_000_000]].concat();
        let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&bomb, 1);
        std::fs::write(&at[3], bomb).unwrap();
        assert_eq!(repository.check(gix_hash::Kind::Sha1), 36);
    }

    #[test]
    fn damaged_packs_are_refused_without_a_panic() {
        let repository = Repository::new("sha1");
        repository.pack(&["-f", "--depth=50"]);
        let packs = repository.folder.path().join(".git/objects/pack");
        let files: Vec<PathBuf> = packs
            .read_dir()
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        for path in files.iter().filter(|path| !path.ends_with(".rev")) {
            let whole = std::fs::read(path).unwrap();
            std::fs::remove_file(path).unwrap();
            for round in 0..60usize {
                let mut bytes = whole.clone();
                let len = bytes.len();
                match round % 3 {
                    0 => bytes.truncate(len * round / 60),
                    1 => bytes[len * round / 60] ^= 0xff,
                    _ => bytes[len * round / 60..].fill(0xff),
                }
                std::fs::write(path, bytes).unwrap();
                repository.check(gix_hash::Kind::Sha1);
            }
            std::fs::write(path, whole).unwrap();
        }
        assert_eq!(repository.check(gix_hash::Kind::Sha1), 40);
    }
}
