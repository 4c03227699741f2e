//! What the jobs of a project, and the projects of an organisation, know together.

use std::collections::BTreeMap;

use runward_event::Time;
use serde::{Deserialize, Serialize};

use crate::baseline::DecodeError;
use crate::key::Key;
use crate::limits;

/// Days after which what was counted counts half.
const HALF_LIFE_DAYS: f64 = 120.0;

const NANOS_OF_DAY: f64 = 86_400.0 * 1e9;

/// What is known around a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surroundings {
    /// By the jobs of its project.
    pub project: Level,
    /// By the jobs of its organisation.
    pub organisation: Level,
}

/// What is known at one level, of the keys that were asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Level {
    /// How often its jobs show something new.
    pub rates: Rates,
    /// The keys that are known. Others are not.
    pub known: BTreeMap<Key, Known>,
}

/// What is known of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Jobs in which it is normal. Of an owner: names.
    pub normal: u32,
    /// Jobs in which it is new, and nobody has answered.
    pub open: u32,
    /// When the last of these was opened.
    pub opened: Option<Time>,
}

/// News against what was to be expected, summed over jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// Runs with alerts.
    pub alerts: f64,
    /// Runs with alerts that jobs which run as often would have by the figures that this crate begins with.
    pub expected_alerts: f64,
    /// Runs with anything new.
    pub news: f64,
    /// The same, expected.
    pub expected_news: f64,
}

/// What a run changes in what is known around its job. Adding is all that it takes: a table can be updated in place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopeDelta {
    /// To be added to [`Known::normal`] and [`Known::open`].
    pub keys: Vec<(Key, i32, i32)>,
    /// To be added to the rates, after [`Rates::fade`].
    pub rates: Rates,
}

impl Rates {
    /// Old runs count less: to be called with the days since the rates were last added to.
    pub fn fade(&mut self, days: f64) {
        let kept = 0.5_f64.powf(days.clamp(0.0, 3_650.0) / HALF_LIFE_DAYS);
        for rate in [
            &mut self.alerts,
            &mut self.expected_alerts,
            &mut self.news,
            &mut self.expected_news,
        ] {
            *rate *= kept;
        }
    }

    /// Adds what a run brought.
    pub fn add(&mut self, other: &Rates) {
        self.alerts += other.alerts;
        self.expected_alerts += other.expected_alerts;
        self.news += other.news;
        self.expected_news += other.expected_news;
    }
}

impl ScopeDelta {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.rates == Rates::default()
    }
}

/// The state of a project or an organisation in one value, for shells that keep it so.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    rates: Rates,
    at: Time,
    known: BTreeMap<Key, Known>,
}

/// As it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    rates: [f64; 4],
    at: u64,
    known: Vec<(u64, u32, u32, u64)>,
}

impl Scope {
    /// Takes what a run of one of its jobs changed.
    pub fn apply(&mut self, delta: &ScopeDelta, at: Time) {
        if self.at != Time::default() {
            self.rates
                .fade(at.nanos_since(self.at) as f64 / NANOS_OF_DAY);
        }
        self.at = self.at.max(at);
        self.rates.add(&delta.rates);
        for (key, normal, open) in &delta.keys {
            if !self.known.contains_key(key) && self.known.len() >= limits::SCOPE_KEYS {
                self.make_room();
            }
            let known = self.known.entry(*key).or_default();
            known.normal = known.normal.saturating_add_signed(*normal);
            known.open = known.open.saturating_add_signed(*open);
            if *open > 0 {
                known.opened = Some(at);
            }
            if known.normal == 0 && known.open == 0 {
                self.known.remove(key);
            }
        }
    }

    /// Gives up what fewest jobs know: a hundredth at once, because finding it means looking at all.
    fn make_room(&mut self) {
        let worth = |known: &Known| (known.normal, known.opened);
        let mut keys: Vec<(Key, (u32, Option<Time>))> = self
            .known
            .iter()
            .map(|(key, known)| (*key, worth(known)))
            .collect();
        keys.sort_by_key(|(_, worth)| *worth);
        for (key, _) in keys.into_iter().take(limits::SCOPE_KEYS / 100) {
            self.known.remove(&key);
        }
    }

    /// What is known of these keys.
    pub fn level(&self, keys: &[Key]) -> Level {
        Level {
            rates: self.rates,
            known: keys
                .iter()
                .filter_map(|key| Some((*key, *self.known.get(key)?)))
                .collect(),
        }
    }

    /// The state in bytes, at most [`limits::SCOPE_BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        let rates = self.rates;
        let written = Written {
            rates: [
                rates.alerts,
                rates.expected_alerts,
                rates.news,
                rates.expected_news,
            ],
            at: self.at.unix_nanos(),
            known: self
                .known
                .iter()
                .map(|(key, known)| {
                    let opened = known.opened.map_or(0, Time::unix_nanos);
                    (key.0, known.normal, known.open, opened)
                })
                .collect(),
        };
        crate::encode::written(&written, &[])
    }

    /// Reads what [`Scope::encode`] wrote.
    pub fn decode(bytes: &[u8]) -> Result<Scope, DecodeError> {
        let (written, _): (Written, _) = crate::encode::read(bytes, limits::SCOPE_BYTES)?;
        let [alerts, expected_alerts, news, expected_news] = written.rates;
        if written.known.len() > limits::SCOPE_KEYS
            || written.rates.iter().any(|rate| !(0.0..=1e9).contains(rate))
        {
            return Err(DecodeError::Damaged);
        }
        let known = |(key, normal, open, opened): (u64, u32, u32, u64)| {
            let opened = (opened > 0).then(|| Time::from_unix_nanos(opened));
            (
                Key(key),
                Known {
                    normal,
                    open,
                    opened,
                },
            )
        };
        Ok(Scope {
            rates: Rates {
                alerts,
                expected_alerts,
                news,
                expected_news,
            },
            at: Time::from_unix_nanos(written.at),
            known: written.known.into_iter().map(known).collect(),
        })
    }
}
