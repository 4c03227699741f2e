//! Version 1 of the control plane's HTTP API: its types, its addresses as data, and the description made of both.
//!
//! Times are milliseconds since 1970 in UTC; such fields end in `_ms`. Lists come in pages: `next`, where it is not null,
//! is what the parameter `after` takes for the page that follows. Failures are `application/problem+json` (RFC 9457).
//!
//! **Compatibility.** A name keeps its meaning for ever. New fields and addresses may appear at any time, so clients skip
//! what they don't know.
//!
//! **Architecture invariant.** This crate does no I/O. The server makes its addresses from [`ROUTES`], so that the
//! description can't say what is not so.

mod openapi;
mod policy;
mod routes;
mod suppression;
mod types;

pub use openapi::openapi;
pub use policy::{
    AttachedTo, EffectivePolicy, InEffect, NewPolicy, Overridden, Policies, Policy,
    PolicyAttachment, PolicyChange, PolicyFault, PolicyScope, PolicyTrial, PolicyVersion,
    PolicyVersions, Stopped, TriedPolicy, TriedRun,
};
pub use routes::{Access, Method, Operation, Parameter, ROUTES, Route};
pub use suppression::{
    Matches, NewSuppression, Suppression, SuppressionPreview, SuppressionState, Suppressions,
};
pub use types::{
    Acknowledged, Agent, Agents, ApiKey, ApiKeys, CreatedApiKey, CreatedRegistration, Day,
    Decision, Destination, Destinations, Detection, DetectionStatus, Detections, Member,
    MemberChange, Members, NewAgent, NewApiKey, NewTrust, Overview, Problem, Project, Projects,
    Role, Run, RunState, Runs, Scope, Tag, Trust, Trusts, Verdict, Visibility,
};
