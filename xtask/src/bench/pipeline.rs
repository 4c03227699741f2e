//! What looking at events costs: tree, every detection and the report, on one processor.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::built::built;
use super::rounds::rounds;
use super::stats::Spread;
use super::target::Target;
use crate::shell;

pub(super) const NAME: &str = "pipeline";

/// Million events a second of processor time, where a job is watched.
const LIVE: Target = Target::AtLeast(0.5);
/// Megabytes at the peak of a record of a million processes, against those of a quarter of them.
const GROWTH: Target = Target::AtMost(1.1);

/// Files that are compiled in the record of a build; each is some fifteen events.
const UNITS: &str = "12000";
const PROCESSES: [(&str, &str); 2] = [("a quarter", "250000"), ("a million", "1000000")];

/// What is measured: from the lines of a record to its report, as the control plane and `runward report` do it; and from
/// events to the report and to lines, as the agent does it while a job runs.
const WAYS: [&str; 2] = ["decode", "live"];

pub(super) fn run(scratch: &Path, rounds_count: usize) -> anyhow::Result<Value> {
    let about =
        "million events of a build a second, on one processor: tree, all detections, report";
    println!("== {NAME}: {about}");
    let program = built("runward-report", &["--example", "pipeline"])?;
    let record = scratch.join("build.jsonl");
    fs::write(
        &record,
        shell::output(Command::new(&program).args(["write", UNITS]))?,
    )?;

    let measured = rounds(&WAYS, rounds_count, |_, way| {
        let said = said(Command::new(&program).arg(way).arg(&record))?;
        Ok(said.number("events")? / said.number("cpu_seconds")? / 1e6)
    })?;
    let [decode, live] = measured.as_slice() else {
        bail!("not every way was measured");
    };
    let spread = |runs: &[f64]| Spread::of(runs.to_vec()).context("nothing was measured");
    let (decode, live) = (spread(decode)?, spread(live)?);
    println!("                  min      q1  median      q3     max");
    println!("from lines    {decode} M/s");
    println!("live          {live} M/s{}", LIVE.verdict(live.median));

    let mut peaks = Vec::new();
    for (name, count) in PROCESSES {
        let said = said(Command::new(&program).args(["processes", count]))?;
        let peak = said.number("peak_kb")? / 1e3;
        println!("own peak with {name} of processes: {peak:.0} MB");
        peaks.push(peak);
    }
    let [few, many] = peaks.as_slice() else {
        bail!("not every record was measured");
    };
    let growth = many / few;
    println!("growth        {growth:.3}{}", GROWTH.verdict(growth));
    Ok(json!({
        "name": NAME, "about": about, "rounds": rounds_count,
        "decode_million_per_second": decode.to_json(),
        "live_million_per_second": live.to_json(), "target_live": LIVE.to_json(),
        "peak_mb": many, "growth": growth, "target_growth": GROWTH.to_json(),
    }))
}

/// What the program printed.
struct Said(Value);

fn said(command: &mut Command) -> anyhow::Result<Said> {
    let text = shell::output(command)?;
    Ok(Said(serde_json::from_str(&text).with_context(|| {
        format!("{command:?} did not print JSON: {text}")
    })?))
}

impl Said {
    fn number(&self, name: &str) -> anyhow::Result<f64> {
        let number = self.0.get(name).and_then(Value::as_f64);
        number.with_context(|| format!("no `{name}` in {}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_program_prints_is_understood() {
        let said = Said(json!({"events": 3, "cpu_seconds": 0.5, "peak_kb": null}));
        assert!(
            (said.number("events").unwrap() / said.number("cpu_seconds").unwrap() - 6.0).abs()
                < 1e-9
        );
        assert!(said.number("peak_kb").is_err());
    }
}
