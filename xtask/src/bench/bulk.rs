//! What is left of the throughput of one TCP stream.

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::job::{Jobs, Mode};
use super::place::{BULK_PORT, Place, SINK, SINK_NAME};
use super::rounds::rounds;
use super::stats::Spread;
use super::target::Target;
use crate::shell;

pub(super) const NAME: &str = "bulk";

const TARGET: Target = Target::AtLeast(0.97);

/// Runs in which the machine is measured for each one that is asked for: what other machines take from this one comes and
/// goes by the second, and only many short runs fall on all candidates alike.
const RUNS: usize = 2;

/// Rounds of bare and block, each by address and by name. A run is many measurements, of 0.1 s each, and the ratio is that of
/// their medians over all runs.
pub(super) fn run(jobs: &Jobs, place: &Place, rounds_count: usize) -> anyhow::Result<Value> {
    let about = "one TCP stream over veth, from one processor to another, measured by iperf3 in steps of 0.1 s";
    println!("== {NAME}: {about}");
    let block = |host: &str| Mode::Block(format!("{host}:{BULK_PORT}"));
    let candidates = [
        (SINK, Mode::Bare),
        (SINK, block(SINK)),
        (SINK_NAME, Mode::Bare),
        (SINK_NAME, block(SINK_NAME)),
    ];
    let folder = std::env::temp_dir();
    let results = rounds(&candidates, RUNS * rounds_count, |_, (host, mode)| {
        let port = BULK_PORT.to_string();
        let command = [
            "iperf3",
            "--json",
            "--time",
            "2",
            "--interval",
            "0.1",
            "--affinity",
            "0,1",
            "--port",
            &port,
            "--client",
            host,
        ];
        let command = command.map(str::to_owned);
        let said = shell::output(&mut jobs.command(mode, Some(place), &folder, &command));
        jobs.clean();
        gigabits(&said?)
    })?;
    let spreads: Vec<Spread> = results
        .into_iter()
        .filter_map(|runs| Spread::of(runs.concat()))
        .collect();
    let [bare_by_address, by_address, bare_by_name, by_name] = spreads.as_slice() else {
        anyhow::bail!("not every candidate was measured");
    };
    println!("                   min      q1  median      q3     max");
    let mut document = json!({
        "name": NAME, "about": about, "rounds": RUNS * rounds_count, "target_ratio": TARGET.to_json(),
    });
    for (way, bare, block) in [
        ("address", bare_by_address, by_address),
        ("name", bare_by_name, by_name),
    ] {
        let ratio = block.median / bare.median;
        println!("by {way:8}bare {bare} Gbit/s");
        println!("by {way:8}block{block} Gbit/s");
        println!(
            "by {way:8}ratio of the medians{ratio:8.3}{}",
            TARGET.verdict(ratio)
        );
        document[format!("by_{way}")] = json!({
            "bare_gbit_s": bare.to_json(),
            "block_gbit_s": block.to_json(),
            "ratio_of_medians": ratio,
        });
    }
    Ok(document)
}

/// What was sent in each step, by the report of `iperf3 --json`. The first one is not counted: the stream is still finding
/// its speed.
fn gigabits(said: &str) -> anyhow::Result<Vec<f64>> {
    let report: Value = serde_json::from_str(said).context("can't read what iperf3 said")?;
    let steps = report["intervals"].as_array().into_iter().flatten().skip(1);
    let bits: Vec<f64> = steps
        .filter_map(|step| Some(step["sum"]["bits_per_second"].as_f64()? / 1e9))
        .collect();
    ensure!(
        !bits.is_empty(),
        "iperf3 measured nothing: {}",
        report["error"]
    );
    Ok(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_count_but_for_the_first_and_an_error_is_told() {
        let step = |bits: &str| format!(r#"{{"sum":{{"bits_per_second":{bits}}}}}"#);
        let steps = ["1e9", "9e9", "2.5e9"].map(step).join(",");
        let said = format!(r#"{{"intervals":[{steps}]}}"#);
        assert_eq!(gigabits(&said).unwrap(), [9.0, 2.5]);
        let error = gigabits(r#"{"intervals":[],"error":"unable to connect"}"#).unwrap_err();
        assert!(error.to_string().contains("unable to connect"));
    }
}
