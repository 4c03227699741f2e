//! What programs of others are told: the real server, and real receivers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use runward_lab::Authority;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::bed::within;
use crate::hook::{Behaviour, Hook};
use crate::notify::{Told, ground};
use crate::s3::{BUCKET, S3, SIGNER};

/// A system log of a test's own: it takes frames apart by their lengths, over TCP or TLS.
struct Log {
    address: SocketAddr,
    frames: Arc<Mutex<Vec<String>>>,
    /// Whether it breaks connections off before it has read anything.
    breaks: Arc<AtomicBool>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Log {
    fn start(tls: Option<Arc<ServerConfig>>) -> Log {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut log = Log {
            address: listener.local_addr().unwrap(),
            frames: Arc::default(),
            breaks: Arc::default(),
            ends: Arc::default(),
            thread: None,
        };
        let (frames, ends) = (Arc::clone(&log.frames), Arc::clone(&log.ends));
        let breaks = Arc::clone(&log.breaks);
        log.thread = Some(thread::spawn(move || {
            for stream in listener.incoming() {
                if ends.load(Ordering::Relaxed) {
                    return;
                }
                let stream = stream.unwrap();
                if breaks.load(Ordering::Relaxed) {
                    reset(stream);
                    continue;
                }
                // Whoever does not trust this log hangs up.
                let read = taken(stream, tls.clone()).unwrap_or_default();
                frames.lock().unwrap().extend(taken_apart(&read));
            }
        }));
        log
    }

    fn frames(&self) -> Vec<String> {
        self.frames.lock().unwrap().clone()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        // Wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Breaks off, so that who writes learns of it.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
    drop(stream);
}

fn taken(mut stream: TcpStream, tls: Option<Arc<ServerConfig>>) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut read = Vec::new();
    match tls {
        None => {
            stream.read_to_end(&mut read)?;
        }
        Some(config) => {
            let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
            let mut stream = StreamOwned::new(connection, stream);
            // Without its alert, an end could be one that somebody else made: this is an error then.
            stream.read_to_end(&mut read)?;
            stream.conn.send_close_notify();
            stream.flush()?;
        }
    }
    Ok(read)
}

fn taken_apart(mut bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space])
            .unwrap()
            .parse()
            .unwrap();
        let (frame, rest) = bytes[space + 1..].split_at(length);
        frames.push(String::from_utf8(frame.to_vec()).unwrap());
        bytes = rest;
    }
    frames
}

