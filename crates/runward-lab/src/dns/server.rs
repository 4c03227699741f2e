//! The sockets of a DNS server: datagrams, and connections with any number of questions.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::zone::Zone;
use super::{Behaviour, Question, Transport};
use crate::log::Log;
use crate::service;

/// The least that every client takes in a datagram.
const SMALLEST_DATAGRAM: usize = 512;

/// The most that this server sends in a datagram, and says so: it fits any path without fragments.
const LARGEST_DATAGRAM: u16 = 1232;

/// Answers that are being held back for a while, at most; further questions are dropped.
const MOST_DELAYED: usize = 1024;

/// A connection that asks nothing is closed after this.
const IDLE: Duration = Duration::from_secs(10);

/// The longest that an answer is held back.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

pub(super) async fn serve(
    datagrams: UdpSocket,
    listener: TcpListener,
    zone: Arc<Mutex<Zone>>,
    log: Log<Question>,
) {
    let desk = Desk { zone, log };
    let connections = {
        let desk = desk.clone();
        service::accept(listener, move |stream, peer| {
            let desk = desk.clone();
            async move {
                // A client that breaks off is nothing unusual.
                let _ = serve_connection(stream, peer.from, desk).await;
            }
        })
    };
    tokio::join!(serve_datagrams(Arc::new(datagrams), desk), connections);
}

async fn serve_datagrams(socket: Arc<UdpSocket>, desk: Desk) {
    let mut buffer = vec![0; 65_536];
    let mut delayed = JoinSet::new();
    loop {
        while delayed.try_join_next().is_some() {}
        // An error here is an ICMP message about an earlier answer: the client has gone.
        let Ok((count, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let question = buffer.get(..count).unwrap_or_default();
        let Some(reply) = desk.reply(question, from, Transport::Udp) else {
            continue;
        };
        match reply.after {
            None => {
                let _ = socket.send_to(&reply.bytes, from).await;
            }
            Some(time) if delayed.len() < MOST_DELAYED => {
                let socket = Arc::clone(&socket);
                delayed.spawn(async move {
                    sleep(time).await;
                    let _ = socket.send_to(&reply.bytes, from).await;
                });
            }
            Some(_) => {}
        }
    }
}

async fn serve_connection(
    mut stream: TcpStream,
    from: SocketAddr,
    desk: Desk,
) -> std::io::Result<()> {
    loop {
        let Ok(length) = timeout(IDLE, stream.read_u16()).await else {
            return Ok(());
        };
        let mut question = vec![0; usize::from(length?)];
        let Ok(read) = timeout(IDLE, stream.read_exact(&mut question)).await else {
            return Ok(());
        };
        read?;
        let Some(reply) = desk.reply(&question, from, Transport::Tcp) else {
            continue;
        };
        if let Some(time) = reply.after {
            sleep(time).await;
        }
        let Ok(length) = u16::try_from(reply.bytes.len()) else {
            continue;
        };
        let framed = [&length.to_be_bytes(), reply.bytes.as_slice()].concat();
        stream.write_all(&framed).await?;
    }
}

/// Where questions are answered and written down.
#[derive(Clone)]
struct Desk {
    zone: Arc<Mutex<Zone>>,
    log: Log<Question>,
}

struct Reply {
    bytes: Vec<u8>,
    after: Option<Duration>,
}

impl Desk {
    fn reply(&self, bytes: &[u8], from: SocketAddr, transport: Transport) -> Option<Reply> {
        let mut entry = Question {
            from,
            transport,
            name: String::new(),
            kind: String::new(),
            code: None,
            answers: 0,
            truncated: false,
        };
        let reply = self.answer(bytes, &mut entry);
        self.log.push(entry);
        reply
    }

    fn answer(&self, bytes: &[u8], entry: &mut Question) -> Option<Reply> {
        let Ok(message) = Message::from_vec(bytes) else {
            entry.code = Some(ResponseCode::FormErr);
            // Without an identifier there is nobody to answer.
            let id = u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]);
            let error = Message::error_msg(id, OpCode::Query, ResponseCode::FormErr);
            return Some(Reply {
                bytes: error.to_vec().ok()?,
                after: None,
            });
        };
        if message.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut response = Message::response(message.metadata.id, message.metadata.op_code);
        response.metadata.recursion_desired = message.metadata.recursion_desired;
        response.metadata.recursion_available = true;
        response.add_queries(message.queries.iter().cloned());
        if message.edns.is_some() {
            let mut edns = Edns::new();
            edns.set_max_payload(LARGEST_DATAGRAM);
            response.set_edns(edns);
        }

        let mut after = None;
        match message.queries.as_slice() {
            [query] if message.metadata.op_code == OpCode::Query => {
                entry.name = query.name().to_ascii().trim_end_matches('.').to_owned();
                entry.kind = query.query_type().to_string();
                let mut zone = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
                match zone.behaviour(query.name()) {
                    Behaviour::Silent => return None,
                    Behaviour::Fail(code) => response.metadata.response_code = code,
                    Behaviour::TruncateUdp if entry.transport == Transport::Udp => {
                        response.metadata.truncation = true;
                    }
                    behaviour => {
                        if let Behaviour::Delay(time) = behaviour {
                            after = Some(time.min(LONGEST_DELAY));
                        }
                        let found = zone.find(query.name(), query.query_type());
                        response.metadata.response_code = found.code;
                        if found.records.is_empty() {
                            response.add_authority(no_such_record());
                        }
                        response.add_answers(found.records);
                    }
                }
            }
            [_] => response.metadata.response_code = ResponseCode::NotImp,
            _ => response.metadata.response_code = ResponseCode::FormErr,
        }

        let mut encoded = response.to_vec().ok()?;
        let room = match (entry.transport, &message.edns) {
            (Transport::Tcp, _) => usize::from(u16::MAX),
            (Transport::Udp, None) => SMALLEST_DATAGRAM,
            (Transport::Udp, Some(edns)) => {
                usize::from(edns.max_payload().min(LARGEST_DATAGRAM)).max(SMALLEST_DATAGRAM)
            }
        };
        if encoded.len() > room {
            response = response.truncate();
            encoded = response.to_vec().ok()?;
        }
        entry.code = Some(response.metadata.response_code);
        entry.answers = response.answers.len();
        entry.truncated = response.metadata.truncation;
        Some(Reply {
            bytes: encoded,
            after,
        })
    }
}

