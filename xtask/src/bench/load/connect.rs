use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketType, connect, socket};
use serde_json::json;

/// Connects that come first and do not count: they fill caches, the kernel's among them.
const WARM: usize = 200;

pub(super) fn udp(to: SocketAddr, count: usize) -> anyhow::Result<()> {
    measure(count, || {
        let (took, _) = timed(SocketType::DGRAM, to)?;
        Ok(took)
    })
}

pub(super) fn tcp(to: SocketAddr, count: usize) -> anyhow::Result<()> {
    measure(count, || {
        let (took, socket) = timed(SocketType::STREAM, to)?;
        let mut stream = TcpStream::from(socket);
        // The sink has taken the connection when its byte is here, so no queue of its fills up.
        stream.read_exact(&mut [0]).context("the sink is gone")?;
        // Ends it by a reset: else every port of this machine would soon wait for stray packets.
        set_socket_linger(&stream, Some(Duration::ZERO))?;
        Ok(took)
    })
}

/// Takes connections one after the other. One that is gone already is no reason to end.
pub(super) fn sink(at: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(at).with_context(|| format!("can't listen on {at}"))?;
    // The same port takes datagrams and throws them away, so that nobody is told that it is closed.
    let _datagrams = UdpSocket::bind(at)?;
    loop {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(&[1]);
            // Until the client ends it.
            let _ = stream.read(&mut [0]);
        }
    }
}

/// How long one connect() of a new socket takes, and the socket.
fn timed(kind: SocketType, to: SocketAddr) -> anyhow::Result<(Duration, OwnedFd)> {
    let family = if to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let socket = socket(family, kind, None).context("can't make a socket")?;
    let start = Instant::now();
    let connected = connect(&socket, &to);
    let took = start.elapsed();
    connected.with_context(|| format!("can't connect to {to}"))?;
    Ok((took, socket))
}

fn measure(count: usize, mut once: impl FnMut() -> anyhow::Result<Duration>) -> anyhow::Result<()> {
    for _ in 0..WARM {
        once()?;
    }
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        took.push(once()?.as_nanos());
    }
    took.sort_unstable();
    let of_hundred = |part: usize| took.get(count * part / 100).copied().unwrap_or_default();
    let said = json!({
        "count": count,
        "p50_ns": u64::try_from(of_hundred(50))?,
        "p99_ns": u64::try_from(of_hundred(99))?,
    });
    println!("{said}");
    Ok(())
}
