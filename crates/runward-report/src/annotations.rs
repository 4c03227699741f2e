use std::fmt::Write as _;

use runward_detect::Severity;
use runward_event::Provider;

use crate::model::{Detection, Report};
use crate::verdict;

/// The findings as lines that a CI system shows beside the job; none where it has no such lines.
///
/// They are commands to the runner, so what a job can influence is escaped as the runner undoes it, and no line ends
/// early.
pub fn annotations(report: &Report) -> Vec<String> {
    type Line = fn(&Detection) -> String;
    let (line, end): (Line, fn(&str) -> String) = match report.job.provider {
        Provider::Github | Provider::Gitea => (github, github_end),
        Provider::Azure => (azure, azure_end),
        _ => return Vec::new(),
    };
    let findings = verdict::findings(report)
        .chain(verdict::refusals(report))
        .map(line);
    let end = verdict::lockdown(report).map(|sentence| end(&sentence));
    end.into_iter().chain(findings).take(LINES).collect()
}

/// GitHub shows ten errors and ten warnings of a step.
const LINES: usize = 10;

/// `::error title=…,file=…::…`: actions/toolkit, packages/core/src/command.ts.
fn github(detection: &Detection) -> String {
    let level = match detection.severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "notice",
    };
    let mut line = format!("::{level} title=Runward {}", detection.detection);
    if let Some(path) = detection
        .path
        .as_deref()
        .filter(|path| !path.starts_with('/'))
    {
        // Writing to a string can't fail.
        let _ = write!(line, ",file={}", escape(path, &[':', ',']));
    }
    let _ = write!(line, "::{}", escape(&detection.message, &[]));
    line
}

fn github_end(sentence: &str) -> String {
    format!("::error title=Runward lockdown::{}", escape(sentence, &[]))
}

fn azure_end(sentence: &str) -> String {
    let message = escape(sentence, &[]);
    format!("##vso[task.logissue type=error]Runward lockdown: {message}")
}

/// `##vso[task.logissue type=…]…`: Azure Pipelines, "Logging commands".
fn azure(detection: &Detection) -> String {
    let level = match detection.severity {
        Severity::High => "error",
        _ => "warning",
    };
    let message = format!("Runward {}: {}", detection.detection, detection.message);
    format!("##vso[task.logissue type={level}]{}", escape(&message, &[]))
}

/// With `%`, line ends and `special` in percent, as both runners take them.
fn escape(text: &str, special: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '\r' | '\n') || special.contains(&c) {
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_line_early() {
        assert_eq!(escape("a%b\r\nc:,", &[':', ',']), "a%25b%0D%0Ac%3A%2C");
        assert_eq!(escape("a:,", &[]), "a:,");
    }
}
