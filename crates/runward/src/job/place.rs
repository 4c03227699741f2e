//! Where attendants keep what they know and where they are asked: folders that root alone can change.
//!
//! `/run/runward/jobs/ID/` is for root alone; `/run/runward/jobs/ID.sock` is open to everybody, because whoever asks is
//! judged by the job that it is in, and not by its user.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

const RUN: &str = "/run/runward";
const JOBS: &str = "/run/runward/jobs";
const SOCKET: &str = "sock";
const LOG: &str = "log";
/// Attendants that are asked at most.
const JOBS_MAX: usize = 1024;
/// How many names one attendant tries.
const NAMES_MAX: u32 = 64;

/// The place of one job. Removed when it is dropped.
pub(crate) struct Place {
    pub(crate) id: String,
    folder: PathBuf,
    socket: PathBuf,
}

impl Place {
    /// Makes a place for the job of this process.
    pub(crate) fn create() -> Result<Place> {
        for folder in [RUN, JOBS] {
            own_folder(Path::new(folder))
                .with_context(|| format!("cannot keep the state of the job in {folder}"))?;
        }
        sweep();
        let own = std::process::id();
        for attempt in 0..NAMES_MAX {
            let id = match attempt {
                0 => own.to_string(),
                _ => format!("{own}-{attempt}"),
            };
            let folder = Path::new(JOBS).join(&id);
            match DirBuilder::new().mode(0o700).create(&folder) {
                Ok(()) => {
                    let socket = socket_of(&id);
                    return Ok(Place { id, folder, socket });
                }
                // Of one that was killed, and had this process id before.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot make {}", folder.display()));
                }
            }
        }
        bail!("cannot make a folder for the job: clear {JOBS} of those whose attendant is gone")
    }

    /// Begins to listen.
    pub(crate) fn listen(&self) -> Result<UnixListener> {
        let listen = || {
            match fs::remove_file(&self.socket) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&self.socket)?;
            listener.set_nonblocking(true)?;
            fs::set_permissions(&self.socket, Permissions::from_mode(0o666))?;
            Ok(listener)
        };
        listen().with_context(|| format!("cannot listen at {}", self.socket.display()))
    }

    /// A file for what the attendant has to say when nobody listens.
    pub(crate) fn log(&self) -> Result<File> {
        let path = self.log_path();
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.folder.join(LOG)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What stays is in nobody's way.
        let _ = fs::remove_file(&self.socket);
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Where the attendant of a job is asked. An id is one part of a path, or there is no such job.
pub(crate) fn socket_of(id: &str) -> PathBuf {
    let id = Path::new(id).file_name().unwrap_or_default();
    Path::new(JOBS).join(id).with_extension(SOCKET)
}

/// The sockets of all jobs, of those that are gone as well.
pub(crate) fn sockets() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(JOBS) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let mut sockets: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|end| end == SOCKET))
        .take(JOBS_MAX)
        .collect();
    sockets.sort();
    sockets
}

/// Removes what attendants have left that were killed. Their fences are none of this.
fn sweep() {
    for socket in sockets() {
        let id = socket.file_stem().unwrap_or_default().to_string_lossy();
        let owner = id.split('-').next().unwrap_or_default();
        let is_refused = || {
            let asked = UnixStream::connect(&socket);
            asked.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
        };
        if !Path::new("/proc").join(owner).exists() && is_refused() {
            // Another one may be at it.
            let _ = fs::remove_dir_all(Path::new(JOBS).join(&*id));
            let _ = fs::remove_file(&socket);
        }
    }
}

/// A folder that only root can change.
pub(super) fn own_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o755).create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() || found.uid() != 0 || found.mode() & 0o022 != 0 {
        return Err(io::Error::other(
            "it is not a folder that root alone can change; remove it",
        ));
    }
    Ok(())
}
