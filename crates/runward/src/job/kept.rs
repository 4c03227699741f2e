//! What was learnt of a job that the service holds, kept for the next attendant should this one be killed: what a pipeline
//! asks for is not less because of that.
//!
//! `/run/runward/learnt/PID-TIME` is for root alone: one for each process that the job stands and falls with, by its id and
//! when it started, so that nobody needs to know who held the job before.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use runward_event::{JobContext, JobIdentity};
use runward_sensor::life_of;
use serde::{Deserialize, Serialize};

use super::place::own_folder;
use super::wire::Policy;

const LEARNT: &str = "/run/runward/learnt";

/// What is in force beside what the machine's settings say, and for whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The variables of the pipeline that say something, with what they say.
    pub(super) pipeline: HashMap<String, String>,
    /// What a process of the job has handed over.
    pub(super) handed: Option<Policy>,
    /// The control plane's policy: its name, and its text.
    pub(super) stored: Option<(String, String)>,
    /// Who the job is, if that is known.
    pub(super) known: Option<(JobIdentity, JobContext)>,
}

impl Kept {
    /// What an attendant has kept of the job of this process.
    pub(super) fn of(pid: u32) -> Result<Option<Kept>> {
        let Some(path) = path_of(pid) else {
            return Ok(None);
        };
        let failed = || {
            format!(
                "cannot read what was in force before from {}",
                path.display()
            )
        };
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => {
                let text = read.with_context(failed)?;
                serde_json::from_slice(&text).with_context(failed).map(Some)
            }
        }
    }

    /// Keeps it for these processes, as long as they run.
    pub(super) fn keep(&self, pids: impl Iterator<Item = u32>) -> Result<()> {
        own_folder(Path::new(LEARNT)).with_context(|| format!("cannot use {LEARNT}"))?;
        sweep();
        let text = serde_json::to_vec(self)?;
        for path in pids.filter_map(path_of) {
            // Whole, or as it was.
            let new = path.with_extension("new");
            let written = OpenOptions::new()
                .create(true)
                .write(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)
                .and_then(|mut file| file.write_all(&text))
                .and_then(|()| fs::rename(&new, &path));
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

fn path_of(pid: u32) -> Option<PathBuf> {
    Some(Path::new(LEARNT).join(life_of(pid)?))
}

/// Removes what is of processes that have ended.
fn sweep() {
    let Ok(entries) = fs::read_dir(LEARNT) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let life = path.file_stem().unwrap_or_default().to_string_lossy();
        let pid = life.split('-').next().and_then(|pid| pid.parse().ok());
        if pid.and_then(life_of).as_deref() != Some(&*life) {
            let _ = fs::remove_file(&path);
        }
    }
}
