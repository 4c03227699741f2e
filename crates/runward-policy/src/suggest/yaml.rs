//! A suggested policy as a file, with the evidence for each line in a comment.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::text::visible;

use super::{SuggestedLine, SuggestedPolicy};

/// The most names of programs, dependencies or hosts that one comment has.
const NAMED: usize = 3;

impl SuggestedPolicy {
    /// The policy as a file that [`crate::parse_file`] reads.
    ///
    /// Everything that a job can influence stands in a comment, on one line, with acting characters escaped, or is a
    /// canonical name.
    pub fn to_yaml(&self) -> String {
        let mut text = String::new();
        let runs = counted(self.runs, "recorded run");
        // Writing to a string can't fail.
        let _ = writeln!(
            text,
            "# Suggested by `runward policy suggest` from {runs}. Read it before you use it."
        );
        text.push_str("egress-policy: block\n");
        if self.lines.is_empty() {
            text.push_str("allowed-endpoints: []\n");
        } else {
            text.push_str("allowed-endpoints:\n");
        }
        let width = self
            .lines
            .iter()
            .map(|line| quoted(line).len())
            .max()
            .unwrap_or(0)
            .min(60);
        for line in &self.lines {
            let _ = writeln!(
                text,
                "  - {:width$}  # {}",
                quoted(line),
                comment(line, self.runs)
            );
        }
        if !self.blocked.is_empty() {
            text.push_str("# Blocked in the recorded runs, and left out:\n");
        }
        for line in &self.blocked {
            let _ = writeln!(
                text,
                "#  - {:width$}  # {}",
                quoted(line),
                comment(line, self.runs)
            );
        }
        if self.omitted > 0 {
            let _ = writeln!(
                text,
                "# {} more destinations were too many to look at.",
                self.omitted
            );
        }
        text
    }
}

/// The endpoint as a scalar of YAML, in quotes where YAML would take it for something else.
fn quoted(line: &SuggestedLine) -> String {
    let text = line.endpoint.to_string();
    if text.starts_with(['*', '[']) {
        format!("\"{text}\"")
    } else {
        text
    }
}

fn comment(line: &SuggestedLine, runs: usize) -> String {
    let mut comment = match few(&base_names(&line.executables)) {
        Some(names) => names,
        None => "unknown program".to_owned(),
    };
    if let Some(dependencies) = few(&line.dependencies) {
        let _ = write!(comment, " for {dependencies}");
    }
    let connections = usize::try_from(line.connections).unwrap_or(usize::MAX);
    let _ = write!(comment, ": {}", counted(connections, "connection"));
    if runs > 1 {
        let _ = write!(comment, " in {} of {runs} runs", line.runs);
    }
    if !line.names.is_empty() {
        let names: BTreeSet<String> = line.names.iter().cloned().collect();
        let _ = write!(comment, "; seen as {}", few(&names).unwrap_or_default());
    }
    if line.rotates {
        comment.push_str("; one of several names that rotate, where strangers have names too");
    }
    comment
}

fn base_names(paths: &BTreeSet<String>) -> BTreeSet<String> {
    paths
        .iter()
        .map(|path| path.rsplit('/').next().unwrap_or(path).to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// `a, b, c +2`.
fn few(values: &BTreeSet<String>) -> Option<String> {
    let named: Vec<String> = values
        .iter()
        .take(NAMED)
        .map(|value| visible(value))
        .collect();
    if named.is_empty() {
        return None;
    }
    let more = match values.len() - named.len() {
        0 => String::new(),
        more => format!(" +{more}"),
    };
    Some(format!("{}{more}", named.join(", ")))
}

fn counted(count: usize, one: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    }
}
