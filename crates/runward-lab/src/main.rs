//! `runward-lab replay [NAME…]`: re-enacts incidents under a `runward` and prints what was seen of each.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program for tests: what it prints is what it is for"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use runward_lab::replay::{REPLAYS, Replay, Replayed, Spread, table};

const USAGE: &str = "usage: runward-lab replay [--runward PATH] [--json FILE] [--rounds N] [NAME…]";

fn main() -> ExitCode {
    match asked(std::env::args().skip(1)) {
        Ok(asked) => play(&asked),
        Err(error) => {
            eprintln!("runward-lab: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

struct Asked {
    runward: PathBuf,
    json: Option<PathBuf>,
    rounds: u32,
    replays: Vec<Replay>,
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    if arguments.next().as_deref() != Some("replay") {
        return Err("there is one command: replay".to_owned());
    }
    let mut asked = Asked {
        runward: PathBuf::from("runward"),
        json: None,
        rounds: 1,
        replays: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or(format!("{argument} lacks its value"))
        };
        match argument.as_str() {
            "--runward" => asked.runward = program(value()?)?,
            "--rounds" => {
                let rounds = value()?;
                asked.rounds = rounds
                    .parse()
                    .map_err(|_| format!("--rounds wants a number, not `{rounds}`"))?;
            }
            "--json" => asked.json = Some(PathBuf::from(value()?)),
            name => {
                let known = REPLAYS.iter().find(|replay| replay.name == name);
                let names = REPLAYS.map(|replay| replay.name).join(", ");
                asked
                    .replays
                    .push(*known.ok_or(format!("no incident `{name}`; there are: {names}"))?);
            }
        }
    }
    if asked.replays.is_empty() {
        asked.replays = REPLAYS.to_vec();
    }
    Ok(asked)
}

/// The program by a path that still leads to it from the folder of a job; a bare name is looked up in `PATH`.
fn program(path: String) -> Result<PathBuf, String> {
    if !path.contains('/') {
        return Ok(PathBuf::from(path));
    }
    std::fs::canonicalize(&path).map_err(|error| format!("cannot run {path}: {error}"))
}

fn play(asked: &Asked) -> ExitCode {
    let mut rounds = Vec::new();
    let mut broken = false;
    for round in 0..asked.rounds.max(1) {
        let mut rows = Vec::new();
        for replay in &asked.replays {
            if let Some(reason) = replay.lacks() {
                if round == 0 {
                    eprintln!("SKIPPED {}: {reason}", replay.name);
                }
                continue;
            }
            match replay.play(&asked.runward) {
                Ok(row) => rows.push(row),
                Err(error) => {
                    broken = true;
                    eprintln!("{}: {error}", replay.name);
                }
            }
        }
        print!("{}", table(&rows));
        for row in rows.iter().filter(|row| !row.is_right()) {
            broken = true;
            println!("{}: found\n  {}", row.name, row.found.join("\n  "));
        }
        rounds.push(rows);
    }
    let of = |name: &str, measured: fn(&Replayed) -> Option<f64>| {
        let measured = rounds.iter().flatten().filter_map(measured).collect();
        if let Some(spread) = Spread::of(measured) {
            println!("{name}: {spread}");
        }
    };
    of("told after", |row| row.detect_ms);
    of("stopped after", |row| row.stop_ms);
    if let Some(path) = &asked.json {
        // The last round's, in which nothing is new to the machine.
        let text = serde_json::to_string_pretty(&rounds.last()).unwrap_or_default();
        if let Err(error) = std::fs::write(path, text + "\n") {
            eprintln!("runward-lab: cannot write {}: {error}", path.display());
            broken = true;
        }
    }
    ExitCode::from(u8::from(broken))
}
