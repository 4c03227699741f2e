use runward_event::Time;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Turns the kernel's boot clock into wall-clock time.
///
/// The offset is taken once, so that the times of one job keep their order when somebody sets the clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    offset: u64,
}

impl Clock {
    /// Measures the offset now.
    pub fn new() -> Clock {
        let wall = nanos(clock_gettime(ClockId::Realtime));
        let boot = nanos(clock_gettime(ClockId::Boottime));
        Clock {
            offset: wall.saturating_sub(boot),
        }
    }

    /// The wall-clock time of a moment on the boot clock, in nanoseconds since boot.
    pub fn wall(self, boot_ns: u64) -> Time {
        Time::from_unix_nanos(self.offset.saturating_add(boot_ns))
    }

    /// The present, on the same scale as every event.
    pub fn now(self) -> Time {
        self.wall(Clock::boot_ns())
    }

    /// Nanoseconds since boot.
    pub fn boot_ns() -> u64 {
        nanos(clock_gettime(ClockId::Boottime))
    }
}

impl Default for Clock {
    fn default() -> Clock {
        Clock::new()
    }
}

fn nanos(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}
