//! What the server counts of itself, read by the parser of Prometheus' own project.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use runward_lab::{skip, test_name};

use crate::bed::{Ground, Server, agent, answer, free_port, within};
use crate::installed;
use crate::record::Recorded;

const RUN: &str = "0123456789abcdef0123456789abcdef";
const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openmetrics");

/// What was scraped: values by name and labels, as `name{label="value"}`.
struct Scraped {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scraped {
    /// A counter that nobody has counted yet is at 0.
    fn at(&self, sample: &str) -> f64 {
        self.samples.get(sample).copied().unwrap_or(0.0)
    }

    fn has(&self, sample: &str) -> bool {
        self.samples.contains_key(sample)
    }

    /// How many there are whose name begins so.
    fn series(&self, beginning: &str) -> usize {
        let begins = |sample: &&String| sample.starts_with(beginning);
        self.samples.keys().filter(begins).count()
    }
}

struct Scraper {
    python: PathBuf,
    address: String,
}

impl Scraper {
    /// The parser, installed; or why it can't be.
    fn new(port: u16) -> Result<Scraper, String> {
        let pins = format!("{SOURCES}/requirements.txt");
        let text = fs::read_to_string(&pins).map_err(|error| error.to_string())?;
        let folder = installed::folder_of("openmetrics", &text, |folder| {
            installed::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            let mut pip = Command::new(folder.join("bin/pip"));
            pip.args(["install", "--quiet", "--require-hashes", "--requirement"]);
            installed::run(pip.arg(&pins))
        })?;
        Ok(Scraper {
            python: folder.join("bin/python"),
            address: format!("http://127.0.0.1:{port}/metrics"),
        })
    }

    fn scrape(&self) -> Scraped {
        let answer = answer(agent().get(&self.address).call().unwrap());
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.headers["content-type"],
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
        let samples = self.parsed(&answer.body);
        Scraped {
            text: answer.body,
            samples,
        }
    }

