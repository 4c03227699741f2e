//! The resolver against dnsmasq, and against asking the upstream itself; all on this machine's loopback.

use std::fmt::Write as _;
use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::built::built;
use super::rounds::rounds;
use super::server::Server;
use super::stats::Spread;
use super::target::Target;
use crate::shell;

pub(super) const NAMES: [&str; 2] = ["resolver-throughput", "resolver-latency"];

/// Times dnsmasq's.
const THROUGHPUT: Target = Target::AtLeast(1.0);
/// Times that of the upstream asked directly.
const LATENCY: Target = Target::AtMost(1.2);

/// How long the upstream of the latency takes, in milliseconds.
const UPSTREAM_MS: &str = "5";
/// How many names are asked for in turn, so that both caches hold them all.
const NAMES_ASKED: u32 = 2000;
/// How many questions measure the latency in one round, each for a new name, and how many a second.
const QUESTIONS: u32 = 2500;
const RATE: &str = "500";

const UPSTREAM: (&str, u16) = ("127.77.0.1", 5301);
const DNSMASQ: (&str, u16) = ("127.77.0.2", 5302);
const RUNWARD: (&str, u16) = ("127.77.0.3", 5303);

/// Who is asked.
const ASKED: [(&str, (&str, u16)); 3] = [
    ("direct", UPSTREAM),
    ("dnsmasq", DNSMASQ),
    ("runward", RUNWARD),
];

pub(super) fn run(name: &str, scratch: &Path, rounds_count: usize) -> anyhow::Result<Value> {
    if name == "resolver-throughput" {
        throughput(scratch, rounds_count)
    } else {
        latency(scratch, rounds_count)
    }
}

/// Names that every cache holds, asked for as fast as answers come.
fn throughput(scratch: &Path, rounds_count: usize) -> anyhow::Result<Value> {
    let about = "questions a second for 2,000 cached names, 4 clients, 100 questions under way";
    println!("== resolver-throughput: {about}");
    let mut hosts = String::new();
    let mut questions = String::new();
    for number in 0..NAMES_ASKED {
        let [_, _, high, low] = number.to_be_bytes();
        writeln!(hosts, "192.0.{high}.{low} n{number}.example")?;
        writeln!(questions, "n{number}.example A")?;
    }
    let hosts_file = scratch.join("hosts");
    fs::write(&hosts_file, hosts)?;
    let file = scratch.join("questions");
    fs::write(&file, questions)?;
    let mut upstream = dnsmasq(UPSTREAM);
    upstream.arg("--local-ttl=3600");
    upstream.arg(format!("--addn-hosts={}", hosts_file.display()));
    let _servers = servers(&upstream)?;

    let results = rounds(&ASKED, rounds_count, |_, (_, address)| {
        let options = ["-l", "4", "-c", "4", "-q", "100"];
        let said = shell::output(dnsperf(*address, &file).args(options))?;
        number_behind(&said, "Queries per second:")
    })?;
    let [direct, dnsmasq, runward] = results.as_slice() else {
        bail!("not every server was measured");
    };
    let spread = |runs: Vec<f64>| Spread::of(runs).context("nothing was measured");
    let ratio = spread(runward.iter().zip(dnsmasq).map(|(r, d)| r / d).collect())?;
    println!("                  min      q1  median      q3     max");
    let mut document = json!({
        "name": "resolver-throughput", "about": about, "rounds": rounds_count,
        "ratio_to_dnsmasq": ratio.to_json(), "target_ratio_to_dnsmasq": THROUGHPUT.to_json(),
    });
    for ((name, _), runs) in ASKED.iter().zip([direct, dnsmasq, runward]) {
        let thousands = spread(runs.iter().map(|qps| qps / 1000.0).collect())?;
        println!("{name:14}{thousands} thousand/s");
        document[format!("{name}_thousand_per_second")] = thousands.to_json();
    }
    println!("to dnsmasq    {ratio}{}", THROUGHPUT.verdict(ratio.median));
    Ok(document)
}

