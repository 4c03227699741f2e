//! Puts load on a server, to be measured: `load lines RUNS COUNT`, `load send ADDRESS RUNS COUNT`, `load await ADDRESS RUNS`,
//! `load ask ADDRESS TIMES PATH…`.
//!
//! - `lines` writes the records of so many runs of so many events each to standard output;
//! - `send` sends the same ones, all at once, with the key in `RUNWARD_API_KEY`, and writes how long it took until all were
//!   acknowledged;
//! - `await` waits until so many runs are finished and can be looked at;
//! - `ask` asks for each page so many times, logged in as `bench` with the password in `RUNWARD_PASSWORD`, and writes how
//!   long each answer took.
//!
//! Answers are one line of JSON.

use std::error::Error;
use std::io::{BufWriter, Write};
use std::net::IpAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};
use std::{env, io};

use runward_event::{
    Body, Connect, ConnectionId, Event, FORMAT_VERSION, FileChange, JobContext, JobEnd,
    JobIdentity, JobStart, Mode, ProcessExec, ProcessExit, ProcessId, Protocol, Provider, Status,
    Tier, Time, write_line,
};
use serde_json::{Value, json};

/// A moment in August 2026, in nanoseconds.
const START: u64 = 1_785_576_612_000_000_000;
/// Between two events.
const STEP: u64 = 1_000_000;
/// Events of a batch: about the two megabytes that agents send at once.
const BATCH: u64 = 8000;
/// Destinations of a run.
const DESTINATIONS: u64 = 60;
/// Clients at once.
const CLIENTS: usize = 4;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["lines", runs, count] => lines(runs.parse()?, count.parse()?)?,
        ["send", address, runs, count] => send(address, runs.parse()?, count.parse()?)?,
        ["await", address, runs] => digested(address, runs.parse()?)?,
        ["ask", address, times, paths @ ..] => ask(address, times.parse()?, paths)?,
        _ => {
            return Err(
                "usage: load lines RUNS COUNT | await ADDRESS RUNS | send ADDRESS RUNS COUNT | ask ADDRESS TIMES PATH…"
                    .into(),
            );
        }
    }
    Ok(())
}

/// One of a run's events. Every ten are a program that starts, connects or asks no more than now and then, changes files and
/// ends: about as in a build.
fn event(run: u64, seq: u64, count: u64) -> Event {
    let process = ProcessId(1 + seq / 10);
    let pid = u32::try_from(100 + seq / 10 % 30_000).unwrap_or(100);
    let body = match seq % 10 {
        _ if seq == 1 => start(run),
        _ if seq == count => end(count),
        0 => Body::ProcessExec(Box::new(exec(process, pid, seq))),
        1 if seq % 50 == 1 => connect(run, process, pid, seq),
        9 => Body::ProcessExit(ProcessExit {
            process,
            pid,
            code: Some(0),
            signal: None,
        }),
        _ => Body::FileWrite(Box::new(change(process, pid, seq))),
    };
    Event {
        seq,
        time: Time::from_unix_nanos(START + seq * STEP),
        body,
    }
}

fn start(run: u64) -> Body {
    Body::JobStart(Box::new(JobStart {
        format: FORMAT_VERSION,
        runward: env!("CARGO_PKG_VERSION").to_owned(),
        identity: JobIdentity {
            provider: Provider::Gitlab,
            project: Some(format!("group/app-{}", run % 8)),
            pipeline: Some(".gitlab-ci.yml".to_owned()),
            job: Some("build".to_owned()),
            branch: Some("main".to_owned()),
            ..JobIdentity::default()
        },
        context: JobContext::default(),
        args: vec!["make".to_owned(), "all".to_owned()],
        cwd: "/builds/app".to_owned(),
        workspace: "/builds/app".to_owned(),
        tracked_files: Some(1000),
        files_watched: true,
        requested_mode: Mode::Audit,
        effective_mode: Mode::Audit,
        tier: Tier::B,
        kernel: "6.1.0".to_owned(),
        policy: Vec::new(),
        rules: None,
        lockdown: Vec::new(),
        block_lists: Vec::new(),
        resolvers: Vec::new(),
        notes: Vec::new(),
        raw: Default::default(),
    }))
}

fn end(count: u64) -> Body {
    Body::JobEnd(JobEnd {
        exit_code: 0,
        signal: None,
        duration_ns: count * STEP,
        still_running: 0,
        unrecorded_file_changes: 0,
        notes: Vec::new(),
    })
}

fn exec(process: ProcessId, pid: u32, seq: u64) -> ProcessExec {
    let object = format!("target/debug/deps/libdependency-{:016x}.rlib", mixed(seq));
    ProcessExec {
        process,
        pid,
        parent: (seq > 10).then_some(ProcessId(1)),
        ppid: 100,
        exe: "/usr/bin/cc".to_owned(),
        path: "/usr/bin/cc".to_owned(),
        args: ["cc", "-O2", "-Iinclude", "-c", "source.c", "-o", &object]
            .map(str::to_owned)
            .to_vec(),
        cwd: "/builds/app".to_owned(),
        uid: 1000,
        gid: 1000,
        cgroup: "/system.slice/runner.service/job".to_owned(),
        container: None,
        env: Default::default(),
        facts: runward_event::ExecFacts::default(),
        truncated: Vec::new(),
        raw: Default::default(),
    }
}

