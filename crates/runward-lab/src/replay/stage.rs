//! Where an incident is re-enacted: a lab with the hosts that it calls, a folder with programs under the names that it
//! used, and a process that stands for the CI runner.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::Replay;
use crate::actor::actor;
use crate::dns::Dns;
use crate::error::LabError;
use crate::lab::Lab;
use crate::service::Answer;
use crate::tcp::Tcp;

/// The names that malicious programs of the incidents had. Each is a copy of the puppet.
const PROGRAMS: [&str; 8] = [
    "puppet",
    "node",
    "python3",
    "curl",
    "dig",
    "nc",
    "docker",
    "provjobd1741",
];
/// Hosts and ports that are called, of the lab's own. No packet reaches the real ones: a lab has no way out.
const HOSTS: [(&str, u8, u16); 10] = [
    ("gist.githubusercontent.com", 60, 443),
    ("scan.aquasecurtiy.org", 61, 443),
    ("c2.replay.example", 62, 8000),
    ("bun.replay.example", 63, 443),
    ("api.replay.example", 64, 443),
    ("models.replay.example", 65, 443),
    ("codecov.replay.example", 67, 443),
    ("shell.replay.example", 68, 4444),
    ("api.ipify.org", 69, 443),
    ("nobody.replay.example", 66, 80),
];
/// A folder that anybody may write to, whatever this machine's own choice is.
const SHARED: &str = "/tmp";
/// The job: nothing happens for a while before and after the act, as in a build, so that the time until somebody is told
/// is not that of a job that ends.
const JOB: &str = "export AGENT=$PPID; sleep 0.4; sh \"$0\"; sleep 0.4";
/// The job in lockdown: it goes on for a while, as a build does, and leaves word that it could.
const LOCKED_JOB: &str = "export AGENT=$PPID; sleep 0.1; sh \"$0\"; n=0; \
    while [ $n -lt 20 ]; do sleep 0.1; n=$((n + 1)); done; echo done > \"$MARKER\"";
/// What it writes when it was not stopped.
const MARKER: &str = "marker";
/// How long one may take, also under an emulated processor.
const LIMIT: Duration = Duration::from_secs(120);

/// A place for one incident. All of it is gone on drop.
pub(super) struct Stage {
    lab: Lab,
    folder: TempDir,
    /// Where programs are dropped: a folder of everybody's.
    drop: TempDir,
    runner: Runner,
    _dns: Dns,
    _sinks: Vec<Tcp>,
}

/// What came of it.
pub(super) struct Played {
    pub(super) report: Value,
    /// The exit code of `runward`.
    pub(super) code: Option<i32>,
    /// Whether a job in lockdown came to its end.
    pub(super) went_on: bool,
    /// Whether a process of the job was left when `runward` had ended.
    pub(super) left_some: bool,
    /// The lines on the terminal, and when they came.
    told: Vec<Told>,
}

/// A process outside of the job that holds what looks like secrets.
struct Runner(Child);

impl Drop for Runner {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Stage {
    pub(super) fn new(replay: &Replay) -> Result<Stage, LabError> {
        let lab = Lab::netns()?;
        let dns = lab.dns((lab.v4(53), 53).into())?;
        let mut sinks = Vec::new();
        for (name, host, port) in HOSTS {
            let at = SocketAddr::from((lab.v4(host), port));
            dns.address(name, 60, &[at.ip()])?;
            // All that a shell is ever told, when it shows that it waits for commands.
            sinks.push(lab.tcp(at, Answer::Fixed(b"exit\n".to_vec()))?);
        }
        lab.set_nameservers(&[IpAddr::V4(lab.v4(53))])?;
        let folder = temporary("replay", &std::env::temp_dir())?;
        let drop = temporary("drop", Path::new(SHARED))?;
        let bin = folder.path().join("bin");
        let work = folder.path().join("work");
        for made in [&bin, &work] {
            file(made, fs::create_dir(made))?;
        }
        for program in PROGRAMS.iter().chain(&["Runner.Worker"]) {
            let copy = bin.join(program);
            file(&copy, fs::copy(actor("puppet"), &copy).map(drop_size))?;
        }
        let script = folder.path().join("job.sh");
        file(&script, fs::write(&script, replay.script))?;
        if replay.git {
            check_out(&work)?;
        }
        let runner = Command::new(bin.join("Runner.Worker"))
            .arg("secrets")
            .stdout(Stdio::null())
            .spawn()
            .map_err(LabError::Thread)?;
        Ok(Stage {
            lab,
            folder,
            drop,
            runner: Runner(runner),
            _dns: dns,
            _sinks: sinks,
        })
    }