    fn parsed(&self, text: &str) -> BTreeMap<String, f64> {
        let mut parser = Command::new(&self.python)
            .arg(format!("{SOURCES}/parse.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = parser.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        let output = parser.wait_with_output().unwrap();
        assert!(output.status.success(), "it can't be read: {text}");
        type Sample = (String, BTreeMap<String, String>, f64);
        let samples: Vec<Sample> = serde_json::from_slice(&output.stdout).unwrap();
        let named = samples.into_iter().map(|(name, labels, value)| {
            let labels: Vec<String> = labels
                .iter()
                .map(|(label, value)| format!("{label}={value:?}"))
                .collect();
            match labels.as_slice() {
                [] => (name, value),
                labels => (format!("{name}{{{}}}", labels.join(",")), value),
            }
        });
        named.collect()
    }
}

fn serving() -> Result<(Server, Scraper), String> {
    let port = free_port();
    let scraper = Scraper::new(port)?;
    let at = format!("127.0.0.1:{port}");
    let server = Server::with(&["--metrics-listen".to_owned(), at]);
    Ok((server, scraper))
}

/// Sends what no client library would, and waits for the answer.
fn raw(server: &Server, request: &str) {
    let mut stream = TcpStream::connect(server.socket()).unwrap();
    let end = "\r\nhost: here\r\nconnection: close\r\n\r\n";
    stream
        .write_all(format!("{request} HTTP/1.1{end}").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.starts_with(b"HTTP/1.1 4"), "{request}");
}

#[test]
fn what_happens_is_counted_and_prometheus_can_read_it() {
    let (server, scraper) = match serving() {
        Ok(both) => both,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let before = scraper.scrape();
    for sample in [
        "runward_build_info{version=\"0.1.0\"}",
        "process_cpu_seconds_total",
        "process_start_time_seconds",
        "process_resident_memory_bytes",
        "process_open_fds",
        "runward_ingest_room_used_bytes",
        "runward_database_connections{pool=\"read\",state=\"idle\"}",
        "runward_database_failures_total",
        "runward_runs_waiting_oldest_age_seconds",
        "runward_rate_limited_requests_total{limit=\"guessing\"}",
    ] {
        assert!(before.has(sample), "{sample}: {}", before.text);
    }
    assert!(before.at("process_resident_memory_bytes") > 1e6);

    let key = server.key("ingest");
    let record = Recorded::default();
    let packed = record.packed(1, record.len());
    for (body, status) in [(&packed, 200), (&packed, 200), (&b"nothing".to_vec(), 400)] {
        assert_eq!(server.events(&key, RUN, 1, body).status, status);
    }
    let beat = format!("/api/v1/runs/{RUN}/heartbeat");
    assert_eq!(server.ask("POST", &beat, &key, "").status, 200);
    server.person("ada", "auditor");
    let wrong = server.form("/login", "", "login=ada&password=wrong&next=/");
    assert_eq!(wrong.status, 401);
    while server.ask("GET", "/api/v1/runs", "rwk_guess", "").status != 429 {}

    let mut after = scraper.scrape();
    let digested = |scraped: &Scraped| scraped.at("runward_worker_digests_total{outcome=\"ok\"}");
    assert!(within(|| {
        after = scraper.scrape();
        digested(&after) >= 1.0 && after.at("runward_runs_waiting") == 0.0
    }));
    let events = "{method=\"POST\",route=\"/api/v1/runs/{run}/events\"";
    for (sample, more) in [
        (
            "runward_ingest_events_total".to_owned(),
            record.len() as f64,
        ),
        ("runward_ingest_bytes_total".to_owned(), packed.len() as f64),
        (
            "runward_ingest_batches_total{outcome=\"accepted\"}".to_owned(),
            1.0,
        ),
        (
            "runward_ingest_batches_total{outcome=\"repeated\"}".to_owned(),
            1.0,
        ),
        (
            "runward_ingest_refused_batches_total{reason=\"unreadable\"}".to_owned(),
            1.0,
        ),
        ("runward_ingest_heartbeats_total".to_owned(), 1.0),
        (
            format!("runward_http_requests_total{events},status=\"2xx\"}}"),
            2.0,
        ),
        (
            format!("runward_http_requests_total{events},status=\"4xx\"}}"),
            1.0,
        ),
        (
            format!("runward_http_request_duration_seconds_count{events}}}"),
            3.0,
        ),
        (
            "runward_logins_total{outcome=\"failed\",way=\"password\"}".to_owned(),
            1.0,
        ),
        (
            "runward_logins_total{outcome=\"ok\",way=\"password\"}".to_owned(),
            1.0,
        ),
        (
            "runward_rate_limited_requests_total{limit=\"guessing\"}".to_owned(),
            1.0,
        ),
        (
            "runward_object_operations_total{operation=\"put\",outcome=\"ok\"}".to_owned(),
            1.0,
        ),
    ] {
        assert_eq!(
            after.at(&sample) - before.at(&sample),
            more,
            "{sample}: {}",
            after.text
        );
    }
    for sample in [
        "runward_object_operations_total{operation=\"get\",outcome=\"ok\"}",
        "runward_worker_last_turn_timestamp_seconds",
        "runward_worker_turn_duration_seconds_count",
        "runward_database_changes_total",
        "runward_database_change_wait_seconds_total",
    ] {
        assert!(
            after.at(sample) > before.at(sample),
            "{sample}: {}",
            after.text
        );
    }
    assert_eq!(after.at("runward_ingest_room_used_bytes"), 0.0);
}

#[test]
fn nothing_that_somebody_sends_becomes_a_label() {
    let (server, scraper) = match serving() {
        Ok(both) => both,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let key = server.key("ingest");
    let record = Recorded::default();
    server.events(&key, RUN, 1, &record.packed(1, record.len()));
    server.get(&format!("/o/main/runs/{RUN}"), "");
    raw(&server, "GET /first");
    raw(&server, "FIRST /first");
    raw(&server, "FIRST /o/main");
    let before = scraper.scrape();
    for number in 0..40 {
        raw(&server, &format!("GET /weird-{number}/%22%0a%7d/..;/"));
        raw(&server, &format!("WEIRD{number} /weird-{number}"));
        raw(&server, &format!("WEIRD{number} /o/main"));
        server.get(&format!("/o/weird-{number}/runs/{RUN}"), "");
    }
    let after = scraper.scrape();
    let nowhere = "runward_http_requests_total{method=\"GET\",route=\"none\",status=\"4xx\"}";
    assert_eq!(after.at(nowhere) - before.at(nowhere), 40.0);
    assert!(after.has(
        "runward_http_requests_total{method=\"GET\",route=\"/o/{org}/runs/{run}\",status=\"3xx\"}"
    ));
    let series = |scraped: &Scraped| scraped.series("runward_http");
    assert_eq!(series(&after), series(&before), "{}", after.text);
    let names = [
        "weird",
        "WEIRD",
        RUN,
        "group/app",
        "runner-1",
        "evil.example",
        "main",
    ];
    for name in names {
        assert!(!after.text.contains(name), "{name}: {}", after.text);
    }
}

#[test]
fn metrics_are_nowhere_else_than_where_they_were_asked_for() {
    let (server, scraper) = match serving() {
        Ok(both) => both,
        Err(reason) => return skip(test_name!(), &reason),
    };
    assert_eq!(server.get("/metrics", "").status, 404);
    let others = ["/", "/readyz", "/login", "/api/v1/openapi.json"];
    for other in others {
        let address = scraper.address.replace("/metrics", other);
        let answer = answer(agent().get(address).call().unwrap());
        assert_eq!((answer.status, answer.body.as_str()), (404, ""), "{other}");
    }
}

#[test]
fn a_worker_without_pages_tells_metrics_too() {
    let port = free_port();
    let scraper = match Scraper::new(port) {
        Ok(scraper) => scraper,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let ground = Ground::new();
    let mut worker = ground
        .command()
        .args(["worker", "--metrics-listen", &format!("127.0.0.1:{port}")])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let turned = within(|| {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
            && scraper
                .scrape()
                .at("runward_worker_turn_duration_seconds_count")
                > 0.0
    });
    worker.kill().unwrap();
    worker.wait().unwrap();
    assert!(turned);
}
