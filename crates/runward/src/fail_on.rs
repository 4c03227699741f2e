//! Lists of findings on the command line: `--fail-on` and `--lockdown`.

use anyhow::{Result, anyhow};
use runward_detect::{RuleAbout, Selection};
use runward_report::Detection;

/// Reads the list of an option: severities, detections, and these rules.
pub(crate) fn parse(option: &str, words: &[String], rules: &[RuleAbout]) -> Result<Selection> {
    let ours = runward_detect::ABOUTS.into_iter().map(|about| about.id);
    let known = ours.chain(rules.iter().map(|rule| rule.id.as_str()));
    Selection::parse(words, known).map_err(|error| anyhow!("{option} names {error}"))
}

/// The first finding that is in the list.
pub(crate) fn first<'a>(found: &'a [Detection], fail_on: &Selection) -> Option<&'a str> {
    let fails = |found: &&Detection| fail_on.covers(&found.detection, found.severity);
    let found = found.iter().find(fails)?;
    Some(&found.detection)
}
