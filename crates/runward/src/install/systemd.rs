//! The machine's systemd, asked through its own tool.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// See sd_booted(3).
const BOOTED: &str = "/run/systemd/system";

/// Whether systemd runs this machine.
pub(crate) fn runs() -> bool {
    Path::new(BOOTED).is_dir()
}

/// Runs `systemctl`; an error with what it said when it fails.
pub(crate) fn systemctl(arguments: &[&str]) -> Result<()> {
    let shown = || format!("systemctl {}", arguments.join(" "));
    let ended = Command::new("systemctl")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run `{}`", shown()))?;
    if !ended.status.success() {
        let said = String::from_utf8_lossy(&ended.stderr);
        bail!("`{}` failed: {}", shown(), said.trim());
    }
    Ok(())
}
