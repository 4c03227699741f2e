use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Answers that wait to be sent. More questions than that at once are dropped, as a busy server does.
const WAITING_MAX: usize = 10_000;

/// The longest message over UDP without an extension, in bytes (RFC 1035, section 4.2.1); with room for one.
const MESSAGE_MAX: usize = 4096;

/// Answers every question over UDP with one address, each after this time. Runs until it is killed.
pub(super) fn serve(at: SocketAddr, after: Duration) -> anyhow::Result<()> {
    let socket = UdpSocket::bind(at).with_context(|| format!("can't listen on {at}"))?;
    let sender = socket.try_clone()?;
    let (waiting, due) = mpsc::sync_channel::<(Instant, Vec<u8>, SocketAddr)>(WAITING_MAX);
    // All wait equally long, so the first to come is the first to go.
    thread::spawn(move || {
        for (when, answer, client) in due {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            let _ = sender.send_to(&answer, client);
        }
    });
    let mut message = [0; MESSAGE_MAX];
    loop {
        let Ok((len, client)) = socket.recv_from(&mut message) else {
            continue;
        };
        let when = Instant::now() + after;
        if let Some(answer) = message.get(..len).and_then(answer) {
            let _ = waiting.try_send((when, answer, client));
        }
    }
}

/// The answer to a question: one A record that lives an hour. Nothing for what is no question.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    // Behind a header of 12 bytes: the name, label by label, then type and class in 2 bytes each.
    let mut end = 12;
    loop {
        let label = usize::from(*question.get(end)?);
        end += 1 + label;
        if label == 0 {
            break;
        }
    }
    let asked = question.get(12..end + 4)?;
    let id = question.get(..2)?;
    // A response, recursion asked for and available; one question, one answer.
    const HEAD: [u8; 10] = [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    // The name by a pointer to the question, A, IN, 3,600 seconds, 4 bytes: 192.0.2.1.
    const RECORD: [u8; 16] = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4, 192, 0, 2, 1];
    Some([id, &HEAD, asked, &RECORD].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_answered_with_one_address() {
        let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\x01\x01a\x07example\0\0\x01\0\x01and more";
        let expected = b"\x12\x34\x81\x80\0\x01\0\x01\0\0\0\0\x01a\x07example\0\0\x01\0\x01\
            \xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04\xc0\0\x02\x01";
        assert_eq!(answer(question).unwrap(), expected);
    }

    #[test]
    fn what_is_cut_short_is_not_answered() {
        let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
        for len in 0..question.len() {
            assert_eq!(answer(&question[..len]), None, "{len}");
        }
    }
}
