//! What a fenced job must not reach, for proving that it does not.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use runward_policy::{Actor, Matcher, Policy, Question, Transport};

/// An address that the policy does not allow, for proving that it is refused. `None` when the policy allows too much for
/// that.
pub(crate) fn refused_address(policy: &Policy) -> Option<SocketAddr> {
    let matcher = Matcher::new(policy.clone());
    // Of the networks that are kept for documentation (RFC 5737, RFC 3849).
    let addresses: [IpAddr; 3] = [
        Ipv4Addr::new(192, 0, 2, 1).into(),
        Ipv4Addr::new(203, 0, 113, 1).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    ];
    let ports = [9_u16, 4711, 65_535];
    let mut candidates = addresses
        .into_iter()
        .flat_map(|address| ports.map(|port| SocketAddr::new(address, port)));
    candidates.find(|candidate| {
        !matcher
            .judge(&Question {
                name: None,
                ip: Some(candidate.ip()),
                port: candidate.port(),
                transport: Transport::Udp,
                actor: Actor::default(),
            })
            .is_allowed()
    })
}
