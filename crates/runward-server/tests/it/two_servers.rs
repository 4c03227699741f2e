//! Servers hold nothing: two of them on one database and one bucket, of which one or the other is always being killed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use runward_agent::{Following, Upload, Uploaded};
use runward_event::{parse_line, write_line};
use runward_lab::{postgres, skip, test_name};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;

use crate::bed::{Ground, Server, within};
use crate::chance::Chance;
use crate::proxy::Proxy;
use crate::record::Recorded;
use crate::s3::S3;

const AGENTS: usize = 200;
/// Destinations that every job goes to, once each.
const SHARED: usize = 40;
/// How long jobs take, and in how many steps their records grow.
const STREAMING: Duration = Duration::from_secs(12);
const STEPS: u32 = 60;
/// How long a connection lasts at most, before the proxy cuts it, perhaps in the middle of an answer.
const CUT: Duration = Duration::from_secs(6);

/// A job, and what of its record is written.
struct Job {
    lines: Vec<Vec<u8>>,
    written: usize,
    record: File,
    upload: Upload,
    following: Following,
}

#[test]
fn nothing_that_was_acknowledged_is_lost_or_doubled_when_servers_crash() {
    let database = match postgres::database() {
        Ok(address) => address,
        Err(lacking) => return skip(test_name!(), &lacking),
    };
    allow_many_files();
    let chance = Chance::new();
    let began = Instant::now();
    let s3 = S3::start();
    let start = || {
        let mut ground = Ground::with_bucket(s3.address);
        ground
            .variables
            .push(("RUNWARD_DATABASE", database.clone()));
        Server::on(ground)
    };
    let mut servers = [start(), start()];
    let key = servers[0].key("ingest");
    let reader = servers[0].key("read");
    let proxy = Proxy::start(
        servers.iter().map(Server::socket).collect(),
        Some((CUT, chance.clone())),
    );
    let address = format!("http://{}", proxy.address);
    let jobs: Vec<Job> = (0..AGENTS).map(|n| job(n, &address, &key)).collect();
    let over = AtomicBool::new(false);
    let (sent, kills) = thread::scope(|scope| {
        let killer = scope.spawn(|| kill(&mut servers, &chance, &over));
        let sent = stream(jobs, &chance);
        over.store(true, Ordering::Relaxed);
        (sent, killer.join().unwrap())
    });
    let streamed = began.elapsed();
    eprintln!("{kills} kills in {streamed:?}");
    for (lines, uploaded) in &sent {
        assert_eq!(uploaded.events, lines.len() as u64, "all is acknowledged");
        is_kept_once(&s3, uploaded, lines);
        is_shown_once(&servers, &reader, uploaded, lines.len());
    }
    destinations_are_counted_once(&servers[1], &reader);
    eprintln!(
        "{AGENTS} agents, {kills} kills, {} events, {} objects; streamed {streamed:?}, all {:?}",
        sent.iter().map(|(lines, _)| lines.len()).sum::<usize>(),
        s3.objects("").len(),
        began.elapsed()
    );
}

/// All agents, the proxy and the bucket are this process: more than a thousand files at once, which is often the limit.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

