use std::collections::{HashMap, HashSet};

use runward_event::{Body, Connect, Dns, DnsMessageKind, Event, ProcessId};
use runward_tree::Tree;

use crate::refusal::destination;
use crate::resolvers::Resolvers;
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "dns-tunnel",
    title: "Data that leaves inside the names that are looked up, or names looked up where nobody sees it",
    severity: Severity::High,
    confidence: Confidence::Medium,
    needs: "questions to DNS",
    next: "Look at the names in the report: if they are encoded data, treat the secrets that the process could read as \
           stolen. A policy in block mode answers only the names that it allows.",
};

/// Many long names below one domain, or many bytes in all. Each name counts once: asking again carries nothing new.
/// And calls to name servers that are not the machine's.
#[derive(Default)]
pub(crate) struct DnsTunnel {
    resolvers: Resolvers,
    zones: HashMap<String, Zone>,
}

#[derive(Default)]
struct Zone {
    names: HashSet<u64>,
    /// How many of the names carry much.
    long: usize,
    /// Bytes in front of the domain, over all names.
    bytes: usize,
    /// The events of the first long names.
    evidence: Vec<u64>,
    told: bool,
}

/// Domains that are followed. When there are more, following starts over.
const ZONES_MAX: usize = 1_000;
/// A name of DNS has at most 253 bytes, four times that when every one of them is escaped. Only a record that no sensor
/// wrote has longer ones.
const MAX_NAME: usize = 1_024;
/// Names of one domain that are told apart; the bound of the bytes is reached long before.
const NAMES_MAX: usize = 1_000;
/// Labels that make a domain: `example.com`. What is below a public suffix of two labels counts together, which makes
/// this quicker to fire there, never slower.
const ZONE_LABELS: usize = 2;
/// Bytes in front of the domain that make a name long: more than hosts, shards and hashes of commits take.
const LONG: usize = 45;
/// How many long names are one too many: the fifth, which a public re-enactment of such a theft sends.
const LONG_NAMES: usize = 5;
/// Bytes in front of one domain that no build has needed: as many as the fence grants a pattern.
const BYTES: usize = 2_048;
const EVIDENCE_MAX: usize = 16;

impl Detection for DnsTunnel {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        match &event.body {
            Body::JobStart(start) => self.resolvers.start(start),
            Body::Connect(connect) => self.call(connect, event, tree, findings),
            Body::Dns(dns) => self.question(dns, event, tree, findings),
            _ => {}
        }
    }
}

impl DnsTunnel {
    /// Tells a call to somebody else's name server.
    fn call(&mut self, connect: &Connect, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Some(foreign) = self.resolvers.foreign(connect) else {
            return;
        };
        let label = destination(
            connect.name.as_deref(),
            connect.ip,
            connect.port,
            connect.protocol,
        );
        let owner = foreign
            .owner
            .map_or_else(String::new, |owner| format!(" ({owner})"));
        let message = format!(
            "{} called {}{owner} {}: it is not one of the machine's name servers",
            actor(tree, Some(connect.process), connect.pid),
            quote(&label),
            foreign.how
        );
        let mut finding = ABOUT.finding(event, Some(connect.process), message);
        finding.severity = foreign.severity;
        finding.confidence = Confidence::Low;
        finding.destination = Some(label);
        findings.push(finding);
    }

    /// Adds up what names carry.
    fn question(&mut self, dns: &Dns, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        if dns.message != DnsMessageKind::Query || dns.name.len() > MAX_NAME {
            return;
        }
        let Some((front, domain)) = split(&dns.name) else {
            return;
        };
        if !self.zones.contains_key(domain) && self.zones.len() >= ZONES_MAX {
            self.zones.clear();
        }
        let zone = self.zones.entry(domain.to_owned()).or_default();
        if zone.told || zone.names.len() >= NAMES_MAX || !zone.names.insert(hash(front)) {
            return;
        }
        zone.bytes += front.len();
        if front.len() >= LONG {
            zone.long += 1;
            if zone.evidence.len() < EVIDENCE_MAX {
                zone.evidence.push(event.seq);
            }
        }
        if zone.long < LONG_NAMES && zone.bytes < BYTES {
            return;
        }
        zone.told = true;
        let message = message(zone, domain, dns.process, dns.pid, tree);
        let mut finding = ABOUT.finding(event, Some(dns.process), message);
        finding.evidence = zone
            .evidence
            .iter()
            .copied()
            .filter(|seq| *seq != event.seq)
            .collect();
        finding.destination = Some(domain.to_owned());
        findings.push(finding);
    }
}

fn message(zone: &Zone, domain: &str, process: ProcessId, pid: u32, tree: &Tree) -> String {
    format!(
        "{} asked for {} names below {}, which carry {} bytes in all: that is how data leaves inside lookups",
        actor(tree, Some(process), pid),
        zone.names.len(),
        quote(domain),
        zone.bytes
    )
}

/// What stands in front of the domain, and the domain. Names of addresses (`in-addr.arpa`) carry nothing of a job's.
fn split(name: &str) -> Option<(&str, &str)> {
    let name = name.trim_end_matches('.');
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at);
    let at = dots.nth(ZONE_LABELS - 1)?;
    let (front, rest) = name.split_at(at);
    let domain = rest.get(1..)?;
    (!domain.ends_with(".arpa")).then_some((front, domain))
}

/// Tells names apart (FNV-1a): two that collide count once, which only makes this slower to fire.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use runward_event::{Dns, DnsTransport, Time};

    use super::*;

    fn found(names: impl IntoIterator<Item = String>) -> usize {
        let mut detection = DnsTunnel::default();
        let mut findings = Vec::new();
        for name in names {
            let event = Event {
                seq: 1,
                time: Time::from_unix_nanos(0),
                body: Body::Dns(Box::new(Dns {
                    process: ProcessId(7),
                    pid: 70,
                    message: DnsMessageKind::Query,
                    transport: DnsTransport::Udp,
                    ip: "192.0.2.53".parse().unwrap(),
                    port: 53,
                    id: 1,
                    name,
                    record_type: "A".to_owned(),
                    rcode: None,
                    answers: Vec::new(),
                    truncated: Vec::new(),
                })),
            };
            detection.observe(&event, &Tree::default(), &mut findings);
            assert!(detection.zones.len() <= ZONES_MAX);
        }
        findings.len()
    }

    #[test]
    fn long_names_add_up_and_short_ones_only_when_they_are_many() {
        let long = |n: usize| format!("{n:0>60}.evil.example");
        assert_eq!(found((0..4).map(long)), 0);
        assert_eq!(found((0..40).map(long)), 1, "told once");
        assert_eq!(
            found((0..40).map(|_| long(1))),
            0,
            "the same name carries nothing new"
        );
        let shard = |n: usize| format!("shard{n}.store.example");
        assert_eq!(found((0..100).map(shard)), 0);
        assert_eq!(found((0..500).map(shard)), 1);
        assert_eq!(found((0..99).map(|n| format!("{n:0>60}.in-addr.arpa"))), 0);
    }

    #[test]
    fn many_domains_do_not_fill_memory() {
        assert_eq!(found((0..5_000).map(|n| format!("a.b{n}.example"))), 0);
    }
}
