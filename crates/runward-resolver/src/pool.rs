//! The upstream servers: whom to ask first, and when it is not worth asking.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The most servers that are asked for one question.
pub(crate) const MOST_SERVERS: usize = 8;

/// A server that was silent is asked last for this long; each further silence doubles it.
const LEAST_REST: Duration = Duration::from_secs(1);
const MOST_REST: Duration = Duration::from_secs(30);

/// All servers are given up for a moment when each has been silent this often in a row, for at least this long.
const SILENCES: u32 = 4;
const SILENT_FOR: Duration = Duration::from_secs(10);

/// How long that moment is. Then questions are let through again, to find out whether a server is back.
const GIVEN_UP_FOR: Duration = Duration::from_secs(1);

/// The system's default time for one try, in seconds. It stands for "nobody chose one".
const SYSTEM_TIMEOUT: Duration = Duration::from_secs(5);

/// What is waited instead: a client waits for the system's default as well, and the next server must have its turn
/// before the client gives up.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// No question waits longer than this for all tries together: what a client of the system's defaults waits.
const LONGEST: Duration = Duration::from_secs(10);

/// Which servers are asked, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstreams {
    /// The servers, the preferred one first. At most eight are used.
    pub servers: Vec<SocketAddr>,
    /// How long one server is waited for. The system's default of five seconds is shortened to two, so that the next
    /// server is asked before the client gives up.
    pub timeout: Duration,
    /// How often all servers are asked in turn before the question fails. All tries together take at most ten seconds.
    pub attempts: u32,
    /// Whether each question begins with the next server, to share the load.
    pub rotate: bool,
}

impl Upstreams {
    /// These servers, asked as the system's defaults say.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>) -> Self {
        Upstreams {
            servers,
            timeout: SYSTEM_TIMEOUT,
            attempts: 2,
            rotate: false,
        }
    }
}

/// The servers with what is known of them.
#[derive(Debug)]
pub(crate) struct Pool {
    servers: Vec<Server>,
    timeout: Duration,
    attempts: usize,
    rotate: bool,
    next: usize,
}

#[derive(Debug)]
struct Server {
    at: SocketAddr,
    /// How often it has been silent in a row, since when, and when for the last time.
    silences: u32,
    since: Option<Instant>,
    last: Option<Instant>,
}

/// How one question is to be asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Whom to ask, in order, each for `timeout`.
    pub(crate) tries: Vec<SocketAddr>,
    pub(crate) timeout: Duration,
    pub(crate) longest: Duration,
}

impl Pool {
    pub(crate) fn new(upstreams: &Upstreams) -> Self {
        let server = |at: &SocketAddr| Server {
            at: *at,
            silences: 0,
            since: None,
            last: None,
        };
        let timeout = if upstreams.timeout == SYSTEM_TIMEOUT {
            DEFAULT_TIMEOUT
        } else {
            upstreams.timeout
        };
        Pool {
            servers: upstreams
                .servers
                .iter()
                .take(MOST_SERVERS)
                .map(server)
                .collect(),
            timeout: timeout.min(LONGEST),
            attempts: usize::try_from(upstreams.attempts.clamp(1, 5)).unwrap_or(1),
            rotate: upstreams.rotate,
            next: 0,
        }
    }

    /// How to ask a question now. `None` if all servers are given up at the moment.
    pub(crate) fn plan(&mut self, now: Instant) -> Option<Plan> {
        if self.servers.iter().all(|server| server.is_given_up(now)) {
            return None;
        }
        let mut order: Vec<&Server> = self.servers.iter().collect();
        if self.rotate {
            order.rotate_left(self.next % self.servers.len().max(1));
            self.next = self.next.wrapping_add(1);
        }
        // Stable: those that rest come last, and otherwise the order stays.
        order.sort_by_key(|server| server.rests(now));
        let all = order.len() * self.attempts;
        let tries = order.into_iter().map(|server| server.at).cycle().take(all);
        Some(Plan {
            tries: tries.collect(),
            timeout: self.timeout,
            longest: LONGEST,
        })
    }

    /// Notes that a server answered, whatever it said.
    pub(crate) fn answered(&mut self, at: SocketAddr) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.at == at) {
            server.silences = 0;
            server.since = None;
            server.last = None;
        }
    }

    /// Notes that a server did not answer in time, or could not be reached.
    pub(crate) fn silent(&mut self, at: SocketAddr, now: Instant) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.at == at) {
            server.silences = server.silences.saturating_add(1);
            server.since.get_or_insert(now);
            server.last = Some(now);
        }
    }
}

