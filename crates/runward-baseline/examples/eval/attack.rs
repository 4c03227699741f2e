//! What an attacker does, put into runs that are otherwise as they were.

use fastrand::Rng;
use runward_baseline::{Call, Lineage, RunSummary, Trust};

use crate::job::{Job, call};
use crate::methods::subject;

/// What kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    NewName,
    Typosquat,
    NewLineage,
    SlowPoisoning,
    DataVolume,
}

pub(crate) const KINDS: [Kind; 5] = [
    Kind::NewName,
    Kind::Typosquat,
    Kind::NewLineage,
    Kind::SlowPoisoning,
    Kind::DataVolume,
];

impl Kind {
    pub(crate) fn id(self) -> &'static str {
        match self {
            Kind::NewName => "new_name",
            Kind::Typosquat => "typosquat",
            Kind::NewLineage => "known_name_new_lineage",
            Kind::SlowPoisoning => "slow_poisoning",
            Kind::DataVolume => "data_volume",
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Kind::NewName => "new name",
            Kind::Typosquat => "typosquat",
            Kind::NewLineage => "known multi-tenant name, new lineage",
            Kind::SlowPoisoning => "slow poisoning over 20 runs",
            Kind::DataVolume => "data volume",
        }
    }

    /// Runs that it takes.
    pub(crate) fn runs(self) -> usize {
        if self == Kind::SlowPoisoning { 20 } else { 1 }
    }
}

/// One attack on one job.
#[derive(Debug)]
pub(crate) struct Attack {
    /// The call that is made in each of its runs.
    call: Call,
    /// What an alert has to be about.
    pub(crate) subject: String,
    /// Whether it came with a new version of a dependency: the lockfile has changed.
    updated: bool,
    /// Whether the call stands in place of the same call by those who always make it.
    replaces: bool,
}

/// Services where anybody can leave data. Written down here for the attacks alone: the crate has a list of its own.
const MULTI_TENANT: [&str; 14] = [
    "github.com",
    "githubusercontent.com",
    "gitlab.com",
    "storage.googleapis.com",
    "amazonaws.com",
    "blob.core.windows.net",
    "cloudfront.net",
    "azureedge.net",
    "docker.io",
    "ghcr.io",
    "slack.com",
    "sentry.io",
    "discord.com",
    "github.io",
];

/// Where stolen data has been sent in known attacks, but for names that the attackers registered.
const DROPS: [&str; 10] = [
    "api.telegram.org",
    "discord.com",
    "webhook.site",
    "transfer.sh",
    "pastebin.com",
    "hooks.slack.com",
    "gist.githubusercontent.com",
    "api.ipify.org",
    "file.io",
    "oshi.at",
];

const SHARED: [&str; 8] = [
    "workers.dev",
    "pages.dev",
    "trycloudflare.com",
    "ngrok-free.app",
    "s3.amazonaws.com",
    "azurewebsites.net",
    "herokuapp.com",
    "vercel.app",
];

impl Attack {
    /// An attack of this kind on a run of a job; none if the job gives no occasion.
    pub(crate) fn plan(
        kind: Kind,
        job: &Job,
        run: &RunSummary,
        day: f64,
        rng: &mut Rng,
    ) -> Option<Attack> {
        let updated = rng.bool();
        let at = run.facts.started;
        let known = run.calls.get(rng.usize(..run.calls.len().max(1)))?;
        let attack = |host: &str, port: u16, lineage: &Lineage, sent: u64, replaces: bool| {
            let call = call(host, port, lineage, sent, at);
            Attack {
                subject: subject(&call),
                call,
                updated,
                replaces,
            }
        };
        let sent = 4_000 + rng.u64(..60_000);
        match kind {
            Kind::NewName | Kind::SlowPoisoning => {
                let host = stranger(rng);
                let fresh = !run
                    .calls
                    .iter()
                    .any(|call| call.destination.name.as_deref() == Some(&host))
                    && !job.uses.iter().any(|used| used.host == host);
                let lineage = somebody(known, rng);
                let port = if rng.u8(..10) == 0 { 8_000 } else { 443 };
                fresh.then(|| attack(&host, port, &lineage, sent, false))
            }
            Kind::Typosquat => {
                let names: Vec<&str> = run
                    .calls
                    .iter()
                    .filter_map(|call| call.destination.name.as_deref())
                    .collect();
                let name = names.get(rng.usize(..names.len().max(1)))?;
                let host = misspelt(name, rng)?;
                let lineage = somebody(known, rng);
                Some(attack(&host, 443, &lineage, sent, false))
            }
            Kind::NewLineage => {
                let open: Vec<&Call> = run
                    .calls
                    .iter()
                    .filter(|call| is_multi_tenant(call))
                    .collect();
                let target = open.get(rng.usize(..open.len().max(1)))?;
                let lineage = stranger_lineage(&target.lineage, rng);
                let host = target.destination.name.clone()?;
                Some(attack(
                    &host,
                    target.destination.port,
                    &lineage,
                    sent,
                    false,
                ))
            }
            Kind::DataVolume => {
                let open: Vec<&Call> = run
                    .calls
                    .iter()
                    .filter(|call| is_multi_tenant(call))
                    .collect();
                let target = open.get(rng.usize(..open.len().max(1)))?;
                let host = target.destination.name.clone()?;
                let most = job.most(&host, day)?;
                let times = (10.0_f64.ln() + rng.f64() * 100.0_f64.ln()).exp();
                let sent = (most * times).max(1e6) as u64;
                Some(attack(
                    &host,
                    target.destination.port,
                    &target.lineage,
                    sent,
                    true,
                ))
            }
        }
    }

