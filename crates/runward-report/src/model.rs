use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use runward_detect::{Confidence, ContentChange, RuleAbout, Severity};
use runward_event::{
    ConnectOutcome, EventKind, JobContext, JobIdentity, LossReason, Mode, PolicyRule, ProcessId,
    Protocol, Reason, Status, Tier, Time,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a job did: the content of `report.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// [`crate::REPORT_FORMAT`] of the writer.
    pub format: u32,
    /// The version of Runward that recorded the job.
    pub runward: String,
    /// Whether the record reaches to the end of the job. When not, everything here is what was seen until it broke off.
    pub complete: bool,
    /// Who the job is.
    pub job: JobIdentity,
    /// What it was made with.
    #[serde(default, skip_serializing_if = "JobContext::is_empty")]
    pub context: JobContext,
    /// The command and its arguments.
    pub command: Vec<String>,
    /// The working directory that the command started in.
    pub cwd: String,
    /// The folder whose files were watched.
    pub workspace: String,
    /// What was asked for; null when the record lacks its beginning.
    pub requested_mode: Option<Mode>,
    /// What was in force; null when the record lacks its beginning.
    pub effective_mode: Option<Mode>,
    /// The rules of the policy in force, in the order of their numbers.
    #[serde(default)]
    pub policy: Vec<PolicyRule>,
    /// The user's own rules that the record was looked at by; none when no file of them was given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleAbout>,
    /// What the kernel allowed; null when the record lacks its beginning.
    pub tier: Option<Tier>,
    /// The kernel's release.
    pub kernel: String,
    /// The detections and least severities on which the job would have been killed; empty when it was not in lockdown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lockdown_list: Vec<String>,
    /// How lockdown ended the job; missing when it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<Ended>,
    /// When the job began; null when nothing was recorded.
    pub start: Option<Time>,
    /// How long it ran; until the last event when the record breaks off.
    pub duration_seconds: f64,
    /// The command's exit code, as a shell tells it; null when the record breaks off.
    pub exit_code: Option<i32>,
    /// The signal that ended the command.
    pub signal: Option<i32>,
    /// Processes of the job that were still running at its end.
    pub still_running: u64,
    /// Changes of files that git ignores, or that are git's own: seen, not recorded. The least number that there were.
    pub unrecorded_file_changes: u64,
    /// Whether file changes were recorded.
    pub files_watched: bool,
    /// How many files git tracked in the workspace; null when there was no git index.
    pub tracked_files: Option<u64>,
    /// Sums over the whole job, rows that are left out included.
    pub counts: Counts,
    /// Events that were lost, a number for each kind.
    pub lost_events: BTreeMap<EventKind, u64>,
    /// Why they were lost.
    pub losses: Vec<Loss>,
    /// Events of kinds that this version of Runward does not know, by kind.
    pub unknown_events: BTreeMap<String, u64>,
    /// What was seen but has no row of its own in this report.
    pub omitted: Omitted,
    /// What a reader should know about this report, a sentence each.
    pub notes: Vec<String>,
    /// What a person should look at.
    pub detections: Vec<Detection>,
    /// How many findings there are of each detection, rows that are left out included.
    #[serde(default)]
    pub detection_counts: BTreeMap<String, u64>,
    /// What the fence stopped, summed by destination, protocol and reason; in the order of first refusal.
    #[serde(default)]
    pub blocked: Vec<Blocked>,
    /// Where the job connected to, summed by name (or address), port and protocol; in the order of first use.
    pub destinations: Vec<Destination>,
    /// Every connection, in order.
    pub network_events: Vec<NetworkRow>,
    /// What the job asked of DNS, summed by name; in the order of first use.
    pub dns_events: Vec<DnsName>,
    /// Every change of a file in the workspace, in order.
    pub file_events: Vec<FileRow>,
    /// Every process, in the order in which they were first seen.
    pub processes: Vec<ProcessRow>,
    /// The containers of which it is known what their engine calls them, in the order in which they were first seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub containers: Vec<ContainerRow>,
}

impl Report {
    /// A container as a person knows it: by its name and image, where these are known, else by its id.
    pub fn container_label(&self, id: &str) -> String {
        let row = self.containers.iter().find(|row| row.id == id);
        match row.map(|row| (row.name.as_deref(), row.image.as_deref())) {
            Some((Some(name), Some(image))) => format!("{name} ({image})"),
            Some((Some(name), None)) => name.to_owned(),
            Some((None, Some(image))) => image.to_owned(),
            _ => id.to_owned(),
        }
    }
}

/// A container of the job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContainerRow {
    /// Its id, as rows of processes name it.
    pub id: String,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The image that it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
}

/// A job that was killed by lockdown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Ended {
    /// The detection that it was killed for; null when the event that would tell was lost.
    pub detection: Option<String>,
    /// The `seq` of the event that was found; null when that is not known.
    pub act: Option<u64>,
    /// How many processes the agent killed.
    pub killed: u64,
    /// How many had not ended when it gave up waiting.
    pub left: u64,
    /// From the act until nobody was left, in seconds.
    pub seconds: f64,
}

/// Sums over a whole job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Processes, the first one included.
    pub processes: u64,
    /// Programs that were started; a process may run several, one after the other.
    pub execs: u64,
    /// Connections, and datagram peers of each socket.
    pub connections: u64,
    /// Connections that were never made.
    pub failed_connections: u64,
    /// Connections that were stopped: each once, whether at the request or later.
    pub blocked_connections: u64,
    /// Questions to DNS that were refused.
    #[serde(default)]
    pub refused_lookups: u64,
    /// Different destinations that something was refused to; counted up to [`crate::limits::BLOCKED`].
    #[serde(default)]
    pub blocked_destinations: u64,
    /// Questions to DNS servers.
    pub dns_queries: u64,
    /// Different names in those questions; counted up to [`crate::limits::DNS_NAMES`].
    pub dns_names: u64,
    /// Different destinations; counted up to [`crate::limits::DESTINATIONS`].
    pub destinations: u64,
    /// Changes of files in the workspace.
    pub file_changes: u64,
    /// Changes after which a tracked file was not what it was when the job started.
    pub tracked_changes: u64,
    /// Findings.
    pub detections: u64,
    /// Of these, findings that are known to be harmless (`info`).
    #[serde(default)]
    pub explained: u64,
    /// Events in the record.
    pub events: u64,
}

/// Events of one kind that were lost for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loss {
    /// The kind of the events.
    pub kind: EventKind,
    /// Why.
    pub reason: LossReason,
    /// How many.
    pub count: u64,
}

/// What was seen but has no row of its own, because a list was full. All zero for most jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Omitted {
    /// Connections without a row in `network_events`.
    pub network_events: u64,
    /// Bytes that these sent and received, as far as known.
    pub network_bytes: u64,
    /// Connections to destinations without a row in `destinations`.
    pub destination_connections: u64,
    /// Addresses, programs, steps and dependencies left out of the lists in `destinations` and `dns_events`. One value
    /// may be counted more than once.
    pub set_entries: u64,
    /// Connections whose end could not be matched to them, because too many were open at once or their beginning was
    /// lost.
    pub connection_ends: u64,
    /// Refusals without a row in `blocked`.
    #[serde(default)]
    pub blocked: u64,
    /// Rules without a row in `policy`.
    #[serde(default)]
    pub policy_rules: u64,
    /// DNS messages for names without a row in `dns_events`.
    pub dns_messages: u64,
    /// File changes without a row in `file_events`.
    pub file_events: u64,
    /// Rows that name their process by id, pid and program only; the rest stands in `processes`.
    pub row_details: u64,
    /// Processes without a row in `processes`.
    pub processes: u64,
    /// Containers without a row in `containers`.
    #[serde(default)]
    pub containers: u64,
    /// Findings without a row in `detections`.
    pub detections: u64,
}

impl Omitted {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        *self == Omitted::default()
    }
}

/// The process that did something, as it was at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessDetail {
    /// Names the process inside this report; see `processes`.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The program that it ran; empty when that is not known.
    pub exe: String,
    /// The arguments of the program.
    pub args: Vec<String>,
    /// Its ancestors, from the parent up.
    pub lineage: Vec<Arc<Ancestor>>,
    /// Whether the lineage reaches the job's first process. When not, an event of a birth was lost.
    pub lineage_complete: bool,
    /// The fields that are incomplete here: `args`, `exe`, `lineage`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
}

/// One process on the way up a lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ancestor {
    /// Names the process inside this report.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The program that it ran; empty when that is not known.
    pub exe: String,
    /// The arguments of the program.
    pub args: Vec<String>,
    /// The fields that are incomplete here: `args`, `exe`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
}

/// A package whose install or build scripts ran.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Dependency {
    /// Whose package it is.
    pub ecosystem: Ecosystem,
    /// The package's name.
    pub name: String,
    /// Its version, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What of it ran: `postinstall`, `build-script`, `build-backend`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
}

/// A package manager's world.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Ecosystem {
    /// JavaScript.
    Npm,
    /// Python.
    Pip,
    /// Rust.
    Cargo,
    /// Go.
    Go,
    /// Java.
    Maven,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkRow {
    /// When it was asked for.
    pub time: Time,
    /// Who asked.
    pub process: Arc<ProcessDetail>,
    /// `name:port`, or `ip:port` when no name is known; without the port where the protocol has none.
    pub destination: String,
    /// The name that the job looked up to get the address.
    pub name: Option<String>,
    /// The address.
    pub ip: IpAddr,
    /// The port; 0 for protocols without ports.
    pub port: u16,
    /// The transport protocol.
    pub protocol: Protocol,
    /// What was decided.
    pub status: Status,
    /// Why it was stopped, if it was.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// The rule of `policy` that allowed it, if one was needed. A connection that was stopped later keeps it.
    #[serde(default)]
    pub rule: Option<u32>,
    /// The name that its first bytes said, if it was stopped for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub said: Option<String>,
    /// What became of it; null when it was still open at the end of the record, or stopped before it was made.
    pub outcome: Option<ConnectOutcome>,
    /// Payload that the job sent; null when it was still open at the end of the record.
    pub bytes_sent: Option<u64>,
    /// Payload that the job received; null when it was still open at the end of the record.
    pub bytes_received: Option<u64>,
    /// From the request to the end; null when it was still open at the end of the record.
    pub duration_seconds: Option<f64>,
    /// The CI step.
    pub step: Option<Arc<str>>,
    /// The package being installed or built.
    pub dependency: Option<Arc<Dependency>>,
}

/// Everything that went to one destination, summed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destination {
    /// `name:port`, or `ip:port` when no name is known; without the port where the protocol has none.
    pub destination: String,
    /// The name, when one is known.
    pub name: Option<String>,
    /// The port; 0 for protocols without ports.
    pub port: u16,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The addresses that were used.
    pub ips: Vec<IpAddr>,
    /// How many connections were asked for.
    pub connections: u64,
    /// How many of them were never made.
    pub failed: u64,
    /// Payload that the job sent.
    pub bytes_sent: u64,
    /// Payload that the job received.
    pub bytes_received: u64,
    /// The first connection.
    pub first_time: Time,
    /// The last connection.
    pub last_time: Time,
    /// The programs that connected.
    pub processes: Vec<String>,
    /// The CI steps that connected.
    pub steps: Vec<String>,
    /// The packages whose scripts connected.
    pub dependencies: Vec<Dependency>,
    /// How many of the connections these packages made.
    pub dependency_connections: u64,
    /// What was decided, in numbers.
    pub statuses: Statuses,
}

/// Connections by what was decided about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Statuses {
    /// They went ahead.
    pub allowed: u64,
    /// They were stopped.
    pub blocked: u64,
    /// They went ahead, and were new for this job.
    pub anomalous: u64,
}

/// What the fence stopped on its way to one destination, for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Blocked {
    /// `name:port`, or `ip:port` when no name is known; the name alone for a refused question to DNS. When the first
    /// bytes of a stream said another name than it was let through for, that other name.
    pub destination: String,
    /// The destination that the connection was let through to at first, when it was stopped for what it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The transport protocol.
    pub protocol: Protocol,
    /// Whether these were questions to DNS.
    pub lookup: bool,
    /// Why.
    pub reason: Reason,
    /// The endpoint that would allow it as a line of the policy; null when no line can help.
    pub line: Option<String>,
    /// How often it was refused.
    pub refusals: u64,
    /// The addresses; for a question to DNS, the servers that were asked.
    pub ips: Vec<IpAddr>,
    /// The first refusal.
    pub first_time: Time,
    /// The last refusal.
    pub last_time: Time,
    /// Who was refused first.
    pub process: Arc<ProcessDetail>,
    /// The CI step of that process.
    pub step: Option<Arc<str>>,
    /// The package that was being installed or built by that process.
    pub dependency: Option<Arc<Dependency>>,
    /// The programs that were refused.
    pub processes: Vec<String>,
    /// The CI steps that were refused.
    pub steps: Vec<String>,
    /// The packages whose scripts were refused.
    pub dependencies: Vec<Dependency>,
}

/// Everything that was asked of DNS about one name, summed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsName {
    /// The name.
    pub name: String,
    /// The types of record asked for.
    pub types: Vec<String>,
    /// Questions that were sent.
    pub queries: u64,
    /// Answers that came.
    pub answers: u64,
    /// Questions that the fence refused.
    #[serde(default)]
    pub refused: u64,
    /// The answers by the server's verdict (`NOERROR`, `NXDOMAIN`).
    pub rcodes: BTreeMap<String, u64>,
    /// The addresses that the answers gave.
    pub addresses: Vec<String>,
    /// The servers that were asked.
    pub servers: Vec<String>,
    /// The programs that asked, in numbers.
    pub clients: Vec<DnsClient>,
    /// The CI steps that asked.
    pub steps: Vec<String>,
    /// The packages whose scripts asked.
    pub dependencies: Vec<Dependency>,
    /// How many of the questions these packages sent.
    pub dependency_queries: u64,
    /// The first message.
    pub first_time: Time,
    /// The last message.
    pub last_time: Time,
}

/// A program that asked for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsClient {
    /// The program.
    pub exe: String,
    /// Questions that it sent.
    pub queries: u64,
}

/// One change of a file in the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRow {
    /// When it happened, or was found.
    pub time: Time,
    /// What happened.
    pub kind: FileChangeKind,
    /// The file, relative to the workspace.
    pub path: String,
    /// For a rename, the name before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Whether git tracked this path when the job started.
    pub tracked: bool,
    /// Whether this is a tracked file that is no longer what it was when the job started. Always false for files that
    /// git does not track.
    pub changed: bool,
    /// For a tracked file, the hash of its content when the job started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_before: Option<String>,
    /// For a tracked file, the hash of its content after the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_after: Option<String>,
    /// Whether this was found by comparing at the end of the job, because no event told of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub found_at_end: bool,
    /// Who did it; null when it was not a process of the job, or is not known.
    pub process: Option<Arc<ProcessDetail>>,
    /// The CI step.
    pub step: Option<Arc<str>>,
    /// The package being installed or built.
    pub dependency: Option<Arc<Dependency>>,
}

/// How a file changed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum FileChangeKind {
    /// It came into being under a new name.
    Create,
    /// It was open for writing and was closed, or was truncated.
    Write,
    /// It got another name.
    Rename,
    /// A name of it was removed.
    Delete,
}

/// Something that a person should look at, with who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Detection {
    /// The detection's id, such as `source-code-overwritten`.
    pub detection: String,
    /// How bad it is, if it is not meant.
    pub severity: Severity,
    /// How often something harmless looks the same.
    #[serde(default)]
    pub confidence: Confidence,
    /// When it happened.
    pub time: Time,
    /// The event that gave rise to it: `seq` in `events.jsonl`.
    pub seq: u64,
    /// Earlier events that belong to it, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<u64>,
    /// One sentence for a person.
    pub message: String,
    /// What that person does next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// The file that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The destination that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// For a file that git tracks, what it held and holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentChange>,
    /// Who did it; null when that is not known.
    pub process: Option<Arc<ProcessDetail>>,
    /// The CI step.
    pub step: Option<Arc<str>>,
    /// The package being installed or built.
    pub dependency: Option<Arc<Dependency>>,
}

/// One process, from its birth to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessRow {
    /// Names the process inside this report. Process ids of the kernel are used again; this is not.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The process that made it; null for the first one, and when it is not known.
    pub parent: Option<ProcessId>,
    /// Whether `parent` is the truth: false when the event of this process's birth was lost.
    pub parent_known: bool,
    /// When it was first seen.
    pub start: Time,
    /// When it ended; null when it was still running at the end of the record, or its end was lost.
    pub end: Option<Time>,
    /// The program that it ran last. For a process that never started one, its parent's program.
    pub exe: String,
    /// The arguments of that program.
    pub args: Vec<String>,
    /// The working directory in which that program started.
    pub cwd: String,
    /// The effective user id; null for a process that never started a program.
    pub uid: Option<u32>,
    /// The id of the container it ran in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// Whether it never started a program of its own: it ran its parent's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forked_only: bool,
    /// The programs that it ran before the last one, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Image>,
    /// How it ended.
    pub exit: Option<Exit>,
    /// The CI step.
    pub step: Option<String>,
    /// The package being installed or built.
    pub dependency: Option<Dependency>,
    /// The fields that are incomplete: `args`, `exe`, `path`, `cwd`, `env`, `earlier`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
}

/// A program that a process ran before its last one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Image {
    /// When it began.
    pub time: Time,
    /// The program.
    pub exe: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The working directory in which it started.
    pub cwd: String,
    /// The fields that are incomplete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub truncated: Vec<String>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exit {
    /// What it returned; null when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}
