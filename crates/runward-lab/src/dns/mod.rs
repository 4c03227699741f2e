//! A DNS server that answers for the whole internet with what a test told it.
//!
//! It is a loop around hickory's message codec and not hickory's own server: that one does not show the handler
//! malformed messages, and chooses itself when an answer is truncated.

mod server;
mod zone;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::net::{TcpListener, UdpSocket};

use crate::error::LabError;
use crate::lab::{Internet, Running};
use crate::log::Log;
use crate::{tcp, udp};
use zone::Zone;

/// A DNS server in a lab, on UDP and TCP. It stops when it is dropped.
///
/// Names are those of any zone; `*.parent` stands for all names below the parent that have no entry of their own.
/// Names without an entry do not exist (NXDOMAIN). Aliases are followed, as a recursive server does.
#[derive(Debug)]
pub struct Dns {
    at: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    log: Log<Question>,
    _running: Running,
}

/// How a question arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// One question that the server was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The client.
    pub from: SocketAddr,
    /// UDP or TCP.
    pub transport: Transport,
    /// The name as it was written, without the final dot. Empty if the message could not be understood.
    pub name: String,
    /// The record type, such as `AAAA`. Empty if the message could not be understood.
    pub kind: String,
    /// What the answer's code was; `None` if none was given.
    pub code: Option<ResponseCode>,
    /// How many records the answer had.
    pub answers: usize,
    /// Whether the answer was truncated, to make the client ask again over TCP.
    pub truncated: bool,
}

/// What a name does instead of, or before, answering.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Answers with its records.
    #[default]
    Answer,
    /// Answers over UDP with nothing but the truncation flag; over TCP with its records.
    TruncateUdp,
    /// Answers with this code and no records.
    Fail(ResponseCode),
    /// Never answers.
    Silent,
    /// Answers with its records after this time.
    Delay(Duration),
}

impl Dns {
    /// Where the server listens, with the real port if 0 was asked for.
    #[must_use]
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// The questions so far, in the order in which they came.
    #[must_use]
    pub fn asked(&self) -> Vec<Question> {
        self.log.all()
    }

    /// The log of questions, to wait on.
    #[must_use]
    pub fn log(&self) -> &Log<Question> {
        &self.log
    }

    /// Gives a name these addresses, and no others: A and AAAA records.
    pub fn address(&self, name: &str, ttl: u32, addresses: &[IpAddr]) -> Result<(), LabError> {
        let parsed = parse(name)?;
        let mut zone = self.zone();
        zone.clear(&parsed, RecordType::A);
        zone.clear(&parsed, RecordType::AAAA);
        zone.add(
            &parsed,
            ttl,
            addresses.iter().map(|address| match address {
                IpAddr::V4(v4) => RData::A(A(*v4)),
                IpAddr::V6(v6) => RData::AAAA(AAAA(*v6)),
            }),
        );
        Ok(())
    }

    /// Makes a name an alias (CNAME) of another.
    pub fn alias(&self, name: &str, ttl: u32, target: &str) -> Result<(), LabError> {
        let target = parse(target)?;
        self.set(name, ttl, vec![RData::CNAME(CNAME(target))])
    }

    /// Gives a name these TXT records, of one string each.
    pub fn text(&self, name: &str, ttl: u32, texts: &[&str]) -> Result<(), LabError> {
        let records = texts
            .iter()
            .map(|text| RData::TXT(TXT::new(vec![(*text).to_owned()])));
        self.set(name, ttl, records.collect())
    }

    /// Gives a name any records. They replace those that the name has of the same types.
    pub fn set(&self, name: &str, ttl: u32, records: Vec<RData>) -> Result<(), LabError> {
        let parsed = parse(name)?;
        let mut zone = self.zone();
        for record in &records {
            zone.clear(&parsed, record.record_type());
        }
        zone.add(&parsed, ttl, records);
        Ok(())
    }

    /// Removes a name.
    pub fn remove(&self, name: &str) -> Result<(), LabError> {
        let parsed = parse(name)?;
        self.zone().remove(&parsed);
        Ok(())
    }

    /// From now on each answer for the name has only `take` of the matching records, the next ones each time.
    pub fn rotate(&self, name: &str, take: usize) -> Result<(), LabError> {
        let parsed = parse(name)?;
        self.zone().rotate(&parsed, take);
        Ok(())
    }

    /// Sets what the name does when it is asked for, whatever the type.
    pub fn behave(&self, name: &str, behaviour: Behaviour) -> Result<(), LabError> {
        let parsed = parse(name)?;
        self.zone().behave(&parsed, behaviour);
        Ok(())
    }

    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn start(internet: &Internet, at: SocketAddr) -> Result<Dns, LabError> {
    let (datagrams, listener, at) = open(internet, at)?;
    let zone = Arc::new(Mutex::new(Zone::default()));
    let log = Log::new();
    let server = server::serve(datagrams, listener, Arc::clone(&zone), log.clone());
    Ok(Dns {
        at,
        zone,
        log,
        _running: internet.serve(server),
    })
}

/// Opens both sockets on the same port. A free UDP port may be taken on TCP, so port 0 is tried a few times.
fn open(
    internet: &Internet,
    at: SocketAddr,
) -> Result<(UdpSocket, TcpListener, SocketAddr), LabError> {
    let mut tries = if at.port() == 0 { 16 } else { 1 };
    loop {
        tries -= 1;
        let (datagrams, bound) = udp::open(internet, at)?;
        match tcp::listen(internet, bound) {
            Ok((listener, bound)) => return Ok((datagrams, listener, bound)),
            Err(error) if tries == 0 => return Err(error),
            Err(_) => {}
        }
    }
}

fn parse(name: &str) -> Result<Name, LabError> {
    let parsed = Name::from_ascii(name).map_err(|error| LabError::Name {
        name: name.to_owned(),
        reason: error.to_string(),
    })?;
    let mut lower = parsed.to_lowercase();
    lower.set_fqdn(true);
    Ok(lower)
}
