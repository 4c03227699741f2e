//! Traces, as a collector gets them, and the log.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;

use crate::bed::{Ground, Server, agent, answer, free_port, within};
use crate::record::Recorded;

const RUN: &str = "0123456789abcdef0123456789abcdef";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A collector: takes what is sent to it, as the protocol says, and keeps it.
struct Collector {
    port: u16,
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

impl Collector {
    fn start() -> Collector {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>> = Arc::default();
        let keep = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let keep = Arc::clone(&keep);
                thread::spawn(move || answer_all(&stream, &keep));
            }
        });
        Collector { port, taken }
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    /// The span with this name, once it has come.
    fn span(&self, name: &str) -> Span {
        let mut found = None;
        let came = within(|| {
            found = self.spans().into_iter().find(|span| span.name == name);
            found.is_some()
        });
        assert!(came, "no span {name}: {:?}", self.names());
        found.unwrap()
    }

    fn names(&self) -> Vec<String> {
        self.spans().into_iter().map(|span| span.name).collect()
    }

    /// What says of whom spans are.
    fn resource(&self) -> BTreeMap<String, String> {
        let taken = self.taken.lock().unwrap();
        let resource = taken[0].resource_spans[0].resource.clone().unwrap();
        attributes(&resource.attributes)
    }
}

/// Takes requests of a connection until it ends.
fn answer_all(stream: &TcpStream, keep: &Mutex<Vec<ExportTraceServiceRequest>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            head.push(line);
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        let value = |name: &str| {
            let mut values = head.iter().filter_map(|line| line.strip_prefix(name));
            values.next().map(str::trim).unwrap_or_default().to_owned()
        };
        assert_eq!(value("content-type:"), "application/x-protobuf");
        let mut body = vec![0; value("content-length:").parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        keep.lock().unwrap().push(request);
        let mut writer = stream;
        let answer =
            "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        writer.write_all(answer.as_bytes()).unwrap();
    }
}

fn attributes(all: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        other => format!("{other:?}"),
    };
    all.iter()
        .map(|attribute| (attribute.key.clone(), text(&attribute.value)))
        .collect()
}

fn tracing_to(endpoint: &str) -> Ground {
    Ground {
        variables: vec![
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()),
            ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
            ("NO_PROXY", "127.0.0.1".to_owned()),
        ],
        ..Ground::new()
    }
}

#[test]
fn a_request_is_a_span_of_its_caller_s_trace_and_what_it_takes_is_below_it() {
    let collector = Collector::start();
    let server = Server::on(tracing_to(&collector.endpoint()));
    let key = server.key("ingest");
    let record = Recorded::default();
    let request = agent()
        .post(format!(
            "{}/api/v1/runs/{RUN}/events?first=1&host=runner-1",
            server.address
        ))
        .header("authorization", format!("Bearer {key}"))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .header("tracestate", "vendor=vendor-secret");
    let sent = answer(request.send(record.packed(1, record.len())).unwrap());
    assert_eq!(sent.status, 200);

    let span = collector.span("POST /api/v1/runs/{run}/events");
    assert_eq!(span.kind(), SpanKind::Server);
    assert_eq!(hex(&span.trace_id), TRACE);
    assert_eq!(hex(&span.parent_span_id), CALLER);
    let said = attributes(&span.attributes);
    assert_eq!(said["http.route"], "/api/v1/runs/{run}/events");
    assert_eq!(said["http.request.method"], "POST");
    assert_eq!(said["http.response.status_code"], "Some(IntValue(200))");
    for step in [
        "ingest.receive",
        "ingest.read",
        "store.open_run",
        "object.put",
        "store.receive",
    ] {
        let below = collector.span(step);
        assert_eq!(hex(&below.trace_id), TRACE, "{step}");
        assert_eq!(hex(&below.parent_span_id), hex(&span.span_id), "{step}");
    }
    // What is done later is a trace of its own.
    let digest = collector.span("worker.digest");
    let turn = collector.span("worker.turn");
    assert_eq!(turn.parent_span_id, b"");
    assert_eq!(digest.parent_span_id, turn.span_id);
    for step in ["object.get", "store.digest"] {
        let below = collector.span(step);
        assert_eq!(below.trace_id, turn.trace_id, "{step}");
    }
    let resource = collector.resource();
    assert_eq!(resource["service.name"], "runward-server");
    assert_eq!(resource["service.version"], "0.1.0");
}

