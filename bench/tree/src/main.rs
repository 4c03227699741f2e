//! Counts words; stands in for a program that somebody builds in a pipeline.

use std::collections::BTreeMap;

use clap::Parser;

/// Counts the words of a file.
#[derive(Parser)]
struct Cli {
    file: std::path::PathBuf,
}

#[derive(serde::Serialize)]
struct Counts {
    words: BTreeMap<String, usize>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is not a file")]
struct NotAFile(String);

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::stat(&cli.file)?.st_mode);
    if kind != rustix::fs::FileType::RegularFile {
        return Err(NotAFile(cli.file.display().to_string()).into());
    }
    let text = std::fs::read_to_string(&cli.file)?;
    let mut words = BTreeMap::new();
    for word in regex::Regex::new(r"\w+")?.find_iter(&text) {
        *words.entry(word.as_str().to_owned()).or_default() += 1;
    }
    println!("{}", serde_json::to_string_pretty(&Counts { words })?);
    Ok(())
}