fn job(number: usize, server: &str, key: &str) -> Job {
    let mut destinations: Vec<String> =
        (0..SHARED).map(|n| format!("shared-{n}.example")).collect();
    destinations.push(format!("own-{number}.example"));
    let recorded = Recorded {
        job: format!("job-{number}"),
        destinations,
        number: number as u64,
        ..Recorded::default()
    };
    let lines = recorded.events().into_iter().map(|event| {
        let mut line = Vec::new();
        write_line(&mut line, &event).unwrap();
        line
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    let record = File::create(&path).unwrap();
    let upload = || Upload::new(server, key, &format!("runner-{}", number % 20)).unwrap();
    Job {
        lines: lines.collect(),
        written: 0,
        record,
        upload: upload(),
        following: upload().follow(File::open(&path).unwrap()).unwrap(),
    }
}

/// Lets all records grow at once, and then waits until each has been sent.
fn stream(mut jobs: Vec<Job>, chance: &Chance) -> Vec<(Vec<Vec<u8>>, Uploaded)> {
    for step in 1..=STEPS {
        thread::sleep(STREAMING / STEPS);
        for job in &mut jobs {
            // Records grow unevenly, and are not whole before the last step.
            let due = job.lines.len() * step as usize / STEPS as usize;
            let until = if step == STEPS {
                due
            } else {
                due.saturating_sub(chance.below(4))
            };
            for line in &job.lines[job.written..until.max(job.written)] {
                job.record.write_all(line).unwrap();
            }
            job.written = job.written.max(until);
        }
    }
    let finishing = jobs.into_iter().map(|job| {
        thread::spawn(move || {
            let uploaded = finish(job.following, &job.upload, &job.lines);
            (job.lines, uploaded)
        })
    });
    let finishing: Vec<_> = finishing.collect();
    finishing
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect()
}

/// Sends what is left. On a machine that has much else to do the servers may be away for longer than an agent waits; then
/// the record is uploaded afterwards, as the agent says that one should.
fn finish(following: Following, upload: &Upload, lines: &[Vec<u8>]) -> Uploaded {
    let mut sent = following.finish();
    for _ in 0..3 {
        if sent.is_ok() {
            break;
        }
        sent = upload.record(lines.concat().as_slice());
    }
    sent.unwrap()
}

/// Kills one server or the other, again and again, and starts it again; how often.
fn kill(servers: &mut [Server; 2], chance: &Chance, over: &AtomicBool) -> u32 {
    let mut kills = 0;
    while !over.load(Ordering::Relaxed) {
        thread::sleep(chance.between(Duration::from_millis(200), Duration::from_millis(1500)));
        let server = &mut servers[chance.below(2)];
        server.stop();
        kills += 1;
        thread::sleep(chance.between(Duration::ZERO, Duration::from_millis(800)));
        server.restart();
    }
    kills
}

/// Looks into the objects themselves: read in order, each event once, they are the record, byte for byte.
fn is_kept_once(s3: &S3, uploaded: &Uploaded, lines: &[Vec<u8>]) {
    let mut objects = s3.objects("");
    objects.retain(|(name, _)| name.contains(&uploaded.run));
    objects.sort();
    let names: Vec<&String> = objects.iter().map(|(name, _)| name).collect();
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for (_, packed) in &objects {
        let text = String::from_utf8(zstd::decode_all(packed.as_slice()).unwrap()).unwrap();
        for line in text.split_inclusive('\n') {
            let seq = parse_line(line.trim_end()).unwrap().seq;
            if seq == kept.len() as u64 + 1 {
                kept.push(line.as_bytes().to_vec());
            }
        }
    }
    assert!(
        kept == lines,
        "run {}: {} events in {names:?}",
        uploaded.run,
        kept.len()
    );
}

/// Asks both servers for what was made of a run.
fn is_shown_once(servers: &[Server; 2], key: &str, uploaded: &Uploaded, events: usize) {
    let path = format!("/api/v1/runs/{}", uploaded.run);
    let mut run = Value::Null;
    let finished = within(|| {
        run = json(&servers[0], key, &path);
        run["state"] == "finished"
    });
    assert!(finished, "{run}");
    assert_eq!(run["events"], events, "{run}");
    assert_eq!(run["connections"], SHARED + 1, "{run}");
    let report = json(&servers[1], key, &format!("{path}/report"));
    assert_eq!(report["complete"], true);
    let destinations = report["destinations"].as_array().unwrap();
    assert_eq!(destinations.len(), SHARED + 1);
    assert!(destinations.iter().all(|row| row["connections"] == 1));
}

/// Sums over all runs, which both servers add to, have each run in them once.
fn destinations_are_counted_once(server: &Server, key: &str) {
    let mut counts: BTreeMap<(u64, u64), usize> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let page = json(
            server,
            key,
            &format!("/api/v1/destinations?limit=100{after}"),
        );
        for row in page["destinations"].as_array().unwrap() {
            let count = |name: &str| row[name].as_u64().unwrap();
            *counts
                .entry((count("runs"), count("connections")))
                .or_default() += 1;
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let all = AGENTS as u64;
    assert_eq!(
        counts,
        BTreeMap::from([((all, all), SHARED), ((1, 1), AGENTS)])
    );
}

fn json(server: &Server, key: &str, path: &str) -> Value {
    let mut answer = server.ask("GET", path, key, "");
    // Nobody else asks as much as this test.
    while answer.status == 429 {
        thread::sleep(Duration::from_millis(100));
        answer = server.ask("GET", path, key, "");
    }
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}
