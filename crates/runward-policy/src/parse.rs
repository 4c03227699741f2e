//! One endpoint: text to [`Endpoint`].

use std::net::{IpAddr, Ipv6Addr};
use std::ops::Range;

use ipnet::IpNet;

use crate::endpoint::{Action, Endpoint, Host, Transports, canonical_net};
use crate::fault::{Doubt, Fault};
use crate::limits;
use crate::name::{Name, NameError};
use crate::pattern::NamePattern;
use crate::ports::{PortRange, PortSet};

/// What is wrong with the text of one endpoint, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem<T> {
    /// What.
    pub what: T,
    /// The bytes of the text that it is about.
    pub at: Range<usize>,
    /// The whole text as it was probably meant.
    pub meant: Option<String>,
}

/// An endpoint, and what is odd about how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Oddities; the endpoint can be applied all the same.
    pub doubts: Vec<Problem<Doubt>>,
    /// Whether ports were named, and not left to the default.
    pub has_ports: bool,
}

impl Endpoint {
    /// Reads one endpoint: `host[:ports][/transport]`. What is not named has the action's default.
    pub fn parse(text: &str, action: Action) -> Result<Endpoint, Problem<Fault>> {
        read(text, action).map(|read| read.endpoint)
    }
}

/// Ports that people mean when they write another.
const SLIPS: [(u16, u16); 5] = [(433, 443), (444, 443), (4443, 443), (8433, 8443), (88, 80)];

/// Names of ports that people write instead of the number.
const SERVICES: [(&str, u16); 5] = [
    ("https", 443),
    ("http", 80),
    ("ssh", 22),
    ("dns", 53),
    ("git", 9418),
];

/// [`Endpoint::parse`], with the oddities.
pub(crate) fn read(text: &str, action: Action) -> Result<ReadEndpoint, Problem<Fault>> {
    let whole = || 0..text.len();
    let fault = |what, at, meant: Option<String>| Err(Problem { what, at, meant });
    if text.len() > limits::ENDPOINT_BYTES {
        return fault(Fault::Name(NameError::TooLong), whole(), None);
    }
    if text.contains('$') || text.contains("{{") {
        return fault(Fault::Expression, whole(), None);
    }
    if let Some(scheme) = text.find("://") {
        return fault(Fault::Scheme, 0..scheme + 3, without_scheme(text, scheme));
    }
    if let Some(at) = text.rfind('@') {
        let meant = text.get(at + 1..).filter(|rest| is_endpoint(rest));
        return fault(Fault::User, 0..at + 1, meant.map(str::to_owned));
    }
    if !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'-' | b','))
    {
        return fault(Fault::LonelyPort, whole(), None);
    }
    let (text, transports) = split_transport(text)?;
    let parts = split(text)?;
    let mut doubts = Vec::new();
    let host = read_host(text, &parts, &mut doubts)?;
    let ports = match &parts.ports {
        Some(at) => read_ports(text, at.clone(), &mut doubts)?,
        None => action.default_ports(),
    };
    if action == Action::Allow {
        doubt_host(&host, &parts, &mut doubts);
    }
    Ok(ReadEndpoint {
        endpoint: Endpoint {
            host,
            ports,
            transports: transports.unwrap_or(action.default_transports()),
        },
        doubts,
        has_ports: parts.ports.is_some(),
    })
}

fn is_endpoint(text: &str) -> bool {
    read(text, Action::Allow).is_ok()
}

fn without_scheme(text: &str, scheme: usize) -> Option<String> {
    let port = match text.get(..scheme)?.to_ascii_lowercase().as_str() {
        "https" | "wss" | "git+https" => 443,
        "http" | "ws" => 80,
        "ssh" | "git+ssh" => 22,
        "git" => 9418,
        _ => return None,
    };
    let host = text.get(scheme + 3..)?.split('/').next()?;
    let host = host.rsplit('@').next()?;
    let read = read(host, Action::Allow).ok()?;
    if read.has_ports {
        return Some(host.to_owned());
    }
    Some(format!("{host}:{port}"))
}

