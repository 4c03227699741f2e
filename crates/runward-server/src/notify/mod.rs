//! Telling people: messages that wait in the store are sent, and what came of them is noted.
//!
//! [`send_messages`] runs beside everything else, in servers and workers alike; nothing waits for it. What a message says
//! and when it is tried again is decided in `runward_notify`.

mod bucket;
mod draft;
mod github;
mod gitlab;
mod lines;
mod post;
mod reach;
mod seal;
mod sending;
mod teller;

pub(crate) use draft::{
    ChannelDraft, Drafted, Every, NAME_MAX, QUIET_MAX, Refused, sign_anew, usual_quiet,
};
pub(crate) use sending::{send_messages, try_channel};
pub(crate) use teller::Teller;
