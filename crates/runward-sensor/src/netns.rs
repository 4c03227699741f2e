//! Work done inside another network namespace: a thread enters it, and what it opens there stays there.

use std::fs::File;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::thread;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Does something in the network namespace of a process, on a thread of its own. With `cookie`, only if that namespace
/// is the one that it names: the process may be gone, and its number somebody else's.
///
/// Its loopback device is up when the work begins; a namespace is born without.
pub fn inside<T: Send>(
    pid: u32,
    cookie: Option<u64>,
    work: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    let done = thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            if let Some(cookie) = cookie
                && own_cookie()? != cookie
            {
                return Err(io::Error::other(
                    "the process has left the network namespace",
                ));
            }
            raise_loopback()?;
            work()
        });
        thread.join()
    });
    done.unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
}

/// The kernel's cookie of this thread's network namespace: never used again while the machine runs.
pub fn own_cookie() -> io::Result<u64> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    let mut cookie = 0_u64;
    let mut len = libc::socklen_t::try_from(size_of_val(&cookie)).unwrap_or(0);
    // SAFETY: the kernel writes at most `len` bytes, the size of `cookie`, to a place that is alive and aligned for
    // it. rustix does not know this option.
    let failed = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut len,
        )
    };
    if failed == 0 {
        Ok(cookie)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn raise_loopback() -> io::Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    // SAFETY: `ifreq` holds integers and an array of them (and a pointer that is not used here), for all of which zeros
    // are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(b"lo") {
        *place = byte.cast_signed();
    }
    device_request(&socket, libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: the request that succeeded has filled in the flags.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    let up = i16::try_from(libc::IFF_UP).unwrap_or(1);
    if flags & up == 0 {
        request.ifr_ifru.ifru_flags = flags | up;
        device_request(&socket, libc::SIOCSIFFLAGS, &mut request)?;
    }
    Ok(())
}

fn device_request(
    socket: &UdpSocket,
    number: libc::Ioctl,
    request: &mut libc::ifreq,
) -> io::Result<()> {
    // SAFETY: the two requests that are made here read and write one `ifreq`, which is borrowed for that long. Nothing
    // safe asks the kernel for a device's flags without a netlink library.
    let failed = unsafe { libc::ioctl(socket.as_raw_fd(), number, std::ptr::from_mut(request)) };
    if failed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_entered_only_when_it_is_the_one_that_is_meant() {
        // Entering one's own namespace takes root, too.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let cookie = own_cookie().unwrap();
        assert_eq!(
            inside(std::process::id(), Some(cookie), own_cookie).unwrap(),
            cookie
        );
        assert!(inside(std::process::id(), Some(cookie + 1), own_cookie).is_err());
    }
}
