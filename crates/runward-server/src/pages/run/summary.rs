//! A run at a glance: the sums, what was blocked, what was found, when what happened, and where it went.

use askama::Template;
use runward_detect::{Severity, reason_sentence};
use runward_event::{Status, Time};
use runward_report::text::{bytes, count};
use runward_report::{Blocked, Destination, Detection, Report};
use runward_store::Anomaly;

use super::super::chart::{Bars, Value};
use super::super::detections::severity_name;
use super::super::hostile::Text;
use super::super::moment::{Moment, offset};
use super::super::number::length;
use super::super::pill::Pill;
use super::super::shell::Shell;
use super::RunSource;
use super::actor::{Actor, cause};
use super::frame::{Frame, Tab, tab_address};
use super::network::program_names;
use crate::learn::OVERWRITTEN;

/// Rows of each list; the tabs have the rest.
const ROWS: usize = 10;
/// Bars of a chart of a run's time.
const SLICES: usize = 72;
/// The detection whose findings stand under what was blocked.
const BLOCKED: &str = "outbound-call-blocked";

/// `/o/{org}/runs/{run}`.
#[derive(Template)]
#[template(path = "run/summary.html")]
pub(crate) struct SummaryTab {
    shell: Shell,
    frame: Frame,
    command: Text,
    tiles: Vec<Tile>,
    blocked: Vec<BlockedRow>,
    more_blocked: Option<String>,
    findings: Vec<FindingRow>,
    more_findings: Option<String>,
    unusual: Vec<UnusualRow>,
    more_unusual: Option<String>,
    baseline_href: String,
    strips: Vec<Strip>,
    length: String,
    destinations: Vec<DestinationRow>,
    more_destinations: Option<String>,
    notes: Vec<Text>,
    facts: Vec<(&'static str, Text)>,
    network_href: String,
    detections_href: String,
    policy_href: String,
}

struct Tile {
    number: String,
    label: &'static str,
    href: String,
    tone: &'static str,
}

struct BlockedRow {
    destination: Text,
    via: Option<Text>,
    protocol: &'static str,
    lookup: bool,
    refusals: String,
    why: &'static str,
    line: Option<Text>,
    actor: Actor,
    cause: Option<Text>,
}

struct UnusualRow {
    subject: Text,
    program: Text,
    cause: Option<Text>,
    disposition: Pill,
    why: Text,
    at: Moment,
}

struct FindingRow {
    kind: Text,
    severity: Pill,
    severity_name: &'static str,
    message: Text,
    about: Option<Text>,
    at: Moment,
    actor: Option<Actor>,
    cause: Option<Text>,
}

struct Strip {
    title: &'static str,
    sum: String,
    bars: Bars,
}

struct DestinationRow {
    destination: Text,
    programs: Vec<Text>,
    cause: Option<Text>,
    /// How many of the connections the cause made, if it is not all of them.
    share: Option<String>,
    connections: String,
    blocked: Option<String>,
    sent: String,
    received: String,
    href: String,
}

impl SummaryTab {
    pub(crate) fn new(shell: Shell, source: &RunSource<'_>) -> SummaryTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Summary);
        let report = source.report;
        let findings: Vec<&Detection> = report
            .detections
            .iter()
            .filter(|d| d.detection != BLOCKED && !is_normal(source, d))
            .collect();
        let link = |tab| tab_address(&shell, &source.run.id, tab);
        SummaryTab {
            command: command(source),
            tiles: tiles(&shell, source),
            blocked: report
                .blocked
                .iter()
                .take(ROWS)
                .zip(0..)
                .map(|(b, i)| BlockedRow::new(b, i))
                .collect(),
            more_blocked: more(
                report
                    .counts
                    .blocked_destinations
                    .max(length(&report.blocked)),
            ),
            more_findings: more(length(&findings)),
            more_unusual: more(length(source.anomalies)),
            unusual: source
                .anomalies
                .iter()
                .take(ROWS)
                .map(|anomaly| UnusualRow::new(anomaly, report.start))
                .collect(),
            baseline_href: match source.job {
                Some(job) => shell.at(&["baseline", &job.0.to_string()]).to_string(),
                None => shell.at(&["baseline"]).to_string(),
            },
            findings: findings
                .into_iter()
                .take(ROWS)
                .zip(0..)
                .map(|(finding, i)| FindingRow::new(finding, i, report.start))
                .collect(),
            strips: strips(report),
            length: runward_report::text::duration(report.duration_seconds),
            destinations: top(report)
                .into_iter()
                .take(ROWS)
                .map(|d| DestinationRow::new(d, &shell, source))
                .collect(),
            more_destinations: more(report.counts.destinations.max(length(&report.destinations))),
            notes: report
                .notes
                .iter()
                .take(20)
                .map(|note| Text::new(note, 400))
                .collect(),
            facts: facts(source),
            network_href: link(Tab::Network).to_string(),
            detections_href: link(Tab::Detections).to_string(),
            policy_href: link(Tab::Policy).to_string(),
            frame,
            shell,
        }
    }
}

/// Whether a finding is of a file that the job overwrites as it always does.
fn is_normal(source: &RunSource<'_>, found: &Detection) -> bool {
    let (Some(told), Some(path)) = (source.told_files, &found.path) else {
        return false;
    };
    found.detection == OVERWRITTEN && !told.contains(path)
}

/// How many a list has past its first rows.
fn more(all: u64) -> Option<String> {
    let left = all.saturating_sub(u64::try_from(ROWS).unwrap_or(u64::MAX));
    (left > 0).then(|| count(left))
}

fn command(source: &RunSource<'_>) -> Text {
    if source.report.command.is_empty() {
        Text::new(&source.run.command, 300)
    } else {
        Text::command(&source.report.command, 300)
    }
}

fn tiles(shell: &Shell, source: &RunSource<'_>) -> Vec<Tile> {
    let counts = &source.report.counts;
    let tile = |n: u64, one, many, tab, finding: bool, tone| {
        let address = tab_address(shell, &source.run.id, tab);
        let address = if finding {
            address.with("findings", "1")
        } else {
            address
        };
        Tile {
            number: count(n),
            label: if n == 1 { one } else { many },
            href: address.to_string(),
            tone: if n > 0 { tone } else { "" },
        }
    };
    vec![
        tile(
            counts.processes,
            "process",
            "processes",
            Tab::Processes,
            false,
            "",
        ),
        tile(
            counts.connections,
            "connection",
            "connections",
            Tab::Network,
            false,
            "",
        ),
        tile(
            counts.destinations,
            "destination",
            "destinations",
            Tab::Network,
            false,
            "",
        ),
        tile(
            counts
                .blocked_connections
                .saturating_add(counts.refused_lookups),
            "blocked call",
            "blocked calls",
            Tab::Network,
            true,
            "alarm",
        ),
        tile(
            counts.file_changes,
            "file change",
            "file changes",
            Tab::Files,
            false,
            "",
        ),
        tile(
            counts.tracked_changes,
            "overwritten source file",
            "overwritten source files",
            Tab::Files,
            true,
            "alarm",
        ),
    ]
}

/// The destinations, those where something was stopped before the others, then by connections.
fn top(report: &Report) -> Vec<&Destination> {
    let mut rows: Vec<&Destination> = report.destinations.iter().collect();
    rows.sort_by_key(|d| (d.statuses.blocked == 0, std::cmp::Reverse(d.connections)));
    rows
}

/// When what happened, one strip for each kind of act.
fn strips(report: &Report) -> Vec<Strip> {
    let Some(start) = report.start else {
        return Vec::new();
    };
    let last = |times: &mut dyn Iterator<Item = Time>| times.max().unwrap_or(start);
    let end = [
        last(
            &mut report
                .processes
                .iter()
                .map(|row| row.end.unwrap_or(row.start)),
        ),
        last(&mut report.network_events.iter().map(|row| row.time)),
        last(&mut report.file_events.iter().map(|row| row.time)),
    ]
    .into_iter()
    .max()
    .unwrap_or(start);
    let clock = Clock {
        start,
        nanos: end.nanos_since(start).max(1),
    };
    let mut strips = Vec::new();
    for (title, tone, acts) in [
        (
            "Processes started",
            "process",
            clock.slices(report.processes.iter().map(|row| (row.start, false))),
        ),
        (
            "Connections",
            "network",
            clock.slices(
                report
                    .network_events
                    .iter()
                    .map(|row| (row.time, row.status == Status::Blocked)),
            ),
        ),
        (
            "File changes",
            "file",
            clock.slices(report.file_events.iter().map(|row| (row.time, row.changed))),
        ),
    ] {
        let all = acts
            .iter()
            .map(|(n, _)| n)
            .fold(0, |sum: i64, n| sum.saturating_add(*n));
        let marked = acts
            .iter()
            .map(|(_, n)| n)
            .fold(0, |sum: i64, n| sum.saturating_add(*n));
        let all = count(u64::try_from(all).unwrap_or(0));
        let values = acts
            .into_iter()
            .zip(0..)
            .map(|((whole, part), i): ((i64, i64), u64)| Value {
                whole,
                part,
                said: format!("+{}: {whole}{}", clock.said(i), marked_said(tone, part)),
            })
            .collect();
        strips.push(Strip {
            title,
            bars: Bars::new(
                format!(
                    "{title} over the time of the run: {all} in all{}",
                    marked_said(tone, marked)
                ),
                tone,
                values,
            ),
            sum: all,
        });
    }
    strips
}

fn marked_said(tone: &str, n: i64) -> String {
    match (tone, n) {
        (_, 0) => String::new(),
        ("network", n) => format!(", {n} blocked"),
        (_, n) => format!(", {n} of overwritten source files"),
    }
}

/// The time of a run, in slices.
struct Clock {
    start: Time,
    nanos: u64,
}

impl Clock {
    fn slices(&self, acts: impl Iterator<Item = (Time, bool)>) -> Vec<(i64, i64)> {
        let mut slices = vec![(0, 0); SLICES];
        for (time, marked) in acts {
            let at =
                u128::from(time.nanos_since(self.start)) * SLICES as u128 / u128::from(self.nanos);
            let at = usize::try_from(at).unwrap_or(usize::MAX).min(SLICES - 1);
            if let Some((all, of_them)) = slices.get_mut(at) {
                *all += 1;
                *of_them += i64::from(marked);
            }
        }
        slices
    }

