//! The state of one job, and all that can be done with it.

use runward_event::Time;

use crate::anomaly::{Judgement, Kind};
use crate::change::{Actor, Change, What};
use crate::doings::Doings;
use crate::encode;
use crate::judge::{Examined, Examiner};
use crate::key::{AnomalyKey, Key};
use crate::learn::Lesson;
use crate::ledger::{Decision, Ledger};
use crate::limits;
use crate::member::{close, join, remove};
use crate::memory::{Member as Kept, Memory, Origin, Sight};
use crate::novelty::{self, Novelty};
use crate::scope::{ScopeDelta, Surroundings};
use crate::settings::Settings;
use crate::shape::{Slot, filled};
use crate::stability::{self, State};
use crate::summary::{RunSummary, Trust};
use crate::text::harmless;

/// What is normal for one job.
///
/// A run's way: the shell makes a [`RunSummary`] of what has come so far, asks [`Baseline::keys`] what to look up around
/// the job, and gives it to [`Baseline::watch`], which says what is not normal and remembers that somebody was told, so
/// that another run, which may begin before this one has ended, doesn't tell it again. When the run has ended, the whole
/// summary goes to [`Baseline::learn`]. Both answer with lines of the changelog and with what changes around the job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    memory: Memory,
    /// What a newer version wrote behind what this one knows.
    rest: Vec<u8>,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learned {
    /// Whether it was taken in. A run that was taken in before, or is older than all that are remembered, is not.
    pub taken: bool,
    /// What is not normal in it.
    pub judgement: Judgement,
    /// Lines of the changelog.
    pub changes: Vec<Change>,
    /// What changes around the job.
    pub delta: ScopeDelta,
}

/// What came of a person's decision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decided {
    /// Lines of the changelog; none if there was nothing to decide.
    pub changes: Vec<Change>,
    /// What changes around the job.
    pub delta: ScopeDelta,
}

/// Something that is normal.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// By this it can be removed.
    pub key: AnomalyKey,
    /// What it is: `name:port`, `name:port/udp`, a pattern such as `shard*.store.example:443`, or a path. What is not a
    /// path is an endpoint of a policy.
    pub subject: String,
    /// What a pattern was made of.
    pub pattern: Option<MemberPattern>,
    /// A file, and not a destination.
    pub is_file: bool,
    /// The programs, with the dependencies that they ran for: `/usr/bin/node (esbuild)`.
    pub programs: Vec<String>,
    /// The steps.
    pub steps: Vec<String>,
    /// When it was first seen.
    pub first_seen: Time,
    /// When it was last seen.
    pub last_seen: Time,
    /// In how many runs.
    pub runs: u64,
    /// The most bytes that one run sent.
    pub most_sent: u64,
    /// How it became normal.
    pub how: How,
}

/// How something became normal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// In the first runs.
    Created,
    /// By recurring.
    Recurred,
    /// By a person.
    Accepted(String),
}

/// What a pattern was made of, and what it admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberPattern {
    /// What each `*` stands for: `1 to 2 digits`. A policy's `*` is wider.
    pub stars: Vec<String>,
    /// Some of the names.
    pub samples: Vec<String>,
    /// How many names there were, at least.
    pub names: u32,
}

/// Something new that nobody has answered.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenAnomaly {
    /// See [`crate::Anomaly::key`].
    pub key: AnomalyKey,
    /// See [`crate::Anomaly::kind`].
    pub kind: Kind,
    /// See [`crate::Anomaly::subject`].
    pub subject: String,
    /// Whether somebody was told.
    pub told: bool,
    /// Who did it: programs, with the dependencies that they ran for.
    pub programs: Vec<String>,
    /// When it was first seen.
    pub first_seen: Time,
    /// When it was last seen.
    pub last_seen: Time,
    /// In how many runs that have ended.
    pub runs: u32,
    /// In how many commits that count for becoming normal.
    pub counted: u32,
    /// How many of these it takes; `None` if only a person can accept it.
    pub takes: Option<u32>,
    /// Who rejected it, if somebody did.
    pub rejected_by: Option<String>,
}

/// Why bytes are not a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A newer version wrote it, in a way that this one can't read.
    #[error("the baseline was written by a newer version (format {0}): upgrade this server")]
    Newer(u8),
    /// It is damaged.
    #[error("the baseline is damaged: learn it anew from the recorded runs")]
    Damaged,
}

impl Baseline {
    /// What should be looked up around the job to judge this run: at most [`limits::KEYS`], and none for a run without
    /// news. What is not looked up counts as not known.
    pub fn keys(&self, run: &RunSummary) -> Vec<Key> {
        let around = Surroundings::default();
        let settings = Settings::default();
        Examiner::new(&self.memory, &around, &settings, run).keys(&Doings::of(run))
    }

    /// What is not normal in a run, or in as much of it as has come. Changes nothing.
    pub fn judge(&self, run: &RunSummary, around: &Surroundings, settings: &Settings) -> Judgement {
        self.examine(run, around, settings).2
    }

