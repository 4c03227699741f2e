//! YAML as a policy reads it: what is wrong in the words of policies, and texts as lists of endpoints.

use runward_yaml::{Limits, Style, YamlError, YamlFault};

use crate::error::{PolicyError, Script, Stretch};
use crate::fault::Fault;
use crate::token::Lines;

pub(crate) use runward_yaml::{Node, Scalar, Value};

/// A policy has four levels: file, list, entry, values; and a few nodes for each endpoint that a source can have.
const LIMITS: Limits = Limits {
    depth: 8,
    nodes: 16 * crate::limits::RULES_OF_SOURCE,
};

/// Reads the one document of a file; nothing when there is none.
pub(crate) fn read(script: &Script<'_>) -> Result<Option<Node>, Vec<PolicyError>> {
    runward_yaml::read(script.text, LIMITS).map_err(|error| {
        let unquoted = unquoted(script);
        if unquoted.is_empty() {
            vec![explain(script, error)]
        } else {
            unquoted
        }
    })
}

fn explain(script: &Script<'_>, error: YamlError) -> PolicyError {
    let fault = match error.fault {
        YamlFault::Syntax(words) => Fault::Yaml(words),
        YamlFault::Feature(feature) => Fault::YamlFeature(feature),
        YamlFault::TooDeep => Fault::TooDeep,
        YamlFault::TooLarge => Fault::TooManyRules,
    };
    script.error(error.at, "", fault)
}

/// A text as a list of endpoints, and where it begins. As written in the file wherever that is the same, so that
/// comments end with their lines and places are exact, even where YAML folds lines together.
pub(crate) fn list<'a>(scalar: &'a Scalar, script: &Script<'a>, at: Stretch) -> (&'a str, Lines) {
    let written = script.text.get(scalar.raw.clone()).unwrap_or_default();
    let mut lines = Lines {
        line: at.line,
        column: at.column,
        folded: false,
    };
    if scalar.text.trim().is_empty() {
        // Its place is that of the `|` or `>` before it.
        return ("", lines);
    }
    match scalar.style {
        Style::Plain | Style::Block => (written, lines),
        Style::Quoted => {
            let inside = written
                .get(1..written.len().saturating_sub(1))
                .filter(|inside| *inside == scalar.text);
            lines.folded = true;
            lines.column = lines.column.saturating_add(u32::from(inside.is_some()));
            (inside.unwrap_or(&scalar.text), lines)
        }
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Entries of lists that begin with a character which means something else in YAML: patterns, groups, and IPv6
/// addresses in brackets have to stand in quotes. YAML's own words about them help nobody.
fn unquoted(script: &Script<'_>) -> Vec<PolicyError> {
    let entries = script.text.lines().zip(1..).filter_map(|(line, number)| {
        let entry = line.trim_start().strip_prefix("- ")?.trim_start();
        let word = entry.strip_prefix("endpoint: ").unwrap_or(entry);
        let word = word.split_whitespace().next()?;
        let is_address = word.starts_with('[') && word.matches(':').nth(1).is_some();
        if !(word.starts_with(['*', '@']) || is_address) {
            return None;
        }
        let before = line.find(word)?;
        let at = Stretch {
            line: number,
            column: self::number(line.get(..before)?.chars().count() + 1),
            length: word.chars().count(),
        };
        let mut error = script.error(at, word, Fault::Unquoted);
        error.suggestion = Some(format!("\"{word}\""));
        Some(error)
    });
    entries.take(crate::limits::ERRORS).collect()
}
