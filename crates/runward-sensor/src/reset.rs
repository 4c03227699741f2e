//! Ends a stream from outside: the kernel's own request for it, over netlink (sock_diag(7), `SOCK_DESTROY`).

use std::io;
use std::net::{IpAddr, SocketAddr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

/// A TCP stream of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
    /// The socket's cookie, so that no later stream with the same addresses is meant.
    pub(crate) cookie: u64,
    /// A process in its network namespace.
    pub(crate) pid: u32,
}

/// `SOCK_DESTROY` of linux/sock_diag.h.
const SOCK_DESTROY: u16 = 21;
/// `NLM_F_REQUEST | NLM_F_ACK` of linux/netlink.h.
const REQUEST_AND_ANSWER: u16 = 1 | 4;
/// `AF_INET`, `AF_INET6` and `IPPROTO_TCP`, as bytes of the request.
const INET: u8 = 2;
const INET6: u8 = 10;
const TCP: u8 = 6;
/// The header of netlink, 16 bytes, and `struct inet_diag_req_v2`, 56 bytes.
const REQUEST_BYTES: usize = 72;

/// Ends the stream, in the network namespace of this thread. The program's next call fails with `ECONNABORTED`.
pub(crate) fn end(stream: &Stream) -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&socket, &request(stream), SendFlags::empty())?;
    let mut answer = [0; 256];
    let (len, _) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // An answer is a header and an error number: 0, or a negative one.
    let number = answer.get(..len).and_then(|answer| answer.get(16..20));
    let number = number.and_then(|bytes| bytes.first_chunk().copied());
    match number.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(io::Error::from_raw_os_error(-number)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

fn request(stream: &Stream) -> Vec<u8> {
    let mut request = Vec::with_capacity(REQUEST_BYTES);
    request.extend(u32::try_from(REQUEST_BYTES).unwrap_or(0).to_ne_bytes());
    request.extend(SOCK_DESTROY.to_ne_bytes());
    request.extend(REQUEST_AND_ANSWER.to_ne_bytes());
    // Sequence and port numbers: there is one question.
    request.extend([0; 8]);
    let family = if stream.remote.is_ipv4() { INET } else { INET6 };
    request.extend([family, TCP, 0, 0]);
    // In whatever state it is.
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(stream.local.port().to_be_bytes());
    request.extend(stream.remote.port().to_be_bytes());
    request.extend(address(stream.local.ip()));
    request.extend(address(stream.remote.ip()));
    // On any device.
    request.extend([0; 4]);
    // Its two halves as words, the lower one first.
    for half in [stream.cookie, stream.cookie >> 32] {
        request.extend(u32::try_from(half & 0xffff_ffff).unwrap_or(0).to_ne_bytes());
    }
    request
}

fn address(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_stream_is_ended_and_only_the_one_that_is_meant() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let stream = Stream {
            local: client.local_addr().unwrap(),
            remote: client.peer_addr().unwrap(),
            cookie: 1 << 63,
            pid: std::process::id(),
        };
        assert!(end(&stream).is_err(), "another socket's cookie");
        // INET_DIAG_NOCOOKIE: any socket with these addresses.
        let stream = Stream {
            cookie: u64::MAX,
            ..stream
        };
        match end(&stream) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return,
            other => other.unwrap(),
        }
        let error = client.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
