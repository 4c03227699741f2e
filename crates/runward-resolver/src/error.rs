//! What can go wrong for the caller.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the resolver, or one of its listeners, could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// There is nobody to ask.
    #[error("the resolver has no upstream server to ask; name one in the system's resolv.conf")]
    NoUpstream,
    /// The thread or its runtime could not be made.
    #[error("the resolver's thread could not be started: {0}")]
    Start(#[source] io::Error),
    /// A socket can't be listened on.
    #[error("the resolver can't listen on {at}: {source}")]
    Listen {
        /// Where the socket is bound.
        at: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A socket has no address.
    #[error("the resolver was given a socket without an address: {0}")]
    Socket(#[source] io::Error),
    /// A datagram socket is bound to all addresses.
    #[error(
        "the resolver can't listen on {0}: bind the socket to one address, since an answer must come from where its question went"
    )]
    Unspecified(SocketAddr),
}

/// Why the system's upstream servers are not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamsError {
    /// The file can't be read.
    #[error("{} can't be read, so the system's name servers are not known: {source}", path.display())]
    Read {
        /// The configuration file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file names no server.
    #[error("{} names no server: add a line such as `nameserver 192.0.2.53`", path.display())]
    None {
        /// The configuration file.
        path: PathBuf,
    },
}
