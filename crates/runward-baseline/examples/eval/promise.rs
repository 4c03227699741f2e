//! What a baseline promised, and what became of it.

use runward_baseline::{Expectation, Rate};

/// Runs that one promise is held to.
const HORIZON: u32 = 200;

/// Fewer tell nothing.
const HORIZON_LEAST: u32 = 50;

/// A promise, with the runs since.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    pub(crate) rate: Rate,
    pub(crate) stable: bool,
    pub(crate) runs: u32,
    pub(crate) alerts: u32,
    /// The first that was made to its job.
    pub(crate) first: bool,
}

impl Promise {
    pub(crate) fn new(rate: Rate, stable: bool, first: bool) -> Promise {
        Promise {
            rate,
            stable,
            runs: 0,
            alerts: 0,
            first,
        }
    }

    pub(crate) fn hold(&mut self, alerted: bool) {
        self.runs += 1;
        self.alerts += u32::from(alerted);
    }

    /// It was held long enough.
    pub(crate) fn is_over(&self) -> bool {
        self.runs >= HORIZON
    }

    pub(crate) fn is_told(&self) -> bool {
        self.runs >= HORIZON_LEAST
    }

    pub(crate) fn expected(&self) -> Expectation {
        self.rate.expect(self.runs)
    }

    /// The alerts are as many as was promised.
    pub(crate) fn is_kept(&self) -> bool {
        let expected = self.expected();
        (expected.low..=expected.high).contains(&self.alerts)
    }

    /// The bare quotient lies between the bounds of the rate, however few runs it was measured in. A job with one alert in
    /// 2,000 runs has none in most windows of 200, and is outside then: nobody can keep this.
    pub(crate) fn is_quotient_inside(&self) -> bool {
        let rate = f64::from(self.alerts) / f64::from(self.runs);
        (self.rate.low..=self.rate.high).contains(&rate)
    }
}
