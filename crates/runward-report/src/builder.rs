use std::collections::{BTreeMap, HashMap, HashSet};

use runward_detect::{ContentChange, Finding, Observer, Refusal, Severity};
use runward_event::{
    Body, Connect, ConnectClose, ConnectOutcome, ConnectionId, Container, Dns, DnsMessageKind,
    Event, EventKind, FileChange, JobEnd, JobStart, Lockdown, LossReason, Lost, NoDiff, PolicyRule,
    ProcessId, Refused, RulesInForce, Status, Time,
};
use runward_tree::{Parent, Process, Tree};

use crate::blocked::{Refusals, Stop};
use crate::destinations::{self, Destinations};
use crate::model::{
    ContainerRow, Detection, Ended, Exit, FileChangeKind, FileRow, Image, Loss, NetworkRow,
    ProcessRow, Report,
};
use crate::names::Names;
use crate::people::{self, People, clip_args, size_of_args};
use crate::text::head;
use crate::{REPORT_FORMAT, limits, verdict};

/// Folds the events of one job, in order, into a [`Report`].
///
/// Takes a record as it is: one that breaks off, one with gaps, and one with kinds of events that this version does
/// not know.
pub struct ReportBuilder {
    tree: Tree,
    detections: Vec<Box<dyn runward_detect::Detection + Send>>,
    /// The rules of a user's own.
    observer: Option<Box<dyn Observer>>,
    /// Those that the record says were in force.
    in_force: Option<RulesInForce>,
    /// What was found in the last event.
    latest: Vec<Finding>,
    people: People,
    destinations: Destinations,
    names: Names,
    refusals: Refusals,
    open: HashMap<ConnectionId, Open>,
    /// Connections that are counted as blocked. Starts over when it is full: the sensor tells of each once anyway.
    blocked: HashSet<ConnectionId>,
    losses: BTreeMap<(EventKind, LossReason), u64>,
    /// Rows of tracked files beyond the first [`limits::FILE_ROWS`] rows.
    tracked_rows: usize,
    /// What is left of [`limits::ROW_PATHS`].
    paths_left: usize,
    /// How many bytes of diffs findings may still have.
    diffs_left: usize,
    first_time: Option<Time>,
    last_time: Option<Time>,
    end: Option<JobEnd>,
    started: bool,
    /// The report as far as it grows with the events.
    report: Report,
}

/// A connection that has not ended, and where its end belongs.
#[derive(Clone, Copy)]
struct Open {
    row: Option<usize>,
    destination: Option<usize>,
    status: Status,
}

impl Default for ReportBuilder {
    fn default() -> ReportBuilder {
        ReportBuilder::new()
    }
}

impl ReportBuilder {
    /// A builder for one job, with every detection there is.
    pub fn new() -> ReportBuilder {
        ReportBuilder {
            tree: Tree::default(),
            detections: runward_detect::all(),
            observer: None,
            in_force: None,
            latest: Vec::new(),
            people: People::new(),
            destinations: Destinations::default(),
            names: Names::default(),
            refusals: Refusals::default(),
            open: HashMap::new(),
            blocked: HashSet::new(),
            losses: BTreeMap::new(),
            tracked_rows: 0,
            paths_left: limits::ROW_PATHS,
            diffs_left: limits::DIFFS,
            first_time: None,
            last_time: None,
            end: None,
            started: false,
            report: Report {
                format: REPORT_FORMAT,
                lost_events: EventKind::ALL.into_iter().map(|kind| (kind, 0)).collect(),
                ..Report::default()
            },
        }
    }

    /// Has the record looked at by rules of a user's own, too.
    pub fn look_with(&mut self, observer: Box<dyn Observer>) {
        self.report.rules = observer.abouts().to_vec();
        self.observer = Some(observer);
    }

    /// The process tree so far.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// The findings so far.
    pub fn detections(&self) -> &[Detection] {
        &self.report.detections
    }

    /// What was found in the last event; also what the report has no row for.
    pub fn latest(&self) -> &[Finding] {
        &self.latest
    }

    /// Takes what is known now of the job's beginning, in the place of what was known then: who it is, and what is in force.
    /// `event` is the job's start. A record that was written anew with it makes the same report.
    pub fn begin_again(&mut self, event: &Event) {
        if let Body::JobStart(start) = &event.body {
            self.started = false;
            self.job_start(event.time, start);
            self.detect(event);
        }
    }

