//! A job's record on its way to the control plane.
//!
//! A record goes in batches of lines, each acknowledged when the server has it for good. Sending one again changes
//! nothing there, so what is not known to have arrived is simply sent again.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use runward_event::JobIdentity;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::policy_store::Effective;

/// Bytes of lines that go at once; one line may be longer.
const BATCH_BYTES: usize = 2 << 20;
/// How often a batch is sent again before the server is given up.
const ATTEMPTS: u32 = 6;
/// The first pause before another attempt; each one after it is twice as long.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a record that still grows is looked at.
const TICK: Duration = Duration::from_secs(1);
/// After how much quiet the server is told that the job still runs, unless it wants to hear of it earlier.
const QUIET: Duration = Duration::from_secs(30);
/// How often that is tried before the server gives the run up.
const BEATS: u32 = 3;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the answer to a heartbeat may take: the job may end meanwhile, and waits for it then.
const BEAT_PATIENCE: Duration = Duration::from_secs(10);
/// How long the answer to the question for a policy may take.
const POLICY_PATIENCE: Duration = Duration::from_secs(4);
/// Bytes of a policy's answer that are read: its text has 64 KiB at most.
const POLICY_MAX: u64 = 1 << 20;
/// Bytes of an answer that are read.
const ANSWER_MAX: u64 = 64 << 10;
/// The level of compression: above it, time grows and size hardly falls.
const LEVEL: i32 = 3;

/// Where records go.
#[derive(Clone, Debug)]
pub struct Upload {
    server: String,
    key: String,
    host: String,
    http: ureq::Agent,
}

/// Why a record did not arrive, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The address of the server can't be used.
    #[error("`{0}` is not the address of a server: write it as https://runward.example.com")]
    Address(String),
    /// The record can't be read.
    #[error("cannot read the record: {0}")]
    Read(#[source] std::io::Error),
    /// The record is none.
    #[error("the record is empty: nothing was sent")]
    Empty,
    /// The server takes nothing of this; trying again won't help.
    #[error("the server refused the record ({status}): {detail}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// What it said.
        detail: String,
    },
    /// The server can't be reached, or can't take anything now.
    #[error("the server can't be reached, or can't take the record now: {0}")]
    Away(String),
}

/// What the server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The run's name there.
    pub run: String,
    /// Events that it has, without gaps.
    pub events: u64,
}

#[derive(Deserialize)]
struct Acknowledged {
    acknowledged: u64,
    /// Servers before the first release with heartbeats don't say it.
    #[serde(default)]
    silent_after_seconds: Option<u64>,
}

impl Acknowledged {
    /// After how much quiet this server should hear that the job still runs.
    fn quiet(&self) -> Duration {
        let patience = self.silent_after_seconds.map(Duration::from_secs);
        patience.map_or(QUIET, |patience| (patience / BEATS).min(QUIET))
    }
}

#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default)]
    title: String,
    #[serde(default)]
    detail: String,
}

enum Failed {
    /// It may go better later.
    Now(String),
    ForGood(UploadError),
}

impl Upload {
    /// Prepares to send to a server, with a key that it gave out. `host` is this machine's name.
    pub fn new(server: &str, key: &str, host: &str) -> Result<Upload, UploadError> {
        let address = server.trim_end_matches('/');
        if !address.starts_with("https://") && !address.starts_with("http://") {
            return Err(UploadError::Address(server.to_owned()));
        }
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Ok(Upload {
            server: address.to_owned(),
            key: key.to_owned(),
            host: host.to_owned(),
            http: config.into(),
        })
    }

    /// Sends a whole record, as it stands in `events.jsonl`.
    pub fn record(&self, events: impl Read) -> Result<Uploaded, UploadError> {
        let mut lines = BufReader::with_capacity(1 << 16, events);
        let mut batch = Vec::with_capacity(BATCH_BYTES);
        let mut run = None;
        let mut first = 1;
        let mut acknowledged = 0;
        loop {
            let count = fill(&mut lines, &mut batch).map_err(UploadError::Read)?;
            if count == 0 {
                break;
            }
            let run = run.get_or_insert_with(|| run_name(&batch));
            first += count;
            // Who sent it before got so far.
            if first > acknowledged + 1 {
                let said = self.batch(run, first - count, &batch, ATTEMPTS)?;
                acknowledged = said.acknowledged;
            }
        }
        let run = run.ok_or(UploadError::Empty)?;
        Ok(Uploaded {
            run,
            events: acknowledged,
        })
    }

    /// Sends a record while it grows, on a thread of its own. The record is its own spool: what the server can't take now
    /// is sent later.
    pub fn follow(self, record: File) -> std::io::Result<Following> {
        let (over, told) = channel();
        let thread = thread::Builder::new()
            .name("upload".to_owned())
            .spawn(move || self.send_growing(&record, &told))?;
        Ok(Following { over, thread })
    }

