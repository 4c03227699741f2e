//! Which files are meant: those that are named, and those with the right ending below folders that are named.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Error, Result, anyhow, bail};

use crate::output::shown;

/// Folders within folders.
const DEPTH: usize = 32;

/// What is in folders, all together.
const ENTRIES: usize = 100_000;

/// Folders that hold no workflow of their repository.
const SKIPPED: [&str; 2] = [".git", "node_modules"];

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    pub(super) errors: Vec<Error>,
    /// Where the files really are, so that each is taken once.
    seen: BTreeSet<PathBuf>,
    entries: usize,
}

pub(super) fn find(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        if let Err(error) = found.named(path) {
            found.errors.push(error);
        }
    }
    found
}

impl Found {
    fn named(&mut self, path: &Path) -> Result<()> {
        let context = || format!("cannot read {}", shown(path));
        let is_link = path.symlink_metadata().with_context(context)?.is_symlink();
        let meant = path.metadata().with_context(context)?;
        if meant.is_dir() {
            let root = path.canonicalize().with_context(context)?;
            return self.folder(path, &root, 0);
        }
        if is_link {
            let root = match path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty())
            {
                Some(parent) => parent.canonicalize(),
                None => Path::new(".").canonicalize(),
            };
            return self.link(path, &root.with_context(context)?);
        }
        self.add(path, path.canonicalize().with_context(context)?);
        Ok(())
    }

    fn folder(&mut self, folder: &Path, root: &Path, depth: usize) -> Result<()> {
        let context = || format!("cannot read {}", shown(folder));
        if depth > DEPTH {
            bail!("{}: folders are nested too deep", shown(folder));
        }
        let mut entries = Vec::new();
        for entry in folder.read_dir().with_context(context)? {
            self.entries += 1;
            if self.entries > ENTRIES {
                bail!(
                    "{}: too many files: name the folder of the workflows",
                    shown(folder)
                );
            }
            entries.push(entry.with_context(context)?);
        }
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let kind = entry.file_type().with_context(context)?;
            let done = if kind.is_dir() {
                let is_skipped = SKIPPED.iter().any(|name| entry.file_name() == *name);
                if is_skipped {
                    continue;
                }
                self.folder(&path, root, depth + 1)
            } else if !has_ending(&path) {
                continue;
            } else if kind.is_symlink() {
                self.link(&path, root)
            } else if kind.is_file() {
                let real = path.canonicalize().with_context(context);
                real.map(|real| self.add(&path, real))
            } else {
                Err(anyhow!("{} is not a file", shown(&path)))
            };
            if let Err(error) = done {
                self.errors.push(error);
            }
        }
        Ok(())
    }

    /// A link is followed to a file below the same folder: what is elsewhere was not named.
    fn link(&mut self, path: &Path, root: &Path) -> Result<()> {
        let real = path
            .canonicalize()
            .with_context(|| format!("cannot follow the link {}", shown(path)))?;
        if !real.starts_with(root) {
            bail!(
                "{} is a link that leads out of its folder: name the file itself",
                shown(path)
            );
        }
        if !real.is_file() {
            bail!("{} is a link to something that is not a file", shown(path));
        }
        self.add(&real.clone(), real);
        Ok(())
    }

    fn add(&mut self, path: &Path, real: PathBuf) {
        if self.seen.insert(real) {
            self.files.push(path.to_path_buf());
        }
    }
}

fn has_ending(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending == "yml" || ending == "yaml")
}
