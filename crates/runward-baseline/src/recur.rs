//! What is new and not normal: it stays open until it recurs often enough, or somebody answers.

use crate::anomaly::{Disposition, Kind};
use crate::change::{Actor, What};
use crate::finding::Finding;
use crate::judge::Examined;
use crate::key::hash;
use crate::learn::Lesson;
use crate::limits;
use crate::member::close;
use crate::memory::{Open, Origin, Sight};
use crate::settings::Settings;
use crate::summary::Trust;
use crate::text::counted;

/// Of a storm, so many new things are remembered each for itself: the rest must not push out what is open already. Of
/// other runs, half of what there is room for.
const STORM_OPEN: usize = 8;

impl Lesson<'_> {
    /// What is new is remembered until it recurs often enough, or somebody answers.
    pub(crate) fn recur_all(&mut self, examined: &Examined) {
        let alerts = examined.findings.iter().filter(|found| found.alerts());
        let alerts = alerts.count();
        let stormy = examined.storm.is_some();
        let mut room = if stormy { STORM_OPEN } else { limits::OPEN / 2 };
        for finding in &examined.findings {
            if !self.memory.open.contains_key(&finding.key) {
                if room == 0 {
                    self.memory.give_up(1);
                    continue;
                }
                room -= 1;
            }
            // What else is found beside it speaks against it; itself does not.
            let beside = alerts - usize::from(finding.alerts());
            let clean = !self.run.facts.detected && beside == 0 && !stormy;
            self.recur(finding, clean);
        }
        if let Some(storm) = &examined.storm {
            self.open_storm(storm.key.as_str());
        }
    }

    /// Something new was seen, for the first time or again.
    pub(crate) fn recur(&mut self, finding: &Finding, counts: bool) {
        if !self.memory.open.contains_key(&finding.key) {
            self.open(finding, 1);
        } else if let Some(open) = self.memory.open.get_mut(&finding.key) {
            let unfinished = open.sight.runs == 0;
            open.sight.again(self.memory.runs, self.now);
            if unfinished {
                open.sight.first_run = self.memory.runs;
            }
            open.told |= finding.alerts();
            open.add(finding);
        }
        let commit = self
            .run
            .facts
            .commit
            .as_deref()
            .map(|commit| (hash(&["commit", commit]) >> 32) as u32);
        let run = (hash(&["run", &self.run.facts.id]) >> 32) as u32;
        let protected = self.run.facts.trust == Trust::Protected;
        let settings = self.settings;
        let Some(open) = self.memory.open.get_mut(&finding.key) else {
            return;
        };
        if counts && protected && open.rejected_by.is_none() && open.kind != Kind::DataVolume {
            let commit = commit.unwrap_or(run);
            if !open.commits.contains(&commit) && open.commits.len() < limits::COMMITS {
                open.commits.push(commit);
            }
        }
        let Some(takes) = open.takes(settings) else {
            return;
        };
        if open.commits.len() >= takes {
            let why = format!(
                "It recurred in {} of protected branches.",
                counted(takes as u64, "commit")
            );
            if let Some(open) = self.close(&finding.key) {
                self.join_open(&open, Origin::Recurred, Actor::Rule, &why);
            }
        }
    }

    /// Remembers something new. `runs` is 0 while its run goes on.
    pub(crate) fn open(&mut self, finding: &Finding, runs: u32) {
        if self.memory.open.len() >= limits::OPEN {
            self.give_up_open();
        }
        let alerts = finding.alerts();
        let mut open = Open {
            kind: finding.kind,
            subject: finding.subject.clone(),
            sight: Sight::new(
                self.memory.runs.saturating_add(u32::from(runs == 0)),
                self.now,
                alerts,
            ),
            told: alerts || finding.disposition == Disposition::Known,
            place: finding.place.clone(),
            is_file: finding.is_file,
            owner: finding.owner,
            by_run: hash(&["run", &self.run.facts.id]),
            ..Open::default()
        };
        open.sight.runs = runs;
        open.add(finding);
        self.memory.open.insert(finding.key.clone(), open);
        self.ledger.story(&finding.key, 1);
        let why = finding.score.because.first().cloned().unwrap_or_default();
        self.note(What::Opened, &finding.subject, why);
    }

    pub(crate) fn open_storm(&mut self, key: &str) {
        let run = self.memory.runs;
        let now = self.now;
        if let Some(open) = self.memory.open.get_mut(key) {
            open.sight.again(run, now);
            return;
        }
        if self.memory.open.len() >= limits::OPEN {
            self.give_up_open();
        }
        let program = key.strip_prefix("storm|").unwrap_or(key).to_owned();
        let open = Open {
            kind: Kind::Storm,
            subject: program.clone(),
            sight: Sight::new(run, now, true),
            told: true,
            by_run: hash(&["run", &self.run.facts.id]),
            ..Open::default()
        };
        self.memory.open.insert(key.to_owned(), open);
        self.note(
            What::Opened,
            &program,
            "So many new things in one run that they are told as one.".to_owned(),
        );
    }

    /// Forgets the open thing that was not seen for longest; what nobody was told of goes first, what somebody rejected
    /// last.
    pub(crate) fn give_up_open(&mut self) {
        let least = self
            .memory
            .open
            .iter()
            .min_by_key(|(_, open)| (open.rejected_by.is_some(), open.told, open.sight.last_run))
            .map(|(key, _)| key.clone());
        if let Some(key) = least {
            self.close(&key);
            self.memory.give_up(1);
        }
    }

    pub(crate) fn close(&mut self, key: &str) -> Option<Open> {
        close(self.memory, &mut self.ledger, key)
    }
}

impl Open {
    /// Who did it this time, where, and under which name.
    pub(crate) fn add(&mut self, finding: &Finding) {
        for who in &finding.who {
            if self.who.len() < limits::SAMPLES && !self.who.contains(who) {
                self.who.push(who.clone());
            }
        }
        for step in &finding.steps {
            if self.steps.len() < limits::SAMPLES && !self.steps.contains(step) {
                self.steps.push(step.clone());
            }
        }
        for sample in &finding.samples {
            if self.samples.len() < limits::SAMPLES && !self.samples.contains(sample) {
                self.samples.push(sample.clone());
            }
        }
        self.most_sent = self.most_sent.max(finding.sent);
    }

    /// In how many commits it must recur to become normal; none if only a person may say so.
    pub(crate) fn takes(&self, settings: &Settings) -> Option<usize> {
        if self.rejected_by.is_some() || matches!(self.kind, Kind::DataVolume | Kind::Storm) {
            return None;
        }
        let takes = if self.told {
            settings.recurrence.alerts?
        } else {
            settings.recurrence.news
        };
        Some((takes as usize).clamp(1, limits::COMMITS))
    }
}
