//! One job under every rule: its benign runs, and the attacks on it.

use fastrand::Rng;
use runward_baseline::{Disposition, Judgement, RunSummary, Settings, State, Trust};

use crate::attack::{Attack, KINDS, Kind};
use crate::found::{Before, Found, OURS};
use crate::job::Job;
use crate::methods::{Alerts, Around, LEARNING, Ours, Rule, Simple};
use crate::promise::Promise;

/// Attacks of each kind on each job.
const ATTACKS: usize = 2;

/// Days between two runs that the prior's figures count, at most.
const GAP_MAX: f64 = 7.0;

/// A job, and what each rule knows of it.
pub(crate) struct Player<'a> {
    pub(crate) job: &'a Job,
    name: String,
    settings: &'a Settings,
    simple: [Simple; 3],
    pub(crate) ours: Ours,
    /// Runs at which attacks begin, with what they follow from.
    attacks: Vec<(usize, Kind, u64)>,
    pub(crate) promise: Option<Promise>,
    promised: bool,
    pub(crate) before: Before,
    last_day: f64,
}

/// What one benign run brought.
pub(crate) struct Played {
    pub(crate) run: RunSummary,
    /// What each rule told, in the order of the table.
    pub(crate) told: [Alerts; 4],
    pub(crate) learned: runward_baseline::Learned,
}

