//! What is found in a stream, and what is not. Nothing here is a secret, and what looks like one is put together when a
//! test runs, so that no scanner of this repository takes it for one.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod benign;
mod cuts;
mod encodings;
mod forms;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use runward_secrets::{Finder, Found, Stream, Variable};

/// The value of a variable, which no rule knows.
fn value() -> String {
    ["not", "A", "secret", "7Q2x"].join("-")
}

/// What looks like a token of GitLab's.
fn token() -> String {
    format!("{}-{}", "glpat", "xZ8_kQ2-wE5rT9yU1iO4")
}

fn finder() -> Finder {
    let variable = Variable {
        name: "DEPLOY_TOKEN".to_owned(),
        value: value().into_bytes(),
    };
    Finder::new([7; 32], vec![variable], true)
}

fn found_in(text: impl AsRef<[u8]>) -> Vec<Found> {
    found_by(&finder(), text)
}

fn found_by(finder: &Finder, text: impl AsRef<[u8]>) -> Vec<Found> {
    let mut found = Vec::new();
    let mut stream = Stream::default();
    stream.feed(finder, text.as_ref(), &mut |one| found.push(one));
    stream.finish(finder, &mut |one| found.push(one));
    found
}

fn base64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

/// As the program `base64` prints it.
fn wrapped(text: impl AsRef<[u8]>, width: usize) -> String {
    let text = base64(text);
    let lines = text.as_bytes().chunks(width);
    lines
        .map(|line| String::from_utf8(line.to_vec()).unwrap() + "\n")
        .collect()
}
