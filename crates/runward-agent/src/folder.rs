//! The report folder: written by root, in a place that the job's user may own.
//!
//! The job must not be able to make Runward write somewhere else, nor to change the record while it is being made. So
//! the folder is opened once and everything goes through that descriptor; files are made anew, never opened through a
//! link; and before the end, `events.jsonl` is checked to be still the file that was written.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FlockOperation, Gid, Mode, OFlags, Uid, fchown, flock, fstat, open, openat, renameat,
    statat, unlinkat,
};
use rustix::io::Errno;

/// How many runs beside each other may use one report path, each in a folder of its own.
const SIBLINGS_MAX: u32 = 64;
/// The record itself.
pub const EVENTS: &str = "events.jsonl";

/// Why there is no report folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report to {path}: {source}; choose another folder with --report")]
pub struct FolderError {
    /// The folder.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// A report folder, open and locked against other runs.
#[derive(Debug)]
pub struct ReportFolder {
    path: PathBuf,
    folder: OwnedFd,
    owner: Option<(u32, u32)>,
}

impl ReportFolder {
    /// Opens the folder, or makes it. When another run is writing there, takes `PATH-2`, `PATH-3` and so on.
    ///
    /// `owner` is the user and group that the files are given to at the end.
    pub fn create(path: &Path, owner: Option<(u32, u32)>) -> Result<ReportFolder, FolderError> {
        let mut candidate = path.to_path_buf();
        for sibling in 2.. {
            let failed = |source| FolderError {
                path: candidate.clone(),
                source,
            };
            fs::create_dir_all(&candidate).map_err(failed)?;
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let folder = open(&candidate, flags, Mode::empty()).map_err(|e| failed(e.into()))?;
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    return Ok(ReportFolder {
                        path: candidate,
                        folder,
                        owner,
                    });
                }
                Err(Errno::WOULDBLOCK) if sibling <= SIBLINGS_MAX => {
                    let mut name = path.as_os_str().to_owned();
                    name.push(format!("-{sibling}"));
                    candidate = PathBuf::from(name);
                }
                Err(errno) => return Err(failed(errno.into())),
            }
        }
        unreachable!("the loop above ends by returning")
    }

    /// Where the folder is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file of its own under a name, in place of whatever has that name.
    pub fn create_file(&self, name: &str) -> Result<File, FolderError> {
        self.create_new(name)
            .map_err(|source| self.failed(name, source))
    }

    fn create_new(&self, name: &str) -> io::Result<File> {
        match unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        Ok(File::from(openat(&self.folder, name, flags, mode)?))
    }

    /// Puts a file in the place of another one, which is there as long as this is not whole. Returns it, at its end.
    pub fn replace_file(
        &self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<File, FolderError> {
        let temporary = format!(".{name}.tmp");
        let written = self.create_new(&temporary).and_then(|file| {
            let mut out = io::BufWriter::with_capacity(1 << 16, &file);
            content(&mut out)?;
            out.flush()?;
            drop(out);
            renameat(&self.folder, &temporary, &self.folder, name).map_err(io::Error::from)?;
            Ok(file)
        });
        written.map_err(|source| {
            // Best effort: the first error is the one to tell.
            let _ = unlinkat(&self.folder, &temporary, AtFlags::empty());
            self.failed(name, source)
        })
    }

    /// Writes a whole file: under another name first, so that a reader never sees half of it.
    pub fn write(
        &self,
        name: &str,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), FolderError> {
        let file = self.replace_file(name, content)?;
        self.give_away(&file)
            .map_err(|source| self.failed(name, source))
    }

    /// Makes sure that `name` still is `file`; if the job put something else there, writes it again from `file`.
    /// Returns whether it had to.
    pub fn restore(&self, name: &str, file: &File) -> Result<bool, FolderError> {
        let ours = fstat(file).map_err(|errno| self.failed(name, errno.into()))?;
        let same = statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|there| there.st_ino == ours.st_ino && there.st_dev == ours.st_dev);
        if same {
            self.give_away(file)
                .map_err(|source| self.failed(name, source))?;
            return Ok(false);
        }
        let mut source = file;
        source
            .rewind()
            .map_err(|source| self.failed(name, source))?;
        self.write(name, |out| {
            io::copy(&mut source.take(u64::MAX), out).map(drop)
        })?;
        Ok(true)
    }

    /// Gives the folder itself to the invoking user.
    pub fn finish(&self) {
        // Only a convenience: the report is complete without it.
        let _ = self.chown(self.folder.as_fd());
    }

    fn give_away(&self, file: &File) -> io::Result<()> {
        self.chown(file.as_fd())
    }

    fn chown(&self, fd: impl AsFd) -> io::Result<()> {
        if let Some((uid, gid)) = self.owner {
            fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        }
        Ok(())
    }

    fn failed(&self, name: &str, source: io::Error) -> FolderError {
        FolderError {
            path: self.path.join(name),
            source,
        }
    }
}
