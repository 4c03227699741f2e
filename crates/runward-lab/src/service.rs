//! What a server says to its clients, over TCP or TLS alike.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::http::{self, Site};

/// Connections that one server holds at a time; further ones wait in the kernel's queue.
const MOST_CONNECTIONS: usize = 256;

/// No connection lives longer than this.
const LIFETIME: Duration = Duration::from_secs(120);

/// After its last word, a server waits this long for the client to end too, and takes this much from it.
const LINGER: Duration = Duration::from_secs(1);
const MOST_DISCARDED: u64 = 1 << 20;

/// How many of the first bytes of a connection or datagram are kept.
pub(crate) const KEPT_BYTES: usize = 4096;

/// How a sink answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Reads until the client ends, and says nothing.
    Silent,
    /// Sends everything back.
    Echo,
    /// Sends these bytes once, when the first bytes arrive.
    Fixed(Vec<u8>),
}

/// What a TCP or TLS server does with a connection.
#[derive(Clone, Debug)]
pub enum Service {
    /// A sink.
    Sink(Answer),
    /// An HTTP/1 server.
    Http(Site),
}

impl From<Answer> for Service {
    fn from(answer: Answer) -> Self {
        Service::Sink(answer)
    }
}

impl From<Site> for Service {
    fn from(site: Site) -> Self {
        Service::Http(site)
    }
}

impl From<&Site> for Service {
    fn from(site: &Site) -> Self {
        Service::Http(site.clone())
    }
}

/// Who a connection is from, as far as the server can tell.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    /// The name in the TLS greeting.
    pub(crate) tls_name: Option<String>,
}

/// A step of a connection, for its log entry.
pub(crate) enum Step<'a> {
    Received(&'a [u8]),
    Sent(usize),
}

/// Adds received bytes to the first ones kept.
pub(crate) fn keep(first: &mut Vec<u8>, bytes: &[u8]) {
    let room = KEPT_BYTES.saturating_sub(first.len());
    first.extend(bytes.iter().take(room));
}

/// Accepts connections for ever and runs `handle` on each. Dropping the future ends them all.
pub(crate) async fn accept<F, H>(listener: TcpListener, handle: H)
where
    F: Future<Output = ()> + Send + 'static,
    H: Fn(TcpStream, Peer) -> F,
{
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = open.join_next() => {}
            accepted = listener.accept(), if open.len() < MOST_CONNECTIONS => match accepted {
                Ok((stream, from)) => {
                    // The address was just bound to this stream; a failure means that it is already gone.
                    let Ok(to) = stream.local_addr() else { continue };
                    let peer = Peer { from, to, tls_name: None };
                    open.spawn(timeout(LIFETIME, handle(stream, peer)));
                }
                // Such as too many open files: wait for some to close.
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

/// Serves one connection to its end. A client that breaks off is nothing unusual, so errors only end it.
pub(crate) async fn serve<S>(
    service: &Service,
    stream: &mut S,
    peer: &Peer,
    note: impl Fn(Step<'_>),
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let _ = match service {
        Service::Sink(answer) => sink(answer, stream, note).await,
        Service::Http(site) => http::serve(site, stream, peer, note).await,
    };
    if stream.shutdown().await.is_ok() {
        // Closing with bytes unread would reset the connection, and could take the answer away from the client.
        let _ = timeout(LINGER, discard(stream)).await;
    }
}

/// Reads to the client's end, up to a limit.
async fn discard<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut limited = stream.take(MOST_DISCARDED);
    let _ = tokio::io::copy(&mut limited, &mut tokio::io::sink()).await;
}

async fn sink<S>(answer: &Answer, stream: &mut S, note: impl Fn(Step<'_>)) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buffer = vec![0; 16 * 1024];
    let mut answered = false;
    loop {
        let count = stream.read(&mut buffer).await?;
        let bytes = buffer.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(());
        }
        note(Step::Received(bytes));
        let reply = match answer {
            Answer::Echo => bytes,
            Answer::Fixed(reply) if !answered => reply,
            Answer::Silent | Answer::Fixed(_) => continue,
        };
        answered = true;
        stream.write_all(reply).await?;
        stream.flush().await?;
        note(Step::Sent(reply.len()));
    }
}
