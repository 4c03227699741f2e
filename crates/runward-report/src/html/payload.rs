use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;

use runward_detect::reason_sentence;
use runward_event::{ConnectOutcome, ProcessId, Status, Time};
use serde::Serialize;

use crate::model::{Dependency, ProcessDetail, ProcessRow, Report};
use crate::terminal::protocol;
use crate::{limits, markdown, verdict};
use runward_detect::is_harmful;

/// The data of the page as JSON in which no character means anything to HTML.
///
/// Fifty thousand processes must fit into a file that a browser opens at once. So every text stands once, in
/// `strings`, and everything else is columns of numbers: positions in `strings`, positions in `processes`, and
/// microseconds since the start.
pub(super) fn payload(report: &Report) -> String {
    let payload = Builder::new(report).build();
    let json = serde_json::to_string(&payload).unwrap_or_else(|_| "{}".to_owned());
    // These characters occur in JSON only inside strings, where an escape means the same.
    let mut safe = String::with_capacity(json.len() + json.len() / 64);
    for c in json.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            // Nor to whoever reads the page's source on a terminal.
            c if is_harmful(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a string can't fail.
                    let _ = write!(safe, "\\u{unit:04x}");
                }
            }
            c => safe.push(c),
        }
    }
    safe
}

#[derive(Serialize, Default)]
struct Payload<'a> {
    /// Milliseconds since the Unix epoch.
    start: u64,
    /// Microseconds from the start to the end of the job, or to the last thing that was seen.
    length: u64,
    processes: Processes,
    network: Network,
    files: Files,
    destinations: Vec<DestinationRow>,
    names: Vec<NameRow>,
    findings: Vec<FindingMark>,
    /// The text of each rule of the policy that let a connection through, by its number.
    rules: BTreeMap<u32, Text>,
    /// Rows that this page lacks: processes, connections, file changes, destinations and findings.
    omitted: [u64; 5],
    strings: Vec<Cow<'a, str>>,
}

/// A position in `strings`; 0 is the empty text.
type Text = u32;
/// A position in `processes`; -1 when it has no row there.
type Row = i32;

#[derive(Serialize, Default)]
struct Processes {
    id: Vec<u64>,
    pid: Vec<u32>,
    /// -1 for the job's first process, -2 when not known, -3 when known but without a row. A parent stands before its
    /// children.
    parent: Vec<Row>,
    start: Vec<u64>,
    /// -1 when it was still running, or its end was lost.
    end: Vec<i64>,
    exe: Vec<Text>,
    args: Vec<Vec<Text>>,
    cwd: Vec<Text>,
    container: Vec<Text>,
    /// -1 when not known.
    uid: Vec<i64>,
    code: Vec<Option<i32>>,
    signal: Vec<Option<i32>>,
    step: Vec<Text>,
    dependency: Vec<Text>,
    /// The incomplete fields, by name.
    truncated: Vec<Text>,
    /// Processes that never started a program of their own.
    forked: Vec<usize>,
    /// Programs before the last one.
    earlier: Vec<EarlierImage>,
}

#[derive(Serialize)]
struct EarlierImage {
    process: usize,
    time: u64,
    exe: Text,
    args: Vec<Text>,
    cwd: Text,
}

#[derive(Serialize, Default)]
struct Network {
    time: Vec<u64>,
    process: Vec<Row>,
    exe: Vec<Text>,
    pid: Vec<u32>,
    /// A position in `destinations`; -1 when it has no row there.
    destination: Vec<Row>,
    label: Vec<Text>,
    ip: Vec<Text>,
    /// 0 allowed, 1 blocked, 2 anomalous.
    status: Vec<u8>,
    /// Why it was stopped; empty when it was not.
    reason: Vec<Text>,
    /// The name that it was stopped for; empty when that was not why.
    said: Vec<Text>,
    /// The rule that let it through; 0 when it needed none.
    rule: Vec<u32>,
    /// 0 open at the end, 1 established, 2 failed, 3 datagrams.
    outcome: Vec<u8>,
    sent: Vec<u64>,
    received: Vec<u64>,
    /// Microseconds; -1 when it was still open at the end.
    duration: Vec<i64>,
    cause: Vec<Text>,
}

#[derive(Serialize, Default)]
struct Files {
    time: Vec<u64>,
    process: Vec<Row>,
    exe: Vec<Text>,
    pid: Vec<u32>,
    kind: Vec<Text>,
    path: Vec<Text>,
    from: Vec<Text>,
    /// 1 tracked, 2 altered, 4 found at the end.
    flags: Vec<u8>,
    cause: Vec<Text>,
}

