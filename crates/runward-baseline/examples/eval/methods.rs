//! The rules that are compared. Each sees the same runs, and says what it would have told somebody.

use std::collections::{BTreeSet, HashMap};

use runward_baseline::{Baseline, Disposition, Learned, RunSummary, Scope, Settings, Surroundings};

/// Runs before any of them says anything.
pub(crate) const LEARNING: u64 = 100;

/// What one rule told of one run: what each alert is about.
pub(crate) type Alerts = Vec<String>;

/// The rules that keep a list of destinations, each as its makers or users describe it.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// (a) The exact destination was never called; it belongs to the list from then on.
    Exact,
    /// (b) Nothing below the registered domain was ever called.
    Domain,
    /// (c) The exact destination was not called in the last 30 days.
    Recent,
}

/// One job under one of them.
#[derive(Clone, Debug)]
pub(crate) struct Simple {
    rule: Rule,
    runs: u64,
    /// With the day on which it was last called.
    known: HashMap<String, f64>,
}

const RECENT_DAYS: f64 = 30.0;

impl Simple {
    pub(crate) fn new(rule: Rule) -> Simple {
        Simple {
            rule,
            runs: 0,
            known: HashMap::new(),
        }
    }

    pub(crate) fn run(&mut self, run: &RunSummary, day: f64) -> Alerts {
        let mut alerts = BTreeSet::new();
        let mut told = Alerts::new();
        for call in &run.calls {
            let subject = subject(call);
            let key = match self.rule {
                Rule::Domain => domain(&subject),
                Rule::Exact | Rule::Recent => subject.clone(),
            };
            let last = self.known.insert(key.clone(), day);
            let new = match (&self.rule, last) {
                (_, None) => true,
                (Rule::Recent, Some(last)) => day - last > RECENT_DAYS,
                (Rule::Exact | Rule::Domain, Some(_)) => false,
            };
            if new && self.runs >= LEARNING && alerts.insert(key) {
                told.push(subject);
            }
        }
        self.runs += 1;
        told
    }

    /// Whether it would say nothing of a destination.
    pub(crate) fn is_normal(&self, subject: &str) -> bool {
        match self.rule {
            Rule::Domain => self.known.contains_key(&domain(subject)),
            Rule::Exact | Rule::Recent => self.known.contains_key(subject),
        }
    }
}

pub(crate) fn subject(call: &runward_baseline::Call) -> String {
    let host = match (&call.destination.name, call.destination.ip) {
        (Some(name), _) => name.clone(),
        (None, Some(ip)) => ip.to_string(),
        (None, None) => String::new(),
    };
    format!("{host}:{}", call.destination.port)
}

fn domain(subject: &str) -> String {
    let host = subject.rsplit_once(':').map_or(subject, |(host, _)| host);
    psl::domain_str(host).unwrap_or(host).to_owned()
}

/// (d) One job under this crate, with what is known around it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ours {
    pub(crate) baseline: Baseline,
}

/// The scopes of one project and its organisation.
pub(crate) struct Around<'a> {
    pub(crate) project: &'a Scope,
    pub(crate) organisation: &'a Scope,
}

impl Around<'_> {
    pub(crate) fn of(&self, baseline: &Baseline, run: &RunSummary) -> Surroundings {
        let keys = baseline.keys(run);
        Surroundings {
            project: self.project.level(&keys),
            organisation: self.organisation.level(&keys),
        }
    }

    /// Rates alone, for estimates between runs.
    pub(crate) fn rates(&self) -> Surroundings {
        Surroundings {
            project: self.project.level(&[]),
            organisation: self.organisation.level(&[]),
        }
    }
}

impl Ours {
    pub(crate) fn run(
        &mut self,
        run: &RunSummary,
        around: &Around<'_>,
        settings: &Settings,
    ) -> (Alerts, Learned) {
        let surroundings = around.of(&self.baseline, run);
        let learned = self.baseline.learn(run, &surroundings, settings);
        let judgement = &learned.judgement;
        let mut alerts: Alerts = judgement
            .anomalies
            .iter()
            .filter(|anomaly| anomaly.disposition == Disposition::Alert)
            .map(|anomaly| anomaly.subject.clone())
            .collect();
        if let Some(storm) = &judgement.storm
            && storm.disposition == Disposition::Alert
        {
            alerts.push(storm.sentence.clone());
        }
        (alerts, learned)
    }
}
