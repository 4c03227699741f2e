//! The script that GitLab's runner has written for a shell, looked at before the shell reads it.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use runward_ci::Stage;
use runward_sensor::{Arrival, ArrivalKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, tee};

/// How long the runner may take to write it all after it has started the shell.
const PATIENCE: Duration = Duration::from_secs(5);
/// What is looked at, in bytes: as much as a pipe may hold. A runner writes no more until the shell reads.
const SCRIPT_MAX: usize = 1 << 20;

/// A script that may still be on its way.
pub(super) struct Script {
    pipe: File,
    since: Instant,
}

/// What is known of it.
pub(super) enum Looked {
    NotYet,
    /// The stage that it is of, if it is one of GitLab's runner.
    Is(Option<Stage>),
}

impl Script {
    /// Where a process that a runner has started will read from; `None` when that is not a pipe. One that runs already has
    /// read some of it: what is left is no script.
    pub(super) fn of(process: &Arrival) -> Option<Script> {
        let path = format!("/proc/{}/fd/0", process.pid);
        let is_pipe = fs::read_link(&path)
            .ok()?
            .as_os_str()
            .to_string_lossy()
            .starts_with("pipe:");
        if !is_pipe || process.kind != ArrivalKind::Started {
            return None;
        }
        let flags = (OFlags::NONBLOCK | OFlags::CLOEXEC).bits();
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(flags.cast_signed())
            .open(path)
            .ok()?;
        // Where that can't be, it holds less.
        let _ = fcntl_setpipe_size(&pipe, SCRIPT_MAX);
        Some(Script {
            pipe,
            since: Instant::now(),
        })
    }

    /// Looks, and takes nothing out of the pipe.
    pub(super) fn look(&self) -> Looked {
        if !self.is_whole() && self.since.elapsed() < PATIENCE {
            return Looked::NotYet;
        }
        let script = self.copy().ok();
        Looked::Is(script.and_then(|script| Stage::of_script(&script)))
    }

    /// Whether the runner has written it all, and hung up.
    fn is_whole(&self) -> bool {
        let mut fds = [PollFd::new(&self.pipe, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
    }

    fn copy(&self) -> Result<Vec<u8>, Errno> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let _ = fcntl_setpipe_size(&writer, SCRIPT_MAX);
        tee(&self.pipe, &writer, SCRIPT_MAX, SpliceFlags::NONBLOCK)?;
        drop(writer);
        let mut script = Vec::new();
        let read = File::from(reader).read_to_end(&mut script);
        read.map_or_else(
            |error| Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
            |_| Ok(script),
        )
    }
}

impl AsFd for Script {
    /// Hung up when there is all to look at.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
