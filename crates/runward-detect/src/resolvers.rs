//! Name servers that are not the machine's own. What is asked there is not seen by who runs the machine's.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use runward_event::{Connect, JobStart, Mode, ProcessId, Status};

use crate::Severity;
use crate::once::Once;
use crate::suspicious_destination::is_public;

/// Where plain DNS is spoken (RFC 1035), DNS over TLS and QUIC (RFC 7858, RFC 9250), and HTTPS.
const DNS: u16 = 53;
const DNS_OVER_TLS: u16 = 853;
const HTTPS: u16 = 443;
/// Name servers of a record that are kept; a real one has a few.
const OWN_MAX: usize = 64;

static PUBLIC: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| parse(include_str!("../data/resolvers.txt")));

/// Names or addresses of public name servers, each with its owner.
fn parse(text: &'static str) -> HashMap<&'static str, &'static str> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(char::is_whitespace))
        .map(|(host, owner)| (host, owner.trim()))
        .collect()
}

/// Whether this is a public name server, by name or address.
pub(crate) fn is_known(connect: &Connect) -> bool {
    owner(connect).is_some()
}

fn owner(connect: &Connect) -> Option<&'static str> {
    let by_name = connect.name.as_deref().and_then(|name| {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        PUBLIC.get(name.as_str())
    });
    by_name
        .or_else(|| PUBLIC.get(connect.ip.to_string().as_str()))
        .copied()
}

/// What the machine's own name servers are, and which others were told of.
#[derive(Default)]
pub(crate) struct Resolvers {
    own: HashSet<IpAddr>,
    /// Plain DNS is led to the fence's resolver, whatever server was asked.
    led: bool,
    told: Once<(IpAddr, u16, ProcessId)>,
}

/// A call to a name server that is not the machine's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) severity: Severity,
    pub(crate) how: &'static str,
    pub(crate) owner: Option<&'static str>,
}

impl Resolvers {
    pub(crate) fn start(&mut self, start: &JobStart) {
        self.own = start.resolvers.iter().take(OWN_MAX).copied().collect();
        self.led = start.effective_mode == Mode::Block;
    }

    /// Whether this is the first call of a process to a name server of somebody else. Those on this machine and on
    /// private networks are how containers and companies do it; a call that was refused is told as such.
    pub(crate) fn foreign(&mut self, connect: &Connect) -> Option<Foreign> {
        // An old record does not say which are the machine's.
        if self.own.is_empty() || self.own.contains(&connect.ip) {
            return None;
        }
        if connect.status == Status::Blocked || !is_public(connect.ip) {
            return None;
        }
        let owner = owner(connect);
        let (severity, how) = match (connect.port, owner) {
            (DNS, _) if self.led => return None,
            (DNS, _) => (Severity::Low, "for names"),
            (DNS_OVER_TLS, _) => (
                Severity::Medium,
                "for names, in a stream that nobody can read",
            ),
            (HTTPS, Some(_)) => (
                Severity::Medium,
                "over HTTPS, where it answers questions for names",
            ),
            _ => return None,
        };
        let key = (connect.ip, connect.port, connect.process);
        self.told.is_new(key).then_some(Foreign {
            severity,
            how,
            owner,
        })
    }
}

#[cfg(test)]
mod tests {
    use runward_event::{ConnectionId, Protocol};

    use super::*;

    fn call(name: Option<&str>, ip: &str, port: u16) -> Connect {
        Connect {
            connection: ConnectionId(1),
            process: ProcessId(1),
            pid: 1,
            protocol: Protocol::Udp,
            ip: ip.parse().unwrap(),
            port,
            name: name.map(str::to_owned),
            status: Status::Allowed,
            reason: None,
            rule: None,
            listed: None,
            v4_mapped: false,
        }
    }

    #[test]
    fn every_line_of_the_table_is_a_name_or_an_address() {
        let lines = include_str!("../data/resolvers.txt").lines();
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(lines.count(), PUBLIC.len());
        for (host, owner) in PUBLIC.iter() {
            assert!(!owner.is_empty(), "{host}");
            let canonical = host.parse::<IpAddr>().map(|ip| ip.to_string());
            assert_eq!(
                canonical.unwrap_or_else(|_| host.to_ascii_lowercase()),
                *host
            );
        }
    }

    #[test]
    fn only_public_servers_that_are_not_the_machines_are_foreign() {
        for (name, ip, port, severity) in [
            (None, "8.8.8.8", 53, Some(Severity::Low)),
            (None, "198.51.100.9", 53, Some(Severity::Low)),
            (None, "198.51.100.9", 853, Some(Severity::Medium)),
            (None, "1.1.1.1", 443, Some(Severity::Medium)),
            (
                Some("DNS.google."),
                "198.51.100.9",
                443,
                Some(Severity::Medium),
            ),
            (Some("www.example"), "198.51.100.9", 443, None),
            // The machine's own, in each way.
            (None, "9.9.9.9", 53, None),
            (None, "9.9.9.9", 853, None),
            (Some("dns.quad9.net"), "9.9.9.9", 443, None),
            // A container's, a stub's and a company's.
            (None, "127.0.0.11", 53, None),
            (None, "127.0.0.53", 53, None),
            (None, "10.89.0.1", 53, None),
            (None, "fd00::53", 53, None),
        ] {
            let mut resolvers = Resolvers {
                own: HashSet::from(["9.9.9.9".parse().unwrap()]),
                ..Resolvers::default()
            };
            let call = call(name, ip, port);
            let found = resolvers.foreign(&call).map(|foreign| foreign.severity);
            assert_eq!(found, severity, "{name:?} {ip} {port}");
            assert_eq!(resolvers.foreign(&call), None, "told once");
        }
    }

    #[test]
    fn nothing_is_said_where_it_is_not_known_or_where_questions_are_led_elsewhere() {
        let call = call(None, "8.8.8.8", 53);
        assert_eq!(Resolvers::default().foreign(&call), None);
        let mut led = Resolvers {
            own: HashSet::from(["9.9.9.9".parse().unwrap()]),
            led: true,
            ..Resolvers::default()
        };
        assert_eq!(led.foreign(&call), None);
    }
}