    /// Takes the next event.
    pub fn apply(&mut self, event: &Event) {
        self.tree.apply(event);
        self.report.counts.events += 1;
        self.first_time.get_or_insert(event.time);
        self.last_time = self.last_time.max(Some(event.time));
        match &event.body {
            Body::JobStart(start) => self.job_start(event.time, start),
            Body::JobEnd(end) => self.end = Some(end.clone()),
            Body::ProcessFork(fork) => self.people.forget(&self.tree, fork.process),
            Body::ProcessExec(exec) => {
                self.report.counts.execs += 1;
                self.people.forget(&self.tree, exec.process);
            }
            Body::ProcessExit(exit) => self.people.gone(exit.process),
            Body::Dns(dns) => self.dns(event.time, dns),
            Body::Connect(connect) => self.connect(event.time, connect),
            Body::ConnectClose(close) => self.close(close),
            Body::Refused(refused) => self.refused(event.time, refused),
            Body::FileCreate(change) => self.file(event.time, FileChangeKind::Create, change),
            Body::FileWrite(change) => self.file(event.time, FileChangeKind::Write, change),
            Body::FileRename(change) => self.file(event.time, FileChangeKind::Rename, change),
            Body::FileDelete(change) => self.file(event.time, FileChangeKind::Delete, change),
            Body::Container(container) => self.container(container),
            Body::Lockdown(lockdown) => self.lockdown(lockdown),
            Body::Lost(lost) => self.lost(lost),
            // What is to be said of it, its detection says.
            Body::Tamper(_)
            | Body::MemoryAccess(_)
            | Body::SensitiveFile(_)
            | Body::SecretFound(_) => {}
            Body::Unknown(kind) => self.unknown(kind),
            // A kind that is newer than this crate.
            _ => self.unknown("other"),
        }
        self.detect(event);
    }

    /// The report of a job that still runs, as if it ended so now: nothing is found because of that end.
    pub fn finish_so_far(mut self, end: JobEnd) -> Report {
        self.end = Some(end);
        self.finish()
    }

    /// The report of everything applied so far.
    pub fn finish(self) -> Report {
        let ReportBuilder {
            tree,
            destinations,
            names,
            refusals,
            losses,
            first_time,
            last_time,
            end,
            started,
            mut report,
            observer,
            in_force,
            ..
        } = self;
        report.complete = started && end.is_some();
        report.start = report.start.or(first_time);
        match end {
            Some(end) => {
                report.exit_code = Some(end.exit_code);
                report.signal = end.signal;
                report.still_running = end.still_running;
                report.unrecorded_file_changes = end.unrecorded_file_changes;
                report
                    .notes
                    .extend(end.notes.into_iter().take(limits::NOTES));
                report.duration_seconds = seconds(end.duration_ns);
            }
            None => {
                if let (Some(start), Some(last)) = (report.start, last_time) {
                    report.duration_seconds = seconds(last.nanos_since(start));
                }
            }
        }
        report.losses = losses
            .into_iter()
            .map(|((kind, reason), count)| Loss {
                kind,
                reason,
                count,
            })
            .collect();
        report.counts.blocked_destinations = number(refusals.destinations());
        report.blocked = refusals.into_rows();
        report.destinations = destinations.into_rows();
        report.dns_events = names.into_rows();
        report.counts.destinations = number(report.destinations.len());
        report.counts.dns_names = number(report.dns_events.len());
        processes(&tree, &mut report);
        let notes = verdict::notes(&report);
        report.notes.extend(notes);
        if let Some(killed) = verdict::lockdown(&report) {
            report.notes.insert(0, killed);
        }
        report
            .notes
            .extend(about_rules(in_force.as_ref(), observer.as_deref()));
        report
    }

    fn job_start(&mut self, time: Time, start: &JobStart) {
        // A second one would be a mistake of the writer; what came first is what everything after it belongs to.
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let report = &mut self.report;
        report.start = Some(time);
        report.runward = start.runward.clone();
        report.job = start.identity.clone();
        report.context = start.context.clone();
        let (command, cut) = clip_args(start.args.iter().map(String::as_str), COMMAND);
        report.command = command;
        report.cwd = start.cwd.clone();
        report.workspace = start.workspace.clone();
        report.requested_mode = Some(start.requested_mode);
        report.effective_mode = Some(start.effective_mode);
        report.policy = start
            .policy
            .iter()
            .take(limits::POLICY_RULES)
            .map(rule)
            .collect();
        report.omitted.policy_rules = number(start.policy.len() - report.policy.len());
        self.in_force.clone_from(&start.rules);
        report.tier = Some(start.tier);
        report.kernel = start.kernel.clone();
        report.lockdown_list = start
            .lockdown
            .iter()
            .take(limits::LOCKDOWN)
            .map(|word| short(word))
            .collect();
        report.files_watched = start.files_watched;
        report.tracked_files = start.tracked_files;
        report.notes = start.notes.iter().take(limits::NOTES).cloned().collect();
        if cut {
            report.notes.push(
                "The command is longer than shown here; events.jsonl has all of it.".to_owned(),
            );
        }
    }

