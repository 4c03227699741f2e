//! The sentences that all renderers say the same way.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use runward_detect::Severity;
use runward_event::{EventKind, Mode, Protocol, Tier};

use crate::model::{Ancestor, Blocked, Dependency, Destination, Detection, Report};
use crate::text::{base_name, count, counted, duration, visible};

/// `204 processes, 3 destinations, 1 source file overwritten`: the report in one line. The second part is what a
/// person should look at; empty when there is nothing.
pub(crate) fn verdict(report: &Report) -> (String, String) {
    let counts = &report.counts;
    let seen = [
        counted(counts.processes, "process", "processes"),
        counted(counts.destinations, "destination", "destinations"),
    ]
    .join(", ");

    let overwritten: BTreeSet<&str> = report
        .detections
        .iter()
        .filter(|d| d.detection == "source-code-overwritten")
        .filter_map(|d| d.path.as_deref())
        .collect();
    let others = findings(report)
        .filter(|d| d.detection != "source-code-overwritten" || d.path.is_none())
        .count();
    let mut alarming = Vec::new();
    for (n, one, many) in [
        (
            overwritten.len(),
            "source file overwritten",
            "source files overwritten",
        ),
        (others, "other finding", "other findings"),
    ] {
        if n > 0 {
            alarming.push(counted(u64::try_from(n).unwrap_or(u64::MAX), one, many));
        }
    }
    if alarming.len() == 1 && overwritten.is_empty() {
        alarming = vec![counted(finding_count(report), "finding", "findings")];
    }
    if counts.blocked_destinations > 0 {
        alarming.push(blocked_destinations(report));
    }
    (seen, alarming.join(", "))
}

/// The detection whose findings stand in the section of what was blocked, in full, and nowhere else.
const BLOCKED: &str = "outbound-call-blocked";

/// The findings that no other section has and that a person should look at, the gravest first.
pub(crate) fn findings(report: &Report) -> impl Iterator<Item = &Detection> {
    let mut findings: Vec<&Detection> = report
        .detections
        .iter()
        .filter(|d| d.detection != BLOCKED && d.severity != Severity::Info)
        .collect();
    findings.sort_by_key(|d| Reverse(d.severity));
    findings.into_iter()
}

/// The findings that are known to be harmless, told so that nobody has to wonder.
pub(crate) fn explained(report: &Report) -> impl Iterator<Item = &Detection> {
    report
        .detections
        .iter()
        .filter(|d| d.severity == Severity::Info)
}

/// `1 finding is known to be harmless`; nothing when there is none.
pub(crate) fn explained_count(report: &Report) -> Option<String> {
    let all = report.counts.explained;
    (all > 0).then(|| {
        counted(
            all,
            "finding is known to be harmless",
            "findings are known to be harmless",
        )
    })
}

/// The findings that say what was blocked.
pub(crate) fn refusals(report: &Report) -> impl Iterator<Item = &Detection> {
    report.detections.iter().filter(|d| d.detection == BLOCKED)
}

/// How many findings there are but for these, rows that are left out included.
pub(crate) fn finding_count(report: &Report) -> u64 {
    let blocked = report.detection_counts.get(BLOCKED).copied();
    report
        .counts
        .detections
        .saturating_sub(blocked.unwrap_or(0))
        .saturating_sub(report.counts.explained)
}

/// `3 destinations blocked`.
pub(crate) fn blocked_destinations(report: &Report) -> String {
    counted(
        report.counts.blocked_destinations,
        "destination blocked",
        "destinations blocked",
    )
}

/// What is worth knowing of a refused destination besides its name: `udp, 3 times`; mostly nothing.
pub(crate) fn blocked_remarks(blocked: &Blocked) -> String {
    let mut remarks = Vec::new();
    if blocked.lookup {
        remarks.push("lookup".to_owned());
    } else if let Some(protocol) = protocol_remark(&blocked.destination, blocked.protocol) {
        remarks.push(protocol.to_owned());
    }
    match blocked.refusals {
        0 | 1 => {}
        n => remarks.push(counted(n, "time", "times")),
    }
    remarks.join(", ")
}

/// `and 2 other programs`; nothing when only one program was refused.
pub(crate) fn other_programs(blocked: &Blocked) -> Option<String> {
    let others = blocked.processes.len().saturating_sub(1);
    let others = u64::try_from(others).unwrap_or(u64::MAX);
    (others > 0).then(|| format!("and {}", counted(others, "other program", "other programs")))
}

