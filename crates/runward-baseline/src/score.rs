//! How many times likelier something is in an attack than in an ordinary run.
//!
//! The score is the logarithm of a likelihood ratio. Its denominator is measured: how often jobs show such a thing in an
//! ordinary run, from the drift of real allowlists (see `docs/baseline.md`), and how often this very program does. Its
//! numerator can't be measured, and is a judgement: in which part of attacks such a thing was seen, going by the
//! published attacks on pipelines from 2021 to 2026 that `docs/baseline.md` lists. Both stand here in one table each.

use runward_detect::Severity;

use crate::place::{Place, Who};
use crate::summary::Trust;

/// The shortest name of an owner that is compared with others: short ones are alike by chance.
pub(crate) const ALIKE_BYTES: usize = 5;

/// Nothing is believed to be rarer than this in an ordinary run.
const RAREST: f64 = 0.001;

/// No score is above, whatever comes together.
const HIGHEST: f64 = 4.0;

/// A score, with why.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Score {
    /// As a power of ten.
    pub(crate) value: f64,
    /// Sentences, the weightiest first.
    pub(crate) because: Vec<String>,
    rejected: bool,
}

/// What is known of a place that the job never went to. From the strangest to the most familiar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Found {
    /// Nothing: neither it nor its owner.
    Stranger,
    /// The job uses another name of the same open service.
    SameService,
    /// It is normal around the job, but this program never went there.
    PlaceAround,
    /// It is of those that serve everybody who builds software, and take nothing.
    PublicSource,
    /// Another name of the same owner is normal next door.
    OwnerAround,
    /// The job uses another name of the same owner.
    SameOwner,
    /// The same program goes there in another project.
    VisitInOrganisation,
    /// The same program goes there in another job of the project.
    VisitInProject,
}

/// What is known of who did it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lineage {
    /// The program never did anything that is watched here.
    NewProgram,
    /// The program did, but never for this dependency, and nothing else did.
    NewDependency,
    /// Program and dependency are both known, but not together.
    Elsewhere,
    /// It is known.
    Known,
}

/// A place that the job never went to.
pub(crate) struct New<'a> {
    pub(crate) place: &'a Place,
    pub(crate) found: Found,
    pub(crate) lineage: Lineage,
    pub(crate) who: &'a Who,
    /// Days from one run to the next.
    pub(crate) gap: f64,
    /// Runs of the program, and how many of them met a stranger there.
    pub(crate) noise: (f64, f64),
    pub(crate) changed: &'a [&'static str],
    pub(crate) trust: Trust,
    /// A known owner that the new one looks like.
    pub(crate) alike: Option<&'a str>,
    pub(crate) runs: u32,
}

/// A known place, and somebody who never went there.
pub(crate) struct Shifted<'a> {
    pub(crate) place: &'a Place,
    pub(crate) lineage: Lineage,
    /// The program went there, for other dependencies.
    pub(crate) program_here: bool,
    /// The program goes there in another job.
    pub(crate) next_door: Option<Found>,
    pub(crate) who: &'a Who,
    pub(crate) gap: f64,
    pub(crate) changed: &'a [&'static str],
    pub(crate) trust: Trust,
}

/// In which part of attacks a new place of this kind is seen, reached by somebody like this.
fn attacks_with_new(found: Found, lineage: Lineage) -> f64 {
    use Found as F;
    use Lineage as L;
    match (found, lineage) {
        (F::Stranger, L::NewProgram | L::NewDependency) => 0.9,
        (F::Stranger, L::Elsewhere | L::Known) => 0.8,
        (F::SameService | F::PlaceAround, L::NewProgram | L::NewDependency) => 0.1,
        (F::SameService | F::PlaceAround, L::Elsewhere | L::Known) => 0.02,
        (F::PublicSource, L::NewDependency) => 0.1,
        (F::PublicSource, L::NewProgram) => 0.02,
        (F::PublicSource, L::Elsewhere | L::Known) => 0.003,
        (F::OwnerAround | F::SameOwner, L::NewProgram | L::NewDependency) => 0.02,
        (F::OwnerAround | F::SameOwner, L::Elsewhere | L::Known) => 0.003,
        (F::VisitInOrganisation, _) => 0.005,
        (F::VisitInProject, _) => 0.002,
    }
}

/// How often an ordinary run shows a new place of this kind: for each run, and for each day since the run before.
fn ordinary_with_new(found: Found) -> (f64, f64) {
    match found {
        Found::Stranger => (0.0015, 0.006),
        Found::SameService | Found::PlaceAround | Found::PublicSource => (0.003, 0.01),
        Found::OwnerAround
        | Found::SameOwner
        | Found::VisitInOrganisation
        | Found::VisitInProject => (0.004, 0.015),
    }
}

