//! How often somebody may try to log in.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use runward_store::Millis;

/// Failed attempts that are allowed in one window, for one login.
const ATTEMPTS_MAX: u32 = 10;
/// The length of a window.
const WINDOW: Millis = 15 * 60 * 1000;
/// Logins that are remembered; when there are more, the oldest windows are forgotten.
const LOGINS_MAX: usize = 10_000;

/// Failed attempts of the last quarter of an hour.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<String, (Millis, u32)>>);

impl Attempts {
    /// Whether one more attempt may be made; counts it.
    pub(crate) fn may_try(&self, login: &str, now: Millis) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= LOGINS_MAX {
            known.retain(|_, (since, _)| now - *since < WINDOW);
        }
        if known.len() >= LOGINS_MAX && !known.contains_key(login) {
            return false;
        }
        let (since, count) = known.entry(login.to_lowercase()).or_insert((now, 0));
        if now - *since >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= ATTEMPTS_MAX
    }

    /// Forgets the failed ones after one that succeeded.
    pub(crate) fn succeeded(&self, login: &str) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&login.to_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_ten_failures_one_has_to_wait() {
        let attempts = Attempts::default();
        let tries = |now| (0..20).filter(|_| attempts.may_try("admin", now)).count();
        assert_eq!(tries(0), 10);
        assert_eq!(tries(WINDOW - 1), 0);
        assert!(attempts.may_try("somebody", 0));
        assert_eq!(tries(WINDOW), 10);
        attempts.succeeded("ADMIN");
        assert_eq!(tries(WINDOW), 10);
    }
}
