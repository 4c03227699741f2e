//! What is kept no longer is deleted, by real servers, from the database and from the place of the objects.
//!
//! The age of a run is counted by the server's clock, which no test can turn. A test makes runs old through the store, as
//! if a server had heard of them long ago.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runward_lab::{postgres, skip, test_name};
use runward_store::{Batch, DAY, Store as _};
use runward_store_sql::SqlStore;
use serde_json::Value;

use crate::bed::{Ground, Server, within};
use crate::pages::csrf;
use crate::record::Recorded;
use crate::s3::S3;

const OLD: &str = "0123456789abcdef0123456789abcdef";
const YOUNG: &str = "fedcba9876543210fedcba9876543210";
const THEIRS: &str = "00000000000000000000000000000001";
const HOUR: i64 = 3_600_000;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Does something to a server's database behind its back.
fn with_store<T>(address: &Database<'_>, act: impl AsyncFnOnce(SqlStore) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = match address {
            Database::In(folder) => SqlStore::sqlite(&folder.join("runward.db")).await,
            Database::At(address) => SqlStore::postgres(address).await,
        };
        act(store.unwrap()).await
    })
}

pub(crate) enum Database<'a> {
    In(&'a Path),
    At(&'a str),
}

/// Makes it so long ago that the last of these runs came.
pub(crate) fn age(database: &Database<'_>, org: &str, runs: &[&str], days: i64) {
    with_store(database, async |store| {
        let org = store.org(org).await.unwrap().unwrap();
        for run in runs {
            let opened = store.opened(org.id, None, run).await.unwrap().unwrap();
            // It has nothing new, so that nothing is changed but when it was heard of.
            let known = Batch {
                first: 1,
                last: 1,
                object: "none".to_owned(),
                bytes: 1,
            };
            let then = now() - days * DAY;
            store.receive(opened.number, &known, then).await.unwrap();
        }
    });
}

/// Sends a run and waits until it is digested.
fn sent(server: &Server, key: &str, run: &str, record: &Recorded) {
    let answer = server.events(key, run, 1, &record.packed(1, record.len()));
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn run_of(server: &Server, key: &str, run: &str) -> Option<Value> {
    let answer = server.ask("GET", &format!("/api/v1/runs/{run}"), key, "");
    match answer.status {
        200 => Some(serde_json::from_str(&answer.body).unwrap()),
        404 => None,
        _ => panic!("{answer:?}"),
    }
}

/// All runs by name, at most as many as one page has.
fn runs(server: &Server, key: &str) -> BTreeMap<String, Value> {
    let answer = server.ask("GET", "/api/v1/runs?limit=200", key, "");
    assert_eq!(answer.status, 200, "{answer:?}");
    let all: Value = serde_json::from_str(&answer.body).unwrap();
    let all = all["runs"].as_array().unwrap().iter();
    all.map(|run| (run["id"].as_str().unwrap().to_owned(), run.clone()))
        .collect()
}

pub(crate) fn finished(server: &Server, key: &str, names: &[&str]) {
    assert!(within(|| {
        let all = runs(server, key);
        names.iter().all(|name| all[*name]["state"] == "finished")
    }));
}

/// Those of which it is said that their events are gone.
pub(crate) fn gone(server: &Server, key: &str) -> BTreeSet<String> {
    let all = runs(server, key).into_iter();
    all.filter(|(_, run)| run["events_deleted_at_ms"].is_i64())
        .map(|(name, _)| name)
        .collect()
}

/// The runs of which there are files in a server's folder, whatever they are. A folder without one may stay behind where a
/// server is killed, until it is swept.
fn folders(server: &Server) -> BTreeSet<String> {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let mut found = BTreeSet::new();
    for org in entries(&server.folder().join("objects/events")) {
        for run in entries(&org.path()) {
            if entries(&run.path()).next().is_some() {
                found.insert(run.file_name().into_string().unwrap());
            }
        }
    }
    found
}

fn set(server: &Server, key: &str, terms: &str) {
    let answer = server.ask("PATCH", "/api/v1/retention", key, terms);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// A server with an old run and a young one, and an old one of another organisation, which keeps everything for ever.
fn filled() -> (Server, String, String) {
    let server = Server::start();
    let key = server.key("admin");
    let theirs = server.stranger();
    let ever = r#"{"events_days":null,"detections_days":null,"runs_days":null}"#;
    set(&server, &theirs, ever);
    set(&server, &key, ever);
    let other = Recorded {
        number: 2,
        destinations: vec!["young.example".to_owned(), "evil.example".to_owned()],
        ..Recorded::default()
    };
    sent(&server, &key, OLD, &Recorded::default());
    sent(&server, &key, YOUNG, &other);
    sent(&server, &theirs, THEIRS, &Recorded::default());
    finished(&server, &key, &[OLD, YOUNG]);
    finished(&server, &theirs, &[THEIRS]);
    let database = Database::In(server.folder());
    age(&database, "main", &[OLD], 60);
    age(&database, "other", &[THEIRS], 60);
    (server, key, theirs)
}

#[test]
fn events_of_old_runs_vanish_and_their_pages_say_so() {
    let (server, key, theirs) = filled();
    let cookie = server.person("ada", "auditor");
    assert_eq!(folders(&server).len(), 3);
    set(&server, &key, r#"{"events_days":30}"#);
    assert!(within(|| !folders(&server).contains(OLD)));
    assert_eq!(
        folders(&server),
        BTreeSet::from([YOUNG.to_owned(), THEIRS.to_owned()])
    );

    for tab in [
        "",
        "/network",
        "/https",
        "/files",
        "/processes",
        "/policy",
        "/steps",
        "/detections",
    ] {
        let page = server.get(&format!("/o/main/runs/{OLD}{tab}"), &cookie);
        assert_eq!(page.status, 200, "{tab}");
        let said = "The events of this run were deleted";
        assert!(page.body.contains(said), "{tab}: {}", page.body);
        assert!(page.body.contains("after 30 days"), "{tab}: {}", page.body);
    }
    let summary = server.get(&format!("/o/main/runs/{OLD}"), &cookie).body;
    for said in [
        "packages.example:443",
        "1 process<",
        "2 connections<",
        "1 blocked call<",
    ] {
        assert!(summary.contains(said), "{said}: {summary}");
    }
    let found = server
        .get(&format!("/o/main/runs/{OLD}/detections"), &cookie)
        .body;
    assert!(found.contains("evil.example"), "{found}");
    let report =
        |key: &str, run: &str| server.ask("GET", &format!("/api/v1/runs/{run}/report"), key, "");
    let answer = report(&key, OLD);
    assert_eq!(answer.status, 410, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert!(answer.body.contains("after 30 days"), "{}", answer.body);
    let json = server.get(&format!("/o/main/runs/{OLD}/processes.json"), &cookie);
    assert_eq!(json.status, 410, "{json:?}");
    let tried = server.form(
        &format!("/o/main/runs/{OLD}/policy"),
        &cookie,
        "policy=a.example%3A443",
    );
    assert_eq!(tried.status, 410, "{tried:?}");
    assert_eq!(report(&key, YOUNG).status, 200);
    assert_eq!(report(&theirs, THEIRS).status, 200);
    let told = run_of(&server, &key, OLD).unwrap();
    assert!(told["events_deleted_at_ms"].is_i64(), "{told}");
    assert_eq!(told["connections"], 2);

    // What comes late is told so, and keeps nothing.
    let record = Recorded::default();
    for first in [1, record.len()] {
        let late = server.events(&key, OLD, first, &record.packed(first, record.len()));
        assert_eq!(late.status, 410, "{late:?}");
        assert!(
            late.body.contains("nothing more of it is taken"),
            "{late:?}"
        );
    }
    assert!(!folders(&server).contains(OLD));
    // Policies are tried on runs that have their events.
    let policy = r#"{"text":"egress-policy: block"}"#;
    let tried = server.ask("POST", "/api/v1/policies/try", &key, policy);
    let tried: Value = serde_json::from_str(&tried.body).unwrap();
    assert_eq!(tried["runs"].as_array().unwrap().len(), 1, "{tried}");
    let told = |log: &str| -> Vec<String> {
        let lines = log.lines().map(str::to_owned);
        lines
            .filter(|line| line.contains("deleted what is kept no longer"))
            .collect()
    };
    assert!(within(|| !told(&server.log()).is_empty()));
    let lines = told(&server.log());
    assert!(
        lines.len() == 1
            && lines[0].contains("runs_without_events=1")
            && lines[0].contains(" objects=1 "),
        "{lines:?}"
    );
}

#[test]
fn detections_and_runs_vanish_at_their_terms_with_what_only_they_stood_for() {
    let (mut server, key, theirs) = filled();
    server.stop();
    let database = Database::In(server.folder());
    // A server that died while it kept a batch has left these behind.
    let folder = server.folder().join("objects/events/1").join(OLD);
    for stray in ["stray.ndjson.zst", "half.ndjson.zst#1"] {
        fs::write(folder.join(stray), "x").unwrap();
    }
    // And one has taken the events away, and went no further; long enough ago that nothing is under way any more.
    let cut = with_store(&database, async |store| {
        let org = store.org("main").await.unwrap().unwrap().id;
        let before = store.retention(org).await.unwrap();
        let terms = runward_store::Retention::new(Some(30), Some(60), None).unwrap();
        store.change_retention(org, &before, &terms).await.unwrap();
        store.cut_events(org, now() - HOUR, 9).await.unwrap()
    });
    assert_eq!(cut, 1);
    server.restart();
    let is_bare = || run_of(&server, &key, OLD).unwrap()["detections_deleted_at_ms"].is_i64();
    assert!(within(is_bare));
    assert!(!folders(&server).contains(OLD), "{:?}", folders(&server));
    let detections = |key: &str| {
        let all = server.ask("GET", "/api/v1/detections", key, "").body;
        let all: Value = serde_json::from_str(&all).unwrap();
        let all = all["detections"].as_array().unwrap().clone();
        all.iter()
            .map(|found| found["run"].as_str().unwrap().to_owned())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(detections(&key), BTreeSet::from([YOUNG.to_owned()]));
    assert_eq!(detections(&theirs), BTreeSet::from([THEIRS.to_owned()]));
    let cookie = server.person("ada", "auditor");
    let page = server
        .get(&format!("/o/main/runs/{OLD}/detections"), &cookie)
        .body;
    assert!(
        page.contains("The detections of this run were deleted on"),
        "{page}"
    );
    server.page_with("/o/main/destinations", &cookie, "packages.example");

    set(&server, &key, r#"{"runs_days":60}"#);
    assert!(within(|| run_of(&server, &key, OLD).is_none()));
    assert_eq!(
        server.get(&format!("/o/main/runs/{OLD}"), &cookie).status,
        404
    );
    let places = server.get("/o/main/destinations", &cookie).body;
    assert!(!places.contains("packages.example"), "{places}");
    assert!(places.contains("evil.example") && places.contains("young.example"));
    assert!(run_of(&server, &key, YOUNG).is_some());
    assert!(run_of(&server, &theirs, THEIRS).is_some());
    // What was sent again is a new run.
    sent(&server, &key, OLD, &Recorded::default());
    finished(&server, &key, &[OLD]);
}

#[test]
fn a_server_that_is_killed_while_it_deletes_is_followed_by_one_that_goes_on() {
    let mut server = Server::start();
    let (key, sends) = (server.key("admin"), server.key("ingest"));
    let record = Recorded::default();
    let names: Vec<String> = (0..40).map(|n| format!("{n:032x}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        // Every event is an object.
        for first in 1..=record.len() {
            let answer = server.events(&sends, name, first, &record.packed(first, first));
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
    finished(&server, &key, &names);
    server.stop();
    age(&Database::In(server.folder()), "main", &names[..38], 31);
    let mut left = vec![folders(&server).len()];
    while left.last() > Some(&2) {
        server.restart();
        assert!(left.len() < 60, "it goes on: {left:?}");
        let before = left[left.len() - 1];
        assert!(within(|| folders(&server).len() < before));
        server.stop();
        left.push(folders(&server).len());
        whole_or_said_to_be_gone(&server, &names);
    }
    eprintln!("folders left after each kill: {left:?}");
    server.restart();
    let expected: BTreeSet<String> = names[..38].iter().map(|&name| name.to_owned()).collect();
    assert!(within(|| gone(&server, &key) == expected));
    let expected: BTreeSet<String> = names[38..].iter().map(|&name| name.to_owned()).collect();
    assert!(within(|| folders(&server) == expected));
    for name in &names[38..] {
        let report = server.ask("GET", &format!("/api/v1/runs/{name}/report"), &key, "");
        assert_eq!(report.status, 200, "{name}: {report:?}");
    }
}

/// Of a run that is not said to be without its events, every object is there.
fn whole_or_said_to_be_gone(server: &Server, names: &[&str]) {
    let objects = server.folder().join("objects");
    with_store(&Database::In(server.folder()), async |store| {
        let org = store.org("main").await.unwrap().unwrap().id;
        for name in names {
            let (run, _) = store.run(org, name).await.unwrap().unwrap();
            if run.events_deleted.is_none() {
                for batch in store.batches(run.number).await.unwrap() {
                    assert!(objects.join(&batch.object).exists(), "{name}");
                }
            }
        }
    });
}

#[test]
fn two_servers_on_one_bucket_delete_beside_each_other_and_wait_while_it_is_away() {
    let database = match postgres::database() {
        Ok(address) => address,
        Err(lacking) => return skip(test_name!(), &lacking),
    };
    let mut s3 = S3::start();
    let start = || {
        let mut ground = Ground::with_bucket(s3.address);
        let variable = ("RUNWARD_DATABASE", database.clone());
        ground.variables.push(variable);
        Server::on(ground)
    };
    let servers = [start(), start()];
    let key = servers[0].key("admin");
    let record = Recorded::default();
    let names: Vec<String> = (0..30).map(|n| format!("{n:032x}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        sent(&servers[0], &key, name, &record);
    }
    finished(&servers[1], &key, &names);
    let left = |s3: &S3| -> BTreeSet<String> {
        let all = s3.objects("some/prefix/events/1").into_iter();
        all.map(|(name, _)| name.split('/').nth(4).unwrap().to_owned())
            .collect()
    };
    assert_eq!(left(&s3).len(), 30);
    s3.stop();
    age(&Database::At(&database), "main", &names[..28], 31);
    let expected: BTreeSet<String> = names[..28].iter().map(|&name| name.to_owned()).collect();
    assert!(within(|| gone(&servers[1], &key) == expected));
    // The rest of the work goes on meanwhile, and what was kept is still there.
    thread::sleep(Duration::from_secs(1));
    let lists = servers[0].ask("GET", "/api/v1/runs", &key, "");
    assert_eq!(lists.status, 200);
    s3.restart();
    assert!(within(|| left(&s3).len() <= 2));
    assert_eq!(
        left(&s3),
        names[28..].iter().map(|&name| name.to_owned()).collect()
    );
    assert_eq!(gone(&servers[0], &key), expected);
    for name in &names[28..] {
        let report = servers[1].ask("GET", &format!("/api/v1/runs/{name}/report"), &key, "");
        assert_eq!(report.status, 200, "{report:?}");
    }
}

#[test]
fn terms_are_changed_with_care() {
    let (server, key, _) = filled();
    let (admin, auditor) = (
        server.person("ada", "admin"),
        server.person("bob", "auditor"),
    );
    let settings = |cookie: &str| server.get("/o/main/settings", cookie).body;
    let secret = csrf(&settings(&admin));
    let send = |fields: &str| {
        let form = format!("csrf={secret}&{fields}");
        server.form("/o/main/settings/retention", &admin, &form)
    };
    // Everything is for ever. What is shorter says first what it would delete.
    let asked = send("events=30&detections=&runs=&seen=--");
    assert_eq!(asked.status, 200);
    for said in [
        "Nothing is changed yet",
        "the events of 1 run<",
        "value=\"30--\"",
    ] {
        assert!(asked.body.contains(said), "{said}: {}", asked.body);
    }
    let other = send("events=7&detections=&runs=&seen=--&sure=30--");
    assert!(
        other.body.contains("Nothing is changed yet"),
        "{}",
        other.body
    );
    for (fields, said) in [
        (
            "events=30&detections=7&runs=400&seen=--",
            "keep detections at least",
        ),
        (
            "events=30&detections=90&runs=80&seen=--",
            "keep runs at least",
        ),
        ("events=0&detections=&runs=&seen=--", "1 to 36,500 days"),
        ("events=x&detections=&runs=&seen=--", "a number of days"),
    ] {
        let answer = send(fields);
        assert!(answer.body.contains(said), "{fields}: {}", answer.body);
        assert!(answer.body.contains("Nothing was changed"), "{fields}");
    }
    assert!(send("events=30&detections=&runs=&seen=x").status == 400);
    // Who pretends that nothing is made shorter changes nothing.
    let sly = send("events=30&detections=40&runs=40&seen=1-1-1");
    assert!(
        sly.body.contains("changed by somebody else"),
        "{}",
        sly.body
    );
    assert_eq!(folders(&server).len(), 3);

    // Who logged in long ago shows again who it is.
    server.age(&admin);
    let sure = "events=30&detections=&runs=&seen=--&sure=30--";
    let confirm = send(sure);
    assert_eq!(confirm.status, 403, "{confirm:?}");
    let said = "delete for good: events after 30 days (until now for ever)";
    assert!(confirm.body.contains(said), "{}", confirm.body);
    let saved = send(&format!("{sure}&confirm-password=correct+horse+battery"));
    assert_eq!(
        (saved.status, saved.location.as_str()),
        (303, "/o/main/settings#retention")
    );
    assert!(within(|| !folders(&server).contains(OLD)));
    // Longer terms ask nothing.
    server.age(&admin);
    assert_eq!(send("events=90&detections=&runs=&seen=30--").status, 303);
    let page = settings(&auditor);
    assert!(
        page.contains("90 days") && page.contains("for ever"),
        "{page}"
    );
    assert!(
        !page.contains("settings/retention"),
        "an auditor changes nothing"
    );
    for said in [
        "retention.change",
        "events: 30 days, before for ever",
        "events: 90 days, before 30 days",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }

    let ask = |body: &str| server.ask("PATCH", "/api/v1/retention", &key, body);
    let kept = ask(r#"{"runs_days":400,"detections_days":100}"#);
    let shown = server.ask("GET", "/api/v1/retention", &key, "");
    assert_eq!(kept.body, shown.body);
    let shown: Value = serde_json::from_str(&shown.body).unwrap();
    let expected =
        serde_json::json!({ "events_days": 90, "detections_days": 100, "runs_days": 400 });
    assert_eq!(shown, expected);
    for (body, said) in [
        (r#"{"runs_days":99}"#, "runs: "),
        (r#"{"events_days":null}"#, "detections: "),
        (r#"{"events_days":0}"#, "events: "),
        (r#"{"events":1}"#, "events"),
    ] {
        let answer = ask(body);
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.body.contains(said), "{}", answer.body);
    }
    // By a session that is old, too.
    server.age(&admin);
    let by_session =
        |body: &str| server.by_session("PATCH", "/api/v1/retention", &admin, &secret, body);
    assert_eq!(by_session(r#"{"events_days":30}"#).status, 403);
    assert_eq!(by_session(r#"{"runs_days":500}"#).status, 200);
}
