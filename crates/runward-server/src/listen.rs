//! Connections: how many there are, how long each may stand still, and how they end.
//!
//! The time limits are for clients that stall, on purpose or not: none of them holds a connection, or what a request
//! needs, for longer than its limit.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::response::{IntoResponse as _, Response};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use crate::problem::Problem;

/// Connections at once. More of them wait until one ends.
const CONNECTIONS_MAX: usize = 4096;
/// How long a client may take for the head of a request, and stay away between two.
const HEAD_PATIENCE: Duration = Duration::from_secs(30);
/// How long a request may take as a whole, its body included.
pub(crate) const REQUEST_PATIENCE: Duration = Duration::from_secs(60);
/// How long a client may take nothing of an answer. Longer than a request, as a client that waits is silent, too.
const STALL_PATIENCE: Duration = Duration::from_secs(75);
/// Bytes of a request's head.
const HEAD_MAX: usize = 64 << 10;
/// How long it is waited after a connection could not be taken, which is when descriptors have run out.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers connections until it is told to end; then gives the requests that are under way this long. Whether all of
/// them ended in time.
pub(crate) async fn listen(
    listener: TcpListener,
    router: Router,
    mut ends: watch::Receiver<bool>,
    drain: Duration,
) -> bool {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            _ = ends.changed() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, client, place)) = accepted else {
            continue;
        };
        let router = router.clone();
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            answer(stream, client, router, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    tokio::time::timeout(drain, graceful.shutdown())
        .await
        .is_ok()
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(room).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, client)) => Some((stream, client, place)),
        Err(error) => {
            tracing::warn!(%error, "can't take a connection");
            tokio::time::sleep(PAUSE).await;
            None
        }
    }
}

async fn answer(stream: TcpStream, client: SocketAddr, router: Router, watcher: Watcher) {
    // Without it, an answer in several parts waits for the client's acknowledgements. It works without, only slower.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_read_timeout(Some(STALL_PATIENCE));
    stream.set_write_timeout(Some(STALL_PATIENCE));
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(client));
        let answer = router.clone().oneshot(request.map(Body::new));
        async move {
            let answer = tokio::time::timeout(REQUEST_PATIENCE, answer).await;
            Ok::<Response, Infallible>(answer.map_or_else(
                |_| Problem::unavailable("the request took too long").into_response(),
                |answer| answer.into_response(),
            ))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .max_buf_size(HEAD_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, %client, "a connection broke off");
    }
}
