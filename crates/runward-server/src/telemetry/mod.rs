//! What the server tells its operator while it runs: its log, and traces if they are asked for.

mod log;
mod requests;
mod traces;

pub(crate) use log::{Format, start};
pub(crate) use requests::trace;
pub(crate) use traces::Traces;