/// Takes `/tcp`, `/udp` or `/any` off the end.
fn split_transport(text: &str) -> Result<(&str, Option<Transports>), Problem<Fault>> {
    let Some((before, after)) = text.rsplit_once('/') else {
        return Ok((text, None));
    };
    let transports = match after.to_ascii_lowercase().as_str() {
        "tcp" => Transports::Tcp,
        "udp" => Transports::Udp,
        "any" => Transports::Any,
        // The length of a network's prefix, perhaps with ports.
        other if other.starts_with(|c: char| c.is_ascii_digit()) => return Ok((text, None)),
        _ => {
            // Before the first `/`, so that this does not go into itself more than once.
            let head = text.split('/').next().unwrap_or_default();
            let is_transport = head == before && head.contains(':') && !after.is_empty();
            return Err(Problem {
                what: if is_transport {
                    Fault::Transport
                } else {
                    Fault::Path
                },
                at: head.len()..text.len(),
                meant: meant(head),
            });
        }
    };
    Ok((before, Some(transports)))
}

/// Where host and ports stand in the text of an endpoint, as bytes.
struct Parts {
    host: Range<usize>,
    /// The prefix length of a network, if it is not part of `host`.
    prefix: Option<Range<usize>>,
    ports: Option<Range<usize>>,
    /// Whether the host stood in brackets.
    bracketed: bool,
}

fn split(text: &str) -> Result<Parts, Problem<Fault>> {
    if text.starts_with('[') {
        return split_bracketed(text);
    }
    let all = 0..text.len();
    // `2001:db8::1` and `2001:db8::/32` have colons of their own.
    if text.parse::<Ipv6Addr>().is_ok() || text.parse::<IpNet>().is_ok() {
        return Ok(Parts {
            host: all,
            prefix: None,
            ports: None,
            bracketed: false,
        });
    }
    let Some(colon) = text.find(':') else {
        return Ok(Parts {
            host: all,
            prefix: None,
            ports: None,
            bracketed: false,
        });
    };
    let last = text.rfind(':').unwrap_or(colon);
    let is_v6_net = text
        .get(..last)
        .is_some_and(|net| net.contains('/') && net.parse::<IpNet>().is_ok());
    if last != colon && !is_v6_net {
        return Err(colons(text, colon, last));
    }
    Ok(Parts {
        host: 0..last,
        prefix: None,
        ports: Some(last + 1..text.len()),
        bracketed: false,
    })
}

fn colons(text: &str, first: usize, last: usize) -> Problem<Fault> {
    let head = text.get(..last).unwrap_or_default();
    let tail = text.get(last + 1..).unwrap_or_default();
    let meant = if head.parse::<Ipv6Addr>().is_ok() {
        Some(format!("[{head}]:{tail}"))
    } else {
        let joined = format!("{}:{tail}", text.get(..first).unwrap_or_default());
        meant(&joined)
    };
    Problem {
        what: Fault::Colons,
        at: first..last + 1,
        meant,
    }
}

/// `text` if it is an endpoint, with a slip in its port repaired.
fn meant(text: &str) -> Option<String> {
    let read = read(text, Action::Allow).ok()?;
    let repaired = read.doubts.into_iter().find_map(|doubt| doubt.meant);
    Some(repaired.unwrap_or_else(|| text.to_owned()))
}

fn split_bracketed(text: &str) -> Result<Parts, Problem<Fault>> {
    let fault = |what, at| {
        Err(Problem {
            what,
            at,
            meant: None,
        })
    };
    let Some(close) = text.find(']') else {
        return fault(Fault::Bracket, 0..text.len());
    };
    let rest = text.get(close + 1..).unwrap_or_default();
    let (prefix, ports) = match rest.split_once(':') {
        Some((prefix, ports)) => (prefix, Some(text.len() - ports.len()..text.len())),
        None => (rest, None),
    };
    let after = close + 1..close + 1 + prefix.len();
    if !prefix.is_empty() && !prefix.starts_with('/') {
        return fault(Fault::Colons, after);
    }
    Ok(Parts {
        host: 1..close,
        prefix: (!prefix.is_empty()).then_some(after.start + 1..after.end),
        ports,
        bracketed: true,
    })
}

