//! Commands whose wall time is measured, bare and under Runward, in pairs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::job::{Jobs, Mode};
use super::measure::{Measured, measure};
use super::place::Place;
use super::stats::Spread;
use super::target::Target;
use crate::shell;

/// A few names, as a build's policy has them. None is looked up: the work is offline.
const ALLOWED: &str =
    "registry.example:443 *.packages.example:443 git.example:22,443 192.0.2.0/24:443";

/// One kind of work.
pub(super) struct Work {
    pub(super) name: &'static str,
    about: &'static str,
    goal: Goal,
    /// How many pairs make one that was asked for: short work needs more of them for the same certainty.
    pairs: usize,
    mode: Mode,
    command: Vec<String>,
    folder: PathBuf,
    /// A folder that the work fills, removed before each run.
    clean: Option<PathBuf>,
}

/// What the design promises, of the median.
#[derive(Clone, Copy)]
enum Goal {
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

/// The names of all works.
pub(super) const NAMES: [&str; 7] = [
    "real-build",
    "real-build-block",
    "execs",
    "execs-block",
    "files",
    "start",
    "start-block",
];

impl Work {
    /// The work of this name. `scratch` lies on a disk, `memory` in memory where there is some.
    pub(super) fn new(name: &'static str, scratch: &Path, memory: &Path) -> anyhow::Result<Work> {
        let load = |kind: &str, count: &str| -> anyhow::Result<Vec<String>> {
            let own = std::env::current_exe().context("can't find myself")?;
            let words = [
                own.as_path(),
                "load".as_ref(),
                kind.as_ref(),
                count.as_ref(),
                memory,
            ];
            Ok(words.map(|word| word.to_string_lossy().into_owned()).into())
        };
        let (kind, mode) = match name.strip_suffix("-block") {
            Some(kind) => (kind, Mode::Block(ALLOWED.to_owned())),
            None => (name, Mode::Audit),
        };
        let work = Work {
            name,
            about: "",
            goal: Goal::Ratio(1.05),
            pairs: 3,
            mode,
            command: Vec::new(),
            folder: memory.to_owned(),
            clean: None,
        };
        Ok(match kind {
            "real-build" => {
                let tree = real_tree(scratch)?;
                Work {
                    about: "cargo build of a small program and its dependencies, offline, from clean",
                    goal: Goal::Ratio(1.02),
                    pairs: 1,
                    command: ["cargo", "build", "--offline", "--locked", "--quiet"]
                        .map(str::to_owned)
                        .into(),
                    clean: Some(tree.join("target")),
                    folder: tree,
                    ..work
                }
            }
            // So many that starting and ending, which is measured on its own, does not hide what one of them costs.
            "execs" => Work {
                about: "20,000 runs of /bin/true, one after the other",
                command: load("execs", "20000")?,
                pairs: 1,
                ..work
            },
            "files" => Work {
                about: "200,000 small files written, renamed and deleted, in memory",
                command: load("files", "200000")?,
                ..work
            },
            _ => Work {
                about: "one run of /bin/true: what starting and ending costs",
                goal: Goal::Added(0.3),
                command: vec!["/bin/true".to_owned()],
                ..work
            },
        })
    }

    /// Measures it. In block mode both runs of a pair are in the place, whose name server the resolver asks.
    pub(super) fn run(&self, jobs: &Jobs, place: &Place, pairs: usize) -> anyhow::Result<Value> {
        println!("== {}: {}", self.name, self.about);
        let place = matches!(self.mode, Mode::Block(_)).then_some(place);
        let series = self.pairs(jobs, place, pairs * self.pairs)?;
        self.show(&series)
    }

    fn pairs(&self, jobs: &Jobs, place: Option<&Place>, count: usize) -> anyhow::Result<Series> {
        let bare = || self.once(jobs, &Mode::Bare, place);
        let watched = || self.once(jobs, &self.mode, place);
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

    fn once(&self, jobs: &Jobs, mode: &Mode, place: Option<&Place>) -> anyhow::Result<Measured> {
        if let Some(folder) = &self.clean
            && folder.exists()
        {
            fs::remove_dir_all(folder)?;
        }
        // What the last run left to write must not slow this one down.
        rustix::fs::sync();
        let measured = measure(&mut jobs.command(mode, place, &self.folder, &self.command));
        jobs.clean();
        measured
    }

    fn show(&self, series: &Series) -> anyhow::Result<Value> {
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
        let (of_ratio, of_added) = match self.goal {
            Goal::Ratio(most) => (Target::AtMost(most).verdict(ratios.median), String::new()),
            Goal::Added(most) => (String::new(), Target::AtMost(most).verdict(added.median)),
        };
        println!("              min      q1  median      q3     max");
        println!("bare      {bare} s");
        println!("{:10}{watched} s", self.mode.name());
        println!("ratio     {ratios}{of_ratio}");
        println!("added     {added} s{of_added}");
        println!("own cpu   {cpu} s");
        println!("own peak  {memory} MB");
        Ok(json!({
            "name": self.name,
            "pairs": series.bare.len(),
            "about": self.about,
            "mode": self.mode.name(),
            "target_ratio": match self.goal { Goal::Ratio(most) => Some(most), Goal::Added(_) => None },
            "target_added_seconds": match self.goal { Goal::Added(most) => Some(most), Goal::Ratio(_) => None },
            "ratio": ratios.to_json(),
            "added_seconds": added.to_json(),
            "bare_seconds": bare.to_json(),
            "watched_seconds": watched.to_json(),
            "own_cpu_seconds": cpu.to_json(),
            "own_peak_mb": memory.to_json(),
        }))
    }
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
