use std::io::BufReader;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context as _, ensure};
use cargo_metadata::Message;

use crate::shell;

/// Builds a package's program or example as it is released, and says where it is.
pub(crate) fn built(package: &str, what: &[&str]) -> anyhow::Result<PathBuf> {
    let mut child = shell::cargo()
        .args(["build", "--release", "--locked", "--package", package])
        .args(what)
        .arg("--message-format=json-render-diagnostics")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("can't start cargo")?;
    let stdout = child.stdout.take().context("cargo has no output")?;
    let mut found = None;
    for message in Message::parse_stream(BufReader::new(stdout)) {
        if let Message::CompilerArtifact(artifact) = message? {
            found = artifact.executable.or(found);
        }
    }
    ensure!(
        child.wait()?.success(),
        "{package} does not build; see above"
    );
    Ok(found.context("cargo made no program")?.into_std_path_buf())
}