fn read_host(
    text: &str,
    parts: &Parts,
    doubts: &mut Vec<Problem<Doubt>>,
) -> Result<Host, Problem<Fault>> {
    let at = parts.host.clone();
    let host = text.get(at.clone()).unwrap_or_default();
    let fault = |what: Fault| Problem {
        what,
        at: at.clone(),
        meant: None,
    };
    if host.is_empty() {
        let what = if parts.ports.is_some() {
            Fault::MissingHost
        } else {
            Fault::Name(NameError::Empty)
        };
        return Err(Problem {
            what,
            at: 0..text.len(),
            meant: None,
        });
    }
    if host == "*" {
        return Ok(Host::Any);
    }
    if parts.bracketed || host.contains('/') {
        return read_net(text, parts, doubts);
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Host::Net(canonical_net(IpNet::from(ip))));
    }
    if host.contains('*') {
        let pattern = NamePattern::parse(host).map_err(|error| fault(error.into()))?;
        return Ok(Host::Pattern(pattern));
    }
    match Name::parse(host) {
        Ok(name) => Ok(Host::Name(name)),
        Err(NameError::Character(c)) if host.contains(c) => {
            let start = at.start + host.find(c).unwrap_or_default();
            Err(Problem {
                what: Fault::Name(NameError::Character(c)),
                at: start..start + c.len_utf8(),
                meant: without(text, c),
            })
        }
        Err(error) => Err(fault(error.into())),
    }
}

/// The endpoint without a character that should not be there.
fn without(text: &str, c: char) -> Option<String> {
    // A letter of another alphabet is no slip: the name would be another one.
    let repaired = text.replace(c, "");
    // The mapping of IDNA can give a character that the text itself does not have.
    let is_other = repaired.len() < text.len();
    (c.is_ascii() && is_other && is_endpoint(&repaired)).then_some(repaired)
}

fn read_net(
    text: &str,
    parts: &Parts,
    doubts: &mut Vec<Problem<Doubt>>,
) -> Result<Host, Problem<Fault>> {
    let inside = text.get(parts.host.clone()).unwrap_or_default();
    let (ip, inner) = match inside.split_once('/') {
        Some((ip, length)) => (ip, Some((parts.host.end - length.len(), length))),
        None => (inside, None),
    };
    let outer = parts
        .prefix
        .clone()
        .map(|at| (at.start, text.get(at).unwrap_or_default()));
    let ip_at = parts.host.start..parts.host.start + ip.len();
    let Ok(ip) = ip.parse::<IpAddr>() else {
        let looks_like_name = !parts.bracketed && Name::parse(ip).is_ok();
        return Err(if looks_like_name {
            Problem {
                what: Fault::Path,
                at: ip_at.end..parts.host.end,
                meant: Some(ip.to_owned()),
            }
        } else {
            Problem {
                what: Fault::Address,
                at: ip_at,
                meant: None,
            }
        });
    };
    let net = match (inner, outer) {
        (None, None) => IpNet::from(ip),
        (Some((at, length)), None) | (None, Some((at, length))) => {
            let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
            let net = Some(length)
                .filter(|_| digits)
                .and_then(|length| length.parse::<u8>().ok())
                .and_then(|length| IpNet::new(ip, length).ok());
            net.ok_or(Problem {
                what: Fault::PrefixLength,
                at: at..at + length.len(),
                meant: None,
            })?
        }
        (Some(_), Some((at, length))) => {
            return Err(Problem {
                what: Fault::PrefixLength,
                at: at..at + length.len(),
                meant: None,
            });
        }
    };
    if net.trunc() != net {
        let trunc = net.trunc();
        doubts.push(Problem {
            what: Doubt::HostBits,
            at: parts.host.clone(),
            meant: Some(replaced(
                text,
                0..host_end(parts),
                &Host::Net(trunc).to_string(),
            )),
        });
    }
    Ok(Host::Net(canonical_net(net)))
}

