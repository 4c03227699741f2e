//! Agents whose server is away for a while. The record is their spool: nothing of it is lost.

use std::fs::File;
use std::io::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use runward_agent::{Upload, UploadError};
use runward_event::write_line;
use tempfile::TempDir;

use crate::bed::{Server, within};
use crate::record::Recorded;

/// Longer than an agent waits before it looks at its record again.
const A_WHILE: Duration = Duration::from_millis(2500);

/// A record, of which some lines are written.
struct Spool {
    folder: TempDir,
    file: File,
    lines: Vec<Vec<u8>>,
    written: usize,
}

impl Spool {
    fn new(number: u64) -> Spool {
        let recorded = Recorded {
            destinations: (0..60).map(|n| format!("host-{n}.example")).collect(),
            number,
            ..Recorded::default()
        };
        let lines = recorded.events().into_iter().map(|event| {
            let mut line = Vec::new();
            write_line(&mut line, &event).unwrap();
            line
        });
        let folder = tempfile::tempdir().unwrap();
        Spool {
            file: File::create(folder.path().join("events.jsonl")).unwrap(),
            lines: lines.collect(),
            folder,
            written: 0,
        }
    }

    fn open(&self) -> File {
        File::open(self.folder.path().join("events.jsonl")).unwrap()
    }

    fn write_until(&mut self, last: usize) {
        for line in &self.lines[self.written..last] {
            self.file.write_all(line).unwrap();
        }
        self.written = last;
    }

    fn write_all(&mut self) {
        self.write_until(self.lines.len());
    }

    /// Whether the server shows the run, whole.
    fn is_whole(&self, server: &Server, key: &str, run: &str) -> bool {
        within(|| {
            let answer = server.ask("GET", &format!("/api/v1/runs/{run}"), key, "");
            let run: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            run["state"] == "finished" && run["events"] == self.lines.len()
        })
    }
}

fn upload(server: &Server, key: &str) -> Upload {
    Upload::new(&server.address, key, "runner-1").unwrap()
}

#[test]
fn a_server_that_is_away_during_a_job_has_all_of_it_in_the_end() {
    let mut server = Server::start();
    let key = server.key("admin");
    let mut spool = Spool::new(1);
    let following = upload(&server, &key).follow(spool.open()).unwrap();
    spool.write_until(20);
    thread::sleep(A_WHILE);
    server.stop();
    spool.write_until(40);
    thread::sleep(A_WHILE);
    server.restart();
    spool.write_until(50);
    thread::sleep(A_WHILE);
    spool.write_all();
    let uploaded = following.finish().unwrap();
    assert_eq!(uploaded.events, spool.lines.len() as u64);
    assert!(spool.is_whole(&server, &key, &uploaded.run));
}

#[test]
fn a_server_that_is_away_until_after_the_job_gets_all_of_it_by_upload() {
    let mut server = Server::start();
    let key = server.key("admin");
    let mut spool = Spool::new(2);
    let following = upload(&server, &key).follow(spool.open()).unwrap();
    spool.write_until(20);
    thread::sleep(A_WHILE);
    server.stop();
    spool.write_all();
    let error = following.finish().unwrap_err();
    assert!(matches!(error, UploadError::Away(_)), "{error}");
    // The upload begins while it is still away.
    let sender = upload(&server, &key);
    let record = spool.open();
    let sending = thread::spawn(move || sender.record(record).unwrap());
    thread::sleep(A_WHILE);
    server.restart();
    let uploaded = sending.join().unwrap();
    assert_eq!(uploaded.events, spool.lines.len() as u64);
    assert!(spool.is_whole(&server, &key, &uploaded.run));
}

#[test]
fn a_quiet_job_goes_on_and_one_whose_agent_died_is_given_up() {
    // Long beside the moments for which a busy machine lets nobody of this run.
    const PATIENCE: Duration = Duration::from_secs(10);
    let patience = PATIENCE.as_secs().to_string();
    let server = Server::with(&["--silent-after".to_owned(), patience]);
    let key = server.key("admin");
    let mut spool = Spool::new(3);
    let following = upload(&server, &key).follow(spool.open()).unwrap();
    spool.write_until(20);
    let run = || {
        let answer = server.ask("GET", "/api/v1/runs", &key, "");
        let all: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        all["runs"][0].clone()
    };
    let is = |state: &str| run()["state"] == state;
    assert!(within(|| run()["events"] == 20));
    let quiet = Instant::now();
    while quiet.elapsed() < 2 * PATIENCE {
        assert!(is("running"), "{}", run());
        thread::sleep(Duration::from_millis(200));
    }
    // Nobody speaks for the job any more.
    drop(following);
    assert!(within(|| is("silent")), "{}", run());
    // It is counted from the last beat, which may be some seconds old.
    assert!(quiet.elapsed() > 2 * PATIENCE + PATIENCE / 4);

    let following = upload(&server, &key).follow(spool.open()).unwrap();
    assert!(within(|| is("running")), "{}", run());
    spool.write_all();
    let uploaded = following.finish().unwrap();
    assert!(spool.is_whole(&server, &key, &uploaded.run));
}

#[test]
fn a_heartbeat_is_taken_of_known_runs_of_the_sender_only() {
    let server = Server::start();
    let key = server.key("ingest");
    let record = Recorded::default();
    let run = "0123456789abcdef0123456789abcdef";
    let beat = |run: &str, key: &str| {
        server.ask("POST", &format!("/api/v1/runs/{run}/heartbeat"), key, "")
    };
    assert_eq!(beat(run, &key).status, 404);
    let sent = server.events(&key, run, 1, &record.packed(1, 3));
    for answer in [&sent, &beat(run, &key), &beat(run, &key)] {
        assert_eq!(answer.status, 200, "{answer:?}");
        let said: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(said["acknowledged"], 3);
        assert_eq!(said["silent_after_seconds"], 300);
    }
    for (run, key, status) in [
        (run, server.stranger().as_str(), 404),
        (run, &server.key("read"), 401),
        (run, "", 401),
        ("../../keys", &key, 404),
        ("RUN", &key, 400),
    ] {
        assert_eq!(beat(run, key).status, status, "{run} {key}");
    }
}
