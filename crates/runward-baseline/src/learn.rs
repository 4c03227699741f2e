//! What a finished run changes, and how something new becomes normal.

use std::collections::BTreeMap;

use runward_event::Time;

use crate::anomaly::{Disposition, Kind};
use crate::change::{Actor, What};
use crate::doings::{Doing, Doings};
use crate::finding::Finding;
use crate::judge::Examined;
use crate::key::hash;
use crate::ledger::{Decision, Ledger};
use crate::limits;
use crate::member::{join, remove};
use crate::memory::{Memory, Open, Origin, Sight};
use crate::novelty;
use crate::place::Who;
use crate::settings::Settings;
use crate::summary::RunSummary;

/// Days and runs without being seen after which something is no longer normal. Both, so that a clock that is set wrong
/// makes nothing be forgotten by itself.
const FORGOTTEN_DAYS: u32 = 365;
const FORGOTTEN_RUNS: u32 = 300;

const SECONDS_OF_DAY: u32 = 86_400;

/// A run that is being taken in.
pub(crate) struct Lesson<'a> {
    pub(crate) memory: &'a mut Memory,
    pub(crate) run: &'a RunSummary,
    pub(crate) settings: &'a Settings,
    pub(crate) now: u32,
    pub(crate) ledger: Ledger,
}

