//! The control plane: what comes in a second, against the database's own bulk path; and how long pages take when there is
//! much to show. Everything goes over loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::built::built;
use super::rounds::rounds;
use super::server::Server;
use super::stats::Spread;
use super::target::Target;
use crate::shell;

pub(super) const NAMES: [&str; 2] = ["ingest", "pages"];

/// Events a second that are on the disk when they are acknowledged, in thousands.
const INGEST: Target = Target::AtLeast(100.0);
/// Of the server, in megabytes, until all runs are digested.
const MEMORY: Target = Target::AtMost(300.0);
/// Of a page, in milliseconds.
const PAGE: Target = Target::AtMost(100.0);

/// Runs that are sent at once, and events of each.
const RUNS: u32 = 16;
const EVENTS: u32 = 50_000;
/// How often each page is asked for.
const TIMES: usize = 200;
/// Where the server listens.
const ADDRESS: &str = "127.77.0.4:8430";

/// Of the person who looks at pages.
const PASSWORD: &str = "correct horse battery";

/// What fills a database as a large organisation would in a month: 100,000 runs, 10 million observations.
const FILL: &str = include_str!("fill.sql");

pub(super) fn run(name: &str, scratch: &Path, rounds_count: usize) -> anyhow::Result<Value> {
    let programs = Programs::build()?;
    if name == "ingest" {
        ingest(&programs, scratch, rounds_count)
    } else {
        pages(&programs, scratch)
    }
}

struct Programs {
    server: PathBuf,
    load: PathBuf,
}

impl Programs {
    /// Builds the server, and the example that puts load on it.
    fn build() -> anyhow::Result<Programs> {
        Ok(Programs {
            server: built("runward-server", &["--bin", "runward-server"])?,
            load: built("runward-server", &["--example", "load"])?,
        })
    }

    fn admin(&self, data: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.server);
        command.arg("--data").arg(data).arg("admin").args(arguments);
        command
    }

    fn key(&self, data: &Path, scope: &str) -> anyhow::Result<String> {
        let made =
            shell::output(&mut self.admin(data, &["key", "--name", "bench", "--scope", scope]))?;
        Ok(made.trim().to_owned())
    }

    /// Makes a person with this password.
    fn person(&self, data: &Path, password: &str) -> anyhow::Result<()> {
        let file = data.join("password");
        fs::write(&file, password)?;
        let status = self
            .admin(data, &["user", "bench", "--role", "auditor"])
            .stdin(fs::File::open(&file)?)
            .status()?;
        ensure!(status.success(), "no person could be made: {status}");
        Ok(())
    }

    /// Starts a server on this folder, and waits until it answers.
    fn serve(&self, data: &Path) -> anyhow::Result<Server> {
        let mut command = Command::new(&self.server);
        command
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", ADDRESS]);
        let server = Server::start(&command)?;
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if std::net::TcpStream::connect(ADDRESS).is_ok() {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the server did not start in a minute")
    }

    fn load(&self, secret: (&str, &str), arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new(&self.load);
        shell::output(command.env(secret.0, secret.1).args(arguments))
    }
}

/// What one measurement of a way in says: thousands of events a second, and megabytes of memory.
type Rate = (f64, Option<f64>);

fn ingest(programs: &Programs, scratch: &Path, rounds_count: usize) -> anyhow::Result<Value> {
    let about = format!(
        "{RUNS} runs of {EVENTS} events each, sent by 4 clients at once; SQLite's own import of the same lines"
    );
    println!("== ingest: {about}");
    let lines = scratch.join("lines");
    let counts = [RUNS.to_string(), EVENTS.to_string()];
    let made = shell::output(Command::new(&programs.load).args(["lines", &counts[0], &counts[1]]))?;
    fs::write(&lines, made)?;
    let rates = rounds(&["import", "server"], rounds_count, |_, way| {
        let folder = tempfile::tempdir_in(scratch)?;
        if *way == "import" {
            import(folder.path(), &lines)
        } else {
            take_in(programs, folder.path(), &counts)
        }
    })?;
    let [import, server] = rates.as_slice() else {
        bail!("not every way was measured");
    };
    let spread = |rates: &[Rate]| Spread::of(rates.iter().map(|rate| rate.0).collect());
    let (bulk, own) = (spread(import), spread(server));
    let (bulk, own) = bulk.zip(own).context("nothing was measured")?;
    let memory = Spread::of(server.iter().filter_map(|rate| rate.1).collect());
    let memory = memory.context("the server's memory was not measured")?;
    println!("               min      q1  median      q3     max");
    println!("import    {bulk} thousand events/s");
    println!(
        "server    {own} thousand events/s{}",
        INGEST.verdict(own.median)
    );
    println!("ratio of the medians {:8.3}", own.median / bulk.median);
    println!("own peak  {memory} MB{}", MEMORY.verdict(memory.median));
    Ok(json!({
        "name": "ingest", "about": about, "rounds": rounds_count,
        "import_thousand_events_s": bulk.to_json(), "server_thousand_events_s": own.to_json(),
        "ratio_of_medians": own.median / bulk.median, "own_peak_mb": memory.to_json(),
        "target_thousand_events_s": INGEST.to_json(), "target_peak_mb": MEMORY.to_json(),
    }))
}

