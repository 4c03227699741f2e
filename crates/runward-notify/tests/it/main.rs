//! Messages as people and programs get them.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod checks;
mod exports;
mod hostile;
mod media;
mod sample;
