//! Chance that is the same each time: everything follows from texts and one number.

use fastrand::Rng;

pub(crate) fn seed(parts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for part in parts {
        for byte in part.bytes().chain([0xff]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
    hash
}

pub(crate) fn rng(parts: &[&str], salt: u64) -> Rng {
    Rng::with_seed(seed(parts) ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A normal deviate (Box and Muller).
pub(crate) fn normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

pub(crate) fn log_uniform(rng: &mut Rng, low: f64, high: f64) -> f64 {
    (low.ln() + rng.f64() * (high / low).ln()).exp()
}
/// Runs of one job: a Poisson process.
pub(crate) fn times(rng: &mut Rng, first: f64, last: f64, pace: f64) -> Vec<f64> {
    let mut times = Vec::new();
    let mut day = first;
    loop {
        day += -(1.0 - rng.f64()).ln() / pace;
        if day >= last {
            return times;
        }
        times.push(day);
    }
}
