//! A job whose processes outlive its command stays fenced, and somebody has to remove the fence when they are gone. That
//! is a process of its own, because the caller waits for `run` to end.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};

use runward_sensor::{Leftover, own_leftovers};

use crate::cli::{self, OutlastOptions};
use crate::{exit, output};

/// Leaves a process behind for each fence that this one has dropped and that is still needed.
pub(crate) fn leave_behind() {
    for leftover in own_leftovers().unwrap_or_default() {
        match spawn(&leftover) {
            Ok(()) => output::say(
                "processes of the job still run; they stay fenced and find no names any more, until they end",
            ),
            Err(error) => output::say(format_args!(
                "processes of the job still run and stay fenced; remove the fence with `runward doctor --clean` when they have ended ({error})"
            )),
        }
    }
}

/// Nothing of the caller's is kept: no terminal, no pipe that somebody waits on, no folder, no environment by which a CI
/// system would find it and end it with the job.
fn spawn(leftover: &Leftover) -> io::Result<()> {
    Command::new("/proc/self/exe")
        .arg0("runward")
        .arg(cli::outlast_name())
        .arg(&leftover.folder)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(drop)
}

/// What was left behind.
pub(crate) fn outlast(options: &OutlastOptions) -> ExitCode {
    // Out of reach of the terminal's signals. Where that fails, it is still a process that waits.
    let _ = rustix::process::setsid();
    match Leftover::at(&options.folder).outlast() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(exit::FAILURE),
    }
}