/// In which part of attacks somebody like this is seen at a place that the job knows.
fn attacks_at_known(open: bool, lineage: Lineage, program_here: bool) -> f64 {
    match (open, lineage, program_here) {
        (true, Lineage::NewProgram, _) => 0.15,
        (true, Lineage::NewDependency, _) => 0.1,
        (true, Lineage::Elsewhere | Lineage::Known, false) => 0.05,
        (true, Lineage::Elsewhere | Lineage::Known, true) => 0.004,
        (false, Lineage::NewProgram | Lineage::NewDependency, _) => 0.03,
        (false, Lineage::Elsewhere | Lineage::Known, false) => 0.003,
        (false, Lineage::Elsewhere | Lineage::Known, true) => 0.001,
    }
}

/// How often an ordinary run shows a known place reached by somebody new.
const ORDINARY_SHIFT: (f64, f64) = (0.001, 0.003);

/// The same for a file that was never overwritten, or not by this program, and the part of attacks that do it.
const ORDINARY_FILE: (f64, f64) = (0.0015, 0.003);
const ATTACKS_NEW_FILE: f64 = 0.3;
const ATTACKS_FILE_AROUND: f64 = 0.003;
const ATTACKS_KNOWN_FILE: f64 = 0.05;

/// Attacks that send far more data than ever to a known place: where anybody can leave data, and elsewhere.
const ATTACKS_VOLUME: (f64, f64) = (0.1, 0.005);

/// News of a program that is known are so many times likelier in a run that something has changed for.
const CHANGED: f64 = 5.0;

/// How much weight the figures have against what is measured of one program, in runs of it.
const BELIEF: f64 = 40.0;

pub(crate) fn of_new(new: &New<'_>) -> Score {
    let place = new.place;
    let (mut attacks, figures) = match (place.is_file, new.found) {
        // Where anybody can leave data, what is normal next door is judged like what is normal here and reached by
        // somebody new.
        (false, Found::PlaceAround) if place.is_open() => {
            (attacks_at_known(true, new.lineage, false), ORDINARY_SHIFT)
        }
        (false, found) => (
            attacks_with_new(found, new.lineage),
            ordinary_with_new(found),
        ),
        (true, Found::Stranger) => (ATTACKS_NEW_FILE, ORDINARY_FILE),
        (true, _) => (ATTACKS_FILE_AROUND, ORDINARY_FILE),
    };
    let mut ordinary = rate(figures, new.gap);
    let mut score = Score::default();
    score.because.push(what_is_new(new));
    score.because.extend(who_is_new(new.lineage, new.who));
    if new.lineage == Lineage::Known && !new.changed.is_empty() {
        score.because.push(changed_sentence(new.changed));
        ordinary *= CHANGED;
    }
    if new.found == Found::Stranger && !place.is_file {
        let (runs, noisy) = new.noise;
        let measured = (ordinary * BELIEF + noisy) / (BELIEF + runs);
        if measured > ordinary && noisy > 2.0 {
            ordinary = measured;
            score.because.push(format!(
                "{} meets a new name about once in {:.0} of its runs, so one more says little.",
                new.who.program,
                (1.0 / measured).max(1.0)
            ));
        }
        if let Some(known) = new.alike {
            attacks *= 3.0;
            score.because.insert(
                0,
                format!("It looks like {known}, which the job knows, and is not."),
            );
        }
        if place.bare {
            attacks *= 1.5;
            score
                .because
                .push("It is an address that no name was looked up for.".to_owned());
        }
        if let Some(kind) = place.open {
            score.because.push(open_sentence(kind));
        } else if !place.parent.is_empty() {
            score
                .because
                .push(format!("Anybody can have a name below {}.", place.parent));
        }
    }
    attacks *= of_trust(new.trust, &mut score);
    score.settle(attacks, ordinary);
    score
}

pub(crate) fn of_lineage(shifted: &Shifted<'_>) -> Score {
    let place = shifted.place;
    let mut score = Score::default();
    let who = shifted.who;
    let mut attacks = if place.is_file {
        ATTACKS_KNOWN_FILE
    } else {
        attacks_at_known(place.is_open(), shifted.lineage, shifted.program_here)
    };
    let verb = if place.is_file { "overwrote" } else { "called" };
    score.because.push(if shifted.program_here {
        format!(
            "{} {verb} {} before, but never for {}.",
            who.program,
            place.text,
            dependency(who)
        )
    } else {
        format!(
            "The job knows {}, but {} never {verb} it.",
            place.text,
            who.words()
        )
    });
    score.because.extend(who_is_new(shifted.lineage, who));
    if let Some(kind) = place.open {
        score.because.push(open_sentence(kind));
    }
    if let Some(found) = shifted.next_door {
        attacks = attacks.min(attacks_with_new(found, shifted.lineage));
        score.because.push(match found {
            Found::VisitInProject => "It does so in another job of the project.".to_owned(),
            _ => "It does so in another project of the organisation.".to_owned(),
        });
    }
    let figures = if place.is_file {
        ORDINARY_FILE
    } else {
        ORDINARY_SHIFT
    };
    let mut ordinary = rate(figures, shifted.gap);
    if shifted.lineage == Lineage::Known && !shifted.changed.is_empty() {
        score.because.push(changed_sentence(shifted.changed));
        ordinary *= CHANGED.sqrt();
    }
    attacks *= of_trust(shifted.trust, &mut score);
    score.settle(attacks, ordinary);
    score
}

