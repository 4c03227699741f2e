//! What reads hostile bytes here and is not public otherwise, for fuzzing. Behind the feature `exercise`, so that no
//! release has it.

use runward_event::Body;

use crate::decode::{Decoder, Record};
use crate::first_bytes::{Phase, kernel};

/// Decodes records of the ring buffer, one after the other, and gives the events that they tell.
pub fn decode<'a>(records: impl IntoIterator<Item = &'a [u8]>) -> Vec<Body> {
    let mut decoder = Decoder::default();
    let mut told = Vec::new();
    for record in records {
        decoder.record(record, &mut |record| match record {
            Record::Event(event) | Record::Flow { event, .. } => told.push(event.body),
            Record::SocketGone { .. }
            | Record::Reset(_)
            | Record::MountCall(_)
            | Record::Container(_)
            | Record::NamespaceUsed { .. } => {}
        });
    }
    told
}

/// The kernel's reader of first bytes, loaded into this machine's kernel for `BPF_PROG_TEST_RUN`. Needs root.
pub struct Kernel(kernel::Kernel);

impl Kernel {
    /// Loads it, with names and the ports that they are allowed on.
    ///
    /// # Errors
    ///
    /// Where the kernel takes no programs from this process, or not this one.
    pub fn load(allowed: &[(&str, u16)]) -> libbpf_rs::Result<Kernel> {
        kernel::Kernel::try_load(allowed).map(Kernel)
    }

    /// Sends a stream through the kernel and its twin, in pieces that end at these places (ascending) and at its end.
    /// Panics where they say different things about a packet.
    pub fn compare(
        &mut self,
        port: u16,
        bytes: &[u8],
        cuts: &[usize],
        allowed: impl FnMut(&[u8], u16) -> bool,
    ) -> Phase {
        self.0.compare(port, bytes, cuts, allowed)
    }
}
