use std::collections::BTreeMap;

use runward_event::{Body, Event, EventKind, LossReason, Lost};
use runward_tree::Tree;

use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "events-lost",
    title: "The record lacks something that the job did",
    severity: Severity::High,
    confidence: Confidence::High,
    needs: "nothing: every place that can lose an event counts it",
    next: "Find out who made so many events: the processes, destinations and files around this moment. Take the job's \
           result for unwatched until somebody knows, and do not rely on the absence of other findings.",
};

/// Events were lost. A job that makes more of them than can be taken in may do so to hide one.
#[derive(Default)]
pub(crate) struct EventsLost {
    /// By what was lost and why; there are few of both.
    sums: BTreeMap<(EventKind, LossReason), Sum>,
}

#[derive(Default)]
struct Sum {
    lost: u64,
    told: Option<Severity>,
}

impl Detection for EventsLost {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, _: &Tree, findings: &mut Vec<Finding>) {
        let Body::Lost(Lost {
            lost,
            count,
            reason,
        }) = event.body
        else {
            return;
        };
        if count == 0 {
            return;
        }
        let sum = self.sums.entry((lost, reason)).or_default();
        sum.lost = sum.lost.saturating_add(count);
        let severity = severity(lost, sum.lost);
        // Once, and again when it became worse.
        if sum.told.is_none_or(|told| told < severity) {
            sum.told = Some(severity);
            let mut finding = ABOUT.finding(event, None, message(lost, reason, sum.lost));
            finding.severity = severity;
            findings.push(finding);
        }
    }
}

/// So many lost events of a kind are no slip any more.
const MANY: u64 = 1_000;

/// What could be hidden in what was lost.
fn severity(kind: EventKind, lost: u64) -> Severity {
    match kind {
        // Each of them is what an attack looks like, and they have a place of their own where others are lost.
        EventKind::MemoryAccess | EventKind::Tamper | EventKind::Refused => Severity::High,
        // Who made whom, and when it ended: acts are seen without, but not always by whom.
        EventKind::ProcessFork | EventKind::ProcessExit | EventKind::ConnectClose => {
            if lost < MANY {
                Severity::Low
            } else {
                Severity::Medium
            }
        }
        // Git's files are compared at the end, whatever was lost on the way; and of secrets, many were told.
        EventKind::File | EventKind::SecretFound => Severity::Medium,
        _ if lost < MANY => Severity::Medium,
        _ => Severity::High,
    }
}

/// `12 events of connections were lost: the job made them faster than they could be read. …`.
fn message(kind: EventKind, reason: LossReason, lost: u64) -> String {
    let (what, missing) = what(kind);
    let events = match (reason, lost) {
        // One for each time that the kernel said so.
        (LossReason::QueueOverflow, _) => "Events".to_owned(),
        (_, 1) => "1 event".to_owned(),
        (_, lost) => format!("{lost} events"),
    };
    let were = if events.starts_with("1 ") {
        "was"
    } else {
        "were"
    };
    format!("{events} of {what} {were} lost: {}; {missing}", why(reason))
}

/// What events of this kind are about, and what is not known without them.
fn what(kind: EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::ProcessFork => (
            "processes that began",
            "what they did may lack its step and dependency",
        ),
        EventKind::ProcessExec => (
            "programs that started",
            "what ran then is not in the record",
        ),
        EventKind::ProcessExit => ("processes that ended", "some seem to run on"),
        EventKind::Dns => (
            "lookups of names",
            "what was asked for then is not in the record",
        ),
        EventKind::Connect => (
            "connections",
            "what was called then is not in the record; a fence judges it all the same",
        ),
        EventKind::ConnectClose => (
            "connections that ended",
            "how much they carried is not known",
        ),
        EventKind::Refused => (
            "refusals",
            "what the fence stopped then is not in the record",
        ),
        EventKind::Tamper => (
            "attempts on the agent or the fence",
            "what was tried then is not in the record",
        ),
        EventKind::MemoryAccess => (
            "processes that read another one's memory",
            "whose secrets were read then is not in the record",
        ),
        EventKind::SensitiveFile => (
            "credentials that were read, or of files that are run again later",
            "who did that then is not in the record",
        ),
        EventKind::SecretFound => (
            "secrets in the job's output",
            "which they were is not in the record",
        ),
        EventKind::File => (
            "changes of files",
            "who made them is not known; files that git tracks are compared at the end",
        ),
        EventKind::Written => (
            "every kind",
            "they were seen, and are missing in events.jsonl",
        ),
        _ => ("another kind", "what they would show is not in the record"),
    }
}

fn why(reason: LossReason) -> &'static str {
    match reason {
        LossReason::RingFull | LossReason::QueueOverflow => {
            "the job made them faster than they could be read"
        }
        LossReason::NoMemory => "there was no room for what they need",
        LossReason::WriteFailed => "the record could not be written",
        LossReason::Malformed => "they could not be read",
        LossReason::Limit => "there were more than are told",
        LossReason::Recursion => "the kernel skipped the program that tells of them",
        _ => "the reason is not known to this version",
    }
}

#[cfg(test)]
mod tests {
    use runward_event::Time;

    use super::*;

    /// What is found in these losses.
    fn found(losses: &[(EventKind, LossReason, u64)]) -> Vec<(Severity, String)> {
        let mut detection = EventsLost::default();
        let mut findings = Vec::new();
        for (lost, reason, count) in losses {
            let event = Event {
                seq: 1,
                time: Time::from_unix_nanos(0),
                body: Body::Lost(Lost {
                    lost: *lost,
                    count: *count,
                    reason: *reason,
                }),
            };
            detection.observe(&event, &Tree::default(), &mut findings);
        }
        findings
            .into_iter()
            .map(|finding| (finding.severity, finding.message))
            .collect()
    }

    #[test]
    fn it_is_told_once_and_again_when_it_becomes_worse() {
        let ring = |kind, count| (kind, LossReason::RingFull, count);
        let found = found(&[
            ring(EventKind::Connect, 1),
            ring(EventKind::Connect, 500),
            ring(EventKind::Connect, 600),
            ring(EventKind::Connect, u64::MAX),
            ring(EventKind::Dns, 0),
            (EventKind::Connect, LossReason::NoMemory, 2),
        ]);
        insta::assert_debug_snapshot!(found, @r#"
        [
            (
                Medium,
                "1 event of connections was lost: the job made them faster than they could be read; what was called then is not in the record; a fence judges it all the same",
            ),
            (
                High,
                "1101 events of connections were lost: the job made them faster than they could be read; what was called then is not in the record; a fence judges it all the same",
            ),
            (
                Medium,
                "2 events of connections were lost: there was no room for what they need; what was called then is not in the record; a fence judges it all the same",
            ),
        ]
        "#);
    }

    #[test]
    fn what_could_hide_more_weighs_more() {
        for kind in EventKind::ALL {
            let few = severity(kind, 1);
            assert!(few <= severity(kind, MANY) && few >= Severity::Low);
        }
        assert_eq!(severity(EventKind::MemoryAccess, 1), Severity::High);
        assert_eq!(severity(EventKind::ProcessExit, 5), Severity::Low);
        assert_eq!(severity(EventKind::ProcessExec, MANY), Severity::High);
    }

    #[test]
    fn every_kind_and_reason_has_its_words() {
        for kind in EventKind::ALL {
            let found = found(&[(kind, LossReason::QueueOverflow, 3)]);
            let [(_, message)] = &found[..] else {
                panic!("{found:?}")
            };
            assert!(!message.contains("another kind"), "{message}");
            assert!(message.starts_with("Events of "), "{message}");
        }
    }
}
