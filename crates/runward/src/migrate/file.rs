//! One file: read, and put in the place of what was read, if that is still there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, bail};
use runward_migrate::TEXT_BYTES;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, fchmod, fchown, fstat,
    fsync, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use crate::output::shown;

/// A file that was read, with its folder held open: nobody can put another one in between.
pub(super) struct TextFile {
    path: PathBuf,
    folder: OwnedFd,
    name: OsString,
    stat: Stat,
    text: String,
}

impl TextFile {
    /// Reads a file, and no link to one.
    pub(super) fn read(path: &Path) -> Result<TextFile> {
        let context = || format!("cannot read {}", shown(path));
        let name = path.file_name().with_context(context)?.to_owned();
        let folder = open_folder(path).with_context(context)?;
        let file = open(&folder, &name).with_context(context)?;
        let stat = fstat(&file).with_context(context)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            bail!("{} is not a file", shown(path));
        }
        let mut bytes = Vec::new();
        // One byte more than may be: then the text is too large, and that is told.
        let most = u64::try_from(TEXT_BYTES)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        file.take(most)
            .read_to_end(&mut bytes)
            .with_context(context)?;
        let text = match String::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) if error.as_bytes().len() > TEXT_BYTES => {
                String::from_utf8_lossy(error.as_bytes()).into_owned()
            }
            Err(error) => bail!(
                "{} is not UTF-8 text (byte {})",
                shown(path),
                error.utf8_error().valid_up_to()
            ),
        };
        Ok(TextFile {
            path: path.to_path_buf(),
            folder,
            name,
            stat,
            text,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Puts another text in its place, whole or not at all, with the mode and the owner that it had. What has changed
    /// since it was read is left alone.
    pub(super) fn replace(&self, new: &str) -> Result<()> {
        let temporary = self.temporary();
        let write = || -> Result<()> {
            let file = create(&self.folder, &temporary, Mode::RUSR | Mode::WUSR)?;
            self.fill(
                file,
                new,
                Some(Mode::from_raw_mode(self.stat.st_mode & 0o7777)),
            )?;
            self.is_unchanged()?;
            renameat(&self.folder, &temporary, &self.folder, &self.name)?;
            Ok(())
        };
        self.or_clean_up(&self.folder, &temporary, write())?;
        // The rename itself is on the disk with the folder.
        fsync(&self.folder).with_context(|| format!("cannot write {}", shown(&self.path)))
    }

    /// Writes a new file, with the owner of this one. Nothing is overwritten.
    pub(super) fn create_beside(&self, path: &Path, new: &str) -> Result<()> {
        let context = || format!("cannot write {}", shown(path));
        let name = path.file_name().with_context(context)?;
        let folder = open_folder(path).with_context(context)?;
        let temporary = temporary(name);
        let write = || -> Result<()> {
            let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
            let file = create(&folder, &temporary, mode)?;
            self.fill(file, new, None)?;
            renameat_with(&folder, &temporary, &folder, name, RenameFlags::NOREPLACE)?;
            Ok(())
        };
        self.or_clean_up(&folder, &temporary, write())
            .with_context(context)?;
        fsync(&folder).with_context(context)
    }

    fn temporary(&self) -> OsString {
        temporary(&self.name)
    }

    fn fill(&self, mut file: File, new: &str, mode: Option<Mode>) -> Result<()> {
        file.write_all(new.as_bytes())?;
        let ours = fstat(&file)?;
        if (ours.st_uid, ours.st_gid) != (self.stat.st_uid, self.stat.st_gid) {
            let (uid, gid) = (self.stat.st_uid, self.stat.st_gid);
            fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
                .context("its owner can't be kept")?;
        }
        // After the owner: changing that one takes bits away.
        if let Some(mode) = mode {
            fchmod(&file, mode)?;
        }
        file.sync_all()?;
        Ok(())
    }

    fn is_unchanged(&self) -> Result<()> {
        const CHANGED: &str = "it was changed since it was read: run this again";
        let mut file = open(&self.folder, &self.name).context(CHANGED)?;
        let stat = fstat(&file)?;
        let facts = |stat: &Stat| {
            (
                (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mode),
                (
                    stat.st_mtime,
                    stat.st_mtime_nsec,
                    stat.st_ctime,
                    stat.st_ctime_nsec,
                ),
                (stat.st_uid, stat.st_gid),
            )
        };
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        if facts(&stat) != facts(&self.stat) || text != self.text.as_bytes() {
            bail!(CHANGED);
        }
        Ok(())
    }

    fn or_clean_up(&self, folder: &OwnedFd, temporary: &OsStr, done: Result<()>) -> Result<()> {
        done.map_err(|error| {
            // What is there already is not ours.
            if error.downcast_ref::<Taken>().is_none() {
                let _ = unlinkat(folder, temporary, AtFlags::empty());
            }
            error.context(format!("cannot write {}", shown(&self.path)))
        })
    }
}

/// The place for the new text is taken.
#[derive(Debug, thiserror::Error)]
#[error("{} is there, perhaps of a run that was killed: remove it", shown(Path::new(.0)))]
struct Taken(OsString);

fn temporary(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".runward-migrate");
    temporary
}

