//! The process that a job stands and falls with: found by ancestry, never by a name that anybody on the machine may take.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use runward_sensor::files::place_here;
use rustix::process::{Pid, PidfdFlags, geteuid, pidfd_open};
use serde::Deserialize;

/// The program of GitHub's runner that runs one job.
const WORKER: &str = "Runner.Worker";
/// Programs that run another one as somebody else, in its place: the job's script is above them.
const PASSERS: [&str; 5] = ["sudo", "doas", "su", "runuser", "setpriv"];
/// How far up is looked.
const CLIMB: usize = 256;
/// Bytes of the runner's settings that are read.
const SETTINGS_MAX: u64 = 64 << 10;
/// What .NET writes before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Parts of a path that are no place for sources: the root, and what lies directly in it.
const ROOTS: usize = 2;
/// Where no job writes.
const NOWHERE: &str = "/run/runward";
/// The machine's, or the container's, first process.
const INIT: u32 = 1;

/// The root of a job.
pub(crate) struct Root {
    pub(crate) pid: u32,
    /// Means this process and no other that gets its id later.
    pub(crate) handle: OwnedFd,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) cwd: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Ancestor {
    pid: u32,
    name: String,
}

/// Finds the root of the job that `caller` is in, or takes the one that was asked for.
/// `of_service`: the service asks, which found that one itself.
pub(crate) fn find(caller: u32, wanted: Option<u32>, of_service: bool) -> Result<Root> {
    let above = ancestors(caller);
    let is_root = geteuid().is_root() && (of_service || std::env::var_os("SUDO_UID").is_none());
    let pid = choose(&above, wanted, is_root)?;
    let gone = || format!("process {pid}, which the job should begin with, has ended");
    let handle = Pid::from_raw(pid.cast_signed())
        .and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        .with_context(gone)?;
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).with_context(gone)?;
    let cwd = fs::read_link(format!("/proc/{pid}/cwd")).with_context(gone)?;
    // Had the id been given to another process before the handle was made, it would not stand there any more.
    if choose(&ancestors(caller), wanted, is_root).ok() != Some(pid) {
        bail!("{}", gone());
    }
    Ok(Root {
        pid,
        handle,
        args: arguments(&cmdline),
        cwd,
    })
}

/// The environment of the script that calls: sudo keeps the CI's variables from its own child. What is there is the job's
/// word, as its environment always is.
pub(crate) fn environment(caller: u32) -> HashMap<String, String> {
    let script = script(&ancestors(caller)).map(|ancestor| ancestor.pid);
    script.map(variables).unwrap_or_default()
}

/// The variables of a process; nothing where it may not be looked at.
pub(crate) fn variables(pid: u32) -> HashMap<String, String> {
    runward_agent::variables(&runward_agent::environment_of(pid))
}

/// Where GitHub's runner keeps the workspaces of its jobs, by the settings that lie beside it.
pub(crate) fn work_folder(worker: u32) -> Option<PathBuf> {
    let program = fs::read_link(format!("/proc/{worker}/exe")).ok()?;
    // The worker is in `bin`, or in `bin.2.333.1` since an update.
    let runner = program.parent()?.parent()?;
    let mut text = Vec::new();
    let settings = File::open(runner.join(".runner")).ok()?;
    settings.take(SETTINGS_MAX).read_to_end(&mut text).ok()?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
    let settings: RunnerSettings = serde_json::from_slice(text).ok()?;
    let folder = runner.join(settings.work_folder);
    // The runner makes it when it needs it; until then everything that it has lies here.
    Some(match folder.is_dir() {
        true => folder,
        false => runner.to_path_buf(),
    })
}

/// What the stages of a job are known by: who starts them, and the folder that their scripts name.
pub(crate) fn slot_of(starter: u32, folder: &str) -> String {
    format!("{starter}:{folder}")
}

/// Where the sources of a GitLab job are going to be, by the slot of its stages. GitLab's runner makes the folder when the
/// job has begun; until then everything that is there of it lies above.
pub(crate) fn workspace_of(slot: &str) -> Option<PathBuf> {
    let (_, slot) = slot.split_once(':')?;
    nearest_folder(Path::new(runward_ci::workspace(slot)?))
}

/// Where the sources of a job in containers are going to be on this machine, by where the job says that they are in them.
/// A folder that no job writes to, where that can't be told.
pub(crate) fn workspace_of_container(pid: u32, project: Option<&String>) -> PathBuf {
    let place = project.and_then(|project| place_here(pid, Path::new(project)));
    place
        .and_then(|place| nearest_folder(&place))
        // A link may lead out of what the job's containers see.
        .filter(|place| place.canonicalize().is_ok_and(|real| real == *place))
        .unwrap_or_else(|| PathBuf::from(NOWHERE))
}

fn nearest_folder(workspace: &Path) -> Option<PathBuf> {
    let found = workspace.ancestors().find(|folder| folder.is_dir());
    // The whole machine is nobody's workspace.
    let is_small = |folder: &Path| folder.components().count() > ROOTS;
    let is_place = |folder: &&Path| folder.canonicalize().is_ok_and(|real| is_small(&real));
    let found = found.filter(is_place)?;
    Some(found.to_path_buf())
}

