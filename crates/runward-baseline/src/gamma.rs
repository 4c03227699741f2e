//! The gamma distribution, for rates, and what follows from it for counts.

use libm::lgamma;

/// Steps of the bisection: far more digits than anybody is shown.
const STEPS: usize = 80;

/// Terms of a series or fraction before it is taken as it is; ours need a few dozen.
const TERMS: usize = 500;

/// Below which a term adds nothing.
const TINY: f64 = 1e-14;

/// The part of a gamma distribution of this shape, and scale 1, that lies below `x`.
fn below(shape: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = (shape * x.ln() - x - lgamma(shape)).exp();
    if x < shape + 1.0 {
        let mut term = 1.0 / shape;
        let mut sum = term;
        for n in 1..TERMS {
            term *= x / (shape + n as f64);
            sum += term;
            if term < sum * TINY {
                break;
            }
        }
        return (front * sum).min(1.0);
    }
    // Lentz's way through the continued fraction of the part above.
    let mut b = x + 1.0 - shape;
    let mut c = f64::MAX;
    let mut d = 1.0 / b;
    let mut fraction = d;
    for n in 1..TERMS {
        let a = -(n as f64) * (n as f64 - shape);
        b += 2.0;
        d = 1.0 / (a * d + b);
        c = b + a / c;
        let factor = c * d;
        fraction *= factor;
        if (factor - 1.0).abs() < TINY {
            break;
        }
    }
    (1.0 - front * fraction).clamp(0.0, 1.0)
}

/// The value below which `part` of a gamma distribution of this shape, and scale 1, lies.
pub(crate) fn quantile(shape: f64, part: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0 + shape);
    while below(shape, high) < part && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if below(shape, middle) < part {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The least count that at least `part` of a negative binomial distribution lies at or below: how often something happens
/// in `runs` runs whose rate is gamma-distributed with this shape and this exposure.
pub(crate) fn count(shape: f64, exposure: f64, runs: f64, part: f64) -> u32 {
    let fails = exposure / (exposure + runs);
    let mut chance = fails.powf(shape);
    let mut sum = chance;
    let mut n = 0_u32;
    while sum < part && n < 1_000_000 {
        chance *= (shape + f64::from(n)) / f64::from(n + 1) * (1.0 - fails);
        sum += chance;
        n += 1;
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against values of tables: half of a chi-squared with two times the shape.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (shape, part, value) in [
            (0.5, 0.95, 1.920_73),
            (1.0, 0.5, std::f64::consts::LN_2),
            (1.0, 0.95, 2.995_732),
            (2.5, 0.05, 0.572_738),
            (5.0, 0.95, 9.153_519),
            (50.0, 0.5, 49.667_07),
            (50.0, 0.95, 62.171_05),
        ] {
            let found = quantile(shape, part);
            assert!(
                (found - value).abs() < 1e-4 * value,
                "{shape} {part}: {found}"
            );
        }
    }

    #[test]
    fn counts_add_up() {
        // Shape 1 is the geometric distribution: P(0) = 1/2 here.
        assert_eq!(count(1.0, 100.0, 100.0, 0.49), 0);
        assert_eq!(count(1.0, 100.0, 100.0, 0.74), 1);
        assert_eq!(count(1.0, 100.0, 100.0, 0.76), 2);
        // A rate that is known well: Poisson with mean 5.
        assert_eq!(count(5e6, 1e6, 1.0, 0.5), 5);
        assert_eq!(count(5e6, 1e6, 1.0, 0.95), 9);
    }
}
