//! Where the resolver's decisions come from.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::RecordType;

/// The most addresses that one answer has. Further ones are left out of it: what is not bound can't be reached.
pub const MOST_ADDRESSES: usize = 128;

/// Decides about names, and is told their addresses.
///
/// Both methods are called on the resolver's thread, for each question of each client: a call that takes a
/// millisecond delays every other job by it.
pub trait Gate: Send + Sync + 'static {
    /// May this name be asked for? Called for every question, also where the answer is in the cache, and before
    /// anything goes upstream.
    fn judge(&self, asker: &Asker, question: &Question<'_>) -> Judgement;

    /// These addresses, at least one and at most [`MOST_ADDRESSES`], are about to be answered for a name.
    ///
    /// The name is the one that was asked for, as in [`Question::name`], whatever its aliases. Called before each
    /// answer that has addresses, also from the cache, with the time that is left. When it returns, the kernel knows
    /// those that are kept; the others are taken out of the answer. Here belongs the check for addresses that a
    /// public name should not have (loopback, link-local, private ranges, cloud metadata). On an error the client
    /// gets SERVFAIL and no address.
    fn bind(&self, asker: &Asker, name: &str, addresses: &[Bound]) -> Result<Kept, GateError>;
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The listener that the question came to: the number that was given to [`Resolver::listen`](crate::Resolver::listen).
    pub listener: u64,
    /// UDP or TCP.
    pub transport: Transport,
    /// The client's address and port, as the listener's network namespace sees it.
    pub client: SocketAddr,
}

/// How a question arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In a datagram.
    Udp,
    /// Over a connection.
    Tcp,
}

/// One question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The name: lower case, ASCII, without a final dot; the root is `.`. A byte that is not a letter, digit, `-` or `_`
    /// is escaped with a backslash, a dot inside of a label too, so that different names never look alike.
    pub name: &'a str,
    /// The record type.
    pub kind: Kind,
}

/// A record type, by its number; shown as its mnemonic, or as `TYPE65280`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(pub u16);

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match RecordType::from(self.0) {
            RecordType::Unknown(number) => write!(f, "TYPE{number}"),
            known => write!(f, "{known}"),
        }
    }
}

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is answered.
    Allow,
    /// It is answered with NXDOMAIN, and nothing goes upstream.
    Refuse,
}

/// One address of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The address.
    pub ip: IpAddr,
    /// For how many seconds the client may use it: the least of what is left of the address's own time and that of
    /// every alias on the way to it. May be 0.
    pub ttl: u32,
}

/// Which of the addresses may be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// All of them.
    All,
    /// These and no others.
    Only(Vec<IpAddr>),
}

/// Why addresses could not be bound, as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GateError(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_shown_by_their_mnemonics() {
        for (number, text) in [(1, "A"), (28, "AAAA"), (65, "HTTPS"), (65280, "TYPE65280")] {
            assert_eq!(Kind(number).to_string(), text);
        }
    }
}