    /// The same, and remembers what somebody is told of. For a run that goes on; calling it again with more of the same run
    /// tells the same again, and what is new.
    pub fn watch(
        &mut self,
        run: &RunSummary,
        around: &Surroundings,
        settings: &Settings,
    ) -> Learned {
        let (_, examined, judgement) = self.examine(run, around, settings);
        let mut lesson = Lesson::new(&mut self.memory, run, settings);
        lesson.hold(&examined);
        lesson.ledger.learned(false, judgement)
    }

    /// Takes in a run that has ended. A run that comes again changes nothing; neither does the pull request of a fork, but
    /// for what somebody was told of.
    pub fn learn(
        &mut self,
        run: &RunSummary,
        around: &Surroundings,
        settings: &Settings,
    ) -> Learned {
        let (doings, examined, judgement) = self.examine(run, around, settings);
        let mut lesson = Lesson::new(&mut self.memory, run, settings);
        let taken = lesson.admit();
        match (taken, run.facts.trust) {
            (false, _) => {}
            (true, Trust::Fork) => lesson.hold(&examined),
            (true, Trust::Branch | Trust::Protected) => lesson.take(&doings, &examined),
        }
        lesson.ledger.learned(taken, judgement)
    }

    fn examine(
        &self,
        run: &RunSummary,
        around: &Surroundings,
        settings: &Settings,
    ) -> (Doings, Examined, Judgement) {
        let doings = Doings::of(run);
        let examiner = Examiner::new(&self.memory, around, settings, run);
        let examined = examiner.examine(&doings);
        let judgement = examiner.judgement(&examined, doings.omitted);
        (doings, examined, judgement)
    }

    /// A person says that something new is normal.
    pub fn accept(&mut self, key: &AnomalyKey, by: &str, at: Time) -> Decided {
        let by = harmless(by, limits::PERSON_BYTES);
        let mut ledger = Ledger::default();
        if let Some(mut open) = close(&mut self.memory, &mut ledger, key.as_str()) {
            // An amount of data, or a storm, was an alert; what it was is not news that tells of more.
            open.rejected_by = None;
            let decision = Decision {
                at,
                by: Actor::Person(by.clone()),
                run: None,
                why: "A person accepted it.",
            };
            join(
                &mut self.memory,
                &mut ledger,
                &open,
                Origin::Person(by),
                &decision,
            );
        }
        ledger.decided()
    }

    /// A person says that something new is wrong: it never becomes normal by itself, and alerts in every run that shows it.
    pub fn reject(&mut self, key: &AnomalyKey, by: &str, at: Time) -> Decided {
        let by = harmless(by, limits::PERSON_BYTES);
        let mut ledger = Ledger::default();
        if let Some(open) = self.memory.open.get_mut(key.as_str()) {
            open.rejected_by = Some(by.clone());
            open.commits.clear();
            let subject = open.subject.clone();
            let why = "It alerts in every run that shows it.".to_owned();
            ledger.note(at, What::Rejected, &subject, None, Actor::Person(by), why);
        }
        ledger.decided()
    }

    /// A person says that something is no longer normal. The key is that of [`Member::key`].
    pub fn remove(&mut self, key: &AnomalyKey, by: &str, at: Time) -> Decided {
        let mut ledger = Ledger::default();
        let parts = key.as_str().split_once('|');
        let (is_file, text) = match parts {
            Some(("place", text)) => (false, text),
            Some(("file", text)) => (true, text),
            _ => return Decided::default(),
        };
        if remove(&mut self.memory, &mut ledger, text, is_file).is_some() {
            let by = Actor::Person(harmless(by, limits::PERSON_BYTES));
            ledger.note(
                at,
                What::Removed,
                text,
                None,
                by,
                "A person removed it.".to_owned(),
            );
        }
        ledger.decided()
    }

    /// Begins as the baseline of the job that this one was called before. What this one had learned itself is given up.
    pub fn adopt(&mut self, earlier: &Baseline, name: &str, by: &str, at: Time) -> Decided {
        let mut ledger = Ledger::default();
        *self = earlier.clone();
        let by = Actor::Person(harmless(by, limits::PERSON_BYTES));
        let subject = harmless(name, limits::STEP_BYTES);
        let why = "The job was called this before.".to_owned();
        ledger.note(at, What::Adopted, &subject, None, by, why);
        ledger.decided()
    }

    /// How much two jobs do the same, from 0 to 1: a job that was renamed has nearly 1 with what it was.
    pub fn resembles(&self, other: &Baseline) -> f64 {
        let share =
            |of: &Kept, memory: &Memory| f64::from(of.sight.runs) / f64::from(memory.runs.max(1));
        let (mut both, mut either) = (0.0, 0.0);
        for is_file in [false, true] {
            let (mine, theirs) = (self.memory.members(is_file), other.memory.members(is_file));
            for (text, member) in mine {
                let here = share(member, &self.memory).min(1.0);
                let there = theirs
                    .get(text)
                    .map_or(0.0, |member| share(member, &other.memory).min(1.0));
                both += here.min(there);
                either += here.max(there);
            }
            let missing = theirs.iter().filter(|(text, _)| !mine.contains_key(*text));
            either += missing
                .map(|(_, member)| share(member, &other.memory).min(1.0))
                .sum::<f64>();
        }
        if either > 0.0 { both / either } else { 0.0 }
    }

