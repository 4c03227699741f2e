//! Watches real files on real file systems: needs root, git, and a kernel with fanotify.
//!
//! What can't run here says `SKIPPED name: reason` and passes.

#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on should say where"
)]

mod actor;
mod attacks;
mod harness;
mod records;
mod repositories;
mod sensitive;
