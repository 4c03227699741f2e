//! TCP servers: sinks, echoes and plain HTTP.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::error::LabError;
use crate::lab::{Internet, Running};
use crate::log::{EntryId, Log};
use crate::service::{self, Service, Step, keep};

/// A TCP server in a lab. It stops when it is dropped.
#[derive(Debug)]
pub struct Tcp {
    at: SocketAddr,
    log: Log<Received>,
    _running: Running,
}

/// One TCP connection that a server had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The client.
    pub from: SocketAddr,
    /// The server's address that it connected to.
    pub to: SocketAddr,
    /// How many bytes came.
    pub received: u64,
    /// How many bytes were sent back.
    pub sent: u64,
    /// The first bytes that came, up to 4,096.
    pub first: Vec<u8>,
    /// Whether the connection is over.
    pub ended: bool,
}

impl Tcp {
    /// Where the server listens, with the real port if 0 was asked for.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// The connections so far, in the order in which they came.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.log.all()
    }

    /// The log of connections, to wait on.
    #[must_use]
    pub fn log(&self) -> &Log<Received> {
        &self.log
    }
}

pub(crate) fn start(
    internet: &Internet,
    at: SocketAddr,
    service: Service,
) -> Result<Tcp, LabError> {
    let (listener, at) = listen(internet, at)?;
    let log = Log::new();
    let server = {
        let log = log.clone();
        service::accept(listener, move |mut stream, peer| {
            let (service, log) = (service.clone(), log.clone());
            async move {
                let entry = Received {
                    from: peer.from,
                    to: peer.to,
                    received: 0,
                    sent: 0,
                    first: Vec::new(),
                    ended: false,
                };
                let open = Open {
                    id: log.push(entry),
                    log,
                };
                let note = |step: Step<'_>| open.note(&step);
                service::serve(&service, &mut stream, &peer, note).await;
            }
        })
    };
    Ok(Tcp {
        at,
        log,
        _running: internet.serve(server),
    })
}

/// Opens a listening socket on the lab's thread.
pub(crate) fn listen(
    internet: &Internet,
    at: SocketAddr,
) -> Result<(TcpListener, SocketAddr), LabError> {
    internet
        .run(async move {
            let listener = TcpListener::bind(at).await?;
            let bound = listener.local_addr()?;
            Ok((listener, bound))
        })?
        .map_err(|source| LabError::Listen { at, source })
}

/// A connection's log entry while it is open. Its drop, at the end or at a time limit, marks the end.
struct Open {
    id: EntryId,
    log: Log<Received>,
}

impl Open {
    fn note(&self, step: &Step<'_>) {
        self.log.update(self.id, |entry| match step {
            Step::Received(bytes) => {
                entry.received += bytes.len() as u64;
                keep(&mut entry.first, bytes);
            }
            Step::Sent(count) => entry.sent += *count as u64,
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.log.update(self.id, |entry| entry.ended = true);
    }
}