    fn container(&mut self, container: &Container) {
        let report = &mut self.report;
        if report.containers.len() >= limits::CONTAINERS {
            report.omitted.containers += 1;
            return;
        }
        report.containers.push(ContainerRow {
            id: short(&container.container),
            name: container.name.as_deref().map(short),
            image: container.image.as_deref().map(short),
        });
    }

    /// The first one counts: a job dies once.
    fn lockdown(&mut self, lockdown: &Lockdown) {
        let Lockdown {
            detection,
            act,
            killed,
            left,
            duration_ns,
        } = lockdown;
        self.report.lockdown.get_or_insert_with(|| Ended {
            detection: detection.as_deref().map(short),
            act: *act,
            killed: *killed,
            left: *left,
            seconds: seconds(*duration_ns),
        });
    }

    fn dns(&mut self, time: Time, dns: &Dns) {
        let who = self.people.person(&self.tree, dns.process, dns.pid);
        if dns.message == DnsMessageKind::Query {
            self.report.counts.dns_queries += 1;
        }
        self.names
            .message(time, dns, &who, &mut self.report.omitted);
    }

    fn connect(&mut self, time: Time, connect: &Connect) {
        let open = self.attempt(time, connect);
        if let Some(refusal) = Refusal::of_connect(connect) {
            // It has no end that could be told later.
            self.count_blocked(connect.connection);
            self.refuse(time, refusal, None);
        } else if self.open.len() < limits::OPEN_CONNECTIONS {
            self.open.insert(connect.connection, open);
        }
    }

    /// Counts and lists a connection.
    fn attempt(&mut self, time: Time, connect: &Connect) -> Open {
        let report = &mut self.report;
        report.counts.connections += 1;
        let who = self.people.person(&self.tree, connect.process, connect.pid);
        let destination = self
            .destinations
            .connect(time, connect, &who, &mut report.omitted);
        let row = if report.network_events.len() < limits::NETWORK_ROWS {
            let who = self.people.person_for_row(
                &self.tree,
                connect.process,
                connect.pid,
                &mut report.omitted,
            );
            report.network_events.push(NetworkRow {
                time,
                process: who.detail,
                destination: destinations::label(connect),
                name: connect.name.as_deref().map(short),
                ip: connect.ip,
                port: connect.port,
                protocol: connect.protocol,
                status: connect.status,
                reason: connect.reason,
                rule: connect.rule,
                said: None,
                outcome: None,
                bytes_sent: None,
                bytes_received: None,
                duration_seconds: None,
                step: who.step,
                dependency: who.dependency,
            });
            Some(report.network_events.len() - 1)
        } else {
            report.omitted.network_events += 1;
            None
        };
        Open {
            row,
            destination,
            status: connect.status,
        }
    }

    fn refused(&mut self, time: Time, refused: &Refused) {
        let refusal = Refusal::of_refused(refused);
        if refusal.is_lookup() {
            let who = self.people.person(&self.tree, refused.process, refused.pid);
            self.report.counts.refused_lookups += 1;
            self.names
                .refused(time, &refusal, &who, &mut self.report.omitted);
            self.refuse(time, refusal, None);
            return;
        }
        let Some(connection) = refused.connection else {
            // A packet of a socket that never asked: nothing tells of it but this.
            self.attempt(time, &as_request(refused));
            self.report.counts.blocked_connections += 1;
            self.refuse(time, refusal, None);
            return;
        };
        if !self.count_blocked(connection) {
            return;
        }
        let open = self.open.get_mut(&connection).map(|open| {
            let before = *open;
            open.status = Status::Blocked;
            before
        });
        let label = open.and_then(|open| self.stop(open, refused));
        self.refuse(time, refusal, label.as_deref());
    }

