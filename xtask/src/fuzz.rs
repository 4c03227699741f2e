//! Fuzzing for a bounded time.
//!
//! The targets are in `fuzz/`, a workspace of its own, because everything that they reach is compiled with the coverage
//! that libFuzzer steers by. The stable compiler can do that; cargo-fuzz, which asks for a nightly one, is not needed.
//!
//! Each target begins with what is known: `fuzz/artifacts/TARGET`, inputs that once failed; `fuzz/seeds/TARGET`, which
//! are committed; `fuzz/corpus/TARGET`, what earlier runs found. What fails is kept among the artifacts.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::outcome::{Outcome, Report};
use crate::shell;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Run only the target of this name
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
}

struct Target {
    name: &'static str,
    /// Inputs that are kept elsewhere in the repository.
    more_seeds: Option<&'static str>,
}

const fn target(name: &'static str) -> Target {
    Target {
        name,
        more_seeds: None,
    }
}

const TARGETS: [Target; 13] = [
    target("policy-list"),
    target("policy-file"),
    target("block-list"),
    target("dns"),
    Target {
        name: "first-bytes",
        more_seeds: Some("crates/runward-sensor/tests/greetings"),
    },
    target("event"),
    target("records"),
    Target {
        name: "baseline",
        more_seeds: Some("crates/runward-baseline/tests/states"),
    },
    target("streams"),
    target("secrets"),
    target("rules"),
    target("migrate"),
    target("stage"),
];

/// What libFuzzer needs to see which way an input went: counters at each edge, and the values of comparisons. These are
/// flags of the stable compiler; AddressSanitizer is not among them, and nothing that is fuzzed has unsafe code but the
/// decoder's reads of whole structures.
///
/// They stand in place of the flags of the workspace's configuration, which make static binaries: libFuzzer puts itself
/// before `memcmp` and its like, and finds the real ones through the dynamic linker only.
const COMPILER_FLAGS: [&str; 8] = [
    "-Clink-arg=-fuse-ld=mold",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "--cfg=fuzzing",
];

/// The longest input, in bytes: a greeting of two segments, and lists of a hundred endpoints.
const INPUT_MAX: u32 = 4096;
/// One input may take so long, in seconds, and so much memory, in megabytes; both are far more than any needs.
const INPUT_SECONDS: u32 = 10;
const MEMORY_MB: u32 = 2048;

/// How many lines of a failing target are shown.
const LAST_LINES: usize = 40;

pub(crate) fn run(options: &Options) -> anyhow::Result<Report> {
    let wanted = |target: &&Target| {
        let only = options.only.as_deref();
        only.is_none_or(|only| only == target.name)
    };
    let targets: Vec<&Target> = TARGETS.iter().filter(wanted).collect();
    let names = TARGETS.map(|target| target.name).join(", ");
    ensure!(!targets.is_empty(), "no such target; there are: {names}");
    let binaries = build()?;
    let mut report = Report::default();
    for target in targets {
        println!("== fuzz {} for {} s", target.name, options.seconds);
        let outcome = fuzz(target, &binaries, options.seconds);
        let outcome = outcome.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        report.add(format!("fuzz {}", target.name), outcome);
    }
    Ok(report)
}

fn folder() -> PathBuf {
    shell::workspace().join("fuzz")
}

/// Builds all targets, and says where they are.
fn build() -> anyhow::Result<PathBuf> {
    let target_dir = folder().join("target");
    let mut cargo = shell::cargo();
    cargo
        .current_dir(folder())
        .env("CARGO_ENCODED_RUSTFLAGS", COMPILER_FLAGS.join("\u{1f}"))
        .args(["build", "--release", "--locked", "--target-dir"])
        .arg(&target_dir);
    shell::run(&mut cargo)?;
    Ok(target_dir.join("x86_64-unknown-linux-gnu/release"))
}