/// The protocol, where a reader would not expect it: TCP goes without saying, and a socket without a peer says its own.
pub(crate) fn protocol_remark(destination: &str, protocol: Protocol) -> Option<&'static str> {
    let expected = protocol == Protocol::Tcp || destination.contains(" socket");
    (!expected).then(|| crate::terminal::protocol(protocol))
}

/// `12 rules`; nothing when there is no policy.
pub(crate) fn rules(report: &Report) -> Option<String> {
    let all = length(&report.policy).saturating_add(report.omitted.policy_rules);
    (all > 0).then(|| counted(all, "rule", "rules"))
}

fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

/// `Killed by lockdown for reverse-shell: no process of the job was left 2.1 ms after the act.`; nothing when it was not.
pub(crate) fn lockdown(report: &Report) -> Option<String> {
    let end = report.lockdown.as_ref()?;
    let what = match &end.detection {
        Some(detection) => format!("for {}", visible(detection)),
        None => "for an act whose event was lost".to_owned(),
    };
    let after = duration(end.seconds);
    Some(match end.left {
        0 => format!(
            "Killed by lockdown {what}: no process of the job was left {after} after the act."
        ),
        left => format!(
            "Killed by lockdown {what}: {} had not ended {after} after the act, and can do nothing but end.",
            counted(left, "process", "processes")
        ),
    })
}

/// What a reader of this report should know, besides what the record itself says.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if report.start.is_none() {
        notes.push("The record is empty: nothing is known about this job.".to_owned());
        return notes;
    }
    if report.requested_mode.is_none() {
        notes.push(
            "The record lacks its beginning, so the command and the mode are not known.".to_owned(),
        );
    }
    if (report.requested_mode, report.effective_mode) == (Some(Mode::Block), Some(Mode::Audit)) {
        notes.push(
            "Block mode was asked for, and audit mode was in force: nothing was stopped."
                .to_owned(),
        );
    }
    if !report.complete && report.requested_mode.is_some() {
        notes.push(
            "The record breaks off before the end of the job: this is what was seen until then."
                .to_owned(),
        );
    }
    let unknown = report
        .unknown_events
        .values()
        .fold(0, |sum: u64, n| sum.saturating_add(*n));
    if unknown > 0 {
        notes.push(format!(
            "{} of a kind that this version of Runward does not know: make the report again with a newer one.",
            counted(unknown, "event is", "events are")
        ));
    }
    let omitted = &report.omitted;
    for (n, one, many) in [
        (omitted.detections, "finding is", "findings are"),
        (omitted.network_events, "connection is", "connections are"),
        (
            omitted.destination_connections,
            "connection to a further destination is",
            "connections to further destinations are",
        ),
        (omitted.blocked, "refusal is", "refusals are"),
        (
            omitted.policy_rules,
            "rule of the policy is",
            "rules of the policy are",
        ),
        (omitted.dns_messages, "DNS message is", "DNS messages are"),
        (omitted.file_events, "file change is", "file changes are"),
        (omitted.processes, "process is", "processes are"),
    ] {
        if n > 0 {
            notes.push(format!(
                "{} counted but not listed, because the list is full; events.jsonl has everything.",
                counted(n, one, many)
            ));
        }
    }
    if omitted.row_details > 0 {
        notes.push(format!(
            "{} named in short, without arguments and ancestors; those stand in the list of processes.",
            counted(omitted.row_details, "row has its process", "rows have their process")
        ));
    }
    notes
}

/// `1,204 file changes, 3 DNS messages`; nothing when no event was lost.
pub(crate) fn lost(report: &Report) -> Option<String> {
    let kinds: Vec<String> = report
        .lost_events
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(kind, n)| {
            let (one, many) = nouns(*kind);
            counted(*n, one, many)
        })
        .collect();
    (!kinds.is_empty()).then(|| kinds.join(", "))
}

fn nouns(kind: EventKind) -> (&'static str, &'static str) {
    match kind {
        EventKind::ProcessFork => ("process birth", "process births"),
        EventKind::ProcessExec => ("program start", "program starts"),
        EventKind::ProcessExit => ("process end", "process ends"),
        EventKind::Dns => ("DNS message", "DNS messages"),
        EventKind::Connect => ("connection", "connections"),
        EventKind::ConnectClose => ("end of a connection", "ends of connections"),
        EventKind::Refused => ("refusal", "refusals"),
        EventKind::Tamper => ("attempt at tampering", "attempts at tampering"),
        EventKind::File => ("file change", "file changes"),
        EventKind::Written => (
            "event that could not be written",
            "events that could not be written",
        ),
        _ => ("other event", "other events"),
    }
}