    /// A connection that was let through at first is stopped. The answer is what it is called.
    fn stop(&mut self, open: Open, refused: &Refused) -> Option<String> {
        let row = open
            .row
            .and_then(|row| self.report.network_events.get_mut(row));
        let mut label = None;
        if let Some(row) = row {
            row.status = Status::Blocked;
            row.reason = Some(refused.reason);
            row.said = refused.name.as_deref().map(short);
            label = Some(row.destination.clone());
        }
        if let Some(number) = open.destination {
            self.destinations.stopped(number, open.status);
            label = label.or_else(|| self.destinations.label(number).map(str::to_owned));
        }
        label
    }

    /// Counts a connection as blocked; false when it is counted already.
    fn count_blocked(&mut self, connection: ConnectionId) -> bool {
        if self.blocked.len() >= limits::OPEN_CONNECTIONS {
            self.blocked.clear();
        }
        let is_new = self.blocked.insert(connection);
        self.report.counts.blocked_connections += u64::from(is_new);
        is_new
    }

    /// Lists what was refused. `let_through` is what the connection is called that was let through at first.
    fn refuse(&mut self, time: Time, refusal: Refusal<'_>, let_through: Option<&str>) {
        let (process, pid) = (refusal.process, refusal.pid);
        let stop = Stop::new(refusal, let_through);
        let omitted = &mut self.report.omitted;
        let who = if self.refusals.needs_row(&stop) {
            self.people
                .person_for_row(&self.tree, process, pid, omitted)
        } else {
            self.people.person(&self.tree, process, pid)
        };
        self.refusals.add(time, stop, &who, omitted);
    }

    fn close(&mut self, close: &ConnectClose) {
        let report = &mut self.report;
        report.counts.failed_connections += u64::from(close.outcome == ConnectOutcome::Failed);
        let Some(open) = self.open.remove(&close.connection) else {
            // One that was blocked at the request has nothing to add.
            let blocked = self.blocked.contains(&close.connection);
            report.omitted.connection_ends += u64::from(!blocked);
            return;
        };
        if let Some(destination) = open.destination {
            self.destinations.close(destination, close);
        }
        let row = open.row.and_then(|row| report.network_events.get_mut(row));
        let Some(row) = row else {
            let bytes = close.bytes_sent.saturating_add(close.bytes_received);
            report.omitted.network_bytes = report.omitted.network_bytes.saturating_add(bytes);
            return;
        };
        row.outcome = Some(close.outcome);
        row.bytes_sent = Some(close.bytes_sent);
        row.bytes_received = Some(close.bytes_received);
        row.duration_seconds = Some(seconds(close.duration_ns));
    }

    fn file(&mut self, time: Time, kind: FileChangeKind, change: &FileChange) {
        let report = &mut self.report;
        let changed = is_altered(kind, change);
        report.counts.file_changes += 1;
        report.counts.tracked_changes += u64::from(changed);
        if report.file_events.len() >= limits::FILE_ROWS.saturating_add(self.tracked_rows) {
            if !changed || self.tracked_rows >= limits::TRACKED_ROWS {
                report.omitted.file_events += 1;
                return;
            }
            self.tracked_rows += 1;
        }
        let path = head(&change.path, limits::PATH).0;
        let from = change.from.as_deref().map(|p| head(p, limits::PATH).0);
        let size = path.len() + from.map_or(0, str::len);
        // Altered source files are few (git tracks them) and worth their place.
        match self.paths_left.checked_sub(size) {
            Some(left) => self.paths_left = left,
            None if changed => {}
            None => {
                report.omitted.file_events += 1;
                return;
            }
        }
        let who = change.process.map(|process| {
            self.people
                .person_for_row(&self.tree, process, change.pid, &mut report.omitted)
        });
        let (process, step, dependency) = match who {
            Some(who) => (Some(who.detail), who.step, who.dependency),
            None => (None, None, None),
        };
        report.file_events.push(FileRow {
            time,
            kind,
            path: path.to_owned(),
            from: from.map(str::to_owned),
            tracked: change.tracked,
            changed,
            hash_before: change.hash_before.clone(),
            hash_after: change.hash_after.clone(),
            found_at_end: change.found_at_end,
            process,
            step,
            dependency,
        });
    }

    fn lost(&mut self, lost: &Lost) {
        let sum = self.report.lost_events.entry(lost.lost).or_default();
        *sum = sum.saturating_add(lost.count);
        let sum = self.losses.entry((lost.lost, lost.reason)).or_default();
        *sum = sum.saturating_add(lost.count);
    }

