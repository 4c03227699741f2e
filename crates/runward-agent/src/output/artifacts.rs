//! Files that are kept after the job: folders of artifacts, and the summary of a step.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use runward_event::OutputPlace;
use runward_secrets::{Finder, Stream};
use runward_sensor::Clock;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, fstat, openat};

use super::message::Seen;
use super::search::Search;

/// What is looked at before the rest is left: files and folders, bytes in all and in one file, folders in folders, and
/// time.
const FILES_MAX: u64 = 20_000;
const BYTES_MAX: u64 = 512 << 20;
const FILE_MAX: u64 = 64 << 20;
const DEPTH_MAX: usize = 32;
const TIME_MAX: Duration = Duration::from_secs(20);
/// How many findings of all files are told.
const TOLD_MAX: usize = 1_000;
const READ: usize = 64 << 10;
/// Without waiting: it could be a pipe.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// How files begin whose content is packed: nothing can be seen in them.
const PACKED: [&[u8]; 7] = [
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"\xfd7zXZ\0",
    b"BZh",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
];

/// What was looked at, and found.
#[derive(Debug, Default)]
pub struct Artifacts {
    seen: Vec<Seen>,
    untold: u64,
    packed: u64,
    left: u64,
    unreadable: u64,
    files: u64,
    bytes: u64,
}

impl Artifacts {
    /// Searches files and folders. Links are not followed.
    pub fn search(paths: &[PathBuf], search: Search) -> Artifacts {
        let mut artifacts = Artifacts::default();
        let begun = Instant::now();
        let finder = search.finder();
        for path in paths {
            let mut walk = Walk {
                artifacts: &mut artifacts,
                finder: &finder,
                begun,
            };
            match openat(CWD, path, FLAGS, Mode::empty()) {
                Ok(fd) => walk.look(File::from(fd), path, 0),
                Err(_) => walk.artifacts.unreadable += 1,
            }
        }
        artifacts
    }

    /// What was found.
    pub fn take(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// How many findings there were beyond those.
    pub fn untold(&self) -> u64 {
        self.untold
    }

    /// What a reader should know about what was not looked at, a sentence each.
    pub fn notes(&self) -> Vec<String> {
        let say = |what: &str, count: u64| (count > 0).then(|| format!("{what}: {count}."));
        [
            say(
                "Archives among the artifacts that were not looked into for secrets",
                self.packed,
            ),
            say(
                "Artifacts that were not searched for secrets, or not to their end, because there is too much",
                self.left,
            ),
            say(
                "Artifacts that could not be read to search them for secrets",
                self.unreadable,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

struct Walk<'a> {
    artifacts: &'a mut Artifacts,
    finder: &'a Finder,
    begun: Instant,
}

impl Walk<'_> {
    fn look(&mut self, file: File, path: &Path, depth: usize) {
        let Ok(stat) = fstat(&file) else {
            self.artifacts.unreadable += 1;
            return;
        };
        self.artifacts.files += 1;
        match FileType::from_raw_mode(stat.st_mode) {
            _ if self.is_enough() || depth > DEPTH_MAX => self.artifacts.left += 1,
            FileType::Directory => self.folder(&file, path, depth),
            FileType::RegularFile => self.file(file, path),
            // Pipes and devices hold nothing.
            _ => {}
        }
    }

    fn is_enough(&self) -> bool {
        self.artifacts.files > FILES_MAX
            || self.artifacts.bytes > BYTES_MAX
            || self.begun.elapsed() > TIME_MAX
    }

    /// Through the open folder: its path may lead elsewhere by now.
    fn folder(&mut self, folder: &File, path: &Path, depth: usize) {
        let Ok(entries) = Dir::read_from(folder) else {
            self.artifacts.unreadable += 1;
            return;
        };
        for entry in entries {
            if self.is_enough() {
                self.artifacts.left += 1;
                return;
            }
            let Ok(entry) = entry else {
                self.artifacts.unreadable += 1;
                return;
            };
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") || entry.file_type() == FileType::Symlink {
                continue;
            }
            match openat(folder, entry.file_name(), FLAGS, Mode::empty()) {
                Ok(fd) => {
                    let path = path.join(std::ffi::OsStr::from_bytes(name));
                    self.look(File::from(fd), &path, depth + 1);
                }
                Err(_) => self.artifacts.unreadable += 1,
            }
        }
    }

    fn file(&mut self, mut file: File, path: &Path) {
        let mut stream = Stream::default();
        let mut bytes = vec![0; READ];
        let mut total = 0;
        let artifacts = &mut *self.artifacts;
        let boot_ns = Clock::boot_ns();
        let mut sink = |found| {
            if artifacts.seen.len() >= TOLD_MAX {
                artifacts.untold += 1;
                return;
            }
            artifacts.seen.push(Seen {
                boot_ns,
                place: OutputPlace::File,
                path: Some(path.as_os_str().as_bytes().to_vec()),
                found,
            });
        };
        loop {
            let length = match file.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    artifacts.unreadable += 1;
                    break;
                }
            };
            let piece = bytes.get(..length).unwrap_or_default();
            if total == 0 && PACKED.iter().any(|magic| piece.starts_with(magic)) {
                artifacts.packed += 1;
                return;
            }
            total += u64::try_from(length).unwrap_or(u64::MAX);
            stream.feed(self.finder, piece, &mut sink);
            if total > FILE_MAX || self.begun.elapsed() > TIME_MAX {
                artifacts.left += 1;
                break;
            }
        }
        stream.finish(self.finder, &mut sink);
        artifacts.bytes += total;
        artifacts.untold += stream.untold();
    }
}
