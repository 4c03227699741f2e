//! A workspace on a file system of choice, watched, with actors that do things in it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runward_event::{Body, FileChange, ProcessId};
use runward_lab::skip;
use runward_sensor::files::{Change, Config, FilesError, Watcher};

/// Where workspaces are made: whatever the target folder is on, and tmpfs. A machine that did not build this test has
/// no target folder; the one for temporary files that outlive a boot is on a disk, too.
pub(crate) fn places() -> Vec<(&'static str, PathBuf)> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let disk = if target.is_dir() {
        target
    } else {
        PathBuf::from("/var/tmp")
    };
    vec![("disk", disk), ("tmpfs", PathBuf::from("/dev/shm"))]
}

/// Whether this machine can run tests of the watcher at all; says so when not.
pub(crate) fn can_watch(name: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    match Watcher::open(&Config {
        workspace: dir.path().to_owned(),
        homes: Vec::new(),
        diffs: true,
        places: Vec::new(),
    }) {
        Err(error @ (FilesError::Privilege(_) | FilesError::Kernel(_))) => {
            skip(name, &error.to_string());
            false
        }
        _ => match Command::new("git").arg("--version").output() {
            Ok(_) => true,
            Err(error) => {
                skip(name, &format!("git can't be run ({error})"));
                false
            }
        },
    }
}

/// A file system that is mounted for one test.
pub(crate) struct Mounted(tempfile::TempDir);

impl Mounted {
    pub(crate) fn tmpfs() -> std::io::Result<Mounted> {
        let dir = tempfile::tempdir()?;
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("runward-test", dir.path(), "tmpfs", flags, c"size=256m")?;
        Ok(Mounted(dir))
    }