    /// How often it shows something new.
    pub fn novelty(&self, around: &Surroundings) -> Novelty {
        novelty::novelty(&self.memory, around)
    }

    /// How far it can be relied on.
    pub fn state(&self, around: &Surroundings, settings: &Settings) -> State {
        stability::state(&self.memory, around, settings)
    }

    /// What is normal: destinations, then files, each by name.
    pub fn members(&self) -> Vec<Member> {
        let members = |is_file: bool| {
            let kept = self.memory.members(is_file).iter();
            kept.map(move |(text, kept)| self.member(text, kept, is_file))
        };
        members(false).chain(members(true)).collect()
    }

    fn member(&self, text: &str, kept: &Kept, is_file: bool) -> Member {
        let kind = if is_file { "file" } else { "place" };
        let programs = kept.uses.iter().filter_map(|(actor, _)| {
            let actor = self.memory.actors.get(usize::from(*actor))?;
            Some(actor.who.words())
        });
        let steps = kept
            .steps
            .iter()
            .filter_map(|step| self.memory.steps.get(usize::from(*step)));
        let (first_seen, last_seen) = times(&kept.sight);
        Member {
            key: AnomalyKey::new(&format!("{kind}|{text}")),
            subject: match &kept.pattern {
                Some(pattern) => filled(text, &pattern.slots),
                None => text.to_owned(),
            },
            pattern: kept.pattern.as_ref().map(|pattern| MemberPattern {
                stars: pattern.slots.iter().filter_map(Slot::words).collect(),
                samples: pattern.samples.clone(),
                names: pattern.names,
            }),
            is_file,
            programs: programs.collect(),
            steps: steps.cloned().collect(),
            first_seen,
            last_seen,
            runs: u64::from(kept.sight.runs),
            most_sent: kept.volume.most,
            how: match &kept.origin {
                Origin::Created => How::Created,
                Origin::Recurred => How::Recurred,
                Origin::Person(name) => How::Accepted(name.clone()),
            },
        }
    }

    /// What is new, and nobody has answered; the last seen first.
    pub fn open(&self, settings: &Settings) -> Vec<OpenAnomaly> {
        let mut all: Vec<OpenAnomaly> = self
            .memory
            .open
            .iter()
            .map(|(key, open)| {
                let (first_seen, last_seen) = times(&open.sight);
                OpenAnomaly {
                    key: AnomalyKey::new(key),
                    kind: open.kind,
                    subject: open.subject.clone(),
                    told: open.told,
                    programs: open.who.iter().map(|who| who.words()).collect(),
                    first_seen,
                    last_seen,
                    runs: open.sight.runs,
                    counted: u32::try_from(open.commits.len()).unwrap_or(u32::MAX),
                    takes: open
                        .takes(settings)
                        .and_then(|takes| u32::try_from(takes).ok()),
                    rejected_by: open.rejected_by.clone(),
                }
            })
            .collect();
        all.sort_by(|a, b| {
            b.last_seen
                .cmp(&a.last_seen)
                .then_with(|| a.key.cmp(&b.key))
        });
        all
    }

    /// Runs that were taken in.
    pub fn runs(&self) -> u64 {
        u64::from(self.memory.runs)
    }

    /// Things that were given up because a job had too many of them, and runs that were too old to be taken in.
    pub fn given_up(&self) -> (u64, u64) {
        (self.memory.given_up, self.memory.too_old)
    }

    /// When the first and the last run that was taken in came.
    pub fn period(&self) -> Option<(Time, Time)> {
        (self.memory.runs > 0).then(|| (time(self.memory.first), time(self.memory.last)))
    }

    /// The state in bytes, at most [`limits::STATE_BYTES`].
    pub fn encode(&self) -> Vec<u8> {
        encode::written(&self.memory, &self.rest)
    }

    /// Reads what [`Baseline::encode`] wrote, in this version, an older one, or a newer one that only added to it: what
    /// was added is kept and written again.
    pub fn decode(bytes: &[u8]) -> Result<Baseline, DecodeError> {
        let (memory, rest): (Memory, _) = encode::read(bytes, limits::STATE_BYTES)?;
        if !memory.is_sound() || rest.len() > limits::REST_BYTES {
            return Err(DecodeError::Damaged);
        }
        Ok(Baseline {
            memory,
            rest: rest.to_vec(),
        })
    }
}

impl Ledger {
    fn learned(self, taken: bool, judgement: Judgement) -> Learned {
        let (changes, delta) = self.close();
        Learned {
            taken,
            judgement,
            changes,
            delta,
        }
    }

    fn decided(self) -> Decided {
        let (changes, delta) = self.close();
        Decided { changes, delta }
    }
}

fn times(sight: &Sight) -> (Time, Time) {
    (time(sight.first), time(sight.last))
}

fn time(second: u32) -> Time {
    Time::from_unix_nanos(u64::from(second) * 1_000_000_000)
}
