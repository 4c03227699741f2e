//! One job: what it calls from when to when, and each of its runs.

use fastrand::Rng;
use runward_baseline::{Call, Context, Destination, Lineage, RunFacts, RunSummary, Trust};
use runward_event::{Protocol, Time};

use crate::assumptions::Assumptions;
use crate::chance::normal;
use crate::names::Pool;

const DAY: f64 = 86_400.0 * 1e9;

/// One job.
pub(crate) struct Job {
    pub(crate) repository: usize,
    pub(crate) organisation: usize,
    pub(crate) uses: Vec<Use>,
    pub(crate) times: Vec<f64>,
    pub(crate) steps: usize,
    pub(crate) seed: u64,
    pub(crate) repository_seed: u64,
    /// Days on which the list changed, with what changed with it.
    pub(crate) changes: Vec<Changed>,
    pub(crate) assumptions: Assumptions,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    pub(crate) day: f64,
    pub(crate) pipeline: bool,
    pub(crate) actions: bool,
    pub(crate) lockfile: bool,
}

/// One endpoint as one program of a job uses it.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) lineage: Lineage,
    pub(crate) from: f64,
    pub(crate) until: f64,
    /// In which part of the runs.
    pub(crate) share: f64,
    /// Names behind a `*`.
    pub(crate) pool: Option<Pool>,
    /// Bytes that are sent: natural logarithm of the median, and spread.
    pub(crate) bytes: (f64, f64),
}

pub(crate) const PROGRAMS: [&str; 12] = [
    "/usr/bin/curl",
    "/usr/bin/python3.12",
    "/opt/hostedtoolcache/node/20.11.0/x64/bin/node",
    "/usr/bin/wget",
    "/usr/lib/jvm/temurin-21/bin/java",
    "/home/runner/.cargo/bin/cargo",
    "/opt/hostedtoolcache/go/1.23.1/x64/bin/go",
    "/usr/bin/gh",
    "/usr/bin/pip3",
    "/usr/local/bin/helm",
    "/usr/local/bin/cosign",
    "/usr/bin/dotnet",
];

impl Job {
    /// One run as it was.
    pub(crate) fn run(&self, number: usize, name: &str) -> RunSummary {
        let a = &self.assumptions;
        let day = self.times[number];
        let mut rng =
            Rng::with_seed(self.seed ^ (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let at = Time::from_unix_nanos((day * DAY) as u64);
        let mut calls = Vec::new();
        for used in &self.uses {
            if used.from > day || used.until <= day || rng.f64() >= used.share {
                continue;
            }
            let count = if used.pool.is_some() {
                rng.usize(1..4)
            } else {
                1
            };
            for _ in 0..count {
                let host = match &used.pool {
                    Some(pool) => pool.name(&used.host, day, &mut rng),
                    None => used.host.clone(),
                };
                let sent = (used.bytes.0 + used.bytes.1 * normal(&mut rng)).exp() as u64;
                calls.push(call(&host, used.port, &used.lineage, sent, at));
            }
        }
        let trust = match rng.f64() {
            x if x < a.forks => Trust::Fork,
            x if x < a.forks + a.protected => Trust::Protected,
            _ => Trust::Branch,
        };
        RunSummary {
            facts: RunFacts {
                id: format!("{name}-{number}"),
                started: at,
                received: at,
                commit: Some(format!(
                    "{:x}",
                    if rng.f64() < 0.8 {
                        rng.u64(..)
                    } else {
                        self.seed
                    }
                )),
                trust,
                context: self.context(day),
                detected: false,
            },
            calls,
            overwrites: Vec::new(),
            uncounted: 0,
        }
    }

    /// Versions of everything on a day: those that change by themselves, and with the list.
    fn context(&self, day: f64) -> Context {
        let a = &self.assumptions;
        let with = |part: fn(&Changed) -> bool| {
            self.changes
                .iter()
                .filter(|c| c.day <= day && part(c))
                .count()
        };
        let version = |days: f64, seed: u64, more: usize| {
            let phase = (seed % 1_000) as f64 / 1_000.0;
            Some(format!("{}+{more}", (day / days + phase) as u64))
        };
        let seed = self.repository_seed;
        Context {
            pipeline_file: version(a.days_of_pipeline, self.seed, with(|c| c.pipeline)),
            image: version(a.days_of_image, 0, 0),
            actions: version(a.days_of_actions, seed, with(|c| c.actions)),
            lockfile: version(a.days_of_lockfile, seed / 7, with(|c| c.lockfile)),
        }
    }

    /// About the most that any run before sent to a host, in bytes.
    pub(crate) fn most(&self, host: &str, day: f64) -> Option<f64> {
        self.uses
            .iter()
            .filter(|used| used.host == host && used.from < day && used.share > 0.05)
            .map(|used| (used.bytes.0 + 3.2 * used.bytes.1).exp())
            .max_by(f64::total_cmp)
    }

    /// Why a call was new: for comparing the rules.
    pub(crate) fn cause(&self, subject: &str, day: f64) -> &'static str {
        let host = subject.rsplit_once(':').map_or(subject, |(host, _)| host);
        let start = self.times.first().copied().unwrap_or_default();
        match self
            .uses
            .iter()
            .find(|used| used.host == host && used.until > day)
        {
            None => "a name behind a `*`",
            Some(used) if used.from > start + 1.0 => {
                if used.share < 0.1 {
                    "drift, seldom"
                } else {
                    "drift"
                }
            }
            Some(_) => "seldom",
        }
    }
}

pub(crate) fn call(host: &str, port: u16, lineage: &Lineage, sent: u64, at: Time) -> Call {
    let ip = host.parse().ok();
    Call {
        destination: Destination {
            name: ip.is_none().then(|| host.to_owned()),
            ip,
            port,
            protocol: Protocol::Tcp,
        },
        lineage: lineage.clone(),
        connections: 1,
        bytes_sent: sent,
        bytes_received: 0,
        first: at,
        blocked: false,
    }
}
