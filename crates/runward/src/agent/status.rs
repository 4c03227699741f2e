//! `runward agent status`: what the service is doing, asked at a socket that root alone can reach.

use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use runward_sensor::is_stranger_root;
use serde::{Deserialize, Serialize};

use crate::cli::AgentStatusOptions;
use crate::job::{Status, jobs_at_a_glance};
use crate::{exit, output, policy};

/// Where the service is asked.
const SOCKET: &str = "/run/runward/agent.sock";
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer, in bytes.
const ANSWER_MAX: u64 = 16 << 20;

/// What the service is doing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AgentStatus {
    pub(crate) version: String,
    pub(crate) pid: u32,
    /// What holds for a job that says nothing itself.
    pub(crate) mode: String,
    /// Where the machine's policy is written.
    pub(crate) policy: Vec<String>,
    pub(crate) jobs: Vec<Status>,
    /// Finished records that the control plane has not got.
    pub(crate) waiting: usize,
    /// What all finished records take, in bytes.
    pub(crate) bytes: u64,
    /// Why records wait.
    pub(crate) trouble: Option<String>,
}

/// Begins to listen for who asks. There must be one agent only.
pub(crate) fn listen() -> Result<UnixListener> {
    let listen = || {
        match fs::remove_file(SOCKET) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(SOCKET)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(SOCKET, Permissions::from_mode(0o600))?;
        Ok(listener)
    };
    listen().with_context(|| format!("cannot listen at {SOCKET}"))
}

/// Answers everybody who waits.
pub(crate) fn answer(listener: &UnixListener, status: impl Fn() -> AgentStatus) {
    while let Ok((stream, _)) = listener.accept() {
        // A job that is root has no business here.
        if !is_stranger_root(stream.as_fd()).unwrap_or(false) {
            continue;
        }
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let line = serde_json::to_vec(&status()).unwrap_or_default();
        // Who hangs up does not want to know.
        let _ = (&stream).write_all(&line);
    }
}

/// `runward agent status`.
pub(crate) fn status(options: &AgentStatusOptions) -> ExitCode {
    match ask() {
        Ok(status) if options.json => {
            policy::print_json(&status);
            ExitCode::SUCCESS
        }
        Ok(status) => {
            policy::print(&told(&status));
            ExitCode::SUCCESS
        }
        Err(error) => {
            output::say(format_args!("{error:#}"));
            ExitCode::from(exit::FAILURE)
        }
    }
}

/// What the agent tells, and of each job what its attendant does: a policy that was tightened meanwhile is not the agent's
/// to know.
fn ask() -> Result<AgentStatus> {
    let mut status = ask_agent()?;
    for live in jobs_at_a_glance() {
        if let Some(job) = status.jobs.iter_mut().find(|job| job.job == live.job) {
            *job = live;
        }
    }
    Ok(status)
}

fn ask_agent() -> Result<AgentStatus> {
    let stream = UnixStream::connect(SOCKET).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied => anyhow::anyhow!("only root may ask the agent: use sudo"),
        _ => anyhow::anyhow!(
            "no agent runs here ({error}): `systemctl status runward-agent` tells why, `sudo runward install` installs it"
        ),
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    stream
        .take(ANSWER_MAX)
        .read_to_end(&mut bytes)
        .context("the agent does not answer")?;
    if bytes.is_empty() {
        bail!("the agent tells nothing to the jobs that it watches");
    }
    serde_json::from_slice(&bytes)
        .context("the agent answers in a way that this version does not know")
}

fn told(status: &AgentStatus) -> String {
    let policy = match status.policy.is_empty() {
        true => "none".to_owned(),
        false => status.policy.join(", "),
    };
    let mut told = format!(
        "runward agent {}, process {}: {} mode; policy: {policy}\n",
        status.version, status.pid, status.mode
    );
    if status.jobs.is_empty() {
        told += "no job runs\n";
    }
    for job in &status.jobs {
        told += &job.line();
    }
    told += &format!(
        "records: {} to send, {} MB in all{}\n",
        status.waiting,
        status.bytes.div_ceil(1_000_000),
        match &status.trouble {
            Some(trouble) => format!("; {trouble}"),
            None => String::new(),
        }
    );
    told
}