#[test]
fn no_span_tells_what_a_job_or_a_client_says() {
    let collector = Collector::start();
    let server = Server::on(tracing_to(&collector.endpoint()));
    let key = server.key("admin");
    let record = Recorded::default();
    let sent = server.events(&key, RUN, 1, &record.packed(1, record.len()));
    assert_eq!(sent.status, 200);
    let cookie = server.person("ada", "auditor");
    server.page_with("/o/main/destinations", &cookie, "evil.example");
    server.get(&format!("/o/main/runs/{RUN}/network?q=asked-for"), &cookie);
    server.get("/o/weird-org/runs/weird%22", &cookie);
    server.get("/weird-path", &cookie);
    server.form("/login", "", "login=ada&password=wrong-password&next=/");
    assert_eq!(server.events("rwk_guessed", RUN, 1, b"x").status, 401);
    collector.span("POST /login");
    collector.span("GET /o/{org}/runs/{run}/{tab}");
    collector.span("store.use_key");
    // The address that there is not has no name but its method.
    collector.span("GET");
    let mut all = format!("{:?}", collector.resource());
    for span in collector.spans() {
        assert!(span.events.is_empty() && span.links.is_empty(), "{span:?}");
        all += &format!(
            "{} {} {:?}\n",
            span.name,
            span.trace_state,
            attributes(&span.attributes)
        );
        let status = span.status.map(|status| status.message).unwrap_or_default();
        assert_eq!(status, "", "{}", span.name);
    }
    let session = cookie.split_once('=').unwrap().1;
    let names = [
        "weird",
        "asked-for",
        "evil",
        "group/app",
        "runner-1",
        "ada",
        "wrong",
        "rwk_",
        "make",
        RUN,
        &key,
        session,
    ];
    for name in names {
        assert!(!all.contains(name), "{name}: {all}");
    }
}

#[test]
fn a_collector_that_is_away_is_told_once_and_nothing_else_suffers() {
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let mut server = Server::on(tracing_to(&nowhere));
    let key = server.key("ingest");
    let record = Recorded::default();
    let began = Instant::now();
    let told = || server.log().matches("traces can't be sent").count();
    assert!(within(|| {
        let sent = server.events(&key, RUN, 1, &record.packed(1, record.len()));
        assert_eq!(sent.status, 200);
        told() > 0
    }));
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(server.get("/readyz", "").status, 200);
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(told(), 1, "{}", server.log());
    let ending = Instant::now();
    server.end();
    assert!(ending.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_last_spans_are_sent_when_the_server_ends() {
    let collector = Collector::start();
    let mut ground = tracing_to(&collector.endpoint());
    // Longer than the test: nothing is sent before.
    ground
        .variables
        .push(("OTEL_BSP_SCHEDULE_DELAY", "600000".to_owned()));
    let mut server = Server::on(ground);
    server.get("/login", "");
    assert_eq!(collector.names(), Vec::<String>::new());
    server.end();
    let names = collector.names();
    assert!(names.contains(&"GET /login".to_owned()), "{names:?}");
}

#[test]
fn the_log_is_text_or_json() {
    let lines = |arguments: &[&str]| {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let server = Server::with(&arguments);
        let log = server.log();
        let said = log.lines().filter(|line| line.contains("listening"));
        said.map(str::to_owned).collect::<Vec<_>>()
    };
    let text = lines(&[]);
    assert_eq!(text.len(), 1);
    assert!(
        text[0].contains("INFO runward_server::serve: listening"),
        "{text:?}"
    );
    let json = lines(&["--log-format", "json"]);
    let said: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!(said["message"], "listening");
    assert_eq!(said["level"], "INFO");
    assert!(
        said["address"].is_string() && said["timestamp"].is_string(),
        "{said}"
    );
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
