//! What is left of the throughput of one TCP stream.

use anyhow::Context as _;
use serde_json::{Value, json};

use super::job::{Jobs, Mode};
use super::place::{BULK_PORT, Place, SINK, SINK_NAME};
use super::rounds::rounds;
use super::stats::Spread;
use super::target::Target;
use crate::shell;

pub(super) const NAME: &str = "bulk";

const TARGET: Target = Target::AtLeast(0.97);

/// Rounds of bare and block, each by address and by name; the ratio is that inside a round.
pub(super) fn run(jobs: &Jobs, place: &Place, rounds_count: usize) -> anyhow::Result<Value> {
    let about = "one TCP stream for 3 seconds over veth, measured by iperf3";
    println!("== {NAME}: {about}");
    let block = |host: &str| Mode::Block(format!("{host}:{BULK_PORT}"));
    let candidates = [
        (SINK, Mode::Bare),
        (SINK, block(SINK)),
        (SINK_NAME, Mode::Bare),
        (SINK_NAME, block(SINK_NAME)),
    ];
    let folder = std::env::temp_dir();
    let results = rounds(&candidates, rounds_count, |_, (host, mode)| {
        let port = BULK_PORT.to_string();
        let command = [
            "iperf3", "--json", "--time", "3", "--port", &port, "--client", host,
        ];
        let command = command.map(str::to_owned);
        let said = shell::output(&mut jobs.command(mode, Some(place), &folder, &command));
        jobs.clean();
        gigabits(&said?)
    })?;
    let [bare_by_address, by_address, bare_by_name, by_name] = results.as_slice() else {
        anyhow::bail!("not every candidate was measured");
    };
    println!("                   min      q1  median      q3     max");
    let mut document = json!({
        "name": NAME, "about": about, "rounds": rounds_count, "target_ratio": TARGET.to_json(),
    });
    for (way, bare, block) in [
        ("address", bare_by_address, by_address),
        ("name", bare_by_name, by_name),
    ] {
        let spread = |runs: Vec<f64>| Spread::of(runs).context("nothing was measured");
        let ratio = spread(
            bare.iter()
                .zip(block)
                .map(|(bare, run)| run / bare)
                .collect(),
        )?;
        let [bare, block] = [spread(bare.clone())?, spread(block.clone())?];
        println!("by {way:8}bare {bare} Gbit/s");
        println!("by {way:8}block{block} Gbit/s");
        println!("by {way:8}ratio{ratio}{}", TARGET.verdict(ratio.median));
        document[format!("by_{way}")] = json!({
            "bare_gbit_s": bare.to_json(),
            "block_gbit_s": block.to_json(),
            "ratio": ratio.to_json(),
        });
    }
    Ok(document)
}

/// What arrived, by the report of `iperf3 --json`.
fn gigabits(said: &str) -> anyhow::Result<f64> {
    let report: Value = serde_json::from_str(said).context("can't read what iperf3 said")?;
    let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
    let bits = bits.with_context(|| format!("iperf3 measured nothing: {}", report["error"]))?;
    Ok(bits / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrived_counts_and_an_error_is_told() {
        let said = r#"{"end":{"sum_sent":{"bits_per_second":9e9},"sum_received":{"bits_per_second":2.5e9}}}"#;
        assert!((gigabits(said).unwrap() - 2.5).abs() < 1e-9);
        let error = gigabits(r#"{"end":{},"error":"unable to connect"}"#).unwrap_err();
        assert!(error.to_string().contains("unable to connect"));
    }
}
