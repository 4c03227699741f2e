//! A run's report as a baseline sees it. Pure.

use std::collections::HashMap;

use runward_baseline::{
    Call, Context, Destination, Lineage, Overwrite, RunFacts, RunSummary, Trust, limits,
};
use runward_event::{JobContext, Provider, Status, Time};
use runward_report::{Dependency, NetworkRow, ProcessDetail, Report};
use runward_store::{Millis, RunPlace};

/// `detected` says whether something else stands beside the run that a person should look at.
pub(super) fn summary(report: &Report, place: &RunPlace, detected: bool) -> RunSummary {
    let (calls, left_out) = calls(report);
    let (overwrites, more_left_out) = overwrites(report);
    RunSummary {
        facts: RunFacts {
            id: place.id.clone(),
            started: report.start.unwrap_or_default(),
            received: time(place.last_seen_at),
            commit: place.commit.clone(),
            trust: trust(report, place.trigger.as_deref()),
            context: context(&report.context),
            detected,
        },
        calls,
        overwrites,
        uncounted: report
            .omitted
            .network_events
            .saturating_add(report.omitted.file_events)
            .saturating_add(left_out)
            .saturating_add(more_left_out),
    }
}

/// A time of the server's clock as the baseline has it.
pub(super) fn time(millis: Millis) -> Time {
    Time::from_unix_nanos(u64::try_from(millis).unwrap_or(0).saturating_mul(1_000_000))
}

/// Where a request comes from that does not say it is taken for a fork; so is nothing else.
fn trust(report: &Report, trigger: Option<&str>) -> Trust {
    let is_request = trigger.is_some_and(|trigger| {
        trigger.starts_with("pull_request") || trigger == "merge_request_event"
    });
    let known = matches!(
        report.job.provider,
        Provider::Github | Provider::Gitea | Provider::Gitlab
    );
    match (report.context.fork, report.context.protected) {
        (Some(true), _) => Trust::Fork,
        (None, _) if is_request => Trust::Fork,
        (_, Some(true)) if known => Trust::Protected,
        _ => Trust::Branch,
    }
}

fn context(known: &JobContext) -> Context {
    Context {
        pipeline_file: known.pipeline_file.clone(),
        image: known.image.clone(),
        actions: known.actions.clone(),
        lockfile: known.lockfiles.clone(),
    }
}

pub(super) fn lineage(
    process: Option<&ProcessDetail>,
    step: Option<&str>,
    dependency: Option<&Dependency>,
) -> Lineage {
    Lineage {
        executable: process
            .map(|process| process.exe.clone())
            .unwrap_or_default(),
        step: step.map(str::to_owned),
        dependency: dependency.map(|dependency| dependency.name.clone()),
    }
}

/// Calls summed by destination and lineage, and how many connections had no place. What stays inside of the machine is
/// no call.
fn calls(report: &Report) -> (Vec<Call>, u64) {
    let mut places: HashMap<(Destination, Lineage), usize> = HashMap::new();
    let mut calls: Vec<Call> = Vec::new();
    let mut left_out = 0;
    for row in report
        .network_events
        .iter()
        .filter(|row| !row.ip.is_loopback())
    {
        let key = (destination(row), lineage_of(row));
        let at = match places.get(&key) {
            Some(at) => *at,
            None if calls.len() >= limits::CALLS => {
                left_out += 1;
                continue;
            }
            None => {
                calls.push(Call {
                    destination: key.0.clone(),
                    lineage: key.1.clone(),
                    connections: 0,
                    bytes_sent: 0,
                    bytes_received: 0,
                    first: row.time,
                    blocked: true,
                });
                places.insert(key, calls.len() - 1);
                calls.len() - 1
            }
        };
        let Some(call) = calls.get_mut(at) else {
            continue;
        };
        call.connections += 1;
        call.bytes_sent = call.bytes_sent.saturating_add(row.bytes_sent.unwrap_or(0));
        call.bytes_received = call
            .bytes_received
            .saturating_add(row.bytes_received.unwrap_or(0));
        call.first = call.first.min(row.time);
        call.blocked &= row.status == Status::Blocked;
    }
    (calls, left_out)
}

fn lineage_of(row: &NetworkRow) -> Lineage {
    lineage(
        Some(&row.process),
        row.step.as_deref(),
        row.dependency.as_deref(),
    )
}

fn destination(row: &NetworkRow) -> Destination {
    Destination {
        name: row.name.clone(),
        ip: row.name.is_none().then_some(row.ip),
        port: row.port,
        protocol: row.protocol,
    }
}

/// Files under version control that got other content, each with who did it first, and how many had no place.
fn overwrites(report: &Report) -> (Vec<Overwrite>, u64) {
    let mut known: HashMap<(&str, Lineage), ()> = HashMap::new();
    let mut found = Vec::new();
    let mut left_out = 0;
    for row in report
        .file_events
        .iter()
        .filter(|row| row.tracked && row.changed)
    {
        let by = lineage(
            row.process.as_deref(),
            row.step.as_deref(),
            row.dependency.as_deref(),
        );
        if known.insert((&row.path, by.clone()), ()).is_some() {
            continue;
        }
        if found.len() >= limits::CALLS {
            left_out += 1;
            continue;
        }
        found.push(Overwrite {
            path: row.path.clone(),
            lineage: by,
            at: row.time,
        });
    }
    (found, left_out)
}
