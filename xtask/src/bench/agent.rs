//! What the agent costs a machine: without jobs, and over a day of them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::stats::Spread;
use crate::shell;

pub(super) const NAME: &str = "agent";

const SCRIPT: &str = include_str!("agent.sh");
/// Jobs of a day, and how many of them are measured together.
const JOBS: usize = 480;
const BATCH: usize = 20;
/// Seconds for which the agent is left alone.
const IDLE: usize = 30;
/// The unit of times in /proc.
const TICKS_PER_SECOND: f64 = 100.0;

/// What the script says of a batch of jobs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Held {
    seconds: f64,
    cpu_seconds: f64,
    memory_mb: f64,
    descriptors: f64,
}

pub(super) fn run(runward: &Path, scratch: &Path) -> anyhow::Result<Value> {
    println!("== {NAME}: {JOBS} jobs of a runner, one after the other, as many as a day has");
    let folder = scratch.join(NAME);
    std::fs::create_dir_all(&folder)?;
    let script = folder.join("script");
    std::fs::write(&script, SCRIPT)?;
    let mut command = Command::new("unshare");
    command
        .args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount",
            "--mount-proc",
            "sh",
        ])
        .arg(&script)
        .env("R", runward)
        .env("W", &folder)
        .env("BATCH", BATCH.to_string())
        .env("TOTAL", JOBS.to_string())
        .env("IDLE", IDLE.to_string());
    for name in ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "SUDO_UID", "SUDO_GID"] {
        command.env_remove(name);
    }
    let said = shell::output(&mut command)?;
    let said = Said::read(&said)?;
    let log = std::fs::read_to_string(folder.join("agent.log")).unwrap_or_default();
    ensure!(
        said.held.len() == JOBS / BATCH,
        "{} of {} batches of jobs came to their end: {log}",
        said.held.len(),
        JOBS / BATCH
    );
    let idle = said.idle_cpu / said.idle_seconds * 100.0;
    println!(
        "without jobs: {idle:.2} % of a processor, {:.1} MB",
        said.idle_memory_mb
    );
    let per_job = said
        .held
        .iter()
        .map(|held| (held.seconds - said.bare_seconds) / to_float(BATCH) * 1000.0);
    let per_job = Spread::of(per_job.collect()).context("nothing was measured")?;
    println!("                  min      q1  median      q3     max");
    println!("added per job {per_job} ms");
    let (Some(first), Some(last)) = (said.held.first(), said.held.last()) else {
        anyhow::bail!("no jobs were measured");
    };
    println!(
        "its own process: {:.1} MB after {BATCH} jobs, {:.1} MB after {JOBS}; {} descriptors, then {}; {:.2} s of processor time in all",
        first.memory_mb, last.memory_mb, first.descriptors, last.descriptors, last.cpu_seconds
    );
    Ok(json!({
        "name": NAME,
        "jobs": JOBS,
        "idle_percent_of_a_processor": idle,
        "idle_memory_mb": said.idle_memory_mb,
        "added_per_job_ms": per_job.to_json(),
        "memory_mb_first": first.memory_mb,
        "memory_mb_last": last.memory_mb,
        "descriptors_first": first.descriptors,
        "descriptors_last": last.descriptors,
        "cpu_seconds": last.cpu_seconds,
    }))
}

#[derive(Debug, Default, PartialEq)]
struct Said {
    bare_seconds: f64,
    idle_seconds: f64,
    idle_cpu: f64,
    idle_memory_mb: f64,
    held: Vec<Held>,
}

impl Said {
    fn read(text: &str) -> anyhow::Result<Said> {
        let mut said = Said::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let word = words.next().unwrap_or_default();
            let numbers: Vec<f64> = words
                .map(str::parse)
                .collect::<Result<_, _>>()
                .with_context(|| format!("not numbers: {line}"))?;
            match (word, numbers.as_slice()) {
                ("bare", [_, nanoseconds]) => said.bare_seconds = nanoseconds / 1e9,
                ("idle", [seconds, ticks, kib]) => {
                    said.idle_seconds = *seconds;
                    said.idle_cpu = ticks / TICKS_PER_SECOND;
                    said.idle_memory_mb = to_mb(*kib);
                }
                ("held", [_, nanoseconds, ticks, kib, descriptors]) => said.held.push(Held {
                    seconds: nanoseconds / 1e9,
                    cpu_seconds: ticks / TICKS_PER_SECOND,
                    memory_mb: to_mb(*kib),
                    descriptors: *descriptors,
                }),
                _ => anyhow::bail!("the script says something else: {line}"),
            }
        }
        Ok(said)
    }
}

fn to_mb(kib: f64) -> f64 {
    kib * 1024.0 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "a small number of jobs")]
fn to_float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_script_says_is_read() {
        let said =
            Said::read("bare 20 5000000000\nidle 30 6 10000\nheld 20 6000000000 50 11000 14\n");
        let said = said.unwrap();
        assert!((said.bare_seconds - 5.0).abs() < 1e-9);
        assert!((said.idle_cpu - 0.06).abs() < 1e-9);
        assert_eq!(said.held.len(), 1);
        assert!((said.held[0].cpu_seconds - 0.5).abs() < 1e-9);
        for wrong in ["held 20", "helt 1 2 3 4 5", "idle a b c"] {
            assert!(Said::read(wrong).is_err(), "{wrong}");
        }
    }
}
