//! Questions over connections (RFC 7766): any number on one, answered as the answers come.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::desk::{Desk, Now, Place, Way};
use crate::question::MOST_BYTES;

/// The most connections to one listener.
const MOST_CONNECTIONS: usize = 64;

/// The most answers that wait for a client to read.
const MOST_ANSWERS: usize = 64;

/// A connection on which no whole question comes, or no answer can be written, for this long is closed.
const IDLE: Duration = Duration::from_secs(10);

/// A listener that only gives errors, such as for too many open files, is tried this often.
const PAUSE: Duration = Duration::from_millis(10);

/// Takes connections for ever. Those that are open end with it.
pub(crate) async fn serve(desk: Arc<Desk>, place: Arc<Place>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        if connections.len() >= MOST_CONNECTIONS {
            desk.tally.closed.one();
            continue;
        }
        connections.spawn(converse(
            Arc::clone(&desk),
            Arc::clone(&place),
            stream,
            from,
        ));
    }
}

/// Reads questions until there are no more, and writes answers until all are given or the client is gone.
async fn converse(desk: Arc<Desk>, place: Arc<Place>, stream: TcpStream, from: SocketAddr) {
    // Answers are small and each is written whole: to wait for more would only delay them.
    let _ = stream.set_nodelay(true);
    let (read, write) = stream.into_split();
    let (queue, answers) = mpsc::channel(MOST_ANSWERS);
    let mut writing = pin!(write_all(write, answers));
    tokio::select! {
        () = read_all(&desk, &place, read, from, queue) => writing.await,
        () = &mut writing => {}
    }
}

async fn read_all(
    desk: &Arc<Desk>,
    place: &Place,
    read: OwnedReadHalf,
    from: SocketAddr,
    queue: mpsc::Sender<Vec<u8>>,
) {
    let mut read = BufReader::with_capacity(MOST_BYTES, read);
    let mut question = Vec::new();
    let mut out = Vec::new();
    let way = Way::Tcp(queue.clone());
    loop {
        let whole = timeout(IDLE, read_question(&mut read, &mut question)).await;
        match whole {
            Ok(Some(true)) => {}
            Ok(Some(false)) => return desk.tally.closed.one(),
            // The client has gone, or said nothing for long.
            Ok(None) | Err(_) => return,
        }
        let now = desk.take(place, from, &question, &way, Instant::now(), &mut out);
        if now == Now::Answer && queue.try_send(out.clone()).is_err() {
            // The client asks and does not read.
            return desk.tally.closed.one();
        }
    }
}

/// Reads one question. `None` at the connection's end, and `false` for one that is too long.
async fn read_question(read: &mut BufReader<OwnedReadHalf>, into: &mut Vec<u8>) -> Option<bool> {
    let length = usize::from(read.read_u16().await.ok()?);
    if length > MOST_BYTES {
        return Some(false);
    }
    into.resize(length, 0);
    read.read_exact(into).await.ok()?;
    Some(true)
}

async fn write_all(mut write: OwnedWriteHalf, mut answers: mpsc::Receiver<Vec<u8>>) {
    let mut framed = Vec::new();
    while let Some(answer) = answers.recv().await {
        let Ok(length) = u16::try_from(answer.len()) else {
            continue;
        };
        framed.clear();
        framed.extend_from_slice(&length.to_be_bytes());
        framed.extend_from_slice(&answer);
        match timeout(IDLE, write.write_all(&framed)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
}
