//! What Runward records: the versioned event model and its NDJSON form.
//!
//! One [`Event`] is one line of `events.jsonl`: a JSON object with `seq`, `time` and `kind`, and the fields of
//! that kind beside them. Everything else in Runward (tree, detections, report, server) is a function of these.
//!
//! **Compatibility.** A name, once written by a release, keeps its meaning for ever and is never used for
//! something else. New kinds and new fields may appear at any time: readers skip what they do not know
//! ([`Body::Unknown`]). [`FORMAT_VERSION`] changes only when an old reader would *misread* a new file.
//!
//! **Architecture invariant.** This crate does no I/O, has no clock and imports no other crate of the workspace.

mod codec;
mod job;
mod kinds;
mod schema;
mod text;
mod time;

pub use codec::{LineError, parse_line, write_line};
pub use job::{JobContext, JobIdentity, Mode, Provider, Tier};
pub use kinds::{
    Act, AttributionVar, BlockListEntry, BlockListInForce, Body, Connect, ConnectClose,
    ConnectOutcome, ConnectionId, Container, Direction, Dns, DnsAnswer, DnsMessageKind,
    DnsTransport, Encoding, Event, EventKind, ExecFacts, FileAct, FileChange, FileDiff, JobEnd,
    JobStart, Lockdown, LossReason, Lost, MemoryAccess, MemoryWay, MountOver, NoDiff, OutputPlace,
    PolicyRule, ProcessExec, ProcessExit, ProcessFork, ProcessId, Protocol, Reason, Refused,
    RulesInForce, SecretFound, SensitiveClass, SensitiveFile, Status, Stream, StreamEnd,
    StreamName, Tamper,
};
pub use schema::event_schema;
pub use text::Texts;
pub use time::Time;

/// The version of the event format, written in every `job_start` event as `format`.
pub const FORMAT_VERSION: u32 = 1;

/// The oldest format that is taken from agents: the one before this, so that a server can be updated before its agents.
/// Version 1 is the first there was.
pub const OLDEST_FORMAT: u32 = oldest_format(FORMAT_VERSION);

const fn oldest_format(current: u32) -> u32 {
    if current > 1 { current - 1 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::oldest_format;

    #[test]
    fn the_format_before_the_current_one_is_taken_too() {
        let oldest = [1, 2, 3, 9].map(oldest_format);
        assert_eq!(oldest, [1, 1, 2, 8]);
    }
}
