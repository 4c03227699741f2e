//! The same new thing in many places at once.

use std::collections::{BTreeMap, BTreeSet};

use runward_event::Time;
use serde::{Deserialize, Serialize};

use crate::key::AnomalyKey;
use crate::place::Who;
use crate::summary::Lineage;
use crate::text::counted;

/// Jobs, projects, organisations and runs that are told apart; beyond, they are counted as one more.
const PLACES: usize = 2_000;

/// Hours that the spread is drawn for: two weeks.
const HOURS: u32 = 336;

const NANOS: u64 = 1_000_000_000;

/// One anomaly of one run, with where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The anomaly.
    pub key: AnomalyKey,
    /// What it is about, for people.
    pub subject: String,
    /// When it happened.
    pub at: Time,
    /// The organisation, by any number that stays the same.
    pub organisation: i64,
    /// The project, the same way.
    pub project: i64,
    /// The job, the same way.
    pub job: i64,
    /// The run.
    pub run: String,
    /// Who did it.
    pub lineage: Lineage,
    /// The image of the runner.
    pub image: Option<String>,
    /// Whether the provider of the CI system owns the machine.
    pub hosted: Option<bool>,
}

/// The same new thing in two or more jobs inside a window of time. It grows by [`Incident::add`], in bounded size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// What they have in common.
    pub key: AnomalyKey,
    /// The same for people.
    pub subject: String,
    /// Where and when it was first seen.
    pub first: Sighting,
    /// When it was last seen.
    pub last: Time,
    /// How far it reaches.
    pub spread: Spread,
    /// What all sightings have in common.
    pub common: Common,
}

/// How far an incident reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Jobs, with their projects and organisations, as far as they are told apart.
    places: BTreeSet<(i64, i64, i64)>,
    /// Sightings in jobs that are not told apart any more.
    pub uncounted: u64,
    /// Sightings: one for each run and program.
    pub sightings: u64,
    /// Jobs by the hour, since the first sighting, in which it reached them.
    pub by_hour: BTreeMap<u32, u64>,
    /// Whether it also reached organisations that are not counted here: see [`Incident::seen_by`].
    #[serde(default)]
    pub elsewhere: bool,
}

/// What every sighting has in common; `None` where they differ, or where nothing is known of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Common {
    /// The program.
    pub program: Option<String>,
    /// The runner's image.
    pub image: Option<String>,
    /// The dependency.
    pub dependency: Option<String>,
    /// Whether the machines are the provider's (`true`), or all a user's own (`false`).
    pub hosted: Option<bool>,
    /// Whether it always ran outside of every step: no code of the users did it.
    pub outside_steps: bool,
}

impl Spread {
    /// Jobs.
    pub fn jobs(&self) -> u64 {
        self.places.len() as u64
    }

    /// Projects.
    pub fn projects(&self) -> u64 {
        let projects: BTreeSet<i64> = self.places.iter().map(|(_, project, _)| *project).collect();
        projects.len() as u64
    }

    /// Organisations.
    pub fn organisations(&self) -> u64 {
        let organisations: BTreeSet<i64> = self.places.iter().map(|(org, ..)| *org).collect();
        organisations.len() as u64
    }

    fn add(&mut self, sighting: &Sighting, first: Time) {
        self.sightings += 1;
        let place = (sighting.organisation, sighting.project, sighting.job);
        if self.places.len() >= PLACES && !self.places.contains(&place) {
            self.uncounted += 1;
        } else if self.places.insert(place) {
            let hour = sighting.at.nanos_since(first) / (3_600 * NANOS);
            let hour = u32::try_from(hour).unwrap_or(HOURS).min(HOURS);
            *self.by_hour.entry(hour).or_default() += 1;
        }
    }
}

