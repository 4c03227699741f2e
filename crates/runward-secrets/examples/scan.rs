//! Searches files as an output would be searched, and says how fast that went: `scan FILE...`

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::time::Instant;

use runward_secrets::{Finder, Found, Stream};

/// What the relay reads at once.
const READ: usize = 64 << 10;

fn main() -> std::io::Result<()> {
    let begun = Instant::now();
    let finder = Finder::new([0; 32], Vec::new(), true);
    let ready = begun.elapsed().as_secs_f64() * 1e3;
    println!("ready after {ready:.1} ms");
    for path in std::env::args_os().skip(1) {
        let text = std::fs::read(&path)?;
        let begun = Instant::now();
        let mut stream = Stream::default();
        let mut sink = |found: Found| println!("line {}: {}", found.line, found.rule);
        for piece in text.chunks(READ) {
            stream.feed(&finder, piece, &mut sink);
        }
        stream.finish(&finder, &mut sink);
        let seconds = begun.elapsed().as_secs_f64();
        let megabytes = text.len() as f64 / 1e6;
        println!(
            "{}: {megabytes:.1} MB, {:.0} MB/s",
            path.display(),
            megabytes / seconds
        );
    }
    Ok(())
}
