//! DNS messages as they pass a socket of the job.
//!
//! Anyone can send anything to port 53. What is not a DNS message is left alone here: the connection itself is
//! recorded elsewhere.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::IpAddr;

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::{Name, Record, RecordType};
use hickory_proto::serialize::binary::BinDecoder;
use runward_event::{Direction, Dns, DnsAnswer, DnsMessageKind, DnsTransport, ProcessId};

/// Answers of one message that an event keeps.
const ANSWERS_MAX: usize = 256;
/// The longest text of an answer's content.
const DATA_MAX: usize = 1024;
/// TCP connections to port 53 that are followed at once; the oldest is let go for a new one.
const STREAMS_MAX: usize = 1024;
/// The largest DNS message over TCP, with its length before it.
const STREAM_BYTES_MAX: usize = 65_535 + 2;
/// Segments of one stream that may wait for one that comes before them.
const WAITING_MAX: usize = 64;

/// One piece of what a socket sent to, or received from, a DNS server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram<'a> {
    pub(crate) process: ProcessId,
    pub(crate) pid: u32,
    /// Names the socket.
    pub(crate) cookie: u64,
    pub(crate) direction: Direction,
    pub(crate) transport: DnsTransport,
    pub(crate) server: IpAddr,
    pub(crate) port: u16,
    /// TCP's number of the first byte of `payload`; for UDP the offset inside the datagram.
    pub(crate) sequence: u32,
    /// More of the same segment follows.
    pub(crate) cut: bool,
    pub(crate) payload: &'a [u8],
}

/// Turns pieces into messages.
#[derive(Debug, Default)]
pub(crate) struct DnsDecoder {
    streams: HashMap<(u64, Direction), Stream>,
    /// The keys of `streams`, oldest first.
    order: VecDeque<(u64, Direction)>,
}

impl DnsDecoder {
    /// Takes one piece; tells every message that it completes.
    pub(crate) fn datagram(&mut self, datagram: &Datagram<'_>, sink: &mut dyn FnMut(Dns)) {
        match datagram.transport {
            // The rest of a very large datagram: its beginning told the question already.
            DnsTransport::Udp if datagram.sequence != 0 => {}
            DnsTransport::Udp => {
                if let Some(dns) = message(datagram, datagram.payload) {
                    sink(dns);
                }
            }
            DnsTransport::Tcp => {
                let stream = self.stream(datagram);
                stream.segment(datagram.sequence, datagram.payload);
                while let Some(bytes) = stream.next_message() {
                    if let Some(dns) = message(datagram, &bytes) {
                        sink(dns);
                    }
                }
            }
        }
    }

    fn stream(&mut self, datagram: &Datagram<'_>) -> &mut Stream {
        let key = (datagram.cookie, datagram.direction);
        if !self.streams.contains_key(&key) {
            if self.order.len() >= STREAMS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.streams.remove(&oldest);
            }
            self.order.push_back(key);
        }
        self.streams.entry(key).or_default()
    }
}

/// One direction of a TCP connection, put back in order.
///
/// The sensor knows the socket since before it connected, so the first segment with content begins the stream.
#[derive(Debug, Default)]
struct Stream {
    /// TCP's number of the byte after `buffer`.
    next: Option<u32>,
    buffer: Vec<u8>,
    /// Segments that came too early, by their distance from `next` when they came.
    waiting: BTreeMap<u32, Vec<u8>>,
    /// Out of step for good.
    lost: bool,
}