/// Where the host ends in the text, with bracket and prefix length.
fn host_end(parts: &Parts) -> usize {
    match &parts.prefix {
        Some(prefix) => prefix.end,
        None => parts.host.end + usize::from(parts.bracketed),
    }
}

fn replaced(text: &str, at: Range<usize>, by: &str) -> String {
    let head = text.get(..at.start).unwrap_or_default();
    let tail = text.get(at.end..).unwrap_or_default();
    format!("{head}{by}{tail}")
}

fn read_ports(
    text: &str,
    at: Range<usize>,
    doubts: &mut Vec<Problem<Doubt>>,
) -> Result<PortSet, Problem<Fault>> {
    let ports = text.get(at.clone()).unwrap_or_default();
    if ports.is_empty() {
        let default = format!("{text}443");
        return Err(Problem {
            what: Fault::MissingPort,
            at: at.start.saturating_sub(1)..at.end,
            meant: Some(default),
        });
    }
    let mut ranges = Vec::new();
    let mut start = at.start;
    for part in ports.split(',') {
        let part_at = start..start + part.len();
        start = part_at.end + 1;
        if ranges.len() >= limits::PORT_RANGES {
            return Err(Problem {
                what: Fault::TooManyPorts,
                at,
                meant: None,
            });
        }
        let range = read_range(part).map_err(|(what, better)| Problem {
            what,
            meant: better.map(|better| replaced(text, part_at.clone(), &better)),
            at: part_at.clone(),
        })?;
        if let Some((_, usual)) = SLIPS
            .iter()
            .find(|(slip, _)| range == PortRange::one(*slip))
        {
            doubts.push(Problem {
                what: Doubt::UnusualPort,
                meant: Some(replaced(text, part_at.clone(), &usual.to_string())),
                at: part_at,
            });
        }
        ranges.push(range);
    }
    Ok(PortSet::from_ranges(ranges))
}

fn read_range(text: &str) -> Result<PortRange, (Fault, Option<String>)> {
    if text == "*" {
        return Ok(PortRange::ANY);
    }
    let Some((first, last)) = text.split_once('-') else {
        return read_port(text).map(PortRange::one);
    };
    let (first, last) = (read_port(first)?, read_port(last)?);
    if first > last {
        return Err((Fault::PortsReversed, Some(format!("{last}-{first}"))));
    }
    Ok(PortRange { first, last })
}

fn read_port(text: &str) -> Result<u16, (Fault, Option<String>)> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err((Fault::Port, better_port(text)));
    }
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err((Fault::PortOutOfRange, None)),
    }
}

/// The port in a text that holds one among other characters: `g443`, `443q`, `https`.
fn better_port(text: &str) -> Option<String> {
    let service = SERVICES
        .iter()
        .find(|(name, _)| text.eq_ignore_ascii_case(name));
    if let Some((_, port)) = service {
        return Some(port.to_string());
    }
    let digits = text.trim_matches(|c: char| !c.is_ascii_digit());
    let surplus = text.chars().count().saturating_sub(digits.len());
    if surplus > 3 {
        return None;
    }
    let port = digits.parse::<u16>().ok().filter(|port| *port > 0);
    port.map(|port| port.to_string())
}

fn doubt_host(host: &Host, parts: &Parts, doubts: &mut Vec<Problem<Doubt>>) {
    let what = match host {
        Host::Any => Doubt::EveryHost,
        Host::Name(name)
            if parts.ports.is_none()
                && !name.as_str().contains('.')
                && name.as_str() != "localhost" =>
        {
            Doubt::SingleLabel
        }
        Host::Net(net) if net.prefix_len() == 0 => Doubt::EveryHost,
        _ => return,
    };
    doubts.push(Problem {
        what,
        at: parts.host.clone(),
        meant: None,
    });
}
