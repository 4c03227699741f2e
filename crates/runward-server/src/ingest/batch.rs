//! A batch of events as it comes: NDJSON, compressed. Pure.

use std::io::{BufRead, BufReader, Read};

use runward_event::{Body, Event, parse_line};

/// Bytes of a batch when it is unpacked. An agent sends about a second of events at a time.
pub(crate) const UNPACKED_MAX: u64 = 64 << 20;
/// Bytes of one line: an exec with all its arguments has a tenth of it.
const LINE_MAX: u64 = 1 << 20;
/// Events of one batch.
const EVENTS_MAX: u64 = 200_000;
/// The packer's memory, as a power of two. What packs at the usual levels needs a quarter of it.
const WINDOW_LOG_MAX: u32 = 23;

/// What is to be known of events that follow each other without gaps. They themselves stay packed: a batch costs no more
/// memory than its longest line.
#[derive(Debug)]
pub(crate) struct Events {
    /// The one that begins a job; only the first batch of a run has it.
    pub(crate) start: Option<Event>,
    /// The number of the last one.
    pub(crate) last: u64,
}

/// Why a batch is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BatchError {
    #[error("the body is not zstd: {0}")]
    Packing(String),
    #[error("the batch has more than {UNPACKED_MAX} bytes when it is unpacked: send smaller ones")]
    TooLarge,
    #[error("the batch has more than {EVENTS_MAX} events: send smaller ones")]
    TooMany,
    #[error("line {line} has more than {LINE_MAX} bytes")]
    LineTooLong { line: usize },
    #[error("line {line}: {reason}")]
    Line { line: usize, reason: String },
    #[error("line {line} has the number {found}, and {expected} comes next")]
    Gap {
        line: usize,
        found: u64,
        expected: u64,
    },
    #[error("the batch has no events")]
    Empty,
    #[error("line {line} is the first event of a job; only number 1 can be, and must be")]
    Start { line: usize },
}

/// Unpacks and reads a batch whose first event has this number.
pub(crate) fn read(packed: &[u8], first: u64) -> Result<Events, BatchError> {
    let unreadable = |error: std::io::Error| BatchError::Packing(error.to_string());
    let mut decoder = zstd::stream::Decoder::with_buffer(packed).map_err(unreadable)?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(unreadable)?;
    let mut left = BufReader::with_capacity(1 << 16, decoder.take(UNPACKED_MAX + 1));
    let mut start = None;
    let mut count = 0;
    let mut line = Vec::new();
    let mut unpacked = 0;
    loop {
        let number = usize::try_from(count + 1).unwrap_or(usize::MAX);
        line.clear();
        let read = (&mut left)
            .take(LINE_MAX + 1)
            .read_until(b'\n', &mut line)
            .map_err(unreadable)?;
        if read == 0 {
            break;
        }
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        unpacked += read;
        if unpacked > UNPACKED_MAX {
            return Err(BatchError::TooLarge);
        }
        if read > LINE_MAX {
            return Err(BatchError::LineTooLong { line: number });
        }
        if count >= EVENTS_MAX {
            return Err(BatchError::TooMany);
        }
        let event = event(&line, number, first.saturating_add(count))?;
        count += 1;
        if matches!(event.body, Body::JobStart(_)) {
            start = Some(event);
        }
    }
    if count == 0 {
        return Err(BatchError::Empty);
    }
    Ok(Events {
        start,
        last: first.saturating_add(count - 1),
    })
}

fn event(line: &[u8], number: usize, expected: u64) -> Result<Event, BatchError> {
    let wrong = |reason: String| BatchError::Line {
        line: number,
        reason,
    };
    let text = std::str::from_utf8(line).map_err(|error| wrong(error.to_string()))?;
    if !text.ends_with('\n') {
        return Err(wrong(
            "it is cut: every line ends with a newline".to_owned(),
        ));
    }
    let event =
        parse_line(text.trim_end_matches('\n')).map_err(|error| wrong(error.to_string()))?;
    if event.seq != expected {
        return Err(BatchError::Gap {
            line: number,
            found: event.seq,
            expected,
        });
    }
    if matches!(event.body, Body::JobStart(_)) != (expected == 1) {
        return Err(BatchError::Start { line: number });
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    fn exit(seq: u64) -> String {
        format!(
            "{{\"seq\":{seq},\"time\":\"2026-08-01T09:30:12Z\",\"kind\":\"process_exit\",\"process\":1,\"pid\":7,\"code\":0}}\n"
        )
    }

    #[test]
    fn a_batch_is_read_whole_or_not_at_all() {
        let good = exit(2) + &exit(3);
        assert_eq!(read(&packed(&good), 2).unwrap().last, 3);
        let cases: &[(&str, Vec<u8>, &str)] = &[
            ("not packed", good.clone().into_bytes(), "not zstd"),
            ("cut", packed(&good)[..20].to_vec(), "not zstd"),
            ("nothing", packed(""), "no events"),
            (
                "another number",
                packed(&(exit(2) + &exit(4))),
                "line 2 has the number 4, and 3",
            ),
            (
                "twice",
                packed(&(exit(2) + &exit(2))),
                "line 2 has the number 2, and 3",
            ),
            (
                "a line that is cut",
                packed(good.trim_end()),
                "line 2: it is cut",
            ),
            ("no JSON", packed("{\n"), "line 1"),
            (
                "a long line",
                packed(&"x".repeat((1 << 20) + 1)),
                "line 1 has more",
            ),
            (
                "not UTF-8",
                zstd::encode_all(&b"\xff\n"[..], 1).unwrap(),
                "line 1",
            ),
        ];
        for (what, bytes, says) in cases {
            let error = read(bytes, 2).unwrap_err().to_string();
            assert!(error.contains(says), "{what}: {error}");
        }
        assert!(matches!(
            read(&packed(&exit(1)), 1),
            Err(BatchError::Start { line: 1 })
        ));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let bomb = zstd::encode_all(std::io::repeat(b'\n').take(UNPACKED_MAX * 4), 3).unwrap();
        assert!(bomb.len() < 100_000);
        assert!(read(&bomb, 2).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, text: String) {
            prop_assert!(read(&bytes, 2).is_err());
            prop_assert!(read(&packed(&text), 2).is_err());
        }
    }
}
