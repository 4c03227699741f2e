//! What Runward adds to `connect()`.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::job::{Jobs, Mode};
use super::place::{CONNECT_PORT, Place, SINK};
use super::rounds::rounds;
use super::stats::Spread;
use super::target::Target;
use crate::shell;

pub(super) const NAMES: [&str; 2] = ["connect-udp", "connect-tcp"];

/// Microseconds added to the median connect and to the slowest of a hundred.
const TARGET_P50: Target = Target::AtMost(5.0);
const TARGET_P99: Target = Target::AtMost(50.0);

/// What one run of the load says, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Latency {
    p50: f64,
    p99: f64,
}

/// Rounds of bare, audit and block; what is added is the difference inside a round.
pub(super) fn run(
    name: &str,
    jobs: &Jobs,
    place: &Place,
    rounds_count: usize,
) -> anyhow::Result<Value> {
    let own = std::env::current_exe().context("can't find myself")?;
    let own = own.to_string_lossy();
    let port = CONNECT_PORT.to_string();
    let (count, allowed, about) = match name {
        "connect-udp" => (
            "20000",
            format!("{SINK}:{CONNECT_PORT}/udp"),
            "20,000 times connect() of a new UDP socket, which sends nothing",
        ),
        _ => (
            "3000",
            format!("{SINK}:{CONNECT_PORT}"),
            "3,000 TCP connections over veth",
        ),
    };
    println!("== {name}: {about}");
    let command = [&*own, "load", name, SINK, &port, count].map(str::to_owned);
    let modes = [Mode::Bare, Mode::Audit, Mode::Block(allowed)];
    let folder = std::env::temp_dir();
    let results = rounds(&modes, rounds_count, |_, mode| {
        let mut command = jobs.command(mode, Some(place), &folder, &command);
        let said = shell::output(&mut command);
        jobs.clean();
        latency(&said?)
    })?;
    let [bare, audit, block] = results.as_slice() else {
        anyhow::bail!("not every mode was measured");
    };
    println!("                  min      q1  median      q3     max");
    let mut document = json!({ "name": name, "about": about, "rounds": rounds_count });
    for (mode, runs) in modes.iter().zip(&results) {
        for (what, of) in percentiles() {
            let spread =
                Spread::of(runs.iter().map(of).collect()).context("nothing was measured")?;
            println!("{:6}{what}     {spread} µs", mode.name());
            document[format!("{}_{what}_us", mode.name())] = spread.to_json();
        }
    }
    for (mode, runs) in [("audit", audit), ("block", block)] {
        for ((what, of), target) in percentiles().into_iter().zip([TARGET_P50, TARGET_P99]) {
            let added = bare.iter().zip(runs).map(|(bare, run)| of(run) - of(bare));
            let added = Spread::of(added.collect()).context("nothing was measured")?;
            let verdict = target.verdict(added.median);
            println!("{mode:6}added {what}{added} µs{verdict}");
            document[format!("{mode}_added_{what}_us")] = added.to_json();
            document[format!("target_added_{what}_us")] = target.to_json();
        }
    }
    Ok(document)
}

type Part = fn(&Latency) -> f64;

fn percentiles() -> [(&'static str, Part); 2] {
    [("p50", |one| one.p50), ("p99", |one| one.p99)]
}

/// Reads the last line that the load printed.
fn latency(said: &str) -> anyhow::Result<Latency> {
    let line = said.lines().last().context("the load said nothing")?;
    let numbers: Value = serde_json::from_str(line).context("can't read what the load said")?;
    let micros = |field: &str| {
        let nanos = numbers[field].as_f64();
        nanos.map(|nanos| nanos / 1000.0)
    };
    Ok(Latency {
        p50: micros("p50_ns").context("no p50")?,
        p99: micros("p99_ns").context("no p99")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_counts() {
        let said = "warming up\n{\"count\":2,\"p50_ns\":1500,\"p99_ns\":20000}\n";
        let expected = Latency {
            p50: 1.5,
            p99: 20.0,
        };
        assert_eq!(latency(said).unwrap(), expected);
        assert!(latency("").is_err() && latency("{}").is_err());
    }
}