    fn unknown(&mut self, kind: &str) {
        let kinds = &mut self.report.unknown_events;
        let kind = head(kind, 100).0;
        let kind = if kinds.len() < limits::UNKNOWN_KINDS || kinds.contains_key(kind) {
            kind
        } else {
            "other"
        };
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }

    fn detect(&mut self, event: &Event) {
        let mut findings = Vec::new();
        for detection in &mut self.detections {
            detection.observe(event, &self.tree, &mut findings);
        }
        if let Some(observer) = &mut self.observer {
            observer.observe(event, &self.tree, &mut findings);
        }
        self.latest.clone_from(&findings);
        for finding in findings {
            let report = &mut self.report;
            report.counts.detections += 1;
            report.counts.explained += u64::from(finding.severity == Severity::Info);
            // The ids are those of our own detections and of one file of rules, so there are few.
            let sum = report
                .detection_counts
                .entry(finding.detection.clone())
                .or_default();
            *sum += 1;
            if *sum > number(limits::DETECTIONS) {
                report.omitted.detections += 1;
                continue;
            }
            let detection = self.detection(finding);
            self.report.detections.push(detection);
        }
    }

    /// What a person does about such a finding.
    fn next(&self, id: &str) -> String {
        if let Some(about) = runward_detect::about(id) {
            return about.next.to_owned();
        }
        let rule = self.report.rules.iter().find(|rule| rule.id == id);
        rule.map_or_else(String::new, |rule| rule.next.clone())
    }

    fn detection(&mut self, mut finding: Finding) -> Detection {
        let mut content = finding.content.take();
        if let Some(content) = &mut content {
            self.bound_diff(content);
        }
        let who = finding.process.map(|id| {
            let pid = self.tree.process(id).map_or(0, |p| p.pid);
            self.people
                .person_for_finding(&self.tree, id, pid, &mut self.report.omitted)
        });
        let (process, step, dependency) = match who {
            Some(who) => (Some(who.detail), who.step, who.dependency),
            None => (None, None, None),
        };
        Detection {
            next: self.next(&finding.detection),
            detection: finding.detection,
            severity: finding.severity,
            confidence: finding.confidence,
            time: finding.time,
            seq: finding.seq,
            evidence: finding.evidence,
            message: finding.message,
            path: finding.path.as_deref().map(short),
            destination: finding.destination.as_deref().map(short),
            content,
            process,
            step,
            dependency,
        }
    }

    fn bound_diff(&mut self, content: &mut ContentChange) {
        let Some(diff) = &mut content.diff else {
            return;
        };
        let (text, is_cut) = head(&diff.text, limits::DIFF);
        if is_cut {
            diff.text = text.to_owned();
            diff.cut = true;
        }
        match self.diffs_left.checked_sub(diff.text.len()) {
            Some(left) => self.diffs_left = left,
            None => {
                content.diff = None;
                content.no_diff = Some(NoDiff::TooMany);
            }
        }
    }
}

/// What a reader should know about rules: those of the record that were not at hand, and how those went that were.
fn about_rules(in_force: Option<&RulesInForce>, observer: Option<&dyn Observer>) -> Vec<String> {
    let mut notes = Vec::new();
    match (in_force, observer) {
        (Some(rules), None) => notes.push(format!(
            "The job ran with rules of its owner ({}), and what they found is not in this report: make it again with \
             `runward report --rules FILE`; SHA-256 of the file: {}.",
            ids(rules),
            head(&rules.sha256, 64).0
        )),
        (Some(rules), Some(observer)) if rules.sha256 != observer.digest() => notes.push(format!(
            "The job ran with other rules than this report was made with ({}); SHA-256 of their file: {}.",
            ids(rules),
            head(&rules.sha256, 64).0
        )),
        _ => {}
    }
    notes.extend(observer.map(Observer::notes).unwrap_or_default());
    notes
}

/// The first few names of rules.
fn ids(rules: &RulesInForce) -> String {
    let shown = rules.ids.iter().take(NAMED_RULES).map(|id| head(id, 64).0);
    let mut names = shown.collect::<Vec<&str>>().join(", ");
    if rules.ids.len() > NAMED_RULES {
        names.push_str(", …");
    }
    names
}

/// How many rules a note names.
const NAMED_RULES: usize = 5;

