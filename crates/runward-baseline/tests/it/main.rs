//! The baseline as its shell uses it: run after run, with what is known around the job.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod files;
mod hostile;
mod incidents;
mod life;
mod lineage;
mod poison;
mod properties;
mod rotation;
mod surroundings;

use runward_baseline::{
    Anomaly, Baseline, Call, Destination, Disposition, Learned, Lineage, Overwrite, RunFacts,
    RunSummary, Scope, Settings, Surroundings, Trust,
};
use runward_event::{Protocol, Time};

/// The day that all of these begin on: 2026-01-01.
const START: u64 = 1_767_225_600;

/// A job, the scopes around it, and a clock that goes on by an hour with each run.
struct Job {
    baseline: Baseline,
    project: Scope,
    organisation: Scope,
    settings: Settings,
    runs: u64,
    /// Seconds from one run to the next.
    pace: u64,
}

impl Job {
    fn new() -> Job {
        Job {
            baseline: Baseline::default(),
            project: Scope::default(),
            organisation: Scope::default(),
            settings: Settings::default(),
            runs: 0,
            pace: 60,
        }
    }

    /// A job that has made these calls in each of so many runs.
    fn with(calls: &[Call], runs: usize) -> Job {
        let mut job = Job::new();
        for _ in 0..runs {
            job.learn(calls);
        }
        job
    }

    /// The next run: on a protected branch, with a commit of its own.
    fn next(&mut self, calls: &[Call]) -> RunSummary {
        self.runs += 1;
        run(self.runs, self.runs * self.pace, calls)
    }

    fn around(&self, run: &RunSummary) -> Surroundings {
        let keys = self.baseline.keys(run);
        Surroundings {
            project: self.project.level(&keys),
            organisation: self.organisation.level(&keys),
        }
    }

    fn take(&mut self, run: &RunSummary) -> Learned {
        let around = self.around(run);
        let learned = self.baseline.learn(run, &around, &self.settings);
        self.project.apply(&learned.delta, run.facts.received);
        self.organisation.apply(&learned.delta, run.facts.received);
        learned
    }

    fn learn(&mut self, calls: &[Call]) -> Learned {
        let run = self.next(calls);
        self.take(&run)
    }

    /// What a run on the next commit would be judged to be.
    fn judge(&self, calls: &[Call]) -> Vec<Anomaly> {
        let run = run(self.runs + 1, (self.runs + 1) * self.pace, calls);
        self.baseline
            .judge(&run, &self.around(&run), &self.settings)
            .anomalies
    }
}

fn run(number: u64, second: u64, calls: &[Call]) -> RunSummary {
    let at = time(second);
    RunSummary {
        facts: RunFacts {
            id: format!("run-{number}"),
            started: at,
            received: at,
            commit: Some(format!("commit-{number}")),
            trust: Trust::Protected,
            ..RunFacts::default()
        },
        calls: calls.to_vec(),
        ..RunSummary::default()
    }
}

fn time(second: u64) -> Time {
    Time::from_unix_nanos((START + second) * 1_000_000_000)
}

/// A call of curl, in a step, to `host` or `host:port`.
fn call(host: &str) -> Call {
    by("/usr/bin/curl", host)
}

fn by(program: &str, host: &str) -> Call {
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "443"));
    let ip = name.parse().ok();
    Call {
        destination: Destination {
            name: ip.is_none().then(|| name.to_owned()),
            ip,
            port: port.parse().unwrap(),
            protocol: Protocol::Tcp,
        },
        lineage: Lineage {
            executable: program.to_owned(),
            step: Some("build".to_owned()),
            dependency: None,
        },
        connections: 1,
        bytes_sent: 1_000,
        bytes_received: 1_000,
        first: time(0),
        blocked: false,
    }
}

fn of(dependency: &str, mut call: Call) -> Call {
    call.lineage.dependency = Some(dependency.to_owned());
    call
}

fn sending(bytes: u64, mut call: Call) -> Call {
    call.bytes_sent = bytes;
    call
}

fn overwrite(program: &str, path: &str) -> Overwrite {
    Overwrite {
        path: path.to_owned(),
        lineage: call_lineage(program),
        at: time(0),
    }
}

fn call_lineage(program: &str) -> Lineage {
    by(program, "unused.example").lineage
}

/// The subjects of what somebody is told of.
fn alerts(anomalies: &[Anomaly]) -> Vec<&str> {
    anomalies
        .iter()
        .filter(|anomaly| anomaly.disposition == Disposition::Alert)
        .map(|anomaly| anomaly.subject.as_str())
        .collect()
}
