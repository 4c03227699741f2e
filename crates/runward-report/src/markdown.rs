use std::collections::HashSet;
use std::fmt::Write as _;

use runward_detect::{ContentChange, reason_sentence};

use crate::diff;
use crate::model::{Blocked, Destination, Detection, DnsName, FileRow, ProcessDetail, Report};
use crate::text::{
    base_name, bytes, clipped, command_line, count, counted, duration, head, visible,
};
use crate::verdict;

/// `summary.md`: fit for the job summary of a CI system. Below 1 MB whatever the job did.
///
/// Everything that the job can influence stands in code spans, where Markdown has no links, mentions or HTML; the few
/// sentences that may quote it have every mark of Markdown taken away.
pub fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let (seen, alarming) = verdict::verdict(report);
    let and = if alarming.is_empty() { "" } else { ", " };
    let alarming = if alarming.is_empty() {
        String::new()
    } else {
        format!("**{alarming}**")
    };
    line(&mut out, &format!("## Runward: {seen}{and}{alarming}"));
    line(&mut out, "");
    facts(&mut out, report);
    caveats(&mut out, report);
    findings(&mut out, report);
    diffs(&mut out, report);
    blocked(&mut out, report);
    destinations(&mut out, report);
    altered(&mut out, report);
    names(&mut out, report);
    policy(&mut out, report);
    out
}

/// Rows of each table.
const ROWS: usize = 100;
/// Characters of each text.
const TEXT: usize = 160;
const NOTES: usize = 20;
/// Diffs, lines of each, and bytes of each line.
const DIFFS: usize = 10;
const DIFF_LINES: usize = 60;
const DIFF_BYTES: usize = 200;

fn facts(out: &mut String, report: &Report) {
    let counts = &report.counts;
    line(out, "| | |");
    line(out, "|---|---|");
    row(
        out,
        &["Command", &code(&command_line(&report.command, 300))],
    );
    let mode = [
        Some(verdict::mode(report)),
        verdict::rules(report),
        Some(verdict::tier(report).to_owned()),
    ];
    let mode: Vec<String> = mode.into_iter().flatten().collect();
    row(out, &["Mode", &mode.join(", ")]);
    row(out, &["Duration", &duration(report.duration_seconds)]);
    row(out, &["Result", &verdict::exit(report)]);
    let sums = [
        counted(counts.execs, "program started", "programs started"),
        counted(counts.connections, "connection", "connections"),
        counted(counts.dns_names, "name looked up", "names looked up"),
        verdict::file_changes(report),
    ];
    row(out, &["Seen", &sums.join(", ")]);
}

fn caveats(out: &mut String, report: &Report) {
    let lost = verdict::lost(report);
    if lost.is_none() && report.notes.is_empty() {
        return;
    }
    line(out, "");
    if let Some(lost) = lost {
        line(
            out,
            &format!("- **Lost events**, which this report lacks: {lost}"),
        );
    }
    for note in report.notes.iter().take(NOTES) {
        line(out, &format!("- {}", prose(&clipped(note, 400))));
    }
    let more = report.notes.len().saturating_sub(NOTES);
    if more > 0 {
        line(out, &format!("- and {more} more notes"));
    }
}

fn findings(out: &mut String, report: &Report) {
    let all = verdict::finding_count(report);
    if all == 0 && report.counts.explained == 0 {
        return;
    }
    title(out, "Findings");
    row(
        out,
        &["Severity", "Finding", "About", "Process", "Under", "For"],
    );
    line(out, "|---|---|---|---|---|---|");
    for finding in verdict::findings(report)
        .chain(verdict::explained(report))
        .take(ROWS)
    {
        let Detection {
            process,
            step,
            dependency,
            ..
        } = finding;
        let about = finding
            .path
            .as_deref()
            .or(finding.destination.as_deref())
            .unwrap_or(&finding.message);
        row(
            out,
            &[
                severity(finding.severity),
                &code(&finding.detection),
                &code(about),
                &who(process.as_deref()),
                &process.as_deref().map(under).unwrap_or_default(),
                &optional(&verdict::cause(step.as_deref(), dependency.as_deref())),
            ],
        );
    }
    and_more(out, all.saturating_add(report.counts.explained));
}