    /// When a slice begins.
    fn said(&self, slice: u64) -> String {
        let nanos = u128::from(self.nanos) * u128::from(slice) / SLICES as u128;
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        let at = Time::from_unix_nanos(self.start.unix_nanos().saturating_add(nanos));
        offset(at, self.start)
    }
}

fn facts(source: &RunSource<'_>) -> Vec<(&'static str, Text)> {
    let report = source.report;
    [
        ("Run", source.run.id.as_str()),
        (
            "Run at the provider",
            source.run.provider_run.as_deref().unwrap_or_default(),
        ),
        ("Workspace", report.workspace.as_str()),
        ("Folder", report.cwd.as_str()),
        ("Kernel", report.kernel.as_str()),
        ("Runward", report.runward.as_str()),
        (
            "Events",
            &count(u64::try_from(source.run.events).unwrap_or(0)),
        ),
    ]
    .into_iter()
    .filter(|(_, value)| !value.is_empty())
    .map(|(label, value)| (label, Text::new(value, 120)))
    .collect()
}

impl BlockedRow {
    fn new(b: &Blocked, i: usize) -> BlockedRow {
        BlockedRow {
            destination: Text::new(&b.destination, 80),
            via: b.via.as_deref().map(|via| Text::new(via, 80)),
            protocol: super::network::protocol(b.protocol),
            lookup: b.lookup,
            refusals: count(b.refusals),
            why: reason_sentence(b.reason),
            line: b.line.as_deref().map(|line| Text::new(line, 300)),
            actor: Actor::new(&b.process, &format!("b{i}")),
            cause: cause(b.step.as_deref(), b.dependency.as_deref()),
        }
    }
}

impl UnusualRow {
    fn new(anomaly: &Anomaly, start: Option<Time>) -> UnusualRow {
        let nanos = u64::try_from(anomaly.at)
            .unwrap_or(0)
            .saturating_mul(1_000_000);
        UnusualRow {
            subject: Text::new(&anomaly.subject, 80),
            program: Text::program(&anomaly.program, 40),
            cause: anomaly
                .dependency
                .as_deref()
                .or(anomaly.step.as_deref())
                .map(|cause| Text::new(cause, 60)),
            disposition: Pill::disposition(&anomaly.disposition),
            why: Text::new(&anomaly.explanation, 400),
            at: Moment::since(Time::from_unix_nanos(nanos), start),
        }
    }
}

impl FindingRow {
    fn new(d: &Detection, i: usize, start: Option<Time>) -> FindingRow {
        FindingRow {
            kind: Text::new(&d.detection, 60),
            severity: Pill::severity(severity(d.severity)),
            severity_name: severity_name(severity(d.severity)),
            message: Text::new(&d.message, 320),
            about: d
                .path
                .as_deref()
                .or(d.destination.as_deref())
                .map(|about| Text::new(about, 120)),
            at: Moment::since(d.time, start),
            actor: d
                .process
                .as_deref()
                .map(|process| Actor::new(process, &format!("f{i}"))),
            cause: cause(d.step.as_deref(), d.dependency.as_deref()),
        }
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    }
}

/// `1 of 15`: that the other 14 connections were of the project itself must not be hidden.
fn share(d: &Destination) -> Option<String> {
    let some = !d.dependencies.is_empty() && d.dependency_connections < d.connections;
    some.then(|| {
        format!(
            "{} of {}",
            count(d.dependency_connections),
            count(d.connections)
        )
    })
}

impl DestinationRow {
    fn new(d: &Destination, shell: &Shell, source: &RunSource<'_>) -> DestinationRow {
        let sought: String = d.destination.chars().take(200).collect();
        DestinationRow {
            destination: Text::new(&d.destination, 72),
            programs: program_names(&d.processes, 3),
            cause: cause(d.steps.first().map(String::as_str), d.dependencies.first()),
            share: share(d),
            connections: count(d.connections),
            blocked: (d.statuses.blocked > 0).then(|| count(d.statuses.blocked)),
            sent: bytes(d.bytes_sent),
            received: bytes(d.bytes_received),
            href: tab_address(shell, &source.run.id, Tab::Network)
                .with("q", &sought)
                .to_string(),
        }
    }
}
