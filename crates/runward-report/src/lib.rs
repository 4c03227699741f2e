//! Reports: what a job did, as JSON, Markdown, HTML and a summary for a terminal.
//!
//! [`ReportBuilder`] folds the events of one job into a [`Report`]; [`json`], [`markdown`], [`html`], [`sarif`],
//! [`annotations`] and [`terminal`] write it down. The live agent and `runward report DIR` use the same builder, so that a report can always be made
//! again from `events.jsonl`.
//!
//! Why something was refused, and which line of the policy would allow it, is said by [`reason_sentence`] and
//! [`line_to_paste`], for these reports and for whoever tells of a refusal while the job runs.
//!
//! Names, arguments and paths come from code that nobody trusts. Every renderer shows them harmlessly: see [`text`].
//!
//! **Architecture invariant.** This crate does no I/O and has no clock: a report is a function of its events. What
//! it keeps is bounded by the constants in [`limits`], whatever the job does, and what had no place is counted in
//! [`Omitted`], never dropped silently.

mod annotations;
mod blocked;
mod builder;
mod destinations;
pub mod diff;
mod html;
mod json;
pub mod limits;
mod line;
mod markdown;
mod model;
mod names;
mod people;
mod sarif;
mod schema;
mod terminal;
pub mod text;
mod verdict;

pub use annotations::annotations;
pub use builder::ReportBuilder;
pub use html::html;
pub use json::{json, write_json};
pub use line::line_to_paste;
pub use markdown::{code_span, markdown};
pub use model::{
    Ancestor, Blocked, ContainerRow, Counts, Dependency, Destination, Detection, DnsClient,
    DnsName, Ecosystem, Ended, Exit, FileChangeKind, FileRow, Image, Loss, NetworkRow, Omitted,
    ProcessDetail, ProcessRow, Report, Statuses,
};
pub use runward_detect::{ContentChange, Refusal, reason_sentence};
pub use sarif::{sarif, write_sarif};
pub use schema::report_schema;
pub use terminal::{Style, terminal};

/// The version of `report.json`, written in it as `format`. It changes only when an old reader would misread a new
/// file; new fields may appear at any time.
pub const REPORT_FORMAT: u32 = 1;
