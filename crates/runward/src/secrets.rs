//! What a job prints and leaves behind, searched for secrets.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result};
use runward_agent::{Artifacts, Job, JobError, Outputs, Search};
use runward_event::{JobIdentity, Provider};
use rustix::process::setpriority_process;

use crate::cli::{self, RunOptions};
use crate::{exit, upload};

/// Where GitHub takes the summary of a step from, which everybody sees who sees the run.
const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// The relay's nice value: before a build's compilers.
const PRIORITY: i32 = -10;

/// Where a job may show a secret.
pub(crate) struct Secrets {
    pub(crate) outputs: Outputs,
    search: Search,
    artifacts: Vec<PathBuf>,
    summary: Option<PathBuf>,
    notes: Vec<String>,
}

impl Secrets {
    pub(crate) fn prepare(
        options: &RunOptions,
        identity: &JobIdentity,
        owner: Option<(u32, u32)>,
    ) -> Result<Secrets> {
        let environment: Vec<_> = std::env::vars_os()
            .filter(|(name, _)| name != upload::KEY)
            .collect();
        let environment = environment
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.as_bytes())));
        let key = std::env::var(upload::KEY).ok();
        // There, a line `::add-mask::` hides what is in it.
        let add_mask = identity.provider == Provider::Github;
        let search = Search::new(environment, key.as_deref(), add_mask)
            .context("cannot make a key for hashes of secrets")?;
        let mut notes = Vec::new();
        let outputs = if options.no_output_scan {
            notes.push(
                "The output is not searched for secrets: --no-output-scan was given.".to_owned(),
            );
            Outputs::default()
        } else {
            Outputs::interpose(&search, &command, owner)
        };
        notes.extend_from_slice(outputs.notes());
        let summary = add_mask.then(|| std::env::var_os(SUMMARY)).flatten();
        Ok(Secrets {
            outputs,
            search,
            artifacts: options.artifacts.clone(),
            summary: summary.map(PathBuf::from),
            notes,
        })
    }

    /// What a reader should know about what is not looked at, a sentence each.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Records what was found in the output since the last call.
    pub(crate) fn record(&mut self, job: &mut Job) -> Result<(), JobError> {
        for seen in self.outputs.take() {
            job.record_secret(seen)?;
        }
        Ok(())
    }

    /// Records what else was found, when the command has ended.
    pub(crate) fn finish(mut self, job: &mut Job) -> Result<(), JobError> {
        let known = self.outputs.notes().len();
        for seen in self.outputs.settle() {
            job.record_secret(seen)?;
        }
        let new = self.outputs.notes().iter().skip(known).cloned();
        job.note_search(self.outputs.untold(), new);
        // A step that writes no summary may have no file for it.
        let summary = self.summary.take().filter(|path| path.exists());
        self.artifacts.extend(summary);
        if self.artifacts.is_empty() {
            return Ok(());
        }
        let mut artifacts = Artifacts::search(&self.artifacts, self.search);
        for seen in artifacts.take() {
            job.record_secret(seen)?;
        }
        job.note_search(artifacts.untold(), artifacts.notes());
        Ok(())
    }
}

fn command() -> Command {
    let mut relay = Command::new("/proc/self/exe");
    relay.arg0("runward").arg(cli::relay_name());
    relay
}

/// The relay itself.
pub(crate) fn relay() -> ExitCode {
    // Out of reach of the terminal's signals, and of those that a script sends to its group. Where that fails, it still
    // passes on what is printed.
    let _ = rustix::process::setsid();
    // What is read late is attributed to whoever runs by then. It works little, and the job waits for it.
    let _ = setpriority_process(None, PRIORITY);
    match runward_agent::relay() {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has gone, or the disk is full: the job learns it by its next write.
        Err(_) => ExitCode::from(exit::FAILURE),
    }
}
