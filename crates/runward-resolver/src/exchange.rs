//! Asking an upstream: the sockets.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::accept::{Inquiry, Reply, Verdict};
use crate::counters::Tally;
use crate::pool::Pool;

/// The longest datagram that is read. An upstream is told that it may send a third of it.
const LONGEST_DATAGRAM: usize = 4096;

/// Asks one upstream after the other until one answers. `None` if none does.
pub(crate) async fn ask(inquiry: &Inquiry, pool: &Mutex<Pool>, tally: &Tally) -> Option<Reply> {
    let pool = || pool.lock().unwrap_or_else(PoisonError::into_inner);
    let plan = pool().plan(Instant::now())?;
    let tries = async {
        for at in plan.tries {
            match timeout(plan.timeout, ask_one(inquiry, at, tally)).await {
                Ok(Ok(verdict)) => {
                    pool().answered(at);
                    if let Verdict::Answer(reply) = verdict {
                        return Some(reply);
                    }
                    tally.failed.one();
                }
                Ok(Err(_)) | Err(_) => {
                    tally.silent.one();
                    pool().silent(at, Instant::now());
                }
            }
        }
        None
    };
    timeout(plan.longest, tries).await.ok().flatten()
}

/// Asks one upstream over UDP, and again over TCP if its answer was cut.
async fn ask_one(inquiry: &Inquiry, at: SocketAddr, tally: &Tally) -> io::Result<Verdict> {
    let verdict = by_datagram(inquiry, at, tally).await?;
    if !matches!(verdict, Verdict::Truncated) {
        return Ok(verdict);
    }
    tally.retried_over_tcp.one();
    by_connection(inquiry, at).await
}

/// A socket of its own for each question: its port is chosen by the kernel at random, and being connected it takes
/// datagrams from the upstream's address and port only.
async fn by_datagram(inquiry: &Inquiry, at: SocketAddr, tally: &Tally) -> io::Result<Verdict> {
    let any = match at {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(at).await?;
    let id = id()?;
    socket.send(&message(inquiry, id)?).await?;
    let mut buffer = vec![0; LONGEST_DATAGRAM];
    loop {
        let count = socket.recv(&mut buffer).await?;
        match inquiry.judge(id, buffer.get(..count).unwrap_or_default()) {
            Verdict::Ignore => tally.ignored.one(),
            verdict => return Ok(verdict),
        }
    }
}

async fn by_connection(inquiry: &Inquiry, at: SocketAddr) -> io::Result<Verdict> {
    let mut stream = TcpStream::connect(at).await?;
    let id = id()?;
    let message = message(inquiry, id)?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let framed = [&length.to_be_bytes()[..], &message].concat();
    stream.write_all(&framed).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(match inquiry.judge(id, &answer) {
        // Nobody else can write to this connection: it is the upstream that is confused.
        Verdict::Ignore | Verdict::Truncated => Verdict::Failed,
        verdict => verdict,
    })
}

fn message(inquiry: &Inquiry, id: u16) -> io::Result<Vec<u8>> {
    inquiry
        .message(id)
        .ok_or_else(|| io::Error::other(ResponseCode::FormErr.to_str()))
}

/// An id that nobody can guess, from the system's random numbers.
fn id() -> io::Result<u16> {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(u16::from_be_bytes(bytes))
}
