use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// The folder that holds the workspace's manifest.
pub(crate) fn workspace() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where cargo puts what it makes.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}

/// Cargo, called in the workspace's folder.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    cargo
}

/// Runs the command to its end; an error when it fails.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| starting(command))?;
    ensure!(status.success(), "{} ended with {status}", name_of(command));
    Ok(())
}

/// Runs the command and takes what it prints; an error, with what it said, when it fails.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| starting(command))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "{} ended with {}: {}",
            name_of(command),
            output.status,
            said.trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the command can be run and succeeds. What it says is thrown away.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Where a program stands, by `PATH` and the folders that hold system tools.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

fn starting(command: &Command) -> String {
    format!(
        "can't start {}; `make setup` installs what is missing",
        name_of(command)
    )
}

fn name_of(command: &Command) -> String {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args().take(2));
    words.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// What `SPECIFICATION.md` names as `` `KIND:name` ``, but for the line that explains the notation.
#[cfg(test)]
pub(crate) fn named_in_specification(kind: &str) -> std::collections::BTreeSet<String> {
    let text = std::fs::read_to_string(workspace().join("SPECIFICATION.md")).unwrap();
    text.split(&format!("`{kind}:"))
        .skip(1)
        .filter_map(|rest| rest.split('`').next())
        .filter(|name| *name != "name")
        .map(str::to_owned)
        .collect()
}
