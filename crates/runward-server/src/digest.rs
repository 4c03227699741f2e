//! From a run's events to what the control plane keeps of it, and to the report that its pages show.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use runward_event::{Mode, parse_line};
use runward_report::{Report, ReportBuilder};
use runward_store::{About, Batch, Digest, Millis, NewDetection, Observation, Tag, Tags};

use crate::app::millis;
use crate::objects::{ObjectError, Objects};

/// Objects that are fetched at once: most of the time goes by waiting for the store. The largest have 16 MiB.
const AHEAD: usize = 4;

/// Reads a run's events in their order, each once, however its batches overlap, up to the first gap.
pub(crate) async fn fold(objects: &Objects, batches: &[Batch]) -> Result<Folded, ObjectError> {
    let mut builder = ReportBuilder::new();
    let mut next = 1;
    let mut kept = stream::iter(needed(batches))
        .map(|name| {
            let objects = objects.clone();
            async move { objects.get(&name).await }
        })
        .buffered(AHEAD);
    while let Some(bytes) = kept.try_next().await? {
        (builder, next) = tokio::task::spawn_blocking(move || {
            let next = take(&mut builder, &bytes, next);
            (builder, next)
        })
        .await
        .unwrap_or_else(|_| (ReportBuilder::new(), u64::MAX));
    }
    let report = tokio::task::spawn_blocking(move || builder.finish())
        .await
        .unwrap_or_default();
    Ok(Folded {
        report,
        events: next.saturating_sub(1),
    })
}

/// The objects of those batches that reach further than all before them.
fn needed(batches: &[Batch]) -> Vec<String> {
    let mut reached = 0;
    let mut needed = Vec::new();
    for batch in batches {
        if batch.last > reached {
            reached = batch.last;
            needed.push(batch.object.clone());
        }
    }
    needed
}

/// A run's report.
#[derive(Debug)]
pub(crate) struct Folded {
    pub(crate) report: Report,
    /// The last event in it.
    pub(crate) events: u64,
}

fn take(builder: &mut ReportBuilder, packed: &[u8], mut next: u64) -> u64 {
    // What is kept was read before it was acknowledged; what can't be read now was changed on the disk, and ends here.
    let Ok(decoder) = zstd::stream::Decoder::with_buffer(packed) else {
        return next;
    };
    for line in BufReader::new(decoder).lines() {
        let Ok(event) = line
            .map_err(drop)
            .and_then(|line| parse_line(&line).map_err(drop))
        else {
            return next;
        };
        if event.seq > next {
            return next;
        }
        if event.seq == next {
            builder.apply(&event);
            next += 1;
        }
    }
    next
}

/// What a report amounts to.
pub(crate) fn digest(folded: &Folded, now: Millis) -> Digest {
    let report = &folded.report;
    let counts = &report.counts;
    let lost: u64 = report.lost_events.values().sum();
    let mut tags = Tags::default();
    let blocked = counts.blocked_connections + counts.refused_lookups;
    for (tag, holds) in [
        (Tag::BlockedCall, blocked > 0),
        (Tag::OverwrittenFile, counts.tracked_changes > 0),
        (Tag::Loss, lost > 0),
        (
            Tag::NotMonitored,
            report.requested_mode == Some(Mode::Block)
                && report.effective_mode == Some(Mode::Audit),
        ),
    ] {
        if holds {
            tags = tags.with(tag);
        }
    }
    Digest {
        at: now,
        events: int(folded.events),
        complete: report.complete,
        duration_ms: report
            .complete
            .then(|| duration_ms(report.duration_seconds)),
        exit_code: report.exit_code.map(i64::from),
        processes: int(counts.processes),
        connections: int(counts.connections),
        blocked: int(blocked),
        file_changes: int(counts.file_changes),
        // A job says it, so it is bounded: sums of it must not overflow.
        lost: int(lost.min(LOST_MAX)),
        tags,
        observations: observations(report),
        detections: report.detections.iter().map(detection).collect(),
        ..Digest::default()
    }
}

/// Lost events that are believed of one run.
const LOST_MAX: u64 = 1_000_000_000_000;

/// One for each destination: a report tells protocols, and reasons of refused lookups, apart.
fn observations(report: &Report) -> Vec<Observation> {
    let mut all: BTreeMap<String, Observation> = BTreeMap::new();
    for found in separate_observations(report) {
        match all.entry(found.destination.clone()) {
            Entry::Vacant(place) => {
                place.insert(found);
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                for (sum, more) in [
                    (&mut known.connections, found.connections),
                    (&mut known.blocked, found.blocked),
                    (&mut known.bytes_sent, found.bytes_sent),
                    (&mut known.bytes_received, found.bytes_received),
                ] {
                    *sum = sum.saturating_add(more);
                }
            }
        }
    }
    all.into_values().collect()
}

fn separate_observations(report: &Report) -> Vec<Observation> {
    let mut found: Vec<Observation> = report
        .destinations
        .iter()
        .map(|destination| Observation {
            destination: destination.destination.clone(),
            connections: int(destination.connections),
            blocked: int(destination.statuses.blocked),
            bytes_sent: int(destination.bytes_sent),
            bytes_received: int(destination.bytes_received),
            program: destination.processes.first().cloned().unwrap_or_default(),
        })
        .collect();
    // Names that the fence refused to look up never became connections.
    for blocked in report.blocked.iter().filter(|blocked| blocked.lookup) {
        found.push(Observation {
            destination: blocked.destination.clone(),
            connections: 0,
            blocked: int(blocked.refusals),
            bytes_sent: 0,
            bytes_received: 0,
            program: blocked.processes.first().cloned().unwrap_or_default(),
        });
    }
    found
}

/// A finding of the report as the control plane keeps it.
pub(crate) fn detection(found: &runward_report::Detection) -> NewDetection {
    let severity = serde_json::to_value(found.severity).ok();
    NewDetection {
        kind: found.detection.clone(),
        severity: severity
            .and_then(|word| Some(word.as_str()?.to_owned()))
            .unwrap_or_default(),
        title: found.message.clone(),
        subject: found
            .path
            .clone()
            .or_else(|| found.destination.clone())
            // What is about neither is told apart by its words: an attempt that was refused from one that was not.
            .unwrap_or_else(|| found.message.clone()),
        about: match (&found.path, &found.destination) {
            (Some(_), _) => About::File,
            (None, Some(_)) => About::Destination,
            (None, None) => About::Machine,
        },
        program: found
            .process
            .as_ref()
            .map(|process| process.exe.clone())
            .unwrap_or_default(),
        at: millis(found.time),
    }
}

fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn duration_ms(seconds: f64) -> i64 {
    let duration = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