fn fuzz(target: &Target, binaries: &Path, seconds: u32) -> anyhow::Result<Outcome> {
    let part = |kind: &str| folder().join(kind).join(target.name);
    let [corpus, artifacts] = ["corpus", "artifacts"].map(part);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let more = target.more_seeds.map(|path| shell::workspace().join(path));
    let seeds = [Some(part("seeds")), more].into_iter().flatten();
    let mut command = Command::new(binaries.join(target.name));
    command
        .current_dir(folder())
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS}"))
        .arg(format!("-rss_limit_mb={MEMORY_MB}"))
        // With a slash at its end it is a folder.
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1")
        // libFuzzer adds what it finds to the first one only.
        .args([&corpus, &artifacts])
        .args(seeds.filter(|folder| folder.exists()));
    let said = Said::of(&mut command)?;
    said.show();
    if said.sound {
        return Ok(Outcome::Ok);
    }
    for line in &said.last {
        println!("    {line}");
    }
    let binary = binaries.join(target.name);
    let binary = binary.display();
    Ok(Outcome::Failed(match said.kept {
        Some(kept) => format!("the failing input is kept; `{binary} {kept}` runs it again"),
        None => format!("{binary} itself failed; see above"),
    }))
}

/// What a target said, as far as it matters.
#[derive(Debug, Default)]
struct Said {
    sound: bool,
    inputs: Option<String>,
    coverage: Option<String>,
    notes: Vec<String>,
    /// Where the failing input is.
    kept: Option<String>,
    last: VecDeque<String>,
}

impl Said {
    /// Runs it to its end.
    fn of(command: &mut Command) -> anyhow::Result<Said> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("can't start {command:?}"))?;
        let stderr = child.stderr.take().context("no stderr")?;
        let mut said = Said::default();
        for line in BufReader::new(stderr).split(b'\n') {
            said.line(&String::from_utf8_lossy(&line?));
        }
        said.sound = child.wait()?.success();
        Ok(said)
    }

    fn line(&mut self, line: &str) {
        if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
            self.inputs = Some(count.trim().to_owned());
        } else if let Some(note) = line.strip_prefix("note: ") {
            self.notes.push(note.to_owned());
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.kept = Some(path.to_owned());
        }
        if let Some((_, rest)) = line.split_once(" cov: ") {
            self.coverage = rest.split(' ').next().map(str::to_owned);
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(line.to_owned());
    }

    fn show(&self) {
        let unknown = "an unknown number of";
        println!(
            "{} inputs, {} edges of the code reached",
            self.inputs.as_deref().unwrap_or(unknown),
            self.coverage.as_deref().unwrap_or(unknown)
        );
        for note in &self.notes {
            println!("{note}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let mut said = Said::default();
        for line in [
            "note: the kernel judges one of 8 inputs too",
            "#2	INITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#9	DONE   cov: 345 ft: 400 corp: 9/80b lim: 4 exec/s: 9 rss: 31Mb",
            "artifact_prefix='a/'; Test unit written to a/crash-0123",
            "stat::number_of_executed_units: 4711",
        ] {
            said.line(line);
        }
        assert_eq!(said.inputs.as_deref(), Some("4711"));
        assert_eq!(said.coverage.as_deref(), Some("345"));
        assert_eq!(said.kept.as_deref(), Some("a/crash-0123"));
        assert_eq!(said.notes, ["the kernel judges one of 8 inputs too"]);
    }

    #[test]
    fn every_promise_names_a_target_and_every_target_holds_a_promise() {
        let targets = TARGETS.map(|target| target.name.to_owned());
        let promised = shell::named_in_specification("fuzz");
        assert_eq!(promised, targets.into());
    }

    #[test]
    fn every_target_has_its_binary_and_its_seeds() {
        let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
        assert_eq!(manifest.matches("[[bin]]").count(), TARGETS.len());
        for target in TARGETS {
            let name = target.name;
            assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
            let own = folder().join("seeds").join(name);
            let more = target.more_seeds.map(|path| shell::workspace().join(path));
            let seeds = more.unwrap_or(own);
            assert!(fs::read_dir(seeds).unwrap().next().is_some(), "{name}");
        }
    }
}
