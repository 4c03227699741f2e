//! What a job prints and leaves behind, searched for secrets.
//!
//! Where an output of the job is a pipe or a file, the job writes into a pipe of ours, and a process of its own, the
//! *relay*, passes on every byte and looks at it. The relay ends with the last writer, not with the agent: a job that
//! outlives its agent prints on. A terminal is left alone, because a job behaves differently on one.
//!
//! Agent and relay speak over a socket: first what to look for, then a mark when the command has ended; back come
//! findings, a line each.

mod artifacts;
mod author;
mod interpose;
mod message;
mod relay;
mod search;

pub use artifacts::Artifacts;
pub(crate) use author::author;
pub use interpose::Outputs;
pub use message::Seen;
pub use relay::relay;
pub use search::Search;
