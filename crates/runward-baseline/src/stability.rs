//! How far a baseline can be relied on, and what would help.

use std::collections::BTreeMap;

use crate::key::AnomalyKey;
use crate::memory::{Actor, Memory};
use crate::novelty::{self, Novelty};
use crate::scope::Surroundings;
use crate::settings::Settings;
use crate::text::{counted, listed};

/// Culprits that a reason names.
const CULPRITS: usize = 10;

/// Of the runs of a program, so many with new names are worth a word.
const NOISY: f64 = 0.02;

/// With so many, a name of an unknown owner is no alert any more if this program calls it: 0.8, the part of attacks that
/// have one, is less than ten times as likely.
const BLIND: f64 = 0.08;

/// Names below one domain that are taken for rotating, though no pattern may stand for them.
const ROTATING: usize = 4;

/// The state of a baseline, made anew whenever somebody asks.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Too few runs: what is new becomes normal, and raises no alert.
    Creating {
        /// Runs so far.
        runs: u32,
        /// Runs that it takes.
        of: u32,
        /// What is missing, in one sentence.
        missing: String,
    },
    /// The rate of alerts is within the budget, as far as can be told.
    Stable,
    /// It may be above, or there are places where an attack would go unseen. Alerts are raised all the same.
    Unstable {
        /// Why, the weightiest first. Never empty.
        reasons: Vec<Reason>,
    },
}

/// One reason for being unstable, and what would settle it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reason {
    /// What is the matter, in one sentence.
    pub what: String,
    /// What would settle it, in one sentence.
    pub remedy: String,
    /// The destinations, files or programs that cause it, as people read them.
    pub culprits: Vec<String>,
    /// Lines of a policy that would settle it.
    pub policy: Vec<String>,
    /// What a person could accept to settle it.
    pub accept: Vec<AnomalyKey>,
    /// Runs without an alert after which it settles by itself.
    pub runs: Option<u32>,
}

pub(crate) fn state(memory: &Memory, around: &Surroundings, settings: &Settings) -> State {
    if memory.is_creating(settings) {
        return creating(memory, settings);
    }
    let novelty = novelty::novelty(memory, around);
    let quiet = novelty.alerts.high <= settings.alert_budget;
    // A baseline that is quiet because it can't see is not one to rely on.
    let blind = || noisy_programs(memory, BLIND).is_some() || overflow(memory).is_some();
    if quiet && !blind() {
        return State::Stable;
    }
    let mut reasons = Vec::new();
    if !quiet {
        reasons.extend(recent_news(memory, &novelty, settings));
        reasons.extend(recent_change(memory));
    }
    reasons.extend(noisy_programs(memory, NOISY));
    reasons.extend(rotating_tenants(memory));
    reasons.extend(overflow(memory));
    if reasons.is_empty() {
        reasons.push(too_little(&novelty, settings));
    }
    State::Unstable { reasons }
}

fn creating(memory: &Memory, settings: &Settings) -> State {
    let left = settings.min_runs.saturating_sub(memory.runs);
    let mut missing = format!("{} more to go", counted(u64::from(left), "run"));
    if let Some(days) = settings.min_days {
        missing.push_str(&format!(
            ", or until {} after the first",
            counted(u64::from(days), "day")
        ));
    }
    missing.push('.');
    State::Creating {
        runs: memory.runs,
        of: settings.min_runs,
        missing,
    }
}

/// What was new in the last runs, and raised alerts.
fn recent_news(memory: &Memory, novelty: &Novelty, settings: &Settings) -> Option<Reason> {
    let mut telling = novelty::telling(memory);
    telling.retain(|(news, weight)| news.sight.alerted && *weight > 0.1);
    telling.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    if telling.is_empty() {
        return None;
    }
    let mut culprits: Vec<String> = Vec::new();
    for (news, _) in &telling {
        if !culprits.iter().any(|known| known == news.subject) && culprits.len() < CULPRITS {
            culprits.push(news.subject.to_owned());
        }
    }
    let accept: Vec<AnomalyKey> = telling
        .iter()
        .filter_map(|(news, _)| news.open)
        .take(CULPRITS)
        .map(AnomalyKey::new)
        .collect();
    let left = novelty.alerts.runs_until(settings.alert_budget);
    let policy = culprits
        .iter()
        .filter(|text| text.contains(':'))
        .cloned()
        .collect();
    Some(Reason {
        what: format!("New in the last runs: {}.", listed(&culprits, 3)),
        remedy: format!(
            "Accept what is right and put it into the policy; {} without more of the kind settle it.",
            counted(u64::from(left), "run")
        ),
        culprits,
        policy,
        accept,
        runs: Some(left),
    })
}

