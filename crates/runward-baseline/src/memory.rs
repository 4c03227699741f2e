//! What is remembered of a job: the state behind [`crate::Baseline`], and how it stays small.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::anomaly::Kind;
use crate::limits;
use crate::place::{Place, Who};
use crate::settings::Settings;
use crate::shape::Slot;

/// The state of one job. Every collection has a bound in [`limits`]; `encode` writes the fields in this order, so a
/// field is only ever added at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Runs that were taken in.
    pub(crate) runs: u32,
    /// When the first and the last of them came, in seconds.
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// Days from one run to the next, on average.
    pub(crate) gap: f32,
    /// Runs that estimates rest on, old ones counted in part.
    pub(crate) exposure: f32,
    /// Runs of which far too much data was all that raised an alert, counted in the same way.
    pub(crate) surges: f32,
    pub(crate) contexts: Contexts,
    pub(crate) actors: Vec<Actor>,
    pub(crate) steps: Vec<String>,
    pub(crate) places: BTreeMap<String, Member>,
    pub(crate) files: BTreeMap<String, Member>,
    pub(crate) open: BTreeMap<String, Open>,
    pub(crate) seen: Seen,
    /// What was given up for the bounds.
    pub(crate) given_up: u64,
    /// Runs that were too old to be taken in.
    pub(crate) too_old: u64,
}

/// A program, and the dependency that it ran for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Actor {
    pub(crate) who: Who,
    /// The run in which it last did anything.
    pub(crate) last_run: u32,
    /// Runs in which it did anything, old ones counted in part, as of `last_run`.
    pub(crate) runs: f32,
    /// Where it meets new names.
    pub(crate) noises: Vec<Noise>,
}

/// How often a program meets new names below one domain; an empty one stands for everywhere else.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Noise {
    pub(crate) parent: String,
    /// Runs with such a name, old ones counted in part, as of `last_run`.
    pub(crate) runs: f32,
    pub(crate) last_run: u32,
}

/// Something that is normal: a destination, a pattern of destinations, or a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    pub(crate) sight: Sight,
    /// Index into the actors, with what each does.
    pub(crate) uses: Vec<(u16, Sight)>,
    pub(crate) steps: Vec<u8>,
    pub(crate) volume: Volume,
    pub(crate) pattern: Option<Pattern>,
    pub(crate) origin: Origin,
    /// How many bytes at the end of the name its owner has; none for files and addresses.
    pub(crate) owner: u8,
}

/// When and how often something was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sight {
    /// In seconds.
    pub(crate) first: u32,
    pub(crate) last: u32,
    /// By the number of the run.
    pub(crate) first_run: u32,
    pub(crate) last_run: u32,
    pub(crate) runs: u32,
    /// Whether an alert was raised when it was first seen, or would have been if the baseline had not been new.
    pub(crate) alerted: bool,
}

/// Who made it normal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Origin {
    /// The first runs.
    #[default]
    Created,
    /// So many runs of protected branches.
    Recurred,
    /// A person.
    Person(String),
}

/// Names of one mask, and what stood in the place of each `*`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Pattern {
    pub(crate) slots: Vec<Slot>,
    pub(crate) samples: Vec<String>,
    /// Different names that it was made of, at least.
    pub(crate) names: u32,
}

/// Bytes that runs sent to one place, as natural logarithms: sums over runs are not bounded, but these are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) runs: u32,
    pub(crate) mean: f32,
    pub(crate) squares: f32,
    pub(crate) most: u64,
}

/// Something new that nobody has answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) kind: Kind,
    pub(crate) subject: String,
    pub(crate) sight: Sight,
    /// Whether somebody was told.
    pub(crate) told: bool,
    /// Commits of the runs that count for becoming normal.
    pub(crate) commits: Vec<u32>,
    pub(crate) rejected_by: Option<String>,
    /// The place that becomes normal, and names of its family if it is one.
    pub(crate) place: String,
    pub(crate) is_file: bool,
    pub(crate) samples: Vec<String>,
    pub(crate) owner: u8,
    /// Who becomes normal with it.
    pub(crate) who: Vec<Who>,
    pub(crate) steps: Vec<String>,
    pub(crate) most_sent: u64,
    /// The run that opened it, as a hash.
    pub(crate) by_run: u64,
}

/// What runs were made with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Contexts {
    /// Pipeline file, image, actions, lockfile: hashes of the versions that were seen last.
    pub(crate) versions: [Vec<u32>; 4],
    /// Changes that the estimate began anew at: the run, and which part of what was known is kept.
    pub(crate) resets: Vec<(u32, f32)>,
    /// Changes so far, and those that something new came with.
    pub(crate) changes: f32,
    pub(crate) with_news: f32,
    /// The run of the last change, and whether something new has come with it.
    pub(crate) last_change: u32,
    pub(crate) news_since: bool,
    /// What changed then: an index into `versions`.
    pub(crate) last_part: u8,
}