/// New names at a steady pace: each question goes on to an upstream that takes its time.
fn latency(scratch: &Path, rounds_count: usize) -> anyhow::Result<Value> {
    let about = "time to an answer for names that nobody has, from an upstream that takes 5 ms";
    println!("== resolver-latency: {about}");
    let own = std::env::current_exe().context("can't find myself")?;
    let mut upstream = Command::new(own);
    let (address, port) = UPSTREAM;
    upstream.args(["load", "slow-dns", address, &port.to_string(), UPSTREAM_MS]);
    let _servers = servers(&upstream)?;

    let file = scratch.join("new-names");
    let results = rounds(&ASKED, rounds_count, |round, (name, address)| {
        let mut questions = String::new();
        for number in 0..QUESTIONS {
            writeln!(questions, "{name}-{round}-{number}.wild.example A")?;
        }
        fs::write(&file, questions)?;
        let options = ["-v", "-n", "1", "-c", "1", "-q", "50", "-Q", RATE];
        let said = shell::output(dnsperf(*address, &file).args(options))?;
        median_ms(&said)
    })?;
    let [direct, dnsmasq, runward] = results.as_slice() else {
        bail!("not every server was measured");
    };
    let spread = |runs: Vec<f64>| Spread::of(runs).context("nothing was measured");
    println!("                  min      q1  median      q3     max");
    let mut document = json!({
        "name": "resolver-latency", "about": about, "rounds": rounds_count,
        "target_ratio_to_direct": LATENCY.to_json(),
    });
    for ((name, _), runs) in ASKED.iter().zip([direct, dnsmasq, runward]) {
        let p50 = spread(runs.clone())?;
        println!("{name:10}p50 {p50} ms");
        document[format!("{name}_p50_ms")] = p50.to_json();
    }
    for (name, runs) in [("dnsmasq", dnsmasq), ("runward", runward)] {
        let ratio = spread(runs.iter().zip(direct).map(|(run, d)| run / d).collect())?;
        let verdict = match name {
            "runward" => LATENCY.verdict(ratio.median),
            _ => String::new(),
        };
        println!("{name:8}ratio {ratio}{verdict}");
        document[format!("{name}_ratio_to_direct")] = ratio.to_json();
    }
    Ok(document)
}

/// The upstream, and the two that ask it.
fn servers(upstream: &Command) -> anyhow::Result<[Server; 3]> {
    let (address, port) = UPSTREAM;
    let mut forwarder = dnsmasq(DNSMASQ);
    forwarder.arg(format!("--server={address}#{port}"));
    let mut resolver = Command::new(resolver()?);
    for (address, port) in [RUNWARD, UPSTREAM] {
        resolver.arg(format!("{address}:{port}"));
    }
    let servers = [
        Server::start(upstream)?,
        Server::start(&forwarder)?,
        Server::start(&resolver)?,
    ];
    for (name, address) in ASKED {
        await_answer(address)
            .with_context(|| format!("{name} does not answer on {}:{}", address.0, address.1))?;
    }
    Ok(servers)
}

/// dnsmasq with nothing of the machine's configuration.
fn dnsmasq((address, port): (&str, u16)) -> Command {
    let mut command = Command::new(shell::find_program("dnsmasq").unwrap_or("dnsmasq".into()));
    command.args([
        "--keep-in-foreground",
        "--user=root",
        "--group=root",
        "--conf-file=/dev/null",
    ]);
    command.args([
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
        "--pid-file=",
    ]);
    command.args(["--cache-size=10000", "--dns-forward-max=1000"]);
    command.arg(format!("--listen-address={address}"));
    command.arg(format!("--port={port}"));
    command
}

fn dnsperf((address, port): (&str, u16), questions: &Path) -> Command {
    let mut command = Command::new("dnsperf");
    command.args(["-T", "1", "-s", address, "-p", &port.to_string(), "-d"]);
    command.arg(questions);
    command
}

/// Builds the resolver's example, which serves every name to everybody, and says where it is.
fn resolver() -> anyhow::Result<PathBuf> {
    built("runward-resolver", &["--example", "serve"])
}

/// Asks for the root's name servers until anything comes back.
fn await_answer(address: (&str, u16)) -> anyhow::Result<()> {
    const QUESTION: [u8; 17] = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        // A port that nobody has opened yet refuses at once.
        if socket.send(&QUESTION).is_ok() && socket.recv(&mut [0; 512]).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("no answer in 10 seconds")
}

/// The number behind a label in what dnsperf prints at its end.
fn number_behind(said: &str, label: &str) -> anyhow::Result<f64> {
    let line = said
        .lines()
        .find_map(|line| line.trim().strip_prefix(label));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("dnsperf did not say `{label}`: {said}"))
}

/// The median of the times that `dnsperf -v` prints, one answer a line. An error when many questions had none.
fn median_ms(said: &str) -> anyhow::Result<f64> {
    let answers = said.lines().filter(|line| line.starts_with("> "));
    let seconds = answers.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    let millis: Vec<f64> = seconds.map(|seconds| seconds * 1000.0).collect();
    ensure!(
        millis.len() * 100 >= usize::try_from(QUESTIONS)? * 99,
        "only {} of {QUESTIONS} questions were answered",
        millis.len()
    );
    Ok(Spread::of(millis).context("nothing was answered")?.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnsperf_says_is_understood() {
        let said = "  Queries completed:    20 (100.00%)\n  Queries per second:   51234.500000\n";
        let qps = number_behind(said, "Queries per second:").unwrap();
        assert!((qps - 51234.5).abs() < 1e-9);
        assert!(number_behind("", "Queries per second:").is_err());
        let answers = "> NOERROR a.example A 0.004000\n".repeat(QUESTIONS as usize);
        assert!((median_ms(&answers).unwrap() - 4.0).abs() < 1e-9);
        let error = median_ms("> NOERROR a.example A 0.004\n").unwrap_err();
        assert!(error.to_string().starts_with("only 1 of"));
    }
}
