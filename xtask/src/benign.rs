//! Real builds that do no harm, each watched: whatever is found in them above `info` is a false alarm, or explained.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::shell;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The `runward` that watches them
    #[arg(long, value_name = "PATH")]
    runward: PathBuf,
    /// Only these builds
    #[arg(value_name = "NAME")]
    only: Vec<String>,
}

/// Watches the builds, and prints what was found in each. Whether nothing was that has no explanation.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let runward = fs::canonicalize(&options.runward)
        .with_context(|| format!("{} is not there", options.runward.display()))?;
    let scripts = shell::workspace().join("xtask/benign");
    let explained = explained(&scripts.join("explained.txt"))?;
    let results = shell::target_dir().join("benign");
    let mut rows = Vec::new();
    let mut clean = true;
    println!(
        "{:<10} {:>9} {:>6} {:>7} {:>6}  unexplained",
        "build", "processes", "calls", "changes", "found"
    );
    for name in names(&scripts)? {
        if !options.only.is_empty() && !options.only.contains(&name) {
            continue;
        }
        let script = scripts.join(format!("{name}.sh"));
        if let Some(lack) = lack(&script)? {
            println!("{name:<10} skipped: this machine has no {lack}");
            continue;
        }
        let report = match watch(&runward, &script, &results.join(&name)) {
            Ok(report) => report,
            Err(error) => {
                println!("{name:<10} failed: {error}");
                clean = false;
                continue;
            }
        };
        let row = Row::new(&name, &report, &explained);
        clean &= row.unexplained.is_empty();
        println!("{row}");
        rows.push(row.json());
    }
    ensure!(
        !rows.is_empty(),
        "no build has run: none is named so, or this machine has none of their tools"
    );
    let list = results.join("findings.json");
    fs::write(&list, serde_json::to_string_pretty(&rows)?)?;
    println!("written to {}", list.display());
    Ok(clean)
}

/// The builds that there are, by name.
fn names(scripts: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(scripts)? {
        let path = entry?.path();
        if path.extension().is_some_and(|is| is == "sh") {
            names.extend(
                path.file_stem()
                    .and_then(|name| Some(name.to_str()?.to_owned())),
            );
        }
    }
    names.sort();
    Ok(names)
}

/// The first command that the build needs and this machine lacks.
fn lack(script: &Path) -> anyhow::Result<Option<String>> {
    let asked = ". \"$0\"; for one in $needs; do command -v \"$one\" >/dev/null || { echo \"$one\"; exit; }; done";
    let answer = Command::new("sh")
        .args(["-c", asked])
        .arg(script)
        .output()?;
    let lack = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
    Ok(Some(lack).filter(|lack| !lack.is_empty()))
}

/// Makes a fresh checkout of a project, and builds it under watch, with empty caches. The report.
fn watch(runward: &Path, script: &Path, result: &Path) -> anyhow::Result<Value> {
    match fs::remove_dir_all(result) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    fs::create_dir_all(result)?;
    // Outside of this repository, whose settings would hold below it.
    let place = tempfile::Builder::new()
        .prefix("runward-benign.")
        .tempdir()?;
    let (project, cache) = (place.path().join("project"), place.path().join("cache"));
    fs::create_dir(&project)?;
    fs::create_dir(&cache)?;
    let log = fs::File::create(result.join("log"))?;
    let part = |mut command: Command, part: &str| -> anyhow::Result<()> {
        command
            .args(["sh", "-euc", &format!(". \"$0\"; {part}")])
            .arg(script)
            .current_dir(&project)
            .env("CACHE", &cache)
            .env("CARGO_HOME", cache.join("cargo"))
            .env("GOPATH", cache.join("go"))
            .env("GOCACHE", cache.join("go-build"))
            .env("GOFLAGS", "-modcacherw")
            .env("npm_config_cache", cache.join("npm"))
            .env("PIP_CACHE_DIR", cache.join("pip"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        // They are run by cargo; nothing of that must reach the cargo in here.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_") && name != "CARGO_HOME" || name == "RUSTFLAGS" {
                command.env_remove(&*name);
            }
        }
        let status = command.status()?;
        ensure!(
            status.success(),
            "{status}; {} says more",
            result.join("log").display()
        );
        Ok(())
    };
    mirror(&cache.join("cargo"))?;
    part(Command::new("env"), "prepare")?;
    let mut git = Command::new("sh");
    git.args(["-c", COMMIT]).current_dir(&project);
    shell::run(&mut git)?;
    let report = result.join("report");
    let mut watched = Command::new(runward);
    watched
        .args(["run", "--quiet", "--report"])
        .arg(&report)
        .arg("--");
    part(watched, "build")?;
    let text = fs::read_to_string(report.join("report.json"))?;
    Ok(serde_json::from_str(&text)?)
}