/// Programs whose business it is to call ever new names.
fn noisy_programs(memory: &Memory, least: f64) -> Option<Reason> {
    let noisy = |actor: &Actor| {
        actor.noises.iter().any(|noise| {
            let (runs, noisy) = actor.noise(&noise.parent, memory.runs);
            runs > 20.0 && noisy / runs > least
        })
    };
    let culprits: Vec<String> = memory
        .actors
        .iter()
        .filter(|actor| noisy(actor))
        .map(|actor| actor.who.program.clone())
        .take(CULPRITS)
        .collect();
    (!culprits.is_empty()).then(|| Reason {
        what: format!("Ever new names are called by {}.", listed(&culprits, 3)),
        remedy: "Say in the policy where it may go, or run it in a job of its own.".to_owned(),
        culprits,
        ..Reason::default()
    })
}

/// Names below a domain where strangers have names as well, so that no pattern may stand for them.
fn rotating_tenants(memory: &Memory) -> Option<Reason> {
    let mut below: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (text, member) in &memory.places {
        let seldom = member.sight.runs.saturating_mul(4)
            < memory.runs.saturating_sub(member.sight.first_run);
        let parent = crate::place::Place::again(text, false).parent;
        if !parent.is_empty() && (seldom || member.sight.runs == 1) {
            below.entry(parent).or_default().push(text);
        }
    }
    let (parent, names) = below.into_iter().max_by_key(|(_, names)| names.len())?;
    (names.len() >= ROTATING).then(|| Reason {
        what: format!(
            "{} below {parent} take turns, and a pattern would admit strangers.",
            counted(names.len() as u64, "name")
        ),
        remedy: "Ask the service for a name of your own, or accept the names one by one."
            .to_owned(),
        culprits: names
            .iter()
            .take(CULPRITS)
            .map(|name| (*name).to_owned())
            .collect(),
        policy: names
            .iter()
            .take(CULPRITS)
            .map(|name| (*name).to_owned())
            .collect(),
        ..Reason::default()
    })
}

fn recent_change(memory: &Memory) -> Option<Reason> {
    let (part, ago) = memory.contexts.recent(memory.runs)?;
    Some(Reason {
        what: format!("The {part} changed {} ago.", counted(u64::from(ago), "run")),
        remedy: "The next runs show whether that brings anything new.".to_owned(),
        runs: Some(crate::context::AFTERMATH.saturating_sub(ago)),
        ..Reason::default()
    })
}

fn overflow(memory: &Memory) -> Option<Reason> {
    let full = memory.places.len() >= crate::limits::PLACES;
    full.then(|| Reason {
        what: format!(
            "The job calls more places than are kept ({}), so that some are new again and again.",
            crate::limits::PLACES
        ),
        remedy: "Split the job, or fence it with a policy.".to_owned(),
        ..Reason::default()
    })
}

/// Nothing is wrong, but not enough is known to promise.
fn too_little(novelty: &Novelty, settings: &Settings) -> Reason {
    let left = novelty.alerts.runs_until(settings.alert_budget);
    Reason {
        what: format!(
            "{} are too few to promise at most one alert in {:.0}.",
            counted(novelty.runs.round() as u64, "run"),
            1.0 / settings.alert_budget.max(1e-9)
        ),
        remedy: format!(
            "{} without an alert settle it.",
            counted(u64::from(left), "more run")
        ),
        runs: Some(left),
        ..Reason::default()
    }
}
