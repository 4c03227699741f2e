//! Finds the repository that a workspace belongs to, and reads what it tracks.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gix_hash::ObjectId;
use gix_index::entry::Stat;

use crate::files::content::read_small;
use crate::files::index::{self, EntryKind};
use crate::files::settings::{Conversions, Settings, as_path, home_of};

/// The longest configuration, attribute or ignore file that is read.
pub(crate) const MAX_TEXT: u64 = 1 << 20;
/// How deep repositories may lie inside each other.
const MAX_DEPTH: usize = 8;
/// The most submodules of one job.
const MAX_SUBMODULES: usize = 1000;

/// A repository on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository {
    /// The folder that its files are checked out to.
    pub(crate) worktree: PathBuf,
    /// Where its index is.
    pub(crate) git_dir: PathBuf,
    /// Where its configuration is: the same, but for a linked worktree.
    pub(crate) common_dir: PathBuf,
}

impl Repository {
    /// The repository that has `folder` in its worktree: its own, or that of the nearest folder above.
    pub(crate) fn discover(folder: &Path) -> Option<Repository> {
        folder.ancestors().find_map(Repository::at)
    }

    /// The repository whose worktree is `folder`.
    pub(crate) fn at(folder: &Path) -> Option<Repository> {
        let dot_git = folder.join(".git");
        let metadata = fs::symlink_metadata(&dot_git).ok()?;
        let git_dir = if metadata.is_file() {
            // A linked worktree or a submodule: the file says where the repository is.
            let text = read_small(&dot_git, 1 << 16)?;
            let target = text.strip_prefix(b"gitdir:")?.trim_ascii();
            folder.join(as_path(target))
        } else {
            dot_git
        };
        if !git_dir.join("HEAD").exists() {
            return None;
        }
        let common_dir = match read_small(&git_dir.join("commondir"), 1 << 16) {
            Some(text) => git_dir.join(as_path(text.trim_ascii())),
            None => git_dir.clone(),
        };
        Some(Repository {
            worktree: folder.to_owned(),
            git_dir,
            common_dir,
        })
    }
}

/// A file that git tracks below the workspace.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Relative to the workspace.
    pub(crate) path: Vec<u8>,
    /// The blob that git has for it.
    pub(crate) id: ObjectId,
    /// The file as it was when git last compared it with that blob.
    pub(crate) stat: Stat,
    /// When that index was written, in seconds and nanoseconds.
    pub(crate) written: (i64, u32),
    /// Whether an unchanged file surely has the blob's bytes: nothing converts it, and the entry is settled.
    pub(crate) exact: bool,
}

/// Everything that git tracks below a workspace.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) kind: gix_hash::Kind,
    /// Sorted by path.
    pub(crate) files: Vec<Listed>,
    /// Where the objects of these repositories are.
    pub(crate) objects: Vec<PathBuf>,
    /// What a reader of the record should know.
    pub(crate) notes: Vec<String>,
}

/// Where git's settings for all repositories of a user are.
#[derive(Clone, Debug, Default)]
pub(crate) struct UserFiles {
    pub(crate) homes: Vec<PathBuf>,
    pub(crate) configs: Vec<PathBuf>,
}

impl UserFiles {
    /// Those of `homes`, and of whoever owns the repository.
    pub(crate) fn of(repository: &Repository, homes: &[PathBuf]) -> UserFiles {
        let owner = fs::metadata(&repository.git_dir).ok().and_then(|metadata| {
            home_of(
                &read_small(Path::new("/etc/passwd"), MAX_TEXT)?,
                metadata.uid(),
            )
        });
        let mut homes = homes.to_vec();
        homes.extend(owner);
        homes.dedup();
        let mut configs = vec![PathBuf::from("/etc/gitconfig")];
        for home in &homes {
            configs.push(home.join(".config/git/config"));
            configs.push(home.join(".gitconfig"));
        }
        Self { homes, configs }
    }

    /// The settings of one repository.
    pub(crate) fn settings(&self, repository: &Repository) -> Settings {
        let mut configs = self.configs.clone();
        configs.push(repository.common_dir.join("config"));
        configs.push(repository.git_dir.join("config.worktree"));
        Settings::read(&configs, &self.homes, &|path| read_small(path, MAX_TEXT))
    }
}

/// Reads what `repository` and its submodules track below `workspace`. `None` when it has no index yet.
pub(crate) fn list(
    repository: &Repository,
    workspace: &Path,
    user: &UserFiles,
) -> Result<Option<Listing>, String> {
    let mut reader = Reader {
        workspace,
        user,
        listing: Listing {
            kind: gix_hash::Kind::Sha1,
            files: Vec::new(),
            objects: Vec::new(),
            notes: Vec::new(),
        },
        submodules: 0,
    };
    if !reader.read(repository, 0)? {
        return Ok(None);
    }
    let mut listing = reader.listing;
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    listing.files.dedup_by(|a, b| a.path == b.path);
    Ok(Some(listing))
}

