//! How often somebody may try to log in.
//!
//! Failures are counted for a login from one network, for a network, and for all. So nobody can keep a person out by
//! failing in the person's name: that fills the counts of the stranger's network, or at worst those of everybody who has
//! not come in from the same network before.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use runward_store::Millis;

/// Failures in one window for one login from one network.
const LOGIN_MAX: u32 = 10;
/// Failures in one window from one network, whichever the logins.
const NETWORK_MAX: u32 = 100;
/// Failures in one window from all networks. Bounds what a crowd of machines can try, and what is remembered.
const ALL_MAX: u32 = 3_000;
/// The length of a window.
const WINDOW: Millis = 15 * 60 * 1000;
/// Logins with the networks that they came in from; when there are more, all are forgotten.
const KNOWN_MAX: usize = 10_000;
/// Characters of a login that tell it from others.
const LOGIN_CHARS: usize = 200;

/// Failures of this window, and who came in from where.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    since: Millis,
    all: u32,
    networks: HashMap<IpNet, u32>,
    logins: HashMap<(String, IpNet), u32>,
    known: HashSet<(String, IpNet)>,
}

impl Attempts {
    /// Whether one more attempt may be made; counts it as a failure until it [`succeeded`](Attempts::succeeded).
    pub(crate) fn may_try(&self, login: &str, from: IpAddr, now: Millis) -> bool {
        let key = key(login, from);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &mut *counts;
        if now - counts.since >= WINDOW {
            counts.since = now;
            counts.all = 0;
            counts.networks.clear();
            counts.logins.clear();
        }
        let of_login = counts.logins.get(&key).copied().unwrap_or(0);
        let of_network = counts.networks.get(&key.1).copied().unwrap_or(0);
        let crowded = of_network >= NETWORK_MAX || counts.all >= ALL_MAX;
        if of_login >= LOGIN_MAX || (crowded && !counts.known.contains(&key)) {
            return false;
        }
        counts.all = counts.all.saturating_add(1);
        counts.networks.insert(key.1, of_network + 1);
        counts.logins.insert(key, of_login + 1);
        true
    }

    /// Takes the failures of this login from this network back.
    pub(crate) fn succeeded(&self, login: &str, from: IpAddr) {
        let key = key(login, from);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = counts.logins.remove(&key).unwrap_or(0);
        counts.all = counts.all.saturating_sub(failed);
        if let Some(count) = counts.networks.get_mut(&key.1) {
            *count = count.saturating_sub(failed);
        }
        if counts.known.len() >= KNOWN_MAX {
            counts.known.clear();
        }
        counts.known.insert(key);
    }
}

fn key(login: &str, from: IpAddr) -> (String, IpNet) {
    let login = login.to_lowercase().chars().take(LOGIN_CHARS).collect();
    (login, network(from))
}

/// One customer of a provider: an address of version 4, or the /64 that version 6 gives to each.
fn network(address: IpAddr) -> IpNet {
    match address.to_canonical() {
        IpAddr::V4(address) => Ipv4Net::from(address).into(),
        IpAddr::V6(address) => Ipv6Net::new(address, 64)
            .map_or_else(|_| Ipv6Net::from(address), |net| net.trunc())
            .into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));

    fn machine(number: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 + number).to_be_bytes())
    }

    #[test]
    fn after_ten_failures_one_has_to_wait() {
        let attempts = Attempts::default();
        let tries = |now| {
            (0..20)
                .filter(|_| attempts.may_try("admin", HERE, now))
                .count()
        };
        assert_eq!(tries(WINDOW), 10);
        assert_eq!(tries(2 * WINDOW - 1), 0);
        assert!(attempts.may_try("somebody", HERE, WINDOW));
        assert_eq!(tries(2 * WINDOW), 10);
        attempts.succeeded("ADMIN", HERE);
        assert_eq!(tries(2 * WINDOW), 10);
    }

    #[test]
    fn a_stranger_who_knows_a_login_does_not_lock_its_owner_out() {
        let attempts = Attempts::default();
        for _ in 0..1_000 {
            attempts.may_try("ada", machine(1), WINDOW);
        }
        assert!(attempts.may_try("ada", HERE, WINDOW));
    }

    #[test]
    fn a_network_that_tries_many_logins_is_slowed_down() {
        let attempts = Attempts::default();
        let tried = (0..1_000).filter(|n| attempts.may_try(&n.to_string(), HERE, WINDOW));
        assert_eq!(tried.count(), 100);
        let same_customer = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
        let tried = (0..50).filter(|n| attempts.may_try("ada", same_customer(*n), WINDOW));
        assert_eq!(tried.count(), 10);
    }

    #[test]
    fn a_crowd_is_bounded_and_who_came_in_before_still_comes_in() {
        let attempts = Attempts::default();
        assert!(attempts.may_try("ada", HERE, WINDOW));
        attempts.succeeded("ada", HERE);
        let crowd = (0..10_000).filter(|n| attempts.may_try("ada", machine(*n), WINDOW));
        assert_eq!(crowd.count(), 3_000);
        assert!(!attempts.may_try("bob", HERE, WINDOW));
        assert!(attempts.may_try("ada", HERE, WINDOW));
    }
}
