//! UDP sinks.

use std::net::SocketAddr;

use tokio::net::UdpSocket;

use crate::error::LabError;
use crate::lab::{Internet, Running};
use crate::log::Log;
use crate::service::{Answer, keep};

/// A UDP sink in a lab. It stops when it is dropped.
#[derive(Debug)]
pub struct Udp {
    at: SocketAddr,
    log: Log<Datagram>,
    _running: Running,
}

/// One datagram that a sink received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The sender.
    pub from: SocketAddr,
    /// The sink's address.
    pub to: SocketAddr,
    /// The datagram's length.
    pub received: u64,
    /// Its first bytes, up to 4,096.
    pub first: Vec<u8>,
}

impl Udp {
    /// Where the sink listens, with the real port if 0 was asked for.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// The datagrams so far, in the order in which they came.
    #[must_use]
    pub fn received(&self) -> Vec<Datagram> {
        self.log.all()
    }

    /// The log of datagrams, to wait on.
    #[must_use]
    pub fn log(&self) -> &Log<Datagram> {
        &self.log
    }
}

pub(crate) fn start(internet: &Internet, at: SocketAddr, answer: Answer) -> Result<Udp, LabError> {
    let (socket, at) = open(internet, at)?;
    let log = Log::new();
    let server = serve(socket, at, answer, log.clone());
    Ok(Udp {
        at,
        log,
        _running: internet.serve(server),
    })
}

/// Opens a UDP socket on the lab's thread.
pub(crate) fn open(
    internet: &Internet,
    at: SocketAddr,
) -> Result<(UdpSocket, SocketAddr), LabError> {
    internet
        .run(async move {
            let socket = UdpSocket::bind(at).await?;
            let bound = socket.local_addr()?;
            Ok((socket, bound))
        })?
        .map_err(|source| LabError::Listen { at, source })
}

async fn serve(socket: UdpSocket, to: SocketAddr, answer: Answer, log: Log<Datagram>) {
    let mut buffer = vec![0; 65_536];
    loop {
        // An error here is an ICMP message about an earlier answer: the client has gone.
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let bytes = buffer.get(..count).unwrap_or_default();
        let mut first = Vec::new();
        keep(&mut first, bytes);
        log.push(Datagram {
            from,
            to,
            received: count as u64,
            first,
        });
        let reply = match &answer {
            Answer::Silent => continue,
            Answer::Echo => bytes,
            Answer::Fixed(reply) => reply,
        };
        let _ = socket.send_to(reply, from).await;
    }
}