struct Reader<'a> {
    workspace: &'a Path,
    user: &'a UserFiles,
    listing: Listing,
    submodules: usize,
}

impl Reader<'_> {
    fn read(&mut self, repository: &Repository, depth: usize) -> Result<bool, String> {
        let path = repository.git_dir.join("index");
        let Ok(metadata) = fs::metadata(&path) else {
            return Ok(false);
        };
        let told = |why: String| {
            format!(
                "the index of git at {} can't be used: {why}",
                path.display()
            )
        };
        let bytes = read_small(&path, index::MAX_INDEX).ok_or_else(|| {
            told(format!(
                "it can't be read, or has over {} bytes",
                index::MAX_INDEX
            ))
        })?;
        let settings = self.user.settings(repository);
        let kind = if settings.sha256 {
            gix_hash::Kind::Sha256
        } else {
            gix_hash::Kind::Sha1
        };
        if depth == 0 {
            self.listing.kind = kind;
        } else if kind != self.listing.kind {
            return Err(told(
                "it names objects by another hash than the repository around it".into(),
            ));
        }
        let shared = |checksum: &str| {
            let path = repository.git_dir.join(format!("sharedindex.{checksum}"));
            read_small(&path, index::MAX_INDEX)
        };
        let entries =
            index::decode(bytes, kind, shared).map_err(|error| told(error.to_string()))?;
        self.listing
            .objects
            .push(repository.common_dir.join("objects"));
        let conversions = conversions(repository, &settings, self.user, &entries);

        // The part of the worktree that is the workspace, or the other way round for a submodule.
        let (outer, inner) = match self.workspace.strip_prefix(&repository.worktree) {
            Ok(below) => (folder(below), Vec::new()),
            Err(_) => match repository.worktree.strip_prefix(self.workspace) {
                Ok(below) => (Vec::new(), folder(below)),
                Err(_) => return Ok(true),
            },
        };
        let written = (
            metadata.mtime(),
            u32::try_from(metadata.mtime_nsec()).unwrap_or(0),
        );
        for entry in entries {
            if entry.kind == EntryKind::Submodule {
                self.submodule(&repository.worktree.join(as_path(&entry.path)), depth);
                continue;
            }
            let Some(below) = entry.path.strip_prefix(outer.as_slice()) else {
                continue;
            };
            if self.listing.files.len() >= index::MAX_ENTRIES {
                return Err(told(format!(
                    "it tracks more than {} files",
                    index::MAX_ENTRIES
                )));
            }
            self.listing.files.push(Listed {
                path: [inner.as_slice(), below].concat(),
                exact: entry.settled && !conversions.may_touch(&entry.path),
                id: entry.id,
                stat: entry.stat,
                written,
            });
        }
        Ok(true)
    }

    fn submodule(&mut self, worktree: &Path, depth: usize) {
        let below = worktree.starts_with(self.workspace) || self.workspace.starts_with(worktree);
        if !below {
            return;
        }
        self.submodules += 1;
        if depth >= MAX_DEPTH || self.submodules > MAX_SUBMODULES {
            let note = format!(
                "submodules deeper than {MAX_DEPTH} or beyond the first {MAX_SUBMODULES} are not known as tracked"
            );
            if !self.listing.notes.contains(&note) {
                self.listing.notes.push(note);
            }
            return;
        }
        // A submodule that is not checked out has no repository, and no files.
        if let Some(repository) = Repository::at(worktree)
            && let Err(note) = self.read(&repository, depth + 1)
        {
            self.listing.notes.push(note);
        }
    }
}

fn conversions(
    repository: &Repository,
    settings: &Settings,
    user: &UserFiles,
    entries: &[index::Entry],
) -> Conversions {
    if settings.autocrlf {
        return Conversions::everywhere();
    }
    let mut conversions = Conversions::default();
    let mut anywhere = vec![
        PathBuf::from("/etc/gitattributes"),
        repository.common_dir.join("info/attributes"),
        repository.worktree.join(".gitattributes"),
    ];
    anywhere.extend(
        user.homes
            .iter()
            .map(|home| home.join(".config/git/attributes")),
    );
    anywhere.extend(settings.attributes.clone());
    for path in anywhere {
        if let Some(bytes) = read_small(&path, MAX_TEXT) {
            conversions.add(b"", &bytes);
        }
    }
    for entry in entries {
        let Some(folder) = entry.path.strip_suffix(b"/.gitattributes") else {
            continue;
        };
        if let Some(bytes) = read_small(&repository.worktree.join(as_path(&entry.path)), MAX_TEXT) {
            conversions.add(&[folder, b"/"].concat(), &bytes);
        }
    }
    conversions
}

/// A relative folder as the start of the paths in it: empty, or ending with `/`.
fn folder(path: &Path) -> Vec<u8> {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    if !bytes.is_empty() {
        bytes.push(b'/');
    }
    bytes
}
