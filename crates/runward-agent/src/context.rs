//! What of a job's context stands in files: read before the job starts, and never by a path that leads elsewhere.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use runward_event::{JobContext, JobIdentity};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use sha2::{Digest as _, Sha256};

/// Bytes of one file that are read. Larger ones are taken for not there.
const FILE_MAX: u64 = 16 << 20;

/// Lockfiles of package managers, as they lie at the root of a workspace.
const LOCKFILES: [&str; 16] = [
    "Cargo.lock",
    "Gemfile.lock",
    "Pipfile.lock",
    "bun.lock",
    "composer.lock",
    "deno.lock",
    "flake.lock",
    "go.sum",
    "gradle.lockfile",
    "mix.lock",
    "package-lock.json",
    "pnpm-lock.yaml",
    "poetry.lock",
    "requirements.txt",
    "uv.lock",
    "yarn.lock",
];

/// Adds to a context what files say. `event` is the file with a GitHub workflow's event.
pub fn read_context(
    known: JobContext,
    identity: &JobIdentity,
    workspace: &Path,
    event: Option<&Path>,
) -> JobContext {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = rustix::fs::open(workspace, flags, Mode::empty()).ok();
    let read = |path: &str| below(folder.as_ref()?, path);
    let pipeline = identity.pipeline.as_deref().and_then(read);
    let pipeline_text = pipeline.as_deref().map(String::from_utf8_lossy);
    let lockfiles: Vec<(&str, Vec<u8>)> = LOCKFILES
        .iter()
        .filter_map(|name| Some((*name, read(name)?)))
        .collect();
    JobContext {
        fork: known.fork.or_else(|| {
            let event = String::from_utf8(alone(event?)?).ok()?;
            runward_ci::is_fork(&event)
        }),
        pipeline_file: pipeline.as_deref().map(|bytes| hash([bytes])),
        actions: pipeline_text
            .as_deref()
            .map(|text| hash(runward_ci::pinned(text).into_iter().map(str::as_bytes))),
        lockfiles: (!lockfiles.is_empty()).then(|| {
            let parts = lockfiles.iter();
            hash(parts.flat_map(|(name, bytes)| [name.as_bytes(), bytes]))
        }),
        ..known
    }
}

/// SHA-256 of several parts: each with its length, so that none runs into the next.
fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    let digest: [u8; 32] = sha.finalize().into();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file below a folder. The variables of the job name it, so nothing on the way may lead out of the folder.
fn below(folder: &OwnedFd, path: &str) -> Option<Vec<u8>> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    content(folder, Path::new(path), within)
}

fn alone(path: &Path) -> Option<Vec<u8>> {
    content(CWD, path, ResolveFlags::NO_MAGICLINKS)
}

fn content(folder: impl AsFd, path: &Path, within: ResolveFlags) -> Option<Vec<u8>> {
    let open = |flags| {
        openat2(
            &folder,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            within,
        )
        .ok()
    };
    // Opening a device can do things, so it is looked at before; and a pipe that takes its place makes nobody wait.
    is_small_file(&open(OFlags::PATH)?)?;
    let file = open(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    is_small_file(&file)?;
    let mut bytes = Vec::new();
    // It may grow while it is read.
    let read = File::from(file).take(FILE_MAX).read_to_end(&mut bytes);
    read.ok().map(|_| bytes)
}

fn is_small_file(file: &OwnedFd) -> Option<()> {
    let stat = fstat(file).ok()?;
    let size = u64::try_from(stat.st_size).ok()?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    (is_file && size <= FILE_MAX).then_some(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn read(folder: &Path, pipeline: &str) -> JobContext {
        let identity = JobIdentity {
            pipeline: Some(pipeline.to_owned()),
            ..JobIdentity::default()
        };
        let event = folder.join("event.json");
        read_context(JobContext::default(), &identity, folder, Some(&event))
    }

    #[test]
    fn a_context_changes_when_its_files_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        assert_eq!(read(folder.path(), "ci.yml"), JobContext::default());
        fs::write(path("ci.yml"), "- uses: a@v1\n- run: make\n").unwrap();
        fs::write(path("Cargo.lock"), "one").unwrap();
        let request = r#"{"pull_request":{"head":{"repo":{"id":2}},"base":{"repo":{"id":1}}}}"#;
        fs::write(path("event.json"), request).unwrap();
        let first = read(folder.path(), "ci.yml");
        assert_eq!(first.fork, Some(true));
        fs::write(path("ci.yml"), "- uses: a@v1\n- run: make all\n").unwrap();
        let second = read(folder.path(), "ci.yml");
        assert_ne!(first.pipeline_file, second.pipeline_file);
        assert_eq!(
            (&first.actions, &first.lockfiles),
            (&second.actions, &second.lockfiles)
        );
        fs::write(path("ci.yml"), "- uses: a@v2\n- run: make all\n").unwrap();
        fs::write(path("go.sum"), "").unwrap();
        let third = read(folder.path(), "ci.yml");
        assert_ne!(second.actions, third.actions);
        assert_ne!(second.lockfiles, third.lockfiles);
    }

    #[test]
    fn nothing_outside_of_the_workspace_is_read_and_nothing_waits() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "secret").unwrap();
        let folder = tempfile::tempdir_in(outside.path()).unwrap();
        let path = |name: &str| folder.path().join(name);
        symlink(outside.path().join("secret"), path("link")).unwrap();
        symlink(outside.path(), path("Cargo.lock")).unwrap();
        rustix::fs::mknodat(
            CWD,
            path("go.sum"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        let absolute = outside.path().join("secret");
        for pipeline in [
            "link",
            "../secret",
            absolute.to_str().unwrap(),
            "",
            "go.sum",
        ] {
            let context = read(folder.path(), pipeline);
            assert_eq!(context, JobContext::default(), "{pipeline}");
        }
    }
}