#[test]
fn a_webhook_gets_ocsf_events_of_detections_and_if_it_likes_of_jobs() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let told = Told::start(&authority);
    let wanted = json!({ "url": hook.url("/in"), "body": "ocsf" });
    let channel = told.channel("webhook", &wanted)["channel"].clone();
    assert_eq!(
        (&channel["body"], &channel["runs"]),
        (&json!("ocsf"), &json!("none"))
    );
    told.run(1, "evil.example");
    told.until("delivered", 1);
    let got = hook.got().remove(0);
    assert!(got.headers.contains_key("webhook-signature"));
    let events = got.json();
    let classes = |events: &Value| -> Vec<u64> {
        let all = events.as_array().unwrap().iter();
        all.map(|event| event["class_uid"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(classes(&events), [2004, 2004]);
    assert_eq!(
        events[1]["evidences"][0]["dst_endpoint"],
        json!({ "hostname": "evil.example", "port": 443 })
    );
    assert_eq!(events[0]["evidences"][0]["file"]["path"], "src/lib.rs");
    assert_eq!(events[0]["metadata"]["uid"], format!("{}/0", got.id()));

    let id = &channel["id"];
    let (status, changed) = told.ask(
        "PATCH",
        &format!("channels/{id}"),
        &json!({ "runs": "all" }),
    );
    assert_eq!(
        (status, &changed["runs"]),
        (200, &json!("all")),
        "{changed}"
    );
    told.run(2, "other.example");
    told.until("delivered", 3);
    let scan = hook
        .got()
        .into_iter()
        .find(|got| classes(&got.json()) == [6007])
        .unwrap();
    let scan = scan.json()[0].clone();
    assert_eq!(
        (&scan["status_id"], &scan["num_detections"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(scan["unmapped"]["job"], "test");
    // What is sent or digested again is no other job.
    told.run(2, "other.example");
    thread::sleep(Duration::from_millis(700));
    assert_eq!(hook.got().len(), 3);
}

#[test]
fn a_collector_gets_logs_that_the_published_types_read() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let told = Told::start(&authority);
    let wanted =
        json!({ "url": hook.url(""), "header": "X-Api-Key: hush-hush-hush", "runs": "all" });
    let channel = told.channel("otlp-logs", &wanted)["channel"].clone();
    hook.behave(Behaviour::Says(200, "{}"));
    told.run(1, "evil.example");
    told.until("delivered", 2);
    let mut names = Vec::new();
    for got in hook.got() {
        assert_eq!(got.path, "/v1/logs");
        assert_eq!(got.headers["x-api-key"], "hush-hush-hush");
        assert!(got.headers["content-type"].starts_with("application/json"));
        let request: ExportLogsServiceRequest = serde_json::from_slice(&got.body).unwrap();
        let logs = &request.resource_logs[0];
        let resource = logs.resource.as_ref().unwrap();
        assert_eq!(resource.attributes[0].key, "service.name");
        let records = &logs.scope_logs[0].log_records;
        for record in records {
            assert!(record.time_unix_nano > 1_785_000_000_000_000_000);
            assert!(record.body.is_some() && record.severity_number > 0);
            names.push(record.event_name.clone());
        }
        if let [_, record] = records.as_slice() {
            assert_eq!(
                (record.severity_number, record.severity_text.as_str()),
                (13, "medium")
            );
            let mut all = record.attributes.iter();
            let found = all.find(|attribute| attribute.key == "runward.detail.destination");
            let value = found.unwrap().value.clone().unwrap().value.unwrap();
            assert_eq!(value, AnyValue::StringValue("evil.example:443".to_owned()));
        }
    }
    names.sort();
    assert_eq!(
        names,
        ["runward.detection", "runward.detection", "runward.job"]
    );
    // It may take the request, and not what is in it.
    hook.behave(Behaviour::Says(
        200,
        r#"{"partialSuccess":{"rejectedLogRecords":"1"}}"#,
    ));
    let id = &channel["id"];
    let tried = told
        .ask("POST", &format!("channels/{id}/test"), &Value::Null)
        .1;
    assert_eq!(tried["error"], "the collector rejected 1 of the records");
    // A header goes to no other address than it was entered for.
    hook.behave(Behaviour::Says(200, "{}"));
    let elsewhere = json!({ "url": hook.url("/elsewhere") });
    assert_eq!(
        told.ask("PATCH", &format!("channels/{id}"), &elsewhere).0,
        200
    );
    told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
    let last = hook.got().pop().unwrap();
    assert_eq!(last.path, "/elsewhere");
    assert!(!last.headers.contains_key("x-api-key"));
    assert!(!told.server.log().contains("hush"));
}

#[test]
fn a_bucket_gets_an_object_of_each_message() {
    let authority = Authority::new().unwrap();
    let mut store = S3::with(Some(authority.server_config("127.0.0.1").unwrap()));
    let told = Told::start(&authority);
    let (key_id, key) = SIGNER;
    let wanted = json!({
        "bucket": format!("s3://{BUCKET}/ci/runward"),
        "url": format!("https://{}", store.address),
        "access_key_id": key_id,
        "secret_access_key": key,
        "runs": "all",
    });
    let made = told.channel("s3", &wanted);
    let target = format!("s3://{BUCKET}/ci/runward at {}", store.address);
    assert_eq!(made["channel"]["target"], target);
    // A record has everything, also what comes again.
    assert_eq!(made["channel"]["quiet_hours"], 0);
    let id = made["channel"]["id"].clone();
    told.run(1, "evil.example");
    told.until("delivered", 2);
    // While the store is away, messages wait.
    store.stop();
    told.run(2, "other.example");
    assert!(within(|| told.health(&id)["failures"].as_i64() >= Some(2)));
    store.restart();
    told.until("delivered", 4);
    let (mut called, mut scans) = (Vec::new(), 0);
    for (name, bytes) in store.objects("ci") {
        let below = name.strip_prefix(&format!("{BUCKET}/")).unwrap_or(&name);
        let parts: Vec<&str> = below.split('/').collect();
        assert_eq!(&parts[..2], ["ci", "runward"], "{name}");
        assert_eq!(parts[2].len(), "2026-08-01".len(), "{name}");
        assert!(
            parts[3].starts_with("msg_") && parts[3].ends_with(".ndjson"),
            "{name}"
        );
        for line in String::from_utf8(bytes).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            match event["evidences"][0]["dst_endpoint"]["hostname"].as_str() {
                Some(name) => called.push(name.to_owned()),
                None => scans += usize::from(event["class_uid"] == 6007),
            }
        }
    }
    called.sort_unstable();
    assert_eq!(called, ["evil.example", "other.example"]);
    assert_eq!(scans, 2);
    // With another key, nothing is put; and what is kept of this one goes to no other store.
    let wrong = json!({ "secret_access_key": "not-the-secret" });
    assert_eq!(told.ask("PATCH", &format!("channels/{id}"), &wrong).0, 200);
    let tried = told
        .ask("POST", &format!("channels/{id}/test"), &Value::Null)
        .1;
    assert_eq!(
        tried["error"],
        "the bucket does not let this key put objects"
    );
    let elsewhere = json!({ "url": "https://other.example" });
    let (status, refused) = told.ask("PATCH", &format!("channels/{id}"), &elsewhere);
    assert_eq!(status, 422, "{refused}");
    // A name that leads to the server's own network leads nowhere.
    let strict = Told::on(ground(&authority, "192.0.2.0/24"));
    let named = json!({
        "bucket": format!("s3://{BUCKET}"),
        "url": format!("https://localhost:{}", store.address.port()),
        "access_key_id": key_id,
        "secret_access_key": key,
    });
    let id = strict.channel("s3", &named)["channel"]["id"].clone();
    let tried = strict
        .ask("POST", &format!("channels/{id}/test"), &Value::Null)
        .1;
    let error = tried["error"].as_str().unwrap();
    assert!(
        error.contains("no address of the public internet"),
        "{error}"
    );
}

#[test]
fn a_system_log_gets_lines_over_tcp_and_tls() {
    let authority = Authority::new().unwrap();
    let told = Told::start(&authority);
    let plain = Log::start(None);
    let sealed = Log::start(Some(authority.server_config("127.0.0.1").unwrap()));
    let url = format!("tcp://{}", plain.address);
    let made = told.channel("syslog", &json!({ "url": url, "runs": "all" }));
    assert_eq!(made["channel"]["target"], url);
    let id = made["channel"]["id"].clone();
    let over_tls = json!({ "name": "sealed", "url": format!("tls://{}", sealed.address) });
    told.channel("syslog", &over_tls);
    told.run(1, "x|y=z\\.example");
    told.until("delivered", 3);
    assert!(within(
        || plain.frames().len() == 3 && sealed.frames().len() == 2
    ));
    let call = |log: &Log| {
        let all = log.frames();
        let found = all
            .iter()
            .find(|line| line.contains("|outbound-call-blocked|"));
        found.unwrap().clone()
    };
    for log in [&plain, &sealed] {
        let line = call(log);
        assert!(
            line.starts_with("<84>1 ")
                && line.contains(" runward - outbound-call-blocked - CEF:0|"),
            "{line}"
        );
        assert!(line.contains(r"dhost=x|y\=z\\.example dpt=443"), "{line}");
    }
    assert!(
        plain
            .frames()
            .iter()
            .any(|line| line.contains("|job-not-passed|1 blocked call|"))
    );
    // One that breaks off has not taken it.
    plain.breaks.store(true, Ordering::Relaxed);
    told.run(2, "again.example");
    assert!(within(|| told.health(&id)["failures"].as_i64() >= Some(2)));
    plain.breaks.store(false, Ordering::Relaxed);
    told.until("delivered", 6);
    let again = |log: &Log| {
        let all = log.frames();
        all.iter()
            .filter(|line| line.contains("|again.example:443 was refused"))
            .count()
    };
    assert!(within(|| again(&plain) == 1 && again(&sealed) == 1));
    let tried = told
        .ask("POST", &format!("channels/{id}/test"), &Value::Null)
        .1;
    assert_eq!(tried["delivered"], true, "{tried}");
}

#[test]
fn no_line_goes_to_a_log_that_is_another_or_must_not_be_called() {
    let authority = Authority::new().unwrap();
    let told = Told::start(&authority);
    let other = Log::start(Some(authority.server_config("other.example").unwrap()));
    let url = format!("tls://{}", other.address);
    let id = told.channel("syslog", &json!({ "url": url }))["channel"]["id"].clone();
    let tried = told
        .ask("POST", &format!("channels/{id}/test"), &Value::Null)
        .1;
    let error = tried["error"].as_str().unwrap();
    assert!(error.contains("certificate"), "{error}");
    assert_eq!(other.frames(), [""; 0]);
    // A server that may call no network but the public one.
    let strict = Told::on(ground(&authority, "192.0.2.0/24"));
    let plain = Log::start(None);
    let wanted =
        json!({ "name": "ours", "kind": "syslog", "url": format!("tcp://{}", plain.address) });
    assert_eq!(strict.ask("POST", "channels", &wanted).0, 422);
    let named = format!("tcp://localhost:{}", plain.address.port());
    let id = strict.channel("syslog", &json!({ "url": named }))["channel"]["id"].clone();
    let tried = strict
        .ask("POST", &format!("channels/{id}/test"), &Value::Null)
        .1;
    let error = tried["error"].as_str().unwrap();
    assert!(
        error.contains("no address of the public internet"),
        "{error}"
    );
    assert_eq!(plain.frames(), [""; 0]);
}
