use unicode_width::UnicodeWidthStr;

use runward_detect::{ContentChange, reason_sentence};

use crate::diff::{self, LineKind};
use crate::model::{Blocked, Destination, Detection, ProcessDetail, Report};
use crate::text::{base_name, bytes, clipped, command_line, count, counted, duration, visible};
use crate::verdict;

/// How a summary is set.
#[derive(Clone, Copy, Debug)]
pub struct Style<'a> {
    /// Whether to use colour. The caller decides, from the terminal, its options and `NO_COLOR`.
    pub color: bool,
    /// How many columns there are.
    pub width: usize,
    /// Where the full report is, for the last line.
    pub report: Option<&'a str>,
}

/// A summary of about a screen for a terminal.
pub fn terminal(report: &Report, style: Style<'_>) -> String {
    let mut page = Page {
        text: String::new(),
        color: style.color,
        width: style.width.clamp(48, 120),
    };
    header(&mut page, report);
    findings(&mut page, report);
    blocked(&mut page, report);
    destinations(&mut page, report);
    caveats(&mut page, report);
    if let Some(place) = style.report {
        page.gap();
        page.line(&[(Paint::Dim, "Report  "), (Paint::Plain, &visible(place))]);
    }
    page.text
}

/// Findings, refusals and destinations that are listed.
const FINDINGS: usize = 5;
const BLOCKED: usize = 5;
const DESTINATIONS: usize = 10;
const NOTES: usize = 4;
/// Lines of a diff.
const CHANGED_LINES: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Paint {
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
}

struct Page {
    text: String,
    color: bool,
    width: usize,
}

impl Page {
    fn line(&mut self, parts: &[(Paint, &str)]) {
        self.text.push_str("  ");
        for (paint, part) in parts {
            let code = match paint {
                Paint::Plain => "",
                Paint::Bold => "\x1b[1m",
                Paint::Dim => "\x1b[2m",
                Paint::Red => "\x1b[1;31m",
                Paint::Yellow => "\x1b[33m",
            };
            if self.color && !code.is_empty() && !part.is_empty() {
                self.text.push_str(code);
                self.text.push_str(part);
                self.text.push_str("\x1b[0m");
            } else {
                self.text.push_str(part);
            }
        }
        let end = self.text.trim_end_matches(' ').len();
        self.text.truncate(end);
        self.text.push('\n');
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }

    /// Columns between the margins.
    fn room(&self) -> usize {
        self.width.saturating_sub(2)
    }

