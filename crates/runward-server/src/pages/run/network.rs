//! Every connection of a run, in order.

use std::borrow::Cow;

use askama::Template;
use runward_detect::reason_sentence;
use runward_event::{ConnectOutcome, Protocol, Status, Time};
use runward_report::NetworkRow;
use runward_report::text::{base_name, bytes, count, counted};

use super::super::hostile::Text;
use super::super::moment::Moment;
use super::super::pager::{Part, part};
use super::super::pill::Pill;
use super::super::shell::Shell;
use super::actor::{Actor, cause, dependency_name};
use super::frame::{Frame, Tab, tab_address};
use super::unusual::Unusual;
use super::{RowsQuery, RunSource};

/// Rows of one page.
const ROWS: usize = 200;

/// `/o/{org}/runs/{run}/network`.
#[derive(Template)]
#[template(path = "run/network.html")]
pub(crate) struct NetworkTab {
    shell: Shell,
    frame: Frame,
    action: String,
    query: RowsQuery,
    filtered: bool,
    sums: Vec<String>,
    rows: Vec<Row>,
    part: Part,
    all_href: String,
    findings_href: String,
    findings: String,
    all: String,
}

struct Row {
    at: Moment,
    actor: Actor,
    cause: Option<Text>,
    destination: Text,
    ip: Option<String>,
    port: String,
    protocol: &'static str,
    status: Pill,
    stopped: bool,
    reason: Option<&'static str>,
    /// Why it is not normal for the job, and where that can be answered.
    unusual: Option<(Text, String)>,
    said: Option<Text>,
    rule: Option<String>,
    outcome: &'static str,
    sent: Option<String>,
    received: Option<String>,
}

impl NetworkTab {
    pub(crate) fn new(shell: Shell, source: &RunSource<'_>, query: &RowsQuery) -> NetworkTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Network);
        let report = source.report;
        let address = tab_address(&shell, &source.run.id, Tab::Network);
        let unusual = Unusual::of(source.anomalies);
        let detections = tab_address(&shell, &source.run.id, Tab::Detections).to_string();
        let findings_address = address.clone().with("findings", "1");
        let found = report
            .network_events
            .iter()
            .filter(|row| is_finding(row, &unusual))
            .count();
        let chosen: Vec<(usize, &NetworkRow)> = report
            .network_events
            .iter()
            .enumerate()
            .filter(|(_, row)| !query.findings || is_finding(row, &unusual))
            .filter(|(_, row)| query.finds(searched(row).iter().map(AsRef::as_ref)))
            .collect();
        let (chosen, part) = part(chosen, query.page, ROWS, |page| {
            address
                .clone()
                .with_some("q", query.text.as_deref())
                .with_some("findings", query.findings.then_some("1"))
                .with("page", &page.to_string())
        });
        let counts = &report.counts;
        let mut sums = vec![
            counted(counts.connections, "connection", "connections"),
            counted(counts.destinations, "destination", "destinations"),
            counted(counts.dns_names, "name looked up", "names looked up"),
        ];
        for (n, one, many) in [
            (counts.failed_connections, "failed", "failed"),
            (counts.refused_lookups, "lookup refused", "lookups refused"),
        ] {
            if n > 0 {
                sums.push(counted(n, one, many));
            }
        }
        NetworkTab {
            frame,
            action: address.to_string(),
            filtered: query.is_filtered(),
            query: query.clone(),
            sums,
            rows: chosen
                .into_iter()
                .map(|(i, row)| {
                    let told = unusual.about(row).map(|anomaly| {
                        let why = Text::new(&anomaly.explanation, 400);
                        (why, detections.clone())
                    });
                    Row::new(i, row, report.start, unusual.status(row)).unlike_others(told)
                })
                .collect(),
            part,
            all_href: address.to_string(),
            findings_href: findings_address.to_string(),
            findings: count(u64::try_from(found).unwrap_or(u64::MAX)),
            all: count(u64::try_from(report.network_events.len()).unwrap_or(u64::MAX)),
            shell,
        }
    }
}

/// Whether a person should look at a connection.
fn is_finding(row: &NetworkRow, unusual: &Unusual<'_>) -> bool {
    unusual.status(row) != Status::Allowed
}

/// Where a text is searched for.
fn searched(row: &NetworkRow) -> Vec<Cow<'_, str>> {
    let mut texts: Vec<Cow<'_, str>> = vec![
        row.destination.as_str().into(),
        row.process.exe.as_str().into(),
        row.ip.to_string().into(),
        row.process.pid.to_string().into(),
    ];
    texts.extend(row.said.as_deref().map(Into::into));
    texts.extend(row.step.as_deref().map(Into::into));
    texts.extend(row.dependency.as_deref().map(|d| dependency_name(d).into()));
    texts
}

impl Row {
    fn new(id: usize, row: &NetworkRow, start: Option<Time>, status: Status) -> Row {
        let name = row.name.as_deref();
        Row {
            at: Moment::since(row.time, start),
            actor: Actor::new(&row.process, &format!("n{id}")),
            cause: cause(row.step.as_deref(), row.dependency.as_deref()),
            destination: match name {
                Some(name) => Text::new(name, 64),
                None => Text::new(&row.ip.to_string(), 64),
            },
            ip: name.is_some().then(|| row.ip.to_string()),
            port: if row.port == 0 {
                String::new()
            } else {
                row.port.to_string()
            },
            protocol: protocol(row.protocol),
            status: Pill::status(status),
            stopped: row.status == Status::Blocked,
            reason: row.reason.map(reason_sentence),
            said: row.said.as_deref().map(|said| Text::new(said, 64)),
            rule: row.rule.map(|rule| rule.to_string()),
            outcome: match (row.status, row.outcome) {
                (Status::Blocked, _)
                | (_, Some(ConnectOutcome::Established | ConnectOutcome::Datagrams)) => "",
                (_, Some(ConnectOutcome::Failed)) => "failed",
                (_, None) => "open",
            },
            sent: row.bytes_sent.map(bytes),
            received: row.bytes_received.map(bytes),
            unusual: None,
        }
    }

    fn unlike_others(mut self, told: Option<(Text, String)>) -> Row {
        self.unusual = told;
        self
    }
}

/// What a protocol is called.
pub(crate) fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
        Protocol::Sctp => "sctp",
        Protocol::Raw => "raw",
        _ => "other",
    }
}

/// Programs by the names that people call them, each once.
pub(crate) fn program_names(paths: &[String], most: usize) -> Vec<Text> {
    let mut seen: Vec<&str> = Vec::new();
    let mut names = Vec::new();
    for path in paths {
        if names.len() < most && !seen.contains(&base_name(path)) {
            seen.push(base_name(path));
            names.push(Text::program(path, 28));
        }
    }
    names
}
