//! The API against requests made from its own description, right ones and wrong ones, by schemathesis.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use runward_event::write_line;
use runward_lab::{skip, test_name};

use crate::bed::{Ground, Server, within};
use crate::installed;
use crate::record::Recorded;

const RUN: &str = "0123456789abcdef0123456789abcdef";
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/schema_fuzz");
/// As long as this and no longer; it takes a quarter of it on a quiet machine.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn whatever_is_asked_the_api_answers_as_its_description_says() {
    let fuzzer = match fuzzer() {
        Ok(fuzzer) => fuzzer,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let mut ground = Ground::new();
    // What is told to nobody is given up soon.
    let second = ("RUNWARD_NOTIFY_SECOND", "1".to_owned());
    ground.variables.push(second);
    let server = Server::on(ground);
    let key = server.key("admin");
    channels(&server, &key);
    let record = Recorded::default();
    let sent = server.events(&key, RUN, 1, &record.packed(1, record.len()));
    assert_eq!(sent.status, 200);
    let cookie = server.person("ada", "auditor");
    server.page_with("/o/main/destinations", &cookie, "evil.example");
    known(&server, &key);
    furnish(&server, &key);
    given_up(&server, &key, 4);

    let folder = tempfile::tempdir().unwrap();
    let lines = folder.path().join("events.jsonl");
    fs::write(&lines, lines_of(&record)).unwrap();
    let said = folder.path().join("said");
    let out = fs::File::create(&said).unwrap();
    let child = Command::new(fuzzer)
        .current_dir(folder.path())
        .args(["--config-file", &format!("{SOURCES}/schemathesis.toml")])
        .arg("run")
        .arg(format!("{}/api/v1/openapi.json", server.address))
        .env("SCHEMATHESIS_HOOKS", format!("{SOURCES}/hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("RUNWARD_KEY", &key)
        .env("RUNWARD_REGISTRATION", registration(&server, &key))
        .env("RUNWARD_OWN_KEY", own_id(&server, &key).to_string())
        .env("RUNWARD_RUN", RUN)
        .env("RUNWARD_RECORD", &lines)
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let good = ended_well(child);
    let said = fs::read_to_string(said).unwrap();
    println!("{said}");
    assert!(good, "the fuzzer found something");
    // A fuzzer that is turned away everywhere finds nothing.
    for warning in ["Authentication failed", "Missing test data"] {
        assert!(!said.contains(warning), "{warning}");
    }
    // The fuzzer may have removed the one from before.
    let cookie = server.person("eve", "auditor");
    let runs = every_run_can_be_read(&server, &key, &cookie);
    println!("{runs} runs");
    assert!(runs > 1, "no batch of the fuzzer was taken");
}

/// Whatever was taken can be shown.
fn every_run_can_be_read(server: &Server, key: &str, cookie: &str) -> usize {
    let runs = server.ask("GET", "/api/v1/runs?limit=200", key, "").body;
    let runs: serde_json::Value = serde_json::from_str(&runs).unwrap();
    let runs = runs["runs"].as_array().unwrap();
    for run in runs {
        let id = run["id"].as_str().unwrap();
        let report = server.ask("GET", &format!("/api/v1/runs/{id}/report"), key, "");
        assert_eq!(report.status, 200, "{run}");
        for tab in [
            "",
            "/network",
            "/https",
            "/files",
            "/processes",
            "/policy",
            "/steps",
        ] {
            let page = server.get(&format!("/o/main/runs/{id}{tab}"), cookie);
            assert_eq!(page.status, 200, "{tab} of {run}");
        }
    }
    runs.len()
}

/// The program, in an environment of its own.
fn fuzzer() -> Result<PathBuf, String> {
    let pins = Path::new(SOURCES).join("requirements.txt");
    let text = fs::read_to_string(&pins).map_err(|error| error.to_string())?;
    let folder = installed::folder_of("schemathesis", &text, |folder| {
        installed::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/pip"));
        pip.args(["install", "--quiet", "--require-hashes", "--requirement"]);
        installed::run(pip.arg(&pins))
    })?;
    Ok(folder.join("bin/schemathesis"))
}

/// Makes some of everything, for the fuzzer to look at, change and remove.
fn furnish(server: &Server, key: &str) {
    let made = |path: &str, body: &str| {
        let answer = server.ask("POST", path, key, body);
        assert_eq!(answer.status, 201, "{path}: {answer:?}");
    };
    for id in 1..=4 {
        server.person(&format!("member-{id}"), "auditor");
        let policy = format!("{{\"name\":\"policy-{id}\",\"text\":\"egress-policy: block\"}}");
        made("/api/v1/policies", &policy);
        let scope = format!("{{\"project_id\":1,\"pipeline\":\"made\",\"job\":\"{id}\"}}");
        made(&format!("/api/v1/policies/{id}/attachments"), &scope);
        let trust = format!("{{\"issuer\":\"https://gitlab.com\",\"pattern\":\"group/{id}\"}}");
        made("/api/v1/trust", &trust);
        let channel = format!(
            "{{\"name\":\"channel-{id}\",\"kind\":\"webhook\",\"url\":\"https://localhost/\"}}"
        );
        made("/api/v1/notifications/channels", &channel);
    }
}

/// Makes channels to whom the record's detections are told, in vain.
fn channels(server: &Server, key: &str) {
    for id in 1..=4 {
        let channel = format!(
            "{{\"name\":\"channel-{id}\",\"kind\":\"webhook\",\"url\":\"https://localhost/\"}}"
        );
        let answer = server.ask("POST", "/api/v1/notifications/channels", key, &channel);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

/// Another job, for which many destinations are normal.
fn known(server: &Server, key: &str) {
    let record = Recorded {
        job: "known".to_owned(),
        destinations: (0..60).map(|n| format!("host-{n}.example")).collect(),
        number: 2,
        fork: false,
        refused: false,
        ..Recorded::default()
    };
    let run = "f".repeat(32);
    let sent = server.events(key, &run, 1, &record.packed(1, record.len()));
    assert_eq!(sent.status, 200);
    let learned = within(|| server.ask("GET", "/api/v1/baselines/2", key, "").status == 200);
    assert!(learned, "the job is not learned");
}

/// Waits until so many messages were given up, as their channels lead nowhere.
fn given_up(server: &Server, key: &str, messages: usize) {
    let told = within(|| {
        let path = "/api/v1/notifications/deliveries?state=dead";
        let log = server.ask("GET", path, key, "").body;
        let log: serde_json::Value = serde_json::from_str(&log).unwrap();
        log["deliveries"].as_array().unwrap().len() >= messages
    });
    assert!(told, "messages that lead nowhere were not given up");
}

/// A token that one of the fuzzer's machines can get a key with.
fn registration(server: &Server, key: &str) -> String {
    let made = server.ask("POST", "/api/v1/registrations", key, "").body;
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

fn lines_of(record: &Recorded) -> Vec<u8> {
    let mut lines = Vec::new();
    for event in record.events() {
        write_line(&mut lines, &event).unwrap();
    }
    lines
}

/// The number of a key: it must not be taken back while it is in use.
fn own_id(server: &Server, key: &str) -> i64 {
    let keys = server.ask("GET", "/api/v1/keys", key, "").body;
    let keys: serde_json::Value = serde_json::from_str(&keys).unwrap();
    let own = keys["keys"].as_array().unwrap().iter();
    let own = own
        .filter(|row| key.starts_with(row["prefix"].as_str().unwrap()))
        .map(|row| row["id"].as_i64().unwrap());
    own.max().unwrap()
}

fn ended_well(mut child: Child) -> bool {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
}
