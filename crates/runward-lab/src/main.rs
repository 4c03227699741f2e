//! `runward-lab replay [NAME…]`: re-enacts incidents under a `runward` and prints what was seen of each.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program for tests: what it prints is what it is for"
)]

use std::path::PathBuf;
use std::process::ExitCode;

use runward_lab::replay::{REPLAYS, Replay, table};

const USAGE: &str = "usage: runward-lab replay [--runward PATH] [--json FILE] [NAME…]";

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
    replays: Vec<Replay>,
}

fn asked(mut arguments: impl Iterator<Item = String>) -> Result<Asked, String> {
    if arguments.next().as_deref() != Some("replay") {
        return Err("there is one command: replay".to_owned());
    }
    let mut asked = Asked {
        runward: PathBuf::from("runward"),
        json: None,
        replays: Vec::new(),
    };
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or(format!("{argument} lacks its value"))
        };
        match argument.as_str() {
            "--runward" => asked.runward = PathBuf::from(value()?),
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

fn play(asked: &Asked) -> ExitCode {
    let mut rows = Vec::new();
    let mut broken = false;
    for replay in &asked.replays {
        if let Some(reason) = replay.lacks() {
            eprintln!("SKIPPED {}: {reason}", replay.name);
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
    if let Some(path) = &asked.json {
        let text = serde_json::to_string_pretty(&rows).unwrap_or_default();
        if let Err(error) = std::fs::write(path, text + "\n") {
            eprintln!("runward-lab: cannot write {}: {error}", path.display());
            broken = true;
        }
    }
    ExitCode::from(u8::from(broken))
}
