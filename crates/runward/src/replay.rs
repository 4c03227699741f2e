use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use runward_event::{Body, Event, ProcessId, Protocol};
use runward_policy::{
    Actor, BlockedDestination, Matcher, Policy, Replay, Replayed, RuleView, RunTotals,
};
use runward_report::text::{base_name, count, counted, visible};
use runward_tree::{Limits, Tree};
use serde::Serialize;

use crate::cli::ReplayOptions;
use crate::policy::sources::{Failure, Inputs};
use crate::policy::{self, print, print_json, refuse, tell_warnings};
use crate::record;

/// The most destinations and names that are printed for people; JSON has all.
const PRINTED: usize = 50;

/// What `runward replay --json` prints.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    runs: Vec<RunRow<'a>>,
    /// The rules that deny something.
    denied_by: Vec<RuleView>,
    #[serde(flatten)]
    replayed: &'a Replayed,
}

#[derive(Debug, Serialize)]
struct RunRow<'a> {
    events: &'a Path,
    #[serde(flatten)]
    totals: RunTotals,
}

/// `runward replay`.
pub(crate) fn replay(options: &ReplayOptions) -> ExitCode {
    let read = policy::read(&Inputs {
        flags: &options.sources,
        file: options.policy.as_deref(),
        workspace: None,
        variable: None,
    });
    let read = match read {
        Ok(read) => read,
        Err(failure) => return refuse(&failure, options.json),
    };
    let matcher = Matcher::new(read.policy);
    let replayed = match replay_all(&matcher, options) {
        Ok(replayed) => replayed,
        Err(error) => return refuse(&Failure::Input(error), options.json),
    };
    if options.json {
        print_json(&answer(matcher.policy(), options, &replayed));
    } else {
        tell_warnings(&read.warnings);
        print(&page(matcher.policy(), options, &replayed));
    }
    ExitCode::SUCCESS
}

fn replay_all(matcher: &Matcher, options: &ReplayOptions) -> Result<Replayed> {
    let mut replay = Replay::new(matcher);
    for path in &options.events {
        replay.begin_run();
        let mut tree = Tree::with_limits(Limits::default());
        record::read(&policy::events(path), |event| {
            tree.apply(event);
            match actor_of(event) {
                Some(id) => replay.apply(event, &actor(&tree, id)),
                None => replay.apply(event, &Actor::default()),
            }
        })?;
    }
    Ok(replay.finish())
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

fn answer<'a>(policy: &Policy, options: &'a ReplayOptions, replayed: &'a Replayed) -> Answer<'a> {
    let mut denying: Vec<_> = replayed
        .blocked
        .iter()
        .filter_map(|row| row.denied_by)
        .collect();
    denying.sort_unstable();
    denying.dedup();
    Answer {
        runs: options
            .events
            .iter()
            .zip(&replayed.runs)
            .map(|(events, totals)| RunRow {
                events,
                totals: *totals,
            })
            .collect(),
        denied_by: denying
            .into_iter()
            .filter_map(|id| Some(RuleView::of(id, policy.rule(id)?)))
            .collect(),
        replayed,
    }
}

fn page(policy: &Policy, options: &ReplayOptions, replayed: &Replayed) -> String {
    let mut text = String::new();
    for (path, run) in options.events.iter().zip(&replayed.runs) {
        // Writing to a string can't fail.
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
