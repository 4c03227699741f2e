//! Sockets that a fenced command would inherit. Those of the families that the fence follows are the job's from its start;
//! through others, a packet socket for one, it could send what nobody judges.

use std::fs;

use anyhow::{Context as _, Result, bail};
use rustix::net::{AddressFamily, sockopt::socket_domain};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// Families that the fence follows, or that do not leave the machine.
const FOLLOWED: [AddressFamily; 4] = [
    AddressFamily::UNIX,
    AddressFamily::INET,
    AddressFamily::INET6,
    AddressFamily::NETLINK,
];

/// Fails when this process has a socket that the fence does not follow.
pub(crate) fn check() -> Result<()> {
    // Through the directory's entries alone: to look at a descriptor takes a copy of it, which takes another one.
    let mut numbers = Vec::new();
    for entry in fs::read_dir("/proc/self/fd").context("cannot list what the command inherits")? {
        let entry = entry.context("cannot list what the command inherits")?;
        let is_socket = fs::read_link(entry.path()).is_ok_and(|target| {
            target
                .as_os_str()
                .as_encoded_bytes()
                .starts_with(b"socket:")
        });
        let number = entry.file_name().to_string_lossy().parse::<i32>();
        if let (true, Ok(number)) = (is_socket, number) {
            numbers.push(number);
        }
    }
    for number in numbers {
        let family = family_of(number)
            .with_context(|| format!("cannot look at the socket that is descriptor {number}"))?;
        if !FOLLOWED.contains(&family) {
            bail!(
                "descriptor {number} is a socket of family {}, through which the command could send past the fence: close it first",
                family.as_raw()
            );
        }
    }
    Ok(())
}

fn family_of(number: i32) -> rustix::io::Result<AddressFamily> {
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let copy = pidfd_getfd(own, number, PidfdGetfdFlags::empty())?;
    socket_domain(copy)
}
