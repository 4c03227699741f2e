//! The DNS side of the fence.
//!
//! The kernel sends a fenced job's DNS traffic here, over UDP and TCP, from any network namespace. Each question is
//! judged, asked of the upstream servers (or taken from the cache), and its addresses are told to the kernel before
//! the answer leaves. Who decides, and how the kernel is told, is the caller's: see [`Gate`].
//!
//! - [`Resolver`] is the service: one thread, any number of listeners.
//! - [`system_upstreams`] reads which servers this machine asks.
//! - [`Counters`] say what was done, and everything that was given up.
//!
//! What happens to a message is decided without sockets or clocks: `question` reads what a client sent, `accept` what
//! an upstream sent, `chain` and `svcb` choose what of it a client may see, `answer` writes it, `cache` and `pool`
//! remember. `desk` puts these in order, and only `exchange`, `udp`, `tcp` and `resolver` do I/O.
//!
//! Architecture invariant: no address leaves in an answer that the gate was not told of first, and nothing that a
//! client sent goes upstream but the name in lower case, the type, and the two DNSSEC flags.

mod accept;
mod answer;
mod cache;
mod chain;
mod counters;
mod desk;
mod error;
mod exchange;
mod exercise;
mod gate;
mod pool;
mod question;
mod record;
mod resolver;
mod svcb;
mod system;
mod tcp;
mod udp;

pub use crate::counters::Counters;
pub use crate::error::{ResolverError, UpstreamsError};
pub use crate::exercise::exercise;
pub use crate::gate::{
    Asker, Bound, Gate, GateError, Judgement, Kept, Kind, MOST_ADDRESSES, Question, Transport,
};
pub use crate::pool::Upstreams;
pub use crate::resolver::{Listening, Options, Resolver};
pub use crate::system::system_upstreams;
