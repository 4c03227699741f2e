//! How often the baseline and simpler rules cry wolf, and what they miss: builds the example of `runward-baseline` that
//! plays it, and gives it real histories.

use std::path::PathBuf;
use std::process::Command;

use anyhow::ensure;
use clap::Args;

use crate::bench::built;
use crate::shell;

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The folder with `versions.jsonl`; the variable CORPUS, or the collection beside the workspace, unless given
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let given = options
        .corpus
        .clone()
        .or_else(|| std::env::var_os("CORPUS").map(PathBuf::from));
    let beside = || shell::workspace().join("../shared/corpus");
    let corpus = given.unwrap_or_else(beside);
    ensure!(
        corpus.join("versions.jsonl").is_file(),
        "{} has no versions.jsonl. The histories of real allowlists are not part of the repository: set CORPUS to a \
         folder that has them, one JSON object a line with repo, path, key, valid_from, valid_to and endpoints",
        corpus.display()
    );
    let program = built("runward-baseline", &["--example", "eval"])?;
    let results = shell::target_dir().join("eval");
    std::fs::create_dir_all(&results)?;
    shell::run(Command::new(program).arg(corpus).arg(&results))?;
    println!("written to {}", results.display());
    Ok(())
}