/// Seconds since the epoch, until 2106.
pub(crate) fn seconds(time: Time) -> u32 {
    u32::try_from(time.unix_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

/// A run's name and the minute it began in, as [`crate::memory::Seen`] keeps them. A clock that runs ahead is not
/// believed for more than a day.
fn identity(run: &RunSummary) -> (u64, u32) {
    let latest = seconds(run.facts.received).saturating_add(SECONDS_OF_DAY);
    let began = seconds(run.facts.started).min(latest);
    (hash(&["run", &run.facts.id]), began / 60)
}

impl<'a> Lesson<'a> {
    pub(crate) fn new(
        memory: &'a mut Memory,
        run: &'a RunSummary,
        settings: &'a Settings,
    ) -> Lesson<'a> {
        let now = seconds(run.facts.received);
        Lesson {
            memory,
            run,
            settings,
            now,
            ledger: Ledger::default(),
        }
    }

    /// Whether the run is one that was not taken in yet, and remembers it.
    pub(crate) fn admit(&mut self) -> bool {
        let (run, minute) = identity(self.run);
        match self.memory.seen.admits(run, minute) {
            Ok(()) => {
                self.memory.seen.add(run, minute);
                true
            }
            Err(repeated) => {
                self.memory.too_old = self.memory.too_old.saturating_add(u64::from(!repeated));
                false
            }
        }
    }

    pub(crate) fn take(&mut self, doings: &Doings, examined: &Examined) {
        let creating = self.memory.is_creating(self.settings);
        let gap = f64::from(self.memory.gap);
        self.memory.tick(self.now);
        self.memory.give_up(doings.omitted);
        self.context();
        self.visits(doings, examined);
        if creating {
            self.create(examined);
        } else {
            self.recur_all(examined);
        }
        self.actors(doings, examined);
        self.rates(examined, creating, gap);
        self.forget();
    }

    /// While too little is known, all that is new becomes normal. If it is more than there will ever be room for, then
    /// one thing of each program in turn, so that a flood of one doesn't hide what the others do.
    fn create(&mut self, examined: &Examined) {
        let mut of_program: BTreeMap<Option<&Who>, usize> = BTreeMap::new();
        let mut turns: Vec<(usize, &Finding)> = Vec::new();
        for finding in &examined.findings {
            if finding.kind != Kind::DataVolume {
                let turn = of_program.entry(finding.who.first()).or_default();
                turns.push((*turn, finding));
                *turn += 1;
            }
        }
        turns.sort_by_key(|(turn, _)| *turn);
        let (joined, given_up) = turns.split_at(turns.len().min(limits::NEWS));
        for (_, finding) in joined {
            self.join_found(finding, Origin::Created, "The baseline is being created.");
        }
        self.memory.give_up(given_up.len() as u64);
    }

    /// What is remembered of a run that has not ended, or of which nothing becomes normal: that somebody was told.
    pub(crate) fn hold(&mut self, examined: &Examined) {
        if self.memory.is_creating(self.settings) {
            return;
        }
        for finding in examined.findings.iter().take(limits::OPEN / 2) {
            if finding.alerts() && !self.memory.open.contains_key(&finding.key) {
                self.open(finding, 0);
            }
        }
        if let Some(storm) = &examined.storm {
            self.open_storm(storm.key.as_str());
        }
    }

    fn context(&mut self) {
        let run = self.memory.runs;
        let Some((part, keep)) = self.memory.contexts.take(&self.run.facts.context, run) else {
            return;
        };
        self.memory.exposure *= keep;
        self.memory.surges *= keep;
        // In the first runs there is nothing to begin anew.
        if !self.memory.is_creating(self.settings) {
            let why = format!(
                "The {part} changed: what was before it counts {:.0} % from now on.",
                keep * 100.0
            );
            self.note(What::Reset, part, why);
        }
    }

    pub(crate) fn note(&mut self, what: What, subject: &str, why: String) {
        let facts = &self.run.facts;
        self.ledger.note(
            facts.received,
            what,
            subject,
            Some(&facts.id),
            Actor::Rule,
            why,
        );
    }

    /// Places that are known were seen again.
    fn visits(&mut self, doings: &Doings, examined: &Examined) {
        let run = self.memory.runs;
        let creating = self.memory.is_creating(self.settings);
        for (key, text) in &examined.visits {
            let Some(doing) = doings.places.get(key) else {
                continue;
            };
            let who: Vec<u16> = doing
                .who
                .keys()
                .filter_map(|who| self.memory.actor(who))
                .collect();
            let steps = self.step_numbers(doing);
            let surged = examined
                .findings
                .iter()
                .any(|found| found.kind == Kind::DataVolume && found.place == *text);
            let now = self.now;
            let Some(member) = self.memory.members_mut(key.0).get_mut(text) else {
                continue;
            };
            member.sight.again(run, now);
            for (actor, sight) in &mut member.uses {
                if who.contains(actor) {
                    sight.again(run, now);
                }
            }
            member.add_steps(&steps);
            // An amount that raised an alert is not what to compare the next one with.
            if !key.0 && (creating || !surged) {
                member.volume.add(doing.sent);
            }
        }
    }

    fn step_numbers(&mut self, doing: &Doing) -> Vec<u8> {
        let steps: Vec<&String> = doing.who.values().flat_map(|deed| &deed.steps).collect();
        steps
            .into_iter()
            .filter_map(|step| self.memory.step(step))
            .collect()
    }

    /// Programs that were at work, and those that met a stranger.
    fn actors(&mut self, doings: &Doings, examined: &Examined) {
        let run = self.memory.runs;
        for doing in doings.places.values() {
            for who in doing.who.keys() {
                if let Some(actor) = self.memory.actor(who)
                    && let Some(actor) = self.memory.actors.get_mut(usize::from(actor))
                {
                    actor.acted(run);
                }
            }
        }
        if run <= novelty::START {
            return;
        }
        for finding in examined
            .findings
            .iter()
            .filter(|found| found.is_stranger && found.is_fresh && !found.is_file)
        {
            for who in &finding.who {
                if let Some(actor) = self.memory.actor(who)
                    && let Some(actor) = self.memory.actors.get_mut(usize::from(actor))
                {
                    actor.met(&finding.parent, run);
                }
            }
        }
    }

    /// What the run says of how often there is news.
    fn rates(&mut self, examined: &Examined, creating: bool, gap: f64) {
        let run = self.memory.runs;
        let alerted = examined.findings.iter().any(Finding::alerts) || examined.storm.is_some();
        let only_surges = !examined
            .findings
            .iter()
            .any(|found| found.alerts() && found.kind != Kind::DataVolume);
        if alerted && only_surges && examined.storm.is_none() {
            self.memory.surges += 1.0;
        }
        if alerted && run > novelty::START {
            self.memory.contexts.news(run);
        }
        if creating {
            return;
        }
        let mut rates = novelty::expected(gap);
        let news = examined
            .findings
            .iter()
            .any(|found| found.disposition != Disposition::Known);
        rates.alerts = f64::from(u8::from(alerted));
        rates.news = f64::from(u8::from(news));
        self.ledger.rates.add(&rates);
    }

    fn join_found(&mut self, finding: &Finding, origin: Origin, why: &str) {
        let mut open = Open {
            kind: finding.kind,
            subject: finding.subject.clone(),
            sight: Sight::new(self.memory.runs, self.now, finding.alerts()),
            place: finding.place.clone(),
            is_file: finding.is_file,
            owner: finding.owner,
            ..Open::default()
        };
        open.add(finding);
        self.join_open(&open, origin, Actor::Rule, why);
    }

    pub(crate) fn join_open(&mut self, open: &Open, origin: Origin, by: Actor, why: &str) {
        let at = self.run.facts.received;
        join(
            self.memory,
            &mut self.ledger,
            open,
            origin,
            &Decision {
                at,
                by,
                run: Some(&self.run.facts.id),
                why,
            },
        );
    }

    /// What was not seen for a year is not normal any more.
    fn forget(&mut self) {
        let limit = FORGOTTEN_DAYS * SECONDS_OF_DAY;
        for is_file in [false, true] {
            let (now, run) = (self.now, self.memory.runs);
            let old: Vec<String> = self
                .memory
                .members(is_file)
                .iter()
                .filter(|(_, member)| {
                    let sight = &member.sight;
                    now.saturating_sub(sight.last) > limit
                        && run.saturating_sub(sight.last_run) > FORGOTTEN_RUNS
                })
                .map(|(text, _)| text.clone())
                .collect();
            for text in old {
                remove(self.memory, &mut self.ledger, &text, is_file);
                self.note(
                    What::Forgotten,
                    &text,
                    "It was not seen for a year.".to_owned(),
                );
            }
        }
    }
}
