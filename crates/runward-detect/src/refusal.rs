use std::net::IpAddr;

use runward_event::{
    BlockListEntry, Body, Connect, ConnectionId, ProcessId, Protocol, Reason, Refused, Status,
};

/// Something of the job that the fence stopped, whichever kind of event tells it.
///
/// What it quotes comes from the job and is not made harmless here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The connection that was stopped after it was let through at first; nothing for all others.
    pub stopped: Option<ConnectionId>,
    /// Who asked, or used the socket last.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The peer's address; for a question to DNS, the server that was asked.
    pub ip: IpAddr,
    /// The peer's port.
    pub port: u16,
    /// The name that the address was looked up under, that the stream said, or that DNS was asked for.
    pub name: Option<&'a str>,
    /// Why.
    pub reason: Reason,
    /// The entry of a block list that stopped it, if one did.
    pub listed: Option<&'a BlockListEntry>,
}

/// Where DNS servers listen (RFC 1035, section 4.2).
const DNS_PORT: u16 = 53;

impl<'a> Refusal<'a> {
    /// The refusal that an event tells of, if it is one.
    pub fn of(body: &'a Body) -> Option<Refusal<'a>> {
        match body {
            Body::Connect(connect) => Refusal::of_connect(connect),
            Body::Refused(refused) => Some(Refusal::of_refused(refused)),
            _ => None,
        }
    }

    /// The refusal of a request for a connection; nothing when it went ahead.
    pub fn of_connect(connect: &'a Connect) -> Option<Refusal<'a>> {
        (connect.status == Status::Blocked).then_some(Refusal {
            stopped: None,
            process: connect.process,
            pid: connect.pid,
            protocol: connect.protocol,
            ip: connect.ip,
            port: connect.port,
            name: connect.name.as_deref(),
            // Every writer gives one; a record is taken as it is all the same.
            reason: connect.reason.unwrap_or(Reason::Other),
            listed: connect.listed.as_deref(),
        })
    }

    /// The refusal of something else: a stream in its first bytes, a question to DNS, or a packet.
    pub fn of_refused(refused: &'a Refused) -> Refusal<'a> {
        Refusal {
            stopped: refused.connection,
            process: refused.process,
            pid: refused.pid,
            protocol: refused.protocol,
            ip: refused.ip,
            port: refused.port,
            name: refused.name.as_deref(),
            reason: refused.reason,
            listed: refused.listed.as_deref(),
        }
    }

    /// Whether a question to DNS was refused: then the destination is the name, and no address is known.
    pub fn is_lookup(&self) -> bool {
        // A connection to port 53 is led to the resolver, so what is refused there with a name is a question.
        self.stopped.is_none() && self.port == DNS_PORT && self.name.is_some()
    }

    /// Whether it is known where it was to go. A raw socket is refused before it has a peer.
    pub fn has_peer(&self) -> bool {
        self.name.is_some() || has_peer(self.ip, self.port)
    }

    /// Where it was to go: `name:port`, `ip:port`, or for a question to DNS the name alone.
    pub fn destination(&self) -> String {
        match self.name {
            Some(name) if self.is_lookup() => name.to_owned(),
            name => destination(name, self.ip, self.port, self.protocol),
        }
    }
}

/// `name:port`, or `ip:port` when no name is known; without the port where the protocol has none. A socket that was
/// refused before it had a peer is called `raw socket`.
pub fn destination(name: Option<&str>, ip: IpAddr, port: u16, protocol: Protocol) -> String {
    let host = match (name, ip) {
        (Some(name), _) => name.to_owned(),
        (None, ip) if !has_peer(ip, port) => return socket(protocol).to_owned(),
        (None, IpAddr::V6(ip)) if port != 0 => format!("[{ip}]"),
        (None, ip) => ip.to_string(),
    };
    match port {
        0 => host,
        port => format!("{host}:{port}"),
    }
}

fn has_peer(ip: IpAddr, port: u16) -> bool {
    port != 0 || !ip.is_unspecified()
}

fn socket(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp socket",
        Protocol::Udp => "udp socket",
        Protocol::Icmp => "icmp socket",
        Protocol::Sctp => "sctp socket",
        Protocol::Raw => "raw socket",
        _ => "socket of another protocol",
    }
}

/// Why the fence stopped something, as a clause that stands after a colon: in small letters, without a full stop.
pub fn reason_sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::NotAllowed => "no line of the policy allows it",
        Reason::Denied => "a line of the policy denies it, and denying wins",
        Reason::Expired => {
            "the name that allows this address was looked up too long ago: look it up again before connecting"
        }
        Reason::Protocol => {
            "raw sockets, and protocols other than TCP, UDP and ping, are refused in block mode"
        }
        Reason::LocalService => {
            "the service that listens there on this machine was not started by the job"
        }
        Reason::NoRoom => "the fence has no room to follow one more peer",
        Reason::Unreadable => "the packet could not be read",
        Reason::Inbound => "the connection was made from outside of the job",
        Reason::SniMismatch => "the TLS stream asks for a host that is not allowed",
        Reason::NoSni => "the TLS stream names no host, and its address is allowed by name only",
        Reason::EncryptedClientHello => {
            "the TLS stream hides the host that it asks for (Encrypted Client Hello)"
        }
        Reason::HostMismatch => "the HTTP request is for a host that is not allowed",
        Reason::HttpUnclear => {
            "the HTTP request names no host, or can be read in more than one way"
        }
        Reason::HttpUpgrade => {
            "the stream changes to HTTP/2 without TLS or to another protocol, and what follows can't be judged"
        }
        Reason::FirstBytes => "the beginning of the stream is broken",
        Reason::DnsTunnel => {
            "so many names were asked for below one pattern of the policy that it could be a tunnel"
        }
        Reason::BlockList => "it is on a block list",
        _ => "for a reason that this version of Runward does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reason there is; the match fails to compile in nobody's crate but ours when one is added, so the count
    /// here is compared with the schema of events.
    const ALL: [Reason; 18] = [
        Reason::NotAllowed,
        Reason::Denied,
        Reason::Expired,
        Reason::Protocol,
        Reason::LocalService,
        Reason::NoRoom,
        Reason::Unreadable,
        Reason::Inbound,
        Reason::SniMismatch,
        Reason::NoSni,
        Reason::EncryptedClientHello,
        Reason::HostMismatch,
        Reason::HttpUnclear,
        Reason::HttpUpgrade,
        Reason::FirstBytes,
        Reason::DnsTunnel,
        Reason::BlockList,
        Reason::Other,
    ];

    #[test]
    fn every_reason_has_a_sentence_of_its_own() {
        let schema = serde_json::to_value(runward_event::event_schema()).unwrap();
        let known = schema["$defs"]["Reason"]["oneOf"].as_array().unwrap().len();
        assert_eq!(ALL.len(), known, "a reason is missing in this test");

        let mut sentences: Vec<&str> = ALL.iter().copied().map(reason_sentence).collect();
        for sentence in &sentences {
            assert!(sentence.starts_with(char::is_alphabetic) && !sentence.ends_with('.'));
        }
        sentences.sort_unstable();
        sentences.dedup();
        assert_eq!(sentences.len(), ALL.len());
    }

    #[test]
    fn a_destination_is_called_by_its_name_first() {
        for (name, ip, port, protocol, shown) in [
            (
                Some("a.example"),
                "192.0.2.1",
                443,
                Protocol::Tcp,
                "a.example:443",
            ),
            (None, "192.0.2.1", 443, Protocol::Tcp, "192.0.2.1:443"),
            (None, "2001:db8::1", 443, Protocol::Udp, "[2001:db8::1]:443"),
            (None, "2001:db8::1", 0, Protocol::Icmp, "2001:db8::1"),
            (
                Some("a.example"),
                "2001:db8::1",
                0,
                Protocol::Icmp,
                "a.example",
            ),
            (None, "::", 0, Protocol::Raw, "raw socket"),
            (None, "0.0.0.0", 0, Protocol::Sctp, "sctp socket"),
            (None, "0.0.0.0", 80, Protocol::Tcp, "0.0.0.0:80"),
        ] {
            assert_eq!(
                destination(name, ip.parse().unwrap(), port, protocol),
                shown
            );
        }
    }

    #[test]
    fn only_a_name_at_port_53_without_a_connection_is_a_question() {
        let question = Refused {
            connection: None,
            process: ProcessId(1),
            pid: 1,
            protocol: Protocol::Udp,
            ip: "192.0.2.53".parse().unwrap(),
            port: 53,
            name: Some("a.example".to_owned()),
            reason: Reason::NotAllowed,
            listed: None,
        };
        let check = |edit: fn(&mut Refused)| {
            let mut refused = question.clone();
            edit(&mut refused);
            let refusal = Refusal::of_refused(&refused);
            (refusal.is_lookup(), refusal.destination())
        };
        assert_eq!(check(|_| ()), (true, "a.example".to_owned()));
        assert_eq!(
            check(|refused| refused.connection = Some(ConnectionId(1))),
            (false, "a.example:53".to_owned())
        );
        assert_eq!(
            check(|refused| refused.name = None),
            (false, "192.0.2.53:53".to_owned())
        );
        assert_eq!(
            check(|refused| refused.port = 853),
            (false, "a.example:853".to_owned())
        );
    }
}
