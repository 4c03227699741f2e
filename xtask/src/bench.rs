//! What Runward costs: the same work bare and under `runward run`, in pairs.
//!
//! Machines drift: a neighbour wakes up, a disk cache fills. So each pair runs both ways one right after the other,
//! the order changes from pair to pair, and what counts is the ratio inside a pair. The median over the pairs is
//! shown with its quartiles and extremes, because a median without its spread promises more than was measured.

mod load;
mod measure;
mod stats;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::shell;
pub(crate) use load::Load;
use measure::{Measured, measure};
use stats::Spread;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The binary to measure
    #[arg(long, value_name = "FILE")]
    runward: PathBuf,
    /// How many pairs of the real build; of the short kinds of work, three times as many
    #[arg(long, value_name = "N", default_value_t = 9)]
    pairs: usize,
    /// Measure only the work of this name: real-build, execs, files or start
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

/// One kind of work.
struct Work {
    name: &'static str,
    about: &'static str,
    target: Target,
    /// How many pairs make one that was asked for: short work needs more of them for the same certainty.
    pairs: usize,
    command: Vec<String>,
    folder: PathBuf,
    /// A folder that the work fills, removed before each run.
    clean: Option<PathBuf>,
}

/// What the design promises, of the median.
#[derive(Clone, Copy)]
enum Target {
    /// So many times the bare command.
    Ratio(f64),
    /// So many seconds more than the bare command.
    Added(f64),
}

/// All pairs of one kind of work.
struct Series {
    bare: Vec<Measured>,
    watched: Vec<Measured>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    ensure!(options.pairs > 0, "--pairs must be at least 1");
    if !rustix::process::geteuid().is_root() {
        println!("skipped: bench: watching needs root; run `sudo -E make bench`");
        return Ok(());
    }
    let runward = fs::canonicalize(&options.runward)
        .with_context(|| format!("can't find {}", options.runward.display()))?;
    let scratch = tempfile::Builder::new()
        .prefix("runward-bench.")
        .tempdir()?;
    let memory = memory_folder()?;
    let works = works(scratch.path(), memory.path())?;
    let wanted = |work: &&Work| options.only.as_deref().is_none_or(|only| only == work.name);
    let works: Vec<&Work> = works.iter().filter(wanted).collect();
    ensure!(
        !works.is_empty(),
        "no such work; there are: real-build, execs, files, start"
    );