    fn send_growing(&self, record: &File, told: &Receiver<()>) -> Result<Uploaded, UploadError> {
        let mut place = 0;
        let mut first = 1;
        let mut run: Option<String> = None;
        let mut acknowledged = 0;
        let mut batch = Vec::new();
        let mut quiet = QUIET;
        let mut heard = Instant::now();
        loop {
            let over = told.recv_timeout(TICK) != Err(RecvTimeoutError::Timeout);
            loop {
                let count = lines_at(record, place, &mut batch).map_err(UploadError::Read)?;
                if count == 0 {
                    break;
                }
                let run = run.get_or_insert_with(|| run_name(&batch));
                let attempts = if over { ATTEMPTS } else { 1 };
                match self.batch(run, first, &batch, attempts) {
                    Ok(said) => {
                        acknowledged = said.acknowledged;
                        quiet = said.quiet();
                        heard = Instant::now();
                    }
                    Err(UploadError::Away(_)) if !over => break,
                    Err(error) => return Err(error),
                }
                first += count;
                place += u64::try_from(batch.len()).unwrap_or(0);
            }
            if over {
                return Ok(Uploaded {
                    run: run.ok_or(UploadError::Empty)?,
                    events: acknowledged,
                });
            }
            // The server knows the run once it has its first events.
            if let Some(run) = run.as_deref().filter(|_| first > 1)
                && heard.elapsed() >= quiet
            {
                self.heartbeat(run);
                heard = Instant::now();
            }
        }
    }

    /// Says that the job still runs. What goes wrong is not told: the next events will tell, and a server that does not
    /// know of heartbeats takes the run up again by them.
    fn heartbeat(&self, run: &str) {
        let _ = self
            .http
            .post(format!("{}/api/v1/runs/{run}/heartbeat", self.server))
            .header("authorization", format!("Bearer {}", self.key))
            .config()
            .timeout_global(Some(BEAT_PATIENCE))
            .build()
            .send_empty();
    }

    /// The address of the server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Which policy the server has for a job.
    pub(crate) fn policy(&self, job: &JobIdentity) -> Result<Effective, UploadError> {
        let away = |error: &dyn std::fmt::Display| UploadError::Away(error.to_string());
        let provider = serde_json::to_value(job.provider).unwrap_or_default();
        let mut answer = self
            .http
            .get(format!("{}/api/v1/policy", self.server))
            .query("provider", provider.as_str().unwrap_or_default())
            .query("project", job.project.as_deref().unwrap_or_default())
            .query("pipeline", job.pipeline.as_deref().unwrap_or_default())
            .query("job", job.job.as_deref().unwrap_or_default())
            .header("authorization", format!("Bearer {}", self.key))
            .config()
            .timeout_global(Some(POLICY_PATIENCE))
            .build()
            .call()
            .map_err(|error| away(&error))?;
        let status = answer.status().as_u16();
        let body = answer
            .body_mut()
            .with_config()
            .limit(POLICY_MAX)
            .read_to_vec()
            .map_err(|error| away(&error))?;
        if status != 200 {
            let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
            return Err(UploadError::Refused {
                status,
                detail: problem.title,
            });
        }
        serde_json::from_slice(&body).map_err(|error| away(&error))
    }

    /// Where a person finds a run.
    pub fn page(&self, run: &str) -> String {
        format!("{}/runs/{run}", self.server)
    }

    /// Sends lines whose first one is the event of this number, again and again if it must.
    fn batch(
        &self,
        run: &str,
        first: u64,
        lines: &[u8],
        attempts: u32,
    ) -> Result<Acknowledged, UploadError> {
        let packed = zstd::encode_all(lines, LEVEL).map_err(UploadError::Read)?;
        let mut pause = PAUSE;
        let mut last = String::new();
        for attempt in 0..attempts {
            if attempt > 0 {
                thread::sleep(pause);
                pause *= 2;
            }
            match self.post(run, first, &packed) {
                Ok(said) => return Ok(said),
                Err(Failed::ForGood(error)) => return Err(error),
                Err(Failed::Now(reason)) => last = reason,
            }
        }
        Err(UploadError::Away(last))
    }

