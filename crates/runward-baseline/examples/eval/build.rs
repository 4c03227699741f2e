//! How a job's life follows from its lists, and from what the lists don't tell.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use runward_baseline::Lineage;

use crate::chance::{log_uniform, normal, rng, seed, times};
use crate::corpus::Listed;
use crate::job::{Changed, Job, PROGRAMS, Use};
use crate::names::{Looks, Pool, host_and_port};
use crate::world::{Ground, Newcomer, Shift};

impl Job {
    pub(crate) fn of(
        listed: &Listed,
        repository: usize,
        organisation: usize,
        ground: &Ground<'_>,
        shifts: &[Shift],
    ) -> Job {
        let (a, salt) = (ground.assumptions, ground.salt);
        let repo = listed.repository.as_str();
        let first = listed.versions.first().map_or(0.0, |version| version.from);
        let last = listed
            .versions
            .last()
            .and_then(|version| version.until)
            .unwrap_or(ground.end)
            .max(first + 1.0);
        let mut repo_rng = rng(&["pace", repo], salt);
        let mut job_rng = rng(&["job", repo, &listed.name], salt);
        let pace = a.runs_a_day
            * (a.spread_of_repositories * normal(&mut repo_rng)
                + a.spread_of_jobs * normal(&mut job_rng))
            .exp();
        let pace = pace.min(a.runs_at_most / (last - first));
        let times = times(&mut job_rng, first, last, pace);
        let steps = job_rng.usize(3..9);
        let mut job = Job {
            repository,
            organisation,
            uses: Vec::new(),
            times,
            steps,
            seed: seed(&["runs", repo, &listed.name]) ^ salt,
            repository_seed: seed(&["repository", repo]) ^ salt,
            changes: Vec::new(),
            assumptions: a.clone(),
        };
        job.fill(listed, last, &mut job_rng, ground, shifts);
        job.platform(repo, first, last, salt);
        job
    }

    /// Endpoints over time, from one version of the list to the next.
    fn fill(
        &mut self,
        listed: &Listed,
        end: f64,
        job_rng: &mut Rng,
        ground: &Ground<'_>,
        shifts: &[Shift],
    ) {
        let a = ground.assumptions;
        let repo = listed.repository.as_str();
        let mut open: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut before: BTreeSet<&str> = BTreeSet::new();
        for (number, version) in listed.versions.iter().enumerate() {
            let now: BTreeSet<&str> = version.endpoints.iter().map(String::as_str).collect();
            let changed = number > 0 && now != before;
            for gone in before.difference(&now) {
                for at in open.remove(gone).into_iter().flatten() {
                    self.uses[at].until = version.from;
                }
            }
            for added in now.difference(&before) {
                let first = self.uses.len();
                self.begin(added, repo, version.from, end, job_rng, ground);
                open.insert(added, (first..self.uses.len()).collect());
            }
            if changed {
                self.changes.push(Changed {
                    day: version.from,
                    pipeline: job_rng.f64() < a.with_pipeline,
                    actions: job_rng.f64() < a.with_actions,
                    lockfile: job_rng.f64() < a.with_lockfile,
                });
            }
            before = now;
        }
        for shift in shifts {
            if job_rng.f64() < a.shared {
                self.shift(shift);
            }
        }
    }

    fn begin(
        &mut self,
        endpoint: &str,
        repo: &str,
        from: f64,
        end: f64,
        job_rng: &mut Rng,
        ground: &Ground<'_>,
    ) {
        let a = ground.assumptions;
        let Some((host, port)) = host_and_port(endpoint) else {
            return;
        };
        // Of the repository, not of the job: what one job seldom needs is seldom needed by its neighbour.
        let mut rng = rng(&["endpoint", repo, endpoint], ground.salt);
        let kind = rng.f64();
        let share = if kind < a.always {
            rng.f64().mul_add(0.03, 0.97)
        } else if kind < a.always + a.sometimes {
            rng.f64().mul_add(0.8, 0.1)
        } else if kind < a.always + a.sometimes + a.seldom {
            log_uniform(&mut rng, a.rarest, 0.1)
        } else {
            0.0
        };
        let share = (share * (0.3 * normal(job_rng)).exp()).clamp(0.0, 1.0);
        let pool = host.contains('*').then(|| {
            let real = ground.names.behind(&host);
            Pool {
                seed: rng.u64(..),
                names: log_uniform(&mut rng, a.names.0, a.names.1) as usize,
                days: a.days_of_name * rng.f64().mul_add(1.5, 0.25),
                looks: match real.len() {
                    0 | 1 if rng.f64() < 0.3 => Looks::Random,
                    0 | 1 => Looks::Numbered,
                    _ => Looks::Real(real),
                },
            }
        });
        let bytes = (
            log_uniform(&mut rng, 500.0, 3e6).ln(),
            rng.f64().mul_add(0.7, 0.2),
        );
        let step = format!("step {}", rng.usize(..self.steps));
        // One repository builds with a few programs, and its jobs with the same ones.
        let palette: Vec<usize> = {
            let mut of_repo = self::rng(&["palette", repo], ground.salt);
            (0..4).map(|_| of_repo.usize(..PROGRAMS.len())).collect()
        };
        let executable = if rng.f64() < a.new_program {
            PROGRAMS[rng.usize(..PROGRAMS.len())].to_owned()
        } else {
            program_for(
                &host,
                PROGRAMS[palette[rng.usize(..palette.len())]],
                &mut rng,
            )
            .to_owned()
        };
        let dependency = (executable.ends_with("node") && rng.f64() < 0.15)
            .then(|| format!("dep-{}@1.{}.0", rng.usize(..40), rng.usize(..9)));
        self.uses.push(Use {
            host,
            port,
            lineage: Lineage {
                executable,
                step: Some(step),
                dependency,
            },
            from,
            until: end,
            share,
            pool,
            bytes,
        });
    }

