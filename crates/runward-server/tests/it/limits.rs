//! Clients that stall, that ask too often, and that are too many.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::bed::Server;
use crate::record::Recorded;

const RUN: &str = "0123456789abcdef0123456789abcdef";

/// Sends the beginning of something, and stands still.
fn begin(server: &Server, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address.trim_start_matches("http://")).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    stream
}

/// What comes back until the server hangs up.
fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    // A server that hangs up in the middle of a request may also reset the connection.
    let _ = stream.read_to_string(&mut text);
    text
}

#[test]
fn clients_that_stall_are_hung_up_on_and_stand_in_nobodys_way() {
    let server = Server::start();
    let theirs: Vec<String> = (0..5).map(|_| server.key("ingest")).collect();
    let ours = server.stranger();
    let half_batch = |key: &String| {
        let head = format!("authorization: Bearer {key}\r\ncontent-length: 4000000");
        format!(
            "POST /api/v1/runs/{RUN}/events?first=1 HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\nthe first bytes"
        )
    };
    let began = Instant::now();
    let half_heads: Vec<TcpStream> = (0..300)
        .map(|_| begin(&server, "GET / HTTP/1.1\r\nhost"))
        .collect();
    let half_batches = theirs.iter().cycle().take(40);
    let half_batches: Vec<TcpStream> = half_batches
        .map(|key| begin(&server, &half_batch(key)))
        .collect();
    // There is room for sixteen such batches in all, of which a key gets four, and an organisation twelve.
    let record = Recorded::default();
    let batch = record.packed(1, record.len());
    let answer = server.events(&ours, RUN, 1, &batch);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(server.get("/healthz", "").status, 200);
    assert!(began.elapsed() < Duration::from_secs(9), "without waiting");

    let mut answers: Vec<String> = half_batches.into_iter().map(rest).collect();
    answers.sort();
    let status = |answer: &String| answer.get(9..12).map(str::to_owned);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(status(answer).as_deref(), Some("408" | "503"))),
        "{answers:?}"
    );
    assert!(
        half_heads
            .into_iter()
            .map(rest)
            .all(|text| text.is_empty() || text.starts_with("HTTP/1.1 408"))
    );
    assert!(began.elapsed() < Duration::from_secs(55));
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let server = Server::start();
    let (key, other) = (server.key("read"), server.key("read"));
    let refused = (0..600)
        .map(|_| server.ask("GET", "/api/v1/projects", &key, ""))
        .find(|answer| answer.status != 200)
        .expect("six hundred at once are too many");
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "5");
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    assert_eq!(
        server.ask("GET", "/api/v1/projects", &other, "").status,
        200
    );

    let statuses: Vec<u16> = (0..400)
        .map(|_| {
            server
                .ask("GET", "/api/v1/projects", "rwk_guess", "")
                .status
        })
        .collect();
    assert_eq!(statuses.first(), Some(&401));
    assert!(statuses.contains(&429));
    assert_eq!(
        server.ask("GET", "/api/v1/projects", &other, "").status,
        200
    );
}