#[derive(Serialize)]
struct DestinationRow {
    label: Text,
    protocol: Text,
    ips: Vec<Text>,
    connections: u64,
    failed: u64,
    blocked: u64,
    anomalous: u64,
    sent: u64,
    received: u64,
    first: u64,
    last: u64,
    programs: Vec<Text>,
    causes: Vec<Text>,
    /// Connections that `causes` stand for.
    by_packages: u64,
}

#[derive(Serialize)]
struct NameRow {
    name: Text,
    types: Vec<Text>,
    queries: u64,
    refused: u64,
    rcodes: Vec<(Text, u64)>,
    addresses: Vec<Text>,
    programs: Vec<Text>,
    causes: Vec<Text>,
    /// Questions that `causes` stand for.
    by_packages: u64,
}

#[derive(Serialize)]
struct FindingMark {
    time: u64,
    process: Row,
    label: Text,
}

struct Builder<'a> {
    report: &'a Report,
    start: Time,
    /// The last moment that the page must show.
    length: u64,
    positions: HashMap<Cow<'a, str>, Text>,
    strings: Vec<Cow<'a, str>>,
    rows: HashMap<ProcessId, Row>,
    /// What is left of [`limits::HTML_ARGS`].
    args_left: usize,
}

impl<'a> Builder<'a> {
    fn new(report: &'a Report) -> Builder<'a> {
        let mut builder = Builder {
            report,
            start: report.start.unwrap_or_default(),
            // Saturates for a duration that no job has.
            length: (report.duration_seconds * 1e6) as u64,
            positions: HashMap::new(),
            strings: Vec::new(),
            rows: HashMap::new(),
            args_left: limits::HTML_ARGS,
        };
        builder.text("");
        builder
    }

    fn build(mut self) -> Payload<'a> {
        let report = self.report;
        let processes = self.processes();
        let (destinations, numbers) = self.destinations();
        let network = self.network(&numbers);
        let files = self.files();
        let names = self.names();
        // Refusals last: there may be more of them than a page can mark.
        let findings = verdict::findings(report)
            .chain(verdict::refusals(report))
            .map(|d| FindingMark {
                time: self.time(d.time),
                process: self.row(d.process.as_deref()),
                label: self.owned(format!(
                    "{}: {}",
                    d.detection,
                    d.path
                        .as_deref()
                        .or(d.destination.as_deref())
                        .unwrap_or(&d.message)
                )),
            })
            .collect();
        let used: HashSet<u32> = report
            .network_events
            .iter()
            .filter_map(|r| r.rule)
            .collect();
        let rules = report
            .policy
            .iter()
            .filter(|rule| used.contains(&rule.rule))
            .map(|rule| (rule.rule, self.text(&rule.text)))
            .collect();
        let omitted = &report.omitted;
        Payload {
            start: self.start.unix_nanos() / 1_000_000,
            length: self.length,
            processes,
            network,
            files,
            destinations,
            names,
            findings,
            rules,
            omitted: [
                omitted.processes,
                omitted.network_events,
                omitted.file_events,
                omitted.destination_connections,
                omitted.detections,
            ],
            strings: self.strings,
        }
    }

