//! The agent as people install it: a tarball, a deb, an rpm and the binary alone, with their checksums and the list of what is in the
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
    // Alone, too: the GitHub action fetches it, and is tied to its checksum.
    let alone = format!("runward-{}-{MACHINE}-linux", release.version);
    fs::copy(&release.binary, out.join(&alone))?;
    let mut made = vec![
        alone,
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::{Duration, SystemTime};

    use tempfile::TempDir;

    use super::*;

    /// Something that says what the binary says of itself, last changed so long ago.
    fn program(folder: &Path, age: Duration) -> PathBuf {
        let path = folder.join("runward");
        let mut file = fs::File::create(&path).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        write!(file, "#!/bin/sh\necho runward {version}\n").unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path
    }

    fn said(program: &str, arguments: &[&str], file: &Path) -> String {
        shell::output(Command::new(program).args(arguments).arg(file)).unwrap()
    }

    #[test]
    fn packages_have_the_same_bytes_each_time_and_hold_what_they_say() {
        let lacking = ["dpkg-deb", "rpmbuild", "rpm"]
            .into_iter()
            .find(|name| shell::find_program(name).is_none());
        if let Some(name) = lacking {
            // Past the test harness's capture, as everywhere.
            let test = "packages_have_the_same_bytes_each_time_and_hold_what_they_say";
            let _ = writeln!(
                std::io::stderr(),
                "SKIPPED {test}: needs the program {name}"
            );
            return;
        }
        let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let outs = [&first, &second].map(|folder| folder.path().join("out"));
        let made = make(&program(first.path(), Duration::ZERO), &outs[0]).unwrap();
        // Another time on the clock, and another age of the same binary.
        std::thread::sleep(Duration::from_millis(1100));
        let again = make(&program(second.path(), Duration::from_secs(4711)), &outs[1]).unwrap();
        assert_eq!(made, again);
        assert_eq!(made.len(), 6);
        for name in &made {
            let read = |out: &PathBuf| fs::read(out.join(name)).unwrap();
            assert!(read(&outs[0]) == read(&outs[1]), "{name} differs");
        }
        let checked = Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
            .current_dir(&outs[0])
            .status();
        assert!(checked.is_ok_and(|checked| checked.success()));

        let named = |end: &str| {
            let name = made.iter().find(|name| name.ends_with(end)).unwrap();
            outs[0].join(name)
        };
        let deb = said("dpkg-deb", &["--contents"], &named(".deb"));
        let rpm = said(
            "rpm",
            &[
                "-qp",
                "--qf",
                "[%{FILEMODES:perms} %{FILEUSERNAME} %{FILENAMES}\n]",
            ],
            &named(".rpm"),
        );
        let files = [
            ("-rwxr-xr-x", "/usr/bin/runward"),
            (
                "-rw-r--r--",
                "/usr/lib/systemd/system/runward-agent.service",
            ),
            ("-rw-r--r--", "/etc/runward/agent.yml"),
            ("-rw-r--r--", "/usr/share/doc/runward/runward.cdx.json"),
        ];
        for (mode, path) in files {
            for list in [&deb, &rpm] {
                let line = list.lines().find(|line| line.ends_with(path));
                let line = line.unwrap_or_else(|| panic!("no {path}: {list}"));
                assert!(line.starts_with(mode) && line.contains("root"), "{line}");
            }
        }
        let kept = said("rpm", &["-qp", "--configfiles"], &named(".rpm"));
        assert_eq!(kept.trim(), "/etc/runward/agent.yml");
        let sbom: serde_json::Value =
            serde_json::from_slice(&fs::read(named(".cdx.json")).unwrap()).unwrap();
        let parts = sbom["components"].as_array().unwrap();
        let has = |name: &str| parts.iter().any(|part| part["name"] == name);
        for name in [
            "libbpf",
            "elfutils",
            "zlib",
            "zstd",
            "glibc",
            "rust-std",
            "libbpf-rs",
        ] {
            assert!(has(name), "{name} is missing");
        }
        // Of the server, of build scripts, and of procedural macros.
        for name in ["sqlx", "libbpf-cargo", "serde_derive", "insta"] {
            assert!(!has(name), "{name} is not in the binary");
        }
    }
}