/// A refused packet as the request that was never made for it.
fn as_request(refused: &Refused) -> Connect {
    Connect {
        connection: ConnectionId(0),
        process: refused.process,
        pid: refused.pid,
        protocol: refused.protocol,
        ip: refused.ip,
        port: refused.port,
        name: refused.name.clone(),
        status: Status::Blocked,
        reason: Some(refused.reason),
        rule: None,
        listed: refused.listed.clone(),
        v4_mapped: false,
    }
}

fn rule(rule: &PolicyRule) -> PolicyRule {
    PolicyRule {
        rule: rule.rule,
        text: short(&rule.text),
        source: short(&rule.source),
        denies: rule.denies,
    }
}

/// A text that is kept in many rows.
fn short(text: &str) -> String {
    head(text, limits::PATH).0.to_owned()
}

/// Bytes of the job's command that a report gives.
const COMMAND: usize = 64 << 10;

/// Whether a tracked file is no longer what it was. A hash that is missing is taken for a difference: better one look
/// too many.
fn is_altered(kind: FileChangeKind, change: &FileChange) -> bool {
    change.tracked
        && (kind == FileChangeKind::Delete
            || change.hash_before.is_none()
            || change.hash_before != change.hash_after)
}

fn processes(tree: &Tree, report: &mut Report) {
    let mut left = limits::PROCESS_ARGS;
    // What the tree itself had to give up to stay within its limits is left out here too.
    let folded = tree.dropped().folded;
    report.counts.processes = number(tree.len()).saturating_add(folded);
    report.omitted.processes = folded;
    // What each process was born with. Asking the tree for each would climb a long chain of forks again and again.
    let mut born_with: HashMap<ProcessId, Option<&runward_tree::Image>> = HashMap::new();
    for process in tree.processes() {
        let inherited = match process.parent {
            Parent::Known(parent) => {
                let above = born_with.get(&parent).copied().flatten();
                people::inherited(process, tree.process(parent), above)
            }
            Parent::Root | Parent::Unknown => None,
        };
        born_with.insert(process.id, inherited);
        if report.processes.len() >= limits::PROCESS_ROWS {
            report.omitted.processes += 1;
            continue;
        }
        report
            .processes
            .push(process_row(process, inherited, &mut left));
    }
}

fn process_row(
    process: &Process,
    inherited: Option<&runward_tree::Image>,
    left: &mut usize,
) -> ProcessRow {
    let (parent, parent_known) = match process.parent {
        Parent::Root => (None, true),
        Parent::Known(parent) => (Some(parent), true),
        Parent::Unknown => (None, false),
    };
    let mut row = ProcessRow {
        process: process.id,
        pid: process.pid,
        parent,
        parent_known,
        start: process.started,
        end: process.exit.map(|exit| exit.time),
        exe: String::new(),
        args: Vec::new(),
        cwd: String::new(),
        uid: None,
        container: None,
        forked_only: process.images.is_empty(),
        earlier: Vec::new(),
        exit: process.exit.map(|exit| Exit {
            code: exit.code,
            signal: exit.signal,
        }),
        step: people::step(process),
        dependency: people::dependency(process),
        truncated: Vec::new(),
    };
    let Some(last) = process.images.last().or(inherited) else {
        return row;
    };
    let image = image(last, left);
    row.exe = image.exe;
    row.args = image.args;
    row.cwd = image.cwd;
    row.truncated = image.truncated;
    row.container = last.container.clone();
    if let Some((last, earlier)) = process.images.split_last() {
        row.uid = Some(last.uid);
        if earlier.len() > limits::EARLIER_IMAGES {
            row.truncated.push("earlier".to_owned());
        }
        let skipped = earlier.len().saturating_sub(limits::EARLIER_IMAGES);
        row.earlier = earlier
            .iter()
            .skip(skipped)
            .map(|earlier| self::image(earlier, left))
            .collect();
    }
    row
}

fn image(image: &runward_tree::Image, left: &mut usize) -> Image {
    let (args, cut) = clip_args(image.args.iter(), *left);
    *left = left.saturating_sub(size_of_args(&args));
    let mut truncated = image.truncated.clone();
    if cut && !truncated.iter().any(|field| field == "args") {
        truncated.push("args".to_owned());
    }
    Image {
        time: image.time,
        exe: head(&image.exe, limits::PATH).0.to_owned(),
        args,
        cwd: head(&image.cwd, limits::PATH).0.to_owned(),
        truncated,
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn number(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