    let mut results = Vec::new();
    for work in works {
        println!("== {}: {}", work.name, work.about);
        let series = pairs(work, &runward, options.pairs * work.pairs, scratch.path())?;
        results.push(show(work, &series)?);
    }
    let binary_bytes = fs::metadata(&runward)?.len();
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

fn works(scratch: &Path, memory: &Path) -> anyhow::Result<[Work; 4]> {
    let own = std::env::current_exe().context("can't find myself")?;
    let own = own
        .to_str()
        .context("this tool lies at a path that is not UTF-8")?;
    let load = |name: &str, count: &str, folder: &Path| {
        let folder = folder.to_string_lossy().into_owned();
        [own, "load", name, count]
            .into_iter()
            .map(str::to_owned)
            .chain([folder])
            .collect()
    };
    let tree = real_tree(scratch)?;
    Ok([
        Work {
            name: "real-build",
            about: "cargo build of a small program and its dependencies, offline, from clean",
            target: Target::Ratio(1.02),
            pairs: 1,
            command: ["cargo", "build", "--offline", "--locked", "--quiet"]
                .map(str::to_owned)
                .into(),
            clean: Some(tree.join("target")),
            folder: tree,
        },
        Work {
            name: "execs",
            about: "5,000 runs of /bin/true, one after the other",
            target: Target::Ratio(1.05),
            pairs: 3,
            command: load("execs", "5000", memory),
            folder: memory.to_owned(),
            clean: None,
        },
        Work {
            name: "files",
            about: "200,000 small files written, renamed and deleted, in memory",
            target: Target::Ratio(1.05),
            pairs: 3,
            command: load("files", "200000", memory),
            folder: memory.to_owned(),
            clean: None,
        },
        Work {
            name: "start",
            about: "one run of /bin/true: what starting and ending costs",
            target: Target::Added(0.3),
            pairs: 3,
            command: vec!["/bin/true".to_owned()],
            folder: memory.to_owned(),
            clean: None,
        },
    ])
}

/// A copy of the committed tree outside of the repository, whose cargo configuration must not reach it, with its
/// dependencies fetched.
fn real_tree(scratch: &Path) -> anyhow::Result<PathBuf> {
    let from = shell::workspace().join("bench/tree");
    let to = scratch.join("tree");
    fs::create_dir_all(to.join("src"))?;
    for file in ["Cargo.toml", "Cargo.lock", "src/main.rs"] {
        fs::copy(from.join(file), to.join(file)).with_context(|| format!("can't copy {file}"))?;
    }
    shell::output(
        Command::new("cargo")
            .current_dir(&to)
            .args(["fetch", "--locked"]),
    )
    .context("can't fetch what the real build needs")?;
    Ok(to)
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

fn pairs(work: &Work, runward: &Path, count: usize, scratch: &Path) -> anyhow::Result<Series> {
    let report = scratch.join("report");
    let bare = || {
        let [program, args @ ..] = work.command.as_slice() else {
            anyhow::bail!("{} has no command", work.name);
        };
        let mut command = Command::new(program);
        command.args(args);
        once(work, command)
    };
    let watched = || {
        let mut command = Command::new(runward);
        command
            .args(["run", "--quiet", "--workspace"])
            .arg(&work.folder);
        command
            .arg("--report")
            .arg(&report)
            .arg("--")
            .args(&work.command);
        let measured = once(work, command);
        // Not part of the work, and not to be measured by the next run.
        let _ = fs::remove_dir_all(&report);
        measured
    };
    // One of each to warm caches.
    bare()?;
    watched()?;
    let mut series = Series {
        bare: Vec::new(),
        watched: Vec::new(),
    };
    for pair in 0..count {
        if pair % 2 == 0 {
            series.bare.push(bare()?);
            series.watched.push(watched()?);
        } else {
            series.watched.push(watched()?);
            series.bare.push(bare()?);
        }
    }
    Ok(series)
}

fn once(work: &Work, mut command: Command) -> anyhow::Result<Measured> {
    if let Some(folder) = &work.clean
        && folder.exists()
    {
        fs::remove_dir_all(folder)?;
    }
    // What the last run left to write must not slow this one down.
    rustix::fs::sync();
    // The toolchain's proxy sets these for what it runs; the real build finds its toolchain by itself.
    command
        .current_dir(&work.folder)
        .env_remove("CARGO")
        .env_remove("CARGO_TARGET_DIR");
    measure(&mut command)
}

fn show(work: &Work, series: &Series) -> anyhow::Result<Value> {
    let of_pairs = |of: fn(&Measured, &Measured) -> f64| {
        let pairs = series.bare.iter().zip(&series.watched);
        Spread::of(pairs.map(|(bare, watched)| of(bare, watched)).collect())
            .context("nothing was measured")
    };
    let ratios = of_pairs(|bare, watched| watched.wall / bare.wall)?;
    let added = of_pairs(|bare, watched| watched.wall - bare.wall)?;
    let spread = |of: fn(&Measured) -> f64, runs: &[Measured]| {
        Spread::of(runs.iter().map(of).collect()).context("nothing was measured")
    };
    let bare = spread(|run| run.wall, &series.bare)?;
    let watched = spread(|run| run.wall, &series.watched)?;
    let cpu = spread(|run| run.cpu, &series.watched)?;
    let memory = spread(|run| run.peak_mb, &series.watched)?;
    let verdict = |target: f64, median: f64| {
        let word = if median <= target { "held" } else { "MISSED" };
        format!("   target {target}: {word}")
    };
    let (of_ratio, of_added) = match work.target {
        Target::Ratio(target) => (verdict(target, ratios.median), String::new()),
        Target::Added(target) => (String::new(), verdict(target, added.median)),
    };
    println!("              min      q1  median      q3     max");
    println!("bare      {bare} s");
    println!("watched   {watched} s");
    println!("ratio     {ratios}{of_ratio}");
    println!("added     {added} s{of_added}");
    println!("own cpu   {cpu} s");
    println!("own peak  {memory} MB");
    Ok(json!({
        "name": work.name,
        "pairs": series.bare.len(),
        "about": work.about,
        "target_ratio": match work.target { Target::Ratio(target) => Some(target), Target::Added(_) => None },
        "target_added_seconds": match work.target { Target::Added(target) => Some(target), Target::Ratio(_) => None },
        "ratio": ratios.to_json(),
        "added_seconds": added.to_json(),
        "bare_seconds": bare.to_json(),
        "watched_seconds": watched.to_json(),
        "own_cpu_seconds": cpu.to_json(),
        "own_peak_mb": memory.to_json(),
    }))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "megabytes with one digit after the point"
)]
fn to_mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
