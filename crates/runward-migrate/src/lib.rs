//! Takes CI files of other tools over to Runward: one file's text in, its new text out.
//!
//! [`migrate_workflow`] turns the steps of Harden-Runner, bullfrog and Cimon into steps of Runward's action;
//! [`migrate_firewall`] makes a policy file of GitHub's `egress-firewall.yaml`. What could not be carried over is told
//! as [`Remark`]s, each with its line.
//!
//! Nothing is written anew: a file is read into a tree that knows where everything stands, the text is edited at these
//! places, and every byte elsewhere stays. What came out is then read again and compared with what should have come out,
//! by the policy's own parser where it is a list; a file that fails that is refused and left as it was.
//!
//! **Architecture invariant.** No I/O: finding, showing and writing files is for others. A result means what the source
//! meant, or less where a remark says so; never more without a word.

mod action;
mod check;
mod edit;
mod error;
mod firewall;
mod input;
mod layout;
mod limits;
mod list;
mod remark;
mod scalar;
mod step;
mod steps;
mod tool;
mod workflow;

pub use action::{ACTION, Action, ActionError};
pub use error::{Refusal, RefusalReason};
pub use firewall::migrate_firewall;
pub use limits::TEXT_BYTES;
pub use remark::{Remark, Weight};
pub use workflow::migrate_workflow;

/// What became of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    /// The new text; nothing when the file has nothing to change.
    pub text: Option<String>,
    /// What to know about it, in the order of lines.
    pub remarks: Vec<Remark>,
}
