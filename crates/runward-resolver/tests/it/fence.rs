//! A resolver in front of servers of the test's choice, behind a gate that the test can move, and clients of it.

use std::collections::HashSet;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runward_lab::hickory::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use runward_lab::hickory::rr::{Name, RecordType};
use runward_resolver::{
    Asker, Bound, Gate, GateError, Judgement, Kept, Listening, Options, Question, Resolver,
    Upstreams,
};

use crate::PATIENCE;

/// What the tests' listener is called.
pub(crate) const LISTENER: u64 = 42;

/// A gate that remembers what it was told.
#[derive(Default)]
pub(crate) struct Doorman {
    pub(crate) judged: Mutex<Vec<(Asker, String, String)>>,
    pub(crate) bound: Mutex<Vec<(String, Vec<Bound>)>>,
    /// Names that may not be asked.
    pub(crate) refused: Mutex<HashSet<String>>,
    /// Addresses that may not be bound.
    pub(crate) unwanted: Mutex<HashSet<IpAddr>>,
    /// Nothing can be bound.
    pub(crate) broken: Mutex<bool>,
    /// Tells that it is binding, and waits until it may go on.
    pub(crate) held: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

impl Gate for Doorman {
    fn judge(&self, asker: &Asker, question: &Question<'_>) -> Judgement {
        let name = question.name.to_owned();
        let refuse = self.refused.lock().unwrap().contains(&name);
        let entry = (*asker, name, question.kind.to_string());
        self.judged.lock().unwrap().push(entry);
        if refuse {
            Judgement::Refuse
        } else {
            Judgement::Allow
        }
    }

    fn bind(&self, _: &Asker, name: &str, addresses: &[Bound]) -> Result<Kept, GateError> {
        if let Some((binding, go_on)) = &*self.held.lock().unwrap() {
            binding.send(()).unwrap();
            go_on.recv_timeout(PATIENCE).unwrap();
        }
        if *self.broken.lock().unwrap() {
            return Err(GateError("the map is full".to_owned()));
        }
        let unwanted = self.unwanted.lock().unwrap();
        let kept: Vec<Bound> = addresses
            .iter()
            .copied()
            .filter(|bound| !unwanted.contains(&bound.ip))
            .collect();
        let ips = kept.iter().map(|bound| bound.ip).collect();
        let all = kept.len() == addresses.len();
        self.bound.lock().unwrap().push((name.to_owned(), kept));
        Ok(if all { Kept::All } else { Kept::Only(ips) })
    }
}

impl Doorman {
    pub(crate) fn refuse(&self, name: &str) {
        self.refused.lock().unwrap().insert(name.to_owned());
    }

    /// The names and types that were judged.
    pub(crate) fn questions(&self) -> Vec<String> {
        let judged = self.judged.lock().unwrap();
        judged
            .iter()
            .map(|(_, name, kind)| format!("{name} {kind}"))
            .collect()
    }

    /// What was bound, as text.
    pub(crate) fn bindings(&self) -> Vec<String> {
        let bound = self.bound.lock().unwrap();
        let told = bound.iter().map(|(name, addresses)| {
            let addresses = addresses
                .iter()
                .map(|one| format!(" {}/{}", one.ip, one.ttl));
            addresses.fold(name.clone(), |text, one| text + &one)
        });
        told.collect()
    }
}

/// A resolver with one listener.
pub(crate) struct Fence {
    pub(crate) gate: Arc<Doorman>,
    pub(crate) resolver: Resolver,
    pub(crate) at: SocketAddr,
    pub(crate) listening: Option<Listening>,
}

impl Fence {
    pub(crate) fn new(servers: &[SocketAddr]) -> Fence {
        Fence::with(Upstreams::new(servers.to_vec()), None)
    }

    pub(crate) fn with(upstreams: Upstreams, at: Option<SocketAddr>) -> Fence {
        let gate = Arc::new(Doorman::default());
        let resolver = Resolver::start(&Options { upstreams }, Arc::clone(&gate) as _).unwrap();
        let (datagrams, connections) = match at {
            Some(at) => (UdpSocket::bind(at).unwrap(), TcpListener::bind(at).unwrap()),
            None => sockets(),
        };
        let at = datagrams.local_addr().unwrap();
        let listening = resolver.listen(LISTENER, datagrams, connections).unwrap();
        Fence {
            gate,
            resolver,
            at,
            listening: Some(listening),
        }
    }

    /// Sends a question in a datagram and waits for the answer.
    pub(crate) fn ask(&self, name: &str, kind: RecordType) -> Message {
        self.send(&question(name, kind, |_| {}))
    }

    pub(crate) fn send(&self, message: &Message) -> Message {
        let socket = self.client();
        socket.send(&message.to_vec().unwrap()).unwrap();
        receive(&socket)
    }

    /// A socket that talks to the resolver.
    pub(crate) fn client(&self) -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect(self.at).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

/// Both sockets on one free port.
pub(crate) fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        if let Ok(connections) = TcpListener::bind(datagrams.local_addr().unwrap()) {
            return (datagrams, connections);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

/// Upstreams that are given up on soon.
pub(crate) fn hasty(servers: &[SocketAddr]) -> Upstreams {
    let mut upstreams = Upstreams::new(servers.to_vec());
    upstreams.timeout = Duration::from_millis(500);
    upstreams.attempts = 1;
    upstreams
}

pub(crate) fn question(name: &str, kind: RecordType, change: impl FnOnce(&mut Message)) -> Message {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    change(&mut message);
    message
}

pub(crate) fn with_edns(message: &mut Message) {
    let mut edns = Edns::new();
    edns.set_max_payload(4096);
    message.set_edns(edns);
}

pub(crate) fn receive(socket: &UdpSocket) -> Message {
    let mut buffer = vec![0; 65_536];
    let count = socket.recv(&mut buffer).unwrap();
    Message::from_vec(&buffer[..count]).unwrap()
}

pub(crate) fn write_framed(stream: &mut TcpStream, message: &Message) {
    let bytes = message.to_vec().unwrap();
    let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], &bytes].concat()).unwrap();
}

pub(crate) fn read_framed(stream: &mut TcpStream) -> Message {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut bytes).unwrap();
    Message::from_vec(&bytes).unwrap()
}

/// The code and the answers of a message, as text without times.
pub(crate) fn told(message: &Message) -> String {
    let mut told = code_text(message.metadata.response_code);
    for record in &message.answers {
        told += &format!(" {}", record.data);
    }
    told
}

fn code_text(code: ResponseCode) -> String {
    match code {
        ResponseCode::NoError => "ok".to_owned(),
        ResponseCode::NXDomain => "nxdomain".to_owned(),
        ResponseCode::ServFail => "servfail".to_owned(),
        ResponseCode::Refused => "refused".to_owned(),
        ResponseCode::FormErr => "formerr".to_owned(),
        ResponseCode::NotImp => "notimp".to_owned(),
        other => format!("{other}"),
    }
}

/// The extended error of a message (RFC 8914), if it has one.
pub(crate) fn extended_error(message: &Message) -> Option<u16> {
    use runward_lab::hickory::rr::rdata::opt::{EdnsCode, EdnsOption};
    let option = message.edns.as_ref()?.option(EdnsCode::Unknown(15))?;
    let EdnsOption::Unknown(15, bytes) = option else {
        return None;
    };
    Some(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]))
}