    /// `lockdown`: the findings on which it is killed.
    pub(super) fn play(
        &self,
        replay: &Replay,
        runward: &Path,
        lockdown: Option<&str>,
    ) -> Result<Played, LabError> {
        let place = self.folder.path();
        let bin = place.join("bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::iter::once(bin.clone()).chain(std::env::split_paths(&path));
        let path = std::env::join_paths(path).unwrap_or_default();
        let mut command = self.lab.command(runward);
        command
            .args(["run", "--quiet", "--report"])
            .arg(place.join("report"));
        if replay.block {
            command.args(["--egress-policy", "block"]);
        }
        if let Some(list) = lockdown {
            command.args(["--lockdown", list]);
        }
        let marker = place.join(MARKER);
        command
            .args(["--", "sh", "-c"])
            .arg(lockdown.map_or(JOB, |_| LOCKED_JOB))
            .arg(place.join("job.sh"))
            .env("MARKER", &marker)
            .current_dir(place.join("work"))
            .env("PATH", path)
            .env("BIN", &bin)
            .env("DROP", self.drop.path())
            .env("RUNNER", self.runner.0.id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        for name in [
            "CI",
            "GITHUB_ACTIONS",
            "GITHUB_ACTION",
            "GITLAB_CI",
            "SUDO_UID",
            "SUDO_GID",
        ] {
            command.env_remove(name);
        }
        let (told, code) = watch(&mut command)?;
        let left_some = is_some_left(&bin);
        let report = place.join("report/report.json");
        let text = file(&report, fs::read(&report)).map_err(|error| {
            let said: Vec<&str> = told.iter().map(|(_, line)| line.as_str()).collect();
            LabError::File {
                path: format!("{} (runward said: {})", report.display(), said.join("; ")),
                source: std::io::Error::other(error),
            }
        })?;
        let report = serde_json::from_slice(&text).map_err(|error| LabError::File {
            path: report.display().to_string(),
            source: error.into(),
        })?;
        Ok(Played {
            report,
            code,
            went_on: marker.exists(),
            left_some,
            told,
        })
    }
}

impl Played {
    /// How long the slowest of these findings took to the terminal, of those that are told there.
    pub(super) fn detect_ms(&self, findings: &[Value]) -> Option<f64> {
        let slowest = findings.iter().filter_map(|found| {
            let id = found["detection"].as_str()?;
            let line = format!("runward: found {id}: {}", found["message"].as_str()?);
            let (told, _) = self.told.iter().find(|(_, text)| *text == line)?;
            let act: Timestamp = found["time"].as_str()?.parse().ok()?;
            Some(told.duration_since(act).as_secs_f64() * 1e3)
        });
        slowest.reduce(f64::max)
    }
}

/// Whether a process with this folder as its `BIN` still runs: only the job has it. One that has ended has no variables.
fn is_some_left(bin: &Path) -> bool {
    let mut wanted = b"BIN=".to_vec();
    wanted.extend_from_slice(bin.as_os_str().as_bytes());
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|process| fs::read(process.path().join("environ")).ok())
        .any(|variables| variables.split(|byte| *byte == 0).any(|one| one == wanted))
}

/// A line on the terminal, and when it came.
type Told = (Timestamp, String);

/// Runs it to its end and takes down what it says, with the time of each line, and its exit code.
fn watch(command: &mut Command) -> Result<(Vec<Told>, Option<i32>), LabError> {
    let mut child = Runner(command.spawn().map_err(LabError::Thread)?);
    let stderr = child.0.stderr.take();
    let pid = Pid::from_child(&child.0);
    // A child that hangs would keep the pipe open for ever.
    let (ended, end) = mpsc::channel::<()>();
    let watchdog = thread::spawn(move || {
        if end.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // It is not reaped before this thread has ended, so the id is still its own.
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let mut told = Vec::new();
    if let Some(stderr) = stderr {
        for line in BufReader::new(stderr).lines() {
            let Ok(line) = line else { break };
            told.push((Timestamp::now(), line));
        }
    }
    drop(ended);
    // It can't panic.
    let _ = watchdog.join();
    let status = child.0.wait().map_err(LabError::Thread)?;
    Ok((told, status.code()))
}

/// A repository with a file of source, and a script among its test data that changes it.
fn check_out(work: &Path) -> Result<(), LabError> {
    let tests = work.join("tests/files");
    let source = work.join("src");
    for folder in [&tests, &source] {
        file(folder, fs::create_dir_all(folder))?;
    }
    let main = source.join("main.c");
    file(&main, fs::write(&main, "int main(void) { return 0; }\n"))?;
    let data = tests.join("good-large_compressed.sh");
    let script = "node write src/main.c 'int main(void) { return 2; }'\n";
    file(&data, fs::write(&data, script))?;
    for arguments in [&["init", "-q"][..], &["add", "."]] {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(work);
        let done = git.status().map_err(LabError::Thread)?;
        if !done.success() {
            return Err(LabError::Thread(std::io::Error::other("git failed")));
        }
    }
    Ok(())
}

fn temporary(name: &str, above: &Path) -> Result<TempDir, LabError> {
    tempfile::Builder::new()
        .prefix(&format!("runward-{name}-"))
        .tempdir_in(above)
        .map_err(|source| LabError::File {
            path: format!("a folder for the {name}"),
            source,
        })
}

fn drop_size(_bytes: u64) {}

fn file<T>(path: &Path, done: std::io::Result<T>) -> Result<T, LabError> {
    done.map_err(|source| LabError::File {
        path: PathBuf::from(path).display().to_string(),
        source,
    })
}
