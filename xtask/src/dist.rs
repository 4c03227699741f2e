//! The agent as people install it: a tarball, a deb and an rpm, with their checksums and the list of what is in the
//! binary.
//!
//! Each is a function of the commit and the binary: made twice, it has the same bytes. So nobody has to trust the machine
//! that made it.

mod components;
mod deb;
mod licences;
mod rpm;
mod sbom;
mod stage;
mod tarball;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::shell::{self, target_dir, workspace};

/// The machine that the binary is for, as Rust, Debian and everybody else call it.
const TARGET: &str = "x86_64-unknown-linux-gnu";
const DEBIAN: &str = "amd64";
const MACHINE: &str = "x86_64";

/// Options of `cargo xtask dist`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The release binary
    #[arg(long, value_name = "FILE")]
    runward: PathBuf,
    /// Where the packages go
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// What all packages are made of.
#[derive(Debug)]
struct Release {
    version: String,
    /// The commit's time: the newest that any file in a package has, in seconds.
    epoch: u64,
    binary: PathBuf,
    /// The list of components, and their licences in full, packed.
    sbom: Vec<u8>,
    licences: Vec<u8>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let out = match &options.out {
        Some(out) => out.clone(),
        None => target_dir().join("dist"),
    };
    let made = make(&options.runward, &out)?;
    println!("{}:", out.display());
    for name in made {
        let size = fs::metadata(out.join(&name))?.len();
        println!("  {size:>9}  {name}");
    }
    Ok(())
}

/// Makes everything anew; answers the names of the files.
fn make(binary: &Path, out: &Path) -> anyhow::Result<Vec<String>> {
    let version = version_of(binary)?;
    let ours = env!("CARGO_PKG_VERSION");
    ensure!(
        version == ours,
        "{} is version {version}, and this is {ours}: run `make build` first",
        binary.display()
    );
    let components = components::linked()?;
    let binary_hash = sha256(binary)?;
    let epoch = epoch()?;
    let release = Release {
        sbom: sbom::document(&version, epoch, &binary_hash, &components)?,
        licences: licences::packed(&components)?,
        binary: binary.to_path_buf(),
        version,
        epoch,
    };
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("can't empty {}", out.display()))?;
    }
    fs::create_dir_all(out).with_context(|| format!("can't make {}", out.display()))?;
    let sbom = format!("runward-{}.cdx.json", release.version);
    fs::write(out.join(&sbom), &release.sbom)?;
    let mut made = vec![
        tarball::make(&release, out)?,
        deb::make(&release, out)?,
        rpm::make(&release, out)?,
        sbom,
    ];
    made.sort();
    let mut sums = String::new();
    for name in &made {
        sums += &format!("{}  {name}\n", sha256(&out.join(name))?);
    }
    fs::write(out.join("SHA256SUMS"), sums)?;
    made.push("SHA256SUMS".to_owned());
    Ok(made)
}

fn version_of(binary: &Path) -> anyhow::Result<String> {
    let said = shell::output(Command::new(binary).arg("--version"))?;
    let version = said.trim().strip_prefix("runward ");
    Ok(version.context("this is no runward")?.to_owned())
}

/// When the commit was made; outside of a repository, what the variable says.
fn epoch() -> anyhow::Result<u64> {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    let text = match given {
        Some(given) => given,
        None => {
            let log = ["log", "-1", "--format=%ct"];
            shell::output(Command::new("git").args(log).current_dir(workspace()))
                .context("set SOURCE_DATE_EPOCH where there is no repository")?
        }
    };
    text.trim()
        .parse()
        .context("SOURCE_DATE_EPOCH is not a number of seconds")
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let said = shell::output(Command::new("sha256sum").arg("--").arg(file))?;
    let hash = said.split_whitespace().next().unwrap_or_default();
    // A name with odd characters in it gets a mark before the line.
    let hash = hash.trim_start_matches('\\');
    ensure!(hash.len() == 64, "sha256sum said {said}");
    Ok(hash.to_owned())
}

fn template(text: &str, release: &Release) -> String {
    text.replace("@VERSION@", &release.version)
}