    fn processes(&mut self) -> Processes {
        let report = self.report;
        let mut columns = Processes::default();
        let order = parents_first(&report.processes);
        for (number, process) in order.iter().enumerate() {
            let row = Row::try_from(number).unwrap_or(-1);
            self.rows.insert(process.process, row);
        }
        for (number, process) in order.into_iter().enumerate() {
            columns.id.push(process.process.0);
            columns.pid.push(process.pid);
            columns
                .parent
                .push(match (process.parent, process.parent_known) {
                    (None, true) => -1,
                    (Some(parent), _) => self.rows.get(&parent).copied().unwrap_or(-3),
                    (None, false) => -2,
                });
            columns.start.push(self.time(process.start));
            let end = process.end.map(|end| self.time(end));
            columns.end.push(end.map_or(-1, signed));
            columns.exe.push(self.text(&process.exe));
            let (args, cut) = self.args(&process.args);
            columns.args.push(args);
            columns.cwd.push(self.text(&process.cwd));
            let container = process.container.as_deref();
            let container = container.map(|id| report.container_label(id));
            columns
                .container
                .push(self.owned(container.unwrap_or_default()));
            columns.uid.push(process.uid.map_or(-1, i64::from));
            columns.code.push(process.exit.and_then(|exit| exit.code));
            columns
                .signal
                .push(process.exit.and_then(|exit| exit.signal));
            columns
                .step
                .push(self.text(process.step.as_deref().unwrap_or_default()));
            let dependency = process.dependency.as_ref().map(verdict::dependency);
            columns
                .dependency
                .push(self.owned(dependency.unwrap_or_default()));
            let mut truncated = process.truncated.clone();
            if cut && !truncated.iter().any(|field| field == "args") {
                truncated.push("args".to_owned());
            }
            columns.truncated.push(self.owned(truncated.join(", ")));
            if process.forked_only {
                columns.forked.push(number);
            }
            for image in &process.earlier {
                let earlier = EarlierImage {
                    process: number,
                    time: self.time(image.time),
                    exe: self.text(&image.exe),
                    args: self.args(&image.args).0,
                    cwd: self.text(&image.cwd),
                };
                columns.earlier.push(earlier);
            }
        }
        columns
    }

    fn destinations(&mut self) -> (Vec<DestinationRow>, HashMap<(&'a str, &'static str), Row>) {
        let report = self.report;
        let mut numbers = HashMap::new();
        let mut rows = Vec::new();
        for (number, d) in report.destinations.iter().enumerate() {
            let key = (d.destination.as_str(), protocol(d.protocol));
            numbers.insert(key, Row::try_from(number).unwrap_or(-1));
            rows.push(DestinationRow {
                label: self.text(&d.destination),
                protocol: self.text(protocol(d.protocol)),
                ips: d.ips.iter().map(|ip| self.owned(ip.to_string())).collect(),
                connections: d.connections,
                failed: d.failed,
                blocked: d.statuses.blocked,
                anomalous: d.statuses.anomalous,
                sent: d.bytes_sent,
                received: d.bytes_received,
                first: self.time(d.first_time),
                last: self.time(d.last_time),
                programs: self.texts(&d.processes),
                causes: self.causes(&d.steps, &d.dependencies),
                by_packages: if d.dependencies.is_empty() {
                    d.connections
                } else {
                    d.dependency_connections
                },
            });
        }
        (rows, numbers)
    }

    fn network(&mut self, numbers: &HashMap<(&'a str, &'static str), Row>) -> Network {
        let report = self.report;
        let mut columns = Network::default();
        for row in &report.network_events {
            let key = (row.destination.as_str(), protocol(row.protocol));
            columns.time.push(self.time(row.time));
            columns.process.push(self.row(Some(&row.process)));
            columns.exe.push(self.text(&row.process.exe));
            columns.pid.push(row.process.pid);
            columns
                .destination
                .push(numbers.get(&key).copied().unwrap_or(-1));
            columns.label.push(self.text(&row.destination));
            columns.ip.push(self.owned(row.ip.to_string()));
            columns.status.push(match row.status {
                Status::Allowed => 0,
                Status::Blocked => 1,
                Status::Anomalous => 2,
            });
            columns
                .reason
                .push(self.text(row.reason.map_or("", reason_sentence)));
            columns
                .said
                .push(self.text(row.said.as_deref().unwrap_or_default()));
            columns.rule.push(row.rule.unwrap_or(0));
            columns.outcome.push(match row.outcome {
                None => 0,
                Some(ConnectOutcome::Established) => 1,
                Some(ConnectOutcome::Failed) => 2,
                Some(ConnectOutcome::Datagrams) => 3,
            });
            columns.sent.push(row.bytes_sent.unwrap_or(0));
            columns.received.push(row.bytes_received.unwrap_or(0));
            // Saturates; see `length`.
            columns
                .duration
                .push(row.duration_seconds.map_or(-1, |s| (s * 1e6) as i64));
            columns
                .cause
                .push(self.cause(row.step.as_deref(), row.dependency.as_deref()));
        }
        columns
    }

