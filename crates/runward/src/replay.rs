use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use runward_detect::{Observer, RuleAbout, Severity};
use runward_event::{Body, Event, ProcessId, Protocol};
use runward_policy::{
    Actor, BlockedDestination, Matcher, Policy, Replay, Replayed, RuleView, RunTotals,
};
use runward_report::text::{base_name, count, counted, visible};
use runward_report::{Detection, Report, ReportBuilder};
use runward_rules::{RuleError, Rules};
use runward_tree::Tree;
use serde::Serialize;

use crate::cli::ReplayOptions;
use crate::policy::sources::{Failure, Inputs};
use crate::policy::{self, print, print_json, refuse, tell_warnings};
use crate::{exit, fail_on, output, record, rules};

/// The most findings, destinations and names that are printed for people; JSON has all.
const PRINTED: usize = 50;

/// What `runward replay --json` prints.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    runs: Vec<RunRow<'a>>,
    /// What was found, run after run.
    findings: Vec<FindingRow<'a>>,
    /// The rules of a user's own that looked.
    #[serde(skip_serializing_if = "<[RuleAbout]>::is_empty")]
    rules: &'a [RuleAbout],
    /// What the policy would have blocked, where there is one.
    #[serde(flatten)]
    blocked: Option<Blocked<'a>>,
}

#[derive(Debug, Serialize)]
struct Blocked<'a> {
    /// The rules that deny something.
    denied_by: Vec<RuleView>,
    #[serde(flatten)]
    replayed: &'a Replayed,
}

#[derive(Debug, Serialize)]
struct RunRow<'a> {
    events: &'a Path,
    findings: u64,
    /// What a reader should know of it.
    notes: &'a [String],
    #[serde(flatten)]
    totals: Option<RunTotals>,
}

#[derive(Debug, Serialize)]
struct FindingRow<'a> {
    events: &'a Path,
    #[serde(flatten)]
    finding: &'a Detection,
}

/// What `runward replay --rules FILE --json` prints where there is nothing to replay.
#[derive(Debug, Default, Serialize)]
struct Checked<'a> {
    valid: bool,
    rules: &'a [RuleAbout],
    errors: Vec<ErrorRow>,
}

#[derive(Debug, Serialize)]
struct ErrorRow {
    line: Option<u32>,
    column: Option<u32>,
    message: String,
}

/// `runward replay`.
pub(crate) fn replay(options: &ReplayOptions) -> ExitCode {
    let rules = match options.rules.as_deref().map(rules::read).transpose() {
        Ok(rules) => rules,
        Err(failure) => return refuse_rules(&failure, options),
    };
    let abouts = rules.as_ref().map_or(&[][..], Rules::abouts);
    let fail_on = match fail_on::parse("--fail-on", &options.fail_on, abouts) {
        Ok(fail_on) => fail_on,
        Err(error) => return refuse(&Failure::Input(error), options.json),
    };
    if options.events.is_empty() {
        return checked(abouts, options.json);
    }
    let policy = match policy_of(options).transpose() {
        Ok(policy) => policy,
        Err(failure) => return refuse(&failure, options.json),
    };
    let (matcher, warnings) = match policy {
        Some(read) => (Some(Matcher::new(read.policy)), read.warnings),
        None => (None, Vec::new()),
    };
    let (reports, replayed) = match replay_all(matcher.as_ref(), options) {
        Ok(replayed) => replayed,
        Err(error) => return refuse(&Failure::Input(error), options.json),
    };
    let blocked = matcher.as_ref().map(Matcher::policy).zip(replayed.as_ref());
    if options.json {
        print_json(&answer(blocked, options, &reports, abouts));
    } else {
        tell_warnings(&warnings);
        print(&found(options, &reports));
        if let Some((policy, replayed)) = blocked {
            print(&page(policy, options, replayed));
        }
    }
    let mut found = reports.iter().map(|report| &report.detections);
    match found.find_map(|found| fail_on::first(found, &fail_on)) {
        Some(found) => {
            output::say(format_args!("found {found}, which --fail-on names"));
            ExitCode::from(exit::FOUND)
        }
        None => ExitCode::SUCCESS,
    }
}

fn policy_of(options: &ReplayOptions) -> Option<Result<policy::Read, Failure>> {
    let is_given = options.policy.is_some() || !options.sources.is_empty();
    is_given.then(|| {
        policy::read(&Inputs {
            flags: &options.sources,
            file: options.policy.as_deref(),
            workspace: None,
            variable: None,
        })
    })
}

