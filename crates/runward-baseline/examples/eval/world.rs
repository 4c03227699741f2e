//! Runs as they may have been: real lists over their real time, and around them what lists don't tell.
//!
//! From the lists: which job needs which endpoints from when to when, which jobs belong together, and where names rotate
//! (an author writes a `*`). Assumed, and the same for every rule: how often a job runs, in which part of its runs it
//! calls an endpoint, which program does, how much it sends, and when images, pinned actions and lockfiles change. Each
//! assumption is one number in [`Assumptions`].

use std::collections::{BTreeMap, BTreeSet};

use crate::assumptions::Assumptions;
use crate::chance::rng;
use crate::corpus::Listed;
use crate::job::{Job, PROGRAMS};
use crate::names::{Names, host_and_port};

/// All jobs, with their runs still to come.
pub(crate) struct World {
    pub(crate) jobs: Vec<Job>,
}

/// What all jobs have in common.
pub(crate) struct Ground<'a> {
    pub(crate) assumptions: &'a Assumptions,
    pub(crate) salt: u64,
    /// The day on which the last list ends.
    pub(crate) end: f64,
    pub(crate) names: Names,
}

/// Somebody in a repository begins to call an endpoint that others called before.
#[derive(Clone, Debug)]
pub(crate) struct Shift {
    pub(crate) day: f64,
    pub(crate) host: String,
    pub(crate) who: Newcomer,
}

#[derive(Clone, Debug)]
pub(crate) enum Newcomer {
    Program(&'static str),
    Dependency(String),
    Step(String),
}

/// What of this kind happens in one repository, in all of its jobs alike.
fn shifts(jobs: &[&Listed], a: &Assumptions, salt: u64) -> Vec<Shift> {
    let Some(repo) = jobs.first().map(|job| job.repository.as_str()) else {
        return Vec::new();
    };
    let mut rng = rng(&["shifts", repo], salt);
    let versions = || jobs.iter().flat_map(|job| &job.versions);
    let hosts: BTreeSet<String> = versions()
        .flat_map(|version| &version.endpoints)
        .filter_map(|e| Some(host_and_port(e)?.0))
        .collect();
    let hosts: Vec<String> = hosts.into_iter().collect();
    let first = versions()
        .map(|version| version.from)
        .fold(f64::MAX, f64::min);
    let last = versions()
        .map(|version| version.until.unwrap_or(version.from))
        .fold(0.0, f64::max);
    let changes: BTreeSet<u64> = versions().map(|version| version.from as u64).collect();
    let mut days: Vec<f64> = changes
        .into_iter()
        .filter(|_| rng.f64() < a.new_lineage)
        .map(|day| day as f64 + 0.5)
        .collect();
    let mut day = first;
    while day < last {
        day += -(1.0 - rng.f64()).ln() * a.days_of_lineage;
        days.push(day);
    }
    days.into_iter()
        .filter(|_| !hosts.is_empty())
        .map(|day| Shift {
            day,
            host: hosts[rng.usize(..hosts.len())].clone(),
            who: match rng.u8(..4) {
                0 | 1 => Newcomer::Program(PROGRAMS[rng.usize(..PROGRAMS.len())]),
                2 => Newcomer::Dependency(format!("dep-{}@2.0.0", rng.usize(..400))),
                _ => Newcomer::Step(format!("step {}", rng.usize(..12))),
            },
        })
        .collect()
}

impl World {
    pub(crate) fn of(listed: &[Listed], assumptions: &Assumptions, salt: u64) -> World {
        let end = listed
            .iter()
            .flat_map(|job| &job.versions)
            .map(|version| version.until.unwrap_or(version.from).max(version.from))
            .fold(0.0, f64::max);
        let names: BTreeSet<&str> = listed.iter().map(|job| job.repository.as_str()).collect();
        let owners: BTreeSet<&str> = names.iter().map(|name| owner(name)).collect();
        let number = |set: &BTreeSet<&str>, name: &str| {
            set.iter().position(|other| *other == name).unwrap_or(0)
        };
        let of = |name: &str| -> Vec<&Listed> {
            listed.iter().filter(|job| job.repository == name).collect()
        };
        let shifts: BTreeMap<&str, Vec<Shift>> = names
            .iter()
            .map(|name| (*name, shifts(&of(name), assumptions, salt)))
            .collect();
        let ground = Ground {
            assumptions,
            salt,
            end,
            names: Names::of(listed),
        };
        let jobs = listed
            .iter()
            .map(|job| {
                let shifts = &shifts[job.repository.as_str()];
                let repository = number(&names, &job.repository);
                let organisation = if assumptions.one_organisation {
                    0
                } else {
                    number(&owners, owner(&job.repository))
                };
                Job::of(job, repository, organisation, &ground, shifts)
            })
            .collect();
        World { jobs }
    }
}

fn owner(repository: &str) -> &str {
    repository.split('/').next().unwrap_or(repository)
}
