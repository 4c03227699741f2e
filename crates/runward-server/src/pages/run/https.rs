//! The hosts that a run asked for over TLS and HTTP, as far as they are recorded: names, not paths of requests.

use std::collections::HashMap;

use askama::Template;
use runward_event::{Protocol, Status};
use runward_report::text::{bytes, count, counted};
use runward_report::{NetworkRow, Report};

use super::super::hostile::Text;
use super::super::moment::Moment;
use super::super::number::length;
use super::super::pager::{Part, part};
use super::super::shell::Shell;
use super::frame::{Frame, Tab, tab_address};
use super::network::program_names;
use super::{RowsQuery, RunSource};

/// Rows of one page.
const ROWS: usize = 200;
/// Programs that a row names.
const PROGRAMS: usize = 4;
/// The ports of HTTP and HTTPS; a name that was said on another one counts, too.
const WEB: [u16; 4] = [80, 443, 8080, 8443];

/// `/o/{org}/runs/{run}/https`.
#[derive(Template)]
#[template(path = "run/https.html")]
pub(crate) struct HttpsTab {
    shell: Shell,
    frame: Frame,
    action: String,
    query: RowsQuery,
    filtered: bool,
    summary: String,
    rows: Vec<Row>,
    part: Part,
}

struct Row {
    host: Text,
    port: u16,
    /// How the name is known.
    known: &'static str,
    /// The name that the connection was let through for, when it said another one.
    via: Option<Text>,
    connections: String,
    blocked: Option<String>,
    sent: String,
    received: String,
    programs: Vec<Text>,
    first: Moment,
}

/// What went to one host.
struct Host<'a> {
    first: &'a NetworkRow,
    said: bool,
    name: &'a str,
    connections: u64,
    blocked: u64,
    sent: u64,
    received: u64,
    programs: Vec<String>,
}

impl HttpsTab {
    pub(crate) fn new(shell: Shell, source: &RunSource<'_>, query: &RowsQuery) -> HttpsTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Https);
        let address = tab_address(&shell, &source.run.id, Tab::Https);
        let hosts = hosts(source.report);
        let summary = counted(length(&hosts), "host", "hosts");
        let chosen: Vec<Host<'_>> = hosts
            .into_iter()
            .filter(|host| !query.findings || host.blocked > 0)
            .filter(|host| {
                query.finds(
                    std::iter::once(host.name).chain(host.programs.iter().map(String::as_str)),
                )
            })
            .collect();
        let (chosen, part) = part(chosen, query.page, ROWS, |page| {
            address
                .clone()
                .with_some("q", query.text.as_deref())
                .with_some("findings", query.findings.then_some("1"))
                .with("page", &page.to_string())
        });
        HttpsTab {
            frame,
            action: address.to_string(),
            filtered: query.is_filtered(),
            query: query.clone(),
            summary,
            rows: chosen
                .iter()
                .map(|host| Row::new(host, source.report))
                .collect(),
            part,
            shell,
        }
    }
}

/// The hosts of a run, in the order in which they were first asked for.
fn hosts(report: &Report) -> Vec<Host<'_>> {
    let mut hosts: Vec<Host<'_>> = Vec::new();
    let mut index: HashMap<(&str, u16, bool), usize> = HashMap::new();
    for row in &report.network_events {
        if row.protocol != Protocol::Tcp || !(row.said.is_some() || WEB.contains(&row.port)) {
            continue;
        }
        let Some(name) = row.said.as_deref().or(row.name.as_deref()) else {
            continue;
        };
        let said = row.said.is_some();
        let at = *index.entry((name, row.port, said)).or_insert_with(|| {
            hosts.push(Host {
                first: row,
                said,
                name,
                connections: 0,
                blocked: 0,
                sent: 0,
                received: 0,
                programs: Vec::new(),
            });
            hosts.len() - 1
        });
        let Some(host) = hosts.get_mut(at) else {
            continue;
        };
        host.connections += 1;
        host.blocked += u64::from(row.status == Status::Blocked);
        host.sent = host.sent.saturating_add(row.bytes_sent.unwrap_or(0));
        host.received = host
            .received
            .saturating_add(row.bytes_received.unwrap_or(0));
        if host.programs.len() < PROGRAMS && !host.programs.contains(&row.process.exe) {
            host.programs.push(row.process.exe.clone());
        }
    }
    hosts
}

impl Row {
    fn new(host: &Host<'_>, report: &Report) -> Row {
        Row {
            host: Text::new(host.name, 80),
            port: host.first.port,
            known: if host.said {
                "said by the stream"
            } else {
                "looked up"
            },
            via: host
                .first
                .name
                .as_deref()
                .filter(|name| host.said && *name != host.name)
                .map(|name| Text::new(name, 64)),
            connections: count(host.connections),
            blocked: (host.blocked > 0).then(|| count(host.blocked)),
            sent: bytes(host.sent),
            received: bytes(host.received),
            programs: program_names(&host.programs, PROGRAMS),
            first: Moment::since(host.first.time, report.start),
        }
    }
}
