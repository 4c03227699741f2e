//! Policies and the record of one run: which one it suggests, and what another one would have stopped. Pure.

use std::collections::BTreeMap;

use runward_event::Protocol;
use runward_policy::{
    Action, Actor, Decision, Matcher, Name, Observation, PolicyError, Question, Source,
    SourcePolicy, Transport, Verdict, combine, parse_file,
};
use runward_report::{NetworkRow, Report};

use crate::pages::{WhatIf, WhatIfRow};

/// The policy that lets a run do what it did.
pub(crate) fn recommended(report: &Report) -> String {
    let labels: Vec<Vec<String>> = report
        .destinations
        .iter()
        .map(|destination| {
            destination
                .dependencies
                .iter()
                .map(|d| d.name.clone())
                .collect()
        })
        .collect();
    let seen = report
        .destinations
        .iter()
        .zip(&labels)
        .filter_map(|(destination, dependencies)| {
            Some(Observation {
                run: 0,
                name: destination.name.as_deref(),
                ip: destination.ips.first().copied(),
                port: destination.port,
                transport: transport(destination.protocol)?,
                connections: destination.connections,
                blocked: destination.statuses.blocked,
                executables: &destination.processes,
                dependencies,
            })
        });
    runward_policy::suggest(1, seen).to_yaml()
}

fn transport(protocol: Protocol) -> Option<Transport> {
    match protocol {
        Protocol::Tcp => Some(Transport::Tcp),
        Protocol::Udp => Some(Transport::Udp),
        _ => None,
    }
}

/// Destinations that are listed.
const ROWS: usize = 200;
/// Errors that are told.
const ERRORS: usize = 5;

/// What a policy would have stopped in a run. Its text is a policy file, or just a list of endpoints.
pub(crate) fn tried(report: &Report, policy: String) -> WhatIf {
    let read = read(&policy).and_then(|source| combine(vec![source]));
    match read {
        Ok(read) => WhatIf {
            rows: stopped(report, &Matcher::new(read)),
            policy,
            error: None,
        },
        Err(errors) => WhatIf {
            error: Some(sentences(&errors)),
            policy,
            rows: Vec::new(),
        },
    }
}

fn read(text: &str) -> Result<SourcePolicy, Vec<PolicyError>> {
    let source = Source::File("policy".to_owned());
    let is_file = ["egress-policy", "allowed-endpoints", "denied-endpoints"]
        .iter()
        .any(|key| text.contains(&format!("{key}:")));
    if is_file {
        parse_file(text, source)
    } else {
        SourcePolicy::of_list(text, Action::Allow, source)
    }
}

fn sentences(errors: &[PolicyError]) -> String {
    let told: Vec<String> = errors
        .iter()
        .take(ERRORS)
        .map(ToString::to_string)
        .collect();
    let more = errors.len().saturating_sub(ERRORS);
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    format!("{}{rest}", told.join("; "))
}

fn stopped(report: &Report, matcher: &Matcher) -> Vec<WhatIfRow> {
    let mut rows: BTreeMap<&str, WhatIfRow> = BTreeMap::new();
    for event in &report.network_events {
        let Some(reason) = refusal(event, matcher) else {
            continue;
        };
        let row = rows.entry(&event.destination).or_insert_with(|| WhatIfRow {
            destination: event.destination.clone(),
            processes: Vec::new(),
            connections: 0,
            reason,
        });
        row.connections += 1;
        if !row.processes.contains(&event.process.exe) {
            row.processes.push(event.process.exe.clone());
        }
    }
    let mut rows: Vec<WhatIfRow> = rows.into_values().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.connections));
    rows.truncate(ROWS);
    rows
}

/// Why a connection would have been stopped, if it would.
fn refusal(event: &NetworkRow, matcher: &Matcher) -> Option<String> {
    let name = event
        .name
        .as_deref()
        .and_then(|name| Name::parse(name).ok());
    let step = event.step.as_deref();
    let decision = matcher.decide(&Question {
        name: name.as_ref(),
        ip: Some(event.ip),
        port: event.port,
        transport: transport(event.protocol)?,
        actor: Actor {
            step,
            executable: Some(&event.process.exe),
            image: None,
        },
    });
    match decision {
        Decision::Judged(Verdict::Denied { rule }) => {
            let rule = matcher.policy().rule(rule);
            Some(rule.map_or_else(
                || "denied".to_owned(),
                |rule| format!("denied by {}", rule.spelled()),
            ))
        }
        Decision::Judged(Verdict::NotAllowed { suggestion, .. }) => Some(match suggestion {
            Some(line) => format!("no line allows it; {line} would"),
            None => "no line allows it".to_owned(),
        }),
        _ => None,
    }
}