pub(crate) fn of_volume(place: &Place, sent: u64, most: u64, runs: u32, chance: f64) -> Score {
    let mut score = Score::default();
    score.because.push(format!(
        "{} went to {}, and never more than {} in {runs} runs.",
        bytes(sent),
        place.text,
        bytes(most)
    ));
    let (open, owned) = ATTACKS_VOLUME;
    let attacks = if place.is_open() { open } else { owned };
    if let Some(kind) = place.open {
        score.because.push(open_sentence(kind));
    }
    score.settle(attacks, chance);
    score
}

/// For a day at most: what changes over weeks must not make a job that runs rarely blind.
fn rate((run, day): (f64, f64), gap: f64) -> f64 {
    run + day * gap.clamp(0.0, 1.0)
}

fn of_trust(trust: Trust, score: &mut Score) -> f64 {
    match trust {
        Trust::Fork => {
            score.because.push("The code comes from a fork.".to_owned());
            2.0
        }
        Trust::Branch | Trust::Protected => 1.0,
    }
}

fn what_is_new(new: &New<'_>) -> String {
    let text = &new.place.text;
    let runs = new.runs;
    match (new.found, new.place.is_file) {
        (Found::Stranger, false) => format!(
            "No run of this job called {text} before ({runs} so far), and nothing around it knows who owns that."
        ),
        (Found::SameService, _) => format!(
            "No run of this job called {text} before, but it uses {}, which belongs to the same service.",
            new.place.owner
        ),
        (Found::PlaceAround, false) => format!(
            "No run of this job called {text} before; it is normal around it, but not for {}.",
            new.who.program
        ),
        (Found::PublicSource, _) => format!(
            "No run of this job called {text} before; it is {}, serves everybody alike and takes nothing.",
            new.place.public.unwrap_or("well known")
        ),
        (Found::OwnerAround | Found::SameOwner, _) => format!(
            "No run of this job called {text} before, but names of {} are normal.",
            new.place.owner
        ),
        (Found::VisitInProject, false) => format!(
            "No run of this job called {text} before, but {} does so in another job of the project.",
            new.who.program
        ),
        (Found::VisitInOrganisation, false) => format!(
            "No run of this job called {text} before, but {} does so in another project of the organisation.",
            new.who.program
        ),
        (Found::Stranger, true) => {
            format!("No run of this job overwrote {text} before ({runs} so far).")
        }
        (_, true) => format!(
            "No run of this job overwrote {text} before, but another job of the project does."
        ),
    }
}

fn who_is_new(lineage: Lineage, who: &Who) -> Option<String> {
    match lineage {
        Lineage::NewProgram => Some(format!("{} never did anything here before.", who.program)),
        Lineage::NewDependency => Some(format!(
            "Nothing of {} ever did anything here.",
            dependency(who)
        )),
        Lineage::Elsewhere | Lineage::Known => None,
    }
}

fn dependency(who: &Who) -> &str {
    if who.dependency.is_empty() {
        "no dependency"
    } else {
        &who.dependency
    }
}

fn open_sentence(kind: &str) -> String {
    format!("It is {kind}: anybody can leave data there.")
}

fn changed_sentence(changed: &[&'static str]) -> String {
    format!(
        "The {} changed with this run, so that news from a program which is known is expected.",
        crate::text::listed(changed, 4)
    )
}

fn bytes(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (size, unit) in units {
        if bytes >= size {
            return format!("{:.1} {unit}", bytes as f64 / size as f64);
        }
    }
    format!("{bytes} bytes")
}

impl Score {
    fn settle(&mut self, attacks: f64, ordinary: f64) {
        let ratio = attacks.min(1.0) / ordinary.max(RAREST);
        self.value = ratio.log10().clamp(-HIGHEST, HIGHEST);
    }

    /// Somebody said that it is wrong.
    pub(crate) fn reject(&mut self, by: &str) {
        self.value = HIGHEST;
        self.rejected = true;
        self.because.insert(0, format!("{by} rejected it."));
    }

    pub(crate) fn severity(&self) -> Severity {
        if self.rejected || self.value >= 2.2 {
            Severity::High
        } else if self.value >= 1.6 {
            Severity::Medium
        } else {
            Severity::Low
        }
    }
}
