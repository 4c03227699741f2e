//! `--fail-on`: findings that make a run fail.

use anyhow::{Result, bail};
use runward_detect::{RuleAbout, Severity};
use runward_report::Detection;

/// Whether everything in the list means something, with these rules.
pub(crate) fn check(wanted: &[String], rules: &[RuleAbout]) -> Result<()> {
    let ours = runward_detect::ABOUTS.iter().map(|about| about.id);
    let known: Vec<&str> = ours
        .chain(rules.iter().map(|rule| rule.id.as_str()))
        .collect();
    for id in wanted {
        if least(id).is_none() && !known.contains(&id.as_str()) {
            bail!(
                "--fail-on names `{id}`, which is neither a severity nor a detection nor a rule; there are: any, low, \
                 medium, high, {}",
                known.join(", ")
            );
        }
    }
    Ok(())
}

/// The first finding that is in the list.
pub(crate) fn first<'a>(found: &'a [Detection], fail_on: &[String]) -> Option<&'a str> {
    let fails = |found: &&Detection| {
        fail_on.iter().any(|wanted| match least(wanted) {
            Some(least) => found.severity >= least,
            None => *wanted == found.detection,
        })
    };
    let found = found.iter().find(fails)?;
    Some(&found.detection)
}

/// The least severity that a word of the list means, if it means one.
fn least(word: &str) -> Option<Severity> {
    match word {
        "any" | "low" => Some(Severity::Low),
        "medium" => Some(Severity::Medium),
        "high" => Some(Severity::High),
        _ => None,
    }
}
