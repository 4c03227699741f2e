//! What the control plane keeps, and what can be asked of it.
//!
//! [`Store`] is the boundary to a database: everything that the server reads or writes goes through it, in the types of
//! this crate. Raw events are not here: they are objects, and [`Batch`] says which.
//!
//! Times are milliseconds since 1970 in UTC ([`Millis`]), as the server's clock had them unless a field says otherwise.
//!
//! **Architecture invariant.** This crate does no I/O. Every question about private data takes the organisation that it
//! is asked for ([`OrgId`]), so that a page can't show what belongs to somebody else by forgetting to check.

mod access;
mod baseline;
mod channel;
mod destination;
mod detection;
mod error;
mod ingest;
mod load;
mod notification;
mod outbox;
mod outcome;
mod overview;
mod page;
mod pattern;
mod policy;
mod retention;
mod run;
mod store;
mod suppression;

pub use access::{
    Agent, ApiKey, AuditEntry, KeyScope, NewApiKey, NewUser, Org, Project, Role, Session, Trust,
    User, Visibility,
};
pub use baseline::{
    Anomaly, Baseline, BaselineChange, BaselineEntry, BaselineFilter, BaselineSettings,
    BaselineState, BaselineSummary, FINDING_SEEN, Incident, JobId, KeptBaseline, KeptKey,
    KeptLevel, NewBaselineEntry, NewIncident, RunPlace, SeenAnomaly,
};
pub use channel::{
    CHANNELS_MAX, Channel, ChannelKind, Health, MessageBody, NewChannel, Sealed, Wants,
};
pub use destination::{Destination, DestinationFilter, Observation, Sighting, Went};
pub use detection::{About, Detection, DetectionFilter, DetectionStatus, HiddenBy, NewDetection};
pub use error::StoreError;
pub use ingest::{Batch, Claim, Digest, Opened, Received};
pub use load::{Backlog, Connections, Load};
pub use notification::{Detail, News, Notification, Parcel, Scene, Severity, TOLD_MAX};
pub use outbox::{
    Delivery, DeliveryFilter, DeliveryState, Due, Keep, OUTCOMES_WAITING_MAX, Outbox, Settled,
    TAKEN_MAX, Taken, Taker, WAITING_MAX,
};
pub use outcome::{
    ANOMALOUS_CALLS, BLOCKED_CALL, BadCall, CALLS_TOLD_MAX, Outcome, OutcomeState, RunScope,
    TOGETHER_MAX, is_request,
};
pub use overview::{Day, Overview, ProjectSummary};
pub use page::{Cursor, Page, PageRequest};
pub use pattern::{PATTERN_MAX, Pattern, PatternError};
pub use policy::{
    AttachedPolicy, JobName, KnownJob, NewPolicyVersion, Policy, PolicyAttachment, PolicyScope,
    PolicyVersion, in_effect,
};
pub use retention::{
    DAY, Deleted, DeletedDetections, DeletedRuns, Overdue, Retention, RetentionFault, SWEEP_AFTER,
    TERM_MAX, Term,
};
pub use run::{Run, RunFilter, RunState, Tag, Tags};
pub use store::Store;
pub use suppression::{
    Facts, Fault, Field, Matcher, NewSuppression, SUPPRESSION_NAME_MAX, SUPPRESSION_REASON_MAX,
    SUPPRESSIONS_MAX, Suppression, SuppressionDraft, SuppressionPreview, SuppressionState,
};

/// Milliseconds since the beginning of 1970, UTC.
pub type Millis = i64;

/// An organisation's number in this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrgId(pub i64);

/// A project's number in this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(pub i64);
