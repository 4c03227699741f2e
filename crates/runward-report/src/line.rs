use runward_detect::Refusal;
use runward_event::{Protocol, Reason};
use runward_policy::{Endpoint, Name, Transport};

/// The port of a line for a name that was refused before any port was known: what most such names are asked for, and
/// what an endpoint without a port means.
const HTTPS: u16 = 443;

/// The endpoint that would allow what was refused, as a line of the policy: `api.example.com:443`,
/// `198.51.100.7:8443`, `dns.example:853/udp`. Nothing where no line can help, or where a line would do more harm than
/// good.
///
/// It is made of the policy's own types, so that no text of the job can get into it that is not a name.
pub fn line_to_paste(refusal: &Refusal<'_>) -> Option<String> {
    let (transport, port) = match refusal.protocol {
        // How the question travelled says nothing about what it was asked for.
        _ if refusal.is_lookup() => (Transport::Tcp, HTTPS),
        Protocol::Tcp => (Transport::Tcp, refusal.port),
        Protocol::Udp => (Transport::Udp, refusal.port),
        _ => return None,
    };
    if port == 0 {
        return None;
    }
    let name = refusal.name.and_then(|name| Name::parse(name).ok());
    let ip = Some(refusal.ip);
    let endpoint = match refusal.reason {
        Reason::NotAllowed | Reason::DnsTunnel if refusal.is_lookup() => {
            Endpoint::of(Some(&name?), None, port, transport)
        }
        Reason::NotAllowed => Endpoint::of(name.as_ref(), ip, port, transport),
        // The address may be allowed already; what the stream says is not.
        Reason::SniMismatch | Reason::HostMismatch => {
            Endpoint::of(Some(&name?), None, port, transport)
        }
        // A stream without a name that could be judged: only its address can be allowed. Local services have no name
        // that DNS would know.
        Reason::NoSni | Reason::HttpUpgrade | Reason::LocalService => {
            Endpoint::of(None, ip, port, transport)
        }
        // Deny wins over any line. An expired address would work as a line, and would open a host of everybody on
        // shared addresses: looking it up again is the answer. The rest can't be judged, whatever the policy says.
        _ => None,
    };
    endpoint.map(|endpoint| endpoint.to_string())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;
    use runward_event::ProcessId;

    use super::*;

    fn refusal(reason: Reason, name: Option<&str>, port: u16) -> Refusal<'_> {
        Refusal {
            stopped: None,
            process: ProcessId(1),
            pid: 1,
            protocol: Protocol::Tcp,
            ip: IpAddr::from([198, 51, 100, 7]),
            port,
            name,
            reason,
            listed: None,
        }
    }

    #[test]
    fn the_line_is_the_narrowest_that_helps() {
        use Reason::*;
        let api = Some("api.example.com");
        for (reason, name, port, line) in [
            (NotAllowed, api, 443, Some("api.example.com:443")),
            (NotAllowed, None, 8443, Some("198.51.100.7:8443")),
            (
                NotAllowed,
                Some("API.Example.COM."),
                443,
                Some("api.example.com:443"),
            ),
            // A name that no policy can hold leaves the address.
            (
                NotAllowed,
                Some("a\\032b.example"),
                443,
                Some("198.51.100.7:443"),
            ),
            // A question to DNS.
            (NotAllowed, api, 53, Some("api.example.com:443")),
            (NotAllowed, Some("a b"), 53, None),
            (Denied, api, 53, None),
            (SniMismatch, api, 443, Some("api.example.com:443")),
            (SniMismatch, Some("a b"), 443, None),
            (HostMismatch, api, 80, Some("api.example.com:80")),
            (NoSni, api, 443, Some("198.51.100.7:443")),
            (HttpUpgrade, api, 50051, Some("198.51.100.7:50051")),
            (
                LocalService,
                Some("localhost"),
                5432,
                Some("198.51.100.7:5432"),
            ),
            (Denied, api, 443, None),
            (Expired, api, 443, None),
            (EncryptedClientHello, api, 443, None),
            (HttpUnclear, api, 443, None),
            (FirstBytes, api, 443, None),
            (Inbound, None, 51_000, None),
            (NoRoom, None, 443, None),
            (Unreadable, None, 443, None),
            (Protocol, None, 0, None),
            (Other, api, 443, None),
        ] {
            assert_eq!(
                line_to_paste(&refusal(reason, name, port)).as_deref(),
                line,
                "{reason:?} {name:?} {port}"
            );
        }
    }

    #[test]
    fn the_line_names_the_transport_where_the_policy_needs_it() {
        let line = |protocol, ip: &str, port| {
            line_to_paste(&Refusal {
                protocol,
                ip: ip.parse().unwrap(),
                ..refusal(Reason::NotAllowed, None, port)
            })
        };
        for (protocol, ip, port, want) in [
            (
                Protocol::Udp,
                "203.0.113.9",
                123,
                Some("203.0.113.9:123/udp"),
            ),
            (
                Protocol::Udp,
                "2001:db8::1",
                443,
                Some("[2001:db8::1]:443/udp"),
            ),
            (Protocol::Tcp, "2001:db8::1", 443, Some("[2001:db8::1]:443")),
            (Protocol::Icmp, "203.0.113.9", 0, None),
            (Protocol::Sctp, "203.0.113.9", 36412, None),
            (Protocol::Raw, "::", 0, None),
            (Protocol::Tcp, "203.0.113.9", 0, None),
        ] {
            assert_eq!(
                line(protocol, ip, port).as_deref(),
                want,
                "{protocol:?} {ip}"
            );
        }
    }

    proptest! {
        /// Whatever a job says, the line is one endpoint that the policy reads back, and nothing else.
        #[test]
        fn a_line_reads_back_as_one_endpoint(name in prop_oneof!["\\PC{0,40}", any::<String>(), "[a-z0-9.*@#-]{1,20}"], port: u16, udp: bool) {
            let asked = Refusal {
                protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
                ..refusal(Reason::NotAllowed, Some(&name), port)
            };
            if let Some(line) = line_to_paste(&asked) {
                let plain = |c: char| c.is_ascii_alphanumeric() || "._-:/".contains(c);
                prop_assert!(line.chars().all(plain), "{line}");
                let source = std::sync::Arc::new(runward_policy::Source::Flag("allowed-endpoints".to_owned()));
                let read = runward_policy::parse_endpoints(&line, runward_policy::Action::Allow, &source);
                prop_assert_eq!(read.map(|list| list.rules.len()), Ok(1), "{}", line);
            }
        }
    }
}
