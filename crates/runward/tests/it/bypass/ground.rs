//! Where the attempts take place: a client's namespace, and an internet that writes down what reaches it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use runward_lab::{Answer, Dns, Lab, Tcp, Udp, Wire};

use super::case::holds;

/// The port that servers of the lab have at every address.
const PORT: u16 = 4430;

/// The names that the policy allows, in the lab's name server.
const RECORDS: [(&str, u8); 3] = [
    ("allowed.example", SHARED),
    ("edge.example", SHARED),
    ("*.wild.example", SHARED),
];

pub(super) const NAMESERVER: u8 = 53;
/// Stands for names that the policy allows, and for others.
const SHARED: u8 = 240;
/// Allowed by address.
const ALLOWED: u8 = 250;
/// Allowed by address, for UDP.
const DATAGRAMS: u8 = 251;
/// A network that is allowed, for cases that want an address of their own there.
const FREE: &str = "203.0.113.192/26";

/// One lab with a witness. Each attempt at the whole table has its own, so that nothing is counted twice.
pub(crate) struct Ground {
    pub(crate) lab: Lab,
    pub(crate) wire: Wire,
    dns: Dns,
    /// Listens on every address.
    streams: Vec<Tcp>,
    _datagrams: Udp,
}

impl Ground {
    pub(crate) fn new() -> Ground {
        let lab = Lab::netns().expect("namespaces, as the test requires");
        let wire = lab.wire().expect("a witness");
        let anywhere = |port| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
        let answer = || Answer::Fixed(b"heard".to_vec());
        let streams = [PORT, 80, 443, 853]
            .map(|port| lab.tcp(anywhere(port), answer()).expect("a server"))
            .into();
        let datagrams = lab.udp(anywhere(PORT), Answer::Silent).expect("a server");
        let dns = lab
            .dns((lab.v4(NAMESERVER), 53).into())
            .expect("a name server");
        for (name, host) in RECORDS {
            dns.address(name, 300, &[lab.v4(host).into()])
                .expect("a name");
        }
        for (name, address) in [
            ("metadata.wild.example", [169, 254, 169, 254]),
            ("private.wild.example", [10, 1, 2, 3]),
            ("loopback.wild.example", [127, 0, 0, 1]),
        ] {
            dns.address(name, 300, &[Ipv4Addr::from(address).into()])
                .expect("a name");
        }
        for (alias, target) in [
            ("chain.example", "second.example"),
            ("second.example", "edge.example"),
        ] {
            dns.alias(alias, 300, target).expect("a name");
        }
        lab.set_nameservers(&[lab.v4(NAMESERVER).into()])
            .expect("a resolv.conf");
        Ground {
            lab,
            wire,
            dns,
            streams,
            _datagrams: datagrams,
        }
    }

    /// How many packets have come to an address.
    pub(crate) fn packets(&self, address: &str) -> usize {
        let address: IpAddr = address.parse().expect("an address");
        self.wire.to(address).expect("a complete log").len()
    }

    /// What the policy of all attempts allows.
    pub(crate) fn policy(&self) -> String {
        [
            "allowed.example:80".to_owned(),
            "allowed.example:443".to_owned(),
            format!("allowed.example:{PORT}"),
            format!("chain.example:{PORT}"),
            format!("*.wild.example:{PORT}"),
            format!("{}:{PORT}", self.allowed_v4()),
            format!("[{}]:{PORT}", self.allowed_v6()),
            format!("{}:{PORT}/udp", self.udp_v4()),
            format!("[{}]:{PORT}/udp", self.udp_v6()),
            format!("{FREE}:{PORT}"),
            format!("{FREE}:{PORT}/udp"),
        ]
        .join(" ")
    }

    pub(crate) fn dns(&self) -> &Dns {
        &self.dns
    }

    pub(crate) fn nameserver(&self) -> Ipv4Addr {
        self.lab.v4(NAMESERVER)
    }

    pub(crate) fn shared(&self) -> Ipv4Addr {
        self.lab.v4(SHARED)
    }

    pub(crate) fn allowed_v4(&self) -> Ipv4Addr {
        self.lab.v4(ALLOWED)
    }

    pub(crate) fn allowed_v6(&self) -> Ipv6Addr {
        self.lab.v6(ALLOWED.into())
    }

    pub(crate) fn udp_v4(&self) -> Ipv4Addr {
        self.lab.v4(DATAGRAMS)
    }

    pub(crate) fn udp_v6(&self) -> Ipv6Addr {
        self.lab.v6(DATAGRAMS.into())
    }

    /// An allowed address that one case may do with as it likes.
    #[expect(clippy::unused_self, reason = "it is asked like the others")]
    pub(crate) fn free(&self, number: u16) -> Ipv4Addr {
        let host = u8::try_from(number % 64).unwrap_or_default();
        Ipv4Addr::new(203, 0, 113, 192 + host)
    }

    /// The file by which a process enters the client's namespace.
    pub(crate) fn client(&self) -> String {
        let file = self.lab.client_file().expect("a lab with namespaces");
        file.display().to_string()
    }

    /// How often the name server was asked for this name.
    pub(crate) fn asked(&self, name: &str) -> u64 {
        let asked = self.dns.asked();
        let matching = asked
            .iter()
            .filter(|question| question.name.eq_ignore_ascii_case(name));
        matching.count() as u64
    }

    /// Over how many connections a server got these bytes.
    pub(crate) fn heard(&self, bytes: &[u8]) -> u64 {
        let connections = self.streams.iter().flat_map(Tcp::received);
        connections
            .filter(|connection| holds(&connection.first, bytes))
            .count() as u64
    }

    /// How many bytes the servers at an address got over all connections.
    pub(crate) fn bytes_at(&self, address: IpAddr) -> u64 {
        let connections = self.streams.iter().flat_map(Tcp::received);
        connections
            .filter(|connection| connection.to.ip().to_canonical() == address)
            .map(|connection| connection.received)
            .sum()
    }
}