    fn files(&mut self) -> Files {
        let report = self.report;
        let mut columns = Files::default();
        for row in &report.file_events {
            columns.time.push(self.time(row.time));
            columns.process.push(self.row(row.process.as_deref()));
            let exe = row.process.as_deref().map_or("", |p| p.exe.as_str());
            columns.exe.push(self.text(exe));
            columns
                .pid
                .push(row.process.as_deref().map_or(0, |p| p.pid));
            columns.kind.push(self.text(markdown::change(row.kind)));
            columns.path.push(self.text(&row.path));
            columns
                .from
                .push(self.text(row.from.as_deref().unwrap_or_default()));
            columns.flags.push(
                u8::from(row.tracked)
                    | u8::from(row.changed) << 1
                    | u8::from(row.found_at_end) << 2,
            );
            columns
                .cause
                .push(self.cause(row.step.as_deref(), row.dependency.as_deref()));
        }
        columns
    }

    fn names(&mut self) -> Vec<NameRow> {
        let report = self.report;
        report
            .dns_events
            .iter()
            .map(|name| NameRow {
                name: self.text(&name.name),
                types: self.texts(&name.types),
                queries: name.queries,
                refused: name.refused,
                rcodes: name
                    .rcodes
                    .iter()
                    .map(|(rcode, n)| (self.text(rcode), *n))
                    .collect(),
                addresses: self.texts(&name.addresses),
                programs: name
                    .clients
                    .iter()
                    .map(|client| self.text(&client.exe))
                    .collect(),
                causes: self.causes(&name.steps, &name.dependencies),
                by_packages: if name.dependencies.is_empty() {
                    name.queries
                } else {
                    name.dependency_queries
                },
            })
            .collect()
    }

    fn text(&mut self, text: &'a str) -> Text {
        self.intern(Cow::Borrowed(text))
    }

    fn owned(&mut self, text: String) -> Text {
        self.intern(Cow::Owned(text))
    }

    fn intern(&mut self, text: Cow<'a, str>) -> Text {
        if let Some(position) = self.positions.get(&text) {
            return *position;
        }
        let position = Text::try_from(self.strings.len()).unwrap_or(0);
        self.strings.push(text.clone());
        self.positions.insert(text, position);
        position
    }

    fn texts(&mut self, texts: &'a [String]) -> Vec<Text> {
        texts.iter().map(|text| self.text(text)).collect()
    }

    /// Arguments as far as there is room for them; the flag tells whether something is missing.
    fn args(&mut self, args: &'a [String]) -> (Vec<Text>, bool) {
        let mut kept = Vec::new();
        let mut size = 0;
        for arg in args {
            size += arg.len() + 4;
            if size > limits::HTML_ARGS_EACH || size > self.args_left {
                return (kept, true);
            }
            if !self.positions.contains_key(arg.as_str()) {
                self.args_left = self.args_left.saturating_sub(arg.len());
            }
            self.args_left = self.args_left.saturating_sub(4);
            kept.push(self.text(arg));
        }
        (kept, false)
    }

    fn cause(&mut self, step: Option<&str>, dependency: Option<&Dependency>) -> Text {
        self.owned(verdict::cause(step, dependency))
    }

    fn causes(&mut self, steps: &[String], dependencies: &[Dependency]) -> Vec<Text> {
        if dependencies.is_empty() {
            return steps
                .iter()
                .map(|step| self.cause(Some(step), None))
                .collect();
        }
        dependencies
            .iter()
            .map(|d| self.cause(None, Some(d)))
            .collect()
    }

    fn row(&self, process: Option<&ProcessDetail>) -> Row {
        process
            .and_then(|p| self.rows.get(&p.process).copied())
            .unwrap_or(-1)
    }

    fn time(&mut self, time: Time) -> u64 {
        let micros = time.nanos_since(self.start) / 1000;
        self.length = self.length.max(micros);
        micros
    }
}

/// The processes so that every parent stands before its children. A report has them in the order in which they were
/// first seen, and an event of a child may overtake that of its parent.
fn parents_first(processes: &[ProcessRow]) -> Vec<&ProcessRow> {
    let listed: HashSet<ProcessId> = processes.iter().map(|p| p.process).collect();
    let mut children: HashMap<ProcessId, Vec<&ProcessRow>> = HashMap::new();
    let mut ready = Vec::new();
    for process in processes {
        match process.parent.filter(|parent| listed.contains(parent)) {
            Some(parent) => children.entry(parent).or_default().push(process),
            None => ready.push(process),
        }
    }
    ready.reverse();
    let mut ordered = Vec::with_capacity(processes.len());
    while let Some(process) = ready.pop() {
        ordered.push(process);
        if let Some(below) = children.remove(&process.process) {
            ready.extend(below.into_iter().rev());
        }
    }
    ordered
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
