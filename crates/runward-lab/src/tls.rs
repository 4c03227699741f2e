//! TLS servers that choose their certificate by the name in the client's greeting.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;

use crate::authority::Authority;
use crate::error::LabError;
use crate::lab::{Internet, Running};
use crate::log::{EntryId, Log};
use crate::service::{self, Peer, Service, Step, keep};
use crate::tcp::listen;

/// A client that connects and then never greets is dropped after this.
const GREETING: Duration = Duration::from_secs(10);

/// A TLS server in a lab. It stops when it is dropped.
#[derive(Debug)]
pub struct Tls {
    at: SocketAddr,
    log: Log<Handshake>,
    _running: Running,
}

/// One connection to a TLS server, whether or not its handshake was completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The client.
    pub from: SocketAddr,
    /// The server's address that it connected to.
    pub to: SocketAddr,
    /// The host named in the greeting (SNI).
    pub name: Option<String>,
    /// The protocols that the greeting offered (ALPN).
    pub alpn: Vec<String>,
    /// Why the handshake failed, if it did: a client that doesn't trust the certificate, for one.
    pub error: Option<String>,
    /// How many bytes came, decrypted.
    pub received: u64,
    /// How many bytes were sent back, before encryption.
    pub sent: u64,
    /// The first decrypted bytes that came, up to 4,096.
    pub first: Vec<u8>,
    /// Whether the connection is over.
    pub ended: bool,
}

impl Tls {
    /// Where the server listens, with the real port if 0 was asked for.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// The connections so far, in the order in which they came.
    #[must_use]
    pub fn received(&self) -> Vec<Handshake> {
        self.log.all()
    }

    /// The log of connections, to wait on.
    #[must_use]
    pub fn log(&self) -> &Log<Handshake> {
        &self.log
    }
}

pub(crate) fn start(
    internet: &Internet,
    at: SocketAddr,
    authority: &Authority,
    names: &[&str],
    service: Service,
) -> Result<Tls, LabError> {
    let certificates = Arc::new(Certificates::new(authority, names)?);
    let (listener, at) = listen(internet, at)?;
    let log = Log::new();
    let server = {
        let log = log.clone();
        service::accept(listener, move |stream, peer| {
            let open = Open::new(&log, &peer);
            serve(
                stream,
                peer,
                Arc::clone(&certificates),
                service.clone(),
                open,
            )
        })
    };
    Ok(Tls {
        at,
        log,
        _running: internet.serve(server),
    })
}

async fn serve(
    stream: TcpStream,
    mut peer: Peer,
    certificates: Arc<Certificates>,
    service: Service,
    open: Open,
) {
    let handshake = async {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream).await?;
        let greeting = start.client_hello();
        let name = greeting.server_name().map(str::to_owned);
        let alpn = greeting
            .alpn()
            .map(|all| {
                all.map(|one| String::from_utf8_lossy(one).into_owned())
                    .collect()
            })
            .unwrap_or_default();
        peer.tls_name.clone_from(&name);
        let config = certificates.choose(name.as_deref());
        open.update(|entry| {
            entry.name = name;
            entry.alpn = alpn;
        });
        start.into_stream(config).await
    };
    let result = timeout(GREETING, handshake).await;
    match result.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
        Ok(mut stream) => {
            let note = |step: Step<'_>| open.note(&step);
            service::serve(&service, &mut stream, &peer, note).await;
        }
        Err(error) => open.update(|entry| entry.error = Some(error.to_string())),
    }
}

/// A configuration for each name that the server stands for.
struct Certificates {
    first: Arc<ServerConfig>,
    by_name: HashMap<String, Arc<ServerConfig>>,
}

impl Certificates {
    fn new(authority: &Authority, names: &[&str]) -> Result<Self, LabError> {
        let mut by_name = HashMap::new();
        let mut first = None;
        for name in names {
            let config = authority.server_config(name)?;
            first.get_or_insert_with(|| Arc::clone(&config));
            by_name.insert(name.to_ascii_lowercase(), config);
        }
        let first = first.ok_or_else(|| LabError::Certificate {
            name: "nobody".to_owned(),
            reason: "give a TLS server at least one name".to_owned(),
        })?;
        Ok(Certificates { first, by_name })
    }

    fn choose(&self, name: Option<&str>) -> Arc<ServerConfig> {
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.by_name.get(&format!("*.{parent}"))
        };
        Arc::clone(
            self.by_name
                .get(&name)
                .or_else(wildcard)
                .unwrap_or(&self.first),
        )
    }
}

/// A connection's log entry while it is open. Its drop, at the end or at a time limit, marks the end.
struct Open {
    id: EntryId,
    log: Log<Handshake>,
}

impl Open {
    fn new(log: &Log<Handshake>, peer: &Peer) -> Self {
        let entry = Handshake {
            from: peer.from,
            to: peer.to,
            name: None,
            alpn: Vec::new(),
            error: None,
            received: 0,
            sent: 0,
            first: Vec::new(),
            ended: false,
        };
        Open {
            id: log.push(entry),
            log: log.clone(),
        }
    }

    fn update(&self, change: impl FnOnce(&mut Handshake)) {
        self.log.update(self.id, change);
    }

    fn note(&self, step: &Step<'_>) {
        self.update(|entry| match step {
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
        self.update(|entry| entry.ended = true);
    }
}
