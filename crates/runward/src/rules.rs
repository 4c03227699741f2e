//! `--rules`: files of rules, and what is wrong with them.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use runward_report::text::visible;
use runward_rules::{RuleError, Rules, limits};

use crate::output;

/// Why there are no rules.
pub(crate) enum Failure {
    /// The file can't be read.
    Input(anyhow::Error),
    /// All that is wrong with it.
    Rules(Vec<RuleError>),
}

/// Reads a file of rules.
pub(crate) fn read(path: &Path) -> Result<Rules, Failure> {
    let text = text(path).map_err(Failure::Input)?;
    Rules::read(&text).map_err(Failure::Rules)
}

pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let about = || format!("cannot read the rules in {}", path.display());
    let mut text = String::new();
    // One byte more than is allowed, so that it is noticed.
    let most = u64::try_from(limits::FILE_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(most).read_to_string(&mut text))
        .with_context(about)?;
    Ok(text)
}

/// As [`read`] for a command that goes no further without: what is wrong is told here.
pub(crate) fn of_job(path: &Path) -> anyhow::Result<Rules> {
    match read(path) {
        Ok(rules) => Ok(rules),
        Err(Failure::Input(error)) => Err(error),
        Err(Failure::Rules(errors)) => {
            tell(path, &errors);
            bail!("the rules have errors, so nothing was started")
        }
    }
}

/// Tells what is wrong, a line each, as compilers do.
pub(crate) fn tell(path: &Path, errors: &[RuleError]) {
    for error in errors {
        let path = path.to_string_lossy();
        output::command(&format!("{}:{error}", visible(&path)));
    }
}