    /// A long sentence over several lines, each indented by two more columns after the first.
    fn wrapped(&mut self, paint: Paint, label: &str, sentence: &str) {
        let room = self.room().saturating_sub(label.width()).max(20);
        let mut label = label.to_owned();
        let mut line = String::new();
        for word in sentence.split(' ') {
            if !line.is_empty() && line.width() + 1 + word.width() > room {
                self.line(&[(paint, &label), (Paint::Plain, &line)]);
                label = " ".repeat(label.width());
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(&[(paint, &label), (Paint::Plain, &line)]);
    }
}

fn header(page: &mut Page, report: &Report) {
    page.gap();
    let command = command_line(&report.command, page.room().saturating_sub(9));
    page.line(&[(Paint::Bold, "Runward  "), (Paint::Plain, &command)]);
    let failed = report.exit_code != Some(0);
    let mode = verdict::mode(report);
    let rules = verdict::rules(report).map_or_else(String::new, |rules| format!(", {rules}"));
    let facts = format!(
        "{rules} · {} · {} · ",
        verdict::tier(report),
        duration(report.duration_seconds),
    );
    let exit = verdict::exit(report);
    let as_asked = report.requested_mode == report.effective_mode;
    page.line(&[
        (Paint::Plain, "         "),
        (if as_asked { Paint::Bold } else { Paint::Red }, &mode),
        (Paint::Dim, &facts),
        (if failed { Paint::Yellow } else { Paint::Dim }, &exit),
    ]);
    page.gap();
    let counts = &report.counts;
    let mut connections = some(counts.connections, "connection", "connections");
    if counts.connections > 0 {
        connections.push_str(" to ");
        connections.push_str(&counted(counts.destinations, "destination", "destinations"));
    }
    let sums = [
        some(counts.processes, "process", "processes"),
        connections,
        some(counts.dns_names, "name looked up", "names looked up"),
        verdict::file_changes(report),
    ];
    // One line where there is room, else one sum a line.
    let line = sums.join(" · ");
    if line.width() <= page.room() {
        page.line(&[(Paint::Plain, &line)]);
    } else {
        for sum in &sums {
            page.line(&[(Paint::Plain, sum)]);
        }
    }
}

fn some(n: u64, one: &str, many: &str) -> String {
    match n {
        0 => format!("no {many}"),
        n => counted(n, one, many),
    }
}

fn findings(page: &mut Page, report: &Report) {
    let all = verdict::finding_count(report);
    let explained = verdict::explained_count(report);
    if all == 0 && explained.is_none() {
        return;
    }
    page.gap();
    if all > 0 {
        page.line(&[(Paint::Red, &counted(all, "finding", "findings"))]);
        for finding in verdict::findings(report).take(FINDINGS) {
            self::finding(page, finding);
        }
        and_more(page, all, FINDINGS);
    }
    if let Some(explained) = explained {
        page.line(&[(Paint::Dim, &explained)]);
    }
}

fn finding(page: &mut Page, finding: &Detection) {
    let about = finding
        .path
        .as_deref()
        .or(finding.destination.as_deref())
        .unwrap_or(&finding.message);
    let room = page
        .room()
        .saturating_sub(finding.detection.width() + 4)
        .max(20);
    page.line(&[
        (Paint::Red, "  "),
        (Paint::Red, &visible(&finding.detection)),
        (Paint::Plain, "  "),
        (Paint::Bold, &clipped(about, room)),
    ]);
    who(page, finding);
    if let Some(content) = &finding.content {
        changed(page, content);
    }
}

/// The first lines that changed.
fn changed(page: &mut Page, content: &ContentChange) {
    let room = page.room().saturating_sub(6);
    let all = diff::lines(content, usize::MAX);
    let mut lines = all
        .iter()
        .filter(|line| matches!(line.kind, LineKind::Added | LineKind::Removed));
    for line in lines.by_ref().take(CHANGED_LINES) {
        let paint = match line.kind {
            LineKind::Added => Paint::Plain,
            _ => Paint::Dim,
        };
        let text = fit(&line.text.replace('\t', "  "), room);
        page.line(&[(Paint::Plain, "      "), (paint, &text)]);
    }
    if lines.next().is_some() {
        let summary = diff::summary(content).unwrap_or_default();
        page.line(&[(Paint::Dim, "      … "), (Paint::Dim, &summary)]);
    }
}

fn who(page: &mut Page, finding: &Detection) {
    let room = page.room().saturating_sub(4);
    let Some(process) = &finding.process else {
        page.line(&[(Paint::Dim, "    by a process that is not known")]);
        return;
    };
    let who = by(process, room);
    page.line(&[(Paint::Plain, "    "), (Paint::Plain, &fit(&who, room))]);
    let cause = verdict::cause(finding.step.as_deref(), finding.dependency.as_deref());
    let up = verdict::way_up(process.lineage.iter().map(AsRef::as_ref));
    let why = match (cause.as_str(), up.as_str()) {
        ("", "") => return,
        ("", up) => format!("under {up}"),
        (cause, "") => cause.to_owned(),
        (cause, up) => format!("{cause}, under {up}"),
    };
    page.line(&[(Paint::Dim, "    "), (Paint::Dim, &clipped(&why, room))]);
}

/// What the fence stopped: where to, who, why, and the line that would allow it.
fn blocked(page: &mut Page, report: &Report) {
    if report.blocked.is_empty() {
        return;
    }
    page.gap();
    page.line(&[(Paint::Red, &verdict::blocked_destinations(report))]);
    for blocked in report.blocked.iter().take(BLOCKED) {
        refusal(page, blocked);
    }
    let all = u64::try_from(report.blocked.len()).unwrap_or(u64::MAX);
    and_more(page, all, BLOCKED);
}

fn refusal(page: &mut Page, blocked: &Blocked) {
    let remarks = verdict::blocked_remarks(blocked);
    let room = page.room().saturating_sub(remarks.width() + 4).max(20);
    page.line(&[
        (Paint::Plain, "  "),
        (Paint::Bold, &clipped(&blocked.destination, room)),
        (Paint::Dim, "  "),
        (Paint::Dim, &remarks),
    ]);
    let room = page.room().saturating_sub(4);
    let cause = verdict::cause(blocked.step.as_deref(), blocked.dependency.as_deref());
    let mut who = by(
        &blocked.process,
        room.saturating_sub(cause.width() + 2).max(room / 2),
    );
    if let Some(others) = verdict::other_programs(blocked) {
        who.push(' ');
        who.push_str(&others);
    }
    // On one line where there is room.
    let together = who.width() + 2 + cause.width() <= room;
    let separator = if together && !cause.is_empty() {
        ", "
    } else {
        ""
    };
    let beside = if together { cause.as_str() } else { "" };
    page.line(&[
        (Paint::Plain, "    "),
        (Paint::Plain, &fit(&who, room)),
        (Paint::Plain, separator),
        (Paint::Plain, &visible(beside)),
    ]);
    if !together {
        page.line(&[
            (Paint::Plain, "    "),
            (Paint::Plain, &clipped(&cause, room)),
        ]);
    }
    let why = reason_sentence(blocked.reason);
    match &blocked.via {
        Some(via) => {
            let via = clipped(via, room / 2);
            page.wrapped(
                Paint::Plain,
                "    ",
                &format!("{why}, at the address of {via}"),
            );
        }
        None => page.wrapped(Paint::Plain, "    ", why),
    }
    if let Some(line) = &blocked.line {
        // Not cut: half of it would allow something else.
        page.line(&[
            (Paint::Dim, "    to allow it: "),
            (Paint::Plain, &visible(line)),
        ]);
    }
}

/// `by node ./setup.js (pid 4210)`, in about so many columns.
fn by(process: &ProcessDetail, room: usize) -> String {
    let command = named_command(&process.exe, &process.args, room.saturating_sub(20).max(20));
    format!("by {command} (pid {})", process.pid)
}

/// The program by its short name and its arguments without the first, which is the name again.
fn named_command(exe: &str, args: &[String], max: usize) -> String {
    let mut words = vec![match base_name(exe) {
        "" => "?".to_owned(),
        name => name.to_owned(),
    }];
    words.extend(args.iter().skip(1).take(64).cloned());
    command_line(&words, max)
}

fn destinations(page: &mut Page, report: &Report) {
    if report.destinations.is_empty() {
        return;
    }
    // What was stopped first, then what is used most.
    let mut rows: Vec<&Destination> = report.destinations.iter().collect();
    rows.sort_by_key(|d| {
        std::cmp::Reverse((
            d.statuses.blocked,
            d.statuses.anomalous,
            d.bytes_sent.saturating_add(d.bytes_received),
            d.connections,
        ))
    });
    rows.truncate(DESTINATIONS);
    // Without room for all of it, what a package ran is said shorter.
    let mut table = Table::new(&rows, true);
    if table.widths.iter().map(|width| width + 2).sum::<usize>() > page.room() {
        table = Table::new(&rows, false);
    }
    let [destination, by, cause, connections, sent, received, remark] = table.widths;
    let numbers = [connections, sent, received];
    let fixed = numbers.iter().sum::<usize>() + 2 * 6 + remark;
    // The columns of text share what the numbers leave. If that is too little, the cause gives way first, then the
    // program, and the destination last; what could say next to nothing is left out.
    let room = page.room().saturating_sub(fixed).max(30);
    let given = cause.min(room.saturating_sub(destination + by).max(room / 4));
    let cause = if given < cause.min(14) { 0 } else { given };
    let by = by.min(room.saturating_sub(destination + cause).max(room / 6));
    let destination = destination.min(room.saturating_sub(by + cause));

    page.gap();
    for (i, row) in table.rows.iter().enumerate() {
        let paint = match (i, row.alarming && row.remark.is_empty()) {
            (0, _) => Paint::Dim,
            (_, true) => Paint::Red,
            (_, false) => Paint::Plain,
        };
        let mut line = left(&row.destination, destination);
        line.push_str("  ");
        line.push_str(&left(&row.by, by));
        line.push_str("  ");
        if cause > 0 {
            line.push_str(&left(&row.cause, cause));
            line.push_str("  ");
        }
        for (cell, width) in [&row.connections, &row.sent, &row.received]
            .into_iter()
            .zip(numbers)
        {
            line.push_str(&right(cell, width));
            line.push_str("  ");
        }
        let remark = if row.alarming {
            Paint::Red
        } else {
            Paint::Yellow
        };
        page.line(&[(paint, &line), (remark, &row.remark)]);
    }
    and_more(page, report.counts.destinations, DESTINATIONS);
}

struct Table {
    rows: Vec<Row>,
    /// What the widest cell of each column takes.
    widths: [usize; 7],
}

impl Table {
    fn new(destinations: &[&Destination], long: bool) -> Table {
        let mut rows = vec![Row::title()];
        rows.extend(destinations.iter().map(|d| Row::new(d, long)));
        let widest = |cell: fn(&Row) -> &str| rows.iter().map(|r| cell(r).width()).max();
        let cells: [fn(&Row) -> &str; 7] = [
            |r| &r.destination,
            |r| &r.by,
            |r| &r.cause,
            |r| &r.connections,
            |r| &r.sent,
            |r| &r.received,
            |r| &r.remark,
        ];
        let widths = cells.map(|cell| widest(cell).unwrap_or(0));
        Table { rows, widths }
    }
}

struct Row {
    destination: String,
    by: String,
    cause: String,
    connections: String,
    sent: String,
    received: String,
    remark: String,
    alarming: bool,
}

impl Row {
    fn title() -> Row {
        let text = str::to_owned;
        Row {
            destination: text("Destination"),
            by: text("By"),
            cause: text("For"),
            connections: text("Conn"),
            sent: text("Sent"),
            received: text("Received"),
            remark: String::new(),
            alarming: false,
        }
    }

    fn new(d: &Destination, long: bool) -> Row {
        let mut remarks = Vec::new();
        for (n, word) in [
            (d.statuses.blocked, "blocked"),
            (d.statuses.anomalous, "new"),
            (d.failed, "failed"),
        ] {
            if n > 0 {
                remarks.push(format!("{} {word}", count(n)));
            }
        }
        let (mut sent, mut received) = (bytes(d.bytes_sent), bytes(d.bytes_received));
        // Where nothing ever went, the word takes the place of the zeros.
        if d.connections > 0 && d.bytes_sent == 0 && d.bytes_received == 0 {
            for (n, word) in [(d.statuses.blocked, "blocked"), (d.failed, "failed")] {
                if n == d.connections {
                    (sent, received) = (String::new(), word.to_owned());
                    remarks.clear();
                    break;
                }
            }
        }
        let mut destination = clipped(&d.destination, 120);
        if let Some(protocol) = verdict::protocol_remark(&d.destination, d.protocol) {
            destination.push_str(&format!(" {protocol}"));
        }
        Row {
            destination,
            by: clipped(&verdict::programs(&d.processes), 40),
            cause: clipped(&verdict::causes(d, long), 60),
            connections: count(d.connections),
            sent,
            received,
            alarming: d.statuses.blocked > 0,
            remark: remarks.join(", "),
        }
    }
}

/// A protocol's name in lower case.
pub(crate) fn protocol(protocol: runward_event::Protocol) -> &'static str {
    use runward_event::Protocol;
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
        Protocol::Sctp => "sctp",
        Protocol::Raw => "raw",
        _ => "other",
    }
}

