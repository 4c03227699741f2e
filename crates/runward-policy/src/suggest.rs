//! A minimal policy from recorded runs.

mod rotation;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;

use crate::endpoint::{Endpoint, Host, Transport};
use crate::implicit::Implicit;
use crate::matcher::Question;
use crate::name::Name;
use crate::narrowing::Actor;
use crate::tenancy;

/// The most destinations that are looked at. Reports have fewer.
const DESTINATIONS: usize = 100_000;

/// The most programs or dependencies that one line keeps.
const SET: usize = 20;

/// Connections of one run to one destination.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// The run, counted from 0.
    pub run: usize,
    /// The name that was looked up.
    pub name: Option<&'a str>,
    /// One of the addresses.
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The transport.
    pub transport: Transport,
    /// How many connections.
    pub connections: u64,
    /// How many of these were blocked.
    pub blocked: u64,
    /// The programs that made them.
    pub executables: &'a [String],
    /// The dependencies that they were made for.
    pub dependencies: &'a [String],
}

/// A policy that allows what was observed, and as little else as possible.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SuggestedPolicy {
    /// From how many runs it was made.
    pub runs: usize,
    /// What to allow, ordered by who owns the names.
    pub lines: Vec<SuggestedLine>,
    /// What was blocked in the recorded runs, and is not allowed here either.
    pub blocked: Vec<SuggestedLine>,
    /// Observations that were too many to be looked at.
    pub omitted: u64,
}

/// One endpoint of a suggested policy, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SuggestedLine {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The names that a pattern stands for; empty for an endpoint without pattern.
    pub names: Vec<String>,
    /// How many connections were seen.
    pub connections: u64,
    /// In how many of the runs.
    pub runs: usize,
    /// The programs that made them.
    pub executables: BTreeSet<String>,
    /// The dependencies that they were made for.
    pub dependencies: BTreeSet<String>,
    /// Whether the names rotate, but can't be generalised without allowing hosts of strangers.
    pub rotates: bool,
}

/// What is known of one destination.
#[derive(Clone, Debug, Default)]
struct Seen {
    connections: u64,
    blocked: u64,
    runs: BTreeSet<usize>,
    executables: BTreeSet<String>,
    dependencies: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, other: &Seen) {
        self.connections += other.connections;
        self.blocked += other.blocked;
        self.runs.extend(&other.runs);
        merge(&mut self.executables, &other.executables);
        merge(&mut self.dependencies, &other.dependencies);
    }

    fn into_line(self, endpoint: Endpoint, names: Vec<String>, rotates: bool) -> SuggestedLine {
        SuggestedLine {
            endpoint,
            names,
            connections: self.connections,
            runs: self.runs.len(),
            executables: self.executables,
            dependencies: self.dependencies,
            rotates,
        }
    }
}

fn merge<'a>(set: &mut BTreeSet<String>, values: impl IntoIterator<Item = &'a String>) {
    for value in values {
        if set.len() >= SET {
            return;
        }
        set.insert(value.clone());
    }
}

/// Makes a minimal policy from what was observed in `runs` runs.
///
/// Names are generalised to a pattern only where the evidence is there: three or more names of one owner that differ
/// in numbers or in random characters and in nothing else. A pattern never reaches over a public suffix, an object
/// store, a content network or anything else where strangers have names.
pub fn suggest<'a>(
    runs: usize,
    observations: impl IntoIterator<Item = Observation<'a>>,
) -> SuggestedPolicy {
    let mut seen: BTreeMap<Endpoint, Seen> = BTreeMap::new();
    let mut omitted = 0;
    for observation in observations {
        let Some(endpoint) = endpoint_of(&observation) else {
            continue;
        };
        if !seen.contains_key(&endpoint) && seen.len() >= DESTINATIONS {
            omitted += 1;
            continue;
        }
        let entry = seen.entry(endpoint).or_default();
        entry.connections += observation.connections;
        entry.blocked += observation.blocked;
        entry.runs.insert(observation.run);
        merge(&mut entry.executables, observation.executables);
        merge(&mut entry.dependencies, observation.dependencies);
    }
    let (blocked, allowed): (BTreeMap<_, _>, BTreeMap<_, _>) = seen
        .into_iter()
        .partition(|(_, seen)| seen.blocked > 0 && seen.blocked >= seen.connections);
    let mut lines = rotation::generalise(allowed);
    lines.sort_by_cached_key(|line| order(&line.endpoint));
    SuggestedPolicy {
        runs,
        lines,
        blocked: blocked
            .into_iter()
            .map(|(endpoint, seen)| seen.into_line(endpoint, Vec::new(), false))
            .collect(),
        omitted,
    }
}

/// The endpoint that allows exactly what was observed; nothing when that needs no endpoint.
fn endpoint_of(observation: &Observation<'_>) -> Option<Endpoint> {
    let name = observation.name.and_then(|name| Name::parse(name).ok());
    let question = Question {
        name: name.as_ref(),
        ip: observation.ip,
        port: observation.port,
        transport: observation.transport,
        actor: Actor::default(),
    };
    if Implicit::of(&question).is_some() {
        return None;
    }
    Endpoint::of(
        name.as_ref(),
        observation.ip,
        observation.port,
        observation.transport,
    )
}

/// Lines of one owner stand together, and addresses come last.
fn order(endpoint: &Endpoint) -> (bool, String, Endpoint) {
    let text = match &endpoint.host {
        Host::Name(name) => name.to_string(),
        Host::Pattern(pattern) => pattern.to_string().replace('*', "a"),
        Host::Net(_) | Host::Any => return (true, String::new(), endpoint.clone()),
    };
    let owner = Name::parse(&text)
        .ok()
        .and_then(|name| tenancy::registered_domain(&name).map(str::to_owned));
    (false, owner.unwrap_or(text), endpoint.clone())
}