impl Server {
    /// Whether it was silent lately, so that others are asked before it.
    fn rests(&self, now: Instant) -> bool {
        let doublings = self.silences.saturating_sub(1).min(5);
        let rest = (LEAST_REST * 2_u32.pow(doublings)).min(MOST_REST);
        self.last
            .is_some_and(|last| now.saturating_duration_since(last) < rest)
    }

    fn is_given_up(&self, now: Instant) -> bool {
        let long = |since: Option<Instant>, least| {
            since.is_some_and(|since| now.saturating_duration_since(since) >= least)
        };
        self.silences >= SILENCES && long(self.since, SILENT_FOR) && !long(self.last, GIVEN_UP_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 53))
    }

    fn pool(servers: u8, change: impl FnOnce(&mut Upstreams)) -> Pool {
        let mut upstreams = Upstreams::new((1..=servers).map(server).collect());
        change(&mut upstreams);
        Pool::new(&upstreams)
    }

    /// The last bytes of the servers in the order in which they are asked.
    fn order(pool: &mut Pool, now: Instant) -> Option<Vec<u8>> {
        let last = |at: SocketAddr| (1..=9).find(|last| server(*last) == at).unwrap();
        let tries = pool.plan(now)?.tries;
        Some(tries.into_iter().map(last).collect())
    }

    #[test]
    fn all_servers_have_their_turns_in_order() {
        let now = Instant::now();
        assert_eq!(
            order(&mut pool(3, |_| {}), now),
            Some(vec![1, 2, 3, 1, 2, 3])
        );
        assert_eq!(
            order(&mut pool(2, |all| all.attempts = 1), now),
            Some(vec![1, 2])
        );
        assert_eq!(order(&mut pool(0, |_| {}), now), None);
    }

    #[test]
    fn rotation_begins_with_the_next_server_each_time() {
        let now = Instant::now();
        let mut pool = pool(3, |all| {
            all.rotate = true;
            all.attempts = 1;
        });
        let orders: Vec<_> = (0..4).filter_map(|_| order(&mut pool, now)).collect();
        assert_eq!(orders, [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]);
    }

    #[test]
    fn a_silent_server_is_asked_last_until_it_has_rested_or_answered() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pool = pool(2, |all| all.attempts = 1);
        pool.silent(server(1), at(0));
        assert_eq!(order(&mut pool, at(0)), Some(vec![2, 1]));
        assert_eq!(order(&mut pool, at(1)), Some(vec![1, 2]));
        pool.silent(server(1), at(1));
        assert_eq!(order(&mut pool, at(2)), Some(vec![2, 1]));
        assert_eq!(order(&mut pool, at(3)), Some(vec![1, 2]));
        pool.silent(server(1), at(3));
        pool.answered(server(1));
        assert_eq!(order(&mut pool, at(3)), Some(vec![1, 2]));
    }

    #[test]
    fn a_servers_rest_is_bounded() {
        let start = Instant::now();
        let mut pool = pool(2, |all| all.attempts = 1);
        for _ in 0..100 {
            pool.silent(server(1), start);
        }
        assert_eq!(order(&mut pool, start + MOST_REST), Some(vec![1, 2]));
    }

    #[test]
    fn when_all_are_silent_for_long_nobody_is_asked_for_a_moment() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pool = pool(2, |_| {});
        for second in [0, 4, 8, 12] {
            assert!(pool.plan(at(second)).is_some(), "after {second} s");
            pool.silent(server(1), at(second));
            pool.silent(server(2), at(second));
        }
        assert!(pool.plan(at(12)).is_none());
        assert!(pool.plan(at(13)).is_some(), "the moment is over");
        pool.silent(server(1), at(13));
        pool.silent(server(2), at(13));
        assert!(pool.plan(at(13)).is_none());
        pool.answered(server(2));
        assert_eq!(order(&mut pool, at(13)), Some(vec![2, 1, 2, 1]));
    }

    #[test]
    fn many_silences_in_a_short_time_do_not_give_a_server_up() {
        let start = Instant::now();
        let mut pool = pool(1, |_| {});
        for _ in 0..100 {
            pool.silent(server(1), start);
        }
        assert!(pool.plan(start + Duration::from_secs(9)).is_some());
    }

    #[test]
    fn the_systems_default_time_is_shortened_and_a_chosen_one_is_not() {
        let now = Instant::now();
        for (seconds, expected) in [(5, 2), (1, 1), (3, 3), (30, 10)] {
            let mut pool = pool(1, |all| all.timeout = Duration::from_secs(seconds));
            let timeout = pool.plan(now).map(|plan| plan.timeout);
            assert_eq!(timeout, Some(Duration::from_secs(expected)));
        }
    }
}
