//! Policies and the records of runs: which one they suggest, and what another one would have stopped. Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use runward_event::{Protocol, Status};
use runward_policy::{
    Action, Actor, Decision, Matcher, Name, Observation, PolicyError, Question, Source,
    SourcePolicy, Transport, Verdict, combine, parse_file,
};
use runward_report::{NetworkRow, Report};
use runward_store::Run;

use crate::pages::{WhatIf, WhatIfRow};
use crate::policy::TEXT_MAX;

/// Destinations of all runs together from which a policy is suggested.
const OBSERVED: usize = 100_000;

/// Where runs went, without all else that their reports hold.
#[derive(Default)]
pub(crate) struct Observed {
    runs: usize,
    destinations: Vec<Went>,
}

struct Went {
    run: usize,
    name: Option<String>,
    ip: Option<IpAddr>,
    port: u16,
    transport: Transport,
    connections: u64,
    blocked: u64,
    executables: Vec<String>,
    dependencies: Vec<String>,
}

impl Observed {
    pub(crate) fn add(&mut self, report: &Report) {
        let run = self.runs;
        self.runs += 1;
        let left = OBSERVED.saturating_sub(self.destinations.len());
        let went = report.destinations.iter().filter_map(|destination| {
            Some(Went {
                run,
                name: destination.name.clone(),
                ip: destination.ips.first().copied(),
                port: destination.port,
                transport: transport(destination.protocol)?,
                connections: destination.connections,
                blocked: destination.statuses.blocked,
                executables: destination.processes.clone(),
                dependencies: destination
                    .dependencies
                    .iter()
                    .map(|dependency| dependency.name.clone())
                    .collect(),
            })
        });
        self.destinations.extend(went.take(left));
    }

    /// The policy that lets the runs do what they did.
    pub(crate) fn suggested(&self) -> String {
        let seen = self.destinations.iter().map(|went| Observation {
            run: went.run,
            name: went.name.as_deref(),
            ip: went.ip,
            port: went.port,
            transport: went.transport,
            connections: went.connections,
            blocked: went.blocked,
            executables: &went.executables,
            dependencies: &went.dependencies,
        });
        runward_policy::suggest(self.runs, seen).to_yaml()
    }
}

/// The policy that lets one run do what it did.
pub(crate) fn recommended(report: &Report) -> String {
    let mut observed = Observed::default();
    observed.add(report);
    observed.suggested()
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
/// Destinations that are kept until it is known which of them are listed.
const KEPT: usize = 20_000;
/// Programs of one row.
const PROGRAMS: usize = 20;
/// Errors that are told.
const ERRORS: usize = 5;

/// What a policy would have stopped in a run. Its text is a policy file, or just a list of endpoints.
pub(crate) fn tried(report: &Report, policy: String) -> WhatIf {
    if policy.len() > TEXT_MAX {
        return WhatIf {
            error: Some("the text is too long: a policy has at most 64 KiB".to_owned()),
            ..WhatIf::default()
        };
    }
    let read = read(&policy).and_then(|source| combine(vec![source]));
    match read {
        Ok(read) => {
            let mut trial = Trial::new(Matcher::new(read));
            trial.judge(report);
            let (rows, unlisted) = trial.rows();
            WhatIf {
                rows,
                unlisted,
                unjudged: report.omitted.network_events,
                policy,
                error: None,
            }
        }
        Err(errors) => WhatIf {
            error: Some(sentences(&errors)),
            policy,
            ..WhatIf::default()
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

/// A policy that is tried on the records of runs, one after the other.
pub(crate) struct Trial {
    matcher: Matcher,
    runs: Vec<TriedRun>,
    /// Records that were judged.
    judged: usize,
    /// By destination, with the last record that it was in.
    rows: BTreeMap<String, (usize, WhatIfRow)>,
    /// Connections to stop that came when there were too many destinations to keep.
    unkept: usize,
}

/// What a trial found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    /// In the order in which they were added.
    pub(crate) runs: Vec<TriedRun>,
    /// Runs that would have been too much to look through.
    pub(crate) omitted: u64,
    /// What would have been stopped, most connections first.
    pub(crate) rows: Vec<WhatIfRow>,
    /// Destinations that are not listed there, because there are too many; behind [`KEPT`] of them, each connection
    /// counts as one.
    pub(crate) unlisted: u64,
}

/// A run on which a policy was tried.
#[derive(Clone, Debug)]
pub(crate) struct TriedRun {
    pub(crate) run: Run,
    /// Connections that its report has.
    pub(crate) connections: u64,
    /// Those of them that would have been stopped.
    pub(crate) stopped: u64,
    /// Connections that its report counts and does not list: nobody knows what the policy would say of them.
    pub(crate) unjudged: u64,
}

impl Trial {
    pub(crate) fn new(matcher: Matcher) -> Trial {
        Trial {
            matcher,
            runs: Vec::new(),
            judged: 0,
            rows: BTreeMap::new(),
            unkept: 0,
        }
    }

    pub(crate) fn add(&mut self, run: Run, report: &Report) {
        let stopped = self.judge(report);
        self.runs.push(TriedRun {
            run,
            connections: u64::try_from(report.network_events.len()).unwrap_or(u64::MAX),
            stopped,
            unjudged: report.omitted.network_events,
        });
    }

    pub(crate) fn finish(self) -> Tried {
        let (rows, unlisted) = self.rows();
        Tried {
            rows,
            unlisted,
            runs: self.runs,
            omitted: 0,
        }
    }

    /// The rows that are listed, and how many are not.
    fn rows(&self) -> (Vec<WhatIfRow>, u64) {
        let mut rows: Vec<WhatIfRow> = self.rows.values().map(|(_, row)| row.clone()).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.connections));
        let unlisted = self.unkept + rows.len().saturating_sub(ROWS);
        rows.truncate(ROWS);
        (rows, u64::try_from(unlisted).unwrap_or(u64::MAX))
    }

    /// Judges the connections of one record; how many would have been stopped.
    fn judge(&mut self, report: &Report) -> u64 {
        self.judged += 1;
        let mut stopped = 0;
        for event in &report.network_events {
            if let Some(reason) = refusal(event, &self.matcher) {
                stopped += 1;
                self.stop(event, reason);
            }
        }
        stopped
    }

    fn stop(&mut self, event: &NetworkRow, reason: String) {
        if self.rows.len() >= KEPT && !self.rows.contains_key(&event.destination) {
            self.unkept += 1;
            return;
        }
        let row = WhatIfRow {
            destination: event.destination.clone(),
            reason,
            ..WhatIfRow::default()
        };
        let (last, row) = self
            .rows
            .entry(event.destination.clone())
            .or_insert((0, row));
        row.runs += u64::from(*last != self.judged);
        *last = self.judged;
        row.connections += 1;
        row.stopped_then += u64::from(event.status == Status::Blocked);
        if row.processes.len() < PROGRAMS && !row.processes.contains(&event.process.exe) {
            row.processes.push(event.process.exe.clone());
        }
    }
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
