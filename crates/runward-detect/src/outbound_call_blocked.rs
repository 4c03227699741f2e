use std::collections::HashSet;

use runward_event::{Event, Protocol, Reason};
use runward_tree::Tree;

use crate::refusal::{Refusal, reason_sentence};
use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "outbound-call-blocked",
    title: "The fence stopped something that the job tried to send",
    severity: Severity::Medium,
    confidence: Confidence::Medium,
    needs: "block mode",
    next: "The section Blocked of the report gives the line that would allow it. Add it if the build needs the \
           destination; if nobody can say why it is called, look at what changed in the dependency.",
};

/// The fence stopped something of the job: a connection, a stream in its first bytes, a question to DNS, or a packet.
#[derive(Default)]
pub(crate) struct OutboundCallBlocked {
    reported: HashSet<Key>,
}

/// What makes a finding another one: a program that tries a destination again and again is told of once.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    destination: String,
    reason: Reason,
    exe: String,
}

/// How many findings are remembered. When a job makes more, remembering starts over: a finding may then be repeated,
/// none is missed, and memory stays below 11 MB even with the longest names and paths.
const MAX_REPORTED: usize = 2_000;

/// Bytes of a destination. A name of DNS has at most 253, four times that when every one of them is escaped.
const MAX_DESTINATION: usize = 1_024;

/// Bytes of a program's path that tell it from another; the sensor reads at most 4,096.
const MAX_EXE: usize = 4_096;

impl Detection for OutboundCallBlocked {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Some(refusal) = Refusal::of(&event.body) else {
            return;
        };
        // What a block list stops is a finding of its own: no line of the policy would have let it through.
        if refusal.reason == Reason::BlockList {
            return;
        }
        let destination = head(&refusal.destination(), MAX_DESTINATION);
        let exe = tree.image(refusal.process).map_or("", |image| &image.exe);
        let key = Key {
            destination: destination.clone(),
            reason: refusal.reason,
            exe: head(exe, MAX_EXE),
        };
        if self.reported.contains(&key) {
            return;
        }
        if self.reported.len() >= MAX_REPORTED {
            self.reported.clear();
        }
        self.reported.insert(key);
        let message = message(&refusal, &destination, tree);
        let mut finding = ABOUT.finding(event, Some(refusal.process), message);
        finding.destination = Some(destination);
        findings.push(finding);
    }
}

/// `a.example:443 was refused to /usr/bin/curl (pid 12), started by make: no line of the policy allows it`.
fn message(refusal: &Refusal<'_>, destination: &str, tree: &Tree) -> String {
    let what = quote(destination);
    let what = match refusal.protocol {
        _ if refusal.is_lookup() => format!("the lookup of {what}"),
        _ if !refusal.has_peer() => format!("a new {what}"),
        Protocol::Udp => format!("{what} (UDP)"),
        _ => what,
    };
    let actor = actor(tree, Some(refusal.process), refusal.pid);
    let why = reason_sentence(refusal.reason);
    format!("{what} was refused to {actor}: {why}")
}

/// The first bytes of `text`, at most `max`, cut between characters.
fn head(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

#[cfg(test)]
mod tests {
    use runward_event::{Body, ConnectionId, ProcessId, Refused, Time};

    use super::*;

    fn refused() -> Refused {
        Refused {
            connection: None,
            process: ProcessId(7),
            pid: 70,
            protocol: Protocol::Tcp,
            ip: "198.51.100.7".parse().unwrap(),
            port: 8443,
            name: None,
            reason: Reason::NotAllowed,
            listed: None,
        }
    }

    /// What is found in these refusals.
    fn check(detection: &mut OutboundCallBlocked, refusals: &[Refused]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for refused in refusals {
            let event = Event {
                seq: 1,
                time: Time::from_unix_nanos(0),
                body: Body::Refused(refused.clone()),
            };
            detection.observe(&event, &Tree::default(), &mut findings);
        }
        findings
    }

    fn message_of(edit: impl FnOnce(&mut Refused)) -> String {
        let mut refused = refused();
        edit(&mut refused);
        let found = check(&mut OutboundCallBlocked::default(), &[refused]);
        found.into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn each_kind_of_refusal_reads_as_a_sentence() {
        insta::assert_snapshot!(message_of(|_| ()), @"198.51.100.7:8443 was refused to a process that is not known (pid 70): no line of the policy allows it");
        insta::assert_snapshot!(
            message_of(|refused| {
                refused.protocol = Protocol::Udp;
                refused.port = 53;
                refused.name = Some("a.example".to_owned());
            }),
            @"the lookup of a.example was refused to a process that is not known (pid 70): no line of the policy allows it"
        );
        insta::assert_snapshot!(
            message_of(|refused| {
                refused.protocol = Protocol::Udp;
                refused.port = 443;
            }),
            @"198.51.100.7:443 (UDP) was refused to a process that is not known (pid 70): no line of the policy allows it"
        );
        insta::assert_snapshot!(
            message_of(|refused| {
                refused.connection = Some(ConnectionId(3));
                refused.name = Some("evil.example".to_owned());
                refused.reason = Reason::SniMismatch;
            }),
            @"evil.example:8443 was refused to a process that is not known (pid 70): the TLS stream asks for a host that is not allowed"
        );
    }

    #[test]
    fn a_destination_is_told_once_for_each_reason_and_memory_is_bounded() {
        let detection = &mut OutboundCallBlocked::default();
        let denied = Refused {
            reason: Reason::Denied,
            ..refused()
        };
        let found = check(detection, &[refused(), refused(), denied.clone(), denied]);
        assert_eq!(found.len(), 2);
        for n in 0..3 * MAX_REPORTED {
            let other = Refused {
                name: Some(format!("{n}.example")),
                ..refused()
            };
            assert_eq!(check(detection, &[other.clone(), other]).len(), 1);
            assert!(detection.reported.len() <= MAX_REPORTED);
        }
    }

    #[test]
    fn what_a_block_list_stops_is_told_by_its_own_detection() {
        let listed = Refused {
            reason: Reason::BlockList,
            ..refused()
        };
        assert!(check(&mut OutboundCallBlocked::default(), &[listed]).is_empty());
    }

    #[test]
    fn hostile_names_are_quoted_harmlessly_and_cut() {
        let name = format!("a\x1b]0;x\x07\n{}.example", "é".repeat(4_000));
        let refused = Refused {
            name: Some(name),
            ..refused()
        };
        let found = check(&mut OutboundCallBlocked::default(), &[refused]);
        let finding = found.first().unwrap();
        assert!(!finding.message.contains(char::is_control), "{finding:?}");
        let destination = finding.destination.as_deref().unwrap();
        assert!((MAX_DESTINATION - 4..=MAX_DESTINATION).contains(&destination.len()));
    }
}
