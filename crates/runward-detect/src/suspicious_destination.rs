use std::net::IpAddr;

use runward_event::{BlockListEntry, Body, Connect, Event, ProcessId, Protocol, Reason, Status};
use runward_tree::Tree;

use crate::listed::{self, Class, Listed};
use crate::once::Once;
use crate::platform;
use crate::refusal::{Refusal, destination};
use crate::resolvers;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "suspicious-destination",
    title: "A call to a destination that builds have seldom a reason to call",
    severity: Severity::High,
    confidence: Confidence::Medium,
    needs: "connections",
    next: "Look at what the process sent and which dependency or step it belongs to. If nobody can say why the build \
           goes there, treat the secrets that it could read as stolen, and deny the destination in the policy.",
};

/// A connection to something on the list, or by a bare address to a port that nothing usual listens on.
#[derive(Default)]
pub(crate) struct SuspiciousDestination {
    told: Once<(String, ProcessId)>,
    /// Whether the job's lookups are seen. Where a daemon of the machine does them, every address is a bare one.
    sees_names: bool,
}

/// Ports that builds call (IANA's names): ssh, http, https, git, rsync, ftp, DNS, NTP, proxies, databases.
const USUAL_PORTS: [u16; 20] = [
    20, 21, 22, 43, 53, 80, 123, 443, 465, 587, 853, 873, 989, 990, 3128, 5000, 8000, 8080, 8443,
    9418,
];

impl Detection for SuspiciousDestination {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        if let Some(refusal) = Refusal::of(&event.body)
            && refusal.reason == Reason::BlockList
        {
            return self.kept_from(&refusal, event, tree, findings);
        }
        let Body::Connect(connect) = &event.body else {
            return;
        };
        self.sees_names |= connect.name.is_some();
        // One that was refused is told by its own detection, unless it is worse than a line that the policy lacks.
        let blocked = connect.status == Status::Blocked;
        let Some(suspect) = suspect(connect, self.sees_names)
            .filter(|suspect| !blocked || suspect.listed.is_some())
        else {
            return;
        };
        let label = destination(
            connect.name.as_deref(),
            connect.ip,
            connect.port,
            connect.protocol,
        );
        let label = label[..label.floor_char_boundary(MAX_LABEL)].to_owned();
        if !self.told.is_new((label.clone(), connect.process)) {
            return;
        }
        let exe = tree.image(connect.process).map_or("", |image| &image.exe);
        let platform = platform::program(exe);
        let who = actor(tree, Some(connect.process), connect.pid);
        let outcome = if blocked { "tried to call" } else { "called" };
        let why = suspect.why;
        let message = match platform {
            Some(program) => format!(
                "{who} {outcome} {}, which {why}; a program of this name belongs to {} ({})",
                quote(&label),
                program.owner,
                program.reason
            ),
            None => format!("{who} {outcome} {}, which {why}", quote(&label)),
        };
        let mut finding = ABOUT.finding(event, Some(connect.process), message);
        finding.severity = match platform {
            Some(_) if suspect.severity < Severity::High => Severity::Info,
            _ => suspect.severity,
        };
        finding.destination = Some(label);
        findings.push(finding);
    }
}

impl SuspiciousDestination {
    /// Tells what a block list stopped. Its own detection for refusals keeps silent about it.
    fn kept_from(
        &mut self,
        refusal: &Refusal<'_>,
        event: &Event,
        tree: &Tree,
        findings: &mut Vec<Finding>,
    ) {
        let label = refusal.destination();
        let label = label[..label.floor_char_boundary(MAX_LABEL)].to_owned();
        if !self.told.is_new((label.clone(), refusal.process)) {
            return;
        }
        let who = actor(tree, Some(refusal.process), refusal.pid);
        let tried = match refusal.is_lookup() {
            true => "looking up",
            false => "calling",
        };
        let why = refusal
            .listed
            .map_or_else(|| "it is on a block list".to_owned(), sentence);
        let message = format!("{who} was kept from {tried} {}: {why}", quote(&label));
        let mut finding = ABOUT.finding(event, Some(refusal.process), message);
        finding.severity = Severity::High;
        finding.confidence = Confidence::High;
        finding.destination = Some(label);
        findings.push(finding);
    }
}

/// `*.evil.example is on the block list (feed.txt:3: took secrets)`.
fn sentence(entry: &BlockListEntry) -> String {
    let reason = entry
        .reason
        .as_deref()
        .map_or_else(String::new, |reason| format!(": {}", quote(reason)));
    format!(
        "{} is on the block list ({}{reason})",
        quote(&entry.entry),
        quote(&entry.source)
    )
}

/// Bytes of a destination. A name of DNS has at most 253, four times that when every one of them is escaped.
const MAX_LABEL: usize = 1_024;

struct Suspect {
    severity: Severity,
    listed: Option<Class>,
    why: &'static str,
}

fn suspect(connect: &Connect, sees_names: bool) -> Option<Suspect> {
    let of = |listed: Listed| Suspect {
        severity: listed.class.severity(),
        listed: Some(listed.class),
        why: listed.reason,
    };
    if let Some(listed) = connect.name.as_deref().and_then(listed::name) {
        return Some(of(listed));
    }
    if let Some(listed) = listed::address(connect.ip) {
        return Some(of(listed));
    }
    let bare = connect.name.is_none() && connect.port != 0 && is_public(connect.ip);
    let usual = USUAL_PORTS.contains(&connect.port);
    // Questions and pings go to addresses by nature; name servers of others are told as such.
    let by_nature = matches!(connect.port, 53 | 123 | 853)
        || connect.protocol == Protocol::Icmp
        || resolvers::is_known(connect);
    let odd = matches!(
        connect.protocol,
        Protocol::Raw | Protocol::Sctp | Protocol::Other
    );
    let why = match (bare && !by_nature, usual) {
        _ if odd && is_public(connect.ip) => {
            "is spoken to in a protocol that builds have no use for"
        }
        (true, false) => "is a bare address on a port that nothing usual listens on",
        (true, true) if sees_names => {
            "is a bare address: nobody in the job looked up a name for it"
        }
        _ => return None,
    };
    Some(Suspect {
        severity: Severity::Low,
        listed: None,
        why,
    })
}

/// Whether an address is somebody else's: not this machine, its network, or a group of machines.
pub(crate) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            !(ip.is_loopback()
                || ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_broadcast()
                || ip.is_multicast()
                // Shared by carriers (RFC 6598).
                || (a == 100 && (64..128).contains(&b)))
        }
        IpAddr::V6(ip) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_others_are_public() {
        for (ip, public) in [
            ("192.0.2.1", true),
            ("2001:db8::1", true),
            ("127.9.9.9", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("169.254.1.1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::", false),
            ("224.0.0.1", false),
        ] {
            assert_eq!(is_public(ip.parse().unwrap()), public, "{ip}");
        }
    }
}
