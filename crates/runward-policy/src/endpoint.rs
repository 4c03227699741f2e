use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::name::Name;
use crate::pattern::NamePattern;
use crate::ports::PortSet;

/// Where a rule allows or denies traffic to: a host, ports and transports.
///
/// Displayed in its canonical spelling, which [`Endpoint::parse`] reads back to the same endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The hosts.
    pub host: Host,
    /// The ports.
    pub ports: PortSet,
    /// The transports.
    pub transports: Transports,
}

/// The host part of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// One name.
    Name(Name),
    /// Names that fit a pattern.
    Pattern(NamePattern),
    /// Addresses. A single address is a network of its full length; host bits are zero; IPv4 in IPv6 is IPv4.
    Net(IpNet),
    /// Every name and every address.
    Any,
}

/// A transport protocol that an endpoint can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// One or both transports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Transports {
    /// TCP alone.
    Tcp,
    /// UDP alone.
    Udp,
    /// Both.
    Any,
}

impl Transports {
    /// Whether `transport` is one of these.
    pub fn contains(self, transport: Transport) -> bool {
        self.each().contains(&transport)
    }

    /// The transports, one by one.
    pub fn each(self) -> &'static [Transport] {
        match self {
            Transports::Tcp => &[Transport::Tcp],
            Transports::Udp => &[Transport::Udp],
            Transports::Any => &[Transport::Tcp, Transport::Udp],
        }
    }
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// From `allowed-endpoints`.
    Allow,
    /// From `denied-endpoints`: wins over everything that allows.
    Deny,
}

impl Action {
    /// The ports of an endpoint that names none: 443 where it allows, and all of them where it denies.
    pub fn default_ports(self) -> PortSet {
        match self {
            Action::Allow => PortSet::one(443),
            Action::Deny => PortSet::any(),
        }
    }

    /// The transports of an endpoint that names none: TCP where it allows, and both where it denies.
    pub fn default_transports(self) -> Transports {
        match self {
            Action::Allow => Transports::Tcp,
            Action::Deny => Transports::Any,
        }
    }
}

impl Endpoint {
    /// One destination as an endpoint: what a person would paste to allow it. A name is preferred to an address.
    ///
    /// Nothing when neither is known.
    pub fn of(
        name: Option<&Name>,
        ip: Option<IpAddr>,
        port: u16,
        transport: Transport,
    ) -> Option<Endpoint> {
        let host = match (name, ip) {
            (Some(name), _) => Host::Name(name.clone()),
            (None, Some(ip)) => Host::Net(IpNet::from(canonical_ip(ip))),
            (None, None) => return None,
        };
        Some(Endpoint {
            host,
            ports: PortSet::one(port),
            transports: match transport {
                Transport::Tcp => Transports::Tcp,
                Transport::Udp => Transports::Udp,
            },
        })
    }

    /// The canonical spelling for a list of this action.
    pub fn spelled(&self, action: Action) -> String {
        let ports = &self.ports;
        let host = &self.host;
        let suffix = match self.transports {
            transports if transports == action.default_transports() => "",
            Transports::Tcp => "/tcp",
            Transports::Udp => "/udp",
            Transports::Any => "/any",
        };
        format!("{host}:{ports}{suffix}")
    }
}

/// An IPv6 address that carries an IPv4 one is that IPv4 address: both reach the same host.
pub(crate) fn canonical_ip(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The same for a network: `::ffff:203.0.113.0/120` is `203.0.113.0/24`. Host bits are cleared.
pub(crate) fn canonical_net(net: IpNet) -> IpNet {
    let net = net.trunc();
    let IpNet::V6(v6) = net else { return net };
    let mapped = v6.prefix_len().checked_sub(96).zip(mapped_v4(v6.addr()));
    mapped
        .and_then(|(length, v4)| IpNet::new(v4, length).ok())
        .unwrap_or(net)
}

fn mapped_v4(ip: Ipv6Addr) -> Option<IpAddr> {
    ip.to_ipv4_mapped().map(IpAddr::V4)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => write!(f, "{name}"),
            Host::Pattern(pattern) => write!(f, "{pattern}"),
            Host::Any => f.write_str("*"),
            Host::Net(net) if net.prefix_len() == net.max_prefix_len() => match net.addr() {
                IpAddr::V4(ip) => write!(f, "{ip}"),
                IpAddr::V6(ip) => write!(f, "[{ip}]"),
            },
            Host::Net(IpNet::V4(net)) => write!(f, "{net}"),
            Host::Net(IpNet::V6(net)) => write!(f, "[{net}]"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled(Action::Allow))
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
