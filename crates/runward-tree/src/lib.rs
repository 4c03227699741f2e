//! Folds events into the process tree of a job, and attributes each process to a CI step and to the dependency
//! that is being installed.
//!
//! A [`Tree`] takes events one by one, in the order of the record, and answers at any moment who a process is:
//! its programs, its ancestors, its step, its dependency. It works on what the events say and on nothing else. When
//! events were lost, the gap shows: a process whose birth was not seen has [`Parent::Unknown`], never a guess.
//!
//! **How sure attribution is.** Steps and dependencies are read from the environment, working directory and
//! arguments that a process started with. The runner and the package manager set these, but code of the job can set
//! them too. They label a record; they authorise nothing. What a process can't shed is its lineage:
//! [`Tree::dependencies`] lists every dependency above a process, so a script that poses as another package is
//! still found inside the one that started it.
//!
//! **Memory is bounded** by [`Limits`]; what was given up for that is counted in [`Dropped`].
//!
//! **Architecture invariant.** This crate does no I/O, has no clock, can't fail and imports only `runward-event`.

mod arguments;
mod dependency;
mod limits;
mod process;
mod step;
mod tree;

pub use arguments::Arguments;
pub use dependency::{Dependency, Ecosystem, Facts, dependency_of};
pub use limits::{Dropped, Limits};
pub use process::{Exit, Image, Parent, Process};
pub use step::Step;
pub use tree::Tree;
