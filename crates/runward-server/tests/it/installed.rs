//! Tools of other ecosystems that tests drive: installed once below the target folder, by what pins them, and kept.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest as _, Sha256};

/// Stands in a folder in which everything was installed.
const DONE: &str = "installed";

/// The folder of a tool, installed as `pins` says; or why it can't be.
///
/// Other pins are another folder. Of several tests at a time, one installs and the others wait.
pub(crate) fn folder_of(
    tool: &str,
    pins: &str,
    install: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let hash = Sha256::digest(pins.as_bytes());
    let hash: String = hash.iter().take(6).map(|b| format!("{b:02x}")).collect();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = cache.join(format!("{tool}-{hash}"));
    let lock = File::create(folder.with_extension("lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if folder.join(DONE).exists() {
        return Ok(folder);
    }
    // What is there was broken off.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    install(&folder)?;
    fs::write(folder.join(DONE), "").map_err(|error| error.to_string())?;
    Ok(folder)
}

/// Runs a command to its end; what it said, when it failed.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("needs {name} ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rev().find(|line| !line.trim().is_empty());
    Err(format!(
        "{name} failed: {}",
        said.unwrap_or("it says nothing")
    ))
}