/// Another number for each one, without a pattern that packs well (SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn connect(run: u64, process: ProcessId, pid: u32, seq: u64) -> Body {
    let number = (run + seq) % DESTINATIONS;
    Body::Connect(Connect {
        connection: ConnectionId(seq),
        process,
        pid,
        protocol: Protocol::Tcp,
        ip: IpAddr::from([198, 51, 100, u8::try_from(number).unwrap_or(1)]),
        port: 443,
        name: Some(format!("host-{number}.example")),
        status: Status::Allowed,
        reason: None,
        rule: None,
        listed: None,
        v4_mapped: false,
    })
}

fn change(process: ProcessId, pid: u32, seq: u64) -> FileChange {
    FileChange {
        process: Some(process),
        pid,
        path: format!(
            "node_modules/package-{}/lib/module-{:012x}.js",
            seq / 100,
            mixed(seq) >> 16,
        ),
        from: None,
        tracked: false,
        hash_before: None,
        hash_after: None,
        found_at_end: false,
        diff: None,
        no_diff: None,
        mount: None,
        raw: Default::default(),
    }
}

fn lines(runs: u64, count: u64) -> Outcome<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    for run in 0..runs {
        for seq in 1..=count {
            write_line(&mut out, &event(run, seq, count))?;
        }
    }
    Ok(out.flush()?)
}

/// A batch that is ready to be sent.
struct Batch {
    path: String,
    packed: Vec<u8>,
}

/// The batches of one run.
fn batches(run: u64, count: u64) -> Outcome<Vec<Batch>> {
    let firsts = (1..=count).step_by(usize::try_from(BATCH)?);
    firsts
        .map(|first| {
            let mut lines = Vec::new();
            for seq in first..(first + BATCH).min(count + 1) {
                write_line(&mut lines, &event(run, seq, count))?;
            }
            Ok(Batch {
                path: format!("/api/v1/runs/{run:032x}/events?first={first}&host=runner-{run}"),
                packed: zstd::encode_all(lines.as_slice(), 3)?,
            })
        })
        .collect()
}

fn send(address: &str, runs: u64, count: u64) -> Outcome<()> {
    let key = env::var("RUNWARD_API_KEY")?;
    let runs: Vec<Vec<Batch>> = (0..runs)
        .map(|run| batches(run, count))
        .collect::<Outcome<_>>()?;
    let waiting = Mutex::new(runs.iter());
    let began = Instant::now();
    thread::scope(|scope| {
        let client = || -> Outcome<()> {
            let http = agent();
            loop {
                let next = waiting.lock().map_err(|_| "a client panicked")?.next();
                let Some(run) = next else { return Ok(()) };
                run.iter()
                    .try_for_each(|batch| post(&http, address, &key, batch))?;
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| "a client panicked")?)
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let bytes: usize = runs.iter().flatten().map(|batch| batch.packed.len()).sum();
    let said = json!({ "bytes": bytes, "seconds": seconds });
    writeln!(io::stdout(), "{said}")?;
    Ok(())
}

fn post(http: &ureq::Agent, address: &str, key: &str, batch: &Batch) -> Outcome<()> {
    let answer = http
        .post(format!("{address}{}", batch.path))
        .header("authorization", format!("Bearer {key}"))
        .send(&batch.packed)?;
    if answer.status() == 200 {
        Ok(())
    } else {
        Err(format!("{}: {}", batch.path, answer.status()).into())
    }
}

/// Looks again and again, for at most five minutes.
fn digested(address: &str, runs: usize) -> Outcome<()> {
    let key = env::var("RUNWARD_API_KEY")?;
    let http = agent();
    let deadline = Instant::now() + Duration::from_secs(300);
    while Instant::now() < deadline {
        let mut answer = http
            .get(format!("{address}/api/v1/runs?limit=200"))
            .header("authorization", format!("Bearer {key}"))
            .call()?;
        let page: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        let found = page["runs"].as_array().into_iter().flatten();
        if found.filter(|run| run["state"] == "finished").count() >= runs {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    Err("the runs are not finished after five minutes".into())
}

fn ask(address: &str, times: usize, paths: &[&str]) -> Outcome<()> {
    let http = agent();
    let cookie = login(&http, address)?;
    let mut pages = Vec::new();
    for path in paths {
        let mut millis = Vec::new();
        for _ in 0..times {
            let began = Instant::now();
            let mut answer = http
                .get(format!("{address}{path}"))
                .header("cookie", &cookie)
                .call()?;
            let body = answer
                .body_mut()
                .with_config()
                .limit(1 << 30)
                .read_to_string()?;
            millis.push(began.elapsed().as_secs_f64() * 1e3);
            if answer.status() != 200 {
                return Err(format!("{path}: {}: {body}", answer.status()).into());
            }
        }
        pages.push(json!({ "path": path, "milliseconds": millis }));
    }
    writeln!(io::stdout(), "{}", json!(pages))?;
    Ok(())
}

fn login(http: &ureq::Agent, address: &str) -> Outcome<String> {
    let password = env::var("RUNWARD_PASSWORD")?.replace(' ', "+");
    let answer = http
        .post(format!("{address}/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .send(format!("login=bench&password={password}&next=/"))?;
    let cookie = answer
        .headers()
        .get("set-cookie")
        .ok_or("the login failed")?;
    let cookie = cookie.to_str()?.split(';').next().unwrap_or_default();
    Ok(cookie.to_owned())
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0);
    config.build().into()
}
