//! The exit codes that are Runward's own. Everything else is the command's.

use std::process::ExitStatus;

/// The command succeeded, but something named in `--fail-on` was found.
pub(crate) const FOUND: u8 = 86;
/// The job did something named in `--lockdown` and was killed.
pub(crate) const LOCKDOWN: u8 = 87;
/// Runward itself failed before the command started.
pub(crate) const RUNWARD: u8 = 125;
/// The command was found but could not be run.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;
/// Wrong usage of any subcommand but `run`.
pub(crate) const USAGE: u8 = 2;
/// Any other failure of a subcommand but `run`.
pub(crate) const FAILURE: u8 = 1;

/// A command's end as a shell tells it: its code, or 128 and the signal.
pub(crate) fn shell_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code & 0xff).ok())
        .unwrap_or(u8::MAX)
}
