//! `runward job start`: starts the attendant, and waits until it holds the job.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};

use super::wire::Begun;
use crate::{cli, exit, output};

/// Variables by which a CI system finds what a job has left behind, and ends it.
const FINDERS: [&str; 7] = [
    "RUNNER_TRACKING_ID",
    "JENKINS_NODE_COOKIE",
    "JENKINS_SERVER_COOKIE",
    "HUDSON_SERVER_COOKIE",
    "HUDSON_COOKIE",
    "BUILD_ID",
    "AGENT_TRACKING_ID",
];
/// How many words stand before the options: the program, `job` and `start`.
const WORDS: usize = 3;
/// The longest that the attendant tells, in bytes.
const BEGUN_MAX: u64 = 64 << 10;

pub(crate) fn start() -> ExitCode {
    match begin() {
        Ok(Some(begun)) => {
            if begun.processes == 0 {
                let policy = begun.policy.join(", ");
                output::say(format_args!(
                    "job {} is held by the service of this machine, in {} mode; policy: {policy}",
                    begun.job, begun.mode
                ));
                return ExitCode::SUCCESS;
            }
            let processes = match begun.processes {
                1 => "1 process".to_owned(),
                count => format!("{count} processes"),
            };
            output::say(format_args!(
                "job {} is watched from here on, in {} mode: process {} and what it has started, {processes} so far; the report goes to {}",
                begun.job, begun.mode, begun.root, begun.report
            ));
            ExitCode::SUCCESS
        }
        // It has said why.
        Ok(None) => ExitCode::from(exit::RUNWARD),
        Err(error) => {
            output::say(format_args!("{error:#}"));
            ExitCode::from(exit::RUNWARD)
        }
    }
}

fn begin() -> Result<Option<Begun>> {
    // The kernels that can't do this (before 5.11) leave to the attendant what the caller has open, and nothing else.
    let _ = runward_sensor::keep_to_ourselves();
    let mut attendant = Command::new("/proc/self/exe");
    attendant
        .arg0("runward")
        .arg(cli::attend_name())
        .arg(format!("--starter={}", std::process::id()))
        .args(std::env::args_os().skip(WORDS))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    for name in FINDERS {
        attendant.env_remove(name);
    }
    let mut attendant = attendant
        .spawn()
        .context("cannot start a process that holds the job")?;
    let told = attendant
        .stdout
        .take()
        .context("cannot hear the process that holds the job")?;
    let mut line = String::new();
    BufReader::new(told.take(BEGUN_MAX))
        .read_line(&mut line)
        .context("cannot hear the process that holds the job")?;
    if let Ok(begun) = serde_json::from_str(&line) {
        return Ok(Some(begun));
    }
    // Whatever it was about to do, it must not do it when nobody knows.
    let _ = attendant.kill();
    let _ = attendant.wait();
    Ok(None)
}
