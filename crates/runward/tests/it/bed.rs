//! A folder to run `runward` in, and what a run left there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::thread;
use std::time::{Duration, Instant};

use runward_event::{
    Body, Connect, ConnectClose, Dns, Event, EventKind, Lost, ProcessExec, ProcessExit,
    ProcessFork, ProcessId, parse_line,
};
use runward_lab::{Lab, Ran, run};
use serde_json::Value;
use tempfile::TempDir;

/// Far longer than any test takes, also under an emulated processor.
pub(crate) const LIMIT: Duration = Duration::from_secs(240);

/// Whether something happens soon enough.
pub(crate) fn within(limit: Duration, mut happens: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if happens() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A fresh folder that is both working directory and workspace.
pub(crate) struct Bed {
    folder: TempDir,
}

impl Bed {
    pub(crate) fn new() -> Bed {
        mount_bpffs();
        Bed {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `runward` with its first arguments, here.
    pub(crate) fn runward<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        self.prepared(Command::new(binary()), args)
    }

    /// The same in a lab's namespace.
    pub(crate) fn runward_in<S: AsRef<OsStr>>(
        &self,
        lab: &Lab,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        self.prepared(lab.command(binary()), args)
    }

    fn prepared<S: AsRef<OsStr>>(
        &self,
        mut command: Command,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        command
            .args(args)
            .current_dir(self.path())
            .env("NO_COLOR", "1");
        // What the machine that runs the tests is must not show in what they record.
        for name in [
            "CI",
            "GITHUB_ACTIONS",
            "GITLAB_CI",
            "SUDO_UID",
            "SUDO_GID",
            "SUDO_USER",
            "RUNWARD_EGRESS_POLICY",
            "RUNWARD_ALLOWED_ENDPOINTS",
            "RUNWARD_DENIED_ENDPOINTS",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// Records a command in audit mode.
    pub(crate) fn record<S: AsRef<OsStr>>(&self, command: impl IntoIterator<Item = S>) -> Recorded {
        self.finish(self.runward(["run", "--quiet", "--"]).args(command))
    }

    /// Runs a prepared `runward run` and reads its record.
    pub(crate) fn finish(&self, command: &mut Command) -> Recorded {
        let ran = run(command, LIMIT).expect("runward ends in time");
        let folder = self.path().join("runward-report");
        let text = std::fs::read_to_string(folder.join("events.jsonl"))
            .unwrap_or_else(|error| panic!("no record: {error}; runward said: {}", ran.stderr));
        let events = text
            .lines()
            .map(|line| parse_line(line).expect("a valid event"))
            .collect();
        let report = std::fs::read(folder.join("report.json"))
            .unwrap_or_else(|error| panic!("no report: {error}; runward said: {}", ran.stderr));
        Recorded {
            ran,
            events,
            report: serde_json::from_slice(&report).expect("a report in JSON"),
            folder,
        }
    }
}

/// Distributions mount the BPF file system at boot, machines of CI may not. Where nobody has, each `runward` in a mount
/// namespace of its own (every job of a lab) mounts one that nobody else sees, and tests look at pins from outside.
pub(crate) fn mount_bpffs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        if rustix::process::geteuid().is_root() && !mounts.contains(" /sys/fs/bpf bpf ") {
            let mount = ["-t", "bpf", "-o", "mode=700", "bpf", "/sys/fs/bpf"];
            let done = Command::new("mount").args(mount).status();
            assert!(done.is_ok_and(|status| status.success()), "mount {mount:?}");
        }
    });
}

/// The binary under test: the one that was built with the tests, or the one that a virtual machine's image names.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("RUNWARD_BIN").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_runward")),
        PathBuf::from,
    )
}

/// A run and its record.
pub(crate) struct Recorded {
    pub(crate) ran: Ran,
    pub(crate) events: Vec<Event>,
    pub(crate) report: Value,
    pub(crate) folder: PathBuf,
}

impl Recorded {
    fn bodies<'a, T: 'a>(&'a self, pick: fn(&'a Body) -> Option<&'a T>) -> Vec<&'a T> {
        self.events
            .iter()
            .filter_map(|event| pick(&event.body))
            .collect()
    }

    pub(crate) fn execs(&self) -> Vec<&ProcessExec> {
        self.bodies(|body| {
            if let Body::ProcessExec(exec) = body {
                Some(&**exec)
            } else {
                None
            }
        })
    }

    pub(crate) fn forks(&self) -> Vec<&ProcessFork> {
        self.bodies(|body| {
            if let Body::ProcessFork(fork) = body {
                Some(fork)
            } else {
                None
            }
        })
    }

    pub(crate) fn exits(&self) -> Vec<&ProcessExit> {
        self.bodies(|body| {
            if let Body::ProcessExit(exit) = body {
                Some(exit)
            } else {
                None
            }
        })
    }

    pub(crate) fn connects(&self) -> Vec<&Connect> {
        self.bodies(|body| {
            if let Body::Connect(connect) = body {
                Some(connect)
            } else {
                None
            }
        })
    }

    pub(crate) fn closes(&self) -> Vec<&ConnectClose> {
        self.bodies(|body| {
            if let Body::ConnectClose(close) = body {
                Some(close)
            } else {
                None
            }
        })
    }

    pub(crate) fn dns(&self) -> Vec<&Dns> {
        self.bodies(|body| {
            if let Body::Dns(dns) = body {
                Some(&**dns)
            } else {
                None
            }
        })
    }

    /// The process that had a process id. Tests do not run long enough for one to be given twice.
    pub(crate) fn process(&self, pid: u64) -> Option<ProcessId> {
        let pid = u32::try_from(pid).ok()?;
        let forked = self
            .forks()
            .into_iter()
            .find(|fork| fork.pid == pid)
            .map(|fork| fork.process);
        forked.or_else(|| {
            self.execs()
                .into_iter()
                .find(|exec| exec.pid == pid)
                .map(|exec| exec.process)
        })
    }

    /// What was lost, of any kind.
    pub(crate) fn lost(&self) -> Vec<&Lost> {
        self.bodies(|body| {
            if let Body::Lost(lost) = body {
                Some(lost)
            } else {
                None
            }
        })
    }

    pub(crate) fn lost_of(&self, kind: EventKind) -> u64 {
        let lost = |event: &Event| match &event.body {
            Body::Lost(lost) if lost.lost == kind => lost.count,
            _ => 0,
        };
        self.events.iter().map(lost).sum()
    }
}
