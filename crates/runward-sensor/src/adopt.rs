//! Processes that ran before their job began: finding them all, and telling of them what can still be seen.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libbpf_rs::{Iter, Link, MapCore, MapFlags, MapHandle};
use runward_event::{Body, ExecFacts, ProcessExec, ProcessFork, ProcessId, Texts};

use crate::SensorError;
use crate::abi::{self, rw_adopted, rw_task};
use crate::container::container_id;
use crate::decode::{attribution, strings};
use crate::pins::tracked;

/// How often all tasks of the machine are looked at before this gives up: only who makes processes faster than a look
/// takes, without end, is not found by then.
const LOOKS: usize = 256;
/// Processes that a job may begin with.
const ADOPTED_MAX: usize = 1 << 16;
/// As in `bpf/abi.h`: what of a process is told at most, in bytes.
const ARGS_MAX: usize = 131_072;
const ENV_MAX: usize = 32_768;
const CGROUP_MAX: usize = 4096;
/// Threads of one process that are looked at for its program.
const THREADS_MAX: usize = 64;
/// What the kernel adds to the path of a program whose file has no name any more.
const DELETED: &[u8] = b" (deleted)";

/// Looks at all tasks until a look finds nobody new. Returns whom it gave a place.
///
/// When that look began, everybody who is found had a place already, so who was made since has one from birth.
pub(crate) fn descendants(walk: &Link) -> Result<Vec<rw_adopted>, SensorError> {
    let failed = |source| SensorError::Adopt { source };
    let mut found = Vec::new();
    let mut bytes = Vec::new();
    for _ in 0..LOOKS {
        let mut look = Iter::new(walk).map_err(|error| failed(io::Error::other(error)))?;
        bytes.clear();
        look.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.is_empty() {
            return Ok(found);
        }
        let mut rest = &bytes[..];
        while let Some((row, after)) = abi::read::<rw_adopted>(rest) {
            rest = after;
            if found.len() >= ADOPTED_MAX {
                return Err(failed(io::Error::other("there are too many")));
            }
            found.push(row);
        }
    }
    Err(failed(io::Error::other(
        "they make others faster than these are found",
    )))
}

/// What is told of a process that has just been given its place: its birth, and the program that it runs.
pub(crate) fn describe(row: &rw_adopted, tasks: &MapHandle) -> Vec<Body> {
    let is_first = row.parent == 0;
    let mut bodies = Vec::new();
    if !is_first {
        bodies.push(Body::ProcessFork(ProcessFork {
            process: ProcessId(row.process),
            pid: row.pid,
            parent: Some(ProcessId(row.parent)),
            ppid: row.ppid,
        }));
    }
    let exec = program(row);
    // The process id meant this process before and after it was asked, so it did meanwhile.
    let exec = exec.filter(|_| is_still(row, tasks));
    bodies.extend(exec.map(|exec| Body::ProcessExec(Box::new(exec))));
    bodies
}

/// What is left of the environment that a process was started with.
pub(crate) fn environment(pid: u32) -> Option<Box<[u8]>> {
    let (environment, _) = read(Path::new(&format!("/proc/{pid}/environ")), ENV_MAX)?;
    Some(environment.into())
}

fn is_still(row: &rw_adopted, tasks: &MapHandle) -> bool {
    let Ok(Some(handle)) = tracked(tasks, row.pid) else {
        return false;
    };
    let key = handle.as_raw_fd().to_ne_bytes();
    let place = tasks.lookup(&key, MapFlags::ANY).ok().flatten();
    let place = place.and_then(|bytes| Some(abi::read::<rw_task>(&bytes)?.0));
    place.is_some_and(|place| (place.job, place.process) == (row.job, row.process))
}