impl<'a> Player<'a> {
    pub(crate) fn new(
        at: usize,
        job: &'a Job,
        split: f64,
        salt: u64,
        settings: &'a Settings,
    ) -> Player<'a> {
        let mut rng = Rng::with_seed(salt ^ (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Some room for runs of forks, which do not count for leaving the first state.
        let learned = LEARNING as usize + 30;
        let later = job.times.iter().position(|day| *day >= split);
        let first = later.unwrap_or(job.times.len()).max(learned);
        let mut attacks = Vec::new();
        for kind in KINDS {
            let last = job.times.len().saturating_sub(kind.runs());
            if first >= last {
                continue;
            }
            for _ in 0..ATTACKS {
                attacks.push((rng.usize(first..last), kind, rng.u64(..)));
            }
        }
        Player {
            job,
            name: at.to_string(),
            settings,
            simple: [Rule::Exact, Rule::Domain, Rule::Recent].map(Simple::new),
            ours: Ours::default(),
            attacks,
            promise: None,
            promised: false,
            before: Before::default(),
            last_day: job.times.first().copied().unwrap_or_default(),
        }
    }

    /// Whether every rule has learned enough to be compared.
    pub(crate) fn has_learned(&self, number: usize) -> bool {
        let runs = self.ours.baseline.runs();
        number as u64 >= LEARNING && runs >= u64::from(self.settings.min_runs)
    }

    pub(crate) fn state(&self, around: &Around<'_>) -> &'static str {
        match self.ours.baseline.state(&around.rates(), self.settings) {
            State::Creating { .. } => "creating",
            State::Stable => "stable",
            State::Unstable { .. } => "unstable",
        }
    }

    /// One benign run, under every rule.
    pub(crate) fn play(&mut self, number: usize, around: &Around<'_>) -> Played {
        let day = self.job.times[number];
        let run = self.job.run(number, &self.name);
        let [a, b, c] = self.simple.each_mut().map(|simple| simple.run(&run, day));
        let (ours, learned) = self.ours.run(&run, around, self.settings);
        let told = [a, b, c, ours];
        Played { run, told, learned }
    }

    /// Makes a promise where there is none, and closes one that was held long enough.
    pub(crate) fn make_promise(&mut self, around: &Around<'_>, found: &mut Found) {
        if self.promise.is_some_and(|promise| promise.is_over()) {
            found.promises.extend(self.promise.take());
        }
        if self.promise.is_some() {
            return;
        }
        let rate = self.ours.baseline.novelty(&around.rates()).alerts;
        let stable = self.state(around) == "stable";
        self.promise = Some(Promise::new(rate, stable, !self.promised));
        self.promised = true;
    }

    /// Holds the promise against a run. A fork's run is not the job's own.
    pub(crate) fn hold_promise(&mut self, played: &Played) {
        if let Some(promise) = &mut self.promise
            && played.run.facts.trust != Trust::Fork
        {
            promise.hold(!played.told[OURS].is_empty());
        }
    }

    /// Counts for the figures of the prior.
    pub(crate) fn count_before(&mut self, day: f64, counts: bool, played: &Played) {
        if counts && played.run.facts.trust != Trust::Fork {
            let before = &mut self.before;
            before.runs += 1.0;
            before.days += (day - self.last_day).min(GAP_MAX);
            before.alerts += f64::from(u8::from(!played.told[OURS].is_empty()));
            before.news += f64::from(u8::from(is_news(&played.learned.judgement)));
        }
        self.last_day = day;
    }

    /// The attacks that begin at this run.
    pub(crate) fn attacked(&self, number: usize, around: &Around<'_>, found: &mut Found) {
        for (begin, kind, seed) in &self.attacks {
            if *begin == number {
                self.attack(number, *kind, *seed, around, found);
            }
        }
    }

    /// One attack against copies of everything, so that what follows is as if it had not been.
    fn attack(&self, number: usize, kind: Kind, seed: u64, around: &Around<'_>, found: &mut Found) {
        let mut rng = Rng::with_seed(seed);
        let job = self.job;
        let first = job.run(number, &self.name);
        let Some(attack) = Attack::plan(kind, job, &first, job.times[number], &mut rng) else {
            return;
        };
        let brings_a_name = matches!(kind, Kind::NewName | Kind::Typosquat | Kind::SlowPoisoning);
        if brings_a_name && self.simple[0].is_normal(&attack.subject) {
            // It is not new to this job after all.
            return;
        }
        let mut simple = self.simple.clone();
        let mut ours = self.ours.clone();
        let mut caught: [Option<usize>; 4] = [None; 4];
        let mut normal = [false; 4];
        let mut said = String::new();
        for step in 0..kind.runs() {
            let mut run = job.run(number + step, &self.name);
            attack.put(&mut run, step);
            let day = job.times[number + step];
            let [a, b, c] = [0, 1, 2].map(|at: usize| {
                normal[at] = simple[at].is_normal(&attack.subject);
                simple[at].run(&run, day)
            });
            let (alerts, learned) = ours.run(&run, around, self.settings);
            (normal[OURS], said) = answer(&learned.judgement, &attack.subject);
            for (caught, alerts) in caught.iter_mut().zip([a, b, c, alerts]) {
                if caught.is_none() && alerts.contains(&attack.subject) {
                    *caught = Some(step);
                }
            }
        }
        if caught[OURS].is_none() {
            let missed = format!("{} {}: {said}", kind.id(), attack.subject);
            found.missed.push(missed);
        }
        for ((tally, caught), normal) in found.tallies.iter_mut().zip(caught).zip(normal) {
            let sum = tally.attacks.entry(kind).or_default();
            sum.attacks += 1;
            sum.caught += u64::from(caught.is_some());
            sum.runs_until += caught.unwrap_or(0) as u64;
            if kind == Kind::SlowPoisoning {
                tally.still_new += u64::from(!normal);
            }
        }
    }
}

fn is_news(judgement: &Judgement) -> bool {
    let anomalies = judgement.anomalies.iter();
    let mut new = anomalies.filter(|anomaly| anomaly.disposition != Disposition::Known);
    new.next().is_some()
}

/// Whether this crate has nothing to say of an attack, and what it says.
fn answer(judgement: &Judgement, subject: &str) -> (bool, String) {
    let mut about = judgement.anomalies.iter().filter(|a| a.subject == subject);
    match about.next() {
        None => (true, "normal".to_owned()),
        Some(anomaly) => {
            let why = anomaly.explanation.join(" ");
            let said = format!("{:?}, {:.2}: {why}", anomaly.disposition, anomaly.score);
            (false, said)
        }
    }
}
