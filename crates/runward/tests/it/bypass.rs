//! Ways around the fence, each tried twice: without it, to know that the way works, and with it.
//!
//! The ground truth is what reached the sink, in another network namespace, or whatever else a case names as its
//! [`Truth`]; what the attacker believes, and what Runward recorded, counts for nothing. Without the fence, bytes of the
//! attacker's must have arrived. With it, nothing may: for a refused address not even a request to connect. A case that
//! gets nowhere without the fence has shown nothing, and fails too.
//!
//! All cases of one place run as one job, at once, beside each other; before and after them the job reaches what its
//! policy allows, and the run counts only if it does. To add a case, add a row to the table of its place.
//!
//! `cargo test -p runward --test it bypass -- --nocapture` prints the tables with their counts.

mod batch;
mod borrowed;
mod case;
mod containers;
mod dns;
mod ground;
mod host;
mod local;
mod names;
mod outlive;
mod root;
mod streams;
mod tls;

pub(crate) use batch::{Fence, runward_arguments};
pub(crate) use ground::Ground;

use batch::Batch;
use case::{Case, Truth, case};
