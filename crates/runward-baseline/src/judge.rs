//! What is not normal in a run: everything that it did is held against what is known.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::anomaly::{Confidence, Disposition, Judgement, Kind, Storm};
use crate::doings::{Deed, Doing, Doings};
use crate::finding::{Finding, WHO, anomaly, lineage_key, merge, new_key, new_kind};
use crate::key::{AnomalyKey, Key, hash};
use crate::limits;
use crate::memory::{Member, Memory, Open, ln};
use crate::place::{Place, Who};
use crate::scope::{Level, Surroundings};
use crate::score::{self, Found, Score};
use crate::settings::Settings;
use crate::summary::RunSummary;

/// How long ago something may have been opened elsewhere for this to be the same story, in days.
const STORY_DAYS: u64 = 14;

/// Runs with known amounts of data that it takes to call another amount too much.
const VOLUME_RUNS: u32 = 20;

/// How many times the most so far, and how many bytes more, are too much data.
const VOLUME_TIMES: u64 = 4;
const VOLUME_BYTES: u64 = 256 << 10;

/// What was found in a run.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    /// The worst first.
    pub(crate) findings: Vec<Finding>,
    /// Places that are known, by the text of the member that knows them.
    pub(crate) visits: Vec<((bool, String), String)>,
    pub(crate) storm: Option<Storm>,
}

/// Holds a run against what is known.
pub(crate) struct Examiner<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) around: &'a Surroundings,
    pub(crate) settings: &'a Settings,
    pub(crate) run: &'a RunSummary,
    run_hash: u64,
    /// What has changed since the runs before, in words.
    changed: Vec<&'static str>,
    pub(crate) owners: OnceCell<HashSet<&'a str>>,
}

