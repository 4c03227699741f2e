use runward_event::{FORMAT_VERSION, OLDEST_FORMAT};

use crate::bed::{Server, within};
use crate::record::Recorded;

const RUN: &str = "0123456789abcdef0123456789abcdef";

fn acknowledged(body: &str) -> i64 {
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    body["acknowledged"].as_i64().unwrap()
}

#[test]
fn what_is_acknowledged_survives_a_crash_and_is_there_once() {
    let mut server = Server::start();
    let key = server.key("ingest");
    let cookie = server.person("ada", "auditor");
    let record = Recorded::default();
    let last = record.len();
    for (first, until, expected) in [(1, 2, 2), (4, last, 2), (1, 2, 2), (3, 3, last)] {
        let answer = server.events(&key, RUN, first, &record.packed(first, until));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(acknowledged(&answer.body), i64::try_from(expected).unwrap());
        server.crash();
    }
    let page = server.page_with(&format!("/o/main/runs/{RUN}"), &cookie, "group/app");
    assert!(page.contains("evil.example"), "{page}");
    let all = server.page_with("/o/main/destinations", &cookie, "evil.example");
    assert!(all.contains("packages.example"));
    let json = server.get("/o/main/destinations.json", &cookie).body;
    let rows: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(
        rows.as_array()
            .unwrap()
            .iter()
            .all(|row| row["runs"] == 1 && row["connections"] == 1)
    );
}

#[test]
fn what_is_sent_again_in_other_pieces_or_words_changes_nothing() {
    let server = Server::start();
    let (key, cookie) = (server.key("ingest"), server.person("ada", "auditor"));
    let record = Recorded::default();
    let other = Recorded {
        destinations: vec!["other.example".to_owned(), "false.example".to_owned()],
        ..Recorded::default()
    };
    let last = record.len();
    // Nothing of the second record is new but its last event.
    for (which, first, until, expected) in [
        (&record, 1, 1, 1),
        (&record, 2, 2, 2),
        (&record, 1, 2, 2),
        (&record, 3, last - 1, last - 1),
        (&other, 1, last - 1, last - 1),
        (&other, 1, last, last),
        (&record, 1, last, last),
    ] {
        let answer = server.events(&key, RUN, first, &which.packed(first, until));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(acknowledged(&answer.body), i64::try_from(expected).unwrap());
    }
    let page = server.page_with(&format!("/o/main/runs/{RUN}"), &cookie, "evil.example");
    assert!(!page.contains("false.example"), "{page}");
    server.page_with("/o/main/destinations", &cookie, "evil.example");
    let reads = server.key("read");
    let report = server.ask("GET", &format!("/api/v1/runs/{RUN}/report"), &reads, "");
    assert_eq!(report.status, 200);
    assert!(report.body.contains("packages.example"));
    assert!(!report.body.contains("other.example"));
}

#[test]
fn what_can_not_be_taken_changes_nothing_and_says_why() {
    let server = Server::start();
    let key = server.key("ingest");
    let record = Recorded::default();
    let good = record.packed(1, record.len());
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(b' '), 1 << 30), 1).unwrap();
    let unpacked = zstd::decode_all(good.as_slice()).unwrap();
    let future = String::from_utf8(unpacked.clone())
        .unwrap()
        .replace("2026-", "2126-");
    let text = String::from_utf8(unpacked).unwrap();
    let current = format!("\"format\":{FORMAT_VERSION}");
    let format = |other: u32| text.replace(&current, &format!("\"format\":{other}"));
    let packed = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    let read = server.key("read");
    // What it is, the key, the run, the first number, the body, the status, and what the reason must say.
    type Row<'a> = (&'a str, &'a str, &'a str, usize, Vec<u8>, u16, &'a str);
    let cases: Vec<Row<'_>> = vec![
        ("no key", "", RUN, 1, good.clone(), 401, "key"),
        ("a wrong key", "rwk_AAAA", RUN, 1, good.clone(), 401, "key"),
        ("a key to read", &read, RUN, 1, good.clone(), 401, "key"),
        (
            "a name that is none",
            &key,
            "..%2f..%2fetc",
            1,
            good.clone(),
            400,
            "32 hexadecimal",
        ),
        ("number 0", &key, RUN, 0, good.clone(), 400, "from 1"),
        (
            "not packed",
            &key,
            RUN,
            1,
            b"hello".to_vec(),
            400,
            "not zstd",
        ),
        (
            "cut",
            &key,
            RUN,
            1,
            good[..good.len() / 2].to_vec(),
            400,
            "",
        ),
        ("nothing", &key, RUN, 1, packed(""), 400, "no events"),
        ("a bomb", &key, RUN, 1, bomb, 400, ""),
        ("too large", &key, RUN, 1, vec![0; 17 << 20], 413, ""),
        ("another number", &key, RUN, 7, good.clone(), 400, "line 1"),
        (
            "a run that nobody knows",
            &key,
            RUN,
            3,
            record.packed(3, 4),
            404,
            "first events",
        ),
        (
            "a clock of another century",
            &key,
            RUN,
            1,
            packed(&future),
            422,
            "clock",
        ),
        (
            "a format of tomorrow",
            &key,
            RUN,
            1,
            packed(&format(FORMAT_VERSION + 1)),
            422,
            "update the server",
        ),
        (
            "a format of long ago",
            &key,
            RUN,
            1,
            packed(&format(OLDEST_FORMAT - 1)),
            422,
            "update it on the machines where jobs run",
        ),
    ];
    for (what, key, run, first, body, status, says) in cases {
        let Some(answer) = server.try_events(key, run, first, &body) else {
            assert_eq!(what, "too large", "hangs up only on what it can't hold");
            continue;
        };
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        assert!(answer.body.contains(says), "{what}: {}", answer.body);
        let kind = answer
            .headers
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned());
        if status != 413 {
            assert_eq!(kind.as_deref(), Some("application/problem+json"), "{what}");
        }
    }
    let cookie = server.person("ada", "auditor");
    let runs = server.get("/o/main/runs", &cookie).body;
    assert!(!runs.contains("group/app"), "nothing was kept");
}

#[test]
fn records_in_every_format_that_is_taken_are_shown() {
    let server = Server::start();
    let key = server.key("admin");
    for format in OLDEST_FORMAT..=FORMAT_VERSION {
        let file = format!(
            "{}/../runward-event/tests/formats/{format}.jsonl",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(file).unwrap();
        let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
        let run = format!("{format:032x}");
        let answer = server.events(&key, &run, 1, &packed);
        assert_eq!(answer.status, 200, "{format}: {answer:?}");
        let mut shown = serde_json::Value::Null;
        let whole = within(|| {
            let answer = server.ask("GET", &format!("/api/v1/runs/{run}"), &key, "");
            shown = serde_json::from_str(&answer.body).unwrap();
            shown["state"] == "finished"
        });
        assert!(whole, "{format}: {shown}");
        assert_eq!(shown["project"], "group/app", "{format}: {shown}");
        assert_eq!(shown["exit_code"], 137, "{format}: {shown}");
        assert_eq!(shown["connections"], 1, "{format}: {shown}");
        assert_eq!(shown["events"], text.lines().count(), "{format}: {shown}");
    }
}
