//! The programs that a test runs as the job, and running them.

use std::env;
use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::LabError;

/// Where the build put the actors.
const BUILT: &str = env!("RUNWARD_LAB_BUILT_ACTORS");

/// The variable that names another folder, for actors that were copied into a virtual machine's image.
const FOLDER_VARIABLE: &str = "RUNWARD_LAB_ACTORS";

/// No more than this is kept of what a program prints on one stream; the rest is read and dropped.
const MOST_OUTPUT: usize = 8 << 20;

/// The path of an actor. Each says at the top of its file in `actors/` what it does; `enter` runs a command as a client of
/// a lab.
#[must_use]
pub fn actor(name: &str) -> PathBuf {
    env::var_os(FOLDER_VARIABLE)
        .map_or_else(|| PathBuf::from(BUILT), PathBuf::from)
        .join(name)
}

/// How a program ended and what it printed.
#[derive(Clone, Debug)]
pub struct Ran {
    /// The process's id.
    pub pid: u32,
    /// How it ended.
    pub status: ExitStatus,
    /// The lines of stdout that are JSON objects, as actors print them.
    pub lines: Vec<Value>,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Ran {
    /// Whether the act worked.
    #[must_use]
    pub fn worked(&self) -> bool {
        self.status.success()
    }

    /// What an actor says this kernel lacks, when the act could not be tried (exit code 77).
    #[must_use]
    pub fn lacking(&self) -> Option<String> {
        let lacked = || self.lines.last()?.get("lacking")?.as_str();
        (self.status.code() == Some(77)).then(|| lacked().unwrap_or("something").to_owned())
    }

    /// The exit code, or 128 and the signal's number, as shells do.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// A member of the last line, as a number.
    #[must_use]
    pub fn number(&self, member: &str) -> Option<u64> {
        self.lines.last()?.get(member)?.as_u64()
    }

    /// A member of the last line, as text.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        self.lines.last()?.get(member)?.as_str()
    }
}

/// Runs a command to its end and collects what it prints. One that takes longer than `limit` is killed, which is an
/// error. A descendant that holds the output open is waited for only until then, and what it printed is returned.
pub fn run(command: &mut Command, limit: Duration) -> Result<Ran, LabError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |reason: String| LabError::Run {
        program: program.clone(),
        reason,
    };
    let deadline = Instant::now() + limit;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let stdout = Collector::start(child.stdout.take());
    let stderr = Collector::start(child.stderr.take());
    let status = match wait(&mut child, deadline) {
        Ok(Some(status)) => status,
        Ok(None) => {
            let _ = child.kill();
            let _ = child.wait();
            let printed = stderr.finish(Instant::now());
            return Err(failed(format!(
                "it took longer than {limit:?}; stderr: {printed}"
            )));
        }
        Err(error) => return Err(failed(error.to_string())),
    };
    let stdout = stdout.finish(deadline);
    let lines = stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(Value::is_object)
        .collect();
    Ok(Ran {
        pid: child.id(),
        status,
        lines,
        stdout,
        stderr: stderr.finish(deadline),
    })
}

fn wait(child: &mut Child, deadline: Instant) -> std::io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Reads a stream to its end on a thread of its own.
struct Collector {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Collector {
    fn start(stream: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&bytes);
        let thread = thread::spawn(move || {
            let Some(mut stream) = stream else { return };
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = MOST_OUTPUT.saturating_sub(kept.len());
                kept.extend(buffer.iter().take(count.min(room)));
            }
        });
        Collector { bytes, thread }
    }

    /// What came until the stream's end, or until the deadline if that is earlier.
    fn finish(self, deadline: Instant) -> String {
        while !self.thread.is_finished() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(1));
        }
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