fn refuse_rules(failure: &rules::Failure, options: &ReplayOptions) -> ExitCode {
    if options.json {
        let row = |error: &RuleError| ErrorRow {
            line: Some(error.line),
            column: Some(error.column),
            message: error.message.clone(),
        };
        let errors = match failure {
            rules::Failure::Rules(errors) => errors.iter().map(row).collect(),
            rules::Failure::Input(error) => vec![ErrorRow {
                line: None,
                column: None,
                message: format!("{error:#}"),
            }],
        };
        print_json(&Checked {
            errors,
            ..Checked::default()
        });
    } else {
        match failure {
            rules::Failure::Rules(errors) => {
                rules::tell(options.rules.as_deref().unwrap_or(Path::new("")), errors);
            }
            rules::Failure::Input(error) => output::say(format_args!("{error:#}")),
        }
    }
    ExitCode::from(exit::USAGE)
}

/// There was nothing to replay: the rules were checked.
fn checked(rules: &[RuleAbout], json: bool) -> ExitCode {
    let number = u64::try_from(rules.len()).unwrap_or(u64::MAX);
    if json {
        print_json(&Checked {
            valid: true,
            rules,
            errors: Vec::new(),
        });
    } else {
        print(&format!(
            "The rules are valid: {}.\n",
            counted(number, "rule", "rules")
        ));
    }
    ExitCode::SUCCESS
}

fn replay_all(
    matcher: Option<&Matcher>,
    options: &ReplayOptions,
) -> Result<(Vec<Report>, Option<Replayed>)> {
    let mut replay = matcher.map(Replay::new);
    let mut reports = Vec::new();
    for path in &options.events {
        let mut builder = ReportBuilder::new();
        // What rules have told belongs to one run, so each has its own.
        if let Some(rules) = &options.rules {
            builder.look_with(Box::new(rules_again(rules)?));
        }
        if let Some(replay) = &mut replay {
            replay.begin_run();
        }
        record::read(&policy::events(path), |event| {
            builder.apply(event);
            let Some(replay) = &mut replay else {
                return;
            };
            match actor_of(event) {
                Some(id) => replay.apply(event, &actor(builder.tree(), id)),
                None => replay.apply(event, &Actor::default()),
            }
        })?;
        reports.push(builder.finish());
    }
    Ok((reports, replay.map(Replay::finish)))
}

fn rules_again(path: &Path) -> Result<Rules> {
    rules::read(path)
        .map_err(|failure| match failure {
            rules::Failure::Input(error) => error,
            rules::Failure::Rules(_) => {
                anyhow::anyhow!("it was changed meanwhile, and has errors now")
            }
        })
        .with_context(|| format!("cannot read the rules in {} again", path.display()))
}

fn actor_of(event: &Event) -> Option<ProcessId> {
    match &event.body {
        Body::Connect(connect) => Some(connect.process),
        Body::Dns(dns) => Some(dns.process),
        _ => None,
    }
}

/// Who a process is. Records do not tell images of containers.
fn actor(tree: &Tree, id: ProcessId) -> Actor<'_> {
    let process = tree.process(id);
    Actor {
        step: process
            .and_then(|process| process.step.as_deref())
            .map(|step| step.name.as_str()),
        executable: tree.image(id).map(|image| image.exe.as_str()),
        image: None,
    }
}

fn answer<'a>(
    blocked: Option<(&Policy, &'a Replayed)>,
    options: &'a ReplayOptions,
    reports: &'a [Report],
    rules: &'a [RuleAbout],
) -> Answer<'a> {
    let mut totals = blocked
        .into_iter()
        .flat_map(|(_, replayed)| replayed.runs.iter().copied());
    let runs = options.events.iter().zip(reports);
    Answer {
        runs: runs
            .clone()
            .map(|(events, report)| RunRow {
                events,
                findings: report.counts.detections,
                notes: &report.notes,
                totals: totals.next(),
            })
            .collect(),
        findings: runs
            .flat_map(|(events, report)| {
                let found = report.detections.iter();
                found.map(move |finding| FindingRow { events, finding })
            })
            .collect(),
        rules,
        blocked: blocked.map(|(policy, replayed)| Blocked {
            denied_by: denied_by(policy, replayed),
            replayed,
        }),
    }
}

