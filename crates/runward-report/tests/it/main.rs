//! The report of a recorded job, and of records that no honest job would make.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there"
)]

mod blocked;
mod bounds;
mod every_field;
mod forges;
mod hostile;
mod json;
mod page;
mod partial;
mod snapshots;
mod streams;

#[path = "../streams/mod.rs"]
mod mutated;

use std::net::IpAddr;

use runward_event::{
    Body, Connect, ConnectionId, Event, FileChange, JobContext, JobEnd, JobIdentity, JobStart,
    Mode, ProcessExec, ProcessFork, ProcessId, Protocol, Status, Tier, Time, parse_line,
};
use runward_report::{Report, ReportBuilder};

/// A plausible job: `npm ci` with install scripts, one of them malicious, a Python package built from source, `cargo
/// build`, an upload; with a lost event, an event of a kind from the future and names made to do harm.
const SAMPLE: &str = include_str!("sample.jsonl");

fn sample_events() -> Vec<Event> {
    SAMPLE
        .lines()
        .map(|line| parse_line(line).unwrap())
        .collect()
}

fn report(events: &[Event]) -> Report {
    let mut builder = ReportBuilder::new();
    for event in events {
        builder.apply(event);
    }
    builder.finish()
}

fn sample() -> Report {
    report(&sample_events())
}

/// Makes records event by event, a millisecond apart.
#[derive(Default)]
struct Record {
    events: Vec<Event>,
}

impl Record {
    fn started() -> Record {
        let mut record = Record::default();
        record.push(Body::JobStart(Box::new(JobStart {
            format: 1,
            runward: "0.1.0".to_owned(),
            identity: JobIdentity::default(),
            context: JobContext::default(),
            args: vec!["make".to_owned()],
            cwd: "/src".to_owned(),
            workspace: "/src".to_owned(),
            tracked_files: Some(2),
            files_watched: true,
            requested_mode: Mode::Audit,
            effective_mode: Mode::Audit,
            tier: Tier::B,
            kernel: "6.1.0".to_owned(),
            policy: Vec::new(),
            rules: None,
            lockdown: Vec::new(),
            block_lists: Vec::new(),
            resolvers: Vec::new(),
            notes: Vec::new(),
            raw: Default::default(),
        })));
        record
    }

    fn push(&mut self, body: Body) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(Event {
            seq,
            time: Time::from_unix_nanos(1_785_576_612_000_000_000 + seq * 1_000_000),
            body,
        });
    }

    fn fork(&mut self, process: u64, parent: Option<u64>) {
        self.push(Body::ProcessFork(ProcessFork {
            process: ProcessId(process),
            pid: process as u32 + 100,
            parent: parent.map(ProcessId),
            ppid: parent.unwrap_or(0) as u32 + 100,
        }));
    }

    fn exec(&mut self, process: u64, parent: Option<u64>, args: &[&str]) {
        self.push(Body::ProcessExec(Box::new(ProcessExec {
            process: ProcessId(process),
            pid: process as u32 + 100,
            parent: parent.map(ProcessId),
            ppid: parent.unwrap_or(0) as u32 + 100,
            exe: format!("/bin/{}", args.first().unwrap_or(&"x")),
            path: format!("/bin/{}", args.first().unwrap_or(&"x")),
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            cwd: "/src".to_owned(),
            uid: 0,
            gid: 0,
            cgroup: String::new(),
            container: None,
            env: Default::default(),
            facts: runward_event::ExecFacts::default(),
            truncated: Vec::new(),
            raw: Default::default(),
        })));
    }

    fn connect(&mut self, connection: u64, process: u64, name: Option<&str>, ip: &str) {
        self.push(Body::Connect(Connect {
            connection: ConnectionId(connection),
            process: ProcessId(process),
            pid: process as u32 + 100,
            protocol: Protocol::Tcp,
            ip: ip.parse::<IpAddr>().unwrap(),
            port: 443,
            name: name.map(str::to_owned),
            status: Status::Allowed,
            reason: None,
            rule: None,
            listed: None,
            v4_mapped: false,
        }));
    }

    fn end(&mut self) {
        let duration_ns = self.events.len() as u64 * 1_000_000;
        self.push(Body::JobEnd(JobEnd {
            exit_code: 0,
            signal: None,
            duration_ns,
            still_running: 0,
            unrecorded_file_changes: 12_345,
            notes: vec!["Something that only the end could tell.".to_owned()],
        }));
    }

    fn report(&self) -> Report {
        report(&self.events)
    }
}

/// A change of a file that git does not track.
fn change(process: u64, path: &str) -> FileChange {
    FileChange {
        process: Some(ProcessId(process)),
        pid: process as u32 + 100,
        path: path.to_owned(),
        from: None,
        tracked: false,
        hash_before: None,
        hash_after: None,
        found_at_end: false,
        diff: None,
        no_diff: None,
        mount: None,
        raw: Default::default(),
    }
}