/// The lines as rows of one table, by the database's own program, with the settings that make them durable.
fn import(folder: &Path, lines: &Path) -> anyhow::Result<Rate> {
    let script = format!(
        "PRAGMA journal_mode = WAL;\nPRAGMA synchronous = FULL;\nCREATE TABLE event (line TEXT NOT NULL);\n\
         .mode ascii\n.separator \"\\037\" \"\\n\"\n.import {} event\n",
        lines.display()
    );
    let file = folder.join("import.sql");
    fs::write(&file, script)?;
    let began = Instant::now();
    let said = fs::File::open(&file)?;
    let status = Command::new("sqlite3")
        .arg(folder.join("events.db"))
        .stdin(said)
        .stdout(Stdio::null())
        .status()
        .context("can't start sqlite3; `scripts/setup bench` installs it")?;
    ensure!(status.success(), "sqlite3 ended with {status}");
    Ok((thousands_a_second(began.elapsed().as_secs_f64()), None))
}

fn take_in(programs: &Programs, folder: &Path, counts: &[String; 2]) -> anyhow::Result<Rate> {
    let (sends, reads) = (
        programs.key(folder, "ingest")?,
        programs.key(folder, "read")?,
    );
    let server = programs.serve(folder)?;
    let address = format!("http://{ADDRESS}");
    let said = programs.load(
        ("RUNWARD_API_KEY", &sends),
        &["send", &address, &counts[0], &counts[1]],
    )?;
    let said: Value = serde_json::from_str(&said)?;
    let seconds = said["seconds"].as_f64().context("no time was measured")?;
    programs.load(
        ("RUNWARD_API_KEY", &reads),
        &["await", &address, &counts[0]],
    )?;
    Ok((thousands_a_second(seconds), Some(server.peak_mb()?)))
}

fn thousands_a_second(seconds: f64) -> f64 {
    f64::from(RUNS) * f64::from(EVENTS) / seconds / 1e3
}

fn pages(programs: &Programs, scratch: &Path) -> anyhow::Result<Value> {
    let about = "pages over 100,000 runs and 10 million observations of destinations, asked one after the other";
    println!("== pages: {about}");
    let folder = tempfile::tempdir_in(scratch)?;
    let data = folder.path();
    let sends = programs.key(data, "ingest")?;
    programs.person(data, PASSWORD)?;
    fill(data)?;
    let server = programs.serve(data)?;
    let address = format!("http://{ADDRESS}");
    let run = "0".repeat(32);
    programs.load(
        ("RUNWARD_API_KEY", &sends),
        &["send", &address, "1", "20000"],
    )?;
    let paths = paths(&run);
    let times = TIMES.to_string();
    let mut arguments = vec!["ask", &address, &times];
    arguments.extend(paths.iter().map(String::as_str));
    let said = programs.load(("RUNWARD_PASSWORD", PASSWORD), &arguments)?;
    let said: Value = serde_json::from_str(&said)?;
    println!(
        "{:>10}{:>10}{:>10}  of {TIMES} answers, ms",
        "p50", "p99", "max"
    );
    let mut results = Vec::new();
    for page in said.as_array().into_iter().flatten() {
        let path = page["path"]
            .as_str()
            .unwrap_or_default()
            .replace(&run, "RUN");
        let millis = page["milliseconds"].as_array().into_iter().flatten();
        let mut millis: Vec<f64> = millis.filter_map(Value::as_f64).collect();
        millis.sort_by(f64::total_cmp);
        let at = |part: usize| {
            millis
                .get((millis.len() * part / 100).min(millis.len() - 1))
                .copied()
        };
        let (p50, p99, max) = (at(50), at(99), at(100));
        let (p50, p99) = p50.zip(p99).context("nothing was measured")?;
        let max = max.unwrap_or(p99);
        println!(
            "{p50:10.2}{p99:10.2}{max:10.2}  {path}{}",
            PAGE.verdict(p99)
        );
        results.push(json!({ "path": path, "p50_ms": p50, "p99_ms": p99, "max_ms": max }));
    }
    println!("own peak {:.1} MB", server.peak_mb()?);
    Ok(json!({
        "name": "pages", "about": about, "times": TIMES, "target_p99_ms": PAGE.to_json(), "pages": results,
    }))
}

/// The pages that people work with daily, as their links and filters lead there.
fn paths(run: &str) -> Vec<String> {
    let mut paths: Vec<String> = [
        "",
        "/projects",
        "/runs",
        "/runs?project=7",
        "/runs?tag=blocked-call&within=7d",
        "/runs?q=feature-77",
        "/runs?q=nothing-has-this",
        "/destinations",
        "/destinations?q=host-19",
        "/destinations/3",
        "/destinations/15000",
        "/detections",
        "/detections?kind=source-code-overwritten&status=new",
        "/suppressions",
    ]
    .map(|path| format!("/o/main{path}"))
    .to_vec();
    for tab in [
        "",
        "/network",
        "/files",
        "/processes",
        "/detections",
        "/policy",
    ] {
        paths.push(format!("/o/main/runs/{run}{tab}"));
    }
    paths
}

fn fill(data: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    let script = data.join("fill.sql");
    fs::write(&script, FILL)?;
    let status = Command::new("sqlite3")
        .arg("-bail")
        .arg(data.join("runward.db"))
        .stdin(fs::File::open(&script)?)
        .stdout(Stdio::null())
        .status()
        .context("can't start sqlite3; `scripts/setup bench` installs it")?;
    ensure!(
        status.success(),
        "sqlite3 could not fill the database: {status}"
    );
    let bytes = fs::metadata(data.join("runward.db"))?.len();
    println!(
        "filled in {:.0} s, {:.1} GB",
        began.elapsed().as_secs_f64(),
        super::to_mb(bytes) / 1e3
    );
    Ok(())
}
