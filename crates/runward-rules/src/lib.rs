//! Rules of a user's own: what else to point out in a job's record, written in YAML with conditions in CEL.
//!
//! [`Rules::read`] reads a file and tells all that is wrong with it, with places. [`Rules`] then looks at the events of
//! one job as the detections of `runward-detect` do, and makes the same findings. What expressions may ask is typed: the
//! fields of events are those of their JSON Schema, so a name that is mistyped, a field that an event of this kind does
//! not have and a comparison that can never hold are errors when the file is read.
//!
//! The language is described in `docs/rules.md`.
//!
//! **Architecture invariant.** A rule is a function of the record: no I/O, no clock. What a file may cost is bounded by
//! [`limits`] when it is read, what a job can make it cost by the bound of each expression; a rule that fails on an event
//! is told once and stops no other. An event of a kind that no rule asks for is not looked at.

mod check;
mod error;
mod expression;
mod file;
mod functions;
pub mod limits;
mod message;
mod rule;
mod rules;
mod scope;
mod shape;
mod slots;
mod value;
mod vocabulary;

pub use error::RuleError;
pub use rules::Rules;
pub use vocabulary::{Word, words};