fn program(row: &rw_adopted) -> Option<ProcessExec> {
    let (folder, exe) = thread_with_program(row.pid)?;
    let exe = exe.as_os_str().as_bytes();
    let (exe, unlinked) = exe
        .strip_suffix(DELETED)
        .map_or((exe, false), |exe| (exe, true));
    let cwd = fs::read_link(folder.join("cwd")).ok()?;
    let (args, args_cut) = read(&folder.join("cmdline"), ARGS_MAX)?;
    let (env, env_cut) = read(&folder.join("environ"), ENV_MAX).unwrap_or((Vec::new(), true));
    let (status, _) = read(&folder.join("status"), CGROUP_MAX)?;
    let (groups, _) = read(&folder.join("cgroup"), CGROUP_MAX)?;
    let mut texts = Texts::default();
    let cgroup = texts.text(|| "/cgroup".to_owned(), cgroup2(&groups));
    let container = container_id(&String::from_utf8_lossy(&groups)).map(str::to_owned);
    let cut = [(args_cut, "args"), (env_cut, "env")];
    Some(ProcessExec {
        process: ProcessId(row.process),
        pid: row.pid,
        parent: (row.parent != 0).then_some(ProcessId(row.parent)),
        ppid: row.ppid,
        exe: texts.text(|| "/exe".to_owned(), exe),
        // What was handed to `execve` is known to nobody any more; of a script, its interpreter's arguments tell.
        path: texts.text(|| "/path".to_owned(), exe),
        args: strings(&args)
            .enumerate()
            .map(|(index, arg)| texts.text(|| format!("/args/{index}"), arg))
            .collect(),
        cwd: texts.text(|| "/cwd".to_owned(), cwd.as_os_str().as_bytes()),
        uid: effective(&status, b"Uid:")?,
        gid: effective(&status, b"Gid:")?,
        cgroup,
        container,
        env: attribution(&env, &mut texts),
        facts: ExecFacts {
            unlinked,
            adopted: true,
            ..ExecFacts::default()
        },
        truncated: cut
            .into_iter()
            .filter(|(cut, _)| *cut)
            .map(|(_, field)| field.to_owned())
            .collect(),
        raw: texts.into_raw(),
    })
}

/// Where the kernel tells of the process, and its program. When its first thread has ended, others tell; threads of the
/// kernel and what is ending have no program.
fn thread_with_program(pid: u32) -> Option<(PathBuf, PathBuf)> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let threads = fs::read_dir(process.join("task")).ok()?.take(THREADS_MAX);
    let threads = threads.flatten().map(|entry| entry.path());
    std::iter::once(process)
        .chain(threads)
        .find_map(|folder| Some((fs::read_link(folder.join("exe")).ok()?, folder)))
        .map(|(exe, folder)| (folder, exe))
}

/// The beginning of a file, and whether there is more.
fn read(path: &Path, max: usize) -> Option<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).ok()?.saturating_add(1);
    File::open(path)
        .ok()?
        .take(limit)
        .read_to_end(&mut bytes)
        .ok()?;
    let cut = bytes.len() > max;
    bytes.truncate(max);
    Some((bytes, cut))
}

/// The second number of a line of /proc/PID/status, as proc(5) has it.
fn effective(status: &[u8], field: &[u8]) -> Option<u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let numbers = lines.find_map(|line| line.strip_prefix(field))?;
    let numbers = std::str::from_utf8(numbers).ok()?;
    numbers.split_whitespace().nth(1)?.parse().ok()
}

/// The path of control group 2 in /proc/PID/cgroup.
fn cgroup2(groups: &[u8]) -> &[u8] {
    let mut lines = groups.split(|byte| *byte == b'\n');
    lines
        .find_map(|line| line.strip_prefix(b"0::"))
        .unwrap_or(b"/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_ids_are_the_second_ones() {
        let status = b"Name:\tUid: 7 8 9 10\nUid:\t1000\t1001\t1002\t1003\nGid:\t5\t6\t7\t8\n";
        let table: [(&[u8], &[u8], Option<u32>); 4] = [
            (status, b"Uid:", Some(1001)),
            (status, b"Gid:", Some(6)),
            (b"Uid:\t1", b"Uid:", None),
            (b"\xff\n", b"Uid:", None),
        ];
        for (status, field, want) in table {
            assert_eq!(effective(status, field), want);
        }
    }

    #[test]
    fn the_control_group_is_that_of_version_2() {
        let table: [(&[u8], &[u8]); 3] = [
            (b"5:pids:/x\n0::/system.slice/a\n", b"/system.slice/a"),
            (b"0::/\n", b"/"),
            (b"5:pids:/x\n", b"/"),
        ];
        for (groups, want) in table {
            assert_eq!(cgroup2(groups), want);
        }
    }
}