const COMMIT: &str = "git -c init.defaultBranch=main init -q && git add . && git -c user.name=benign \
    -c user.email=benign@example.invalid -c commit.gpgsign=false commit -q -m 'A project'";

/// A mirror that the user's own cargo is told to use stays in use.
fn mirror(cargo: &Path) -> anyhow::Result<()> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    fs::create_dir_all(cargo)?;
    if let Some(config) = home.map(|home| home.join("config.toml"))
        && config.is_file()
    {
        fs::copy(config, cargo.join("config.toml"))?;
    }
    Ok(())
}

/// A finding that is no mistake: `BUILD DETECTION TEXT`, where its sentence contains the text.
struct Explained {
    build: String,
    detection: String,
    text: String,
}

fn explained(list: &Path) -> anyhow::Result<Vec<Explained>> {
    let text = fs::read_to_string(list)?;
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut parts = line.splitn(3, ' ').map(str::to_owned);
            let (Some(build), Some(detection), Some(text)) =
                (parts.next(), parts.next(), parts.next())
            else {
                anyhow::bail!("{}: `{line}` is not BUILD DETECTION TEXT", list.display());
            };
            Ok(Explained {
                build,
                detection,
                text,
            })
        })
        .collect()
}

/// What was found in one build.
struct Row {
    name: String,
    counts: Value,
    /// Sentences above `info`, by how often they are there.
    found: BTreeMap<String, u64>,
    unexplained: Vec<String>,
}

impl Row {
    fn new(name: &str, report: &Value, explained: &[Explained]) -> Row {
        let text = |found: &Value, key: &str| found[key].as_str().unwrap_or_default().to_owned();
        let (mut all, mut unexplained) = (BTreeMap::new(), Vec::new());
        for found in report["detections"].as_array().into_iter().flatten() {
            let (detection, message) = (text(found, "detection"), text(found, "message"));
            if text(found, "severity") == "info" {
                continue;
            }
            let sentence = format!("{detection} ({}): {message}", text(found, "severity"));
            let known = explained.iter().any(|known| {
                known.build == name && known.detection == detection && message.contains(&known.text)
            });
            if !known {
                unexplained.push(sentence.clone());
            }
            *all.entry(sentence).or_default() += 1;
        }
        Row {
            name: name.to_owned(),
            counts: report["counts"].clone(),
            found: all,
            unexplained,
        }
    }

    fn json(&self) -> Value {
        json!({ "build": self.name, "found": self.found, "unexplained": self.unexplained })
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |key: &str| self.counts[key].as_u64().unwrap_or_default();
        let found: u64 = self.found.values().sum();
        write!(
            f,
            "{:<10} {:>9} {:>6} {:>7} {found:>6}  {}",
            self.name,
            count("processes"),
            count("connections"),
            count("file_changes"),
            self.unexplained.len(),
        )?;
        self.found.keys().try_for_each(|sentence| {
            let known = if self.unexplained.contains(sentence) {
                ""
            } else {
                "explained: "
            };
            write!(f, "\n    {known}{sentence}")
        })
    }
}