fn open_folder(path: &Path) -> Result<OwnedFd, Errno> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    openat(CWD, folder.unwrap_or(Path::new(".")), flags, Mode::empty())
}

fn open(folder: &OwnedFd, name: &OsStr) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(folder, name, flags, Mode::empty()) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::LOOP) => bail!("it is a link: name the file itself"),
        Err(errno) => Err(std::io::Error::from(errno).into()),
    }
}

fn create(folder: &OwnedFd, name: &OsStr, mode: Mode) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(folder, name, flags, mode) {
        Ok(file) => Ok(File::from(file)),
        Err(Errno::EXIST) => Err(Error::new(Taken(name.to_owned()))),
        Err(errno) => Err(std::io::Error::from(errno).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use runward_lab::requires;
    use tempfile::TempDir;

    use super::*;

    fn folder(text: &str) -> (TempDir, PathBuf) {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("ci.yml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn names(folder: &TempDir) -> Vec<OsString> {
        let mut names: Vec<OsString> = folder
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let (folder, path) = folder("old");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        TextFile::read(&path).unwrap().replace("new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(&folder), ["ci.yml"]);
    }

    #[test]
    fn a_file_keeps_its_owner() {
        requires!(Root);
        let (_folder, path) = folder("old");
        std::os::unix::fs::chown(&path, Some(1234), Some(2345)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o2755)).unwrap();
        let file = TextFile::read(&path).unwrap();
        file.replace("new").unwrap();
        let found = path.metadata().unwrap();
        assert_eq!((found.uid(), found.gid()), (1234, 2345));
        assert_eq!(found.mode() & 0o7777, 0o2755);
        let beside = path.with_file_name("beside.yml");
        file.create_beside(&beside, "x").unwrap();
        let found = beside.metadata().unwrap();
        assert_eq!((found.uid(), found.gid()), (1234, 2345));
    }

    #[test]
    fn what_changed_since_it_was_read_is_left_alone() {
        type Change = fn(&Path);
        let changes: [(&str, Change); 4] = [
            ("mine", |path| std::fs::write(path, "mine").unwrap()),
            ("old", |path| {
                // The same bytes in another file, as editors do.
                let other = path.with_extension("other");
                std::fs::write(&other, "old").unwrap();
                std::fs::rename(other, path).unwrap();
            }),
            ("old", |path| {
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
            }),
            ("old", |path| {
                let other = path.with_file_name("elsewhere");
                std::fs::rename(path, &other).unwrap();
                std::os::unix::fs::symlink(other, path).unwrap();
            }),
        ];
        for (number, (left, change)) in changes.into_iter().enumerate() {
            let (folder, path) = folder("old");
            let file = TextFile::read(&path).unwrap();
            change(&path);
            let error = format!("{:#}", file.replace("new").unwrap_err());
            assert!(error.contains("was changed since"), "{number}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), left, "{number}");
            let is_temporary = |name: &OsString| name.to_string_lossy().ends_with("-migrate");
            assert!(!names(&folder).iter().any(is_temporary), "{number}");
        }
    }

    #[test]
    fn nothing_that_is_there_is_overwritten() {
        let (folder, path) = folder("old");
        let file = TextFile::read(&path).unwrap();
        let target = folder.path().join("policy.yml");
        std::fs::write(&target, "mine").unwrap();
        assert!(file.create_beside(&target, "new").is_err());
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
        assert_eq!(names(&folder), ["ci.yml", "policy.yml"]);
        // What a run that was killed has left is not taken for ours.
        let left = folder.path().join(".ci.yml.runward-migrate");
        std::fs::write(&left, "half").unwrap();
        let error = format!("{:#}", file.replace("new").unwrap_err());
        assert!(
            error.contains(".ci.yml.runward-migrate is there"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&left).unwrap(), "half");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    }
}
