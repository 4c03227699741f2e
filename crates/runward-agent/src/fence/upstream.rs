//! Whether anybody is there to ask for names.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use runward_resolver::Upstreams;

use super::BlockError;

/// How long each server is waited for. The first one that answers ends the check.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A question for the name servers of the root: 12 bytes of header with the bit that asks for recursion and one
/// question (RFC 1035, section 4.1).
const QUESTION: [u8; 17] = [
    0x52, 0x57, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1,
];

/// Asks the servers until one answers, whatever its answer is.
pub(crate) fn check(upstreams: &Upstreams) -> Result<(), BlockError> {
    if upstreams.servers.iter().any(|server| answers(*server)) {
        return Ok(());
    }
    let servers: Vec<String> = upstreams
        .servers
        .iter()
        .map(|s| s.ip().to_string())
        .collect();
    Err(BlockError::UpstreamsSilent {
        servers: servers.join(", "),
    })
}

fn answers(server: SocketAddr) -> bool {
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let asked = UdpSocket::bind(any).and_then(|socket| {
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(&QUESTION)?;
        let mut answer = [0; 512];
        let len = socket.recv(&mut answer)?;
        Ok(answer.get(..2.min(len)) == QUESTION.get(..2))
    });
    asked.unwrap_or(false)
}
