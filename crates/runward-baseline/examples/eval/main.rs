//! `make eval`: how often this crate's baseline and simpler rules cry wolf, and what they miss.
//!
//! Plays jobs whose endpoints are those of real allowlists over their real time (see `world.rs` for what is real and what
//! is assumed), once under each rule, with attacks put in. Writes `summary.json`, `table.md` and `calibration.svg` into the
//! folder that it is given.

#![expect(
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that talks to a person, on data of its own"
)]

mod assumptions;
mod attack;
mod build;
mod chance;
mod corpus;
mod cost;
mod found;
mod job;
mod measure;
mod methods;
mod names;
mod outcome;
mod picture;
mod player;
mod promise;
mod variants;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::found::Found;

/// Everything follows from this: the same corpus gives the same numbers.
const SEED: u64 = 1;

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [corpus, folder] = arguments.as_slice() else {
        eprintln!("give the folder of the corpus and the folder for the results; `make eval` does");
        return ExitCode::FAILURE;
    };
    match evaluate(corpus, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn evaluate(corpus: &Path, folder: &Path) -> Result<(), String> {
    let listed = corpus::read(corpus)?;
    let (found, others) = variants::play_all(&listed, SEED)?;
    let mut summary = outcome::summary(&found);
    summary["other_assumptions"] = others;
    // Alone on the machine, after everything else.
    summary["cost"] = cost::measure();
    let table = outcome::table(&found);
    let pretty = serde_json::to_string_pretty(&summary).map_err(|error| error.to_string())?;
    let picture = picture::calibration(&outcome::first(&found.promises));
    for (name, text) in [
        ("summary.json", &pretty),
        ("table.md", &table),
        ("calibration.svg", &picture),
    ] {
        let file = folder.join(name);
        std::fs::write(&file, text)
            .map_err(|error| format!("can't write {}: {error}", file.display()))?;
    }
    tell(&found, &summary, &table);
    Ok(())
}

fn tell(found: &Found, summary: &Value, table: &str) {
    println!(
        "{} jobs of {} repositories, {} runs; compared over the {} of the later half\n",
        found.jobs, found.repositories, found.all_runs, found.tallies[0].runs
    );
    println!("{table}");
    for part in [
        "times_fewer_alerts_than_exact",
        "where_ours_is_worse",
        "calibration",
        "states_at_the_end",
        "bytes_of_state",
        "figures_of_the_prior",
        "other_assumptions",
        "cost",
    ] {
        println!("{part}: {:#}", summary[part]);
    }
    println!("\nwhat Runward told of benign runs:");
    let mut reasons: Vec<_> = found.reasons.iter().collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (why, count) in reasons.iter().take(25) {
        println!("{count:5}  {why}");
    }
    println!("\nattacks that it did not tell of, up to ten:");
    for missed in found.missed.iter().take(10) {
        println!("  {missed}");
    }
}
