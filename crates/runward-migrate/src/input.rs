//! What becomes of one input of a step.

use std::sync::Arc;

use runward_policy::{Action, Endpoint, Host, NamePattern, Source, SourcePolicy, parse_endpoints};

use crate::edit::Lines;
use crate::list::{without_expressions, words};
use crate::remark::{Remarks, visible};
use crate::scalar::Value;

/// `egress-policy`: the same two words everywhere.
pub(crate) fn check_mode(value: Value<'_>, line: u32, remarks: &mut Remarks) {
    let word = value.word();
    if word.contains("${{") {
        return;
    }
    let source = Source::Flag("egress-policy".to_owned());
    if let Err(errors) = SourcePolicy::of_mode(word, source) {
        for error in errors {
            let meant = error
                .suggestion
                .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
            remarks.lost(
                line,
                format!("`{}` is {}{meant}", visible(word), error.fault),
            );
        }
    }
}

/// A list that stays as it stands: whether Runward reads it as Harden-Runner does.
pub(crate) fn check_list(
    value: Value<'_>,
    action: Action,
    lines: Lines<'_>,
    remarks: &mut Remarks,
) {
    let source = Arc::new(Source::Flag("allowed-endpoints".to_owned()));
    let known = without_expressions(value.word());
    let read = match parse_endpoints(&known, action, &source) {
        Ok(read) => read,
        Err(errors) => {
            for error in errors {
                let line = line_of(value, &error.place.text, lines);
                let meant = error.suggestion.map_or_else(String::new, |meant| {
                    format!("; did you mean `{}`?", visible(&meant))
                });
                remarks.lost(
                    line,
                    format!(
                        "`{}`: Runward does not start a job with this: {}{meant}",
                        visible(&error.place.text),
                        error.fault
                    ),
                );
            }
            // The rest can be judged word by word.
            for at in words(&known) {
                let word = known.get(at).unwrap_or_default();
                if let Ok(endpoint) = Endpoint::parse(word, action) {
                    check_host(&endpoint.host, word, action, value, lines, remarks);
                }
            }
            return;
        }
    };
    for rule in &read.rules {
        let word = &rule.origin.text;
        check_host(&rule.endpoint.host, word, action, value, lines, remarks);
    }
}

/// Stars mean other names in Harden-Runner.
fn check_host(
    host: &Host,
    word: &str,
    action: Action,
    value: Value<'_>,
    lines: Lines<'_>,
    remarks: &mut Remarks,
) {
    let line = || line_of(value, word, lines);
    match host {
        Host::Any if action == Action::Allow => remarks.lost(
            line(),
            format!(
                "`{}`: stands for every name, and in Runward for every address too",
                visible(word)
            ),
        ),
        Host::Pattern(pattern) if has_inner_star(pattern) => remarks.note(
            line(),
            format!(
                "`{}`: in Runward this `*` stands for characters of one label, in Harden-Runner for dots too",
                visible(word)
            ),
        ),
        _ => {}
    }
}

fn has_inner_star(pattern: &NamePattern) -> bool {
    let text = pattern.to_string();
    let plain = text.strip_prefix("*.").unwrap_or(&text);
    plain.contains('*')
}

/// The line in which a word of a list stands; that of the list where it is not found.
pub(crate) fn line_of(value: Value<'_>, word: &str, lines: Lines<'_>) -> u32 {
    let range = value.written_range();
    let found = lines.slice(range.clone()).find(word);
    match found {
        Some(at) if !word.is_empty() => lines.number(range.start + at),
        _ => value.part.at.line,
    }
}

/// A value that is exactly one expression, without its braces.
pub(crate) fn expression(word: &str) -> Option<&str> {
    let inside = word.strip_prefix("${{")?.strip_suffix("}}")?;
    (!inside.contains("${{") && !inside.contains("}}")).then(|| inside.trim())
}

/// What YAML of today takes for true or false, as GitHub's actions read it.
pub(crate) fn truth(word: &str) -> Option<bool> {
    match word {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}
