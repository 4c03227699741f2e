//! The server as it is used: the real program, a real database, HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod api;
mod bed;
mod browser;
mod fleet;
mod ingest;
mod installed;
mod limits;
mod pages;
mod record;
mod schema_fuzz;
