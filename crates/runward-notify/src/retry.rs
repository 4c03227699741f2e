//! What becomes of a message that was tried.

use runward_store::{Millis, Settled};

/// Characters of an error that are kept.
const ERROR_MAX: usize = 300;

/// Why a message did not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In words, without any secret.
    pub error: String,
    /// Whether trying again can help.
    pub kind: FailureKind,
    /// How long the other side asks not to be bothered.
    pub after: Option<Millis>,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// It can: nobody answered, or the answer says that it is not the message's fault.
    Passing,
    /// It hardly can: the other side does not want it. While it is being rebuilt it may say so, too.
    Refused,
    /// It can't.
    Final,
}

/// How long it is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How long it is waited after the first failure; twice as long after each further one.
    pub first: Millis,
    /// But at most this long.
    pub most: Millis,
    /// A message is given up when it was due this long ago.
    pub give_up: Millis,
    /// At most this long is waited where the other side asks for it.
    pub asked_most: Millis,
    /// Attempts with a message that is refused.
    pub refusals: i64,
}

impl Pace {
    /// The usual one, in milliseconds.
    pub const USUAL: Pace = Pace {
        first: 5_000,
        most: 600_000,
        give_up: 86_400_000,
        asked_most: 3_600_000,
        refusals: 8,
    };

    /// The same, in which a second is so many milliseconds. For tests.
    #[must_use]
    pub fn with_second(self, millis: Millis) -> Pace {
        let scaled = |time: Millis| (time / 1_000).saturating_mul(millis);
        Pace {
            first: scaled(self.first),
            most: scaled(self.most),
            give_up: scaled(self.give_up),
            asked_most: scaled(self.asked_most),
            refusals: self.refusals,
        }
    }

    /// How long it is waited after so many failures; `chance` is any number, and makes it up to a quarter longer or shorter,
    /// so that many that failed together do not come back together.
    fn wait(&self, failures: i64, chance: u32) -> Millis {
        let doublings = u32::try_from(failures.saturating_sub(1).clamp(0, 40)).unwrap_or(0);
        let wait = self.first.saturating_mul(1i64 << doublings).min(self.most);
        let share = i64::from(chance % 501) + 750;
        (wait.saturating_mul(share) / 1_000).max(1)
    }
}

/// What becomes of a message that was tried `attempts` times, and was due first at `since`; `failures` is how often its
/// channel has failed in a row, this time counted.
pub fn settle(
    came: Result<(), Failure>,
    (attempts, since): (i64, Millis),
    failures: i64,
    now: Millis,
    chance: u32,
    pace: &Pace,
) -> Settled {
    let Err(failure) = came else {
        return Settled::Delivered;
    };
    let error: String = failure.error.chars().take(ERROR_MAX).collect();
    let asked = failure
        .after
        .map_or(0, |after| after.clamp(0, pace.asked_most));
    let due_at = now.saturating_add(pace.wait(attempts, chance).max(asked));
    let over = match failure.kind {
        FailureKind::Final => true,
        FailureKind::Refused => attempts >= pace.refusals,
        FailureKind::Passing => false,
    };
    if over || due_at.saturating_sub(since) > pace.give_up {
        return Settled::Dead { error };
    }
    let rest_until = now.saturating_add(pace.wait(failures, chance).max(asked));
    Settled::Later {
        error,
        due_at,
        rest_until,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PACE: Pace = Pace::USUAL;
    const HOUR: Millis = 3_600_000;

    fn failed(kind: FailureKind, after: Option<Millis>) -> Result<(), Failure> {
        Err(Failure {
            error: "it answered 500".to_owned(),
            kind,
            after,
        })
    }

    /// When it is tried again, if it is.
    fn again(
        kind: FailureKind,
        attempts: i64,
        since: Millis,
        after: Option<Millis>,
    ) -> Option<i64> {
        // A chance of 250 is the middle.
        match settle(failed(kind, after), (attempts, since), 1, 0, 250, &PACE) {
            Settled::Later { due_at, .. } => Some(due_at),
            _ => None,
        }
    }

    #[test]
    fn it_is_waited_twice_as_long_each_time() {
        use FailureKind::Passing;
        let waits: Vec<_> = (1..=9)
            .map(|n| again(Passing, n, 0, None).unwrap())
            .collect();
        let expected = [5, 10, 20, 40, 80, 160, 320, 600, 600].map(|s| s * 1_000);
        assert_eq!(waits, expected);
        assert_eq!(again(Passing, i64::MAX, 0, None), Some(600_000));
    }

    #[test]
    fn a_target_that_is_down_for_hours_is_waited_for_and_not_for_ever() {
        use FailureKind::Passing;
        assert!(again(Passing, 50, -20 * HOUR, None).is_some());
        assert_eq!(again(Passing, 2, -24 * HOUR, None), None);
    }

    #[test]
    fn what_is_refused_is_tried_some_times_and_what_is_gone_once() {
        use FailureKind::{Final, Refused};
        assert!(again(Refused, 7, 0, None).is_some());
        assert_eq!(again(Refused, 8, 0, None), None);
        assert_eq!(again(Final, 1, 0, None), None);
    }

    #[test]
    fn who_asks_for_time_gets_it_within_bounds() {
        use FailureKind::Passing;
        for (asked, waited) in [(0, 5_000), (-7, 5_000), (90_000, 90_000), (99 * HOUR, HOUR)] {
            assert_eq!(again(Passing, 1, 0, Some(asked)), Some(waited), "{asked}");
        }
        let settled = settle(failed(Passing, Some(90_000)), (1, 0), 1, 0, 250, &PACE);
        assert!(matches!(
            settled,
            Settled::Later {
                rest_until: 90_000,
                ..
            }
        ));
    }

    #[test]
    fn time_can_be_made_shorter_for_tests() {
        let pace = PACE.with_second(10);
        assert_eq!((pace.first, pace.give_up), (50, 864_000));
    }

    proptest! {
        #[test]
        fn no_numbers_make_it_wait_for_ever_or_not_at_all(
            attempts: i64, failures: i64, chance: u32, asked: Option<i64>, since in -HOUR..=0i64
        ) {
            let came = failed(FailureKind::Passing, asked);
            match settle(came, (attempts, since), failures, 0, chance, &PACE) {
                Settled::Later { due_at, rest_until, .. } => {
                    prop_assert!((1..=HOUR).contains(&due_at));
                    prop_assert!((1..=HOUR).contains(&rest_until));
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
