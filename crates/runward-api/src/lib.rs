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

mod baseline;
mod examples;
mod notification;
mod object;
mod openapi;
mod policy;
mod retention;
mod routes;
mod suppression;
mod types;

pub use baseline::{
    Anomalies, Anomaly, Baseline, BaselineChange, BaselineChanges, BaselineDecision,
    BaselineDetail, BaselineMember, BaselineReason, BaselineSettings, BaselineSettingsChange,
    BaselineState, BaselineVerdict, Baselines, Incident, Incidents, OpenAnomaly, Rate,
};
pub use notification::{
    Channel, ChannelChange, ChannelKind, ChannelPace, ChannelRuns, Channels, CreatedChannel,
    Deliveries, Delivery, DeliveryState, NewChannel, Severity, SigningSecret, Tried, WebhookBody,
};
pub use object::Object;
pub use openapi::openapi;
pub use policy::{
    AttachedTo, EffectivePolicy, InEffect, NewPolicy, Overridden, Policies, Policy,
    PolicyAttachment, PolicyChange, PolicyFault, PolicyScope, PolicyTrial, PolicyVersion,
    PolicyVersions, Stopped, TriedPolicy, TriedRun,
};
pub use retention::{Retention, RetentionChange};
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
