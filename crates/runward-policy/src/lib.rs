//! Egress policies: what a job may connect to, from text to verdict.
//!
//! A policy comes as a list of endpoints ([`parse_endpoints`]) or as a YAML file ([`parse_file`]). Each of these is a
//! [`SourcePolicy`]; [`combine`] makes one [`Policy`] of all of them, in which a weaker source can only tighten. A
//! [`Matcher`] answers for it: whether one connection is allowed ([`Matcher::judge`]), and what the kernel is to be
//! told for a name or a network ([`Matcher::grants`], [`Matcher::net_grants`]). Every answer names the rule, and every
//! rule knows the line that it was written in ([`Origin`]).
//!
//! [`suggest`] makes a policy from recorded runs, and [`Replay`] tells what a policy would have done in them.
//!
//! The language is described in `docs/policy.md`.
//!
//! **Architecture invariant.** This crate does no I/O and has no clock: a policy is a function of its texts, and a
//! verdict is a function of policy and question. A policy with an error is never half applied. What is read and kept
//! is bounded by the constants in [`limits`].

mod below;
mod block_list;
mod endpoint;
mod error;
mod fault;
mod file;
mod group;
mod implicit;
pub mod limits;
mod list;
mod matcher;
mod name;
mod narrowing;
mod origin;
mod parse;
mod pattern;
mod policy;
mod ports;
mod replay;
mod rule;
mod schema;
mod suggest;
mod tenancy;
mod text;
mod token;
mod view;
mod yaml;

pub use below::BelowPatterns;
pub use block_list::{BlockList, BlockListError, BlockListFault, Blocked};
pub use endpoint::{Action, Endpoint, Host, Transport, Transports};
pub use error::{PolicyError, PolicyWarning, Spot};
pub use fault::{Doubt, Fault};
pub use file::parse_file;
pub use group::Group;
pub use implicit::{Decision, Implicit};
pub use list::{Endpoints, parse_endpoints};
pub use matcher::{Difference, Grant, Grants, Matcher, NearMiss, Question, Verdict};
pub use name::{Name, NameError};
pub use narrowing::{Actor, Narrowing, NarrowingId, NarrowingSet};
pub use origin::{GroupRef, Origin, Source};
pub use parse::{Problem, ReadEndpoint};
pub use pattern::{NamePattern, PatternError};
pub use policy::{Layer, Policy, SourcePolicy, combine};
pub use ports::{PortRange, PortSet};
pub use replay::{BlockedDestination, RefusedName, Replay, Replayed, RunTotals};
pub use rule::{Rule, RuleId};
pub use schema::policy_schema;
pub use suggest::{Observation, SuggestedLine, SuggestedPolicy, suggest};
pub use tenancy::{registered_domain, service_above};
pub use view::{LayerView, PolicyView, RuleView};
