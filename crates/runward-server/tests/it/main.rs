//! The server as it is used: the real program, a real database, HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod agent;
mod api;
mod away;
mod backup;
mod bed;
mod browser;
mod chance;
mod ci;
mod fleet;
mod identity;
mod ingest;
mod installed;
mod issuer;
mod limits;
mod oidc;
mod pages;
mod policies;
mod proxy;
mod record;
mod s3;
mod schema_fuzz;
mod two_servers;
