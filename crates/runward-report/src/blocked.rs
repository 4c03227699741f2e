use std::collections::{HashMap, HashSet};

use runward_detect::Refusal;
use runward_event::{Protocol, Reason, Time};

use crate::destinations::remember;
use crate::limits;
use crate::line::line_to_paste;
use crate::model::{Blocked, Omitted};
use crate::people::Person;
use crate::text::head;

/// Sums refusals by where they went and why.
#[derive(Default)]
pub(crate) struct Refusals {
    rows: Vec<Blocked>,
    index: HashMap<Key, usize>,
}

/// What makes refusals one row.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    destination: String,
    protocol: Protocol,
    reason: Reason,
}

/// A refusal with the place that it belongs to.
pub(crate) struct Stop<'a> {
    refusal: Refusal<'a>,
    key: Key,
    via: Option<String>,
}

impl<'a> Stop<'a> {
    /// `let_through` is what the connection is called that was let through at first, if there was one.
    pub(crate) fn new(refusal: Refusal<'a>, let_through: Option<&str>) -> Stop<'a> {
        let own = head(&refusal.destination(), limits::PATH).0.to_owned();
        let (destination, via) = match let_through {
            // The stream said nothing: what the connection is called tells more than its address.
            Some(label) if refusal.name.is_none() => (label.to_owned(), None),
            Some(label) if label != own => (own, Some(label.to_owned())),
            _ => (own, None),
        };
        let key = Key {
            destination,
            protocol: refusal.protocol,
            reason: refusal.reason,
        };
        Stop { refusal, key, via }
    }
}

impl Refusals {
    /// Whether this would be the first refusal of a row. Then the process that it is added with is kept.
    pub(crate) fn needs_row(&self, stop: &Stop<'_>) -> bool {
        self.rows.len() < limits::BLOCKED && !self.index.contains_key(&stop.key)
    }

    /// Adds a refusal.
    pub(crate) fn add(&mut self, time: Time, stop: Stop<'_>, who: &Person, omitted: &mut Omitted) {
        let ip = stop.refusal.has_peer().then_some(stop.refusal.ip);
        let number = match self.index.get(&stop.key) {
            Some(number) => *number,
            None if self.rows.len() >= limits::BLOCKED => {
                omitted.blocked += 1;
                return;
            }
            None => {
                let number = self.rows.len();
                self.index.insert(stop.key.clone(), number);
                self.rows.push(first(time, stop, who));
                number
            }
        };
        let Some(row) = self.rows.get_mut(number) else {
            return;
        };
        row.refusals += 1;
        row.last_time = row.last_time.max(time);
        if let Some(ip) = &ip {
            remember(&mut row.ips, ip, omitted);
        }
        if !who.detail.exe.is_empty() {
            remember(&mut row.processes, who.detail.exe.as_str(), omitted);
        }
        if let Some(step) = who.step.as_deref() {
            remember(&mut row.steps, step, omitted);
        }
        if let Some(dependency) = who.dependency.as_deref() {
            remember(&mut row.dependencies, dependency, omitted);
        }
    }

    /// How many different destinations there are, whatever the protocols and reasons.
    pub(crate) fn destinations(&self) -> usize {
        let different: HashSet<&str> = self.rows.iter().map(|r| r.destination.as_str()).collect();
        different.len()
    }

    pub(crate) fn into_rows(self) -> Vec<Blocked> {
        self.rows
    }
}

fn first(time: Time, stop: Stop<'_>, who: &Person) -> Blocked {
    Blocked {
        line: line_to_paste(&stop.refusal),
        destination: stop.key.destination,
        via: stop.via,
        protocol: stop.refusal.protocol,
        lookup: stop.refusal.is_lookup(),
        reason: stop.refusal.reason,
        refusals: 0,
        ips: Vec::new(),
        first_time: time,
        last_time: time,
        process: who.detail.clone(),
        step: who.step.clone(),
        dependency: who.dependency.clone(),
        processes: Vec::new(),
        steps: Vec::new(),
        dependencies: Vec::new(),
    }
}