/// What changed in source files, folded.
fn diffs(out: &mut String, report: &Report) {
    let all: Vec<(&Detection, &ContentChange)> = verdict::findings(report)
        .filter_map(|finding| Some((finding, finding.content.as_ref()?)))
        .filter(|(_, content)| content.diff.is_some())
        .collect();
    if all.is_empty() {
        return;
    }
    let files = counted(
        u64::try_from(all.len()).unwrap_or(u64::MAX),
        "altered source file",
        "altered source files",
    );
    line(out, "");
    line(
        out,
        &format!("<details><summary>What changed in {files}</summary>"),
    );
    for (finding, content) in all.iter().take(DIFFS) {
        line(out, "");
        let about = finding.path.as_deref().unwrap_or_default();
        let summary = diff::summary(content).unwrap_or_default();
        line(out, &format!("{}: {summary}", code(about)));
        line(out, "");
        fenced(out, &diff::lines(content, DIFF_LINES));
        if let Some(left_out) = diff::left_out(content, DIFF_LINES) {
            line(out, "");
            line(out, &left_out);
        }
    }
    let more = all.len().saturating_sub(DIFFS);
    if more > 0 {
        line(out, "");
        line(out, &format!("and {more} more in report.json"));
    }
    line(out, "");
    line(out, "</details>");
}

/// Lines in a fence that nothing in them can close: it is longer than any run of backticks in them.
fn fenced(out: &mut String, lines: &[diff::Line]) {
    let runs = lines
        .iter()
        .flat_map(|line| line.text.split(|c| c != '`').map(str::len));
    let fence = "`".repeat(runs.max().unwrap_or(0).max(2) + 1);
    line(out, &format!("{fence}diff"));
    for shown in lines {
        line(out, head(&shown.text, DIFF_BYTES).0);
    }
    line(out, &fence);
}

/// What the fence stopped: where to, who, why, and the line that would allow it.
fn blocked(out: &mut String, report: &Report) {
    if report.blocked.is_empty() {
        return;
    }
    title(out, "Blocked");
    row(
        out,
        &[
            "Destination",
            "Process",
            "For",
            "Why",
            "Line that would allow it",
        ],
    );
    line(out, "|---|---|---|---|---|");
    for blocked in report.blocked.iter().take(ROWS) {
        let Blocked {
            process,
            step,
            dependency,
            ..
        } = blocked;
        let mut destination = code(&blocked.destination);
        let remarks = verdict::blocked_remarks(blocked);
        if !remarks.is_empty() {
            destination.push(' ');
            destination.push_str(&remarks);
        }
        let mut who = who(Some(process));
        if let Some(others) = verdict::other_programs(blocked) {
            who.push(' ');
            who.push_str(&others);
        }
        let mut why = reason_sentence(blocked.reason).to_owned();
        if let Some(via) = &blocked.via {
            _ = write!(why, ", at the address of {}", code(via));
        }
        row(
            out,
            &[
                &destination,
                &who,
                &optional(&verdict::cause(step.as_deref(), dependency.as_deref())),
                &why,
                &optional(blocked.line.as_deref().unwrap_or_default()),
            ],
        );
    }
    and_more(out, u64::try_from(report.blocked.len()).unwrap_or(u64::MAX));
}

/// The rules in force, folded.
fn policy(out: &mut String, report: &Report) {
    let Some(rules) = verdict::rules(report) else {
        return;
    };
    line(out, "");
    line(
        out,
        &format!("<details><summary>Policy in force: {rules}</summary>"),
    );
    line(out, "");
    row(out, &["Rule", "", "Endpoint", "From"]);
    line(out, "|--:|---|---|---|");
    for rule in report.policy.iter().take(ROWS) {
        row(
            out,
            &[
                &rule.rule.to_string(),
                if rule.denies { "deny" } else { "allow" },
                &code(&rule.text),
                &code(&rule.source),
            ],
        );
    }
    let all = u64::try_from(report.policy.len()).unwrap_or(u64::MAX);
    and_more(out, all.saturating_add(report.omitted.policy_rules));
    line(out, "");
    line(out, "</details>");
}

