//! Who is at the other end of a socket of the UNIX domain, by the kernel's word.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libbpf_rs::query::MapInfoIter;
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};
use runward_event::ProcessId;
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::abi::{self, rw_task};
use crate::pins::maps_of_the_dead;

/// asm-generic/socket.h, from Linux 6.5 on; not in every libc's headers.
const SO_PEERPIDFD: libc::c_int = 77;
/// As in `bpf/common.h`: processes up to this one were put into their job by the user side, first of all.
const FIRST_MADE: u64 = 1 << 16;
/// How the kernel side calls its map of tasks.
const TASKS: &str = "tasks";
/// Maps of the machine that are looked at.
const MAPS_MAX: usize = 1 << 16;

/// A process at the other end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its process id.
    pub pid: u32,
    /// The user that it was when it connected.
    pub uid: u32,
    /// The job of this sensor that it is in, and which process of it that is.
    pub place: Option<(u64, ProcessId)>,
    /// Whether it is root, and in no job of any sensor of this machine.
    pub is_stranger_root: bool,
}

/// Whether root is at the other end of a stream of the UNIX domain, and in no job of any sensor of this machine.
pub fn is_stranger_root(stream: BorrowedFd<'_>) -> io::Result<bool> {
    let credentials = socket_peercred(stream)?;
    Ok(credentials.uid.is_root() && !is_in_a_job(&handle_of_peer(stream, credentials.pid)?)?)
}

impl Peer {
    pub(crate) fn of(stream: BorrowedFd<'_>, tasks: &MapHandle) -> io::Result<Peer> {
        let credentials = socket_peercred(stream)?;
        let handle = handle_of_peer(stream, credentials.pid)?;
        let place = place_in(tasks, &handle)?;
        Ok(Peer {
            pid: credentials.pid.as_raw_nonzero().get().cast_unsigned(),
            uid: credentials.uid.as_raw(),
            place: place.map(|place| (place.job, ProcessId(place.process))),
            is_stranger_root: place.is_none()
                && credentials.uid.is_root()
                && !is_in_a_job(&handle)?,
        })
    }
}

fn handle_of_peer(stream: BorrowedFd<'_>, pid: Pid) -> io::Result<OwnedFd> {
    match pidfd_of_peer(stream) {
        // An older kernel: the process id could have come to mean another process, if the peer has ended. Then it will
        // read no answer, and what it may ask for tightens at most.
        Err(error) if error.raw_os_error() == Some(Errno::NOPROTOOPT.raw_os_error()) => {
            Ok(pidfd_open(pid, PidfdFlags::empty())?)
        }
        other => other,
    }
}

fn pidfd_of_peer(stream: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut pidfd: libc::c_int = -1;
    let mut len: libc::socklen_t = 4;
    // SAFETY: `pidfd` and `len` are a C int and its size, which is what this option writes; both outlive the call. Neither
    // the standard library nor rustix knows the option.
    let failed = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_PEERPIDFD,
            (&raw mut pidfd).cast(),
            &raw mut len,
        )
    };
    if failed != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor for us alone; there is no safe way to own a number.
    Ok(unsafe { OwnedFd::from_raw_fd(pidfd) })
}

fn place_in(tasks: &MapHandle, handle: &OwnedFd) -> io::Result<Option<rw_task>> {
    let key = handle.as_raw_fd().to_ne_bytes();
    let place = tasks
        .lookup(&key, MapFlags::ANY)
        .map_err(io::Error::other)?;
    Ok(place.and_then(|bytes| Some(abi::read::<rw_task>(&bytes)?.0)))
}

/// Whether a process, which is in no job of this sensor, is in one of another's. One that is gone is not.
#[must_use]
pub fn is_in_another_job(pid: u32) -> bool {
    let handle =
        Pid::from_raw(pid.cast_signed()).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
    handle.is_some_and(|handle| is_in_a_job(&handle).unwrap_or(false))
}

/// Whether a process is in a job of whatever sensor of this machine: each has a map of tasks of its own.
pub(crate) fn is_in_a_job(handle: &OwnedFd) -> io::Result<bool> {
    is_placed(handle, |_, _| true)
}

/// The same, but for the first process of a job that nobody reads any more, of which only the fence is left: that one
/// needs somebody. What it has started never does, or a job that is over could begin others in whatever name.
pub(crate) fn is_held(handle: &OwnedFd) -> io::Result<bool> {
    let dead = maps_of_the_dead()?;
    is_placed(handle, |map, place| {
        !dead.contains(&map) || place.process > FIRST_MADE
    })
}

/// Whether a process has a place that counts, in the map of this number.
fn is_placed(handle: &OwnedFd, counts: impl Fn(u32, &rw_task) -> bool) -> io::Result<bool> {
    let size = u32::try_from(size_of::<rw_task>()).unwrap_or(0);
    for info in MapInfoIter::default().take(MAPS_MAX) {
        if info.ty != MapType::TaskStorage || info.value_size != size || info.name != *TASKS {
            continue;
        }
        // It may be gone with its sensor by now.
        let Ok(tasks) = MapHandle::from_map_id(info.id) else {
            continue;
        };
        if place_in(&tasks, handle)?.is_some_and(|place| counts(info.id, &place)) {
            return Ok(true);
        }
    }
    Ok(false)
}