    /// Puts it into one of its runs: the code runs on a branch of the project, as poisoned dependencies do.
    pub(crate) fn put(&self, run: &mut RunSummary, number: usize) {
        run.facts.id.push_str("-attacked");
        if run.facts.trust == Trust::Fork {
            run.facts.trust = Trust::Protected;
        }
        if self.updated && number == 0 {
            run.facts.context.lockfile = Some("poisoned".to_owned());
        }
        if self.replaces {
            run.calls
                .retain(|call| subject(call) != self.subject || call.lineage != self.call.lineage);
        }
        run.calls.push(self.call.clone());
    }
}

fn is_multi_tenant(call: &Call) -> bool {
    let name = call.destination.name.as_deref().unwrap_or_default();
    MULTI_TENANT.iter().any(|domain| {
        name.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// A name that nobody around has called: registered for the attack, handed out by a service, a known drop, an address.
fn stranger(rng: &mut Rng) -> String {
    let mut word = |length: usize| -> String { (0..length).map(|_| rng.lowercase()).collect() };
    let (a, b) = (word(7), word(5));
    match rng.u8(..20) {
        0..8 => format!("{a}-{b}.{}", ["com", "net", "io", "dev"][rng.usize(..4)]),
        8..13 => format!("{a}.{}", SHARED[rng.usize(..SHARED.len())]),
        13..17 => DROPS[rng.usize(..DROPS.len())].to_owned(),
        _ => format!("203.0.113.{}", rng.u8(1..255)),
    }
}

/// Half of the attacks act through a program that the job knows, as it is known; the others bring their own.
fn somebody(known: &Call, rng: &mut Rng) -> Lineage {
    if rng.bool() {
        known.lineage.clone()
    } else {
        stranger_lineage(&known.lineage, rng)
    }
}

/// A program that the attack brought, or an install script of a dependency.
fn stranger_lineage(known: &Lineage, rng: &mut Rng) -> Lineage {
    let step = known.step.clone();
    match rng.u8(..5) {
        0 => Lineage {
            executable: "/tmp/.x/agent".to_owned(),
            step,
            dependency: None,
        },
        1 => Lineage {
            executable: "/usr/bin/nc.traditional".to_owned(),
            step,
            dependency: None,
        },
        2 => Lineage {
            executable: "/home/runner/.bun/bin/bun".to_owned(),
            step,
            dependency: None,
        },
        _ => Lineage {
            executable: known.executable.clone(),
            step,
            dependency: Some(format!("plain-{}@4.2.1", rng.u16(..))),
        },
    }
}

/// A name one slip away from one that the job calls.
fn misspelt(name: &str, rng: &mut Rng) -> Option<String> {
    let domain = psl::domain_str(name)?;
    let (label, top) = domain.split_once('.')?;
    if label.len() < 4 {
        return None;
    }
    let mut letters: Vec<char> = label.chars().collect();
    let at = rng.usize(1..letters.len() - 1);
    match rng.u8(..4) {
        0 => letters.swap(at, at + 1),
        1 => {
            letters.remove(at);
        }
        2 => letters.insert(at, letters[at]),
        _ => letters[at] = if letters[at] == 'l' { '1' } else { 'l' },
    }
    let label: String = letters.into_iter().collect();
    let misspelt = format!("{label}.{top}");
    (misspelt != domain).then_some(misspelt)
}