/// A severity in one word.
pub(crate) fn severity(severity: runward_detect::Severity) -> &'static str {
    use runward_detect::Severity;
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    }
}

fn destinations(out: &mut String, report: &Report) {
    if report.destinations.is_empty() {
        return;
    }
    title(out, "Destinations");
    row(
        out,
        &[
            "Destination",
            "Process",
            "For",
            "Connections",
            "Sent",
            "Received",
        ],
    );
    line(out, "|---|---|---|--:|--:|--:|");
    let mut rows: Vec<&Destination> = report.destinations.iter().collect();
    rows.sort_by_key(|d| std::cmp::Reverse((d.statuses.blocked, d.statuses.anomalous)));
    for d in rows.into_iter().take(ROWS) {
        let mut destination = code(&d.destination);
        if let Some(protocol) = verdict::protocol_remark(&d.destination, d.protocol) {
            destination.push(' ');
            destination.push_str(protocol);
        }
        let mut connections = count(d.connections);
        for (n, word) in [
            (d.statuses.blocked, "blocked"),
            (d.statuses.anomalous, "new"),
            (d.failed, "failed"),
        ] {
            if n > 0 {
                _ = write!(connections, ", {} {word}", count(n));
            }
        }
        row(
            out,
            &[
                &destination,
                &optional(&verdict::programs(&d.processes)),
                &optional(&verdict::causes(d, true)),
                &connections,
                &bytes(d.bytes_sent),
                &bytes(d.bytes_received),
            ],
        );
    }
    and_more(out, report.counts.destinations);
}

/// Tracked files that changed without a finding of their own: deleted ones, for instance.
fn altered(out: &mut String, report: &Report) {
    let found: HashSet<&str> = report
        .detections
        .iter()
        .filter_map(|finding| finding.path.as_deref())
        .collect();
    let rows: Vec<&FileRow> = report
        .file_events
        .iter()
        .filter(|file| file.changed && !found.contains(file.path.as_str()))
        .collect();
    if rows.is_empty() {
        return;
    }
    title(out, "Other altered source files");
    row(out, &["File", "Change", "Process", "For"]);
    line(out, "|---|---|---|---|");
    for file in rows.iter().take(ROWS) {
        row(
            out,
            &[
                &code(&file.path),
                change(file.kind),
                &who(file.process.as_deref()),
                &optional(&verdict::cause(
                    file.step.as_deref(),
                    file.dependency.as_deref(),
                )),
            ],
        );
    }
    and_more(out, u64::try_from(rows.len()).unwrap_or(u64::MAX));
}

/// A change of a file in one word.
pub(crate) fn change(kind: crate::FileChangeKind) -> &'static str {
    use crate::FileChangeKind;
    match kind {
        FileChangeKind::Create => "create",
        FileChangeKind::Write => "write",
        FileChangeKind::Rename => "rename",
        FileChangeKind::Delete => "delete",
    }
}

fn names(out: &mut String, report: &Report) {
    if report.dns_events.is_empty() {
        return;
    }
    line(out, "");
    let summary = counted(report.counts.dns_names, "name looked up", "names looked up");
    line(out, &format!("<details><summary>{summary}</summary>"));
    line(out, "");
    row(out, &["Name", "Questions", "Answers", "Process"]);
    line(out, "|---|--:|---|---|");
    for name in report.dns_events.iter().take(ROWS) {
        let DnsName { rcodes, .. } = name;
        let mut answers: Vec<String> = rcodes
            .iter()
            .take(4)
            .map(|(rcode, n)| format!("{} {}", code(rcode), count(*n)))
            .collect();
        if name.refused > 0 {
            answers.push(format!("{} refused", count(name.refused)));
        }
        let clients: Vec<String> = name.clients.iter().map(|c| c.exe.clone()).collect();
        row(
            out,
            &[
                &code(&name.name),
                &count(name.queries),
                &answers.join(", "),
                &optional(&verdict::programs(&clients)),
            ],
        );
    }
    and_more(out, report.counts.dns_names);
    line(out, "");
    line(out, "</details>");
}

