//! Telling people: where a message may go, what it says there, and when it is tried again.
//!
//! What is to be told is a [`runward_store::Parcel`]. A [`Message`] is one with what it needs to be read elsewhere;
//! [`mail`], [`slack`], [`teams`], [`webhook`], [`syslog`], [`otlp_logs`], [`github_check`] and [`gitlab_status`] write it for their medium. [`Target`] is where it goes, and [`settle`]
//! says what becomes of a message that was tried.
//!
//! **Architecture invariant.** This crate does no I/O, has no clock and throws no dice: both are parameters.
//!
//! **Architecture invariant.** What a job can influence is text and nothing else in every medium: it can't make a link, a
//! mention, a header or a piece of markup, and it is bounded. Only this server's own address is ever a link.

mod address;
mod app_key;
mod bucket;
mod check;
mod mail;
mod message;
mod ocsf;
mod otlp;
mod retry;
mod sign;
mod slack;
mod syslog;
mod target;
mod teams;
mod webhook;
mod words;

pub use address::{Allowed, is_public};
pub use app_key::{AppKey, AppKeyError};
pub use bucket::{Bucket, BucketText};
pub use check::{check_name, github_check, gitlab_status};
pub use mail::{Mail, mail};
pub use message::{Message, TEST, test};
pub use ocsf::{OCSF_VERSION, ocsf, ocsf_lines};
pub use otlp::{otlp_logs, otlp_rejected};
pub use retry::{Failure, FailureKind, Pace, settle};
pub use sign::{SigningKey, SigningKeyError, signature};
pub use slack::{SlackAnswer, slack, slack_answer};
pub use syslog::syslog;
pub use target::{Header, HookUrl, LogHost, Target, TargetError};
pub use teams::teams;
pub use webhook::webhook;
