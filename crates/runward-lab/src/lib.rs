//! A small internet for tests, and the programs that a test runs as the job.
//!
//! - [`Lab`] is the place: the loopback addresses of this network namespace, or two namespaces of its own with
//!   documentation addresses on the far side. Servers run in it on one thread and stop with their handles.
//! - [`Dns`], [`Tls`], [`Tcp`] and [`Udp`] are the servers. Each keeps a [`Log`] of who sent what, which a test reads
//!   or waits on.
//! - [`Wire`] is the witness between client and servers: every packet that came, whatever sent it.
//! - [`actor`] finds the actors: C programs with one subcommand for each way to send bytes, alter a file, make a
//!   process, or get around a fence. [`run`] runs one and reads the JSON lines it prints.
//! - [`replay`] re-enacts incidents, without their malice, and says what was seen of them.
//! - [`postgres`] is a database server of the tests' own, which they may stop.
//! - [`requires!`] skips a test, by name and with the reason, on a machine that can't run it.
//!
//! Architecture invariant: this crate is for tests only; no crate of the product imports it outside its tests.
//! Everything here is bounded in count, bytes and time, and nothing here sends a packet that leaves the machine.

mod actor;
mod authority;
mod dns;
mod error;
mod http;
mod lab;
mod log;
mod need;
mod netns;
pub mod postgres;
pub mod replay;
mod service;
mod tcp;
mod tls;
mod udp;
mod wire;

pub use crate::actor::{Ran, actor, run};
pub use crate::authority::Authority;
pub use crate::dns::{Behaviour, Dns, Question, Transport};
pub use crate::error::LabError;
pub use crate::http::{Request, Site};
pub use crate::lab::Lab;
pub use crate::log::Log;
pub use crate::need::{Need, missing, skip, skip_part};
pub use crate::service::{Answer, Service};
pub use crate::tcp::{Received, Tcp};
pub use crate::tls::{Handshake, Tls};
pub use crate::udp::{Datagram, Udp};
pub use crate::wire::{Packet, Wire};

/// The DNS library whose record types [`Dns::set`] takes.
pub use hickory_proto as hickory;