fn caveats(page: &mut Page, report: &Report) {
    let lost = verdict::lost(report);
    if lost.is_none() && report.notes.is_empty() {
        return;
    }
    page.gap();
    if let Some(lost) = lost {
        page.wrapped(
            Paint::Yellow,
            "Lost    ",
            &format!("events that this report lacks: {lost}"),
        );
    }
    for note in report.notes.iter().take(NOTES) {
        page.wrapped(Paint::Yellow, "Note    ", &clipped(note, 400));
    }
    let notes = u64::try_from(report.notes.len()).unwrap_or(u64::MAX);
    and_more(page, notes, NOTES);
}

fn and_more(page: &mut Page, all: u64, shown: usize) {
    let more = all.saturating_sub(u64::try_from(shown).unwrap_or(u64::MAX));
    if more > 0 {
        page.line(&[(Paint::Dim, &format!("and {} more", count(more)))]);
    }
}

/// `text` cut to `width` columns; the middle goes.
fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    // Wide characters take two columns, so fewer of them fit.
    let mut max = width;
    loop {
        let cut = clipped(text, max);
        if cut.width() <= width || max <= 1 {
            return cut;
        }
        max -= 1;
    }
}

fn left(text: &str, width: usize) -> String {
    let text = fit(text, width);
    let space = width.saturating_sub(text.width());
    text + &" ".repeat(space)
}

fn right(text: &str, width: usize) -> String {
    let text = fit(text, width);
    let space = width.saturating_sub(text.width());
    " ".repeat(space) + &text
}
