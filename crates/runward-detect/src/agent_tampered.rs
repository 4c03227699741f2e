use std::collections::HashSet;

use runward_event::{Act, Body, Event, Tamper};
use runward_tree::Tree;

use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "agent-tampered",
    title: "An attempt on the agent, the fence or the machine below both",
    severity: Severity::High,
    confidence: Confidence::High,
    needs: "block mode; which attempts are refused, and which are only seen, depends on the kernel's tier",
    next: "Look at the process and its lineage. What a step needs of this (tcpdump, modprobe) belongs before `runward` \
           starts; everything else deserves the attention of a compromised dependency.",
};

/// A fenced job tried to undo its fence, to end or steer the agent, or to reach below both.
///
/// Asking a daemon, or signalling a whole process group, is refused as well, but builds do it all the time without meaning
/// harm: that is no finding.
#[derive(Default)]
pub(crate) struct AgentTampered {
    reported: HashSet<Key>,
}

/// What makes a finding another one: a program that tries the same again and again is told of once.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    act: Act,
    target: Option<String>,
    exe: String,
    prevented: bool,
}

/// How many findings are remembered. When a job makes more, remembering starts over: a finding may then be repeated,
/// none is missed, and memory stays below 11 MB even with the longest paths.
const MAX_REPORTED: usize = 2_000;

/// Bytes of a program's path that tell it from another; the sensor reads at most 4,096.
const MAX_EXE: usize = 4_096;

/// Bytes of what an act was aimed at; the sensor tells at most 256, three times that when every one is replaced.
const MAX_TARGET: usize = 1_024;

impl Detection for AgentTampered {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        let Body::Tamper(tamper) = &event.body else {
            return;
        };
        if matches!(tamper.act, Act::Service | Act::Resolver | Act::GroupSignal) {
            return;
        }
        let exe = tree.image(tamper.process).map_or("", |image| &image.exe);
        let key = Key {
            act: tamper.act,
            target: tamper.target.as_deref().map(|text| head(text, MAX_TARGET)),
            exe: head(exe, MAX_EXE),
            prevented: tamper.prevented,
        };
        if self.reported.contains(&key) {
            return;
        }
        if self.reported.len() >= MAX_REPORTED {
            self.reported.clear();
        }
        self.reported.insert(key);
        findings.push(ABOUT.finding(event, Some(tamper.process), message(tamper, tree)));
    }
}

/// `/usr/bin/python3 (pid 12), started by make, tried to signal the agent (signal 9): it was refused`.
fn message(tamper: &Tamper, tree: &Tree) -> String {
    let actor = actor(tree, Some(tamper.process), tamper.pid);
    let target = tamper.target.as_deref().map(quote);
    let target = target.map_or_else(String::new, |target| format!(" ({target})"));
    let end = if tamper.prevented {
        "it was refused"
    } else if tamper.killed {
        "the process was killed for it"
    } else {
        "this kernel could not refuse it"
    };
    format!("{actor} tried to {}{target}: {end}", what(tamper.act))
}

fn what(act: Act) -> &'static str {
    match act {
        Act::Bpf => "change or open BPF programs",
        Act::Signal => "signal the agent or the machine's first process",
        Act::Memory => "reach into a process outside of the job",
        Act::Limits => "change the agent's limits or priority",
        Act::Pins => "change what keeps the fence standing",
        Act::Report => "change the record",
        Act::Mount => "hide or remove what keeps the fence standing",
        Act::Module => "load or remove a kernel module",
        Act::Kexec => "start another kernel",
        Act::RawMemory => "reach the machine's memory or ports",
        Act::RawDisk => "reach a disk below its file system",
        Act::Tunnel => "make a network device of its own",
        Act::Setting => "change a setting that the machine's safety stands on",
        Act::Cgroup => "steer the agent's control group",
        Act::Socket => "make a socket that the fence cannot follow",
        Act::Policy => "give its job another policy",
        _ => "tamper with the machine",
    }
}

/// The first bytes of `text`, at most `max`, cut between characters.
fn head(text: &str, max: usize) -> String {
    text[..text.floor_char_boundary(max)].to_owned()
}

#[cfg(test)]
mod tests {
    use runward_event::{ProcessId, Time};

    use super::*;

    fn tamper(act: Act, target: &str) -> Tamper {
        Tamper {
            process: ProcessId(7),
            pid: 70,
            act,
            target: Some(target.to_owned()),
            prevented: true,
            killed: false,
            raw: Default::default(),
        }
    }

    /// What is found in these attempts, as sentences.
    fn check(detection: &mut AgentTampered, attempts: &[Tamper]) -> Vec<String> {
        let mut findings = Vec::new();
        for attempt in attempts {
            let event = Event {
                seq: 1,
                time: Time::from_unix_nanos(0),
                body: Body::Tamper(Box::new(attempt.clone())),
            };
            detection.observe(&event, &Tree::default(), &mut findings);
        }
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    #[test]
    fn a_sentence_says_what_became_of_it() {
        let refused = tamper(Act::Signal, "signal 9");
        let killed = Tamper {
            prevented: false,
            killed: true,
            ..tamper(Act::Socket, "AF_PACKET")
        };
        let seen = Tamper {
            prevented: false,
            target: None,
            ..tamper(Act::Module, "")
        };
        insta::assert_snapshot!(
            check(&mut AgentTampered::default(), &[refused, killed, seen]).join("\n"),
            @r"
        a process that is not known (pid 70) tried to signal the agent or the machine's first process (signal 9): it was refused
        a process that is not known (pid 70) tried to make a socket that the fence cannot follow (AF_PACKET): the process was killed for it
        a process that is not known (pid 70) tried to load or remove a kernel module: this kernel could not refuse it
        "
        );
    }

    #[test]
    fn what_builds_do_without_meaning_harm_is_no_finding() {
        let attempts = [
            tamper(Act::GroupSignal, "signal 15"),
            tamper(Act::Service, "/run/docker.sock"),
            tamper(Act::Resolver, "/run/systemd/resolve/io.systemd.Resolve"),
        ];
        assert!(check(&mut AgentTampered::default(), &attempts).is_empty());
    }

    #[test]
    fn one_attempt_is_told_once_and_memory_is_bounded() {
        let detection = &mut AgentTampered::default();
        let pin = |number: usize| tamper(Act::Pins, &format!("bpf:/runward/{number}"));
        assert_eq!(check(detection, &[pin(0), pin(0), pin(1), pin(0)]).len(), 2);
        for number in 2..3 * MAX_REPORTED {
            assert_eq!(check(detection, &[pin(number)]).len(), 1);
            assert!(detection.reported.len() <= MAX_REPORTED);
        }
    }

    #[test]
    fn hostile_texts_are_quoted_harmlessly() {
        let hostile = tamper(Act::Report, "tmpfs:/a\x1b]0;x\x07\n");
        let message = check(&mut AgentTampered::default(), &[hostile]).concat();
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}