    /// What a hosted machine calls whatever the job does. Lists don't have it, because the fence that they are written for
    /// allows it by itself; the record has it. The names are those that GitHub documents for its results, and the numbered
    /// ones of its services that people report.
    fn platform(&mut self, repo: &str, from: f64, end: f64, salt: u64) {
        let mut rng = rng(&["platform", repo], salt);
        if rng.f64() >= self.assumptions.hosted {
            return;
        }
        let of = |text: &str, numbers: std::ops::Range<usize>| -> Vec<String> {
            numbers
                .map(|number| text.replacen('#', &number.to_string(), 1))
                .collect()
        };
        let results = of("productionresultssa#.blob.core.windows.net", 0..20);
        let pipelines = of("pipelinesghubeus#.actions.githubusercontent.com", 1..27);
        let watchdogs = of("hosted-compute-watchdog-prod-eus-0#.githubapp.com", 1..5);
        let seldom = log_uniform(&mut rng, 0.02, 1.0);
        for (names, share, program) in [
            (
                results,
                seldom,
                "/home/runner/runners/2.317.0/bin/Runner.Worker",
            ),
            (
                pipelines,
                0.98,
                "/home/runner/runners/2.317.0/bin/Runner.Listener",
            ),
            (watchdogs, 0.9, "/opt/hca/hosted-compute-agent"),
        ] {
            self.uses.push(Use {
                host: names
                    .first()
                    .map(|name| name.replace(|c: char| c.is_ascii_digit(), "*"))
                    .unwrap_or_default(),
                port: 443,
                lineage: Lineage {
                    executable: program.to_owned(),
                    ..Lineage::default()
                },
                from,
                until: end,
                share,
                pool: Some(Pool {
                    seed: 0,
                    names: names.len(),
                    days: 0.0,
                    looks: Looks::Real(names),
                }),
                bytes: (log_uniform(&mut rng, 500.0, 3e6).ln(), 0.5),
            });
        }
    }

    /// Somebody begins to call what was called before.
    fn shift(&mut self, shift: &Shift) {
        let alive = |used: &&Use| {
            used.host == shift.host
                && used.from < shift.day
                && used.until > shift.day
                && used.share > 0.0
        };
        let Some(mut shifted) = self.uses.iter().find(alive).cloned() else {
            return;
        };
        match &shift.who {
            Newcomer::Program(program) => (*program).clone_into(&mut shifted.lineage.executable),
            Newcomer::Dependency(dependency) => {
                shifted.lineage.dependency = Some(dependency.clone())
            }
            Newcomer::Step(step) => shifted.lineage.step = Some(step.clone()),
        }
        shifted.from = shift.day;
        self.uses.push(shifted);
    }
}

fn program_for(host: &str, otherwise: &'static str, rng: &mut Rng) -> &'static str {
    for (part, program) in [
        ("npm", "/opt/hostedtoolcache/node/20.11.0/x64/bin/node"),
        ("nodejs", "/opt/hostedtoolcache/node/20.11.0/x64/bin/node"),
        ("pypi", "/usr/bin/pip3"),
        ("golang", "/opt/hostedtoolcache/go/1.23.1/x64/bin/go"),
        ("crates", "/home/runner/.cargo/bin/cargo"),
        ("maven", "/usr/lib/jvm/temurin-21/bin/java"),
        ("gradle", "/usr/lib/jvm/temurin-21/bin/java"),
        ("docker", "/usr/bin/dockerd"),
        ("ghcr", "/usr/bin/dockerd"),
        ("github.com", "/usr/bin/git"),
        (
            "githubusercontent",
            "/home/runner/runners/2.317.0/bin/Runner.Worker",
        ),
        (
            "blob.core",
            "/home/runner/runners/2.317.0/bin/Runner.Worker",
        ),
        ("sigstore", "/usr/local/bin/cosign"),
    ] {
        if host.contains(part) && rng.f64() < 0.8 {
            return program;
        }
    }
    otherwise
}
