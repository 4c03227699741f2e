//! How often what the kernel recorded is taken in.

use std::time::Duration;

/// Waking up costs more than recording, so not at every event; a burst that fills an eighth of the ring wakes the reader
/// at once.
const TICK: Duration = Duration::from_millis(25);
/// How slow the tick gets while nothing happens: a finding is told within a tenth of a second.
const IDLE_TICK: Duration = Duration::from_millis(75);
/// The same for a job in lockdown, idle or not: what the kernel does not wake for at once waits no longer than this.
const LOCKDOWN_TICK: Duration = Duration::from_millis(4);

/// The time until the next look.
pub(crate) struct Pace {
    tick: Duration,
    hurried: bool,
}

impl Pace {
    /// `hurried`: the job is in lockdown.
    pub(crate) fn new(hurried: bool) -> Pace {
        Pace {
            tick: if hurried { LOCKDOWN_TICK } else { TICK },
            hurried,
        }
    }

    /// From here on, the job is in lockdown.
    pub(crate) fn hurry(&mut self) {
        *self = Pace::new(true);
    }

    pub(crate) fn tick(&self) -> Duration {
        self.tick
    }

    /// Goes by whether anything had happened at the last look.
    pub(crate) fn after(&mut self, busy: bool) {
        if !self.hurried {
            self.tick = match busy {
                true => TICK,
                false => (self.tick * 2).min(IDLE_TICK),
            };
        }
    }
}