impl<'a> Examiner<'a> {
    pub(crate) fn new(
        memory: &'a Memory,
        around: &'a Surroundings,
        settings: &'a Settings,
        run: &'a RunSummary,
    ) -> Examiner<'a> {
        Examiner {
            memory,
            around,
            settings,
            run,
            run_hash: hash(&["run", &run.facts.id]),
            changed: memory.contexts.changed(&run.facts.context),
            owners: OnceCell::new(),
        }
    }

    pub(crate) fn examine(&self, doings: &Doings) -> Examined {
        let mut examined = Examined::default();
        let mut by_key: BTreeMap<String, Finding> = BTreeMap::new();
        for (key, doing) in &doings.places {
            let found = match self.memory.find(&doing.place) {
                Some((text, member)) => {
                    examined.visits.push((key.clone(), text.to_owned()));
                    self.at_known(doing, text, member)
                }
                None => self.at_new(doing).into_iter().collect(),
            };
            for finding in found {
                merge(&mut by_key, finding);
            }
        }
        examined.findings = by_key.into_values().collect();
        for finding in &mut examined.findings {
            self.dispose(finding);
        }
        examined.findings.sort_by(|a, b| {
            let by_score = b.score.value.total_cmp(&a.score.value);
            b.disposition
                .cmp(&a.disposition)
                .then(by_score)
                .then_with(|| a.key.cmp(&b.key))
        });
        self.calm(&mut examined);
        examined
    }

    /// Of those who did something, the ones to look at: whoever is known least comes first, so that nobody hides in a crowd.
    fn strangest<'d>(&self, doing: &'d Doing) -> Vec<(&'d Who, &'d Deed)> {
        let mut all: Vec<(&Who, &Deed)> = doing.who.iter().collect();
        all.sort_by_cached_key(|(who, _)| self.relation(who));
        all.truncate(limits::USES);
        all
    }

    /// Those who never went to a place that the job knows.
    fn newcomers<'d>(&self, doing: &'d Doing, member: &Member) -> Vec<(&'d Who, &'d Deed)> {
        // Every program asks the resolver of its machine. What it asks for, and how much, is what tells.
        if doing.place.is_resolver() {
            return Vec::new();
        }
        let known = |who: &Who| {
            let actor = self.memory.actor(who);
            actor.is_some_and(|actor| member.uses.iter().any(|(used, _)| *used == actor))
        };
        let new = doing.who.iter().filter(|(who, _)| !known(who));
        new.take(limits::USES).collect()
    }

    /// A place that the job never went to.
    fn at_new(&self, doing: &Doing) -> Option<Finding> {
        let place = &doing.place;
        let alike = self.alike(place);
        let all = self.strangest(doing);
        let mut worst: Option<(Score, &Who, &Deed)> = None;
        let mut stranger = false;
        for (who, deed) in all.iter().copied() {
            let found = self.around_new(place, who);
            stranger |= found == Found::Stranger;
            let score = score::of_new(&score::New {
                place,
                found,
                lineage: self.relation(who),
                who,
                gap: f64::from(self.memory.gap),
                noise: self.noise(place, who),
                changed: &self.changed,
                trust: self.run.facts.trust,
                alike: alike.as_deref(),
                runs: self.memory.runs,
            });
            let known = worst.as_ref().map(|(score, ..)| score.value);
            if known.is_none_or(|known| score.value > known) {
                worst = Some((score, who, deed));
            }
        }
        let (score, who, deed) = worst?;
        // What is new of one owner is one story: the names of an owner who is known, by family, and all names of one who is
        // not. Where strangers have names or accounts beside each other, and of files, each is a story of its own.
        let key = new_key(place, stranger);
        let family = (!stranger).then(|| place.mask_text()).flatten();
        let sample = (family.is_some() || key.starts_with("owner|")).then(|| place.text.clone());
        let steps = doing
            .who
            .values()
            .flat_map(|deed| deed.steps.iter().cloned());
        let kind = new_kind(place, Kind::NewDestination);
        Some(Finding {
            place: family.unwrap_or_else(|| place.text.clone()),
            samples: sample.into_iter().collect(),
            parent: place.parent.clone(),
            is_stranger: stranger,
            who: all
                .iter()
                .take(WHO)
                .map(|(who, _)| (*who).clone())
                .collect(),
            steps: steps.take(limits::STEPS_OF_MEMBER).collect(),
            sent: doing.sent,
            ..Finding::at(place, kind, key, (who, deed), score)
        })
    }

    /// A place that the job knows: by somebody else, or with less data.
    fn at_known(&self, doing: &Doing, text: &str, member: &Member) -> Vec<Finding> {
        let place = &doing.place;
        let mut found = Vec::new();
        for (who, deed) in self.newcomers(doing, member) {
            let score = score::of_lineage(&score::Shifted {
                place,
                lineage: self.relation(who),
                program_here: self.is_program_of(who, member),
                next_door: self.visited_around(text, place.is_file, who),
                who,
                gap: f64::from(self.memory.gap),
                changed: &self.changed,
                trust: self.run.facts.trust,
            });
            let key = lineage_key(text, place.is_file, who);
            let kind = new_kind(place, Kind::NewLineage);
            found.push(Finding {
                place: text.to_owned(),
                steps: deed.steps.iter().cloned().collect(),
                ..Finding::at(place, kind, key, (who, deed), score)
            });
        }
        if let Some(score) = self.surge(place, member, doing.sent)
            && let Some(first) = doing.who.iter().next()
        {
            let key = format!("volume|{text}");
            found.push(Finding {
                place: text.to_owned(),
                sent: doing.sent,
                ..Finding::at(place, Kind::DataVolume, key, first, score)
            });
        }
        found
    }

    /// Whether a program goes there, for whatever dependency.
    fn is_program_of(&self, who: &Who, member: &Member) -> bool {
        let actors = &self.memory.actors;
        let used = |at: &u16| actors.get(usize::from(*at));
        let mut users = member.uses.iter().filter_map(|(at, _)| used(at));
        users.any(|actor| actor.who.program == who.program)
    }

    /// Whether far more data went to a known place than ever.
    fn surge(&self, place: &Place, member: &Member, sent: u64) -> Option<Score> {
        let volume = &member.volume;
        let enough = volume.runs >= VOLUME_RUNS
            && sent / VOLUME_TIMES > volume.most
            && sent - volume.most >= VOLUME_BYTES;
        if !enough {
            return None;
        }
        // The spread of few runs, or of runs that happen to be alike, is not believed to be nothing.
        let spread = f64::from(volume.squares).max(0.25).sqrt();
        let above = (ln(sent) - f64::from(volume.mean)) / spread;
        let chance = 0.5 * libm::erfc(above / std::f64::consts::SQRT_2);
        Some(score::of_volume(
            place,
            sent,
            volume.most,
            volume.runs,
            chance,
        ))
    }

    /// Whether somebody is told of it now.
    fn dispose(&self, finding: &mut Finding) {
        let alerts = finding.score.value >= self.settings.alert_score;
        if let Some(open) = self.memory.open.get(&finding.key) {
            finding.is_fresh = open.by_run == self.run_hash;
            finding.disposition = match (&open.rejected_by, self.told_before(open)) {
                (Some(by), _) => {
                    finding.score.reject(by);
                    Disposition::Alert
                }
                (None, true) => Disposition::Known,
                (None, false) if alerts => Disposition::Alert,
                (None, false) => Disposition::News,
            };
            return;
        }
        if !alerts {
            return;
        }
        let elsewhere = self.open_around(finding);
        finding.disposition = match elsewhere {
            Some(sentence) => {
                finding.score.because.push(sentence);
                Disposition::Known
            }
            None => Disposition::Alert,
        };
    }

    fn told_before(&self, open: &Open) -> bool {
        open.told && open.by_run != self.run_hash
    }

    /// Whether the same thing was told of another job not long ago.
    fn open_around(&self, finding: &Finding) -> Option<String> {
        if finding.kind == Kind::DataVolume {
            return None;
        }
        let key = Key::of_story(&finding.key);
        let recent = |level: &Level| {
            level.known.get(&key).is_some_and(|known| {
                let days = known.opened.map(|opened| {
                    self.run.facts.received.nanos_since(opened) / (86_400 * 1_000_000_000)
                });
                known.open > 0 && days.is_some_and(|days| days <= STORY_DAYS)
            })
        };
        if recent(&self.around.project) {
            Some("Another job of the project was told of it already.".to_owned())
        } else if recent(&self.around.organisation) {
            Some("Another project of the organisation was told of it already.".to_owned())
        } else {
            None
        }
    }

    /// Makes one alert of too many.
    fn calm(&self, examined: &mut Examined) {
        let alerts: Vec<&Finding> = examined
            .findings
            .iter()
            .filter(|found| found.alerts())
            .collect();
        if alerts.len() <= self.settings.storm {
            return;
        }
        let mut programs: BTreeMap<&str, u64> = BTreeMap::new();
        for found in &alerts {
            for who in found.who.iter().take(1) {
                *programs.entry(&who.program).or_default() += 1;
            }
        }
        let (program, by_it) = programs
            .into_iter()
            .max_by_key(|(program, alerts)| (*alerts, std::cmp::Reverse(*program)))
            .map_or(("", 0), |found| found);
        let key = format!("storm|{program}");
        let count = u64::try_from(alerts.len()).unwrap_or(u64::MAX);
        let told = self
            .memory
            .open
            .get(&key)
            .is_some_and(|open| self.told_before(open));
        let sentence = format!(
            "This run did {count} things that this job never did, {by_it} of them by {program}; the worst is {}.",
            alerts.first().map_or("", |found| found.subject.as_str())
        );
        examined.storm = Some(Storm {
            key: AnomalyKey::new(&key),
            disposition: if told {
                Disposition::Known
            } else {
                Disposition::Alert
            },
            alerts: count,
            sentence,
        });
        for found in &mut examined.findings {
            if found.alerts() {
                found.disposition = Disposition::Known;
                found.score.because.push(
                    "It is one of so many new things in this run that they are told together."
                        .to_owned(),
                );
            }
        }
    }

    /// What the shell has to look up to judge the run.
    pub(crate) fn keys(&self, doings: &Doings) -> Vec<Key> {
        let mut keys = BTreeSet::new();
        for doing in doings.places.values() {
            if keys.len() >= limits::KEYS {
                break;
            }
            let place = &doing.place;
            match self.memory.find(place) {
                Some((text, member)) => {
                    for (who, _) in self.newcomers(doing, member) {
                        keys.insert(Key::of_story(&lineage_key(text, place.is_file, who)));
                        keys.insert(Key::of_visit(text, place.is_file, who));
                    }
                }
                None => {
                    let texts = [Some(place.text.clone()), place.mask_text()];
                    for text in texts.into_iter().flatten() {
                        keys.insert(Key::of_place(&text, place.is_file));
                        for (who, _) in self.strangest(doing) {
                            keys.insert(Key::of_visit(&text, place.is_file, who));
                        }
                    }
                    for stranger in [false, true] {
                        keys.insert(Key::of_story(&new_key(place, stranger)));
                    }
                    if !place.is_file {
                        keys.insert(Key::of_owner(&place.owner));
                    }
                }
            }
        }
        keys.into_iter().take(limits::KEYS).collect()
    }

    /// The same for the shell.
    pub(crate) fn judgement(&self, examined: &Examined, omitted: u64) -> Judgement {
        if self.memory.is_creating(self.settings) {
            return Judgement {
                omitted,
                ..Judgement::default()
            };
        }
        let more = examined.findings.len().saturating_sub(limits::ANOMALIES);
        let confidence = self.confidence();
        let anomalies = examined
            .findings
            .iter()
            .take(limits::ANOMALIES)
            .map(|finding| anomaly(finding, confidence))
            .collect();
        Judgement {
            anomalies,
            storm: examined.storm.clone(),
            omitted: omitted + u64::try_from(more).unwrap_or(u64::MAX),
        }
    }

    fn confidence(&self) -> Confidence {
        let exposure = f64::from(self.memory.exposure);
        let just_changed = !self.changed.is_empty();
        let around = self.around.project.rates.expected_alerts
            + self.around.organisation.rates.expected_alerts;
        if exposure < 50.0 || just_changed {
            Confidence::Low
        } else if exposure < 150.0 && around < 5.0 {
            Confidence::Medium
        } else {
            Confidence::High
        }
    }
}
