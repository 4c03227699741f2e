use std::path::{Path, PathBuf};
use std::process::Command;

use super::place::Place;

/// How a command is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Without Runward.
    Bare,
    /// Recorded.
    Audit,
    /// Recorded and fenced, with these endpoints allowed.
    Block(String),
}

impl Mode {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Mode::Bare => "bare",
            Mode::Audit => "audit",
            Mode::Block(_) => "block",
        }
    }
}

/// What is the same for every job that is measured.
#[derive(Debug)]
pub(super) struct Jobs {
    pub(super) runward: PathBuf,
    /// Where each job's report goes; to be removed after each.
    pub(super) report: PathBuf,
}

impl Jobs {
    /// The command as it is measured: in its folder, on the job's side of the place where there is one.
    pub(super) fn command(
        &self,
        mode: &Mode,
        place: Option<&Place>,
        folder: &Path,
        command: &[String],
    ) -> Command {
        let mut whole = match place {
            Some(place) => place.enter(folder),
            None => {
                let mut plain = Command::new("env");
                plain.arg("--chdir").arg(folder);
                plain
            }
        };
        if *mode != Mode::Bare {
            whole.arg(&self.runward).args(["run", "--quiet"]);
            whole.arg("--workspace").arg(folder);
            whole.arg("--report").arg(&self.report);
            if let Mode::Block(allowed) = mode {
                whole.args(["--egress-policy", "block", "--allowed-endpoints", allowed]);
            }
            whole.arg("--");
        }
        whole.args(command);
        // The toolchain's proxy sets these for what it runs; the real build finds its toolchain by itself.
        whole.env_remove("CARGO").env_remove("CARGO_TARGET_DIR");
        whole
    }

    /// Takes the last job's report away: not part of the work, and not to be measured by the next job.
    pub(super) fn clean(&self) {
        let _ = std::fs::remove_dir_all(&self.report);
    }
}