/// `102 file changes, 12,345 more in ignored files`.
pub(crate) fn file_changes(report: &Report) -> String {
    let recorded = match report.counts.file_changes {
        0 => "no file changes".to_owned(),
        n => counted(n, "file change", "file changes"),
    };
    match report.unrecorded_file_changes {
        0 => recorded,
        n => format!("{recorded}, {} more in ignored files", count(n)),
    }
}

/// `audit`; when what is in force is not what was asked for, both.
pub(crate) fn mode(report: &Report) -> String {
    let name = |mode: Mode| match mode {
        Mode::Audit => "audit",
        Mode::Block => "block",
    };
    match (report.requested_mode, report.effective_mode) {
        (Some(asked), Some(got)) if asked == got => name(got).to_owned(),
        (Some(asked), Some(got)) => format!("{} ({} was asked for)", name(got), name(asked)),
        _ => "mode unknown".to_owned(),
    }
}

/// `tier A`.
pub(crate) fn tier(report: &Report) -> &'static str {
    match report.tier {
        Some(Tier::A) => "tier A",
        Some(Tier::B) => "tier B",
        None => "tier unknown",
    }
}

/// `exit 0`, `exit 137 (signal 9)`, `record breaks off`.
pub(crate) fn exit(report: &Report) -> String {
    let exit = match (report.exit_code, report.signal) {
        (Some(code), Some(signal)) => format!("exit {code} (signal {signal})"),
        (Some(code), None) => format!("exit {code}"),
        (None, _) => "record breaks off".to_owned(),
    };
    match report.lockdown {
        Some(_) => format!("{exit}, killed by lockdown"),
        None => exit,
    }
}

/// `postinstall of esbuild@0.21.5`.
pub(crate) fn dependency(dependency: &Dependency) -> String {
    let mut label = String::new();
    if let Some(phase) = &dependency.phase {
        label.push_str(phase);
        label.push_str(" of ");
    }
    label.push_str(&package(dependency));
    label
}

/// `esbuild@0.21.5`.
fn package(dependency: &Dependency) -> String {
    match &dependency.version {
        Some(version) => format!("{}@{version}", dependency.name),
        None => dependency.name.clone(),
    }
}

/// The dependency, or else the step, or else nothing: what a person would name as the cause.
pub(crate) fn cause(step: Option<&str>, dependency: Option<&Dependency>) -> String {
    match (dependency, step) {
        (Some(dependency), _) => self::dependency(dependency),
        (None, Some(step)) => format!("step {step}"),
        (None, None) => String::new(),
    }
}

/// The causes of a destination: its first package, and how far it stands for all connections.
///
/// `postinstall of esbuild@0.21.5 (1 of 15)` says that the other 14 connections were of the project itself.
pub(crate) fn causes(d: &Destination, long: bool) -> String {
    let Some(first) = d.dependencies.first() else {
        return and_more(
            cause(d.steps.first().map(String::as_str), None),
            d.steps.len(),
        );
    };
    let label = if long {
        dependency(first)
    } else {
        package(first)
    };
    let label = and_more(label, d.dependencies.len());
    if d.dependency_connections >= d.connections {
        return label;
    }
    format!(
        "{label} ({} of {})",
        count(d.dependency_connections),
        count(d.connections)
    )
}

/// `node`, `node +2`: the programs of a sum by the name that people call them.
pub(crate) fn programs(paths: &[String]) -> String {
    let mut names: Vec<&str> = paths.iter().map(|path| base_name(path)).collect();
    names.dedup();
    let first = names.first().copied().unwrap_or_default().to_owned();
    and_more(first, names.len())
}

fn and_more(first: String, all: usize) -> String {
    match all {
        0 | 1 => first,
        all => format!("{first} +{}", all - 1),
    }
}

/// `sh ← npm ← make`: the way up, by the names that people call the programs.
pub(crate) fn way_up<'a>(lineage: impl ExactSizeIterator<Item = &'a Ancestor>) -> String {
    const SHOWN: usize = 5;
    let more = lineage.len() > SHOWN;
    let mut names: Vec<&str> = lineage
        .take(SHOWN)
        .map(|ancestor| match base_name(&ancestor.exe) {
            "" => "?",
            name => name,
        })
        .collect();
    if more {
        names.push("…");
    }
    names.join(" ← ")
}