/// Runs that were taken in: a part of the hash of each name, and the minute it began in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) runs: Vec<(u64, u32)>,
    /// No run that began in this minute or before is taken in.
    pub(crate) horizon: u32,
}

/// Runs after which what was learned counts half.
pub(crate) const HALF_LIFE_RUNS: f64 = 300.0;

/// The same in days.
pub(crate) const HALF_LIFE_DAYS: f64 = 120.0;

/// The longest gap between two runs that is believed, in days: a server's clock can be set wrong, too.
const GAP_MAX: f64 = 30.0;

/// Runs over which the gap is averaged.
const GAP_RUNS: f64 = 50.0;

const SECONDS_OF_DAY: f64 = 86_400.0;

impl Seen {
    /// Whether a run may be taken in.
    pub(crate) fn admits(&self, run: u64, minute: u32) -> Result<(), bool> {
        if self.runs.iter().any(|(known, _)| *known == run) {
            return Err(true);
        }
        if minute <= self.horizon && self.horizon > 0 {
            return Err(false);
        }
        Ok(())
    }

    /// Remembers a run. The one that began first is forgotten, and nothing as old is taken in again.
    pub(crate) fn add(&mut self, run: u64, minute: u32) {
        self.runs.push((run, minute));
        if self.runs.len() > limits::RUNS {
            let oldest = (0..self.runs.len()).min_by_key(|at| self.runs.get(*at).map(|run| run.1));
            if let Some(oldest) = oldest {
                let (_, minute) = self.runs.swap_remove(oldest);
                self.horizon = self.horizon.max(minute);
            }
        }
    }
}

impl Memory {
    /// A run has come: what is known gets older.
    pub(crate) fn tick(&mut self, now: u32) {
        let days = if self.runs == 0 {
            0.0
        } else {
            (f64::from(now.saturating_sub(self.last)) / SECONDS_OF_DAY).min(GAP_MAX)
        };
        if self.runs > 0 {
            let weight = 1.0 / f64::from(self.runs).min(GAP_RUNS);
            self.gap += ((days - f64::from(self.gap)) * weight) as f32;
        } else {
            self.first = now;
        }
        let fade = 0.5_f64.powf(1.0 / HALF_LIFE_RUNS + days / HALF_LIFE_DAYS) as f32;
        self.exposure = self.exposure * fade + 1.0;
        self.surges *= fade;
        self.last = now;
        self.runs = self.runs.saturating_add(1);
    }

    /// How much something counts that happened in `run`, at `second`.
    pub(crate) fn weight(&self, run: u32, second: u32) -> f64 {
        let runs = f64::from(self.runs.saturating_sub(run));
        let days = f64::from(self.last.saturating_sub(second)) / SECONDS_OF_DAY;
        let kept: f64 = self
            .contexts
            .resets
            .iter()
            .filter(|(at, _)| run < *at)
            .map(|(_, keep)| f64::from(*keep))
            .product();
        kept * 0.5_f64.powf(runs / HALF_LIFE_RUNS + days / HALF_LIFE_DAYS)
    }

    /// The index of who, if the job knows them.
    pub(crate) fn actor(&self, who: &Who) -> Option<u16> {
        let at = self.actors.iter().position(|actor| actor.who == *who)?;
        u16::try_from(at).ok()
    }

    /// The same, made known. Whoever did nothing for longest gives up their place where there is none.
    pub(crate) fn actor_or_new(&mut self, who: &Who) -> u16 {
        if let Some(at) = self.actor(who) {
            return at;
        }
        let new = Actor {
            who: who.clone(),
            last_run: self.runs,
            ..Actor::default()
        };
        if self.actors.len() < limits::ACTORS {
            self.actors.push(new);
            return u16::try_from(self.actors.len() - 1).unwrap_or(u16::MAX);
        }
        let oldest = (0..self.actors.len())
            .min_by_key(|at| self.actors.get(*at).map(|actor| actor.last_run))
            .unwrap_or_default();
        let index = u16::try_from(oldest).unwrap_or(u16::MAX);
        for member in self.places.values_mut().chain(self.files.values_mut()) {
            member.uses.retain(|(actor, _)| *actor != index);
        }
        if let Some(place) = self.actors.get_mut(oldest) {
            *place = new;
        }
        self.give_up(1);
        index
    }

    /// The number of a step, made known where there is room.
    pub(crate) fn step(&mut self, step: &str) -> Option<u8> {
        let at = match self.steps.iter().position(|known| known == step) {
            Some(at) => at,
            None if self.steps.len() < limits::STEPS => {
                self.steps.push(step.to_owned());
                self.steps.len() - 1
            }
            None => {
                self.give_up(1);
                return None;
            }
        };
        u8::try_from(at).ok()
    }

