//! Files below a root folder, written and removed as root.
//!
//! In an image, and in folders that somebody else may write to, links may stand that lead elsewhere. So a path is walked
//! from the root, folder by folder, through descriptors, and no link is followed; a file is made under a name of its own
//! and then takes the place of whatever has its name.

use std::fs::{File, remove_dir_all};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, Uid, fchmod, fchown, fsync,
    mkdirat, openat, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

/// The root, which stays the folder that it was.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    path: PathBuf,
}

/// What became of a file that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    New,
    /// In place of what was there.
    Replaced,
    /// What was there stays.
    Kept,
}

const FOLDER: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC)
    .union(OFlags::RDONLY);

impl Tree {
    /// The folder may be reached through links: who names it has chosen it.
    pub(crate) fn open(path: &Path) -> Result<Tree> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty())
            .with_context(|| format!("cannot open the folder {}", path.display()))?;
        Ok(Tree {
            root,
            path: path.to_path_buf(),
        })
    }

    /// How a path below the root is called for a person.
    pub(crate) fn shown(&self, path: &str) -> String {
        self.path.join(path).display().to_string()
    }

    /// Writes a file of root's, whole or not at all. With `replace`, in place of what has its name, a link included.
    pub(crate) fn write(
        &self,
        path: &str,
        mode: u32,
        content: &mut dyn Read,
        replace: bool,
    ) -> Result<Written> {
        let failed = || format!("cannot write {}", self.shown(path));
        let (folder, name) = self.parent(path, true)?.with_context(failed)?;
        let before = kind_of(&folder, &name).with_context(failed)?;
        if before == Some(FileType::Directory) {
            bail!("{} is a folder; remove it first", self.shown(path));
        }
        if before.is_some() && !replace {
            return Ok(Written::Kept);
        }
        let making = format!(".{name}.new");
        // From an attempt that broke off. Whatever it is, nothing is written through it.
        let _ = unlinkat(&folder, &making, AtFlags::empty());
        let made = fill(&folder, &making, mode, content).and_then(|()| {
            if replace {
                renameat(&folder, &making, &folder, &name)?;
            } else {
                // Somebody may have put one there since.
                renameat_with(&folder, &making, &folder, &name, RenameFlags::NOREPLACE)?;
            }
            // The new name is on the disk when the folder is.
            Ok(fsync(&folder)?)
        });
        if let Err(error) = made {
            let _ = unlinkat(&folder, &making, AtFlags::empty());
            return Err(error).with_context(failed);
        }
        Ok(match before {
            Some(_) => Written::Replaced,
            None => Written::New,
        })
    }

    /// Whether there is something of this name, be it a link that leads nowhere.
    pub(crate) fn has(&self, path: &str) -> Result<bool> {
        let Some((folder, name)) = self.parent(path, false)? else {
            return Ok(false);
        };
        let kind = kind_of(&folder, &name);
        Ok(kind.with_context(|| self.unreadable(path))?.is_some())
    }

    /// What is in a folder; nothing when there is none.
    pub(crate) fn names(&self, path: &str) -> Result<Vec<String>> {
        let Some(folder) = self.folder(path, false)? else {
            return Ok(Vec::new());
        };
        let entries = Dir::read_from(&folder).with_context(|| self.unreadable(path))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| self.unreadable(path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Removes a file or a link. Answers whether there was one.
    pub(crate) fn remove(&self, path: &str) -> Result<bool> {
        self.unlink(path, AtFlags::empty())
    }

    /// Removes a folder that is empty. Answers whether it is gone now and was there before.
    pub(crate) fn remove_empty(&self, path: &str) -> Result<bool> {
        self.unlink(path, AtFlags::REMOVEDIR)
    }

    fn unlink(&self, path: &str, flags: AtFlags) -> Result<bool> {
        let Some((folder, name)) = self.parent(path, false)? else {
            return Ok(false);
        };
        match unlinkat(&folder, &name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", self.shown(path))),
        }
    }

    /// Removes a folder with all that is in it; of a link, the link. Answers whether there was one.
    pub(crate) fn remove_all(&self, path: &str) -> Result<bool> {
        let Some((folder, name)) = self.parent(path, false)? else {
            return Ok(false);
        };
        // The folder above by its descriptor: below it, the standard library follows no link.
        let place = format!("/proc/self/fd/{}/{name}", folder.as_raw_fd());
        match remove_dir_all(place) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", self.shown(path))),
        }
    }

    /// The folder that a file is in, and its name there. `None` when there is no such folder and none is to be made.
    fn parent(&self, path: &str, make: bool) -> Result<Option<(OwnedFd, String)>> {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = self.folder(above, make)?;
        Ok(folder.map(|folder| (folder, name.to_owned())))
    }

    fn folder(&self, path: &str, make: bool) -> Result<Option<OwnedFd>> {
        let unreadable = || self.unreadable(path);
        let mut folder = self.root.try_clone().with_context(unreadable)?;
        let mut so_far = PathBuf::new();
        for part in Path::new(path).components() {
            let Component::Normal(name) = part else {
                bail!("{path} is no path below a root");
            };
            so_far.push(name);
            let shown = || self.shown(&so_far.to_string_lossy());
            if make {
                match mkdirat(&folder, name, Mode::from_raw_mode(0o755)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    // Also told of a folder that is there already.
                    Err(Errno::ROFS) if kind_of(&folder, name)?.is_some() => {}
                    Err(error) => {
                        return Err(error)
                            .with_context(|| format!("cannot make the folder {}", shown()));
                    }
                }
            }
            folder = match openat(&folder, name, FOLDER, Mode::empty()) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR) => bail!(
                    "{} is a link or a file where a folder should be, and links are not followed here: \
                     remove it, or put a folder there",
                    shown()
                ),
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot open {}", shown()));
                }
            };
        }
        Ok(Some(folder))
    }

    fn unreadable(&self, path: &str) -> String {
        format!("cannot read {}", self.shown(path))
    }
}

fn fill(folder: &OwnedFd, name: &str, mode: u32, content: &mut dyn Read) -> io::Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(openat(folder, name, flags, Mode::from_raw_mode(0o600))?);
    io::copy(content, &mut file)?;
    file.flush()?;
    fchown(file.as_fd(), Some(Uid::ROOT), Some(Gid::ROOT))?;
    fchmod(file.as_fd(), Mode::from_raw_mode(mode))?;
    file.sync_all()
}

/// What has this name, without following a link.
fn kind_of(folder: &OwnedFd, name: impl rustix::path::Arg) -> io::Result<Option<FileType>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
