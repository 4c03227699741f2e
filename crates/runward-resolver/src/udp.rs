//! Questions in datagrams.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::time::sleep;

use crate::desk::{Desk, Now, Place, Way};
use crate::question::MOST_BYTES;

/// How many datagrams are handled before other listeners have their turn.
const BATCH: usize = 64;

/// A socket that only gives errors is looked at this often.
const PAUSE: Duration = Duration::from_millis(10);

/// Answers the datagrams of one socket, for ever.
pub(crate) async fn serve(desk: Arc<Desk>, place: Arc<Place>, socket: UdpSocket) {
    let socket = Arc::new(socket);
    let way = Way::Udp(Arc::downgrade(&socket));
    // One byte more, so that a message that is too long is seen as that.
    let mut buffer = vec![0; MOST_BYTES + 1];
    let mut out = Vec::with_capacity(MOST_BYTES);
    loop {
        if socket.readable().await.is_err() {
            sleep(PAUSE).await;
            continue;
        }
        let now = Instant::now();
        for _ in 0..BATCH {
            let (count, from) = match socket.try_recv_from(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An ICMP message about an earlier answer: that client has gone.
                Err(_) => continue,
            };
            let question = buffer.get(..count).unwrap_or_default();
            if desk.take(&place, from, question, &way, now, &mut out) == Now::Answer
                && socket.try_send_to(&out, from).is_err()
            {
                desk.tally.unsent.one();
            }
        }
        tokio::task::yield_now().await;
    }
}