    fn post(&self, run: &str, first: u64, packed: &[u8]) -> Result<Acknowledged, Failed> {
        let now = |error: &dyn std::fmt::Display| Failed::Now(error.to_string());
        let mut answer = self
            .http
            .post(format!("{}/api/v1/runs/{run}/events", self.server))
            .query("first", first.to_string())
            .query("host", &self.host)
            .header("authorization", format!("Bearer {}", self.key))
            .header("content-type", "application/x-ndjson")
            .header("content-encoding", "zstd")
            .send(packed)
            .map_err(|error| now(&error))?;
        let status = answer.status().as_u16();
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_MAX)
            .read_to_vec();
        let body = body.map_err(|error| now(&error))?;
        if status == 200 {
            return serde_json::from_slice(&body).map_err(|error| now(&error));
        }
        let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
        let detail = if problem.detail.is_empty() {
            problem.title
        } else {
            problem.detail
        };
        if status == 429 || status >= 500 {
            return Err(Failed::Now(format!("{status} {detail}")));
        }
        Err(Failed::ForGood(UploadError::Refused { status, detail }))
    }
}

/// A record on its way while its job runs.
#[derive(Debug)]
pub struct Following {
    over: Sender<()>,
    thread: JoinHandle<Result<Uploaded, UploadError>>,
}

impl Following {
    /// Sends what is left of the record, which is whole now.
    pub fn finish(self) -> Result<Uploaded, UploadError> {
        // A thread that has ended has its answer.
        let _ = self.over.send(());
        self.thread.join().unwrap_or_else(|_| {
            Err(UploadError::Away(
                "the thread that sends it broke off".to_owned(),
            ))
        })
    }
}

/// Takes the whole lines that begin at a place of a file; how many there are.
fn lines_at(record: &File, place: u64, batch: &mut Vec<u8>) -> std::io::Result<u64> {
    batch.resize(BATCH_BYTES, 0);
    let mut filled = 0;
    while let Some(rest) = batch.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match record.read_at(rest, place + u64::try_from(filled).unwrap_or(0))? {
            0 => break,
            read => filled += read,
        }
        // A line that is longer than a batch.
        if filled == batch.len() && !batch.contains(&b'\n') {
            batch.resize(filled * 2, 0);
        }
    }
    batch.truncate(filled);
    let whole = batch
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |last| last + 1);
    batch.truncate(whole);
    let count = batch.iter().filter(|byte| **byte == b'\n').count();
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Fills a batch with whole lines; how many there are.
fn fill(lines: &mut impl BufRead, batch: &mut Vec<u8>) -> std::io::Result<u64> {
    batch.clear();
    let mut count = 0;
    while batch.len() < BATCH_BYTES {
        let start = batch.len();
        if lines.read_until(b'\n', batch)? == 0 {
            break;
        }
        if !batch.ends_with(b"\n") {
            // The last line of a record that broke off is not whole.
            batch.truncate(start);
            break;
        }
        count += 1;
    }
    Ok(count)
}

/// A run's name: of its first event, which has the time to the nanosecond and all that the job is. So a record that is
/// sent twice is one run.
fn run_name(lines: &[u8]) -> String {
    let first = lines
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let hash = Sha256::digest(first);
    hash.iter().take(16).fold(String::new(), |mut name, byte| {
        // Writing to a String does not fail.
        let _ = write!(name, "{byte:02x}");
        name
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_whole_lines() {
        let line = format!("{}\n", "x".repeat(BATCH_BYTES / 3));
        let record = line.repeat(5) + "cut";
        let mut lines = record.as_bytes();
        let mut batch = Vec::new();
        let counts: Vec<u64> = std::iter::from_fn(|| {
            Some(fill(&mut lines, &mut batch).unwrap()).filter(|count| *count > 0)
        })
        .collect();
        assert_eq!(counts, [3, 2]);
    }

    #[test]
    fn lines_of_a_growing_file_are_taken_whole_and_once() {
        use std::io::Write as _;
        let mut file = tempfile::tempfile().unwrap();
        let mut batch = Vec::new();
        let mut take = |file: &File, place| {
            let count = lines_at(file, place, &mut batch).unwrap();
            (count, batch.len())
        };
        assert_eq!(take(&file, 0), (0, 0));
        file.write_all(b"one\ntwo\nthr").unwrap();
        assert_eq!(take(&file, 0), (2, 8));
        assert_eq!(take(&file, 8), (0, 0));
        file.write_all(b"ee\n").unwrap();
        assert_eq!(take(&file, 8), (1, 6));
        let long = "x".repeat(BATCH_BYTES * 3) + "\n";
        file.write_all(long.as_bytes()).unwrap();
        assert_eq!(take(&file, 14), (1, long.len()));
    }

    #[test]
    fn a_record_has_one_name() {
        let name = run_name(b"{\"seq\":1}\n{\"seq\":2}\n");
        assert_eq!(name, run_name(b"{\"seq\":1}\n"));
        assert_ne!(name, run_name(b"{\"seq\":3}\n"));
        assert_eq!(name.len(), 32);
    }

    #[test]
    fn an_address_without_a_scheme_is_none() {
        assert!(Upload::new("runward.example.com", "", "").is_err());
        assert!(Upload::new("https://runward.example.com/", "", "").is_ok());
    }
}