    /// The member that a place is, or that it belongs to by its looks.
    pub(crate) fn find(&self, place: &Place) -> Option<(&str, &Member)> {
        let members = self.members(place.is_file);
        if let Some((text, member)) = members.get_key_value(&place.text) {
            return Some((text, member));
        }
        let masked = place.masked.as_ref()?;
        let (text, member) = members.get_key_value(&place.mask_text()?)?;
        let slots = &member.pattern.as_ref()?.slots;
        let fits = slots.len() == masked.values.len()
            && slots
                .iter()
                .zip(&masked.values)
                .all(|(slot, value)| slot.admits(value));
        fits.then_some((text, member))
    }

    /// Whether what is new becomes normal, because too little is known yet.
    pub(crate) fn is_creating(&self, settings: &Settings) -> bool {
        let days = self.last.saturating_sub(self.first) / SECONDS_OF_DAY as u32;
        let old_enough = settings
            .min_days
            .is_some_and(|min| self.runs > 0 && days >= min);
        self.runs < settings.min_runs && !old_enough
    }

    /// Counts what there was no room for.
    pub(crate) fn give_up(&mut self, things: u64) {
        self.given_up = self.given_up.saturating_add(things);
    }

    pub(crate) fn members(&self, files: bool) -> &BTreeMap<String, Member> {
        if files { &self.files } else { &self.places }
    }

    pub(crate) fn members_mut(&mut self, files: bool) -> &mut BTreeMap<String, Member> {
        if files {
            &mut self.files
        } else {
            &mut self.places
        }
    }
}

impl Sight {
    pub(crate) fn new(run: u32, second: u32, alerted: bool) -> Sight {
        Sight {
            first: second,
            last: second,
            first_run: run,
            last_run: run,
            runs: 1,
            alerted,
        }
    }

    /// Seen in this run; once is enough.
    pub(crate) fn again(&mut self, run: u32, second: u32) {
        if self.last_run != run || self.runs == 0 {
            self.runs = self.runs.saturating_add(1);
        }
        self.last_run = self.last_run.max(run);
        self.last = second;
    }

    /// Two records of the same thing.
    pub(crate) fn join(&mut self, other: &Sight) {
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.first_run = self.first_run.min(other.first_run);
        self.last_run = self.last_run.max(other.last_run);
        self.runs = self.runs.saturating_add(other.runs);
        self.alerted = false;
    }
}

impl Actor {
    /// Did something in this run.
    pub(crate) fn acted(&mut self, run: u32) {
        if self.last_run == run && self.runs > 0.0 {
            return;
        }
        self.runs = self.runs * fade(run, self.last_run) + 1.0;
        self.last_run = run;
    }

    /// Runs in which it acted, and of these how many had a new name below `parent`, as of `run`.
    pub(crate) fn noise(&self, parent: &str, run: u32) -> (f64, f64) {
        let runs = self.runs * fade(run, self.last_run);
        let noisy = self
            .noises
            .iter()
            .find(|noise| noise.parent == parent)
            .map_or(0.0, |noise| noise.runs * fade(run, noise.last_run));
        (f64::from(runs), f64::from(noisy))
    }

    /// Met a new name below `parent` in this run.
    pub(crate) fn met(&mut self, parent: &str, run: u32) {
        if parent.len() > limits::PARENT_BYTES {
            return;
        }
        if let Some(noise) = self.noises.iter_mut().find(|noise| noise.parent == parent) {
            if noise.last_run != run {
                noise.runs = noise.runs * fade(run, noise.last_run) + 1.0;
                noise.last_run = run;
            }
            return;
        }
        if self.noises.len() >= limits::NOISES {
            let faintest = (0..self.noises.len()).min_by(|a, b| {
                let runs = |at: &usize| self.noises.get(*at).map_or(0.0, |noise| noise.runs);
                runs(a).total_cmp(&runs(b))
            });
            if let Some(faintest) = faintest {
                self.noises.swap_remove(faintest);
            }
        }
        self.noises.push(Noise {
            parent: parent.to_owned(),
            runs: 1.0,
            last_run: run,
        });
    }
}

fn fade(now: u32, then: u32) -> f32 {
    let runs = f64::from(now.saturating_sub(then));
    0.5_f64.powf(runs / HALF_LIFE_RUNS) as f32
}

impl Volume {
    pub(crate) fn add(&mut self, bytes: u64) {
        let log = ln(bytes);
        self.runs = self.runs.saturating_add(1);
        // Old runs count for less: the mean follows what a job has become.
        let weight = 1.0 / f64::from(self.runs).min(HALF_LIFE_RUNS);
        let off = log - f64::from(self.mean);
        self.mean += (off * weight) as f32;
        let square = off * (log - f64::from(self.mean));
        // Rounding can bring it below nothing.
        self.squares =
            (self.squares + ((square - f64::from(self.squares)) * weight) as f32).max(0.0);
        self.most = self.most.max(bytes);
    }
}

pub(crate) fn ln(bytes: u64) -> f64 {
    (bytes as f64 + 1.0).ln()
}
