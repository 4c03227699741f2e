//! DNS messages by hand: questions, and what is not quite one.

use runward_lab::hickory::op::{Message, MessageType, OpCode, Query};
use runward_lab::hickory::rr::rdata::opt::{EdnsCode, EdnsOption};
use runward_lab::hickory::rr::{DNSClass, Name, RecordType};

/// Text that no honest message holds.
pub(crate) fn mark(number: u16) -> Vec<u8> {
    format!("carried-away-{number:03}").into_bytes()
}

fn query(name: &str) -> Query {
    Query::query(Name::from_ascii(name).expect("a name"), RecordType::A)
}

fn message(name: &str) -> Message {
    let mut message = Message::new(0x5257, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(query(name));
    message
}

fn encode(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a message")
}

/// A question about an allowed name, with an option that carries something else.
pub(crate) fn option(carried: &[u8]) -> Vec<u8> {
    let mut message = message("allowed.example.");
    let mut edns = runward_lab::hickory::op::Edns::new();
    edns.set_max_payload(1232);
    let code = EdnsCode::from(65_001);
    edns.options_mut()
        .insert(EdnsOption::Unknown(code.into(), carried.to_vec()));
    message.set_edns(edns);
    encode(&message)
}

/// A question, and more after its end.
pub(crate) fn trailing(carried: &[u8]) -> Vec<u8> {
    [encode(&message("allowed.example.")), carried.to_vec()].concat()
}

/// An allowed question, and another one behind it.
pub(crate) fn two_questions(second: &str) -> Vec<u8> {
    let mut message = message("allowed.example.");
    message.add_query(query(second));
    encode(&message)
}

/// An answer that nobody asked for.
pub(crate) fn response(name: &str) -> Vec<u8> {
    let mut message = message(name);
    message.metadata.message_type = MessageType::Response;
    encode(&message)
}

pub(crate) fn update(name: &str) -> Vec<u8> {
    let mut message = message(name);
    message.metadata.op_code = OpCode::Update;
    encode(&message)
}

pub(crate) fn chaos(name: &str) -> Vec<u8> {
    let mut message = message(name);
    for query in &mut message.queries {
        query.set_query_class(DNSClass::CH);
    }
    encode(&message)
}

/// As it goes over TCP.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).expect("a short message");
    [&length.to_be_bytes(), message].concat()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
