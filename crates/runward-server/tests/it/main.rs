//! The server as it is used: the real program, a real database, HTTP.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod addresses;
mod agent;
mod api;
mod away;
mod backup;
mod baseline;
mod bed;
mod browser;
mod chance;
mod chat;
mod checks;
mod ci;
mod exports;
mod fleet;
mod forge;
mod hook;
mod identity;
mod ingest;
mod installed;
mod issuer;
mod known_job;
mod limits;
mod mail;
mod metrics;
mod notify;
mod oidc;
mod pages;
mod policies;
mod proxy;
mod record;
mod retention;
mod s3;
mod schema_fuzz;
mod traces;
mod two_servers;
