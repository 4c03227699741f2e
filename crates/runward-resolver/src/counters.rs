//! What the resolver did, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What was done since the start, and everything that was given up.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        /// The running counts.
        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $name: Tick,)+
        }

        impl Tally {
            pub(crate) fn counters(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Ordering::Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Questions that could be understood.
    questions,
    /// Messages from clients that are not a question that can be answered: malformed, of another operation, of a class
    /// other than IN, or for a transfer or for everything.
    unusual,
    /// Questions whose name the gate refused.
    refused,
    /// Questions answered from the cache.
    from_cache,
    /// Questions that waited for the answer to the same question of another.
    coalesced,
    /// Questions that went upstream.
    forwarded,
    /// Datagrams from an upstream's address that are not the answer to what was asked, and were ignored.
    ignored,
    /// Questions asked again over TCP, because an upstream truncated its answer.
    retried_over_tcp,
    /// Tries at one upstream without an answer in time, or with a network error.
    silent,
    /// Tries at one upstream that answered with a failure.
    failed,
    /// Questions that no upstream answered.
    unanswered,
    /// Answers cut to fit a client's datagram.
    truncated,
    /// Records of upstream answers that do not belong to the name that was asked for, or are malformed.
    unrelated,
    /// Addresses taken out because the gate did not keep them, or because there were too many.
    removed,
    /// HTTPS and SVCB records whose keys or address hints were taken out, and those dropped for them.
    stripped,
    /// Answers withheld because the gate could not bind the addresses.
    unbound,
    /// Questions turned away because too many were waiting.
    overload,
    /// Connections closed because there were too many, or because the client sent too much or read too little.
    closed,
    /// Answers that could not be sent.
    unsent,
}

/// One running count.
#[derive(Debug, Default)]
pub(crate) struct Tick(AtomicU64);

impl Tick {
    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }
}
