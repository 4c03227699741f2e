use std::net::IpAddr;

use serde::Serialize;

use crate::endpoint::{Transport, canonical_ip};
use crate::matcher::{Matcher, Question, Verdict};

/// Why traffic is allowed that no rule is about. The list is short on purpose: the metadata service of a cloud and
/// private networks are not on it. `docs/policy.md` has the same list for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Implicit {
    /// Loopback: what never leaves the machine, or the job's own network namespace.
    Loopback,
    /// DNS: the resolver of the fence answers it, and judges every name by the policy.
    Resolver,
    /// DHCP, by which a machine keeps its address.
    Dhcp,
}

impl Implicit {
    /// All of them.
    pub const ALL: [Implicit; 3] = [Implicit::Loopback, Implicit::Resolver, Implicit::Dhcp];

    /// Why this one question is allowed without a rule, if it is.
    pub fn of(question: &Question<'_>) -> Option<Implicit> {
        let named_local = question.ip.is_none()
            && question.name.is_some_and(|name| {
                name.as_str() == "localhost" || name.as_str().ends_with(".localhost")
            });
        let ip = question.ip.map(canonical_ip);
        if named_local || ip.is_some_and(is_loopback) {
            return Some(Implicit::Loopback);
        }
        match (question.transport, question.port) {
            (_, 53) => Some(Implicit::Resolver),
            (Transport::Udp, 67 | 547) => Some(Implicit::Dhcp),
            _ => None,
        }
    }

    /// The same for people, in one sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Implicit::Loopback => "loopback: what never leaves the machine",
            Implicit::Resolver => {
                "port 53: the resolver of the fence answers, and judges every name by this policy"
            }
            Implicit::Dhcp => "DHCP, by which the machine keeps its address",
        }
    }
}

/// Whether an address never leaves the machine. Linux takes the unspecified address for its own.
fn is_loopback(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

/// What becomes of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Decision {
    /// It may go ahead without a rule.
    Implicit {
        /// Why.
        why: Implicit,
    },
    /// The rules say.
    #[serde(untagged)]
    Judged(Verdict),
}

impl Decision {
    /// Whether the connection may go ahead.
    pub fn is_allowed(&self) -> bool {
        match self {
            Decision::Judged(verdict) => verdict.is_allowed(),
            Decision::Implicit { .. } => true,
        }
    }
}

impl Matcher {
    /// [`Matcher::judge`], and what is allowed without a rule. What a rule denies stays denied.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let verdict = self.judge(question);
        match (&verdict, Implicit::of(question)) {
            (Verdict::NotAllowed { .. }, Some(why)) => Decision::Implicit { why },
            _ => Decision::Judged(verdict),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;
    use crate::narrowing::Actor;

    #[test]
    fn the_list_of_what_needs_no_rule_is_short() {
        for (host, port, transport, why) in [
            ("127.0.0.1", 8080, Transport::Tcp, Some(Implicit::Loopback)),
            ("127.9.9.9", 1, Transport::Udp, Some(Implicit::Loopback)),
            ("::1", 80, Transport::Tcp, Some(Implicit::Loopback)),
            (
                "::ffff:127.0.0.1",
                80,
                Transport::Tcp,
                Some(Implicit::Loopback),
            ),
            ("0.0.0.0", 80, Transport::Tcp, Some(Implicit::Loopback)),
            ("localhost", 80, Transport::Tcp, Some(Implicit::Loopback)),
            ("192.0.2.53", 53, Transport::Udp, Some(Implicit::Resolver)),
            ("192.0.2.1", 67, Transport::Udp, Some(Implicit::Dhcp)),
            ("192.0.2.1", 67, Transport::Tcp, None),
            ("169.254.169.254", 80, Transport::Tcp, None),
            ("168.63.129.16", 80, Transport::Tcp, None),
            ("10.0.0.1", 443, Transport::Tcp, None),
            ("fe80::1", 443, Transport::Tcp, None),
            ("localhost.example", 80, Transport::Tcp, None),
        ] {
            let ip = host.parse().ok();
            let name = ip.is_none().then(|| Name::parse(host).unwrap());
            let question = Question {
                name: name.as_ref(),
                ip,
                port,
                transport,
                actor: Actor::default(),
            };
            assert_eq!(Implicit::of(&question), why, "{host}:{port}");
        }
    }

    #[test]
    fn a_name_does_not_make_an_address_loopback() {
        let name = Name::parse("localhost").unwrap();
        let question = Question {
            name: Some(&name),
            ip: Some(IpAddr::from([192, 0, 2, 1])),
            port: 80,
            transport: Transport::Tcp,
            actor: Actor::default(),
        };
        assert_eq!(Implicit::of(&question), None);
    }
}
