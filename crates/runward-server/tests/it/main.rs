//! The server as it is used: the real program, a real database, HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod agent;
mod api;
mod away;
mod bed;
mod chance;
mod ci;
mod identity;
mod ingest;
mod issuer;
mod limits;
mod oidc;
mod pages;
mod policies;
mod proxy;
mod record;
mod s3;
mod two_servers;