/// The record that lets a client remember for a moment that there is nothing.
fn no_such_record() -> Record {
    let soa = SOA::new(Name::root(), Name::root(), 1, 3600, 600, 86_400, 1);
    Record::from_rdata(Name::root(), 1, RData::SOA(soa))
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::Query;
    use hickory_proto::rr::RecordType;
    use proptest::prelude::*;

    use super::*;

    fn desk() -> Desk {
        Desk {
            zone: Arc::default(),
            log: Log::new(),
        }
    }

    fn source() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 53))
    }

    proptest! {
        /// Whatever comes, there is one entry in the log, and an answer goes to whoever asked.
        #[test]
        fn any_bytes_are_survived(mut bytes: Vec<u8>, as_query: bool) {
            if let (true, Some(flags)) = (as_query, bytes.get_mut(2)) {
                *flags &= 0x7f;
            }
            let desk = desk();
            let reply = desk.reply(&bytes, source(), Transport::Udp);
            prop_assert_eq!(desk.log.all().len(), 1);
            if let Some(reply) = reply {
                prop_assert_eq!(reply.bytes.get(..2), bytes.get(..2));
                prop_assert!(reply.bytes.len() <= usize::from(LARGEST_DATAGRAM));
            }
        }
    }

    #[test]
    fn answers_and_odd_questions() {
        let query = || Query::query(Name::from_ascii("a.example.").unwrap(), RecordType::A);
        let answer = Message::response(7, OpCode::Query);
        let mut update = Message::new(7, MessageType::Query, OpCode::Update);
        update.add_query(query());
        let mut twice = Message::new(7, MessageType::Query, OpCode::Query);
        twice.add_query(query()).add_query(query());
        let none = Message::new(7, MessageType::Query, OpCode::Query);
        for (message, expected) in [
            // To answer an answer could go on for ever between two servers.
            (answer, None),
            (update, Some(ResponseCode::NotImp)),
            (twice, Some(ResponseCode::FormErr)),
            (none, Some(ResponseCode::FormErr)),
        ] {
            let reply = desk().reply(&message.to_vec().unwrap(), source(), Transport::Udp);
            let code = reply.map(|reply| {
                Message::from_vec(&reply.bytes)
                    .unwrap()
                    .metadata
                    .response_code
            });
            assert_eq!(code, expected);
        }
    }
}
