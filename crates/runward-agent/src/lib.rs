//! The agent: joins the sensor, the process tree, the detections and the report into one watched job.
//!
//! **Architecture invariant.** This crate decides nothing about what is dangerous and knows no output format: events
//! go in one direction, from the sensor through the recorder to the report. It has one thread, the caller's, that of a fenced job's resolver,
//! and one that sends the record where it goes to a control plane.

mod block_list;
mod container_names;
mod containers;
mod context;
mod environment;
mod fence;
mod findings;
mod folder;
mod job;
mod lockdown;
mod names;
mod output;
mod pids;
mod policy_store;
mod recorder;
mod refusals;
mod resolvers;
mod settings;
mod spool;
mod supervisor;
mod upload;

pub use context::read_context;
pub use environment::{environment_of, variables};
pub use fence::BlockError;
pub use folder::{EVENTS, FolderError, ReportFolder};
pub use job::{Finished, Job, JobError, JobOptions, Learns, Learnt, SoFar};
pub use lockdown::LockdownEffect;
pub use output::{Artifacts, Outputs, Search, Seen, relay};
pub use policy_store::{PolicyStore, Stored};
pub use settings::{SETTINGS_MAX, Settings, SettingsFault};
pub use spool::{Forwarded, Spool, Spooled};
pub use supervisor::Supervisor;
pub use upload::{Following, Upload, UploadError, Uploaded};
