//! The sensor: sees what a job does, in the kernel, and tells it as events.
//!
//! Two halves. The BPF half ([`Sensor`]) records processes, connections and DNS messages; its programs are C in
//! `bpf/`. The other half ([`files`]) records changes of files.
//!
//! **Architecture invariant.** This is the only crate with `unsafe`, each block with its reason. It knows nothing of
//! reports, policies of a CI system or the process tree: it numbers processes and says what they did.

mod abi;
mod adopt;
mod arrivals;
mod capabilities;
mod clock;
mod container;
mod decode;
mod descriptors;
mod dns;
mod error;
mod exec_facts;
#[cfg(feature = "exercise")]
#[doc(hidden)]
pub mod exercise;
mod fence;
pub mod files;
pub mod first_bytes;
mod flags;
mod listed;
mod load;
mod lockdown;
mod memory;
pub mod netns;
mod peer;
mod pins;
mod reset;
mod sensor;
mod tamper;

pub use arrivals::{Arrival, ArrivalKind, Arrivals, RunnerProgram};
pub use capabilities::{Capabilities, WATCHES, Watch, check_machine};
pub use clock::Clock;
pub use container::container_of;
pub use decode::{ContainerStart, MountCall, SensorEvent};
pub use descriptors::keep_to_ourselves;
pub use error::SensorError;
pub use fence::{BOUND_MAX, Fence, FenceError, FenceRules, GRANTS_MAX, Grant, SCOPE_KNOWN};
pub use listed::{Listed, ListedName};
pub use lockdown::{Bans, Ended, Lockdown};
pub use peer::{Peer, is_in_another_job, is_stranger_root};
pub use pins::{Leftover, StillRunning, leftovers, life_of, own_leftovers};
pub use sensor::{EngineClients, Loss, NamespaceUse, Sensor, SensorOptions, StrangeSocket};
