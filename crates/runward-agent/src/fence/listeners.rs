use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// How many ports are tried before giving up. Each is free for UDP and may be taken for TCP.
const ATTEMPTS: usize = 64;
/// Ample for a connection that does not leave the machine.
const REACH_TIMEOUT: Duration = Duration::from_secs(1);

/// Where the job's DNS questions arrive in one network namespace: one port, for both transports, on each loopback
/// address that there is.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) port: u16,
    pub(crate) pairs: Vec<(UdpSocket, TcpListener)>,
}

impl Listeners {
    /// Opens them in the network namespace of this thread; on `wanted`, if that port is free. They can be reached there:
    /// where the loopback device is down, they can be opened all the same, and that is an error here.
    pub(crate) fn open(wanted: Option<u16>) -> io::Result<Listeners> {
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            let port = wanted.filter(|_| attempt == 0).unwrap_or(0);
            match open_at(port) {
                Ok(listeners) => {
                    TcpStream::connect_timeout(
                        &(Ipv4Addr::LOCALHOST, listeners.port).into(),
                        REACH_TIMEOUT,
                    )?;
                    return Ok(listeners);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
    }
}

fn open_at(port: u16) -> io::Result<Listeners> {
    let first = pair(Ipv4Addr::LOCALHOST.into(), port)?;
    let port = first.0.local_addr()?.port();
    let mut pairs = vec![first];
    match pair(Ipv6Addr::LOCALHOST.into(), port) {
        Ok(second) => pairs.push(second),
        // Without IPv6, nothing can ask over it.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
            ) || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    Ok(Listeners { port, pairs })
}

fn pair(address: IpAddr, port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let datagrams = UdpSocket::bind(SocketAddr::new(address, port))?;
    let port = datagrams.local_addr()?.port();
    let connections = TcpListener::bind(SocketAddr::new(address, port))?;
    Ok((datagrams, connections))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_passed_over() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let listeners = Listeners::open(Some(port)).unwrap();
        assert_ne!(listeners.port, port);
        for (datagrams, connections) in &listeners.pairs {
            assert_eq!(datagrams.local_addr().unwrap().port(), listeners.port);
            assert_eq!(connections.local_addr().unwrap().port(), listeners.port);
        }
    }

    #[test]
    fn a_port_that_is_free_is_taken() {
        let free = Listeners::open(None).unwrap().port;
        assert_eq!(Listeners::open(Some(free)).unwrap().port, free);
    }
}
