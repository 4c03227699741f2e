//! What Runward costs: the same work bare and under `runward run`, in pairs.
//!
//! Machines drift: a neighbour wakes up, a disk cache fills. So each pair runs both ways one right after the other,
//! the order changes from pair to pair, and what counts is the ratio inside a pair. The median over the pairs is
//! shown with its quartiles and extremes, because a median without its spread promises more than was measured.

mod agent;
mod built;
mod bulk;
mod connect;
mod control_plane;
mod job;
mod load;
mod measure;
mod pipeline;
mod place;
mod resolver;
mod rounds;
mod server;
mod stats;
mod target;
mod work;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};

use self::job::Jobs;
use self::place::Place;
use self::work::Work;
use crate::shell;
pub(crate) use built::built;
pub(crate) use load::Load;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The binary to measure
    #[arg(long, value_name = "FILE")]
    runward: PathBuf,
    /// How many pairs of the real build; of short kinds of work, three times as many
    #[arg(long, value_name = "N", default_value_t = 9)]
    pairs: usize,
    /// Measure only what has this name; a wrong one makes the names be listed
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.pairs > 0, "--pairs must be at least 1");
    if !rustix::process::geteuid().is_root() {
        println!("skipped: bench: watching needs root; run `sudo -E make bench`");
        return Ok(());
    }
    let names = names(options.only.as_deref())?;
    let runward = fs::canonicalize(&options.runward)
        .with_context(|| format!("can't find {}", options.runward.display()))?;
    let scratch = tempfile::Builder::new()
        .prefix("runward-bench.")
        .tempdir()?;
    let memory = memory_folder()?;
    let binary_bytes = fs::metadata(&runward)?.len();
    let bench = Bench {
        jobs: Jobs {
            runward,
            report: scratch.path().join("report"),
        },
        place: Place::new(scratch.path())?,
        scratch: scratch.path(),
        memory: memory.path(),
        pairs: options.pairs,
    };

    let mut results = Vec::new();
    for name in names {
        results.push(bench.measure(name).with_context(|| format!("{name}:"))?);
    }
    println!("binary: {:.1} MB", to_mb(binary_bytes));
    let document = json!({
        "binary_bytes": binary_bytes,
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": rustix::system::uname().release().to_string_lossy(),
        "works": results,
    });
    let folder = shell::target_dir().join("bench");
    fs::create_dir_all(&folder)?;
    let file = folder.join("results.json");
    fs::write(&file, format!("{document:#}\n"))?;
    println!("written to {}", file.display());
    Ok(())
}

/// What there is to be measured, or the one thing of it that was asked for.
fn names(only: Option<&str>) -> anyhow::Result<Vec<&'static str>> {
    let all = work::NAMES
        .into_iter()
        .chain(connect::NAMES)
        .chain([bulk::NAME, pipeline::NAME, agent::NAME])
        .chain(resolver::NAMES)
        .chain(control_plane::NAMES);
    let all: Vec<_> = all.collect();
    let Some(only) = only else {
        return Ok(all);
    };
    let wanted = all.iter().copied().filter(|name| *name == only);
    let wanted: Vec<_> = wanted.collect();
    ensure!(
        !wanted.is_empty(),
        "nothing has the name {only}; there are: {}",
        all.join(", ")
    );
    Ok(wanted)
}

/// Everything that the measurements share.
struct Bench<'a> {
    jobs: Jobs,
    place: Place,
    scratch: &'a Path,
    memory: &'a Path,
    pairs: usize,
}

impl Bench<'_> {
    fn measure(&self, name: &'static str) -> anyhow::Result<Value> {
        let (jobs, place) = (&self.jobs, &self.place);
        if connect::NAMES.contains(&name) {
            return connect::run(name, jobs, place, self.pairs * 3);
        }
        if resolver::NAMES.contains(&name) {
            return resolver::run(name, self.scratch, self.pairs);
        }
        if control_plane::NAMES.contains(&name) {
            return control_plane::run(name, self.scratch, self.pairs);
        }
        if name == pipeline::NAME {
            return pipeline::run(self.scratch, self.pairs);
        }
        if name == agent::NAME {
            return agent::run(&jobs.runward, self.scratch);
        }
        if name == bulk::NAME {
            return bulk::run(jobs, place, self.pairs);
        }
        Work::new(name, self.scratch, self.memory)?.run(jobs, place, self.pairs)
    }
}

/// Memory where there is some, so that the disk's moods stay out of the numbers.
fn memory_folder() -> anyhow::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("runward-bench.");
    let folder = builder
        .tempdir_in("/dev/shm")
        .or_else(|_| builder.tempdir());
    folder.context("can't make a scratch folder")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "megabytes with one digit after the point"
)]
fn to_mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_measured_by_its_name_and_a_wrong_name_lists_all() {
        assert_eq!(names(Some("bulk")).unwrap(), ["bulk"]);
        assert!(names(None).unwrap().contains(&"connect-tcp"));
        let error = names(Some("bluk")).unwrap_err().to_string();
        assert!(error.contains("real-build-block, execs"), "{error}");
    }

    #[test]
    fn every_promise_names_a_measurement_and_every_measurement_holds_a_promise() {
        let promised = shell::named_in_specification("bench");
        for name in &promised {
            assert!(names(Some(name)).is_ok(), "there is no bench:{name}");
        }
        for name in names(None).unwrap() {
            assert!(promised.contains(name), "no promise names bench:{name}");
        }
    }
}
