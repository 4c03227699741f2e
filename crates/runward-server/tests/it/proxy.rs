//! A TCP proxy of a test's own: it leads each connection to the next of its servers, and can be made a bad one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::chance::Chance;

/// How often it is looked whether a proxy that holds everything back still does.
const TICK: Duration = Duration::from_millis(50);

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    held: Arc<AtomicBool>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Leads to these servers in turn. Each connection is cut after some time below a limit, if there is one, whatever is
    /// under way on it.
    pub(crate) fn start(servers: Vec<SocketAddr>, limit: Option<(Duration, Chance)>) -> Proxy {
        let held = Arc::new(AtomicBool::new(false));
        let (end, ends) = oneshot::channel();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let hold = Arc::clone(&held);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, servers, limit, hold) => {}
                    _ = ends => {}
                }
            });
        });
        Proxy {
            address,
            held,
            end: Some(end),
            thread: Some(thread),
        }
    }

    /// From now on, connections are taken and nothing comes through any of them; or that is over.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.end.take().map(|end| end.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn accept(
    listener: std::net::TcpListener,
    servers: Vec<SocketAddr>,
    limit: Option<(Duration, Chance)>,
    held: Arc<AtomicBool>,
) {
    listener.set_nonblocking(true).unwrap();
    let listener = TcpListener::from_std(listener).unwrap();
    let turn = AtomicUsize::new(0);
    while let Ok((mut client, _)) = listener.accept().await {
        let server = servers[turn.fetch_add(1, Ordering::Relaxed) % servers.len()];
        let lasts = limit
            .as_ref()
            .map(|(limit, chance)| limit.mul_f64(chance.unit()));
        let held = Arc::clone(&held);
        tokio::spawn(async move {
            until(&held, false).await;
            let Ok(mut server) = TcpStream::connect(server).await else {
                return;
            };
            let copied = copy(&mut client, &mut server, &held);
            let _ = timeout(lasts.unwrap_or(Duration::MAX), copied).await;
        });
    }
}

async fn copy(client: &mut TcpStream, server: &mut TcpStream, held: &AtomicBool) {
    for side in [&*client, &*server] {
        side.set_nodelay(true).unwrap();
    }
    let copied = copy_bidirectional(client, server);
    tokio::pin!(copied);
    loop {
        tokio::select! {
            _ = &mut copied => return,
            () = until(held, true) => until(held, false).await,
        }
    }
}

async fn until(held: &AtomicBool, wanted: bool) {
    while held.load(Ordering::Relaxed) != wanted {
        sleep(TICK).await;
    }
}
