//! How often a job shows something new.
//!
//! Two things make news. A job has destinations that it rarely calls, and one of them comes up for the first time: how
//! often that happens is told by those that came up once so far (Good and Turing). And a job changes, and calls from then
//! on what it never called: how often that happens is told by how often it did. A new destination that was called often
//! since it came up belongs to the second kind, because it could not have stayed unseen for so long before.
//!
//! Both are counted with weights that halve with age, and shrunk towards what jobs around this one do: a gamma prior
//! whose mean is a figure that this crate begins with, times what the organisation and the project were found to be.

use std::collections::BTreeMap;

use crate::gamma::{count, quantile};
use crate::memory::{Memory, Sight};
use crate::scope::{Rates, Surroundings};
use crate::text::counted;

/// Runs at the start of a job in which nearly everything is new. What came up in them, and again later, is not news.
pub(crate) const START: u32 = 30;

/// How unlikely it must be that something was there before and not seen, to say that the job has changed.
const CHANGE: f64 = 0.05;

/// Runs with alerts, and with any news, for each run and for each day since the run before: how real allowlists drift,
/// played through this crate. `make eval` prints what they should be.
const ALERTS: (f64, f64) = (0.0008, 0.004);
const NEWS: (f64, f64) = (0.004, 0.02);

/// The longest gap between runs that the figures were made for, in days.
const GAP_MAX: f64 = 7.0;

/// How much jobs differ from each other: the shape of the prior.
const SHAPE: f64 = 0.5;

/// How much projects and organisations differ, in alerts that it takes to be believed.
const SHAPE_AROUND: f64 = 2.0;

/// An estimate of a rate, for each run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rate {
    /// The best guess.
    pub mean: f64,
    /// Of a hundred jobs of which as much is known, five have a rate below.
    pub low: f64,
    /// Of a hundred, five have a rate above.
    pub high: f64,
    shape: f64,
    exposure: f64,
}

/// What is to be expected of the coming runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Novelty {
    /// Runs that the estimate rests on, old ones counted in part.
    pub runs: f64,
    /// Runs that show anything new, alert or not.
    pub news: Rate,
    /// Runs that raise an alert.
    pub alerts: Rate,
}

/// How many of the coming runs will raise an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    /// Of so many runs.
    pub runs: u32,
    /// At least, in 95 of 100 jobs.
    pub low: u32,
    /// At most, in 95 of 100 jobs.
    pub high: u32,
}

impl Rate {
    fn of(mean: f64, seen: f64, exposure: f64) -> Rate {
        let shape = SHAPE + seen;
        let exposure = SHAPE / mean + exposure;
        Rate {
            mean: shape / exposure,
            low: quantile(shape, 0.05) / exposure,
            high: quantile(shape, 0.95) / exposure,
            shape,
            exposure,
        }
    }

    /// `about once in 240 runs (between 110 and 900)`.
    pub fn sentence(&self) -> String {
        // Beyond this nobody counts, and nothing was measured.
        let runs = |rate: f64| (1.0 / rate.max(1e-9)).round();
        let many = |runs: f64| {
            if runs >= 10_000.0 {
                "more than 10,000".to_owned()
            } else {
                format!("{runs:.0}")
            }
        };
        format!(
            "about once in {} runs (between {} and {})",
            many(runs(self.mean)),
            many(runs(self.high).max(1.0)),
            many(runs(self.low))
        )
    }

    /// In how many of the next runs it happens.
    pub fn expect(&self, runs: u32) -> Expectation {
        let of = |part| count(self.shape, self.exposure, f64::from(runs), part).min(runs);
        Expectation {
            runs,
            low: of(0.05),
            high: of(0.95),
        }
    }

    /// How many runs without another one it takes until the upper bound is at most `budget`.
    pub(crate) fn runs_until(&self, budget: f64) -> u32 {
        let needed = self.high * self.exposure / budget.max(1e-9) - self.exposure;
        needed.clamp(0.0, 1e6).ceil() as u32
    }
}

