//! What a store has to do, whatever database it is.
//!
//! Each test runs on SQLite, and on a real PostgreSQL where this machine has one.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod access;
mod baselines;
mod bed;
mod ingest;
mod lists;
mod outbox;
mod outcomes;
mod policies;
mod retention;
mod suppressions;
