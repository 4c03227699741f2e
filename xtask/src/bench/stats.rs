use std::fmt;

use serde_json::{Value, json};

/// Five numbers that say where measurements lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    min: f64,
    lower: f64,
    pub(super) median: f64,
    upper: f64,
    max: f64,
}

impl Spread {
    /// The spread of the values; nothing for no values.
    pub(super) fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        Some(Spread {
            min: *values.first()?,
            lower: quantile(&values, 1)?,
            median: quantile(&values, 2)?,
            upper: quantile(&values, 3)?,
            max: *values.last()?,
        })
    }

    pub(super) fn to_json(self) -> Value {
        json!({
            "min": self.min,
            "lower_quartile": self.lower,
            "median": self.median,
            "upper_quartile": self.upper,
            "max": self.max,
        })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers = [self.min, self.lower, self.median, self.upper, self.max];
        for number in numbers {
            write!(f, "{number:8.3}")?;
        }
        Ok(())
    }
}

/// The value below which so many quarters of the sorted values lie, between two of them in proportion.
fn quantile(sorted: &[f64], quarters: usize) -> Option<f64> {
    let place = sorted.len().checked_sub(1)? * quarters;
    let below = *sorted.get(place / 4)?;
    let above = sorted.get(place / 4 + 1).copied().unwrap_or(below);
    let part = [0.0, 0.25, 0.5, 0.75];
    Some(below + (above - below) * part.get(place % 4)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_numbers() {
        let five = |values: &[f64]| {
            let s = Spread::of(values.to_vec()).unwrap();
            [s.min, s.lower, s.median, s.upper, s.max]
        };
        assert_eq!(five(&[3.0]), [3.0; 5]);
        assert_eq!(five(&[5.0, 1.0, 3.0, 2.0, 4.0]), [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(five(&[1.0, 2.0]), [1.0, 1.25, 1.5, 1.75, 2.0]);
        assert_eq!(Spread::of(Vec::new()), None);
    }
}