/// One thing that was new once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News<'a> {
    pub(crate) subject: &'a str,
    pub(crate) sight: &'a Sight,
    /// The key of it, while nobody has answered.
    pub(crate) open: Option<&'a str>,
}

/// Everything that was new once and tells of the news to come, with its weight.
pub(crate) fn telling(memory: &Memory) -> Vec<(News<'_>, f64)> {
    let members = memory.places.iter().chain(&memory.files);
    let of_members = members.flat_map(|(subject, member)| {
        let uses = member.uses.iter().map(|(_, sight)| sight);
        std::iter::once(&member.sight)
            .chain(uses)
            .map(|sight| News {
                subject,
                sight,
                open: None,
            })
    });
    let of_open = memory
        .open
        .iter()
        .filter(|(_, open)| open.rejected_by.is_none() && open.sight.runs > 0)
        .map(|(key, open)| News {
            subject: &open.subject,
            sight: &open.sight,
            open: Some(key),
        });
    of_members
        .chain(of_open)
        .filter(|news| tells(news.sight, memory.runs))
        .map(|news| (news, memory.weight(news.sight.first_run, news.sight.first)))
        .collect()
}

/// Whether something that was new once says that more will be.
fn tells(sight: &Sight, now: u32) -> bool {
    if sight.runs <= 1 {
        return true;
    }
    if sight.first_run <= START {
        return false;
    }
    let since = f64::from(now.saturating_sub(sight.first_run)) + 1.0;
    let share = (f64::from(sight.runs) / since).min(1.0);
    (1.0 - share).powf(f64::from(sight.first_run) - 1.0) < CHANGE
}

pub(crate) fn novelty(memory: &Memory, around: &Surroundings) -> Novelty {
    let mut alerts: BTreeMap<u32, f64> = BTreeMap::new();
    let mut news: BTreeMap<u32, f64> = BTreeMap::new();
    for (of, weight) in telling(memory) {
        news.insert(of.sight.first_run, weight);
        if of.sight.alerted {
            alerts.insert(of.sight.first_run, weight);
        }
    }
    let sum = |runs: &BTreeMap<u32, f64>| runs.values().sum::<f64>();
    let exposure = f64::from(memory.exposure);
    let gap = f64::from(memory.gap);
    let (alert_mean, news_mean) = means(gap, around);
    Novelty {
        runs: exposure,
        news: Rate::of(news_mean, sum(&news) + f64::from(memory.surges), exposure),
        alerts: Rate::of(
            alert_mean,
            sum(&alerts) + f64::from(memory.surges),
            exposure,
        ),
    }
}

/// What one run of a job is expected to show, before anything is known of the job but how often it runs.
pub(crate) fn expected(gap: f64) -> Rates {
    let gap = gap.clamp(0.0, GAP_MAX);
    Rates {
        expected_alerts: ALERTS.0 + ALERTS.1 * gap,
        expected_news: NEWS.0 + NEWS.1 * gap,
        ..Rates::default()
    }
}

fn means(gap: f64, around: &Surroundings) -> (f64, f64) {
    let expected = expected(gap);
    let organisation = &around.organisation.rates;
    let project = &around.project.rates;
    let times = |seen: fn(&Rates) -> f64, due: fn(&Rates) -> f64| {
        let outer = (SHAPE_AROUND + seen(organisation)) / (SHAPE_AROUND + due(organisation));
        (SHAPE_AROUND + seen(project)) / (SHAPE_AROUND / outer + due(project))
    };
    (
        expected.expected_alerts * times(|rates| rates.alerts, |rates| rates.expected_alerts),
        expected.expected_news * times(|rates| rates.news, |rates| rates.expected_news),
    )
}

impl Novelty {
    /// `Something new about once in 40 runs (between 20 and 90); an alert about once in 240 runs (between 110 and 900).`
    pub fn sentence(&self) -> String {
        format!(
            "Something new {}; an alert {}. This rests on {}.",
            self.news.sentence(),
            self.alerts.sentence(),
            counted(self.runs.round() as u64, "run")
        )
    }
}
