//! Finds secrets in what a job prints or leaves behind: by their own form ([`Finder`] has rules for it), and by their
//! value, where they stand in the job's environment; also behind base64, once or twice.
//!
//! A [`Stream`] takes bytes as they come, in pieces of any size, and finds the same whatever the pieces are. What it tells
//! of a secret is its kind and a keyed hash, never the secret.
//!
//! **Architecture invariant.** This crate does no I/O, has no clock, can't fail, and needs bounded memory and a time that
//! grows with the length of its input and no faster. No secret is in what it returns. It imports only `runward-event`.

mod base64;
mod checksum;
mod finder;
mod lines;
mod needles;
mod private_key;
mod rules;
mod stream;
mod variables;

pub use finder::{Finder, Found, Key};
pub use stream::Stream;
pub use variables::{VARIABLE, Variable, secret_variables};