    pub(crate) fn overlay(options: &str) -> std::io::Result<Mounted> {
        let dir = tempfile::tempdir()?;
        let options = std::ffi::CString::new(options)?;
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount("overlay", dir.path(), "overlay", flags, options.as_c_str())?;
        Ok(Mounted(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

/// A folder with a repository in it.
pub(crate) struct Workspace {
    pub(crate) dir: tempfile::TempDir,
}

impl Workspace {
    /// An empty folder below `place`.
    pub(crate) fn empty(place: &Path) -> Workspace {
        Workspace {
            dir: tempfile::Builder::new()
                .prefix("runward-files-")
                .tempdir_in(place)
                .unwrap(),
        }
    }

    /// A repository that tracks `src/a.txt`, `src/b.txt`, `src/deep/c.txt`, `ignored/kept.txt` and the link `link`,
    /// and ignores the rest of `ignored/`.
    pub(crate) fn repository(place: &Path) -> Workspace {
        let workspace = Workspace::empty(place);
        workspace.write("src/a.txt", "original a\n");
        workspace.write("src/b.txt", "original b\n");
        workspace.write("src/deep/c.txt", "original c\n");
        workspace.write("ignored/kept.txt", "kept\n");
        workspace.write(".gitignore", "ignored/\n*.log\n");
        std::os::unix::fs::symlink("src/a.txt", workspace.path("link")).unwrap();
        workspace.git(&["init", "--quiet"]);
        // A git without its templates makes none.
        std::fs::create_dir_all(workspace.path(".git/hooks")).unwrap();
        workspace.git(&["add", "--force", "."]);
        workspace
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn git(&self, args: &[&str]) -> String {
        git_in(self.dir.path(), args)
    }

    pub(crate) fn watch(&self) -> Watched {
        Watched::new(self.open().unwrap())
    }

    pub(crate) fn open(&self) -> Result<Watcher, FilesError> {
        Watcher::open(&Config {
            workspace: self.dir.path().to_owned(),
            homes: Vec::new(),
            diffs: true,
            places: Vec::new(),
        })
    }
}

/// Runs git with no settings but the repository's own.
pub(crate) fn git_in(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-c", "protocol.file.allow=always"])
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(args)
        .current_dir(dir)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", dir)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A watcher, and what it told so far.
pub(crate) struct Watched {
    pub(crate) watcher: Watcher,
    pub(crate) job: BTreeSet<u32>,
    pub(crate) changes: Vec<Change>,
}

impl Watched {
    pub(crate) fn new(watcher: Watcher) -> Watched {
        Watched {
            watcher,
            job: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// Takes this process for one of the job's.
    pub(crate) fn with_self(mut self) -> Watched {
        self.job.insert(std::process::id());
        self
    }

    pub(crate) fn drain(&mut self) {
        // One that took this long has left the rest for the next: whatever else writes on this file system waits in front
        // of what the test did.
        let whole = Duration::from_millis(100);
        for _ in 0..100 {
            let start = Instant::now();
            let job = &self.job;
            let changes = &mut self.changes;
            self.watcher.drain(
                &mut |pid| job.contains(&pid).then_some(ProcessId(u64::from(pid))),
                &mut |change| changes.push(change),
            );
            if start.elapsed() < whole {
                return;
            }
        }
    }

    pub(crate) fn finish(&mut self) {
        let job = &self.job;
        let changes = &mut self.changes;
        self.watcher.finish(
            &mut |pid| job.contains(&pid).then_some(ProcessId(u64::from(pid))),
            &mut |change| changes.push(change),
        );
    }

    /// Starts an actor in the job.
    pub(crate) fn start(&mut self, way: &str, workspace: &Workspace) -> Child {
        let child = actor(way, workspace.dir.path());
        self.job.insert(child.id());
        child
    }

    /// Runs an actor in the job, draining every 20 ms until it ends. Its process id, and whether it could do it.
    pub(crate) fn run(&mut self, way: &str, workspace: &Workspace) -> (u32, bool) {
        let mut child = self.start(way, workspace);
        let end = Instant::now() + Duration::from_secs(20);
        let status = loop {
            self.drain();
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "the actor {way} does not end");
            std::thread::sleep(Duration::from_millis(20));
        };
        self.drain();
        (child.id(), status.success())
    }

    /// What was told, a line each.
    pub(crate) fn told(&self) -> Vec<String> {
        self.changes
            .iter()
            .map(|change| line(&change.body))
            .collect()
    }

    /// The changes of tracked files.
    pub(crate) fn tracked(&self) -> Vec<&FileChange> {
        let changes = self.changes.iter().filter_map(|change| file(&change.body));
        changes.filter(|change| change.tracked).collect()
    }
}

fn actor(way: &str, workspace: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "actor::entry", "--nocapture"])
        .env("RUNWARD_FILES_ACTOR", way)
        .env("RUNWARD_FILES_DIR", workspace)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

pub(crate) fn file(body: &Body) -> Option<&FileChange> {
    match body {
        Body::FileCreate(change)
        | Body::FileWrite(change)
        | Body::FileRename(change)
        | Body::FileDelete(change) => Some(change),
        _ => None,
    }
}

/// An event as a line: kind, path, and for a tracked file whether it holds other bytes than at the start.
pub(crate) fn line(body: &Body) -> String {
    let kind = match body {
        Body::FileCreate(_) => "create",
        Body::FileWrite(_) => "write",
        Body::FileRename(_) => "rename",
        Body::FileDelete(_) => "delete",
        Body::Lost(lost) => return format!("lost {} {:?}", lost.count, lost.reason),
        _ => "other",
    };
    let Some(change) = file(body) else {
        return kind.to_owned();
    };
    let mut text = format!("{kind} {}", change.path);
    if let Some(from) = &change.from {
        write!(text, " from {from}").unwrap();
    }
    if change.tracked {
        text.push_str(match (&change.hash_before, &change.hash_after) {
            (Some(before), Some(after)) if before == after => ": same",
            (Some(_), Some(_)) => ": changed",
            (None, Some(_)) => ": new",
            (_, None) => ": gone",
        });
    }
    if change.process.is_none() {
        text.push_str(" by nobody");
    }
    if change.found_at_end {
        text.push_str(", found at the end");
    }
    text
}