impl Stream {
    fn segment(&mut self, sequence: u32, payload: &[u8]) {
        if self.lost || payload.is_empty() {
            return;
        }
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        if ahead == 0 {
            self.append(payload);
        } else if ahead < 1 << 31 {
            // Early: a segment before it is on its way.
            if self.waiting.len() >= WAITING_MAX || payload.len() > STREAM_BYTES_MAX {
                self.lost = true;
            } else {
                self.waiting.insert(sequence, payload.to_vec());
            }
        } else {
            // Sent before, at least its beginning.
            let known = usize::try_from(next.wrapping_sub(sequence)).unwrap_or(usize::MAX);
            if let Some(new) = payload.get(known..).filter(|new| !new.is_empty()) {
                self.append(new);
            }
        }
        while let Some(next) = self.next
            && let Some(early) = self.waiting.remove(&next)
        {
            self.append(&early);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        // Whole messages leave the buffer at once, so only garbage grows beyond two of them.
        if self.buffer.len() + bytes.len() > 2 * STREAM_BYTES_MAX {
            self.lost = true;
            self.buffer = Vec::new();
            return;
        }
        self.buffer.extend_from_slice(bytes);
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.next = self.next.map(|next| next.wrapping_add(len));
    }

    fn next_message(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.buffer.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let message = rest.get(..length)?.to_vec();
        self.buffer.drain(..length + 2);
        Some(message)
    }
}

/// Reads one message. A message whose records are cut off or malformed still tells its question.
fn message(datagram: &Datagram<'_>, bytes: &[u8]) -> Option<Dns> {
    let (message, incomplete) = match Message::from_vec(bytes) {
        Ok(message) => (message, datagram.cut),
        Err(_) => (question_only(bytes)?, true),
    };
    let question = message.queries.first()?;
    let kind = match message.metadata.message_type {
        MessageType::Query => DnsMessageKind::Query,
        MessageType::Response => DnsMessageKind::Answer,
    };
    let answered = kind == DnsMessageKind::Answer;
    let incomplete = answered
        && (incomplete || message.metadata.truncation || message.answers.len() > ANSWERS_MAX);
    Some(Dns {
        process: datagram.process,
        pid: datagram.pid,
        message: kind,
        transport: datagram.transport,
        ip: datagram.server,
        port: datagram.port,
        id: message.metadata.id,
        name: name_text(&question.name),
        record_type: type_text(question.query_type),
        rcode: answered.then(|| rcode_text(u16::from(message.metadata.response_code))),
        answers: message
            .answers
            .iter()
            .take(ANSWERS_MAX)
            .map(answer)
            .collect(),
        truncated: if incomplete {
            vec!["answers".to_owned()]
        } else {
            Vec::new()
        },
    })
}

/// The header and the question of a message that does not parse as a whole.
fn question_only(bytes: &[u8]) -> Option<Message> {
    const HEADER: usize = 12;
    let id = u16::from_be_bytes(*bytes.first_chunk()?);
    let flags = *bytes.get(2)?;
    let code = *bytes.get(3)?;
    let kind = if flags & 0x80 == 0 {
        MessageType::Query
    } else {
        MessageType::Response
    };
    bytes.get(HEADER..)?;
    let mut decoder = BinDecoder::new(bytes);
    decoder.read_slice(HEADER).ok()?;
    let queries = Message::read_queries(&mut decoder, 1).ok()?;
    let mut message = Message::new(id, kind, hickory_proto::op::OpCode::Query);
    message.metadata.response_code = hickory_proto::op::ResponseCode::from(0, code & 0x0f);
    message.queries = queries;
    Some(message)
}

fn answer(record: &Record) -> DnsAnswer {
    let mut data = record.data.to_string();
    // Targets (CNAME, NS, PTR) end with the root's dot, which names elsewhere are written without.
    if data.ends_with('.') && data.len() > 1 {
        data.pop();
    }
    if data.len() > DATA_MAX {
        data.truncate(data.floor_char_boundary(DATA_MAX));
    }
    DnsAnswer {
        name: name_text(&record.name),
        record_type: type_text(record.record_type()),
        ttl: record.ttl,
        data,
    }
}

/// A record type's mnemonic, or `TYPE65280` (RFC 3597, section 5).
fn type_text(record_type: RecordType) -> String {
    match record_type {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

fn name_text(name: &Name) -> String {
    let mut text = name.to_lowercase().to_ascii();
    if text.len() > 1 && text.ends_with('.') {
        text.pop();
    }
    text
}

/// IANA's mnemonics of response codes.
fn rcode_text(code: u16) -> String {
    match code {
        0 => "NOERROR".to_owned(),
        1 => "FORMERR".to_owned(),
        2 => "SERVFAIL".to_owned(),
        3 => "NXDOMAIN".to_owned(),
        4 => "NOTIMP".to_owned(),
        5 => "REFUSED".to_owned(),
        9 => "NOTAUTH".to_owned(),
        16 => "BADVERS".to_owned(),
        23 => "BADCOOKIE".to_owned(),
        other => format!("RCODE{other}"),
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{OpCode, Query, ResponseCode};
    use hickory_proto::rr::rdata::{A, CNAME, TXT};
    use hickory_proto::rr::{RData, RecordType};
    use proptest::prelude::*;

    use super::*;

    fn query(id: u16, name: &str) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
        message.to_vec().unwrap()
    }

    fn answer(id: u16, name: &str, data: Vec<RData>) -> Vec<u8> {
        let mut message = Message::new(id, MessageType::Response, OpCode::Query);
        let name = Name::from_ascii(name).unwrap();
        message.add_query(Query::query(name.clone(), RecordType::A));
        message.add_answers(
            data.into_iter()
                .map(|data| Record::from_rdata(name.clone(), 60, data)),
        );
        message.to_vec().unwrap()
    }

    fn datagram(transport: DnsTransport, sequence: u32, payload: &[u8]) -> Datagram<'_> {
        Datagram {
            process: ProcessId(1),
            pid: 10,
            cookie: 7,
            direction: Direction::Egress,
            transport,
            server: IpAddr::from([192, 0, 2, 53]),
            port: 53,
            sequence,
            cut: false,
            payload,
        }
    }

    /// Transport, number of the first byte, content.
    type Piece<'a> = (DnsTransport, u32, &'a [u8]);

    fn decode(pieces: &[Piece<'_>]) -> Vec<Dns> {
        let mut decoder = DnsDecoder::default();
        let mut messages = Vec::new();
        for (transport, sequence, payload) in pieces {
            decoder.datagram(&datagram(*transport, *sequence, payload), &mut |dns| {
                messages.push(dns)
            });
        }
        messages
    }

    fn names(messages: &[Dns]) -> Vec<&str> {
        messages.iter().map(|dns| dns.name.as_str()).collect()
    }

    /// Messages with their length before each, as TCP carries them.
    fn stream(messages: &[Vec<u8>]) -> Vec<u8> {
        let framed = |message: &Vec<u8>| {
            let length = u16::try_from(message.len()).unwrap().to_be_bytes();
            [&length[..], &message[..]].concat()
        };
        messages.iter().flat_map(framed).collect()
    }

    #[test]
    fn a_query_tells_its_question() {
        let messages = decode(&[(DnsTransport::Udp, 0, &query(9, "WWW.Example."))]);
        let [dns] = &messages[..] else {
            panic!("{messages:?}")
        };
        assert_eq!(
            (dns.id, dns.name.as_str(), dns.record_type.as_str()),
            (9, "www.example", "A")
        );
        assert_eq!((dns.message, &dns.rcode), (DnsMessageKind::Query, &None));
    }

    #[test]
    fn an_answer_tells_its_records() {
        let records = vec![
            RData::CNAME(CNAME(Name::from_ascii("cdn.example.").unwrap())),
            RData::A(A::new(198, 51, 100, 7)),
            RData::TXT(TXT::new(vec!["x y".to_owned()])),
        ];
        let messages = decode(&[(DnsTransport::Udp, 0, &answer(9, "www.example.", records))]);
        let [dns] = &messages[..] else {
            panic!("{messages:?}")
        };
        assert_eq!(dns.rcode.as_deref(), Some("NOERROR"));
        let told: Vec<_> = dns
            .answers
            .iter()
            .map(|a| (a.record_type.as_str(), a.data.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("CNAME", "cdn.example"),
                ("A", "198.51.100.7"),
                ("TXT", "x y")
            ]
        );
    }

    #[test]
    fn a_name_of_any_bytes_is_shown_in_ascii() {
        let mut bytes = query(1, "abcd.example.");
        // The label `abcd` stands after the header and its length.
        bytes[13..17].copy_from_slice(b"\x00\x1b.\xff");
        let messages = decode(&[(DnsTransport::Udp, 0, &bytes)]);
        assert_eq!(names(&messages).len(), 1);
        assert!(
            names(&messages)[0]
                .bytes()
                .all(|byte| byte.is_ascii_graphic()),
            "{messages:?}"
        );
    }

    #[test]
    fn a_cut_message_still_tells_its_question() {
        let whole = answer(
            9,
            "www.example.",
            vec![RData::A(A::new(198, 51, 100, 7)); 4],
        );
        let messages = decode(&[(DnsTransport::Udp, 0, &whole[..whole.len() - 5])]);
        let [dns] = &messages[..] else {
            panic!("{messages:?}")
        };
        assert_eq!(
            (dns.name.as_str(), &dns.truncated[..]),
            ("www.example", &["answers".to_owned()][..])
        );
        let mut refused = Message::new(1, MessageType::Response, OpCode::Query);
        refused.metadata.response_code = ResponseCode::NXDomain;
        assert_eq!(
            decode(&[(DnsTransport::Udp, 0, &refused.to_vec().unwrap())]),
            [],
            "no question"
        );
    }

    #[test]
    fn tcp_is_put_back_in_order() {
        let bytes = stream(&[
            query(1, "a.example."),
            query(2, "b.example."),
            query(3, "c.example."),
        ]);
        let tcp = |at: usize, to: usize| {
            // Numbers wrap around inside the stream.
            let sequence = (u32::MAX - 5).wrapping_add(u32::try_from(at).unwrap());
            (DnsTransport::Tcp, sequence, &bytes[at..to])
        };
        let end = bytes.len();
        let expected = ["a.example", "b.example", "c.example"];
        let table: [(&str, Vec<Piece<'_>>); 5] = [
            ("pipelined in one segment", vec![tcp(0, end)]),
            (
                "split inside a length",
                vec![tcp(0, 1), tcp(1, 40), tcp(40, end)],
            ),
            ("out of order", vec![tcp(0, 10), tcp(50, end), tcp(10, 50)]),
            (
                "sent twice",
                vec![tcp(0, 10), tcp(0, 10), tcp(10, end), tcp(10, end)],
            ),
            ("sent again with more", vec![tcp(0, 10), tcp(5, end)]),
        ];
        for (case, pieces) in table {
            assert_eq!(names(&decode(&pieces)), expected, "{case}");
        }
    }

    #[test]
    fn streams_are_bounded() {
        let mut decoder = DnsDecoder::default();
        let payload = [0xff; 4096];
        for cookie in 0..2 * STREAMS_MAX {
            let mut piece = datagram(DnsTransport::Tcp, 0, &payload);
            piece.cookie = u64::try_from(cookie).unwrap();
            decoder.datagram(&piece, &mut |_| {});
        }
        assert_eq!(
            (decoder.streams.len(), decoder.order.len()),
            (STREAMS_MAX, STREAMS_MAX)
        );
        let mut stream = Stream::default();
        for piece in 0..100 {
            stream.segment(piece * 4096, &payload);
        }
        assert!(stream.buffer.len() <= 2 * STREAM_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(
            pieces in proptest::collection::vec(
                (any::<bool>(), any::<u32>(), proptest::collection::vec(any::<u8>(), 0..600)), 0..20)
        ) {
            let pieces: Vec<_> = pieces
                .iter()
                .map(|(tcp, sequence, payload)| {
                    let transport = if *tcp { DnsTransport::Tcp } else { DnsTransport::Udp };
                    (transport, *sequence, &payload[..])
                })
                .collect();
            decode(&pieces);
        }

        #[test]
        fn tcp_gives_every_message_however_it_is_cut(cuts in proptest::collection::vec(0usize..90, 0..8)) {
            let bytes = stream(&[query(1, "a.example."), query(2, "b.example."), query(3, "c.example.")]);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts
                .windows(2)
                .map(|pair| (DnsTransport::Tcp, u32::try_from(pair[0]).unwrap(), &bytes[pair[0]..pair[1]]))
                .collect();
            let messages = decode(&pieces);
            prop_assert_eq!(names(&messages), ["a.example", "b.example", "c.example"]);
        }
    }
}