/// What of the runner's settings is needed here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunnerSettings {
    work_folder: PathBuf,
}

/// `above`: the caller's ancestors, nearest first. `is_root`: root asks, and nobody behind sudo.
fn choose(above: &[Ancestor], wanted: Option<u32>, is_root: bool) -> Result<u32> {
    let pid = match wanted {
        Some(pid) => pid,
        None => by_ancestry(above)
            .context("cannot tell which process the job begins with: name it with --root")?,
    };
    if pid <= INIT {
        bail!(
            "the job would begin with process {pid}, which the whole machine or container hangs on: name another one with --root"
        );
    }
    let is_above = above.iter().any(|ancestor| ancestor.pid == pid);
    let is_named_by_root = is_root && wanted.is_some();
    if !is_above && !is_named_by_root {
        bail!(
            "process {pid} has not started this one, so this is not of its job: only root may name such a process, and not through sudo"
        );
    }
    Ok(pid)
}

/// The outermost worker, so that a job can't shrink itself by giving a process that name; without one, the nearest
/// ancestor that does not merely pass on.
fn by_ancestry(above: &[Ancestor]) -> Option<u32> {
    let worker = above.iter().rev().find(|ancestor| ancestor.name == WORKER);
    worker
        .or_else(|| script(above))
        .map(|ancestor| ancestor.pid)
}

fn script(above: &[Ancestor]) -> Option<&Ancestor> {
    above
        .iter()
        .find(|ancestor| !PASSERS.contains(&ancestor.name.as_str()))
}

fn ancestors(pid: u32) -> Vec<Ancestor> {
    let parent = |pid: u32| stat(pid).map(|(_, parent)| parent).filter(|pid| *pid != 0);
    let above = std::iter::successors(parent(pid), |pid| parent(*pid));
    above
        .take(CLIMB)
        .map(|pid| Ancestor {
            pid,
            name: name(pid),
        })
        .collect()
}

/// The last part of the program's path; for a process that may not be looked at, the name that it gave itself.
fn name(pid: u32) -> String {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
    let name = exe.and_then(|exe| Some(exe.file_name()?.to_string_lossy().into_owned()));
    name.or_else(|| Some(stat(pid)?.0)).unwrap_or_default()
}

/// Its name and its parent, by proc(5).
fn stat(pid: u32) -> Option<(String, u32)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

/// A name may hold anything, parentheses as well: the last one ends it.
fn parse_stat(stat: &[u8]) -> Option<(String, u32)> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = str::from_utf8(stat.get(close + 1..)?).ok()?;
    let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
    Some((name, parent))
}

fn arguments(cmdline: &[u8]) -> Vec<Vec<u8>> {
    let cmdline = cmdline.strip_suffix(b"\0").unwrap_or(cmdline);
    if cmdline.is_empty() {
        return Vec::new();
    }
    cmdline
        .split(|byte| *byte == 0)
        .map(<[u8]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn above(names: &[(u32, &str)]) -> Vec<Ancestor> {
        let ancestor = |(pid, name): &(u32, &str)| Ancestor {
            pid: *pid,
            name: (*name).to_owned(),
        };
        names.iter().map(ancestor).collect()
    }

    #[test]
    fn the_root_is_the_worker_or_the_calling_script() {
        let github = above(&[
            (90, "sudo"),
            (80, "bash"),
            (70, "Runner.Worker"),
            (60, "Runner.Listener"),
            (1, "systemd"),
        ]);
        let decoy = above(&[(95, "Runner.Worker"), (70, "Runner.Worker"), (1, "systemd")]);
        let script = above(&[(90, "sudo"), (89, "sudo"), (80, "dash"), (1, "systemd")]);
        let container = above(&[(1, "sh")]);
        let table = [
            (&github, None, false, Some(70)),
            (&github, Some(80), false, Some(80)),
            (&github, Some(1), true, None),
            (&github, Some(0), true, None),
            (&github, Some(55), false, None),
            (&github, Some(55), true, Some(55)),
            (&decoy, None, false, Some(70)),
            (&script, None, false, Some(80)),
            (&container, None, true, None),
            (&Vec::new(), None, true, None),
        ];
        for (above, wanted, is_root, want) in table {
            let got = choose(above, wanted, is_root).ok();
            assert_eq!(got, want, "{above:?} {wanted:?} {is_root}");
        }
    }

    #[test]
    fn a_name_may_hold_anything() {
        for (stat, want) in [
            (&b"7 (sh) S 5 7 7"[..], Some(("sh", 5))),
            (b"7 (a) R 1 (b) S 5 7 7", Some(("a) R 1 (b", 5))),
            (b"7 (sh) S", None),
            (b"7 )sh( S 5", None),
            (b"", None),
        ] {
            let want = want.map(|(name, parent)| (name.to_owned(), parent));
            assert_eq!(parse_stat(stat), want);
        }
    }
}