fn denied_by(policy: &Policy, replayed: &Replayed) -> Vec<RuleView> {
    let mut denying: Vec<_> = replayed
        .blocked
        .iter()
        .filter_map(|row| row.denied_by)
        .collect();
    denying.sort_unstable();
    denying.dedup();
    denying
        .into_iter()
        .filter_map(|id| Some(RuleView::of(id, policy.rule(id)?)))
        .collect()
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::High => "high",
    }
}

/// What was found, a line each: severity, name, event and sentence.
fn found(options: &ReplayOptions, reports: &[Report]) -> String {
    let mut text = String::new();
    for (path, report) in options.events.iter().zip(reports) {
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "{}: {} in {}",
            visible(&path.to_string_lossy()),
            counted(report.counts.detections, "finding", "findings"),
            counted(report.counts.events, "event", "events"),
        );
        for finding in report.detections.iter().take(PRINTED) {
            let _ = writeln!(
                text,
                "  {:<6}  {}  event {}: {}",
                severity(finding.severity),
                visible(&finding.detection),
                finding.seq,
                visible(&finding.message)
            );
        }
        let hidden = report.counts.detections;
        let shown = u64::try_from(report.detections.len().min(PRINTED)).unwrap_or(u64::MAX);
        if hidden > shown {
            let _ = writeln!(text, "  and {} more", count(hidden - shown));
        }
        for note in &report.notes {
            let _ = writeln!(text, "  note: {}", visible(note));
        }
    }
    text
}

fn page(policy: &Policy, options: &ReplayOptions, replayed: &Replayed) -> String {
    let mut text = String::from("\n");
    for (path, run) in options.events.iter().zip(&replayed.runs) {
        let _ = writeln!(
            text,
            "{}: {} of {} blocked, {} of {} refused",
            visible(&path.to_string_lossy()),
            count(run.blocked_connections),
            counted(run.connections, "connection", "connections"),
            count(run.refused_lookups),
            counted(run.lookups, "lookup", "lookups"),
        );
    }
    if replayed.blocked.is_empty() {
        text.push_str("\nNo connection would have been blocked.\n");
    } else {
        text.push_str("\nBlocked:\n");
    }
    for row in replayed.blocked.iter().take(PRINTED) {
        let _ = writeln!(text, "  {}", blocked(policy, row));
    }
    more(
        &mut text,
        replayed.blocked.len(),
        replayed.omitted_connections,
    );
    if !replayed.refused_names.is_empty() {
        text.push_str("\nNot looked up:\n");
    }
    for row in replayed.refused_names.iter().take(PRINTED) {
        let _ = writeln!(
            text,
            "  {}  {}",
            visible(&row.name),
            counted(row.lookups, "lookup", "lookups")
        );
    }
    more(
        &mut text,
        replayed.refused_names.len(),
        replayed.omitted_lookups,
    );
    text
}

fn more(text: &mut String, rows: usize, omitted: u64) {
    let hidden = u64::try_from(rows.saturating_sub(PRINTED)).unwrap_or(u64::MAX);
    let hidden = hidden.saturating_add(omitted);
    if hidden > 0 {
        let _ = writeln!(text, "  and {} more", count(hidden));
    }
}

fn blocked(policy: &Policy, row: &BlockedDestination) -> String {
    let mut line = visible(&row.destination).into_owned();
    match row.protocol {
        Protocol::Tcp => {}
        Protocol::Udp => line.push_str(" udp"),
        Protocol::Icmp => line.push_str(" icmp"),
        _ => line.push_str(" (another protocol)"),
    }
    let _ = write!(
        line,
        "  {}",
        counted(row.connections, "connection", "connections")
    );
    if !row.executables.is_empty() {
        let names: Vec<&str> = row.executables.iter().map(|path| base_name(path)).collect();
        let _ = write!(line, " by {}", visible(&names.join(", ")));
    }
    match (
        &row.suggestion,
        row.denied_by.and_then(|id| policy.rule(id)),
    ) {
        (_, Some(rule)) => {
            let _ = write!(line, "; denied by {} ({})", rule.spelled(), rule.origin);
        }
        (Some(endpoint), None) => {
            let _ = write!(line, "; to allow it: {endpoint}");
        }
        (None, None) => line.push_str("; no endpoint can allow it"),
    }
    line
}