impl Incident {
    /// An incident, as soon as two jobs saw the same thing and no more than `window_seconds` lie between one sighting and
    /// the next. Of several waves, the last one.
    pub fn of(sightings: &[Sighting], window_seconds: u64) -> Option<Incident> {
        let mut sorted: Vec<&Sighting> = sightings.iter().collect();
        sorted.sort_by_key(|sighting| sighting.at);
        let mut wave: Option<Incident> = None;
        for sighting in sorted {
            let joined = wave
                .as_mut()
                .is_some_and(|wave| wave.add(sighting, window_seconds));
            if !joined {
                wave = Some(Incident::begin(sighting));
            }
        }
        wave.filter(|wave| wave.spread.jobs() > 1)
    }

    fn begin(first: &Sighting) -> Incident {
        let who = Who::of(&first.lineage);
        let mut spread = Spread::default();
        spread.add(first, first.at);
        Incident {
            key: first.key.clone(),
            subject: first.subject.clone(),
            first: first.clone(),
            last: first.at,
            spread,
            common: Common {
                program: Some(who.program),
                image: first.image.clone(),
                dependency: (!who.dependency.is_empty()).then_some(who.dependency),
                hosted: first.hosted,
                outside_steps: first.lineage.step.is_none(),
            },
        }
    }

    /// Takes one more sighting. Answers whether it belongs here: the same thing, in the window around the others.
    pub fn add(&mut self, sighting: &Sighting, window_seconds: u64) -> bool {
        let window = window_seconds.saturating_mul(NANOS);
        let late = sighting.at.nanos_since(self.last) > window;
        let early = self.first.at.nanos_since(sighting.at) > window;
        if sighting.key != self.key || late || early {
            return false;
        }
        if sighting.at < self.first.at {
            self.first = sighting.clone();
        }
        self.last = self.last.max(sighting.at);
        self.spread.add(sighting, self.first.at);
        self.common.narrow(sighting);
        true
    }

    /// The same without what one organisation may not know of another: where it was first is told only inside, and of
    /// the others no more than that they are not spared.
    pub fn seen_by(&self, organisation: i64) -> Incident {
        let mut seen = self.clone();
        seen.spread.places.retain(|(org, ..)| *org == organisation);
        seen.spread.elsewhere |= seen.spread.places.len() < self.spread.places.len();
        if self.first.organisation != organisation {
            seen.first.organisation = 0;
            seen.first.project = 0;
            seen.first.job = 0;
            seen.first.run.clear();
            seen.first.lineage.step = None;
        }
        seen
    }

    /// One sentence for people.
    pub fn sentence(&self) -> String {
        let happened = match self.key.finding() {
            Some(_) => "was found",
            None => "was new",
        };
        let mut text = format!(
            "{} {happened} in {} of {} and {}",
            self.subject,
            counted(self.spread.jobs(), "job"),
            counted(self.spread.projects(), "project"),
            counted(self.spread.organisations(), "organisation"),
        );
        if self.spread.elsewhere {
            text.push_str(", and in other organisations of this server");
        }
        if let Some(program) = &self.common.program {
            text.push_str(&format!(", always by {program}"));
        }
        if let Some(dependency) = &self.common.dependency {
            text.push_str(&format!(" for {dependency}"));
        }
        match self.common.hosted {
            Some(true) => text.push_str(", only on machines of the provider"),
            Some(false) => text.push_str(", only on machines of one's own"),
            None => {}
        }
        if let Some(image) = &self.common.image {
            text.push_str(&format!(" with the image {image}"));
        }
        text.push('.');
        if self.common.outside_steps {
            text.push_str(" It ran outside of every step: no code of the users did it.");
        }
        text
    }
}

impl Common {
    fn narrow(&mut self, sighting: &Sighting) {
        let who = Who::of(&sighting.lineage);
        self.program.take_if(|known| *known != who.program);
        self.dependency.take_if(|known| *known != who.dependency);
        self.image
            .take_if(|known| sighting.image.as_ref() != Some(known));
        self.hosted.take_if(|known| sighting.hosted != Some(*known));
        self.outside_steps &= sighting.lineage.step.is_none();
    }
}
