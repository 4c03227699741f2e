//! Chance that can be repeated: everything random in a test comes from one number, which it prints.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The variable with the number of a run that is to be repeated.
const SEED: &str = "RUNWARD_TEST_SEED";

#[derive(Clone, Debug)]
pub(crate) struct Chance(Arc<AtomicU64>);

impl Chance {
    /// Takes the number that the environment has, or one of the clock, and prints it.
    pub(crate) fn new() -> Chance {
        let given = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            u64::from(now.subsec_nanos())
        });
        #[expect(
            clippy::print_stderr,
            reason = "whoever sees the test fail needs it to see it again"
        )]
        let () = eprintln!("chance: {SEED}={seed}");
        Chance(Arc::new(AtomicU64::new(seed)))
    }

    /// From 0 to below 1 (SplitMix64, Steele et al. 2014).
    pub(crate) fn unit(&self) -> f64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        least + (most - least).mul_f64(self.unit())
    }

    pub(crate) fn below(&self, most: usize) -> usize {
        (self.unit() * most as f64) as usize
    }
}