fn title(out: &mut String, text: &str) {
    line(out, "");
    line(out, &format!("### {text}"));
    line(out, "");
}

fn row(out: &mut String, cells: &[&str]) {
    line(out, &format!("| {} |", cells.join(" | ")));
}

fn and_more(out: &mut String, all: u64) {
    let more = all.saturating_sub(u64::try_from(ROWS).unwrap_or(u64::MAX));
    if more > 0 {
        line(out, "");
        line(out, &format!("and {} more", count(more)));
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn who(process: Option<&ProcessDetail>) -> String {
    let Some(process) = process else {
        return "not known".to_owned();
    };
    let mut words = vec![match base_name(&process.exe) {
        "" => "?".to_owned(),
        name => name.to_owned(),
    }];
    words.extend(process.args.iter().skip(1).take(64).cloned());
    format!(
        "{} (pid {})",
        code(&command_line(&words, TEXT)),
        process.pid
    )
}

fn under(process: &ProcessDetail) -> String {
    optional(&verdict::way_up(process.lineage.iter().map(AsRef::as_ref)))
}

fn optional(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        code(text)
    }
}

/// A code span that no content can leave, in a table or out of one.
///
/// Backticks inside need a longer fence. In a table a pipe must be escaped even inside code; a backslash just before
/// one would be read in different ways by different renderers, so it is written as the escape `\x5c`.
pub fn code_span(text: &str) -> String {
    code(text)
}

fn code(text: &str) -> String {
    let text = clipped(text, TEXT.max(300));
    if text.trim().is_empty() {
        return "(empty)".to_owned();
    }
    let mut longest = 0;
    let mut run = 0;
    let mut content = String::with_capacity(text.len());
    for c in text.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
        if c == '|' {
            if content.ends_with('\\') {
                content.pop();
                content.push_str("\\x5c");
            }
            content.push('\\');
        }
        content.push(c);
    }
    // A code span ends the cell; a backslash at its end would stand before the closing fence, where it is harmless.
    let fence = "`".repeat(longest + 1);
    let padded = content.starts_with(['`', ' ']) || content.ends_with(['`', ' ']);
    let pad = if padded { " " } else { "" };
    format!("{fence}{pad}{content}{pad}{fence}")
}

/// A sentence in which nothing means anything to Markdown: no emphasis, HTML, links, mentions or references.
fn prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let shown = visible(text);
    let mut rest = shown.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // An empty comment after the mark parts what would become a mention, a reference or a link.
            '@' | '#' => {
                out.push(c);
                out.push_str("<!-- -->");
            }
            ':' if rest.peek() == Some(&'/') => out.push_str(":<!-- -->"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '$'
            | '^' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.replace("www.", "www<!-- -->.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_content_leaves_its_code_span() {
        for (text, span) in [
            ("src/lib.rs", "`src/lib.rs`"),
            ("a`b", "``a`b``"),
            ("```", "```` ``` ````"),
            ("a | b", "`a \\| b`"),
            ("a\\|b", "`a\\x5c\\|b`"),
            ("x\n## title", "`x\\n## title`"),
            ("", "(empty)"),
            (" ", "(empty)"),
            (" a", "`  a `"),
            ("@org/team <b>", "`@org/team <b>`"),
        ] {
            assert_eq!(code(text), span);
        }
    }

    #[test]
    fn prose_has_no_marks() {
        assert_eq!(
            prose("see @org and https://x.example/[a](b) <img> #12 www.x.example"),
            "see @<!-- -->org and https:<!-- -->//x.example/\\[a\\]\\(b\\) &lt;img&gt; #<!-- -->12 \
             www<!-- -->.x.example"
        );
    }
}
