//! What is normal for a job, how often it shows something new, and whether the new thing should wake somebody.
//!
//! Each job has one [`Baseline`]: a small value with a bounded size that the shell keeps as bytes
//! ([`Baseline::encode`]). It is given one [`RunSummary`] after the other. [`Baseline::judge`] says what is not normal in
//! a run, as often as somebody asks, also while the run goes on; [`Baseline::learn`] takes a finished run in, once.
//! What other jobs of the same project and organisation know comes in as [`Surroundings`], which the shell makes from
//! two [`Scope`]s or from tables of its own. [`Incident`] joins what many jobs found at the same time.
//!
//! `docs/baseline.md` says how it decides, what it promises and what it can't.
//!
//! **Architecture invariant.** No I/O, no clock, no randomness: a state is a function of the runs and of what people
//! decided. A state never grows beyond [`limits::STATE_BYTES`], whatever a job does, and the cost of a run does not
//! depend on how many came before. Nothing becomes normal by being patient alone.

mod anomaly;
mod baseline;
mod change;
mod context;
mod doings;
mod encode;
mod familiar;
mod family;
mod finding;
mod gamma;
mod incident;
mod judge;
mod key;
mod learn;
mod ledger;
pub mod limits;
mod member;
mod memory;
mod novelty;
mod place;
mod recur;
mod scope;
mod score;
mod services;
mod settings;
mod shape;
mod sound;
mod stability;
mod summary;
mod text;

pub use anomaly::{Anomaly, Confidence, Disposition, Judgement, Kind, Storm};
pub use baseline::{
    Baseline, Decided, DecodeError, How, Learned, Member, MemberPattern, OpenAnomaly,
};
pub use change::{Actor, Change, What};
pub use incident::{Common, Incident, Sighting, Spread};
pub use key::{AnomalyKey, Key};
pub use novelty::{Expectation, Novelty, Rate};
pub use scope::{Known, Level, Rates, Scope, ScopeDelta, Surroundings};
pub use settings::{Recurrence, Settings};
pub use stability::{Reason, State};
pub use summary::{Call, Context, Destination, Lineage, Overwrite, RunFacts, RunSummary, Trust};
