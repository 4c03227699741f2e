//! The service: its thread, and its listeners.

use std::fmt;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::counters::Counters;
use crate::desk::{Desk, Place};
use crate::error::ResolverError;
use crate::gate::Gate;
use crate::pool::Upstreams;
use crate::{tcp, udp};

/// What the resolver is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whom it asks.
    pub upstreams: Upstreams,
}

/// A resolver on a thread of its own. It stops when it is dropped, and all its listeners with it.
///
/// Everything that clients or upstreams can make grow is bounded: 512 questions upstream at once, 256 waiting and 64
/// connections for each listener, 10 seconds for a silent connection or an upstream, 4096 bytes for a question,
/// 8192 answers and 8 MiB in the cache. What goes beyond is answered with SERVFAIL or closed, and counted.
pub struct Resolver {
    desk: Arc<Desk>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// A pair of sockets that are listened on, until this is dropped. The sockets are closed by the resolver's thread, so
/// that their address may be free only a moment after that.
#[derive(Debug)]
#[must_use = "the listener stops when this is dropped"]
pub struct Listening {
    tasks: [AbortHandle; 2],
}

impl Resolver {
    /// Starts the resolver, with no listener yet.
    pub fn start(options: &Options, gate: Arc<dyn Gate>) -> Result<Resolver, ResolverError> {
        if options.upstreams.servers.is_empty() {
            return Err(ResolverError::NoUpstream);
        }
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ResolverError::Start)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("resolver".to_owned())
            .spawn(move || {
                // It ends with a word or with the sender's end, which mean the same.
                let _ = runtime.block_on(stopped);
            })
            .map_err(ResolverError::Start)?;
        Ok(Resolver {
            desk: Arc::new(Desk::new(&options.upstreams, gate)),
            runtime: handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Answers questions that come to these sockets. They are the caller's making, and may be of another network
    /// namespace. `id` is handed to the gate with each question.
    ///
    /// The datagram socket has to be bound to one address, not to all: the answer must come from where the question
    /// went.
    pub fn listen(
        &self,
        id: u64,
        datagrams: UdpSocket,
        connections: TcpListener,
    ) -> Result<Listening, ResolverError> {
        let at = datagrams.local_addr().map_err(ResolverError::Socket)?;
        if at.ip().is_unspecified() {
            return Err(ResolverError::Unspecified(at));
        }
        let tcp_at = connections.local_addr().map_err(ResolverError::Socket)?;
        let failed = |at: SocketAddr| move |source| ResolverError::Listen { at, source };
        datagrams.set_nonblocking(true).map_err(failed(at))?;
        connections.set_nonblocking(true).map_err(failed(tcp_at))?;
        let _inside = self.runtime.enter();
        let datagrams = tokio::net::UdpSocket::from_std(datagrams).map_err(failed(at))?;
        let connections = tokio::net::TcpListener::from_std(connections).map_err(failed(tcp_at))?;
        let place = Arc::new(Place::new(id));
        let by_datagram = udp::serve(Arc::clone(&self.desk), Arc::clone(&place), datagrams);
        let by_connection = tcp::serve(Arc::clone(&self.desk), place, connections);
        Ok(Listening {
            tasks: [
                self.runtime.spawn(by_datagram).abort_handle(),
                self.runtime.spawn(by_connection).abort_handle(),
            ],
        })
    }

    /// Asks other servers from now on, since the system's configuration has changed. Questions that are upstream stay
    /// there. Without any server everything fails.
    pub fn replace_upstreams(&self, upstreams: &Upstreams) {
        self.desk.replace_upstreams(upstreams);
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.desk.tally.counters()
    }

    /// Stops, and returns when the thread has ended. What was not answered yet is not answered any more.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It can only have panicked, which the panic's own message has told.
            let _ = thread.join();
        }
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.end();
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
