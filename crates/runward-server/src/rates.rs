//! How often a program may ask.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use axum::http::StatusCode;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use runward_store::{ApiKey, KeyScope};

use crate::metrics::Counters;
use crate::problem::Problem;

/// Requests a second with a key that reads or changes, and how many may come at once.
const ASKING: (u32, u32) = (50, 200);
/// The same with a key that sends records: one is often shared by all runners of a project.
const SENDING: (u32, u32) = (1000, 4000);
/// Requests a second without a valid key, from one address.
const GUESSING: (u32, u32) = (10, 100);
/// Addresses that are remembered before those that have kept still are forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// Who asked how often of late.
#[derive(Debug)]
pub(crate) struct Rates {
    asking: DefaultKeyedRateLimiter<i64>,
    sending: DefaultKeyedRateLimiter<i64>,
    guessing: DefaultKeyedRateLimiter<IpAddr>,
    /// Requests that were refused, by the name of the rate.
    refused: Counters<1>,
}

impl Rates {
    pub(crate) fn new(refused: Counters<1>) -> Rates {
        Rates {
            asking: RateLimiter::keyed(quota(ASKING)),
            sending: RateLimiter::keyed(quota(SENDING)),
            guessing: RateLimiter::keyed(quota(GUESSING)),
            refused,
        }
    }

    /// Counts a request with a key.
    pub(crate) fn asks(&self, key: &ApiKey) -> Result<(), Problem> {
        let (rate, name) = match key.scope {
            KeyScope::Ingest => (&self.sending, "sending"),
            KeyScope::Read | KeyScope::Admin => (&self.asking, "asking"),
        };
        let checked = rate.check_key(&key.id);
        checked.map_err(|_| self.too_often(name))
    }

    /// Counts a batch that a job sends by a token; `share` is below zero, where no key's number is.
    pub(crate) fn sends(&self, share: i64) -> Result<(), Problem> {
        let checked = self.sending.check_key(&share);
        checked.map_err(|_| self.too_often("sending"))
    }

    /// Counts a request of a person with a session; people are counted below zero, too.
    pub(crate) fn person(&self, user: i64) -> Result<(), Problem> {
        let checked = self.asking.check_key(&-user);
        checked.map_err(|_| self.too_often("asking"))
    }

    /// Counts a request without a valid key.
    pub(crate) fn guesses(&self, client: IpAddr) -> Result<(), Problem> {
        if self.guessing.len() > ADDRESSES_MAX {
            self.guessing.retain_recent();
        }
        let checked = self.guessing.check_key(&neighbourhood(client));
        checked.map_err(|_| self.too_often("guessing"))
    }

    fn too_often(&self, name: &'static str) -> Problem {
        self.refused.get_or_create(&[("limit", name)]).inc();
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too many requests",
            "ask less often; the answer's `retry-after` says when it goes on",
        )
    }
}

fn quota((per_second, burst): (u32, u32)) -> Quota {
    let least = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(least(per_second)).allow_burst(least(burst))
}

/// Whoever has one address of IPv6 has the 64 bits behind it, too.
fn neighbourhood(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_guesses_is_slowed_down_and_nobody_else() {
        let rates = Rates::new(Counters::default());
        let guesses = |client: &str| {
            let client = client.parse().unwrap();
            (0..1000).filter(|_| rates.guesses(client).is_ok()).count()
        };
        let most = usize::try_from(GUESSING.1).unwrap();
        assert!((most..2 * most).contains(&guesses("192.0.2.1")));
        assert!((most..2 * most).contains(&guesses("192.0.2.2")));
        assert!((most..2 * most).contains(&guesses("2001:db8::1")));
        assert!(
            guesses("2001:db8::2") < most / 2,
            "a neighbour of the one before"
        );
        assert!(guesses("::ffff:192.0.2.1") < most / 2);
    }
}
