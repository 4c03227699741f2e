//! Named policies as people and programs send them: read within bounds, with their faults as data. Pure.

use std::borrow::Cow;
use std::ops::Range;

use runward_api as api;
use runward_event::Mode;
use runward_policy::{Matcher, PolicyError, PolicyWarning, Source, Spot, combine, parse_file};
use runward_report::text::{clipped, visible};
use runward_store::{PolicyScope, ProjectId};

/// Bytes of a policy's text. A list of thousands of names fits.
pub(crate) const TEXT_MAX: usize = 64 << 10;
/// Its lines: two texts are compared line by line, which takes the product of what differs.
const LINES_MAX: usize = 4000;
/// Characters of a policy's name.
pub(crate) const NAME_MAX: usize = 100;
/// Characters of what is said about a change.
pub(crate) const NOTE_MAX: usize = 500;
/// Bytes of a pipeline's or job's name, as the store keeps them.
const WORD_MAX: usize = 1024;

/// Characters of a line that are shown before what is wrong with it.
const EXCERPT: usize = 60;

/// A text that is a policy.
pub(crate) struct ReadPolicy {
    /// With one kind of line ends.
    pub(crate) text: String,
    pub(crate) mode: Mode,
    pub(crate) matcher: Matcher,
    /// What is odd about it.
    pub(crate) doubts: Vec<PolicyFault>,
}

/// What is wrong or odd at one place of a text. Its texts are as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyFault {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) text: String,
    pub(crate) message: String,
    pub(crate) suggestion: Option<String>,
    /// The line, or the part of a long one around this place.
    pub(crate) excerpt: String,
    /// What of the excerpt is meant, in characters.
    pub(crate) marked: Range<usize>,
}

/// Reads a policy file.
pub(crate) fn read(text: &str) -> Result<ReadPolicy, Vec<PolicyFault>> {
    let text = plain_lines(text);
    if text.trim().is_empty() {
        return Err(whole("the text is empty: a policy says at least its mode"));
    }
    if text.len() > TEXT_MAX {
        return Err(whole("the text is too long: a policy has at most 64 KiB"));
    }
    if text.lines().count() > LINES_MAX {
        return Err(whole("the text has more than 4,000 lines"));
    }
    if let Some(fault) = unseen(&text) {
        return Err(vec![fault]);
    }
    let told = |errors: Vec<PolicyError>| {
        errors
            .into_iter()
            .map(PolicyFault::of_error)
            .collect::<Vec<_>>()
    };
    let source = parse_file(&text, Source::File("policy".to_owned())).map_err(told)?;
    let mode = source.mode.as_ref().map_or(Mode::Audit, |(mode, _)| *mode);
    let doubts = source.warnings.iter().cloned();
    let doubts = doubts.map(PolicyFault::of_warning).collect();
    let matcher = Matcher::new(combine(vec![source]).map_err(told)?);
    Ok(ReadPolicy {
        text,
        mode,
        matcher,
        doubts,
    })
}

/// Browsers send a carriage return with every line, and people forget the end of the last one.
pub(crate) fn plain_lines(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The first character that acts instead of being seen. In a comment it could make a line look like another one to the
/// people who look at a change.
fn unseen(text: &str) -> Option<PolicyFault> {
    let acts = |c: char| c != '\t' && matches!(visible(c.encode_utf8(&mut [0; 4])), Cow::Owned(_));
    let (line, number) = text
        .lines()
        .zip(1..)
        .find(|(line, _)| line.contains(acts))?;
    let at = line.chars().position(acts)?;
    let text = line.chars().nth(at).map(String::from).unwrap_or_default();
    let from = at.saturating_sub(EXCERPT);
    Some(PolicyFault {
        line: number,
        column: u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1),
        message: "a character that can't be seen: remove it".to_owned(),
        suggestion: None,
        excerpt: line.chars().skip(from).take(2 * EXCERPT).collect(),
        marked: at - from..at - from + 1,
        text,
    })
}

fn whole(message: &str) -> Vec<PolicyFault> {
    vec![PolicyFault {
        line: 1,
        column: 1,
        text: String::new(),
        message: message.to_owned(),
        suggestion: None,
        excerpt: String::new(),
        marked: 0..0,
    }]
}

impl PolicyFault {
    fn of_error(error: PolicyError) -> PolicyFault {
        PolicyFault::new(error.place, &error.fault.to_string(), error.suggestion)
    }

    fn of_warning(warning: PolicyWarning) -> PolicyFault {
        PolicyFault::new(
            warning.place,
            &warning.doubt.to_string(),
            warning.suggestion,
        )
    }

    fn new(place: Spot, message: &str, suggestion: Option<String>) -> PolicyFault {
        PolicyFault {
            line: place.line,
            column: place.column,
            text: place.text,
            // It may repeat what a library said about the text.
            message: message.chars().filter(|c| !c.is_control()).collect(),
            suggestion,
            excerpt: place.excerpt,
            marked: place.marked,
        }
    }

    pub(crate) fn told(self) -> api::PolicyFault {
        api::PolicyFault {
            line: self.line,
            column: self.column,
            text: self.text,
            message: self.message,
            suggestion: self.suggestion,
        }
    }
}

/// The name of a policy, or why it can't be one.
pub(crate) fn name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX {
        return Err("a policy needs a name of 1 to 100 characters");
    }
    if name.chars().any(char::is_control) {
        return Err("a policy's name is one line of text");
    }
    Ok(name.to_owned())
}

/// What is said about a change, in one line.
pub(crate) fn note(text: &str) -> String {
    let plain = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c });
    plain.take(NOTE_MAX).collect()
}

/// The scope that these name together; what is empty is not named.
pub(crate) fn scope(
    project: Option<i64>,
    pipeline: Option<&str>,
    job: Option<&str>,
) -> Result<PolicyScope, &'static str> {
    let named = |text: Option<&str>| {
        text.filter(|text| !text.is_empty())
            .map(word)
            .transpose()
            .map(|word| word.map(str::to_owned))
    };
    match (project.map(ProjectId), named(pipeline)?, named(job)?) {
        (None, None, None) => Ok(PolicyScope::Org),
        (None, ..) => Err("a pipeline and a job belong to a project: name it, too"),
        (Some(project), None, None) => Ok(PolicyScope::Project(project)),
        (Some(_), None, Some(_)) => Err("a job belongs to a pipeline: name it, too"),
        (Some(project), Some(pipeline), None) => Ok(PolicyScope::Pipeline(project, pipeline)),
        (Some(project), Some(pipeline), Some(job)) => Ok(PolicyScope::Job(project, pipeline, job)),
    }
}

/// A name that a job could have.
pub(crate) fn word(text: &str) -> Result<&str, &'static str> {
    if text.len() > WORD_MAX || text.contains('\0') {
        return Err("no project, pipeline or job has such a name");
    }
    Ok(text)
}

/// How a scope stands in the log of changes.
pub(crate) fn scope_said(scope: &PolicyScope, project: Option<&str>) -> String {
    let project = project.unwrap_or("the organisation");
    let parts = [Some(project), scope.pipeline(), scope.job()];
    let parts: Vec<String> = parts
        .into_iter()
        .flatten()
        .map(|part| clipped(part, 80))
        .collect();
    parts.join(" / ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_and_its_mode_found() {
        for (text, mode) in [
            (
                "egress-policy: block\r\nallowed-endpoints: []\r\n",
                Mode::Block,
            ),
            ("egress-policy: audit", Mode::Audit),
            ("allowed-endpoints: [a.example]", Mode::Audit),
        ] {
            let read = read(text).unwrap();
            assert_eq!(read.mode, mode, "{text}");
            assert!(!read.text.contains('\r') && read.text.ends_with('\n'));
        }
    }

    #[test]
    fn each_fault_has_its_place_and_what_was_meant() {
        let Err(faults) = read("egress-policy: blok\nallowed-endpoints:\n  - a.example:g443\n")
        else {
            panic!("it has faults");
        };
        let places: Vec<(u32, u32, &str)> = faults
            .iter()
            .map(|fault| {
                let suggestion = fault.suggestion.as_deref();
                (fault.line, fault.column, suggestion.unwrap_or_default())
            })
            .collect();
        assert_eq!(places, [(1, 16, "block"), (3, 15, "a.example:443")]);
        assert_eq!(faults[0].text, "blok");
    }

    #[test]
    fn a_text_has_bounds() {
        let long = "#".repeat(TEXT_MAX);
        let many = "#\n".repeat(LINES_MAX + 1);
        for text in ["", " \n", "\0", "# \u{202e}", long.as_str(), many.as_str()] {
            assert!(read(text).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn a_scope_names_what_it_lies_in() {
        let (pipeline, job) = (Some("ci.yml"), Some("test"));
        assert_eq!(scope(None, None, Some("")), Ok(PolicyScope::Org));
        assert_eq!(
            scope(Some(7), pipeline, None).map(|scope| scope_said(&scope, Some("group/app"))),
            Ok("group/app / ci.yml".to_owned())
        );
        assert!(scope(Some(7), pipeline, job).is_ok());
        for (project, pipeline, job) in [
            (None, pipeline, job),
            (Some(7), None, job),
            (Some(7), Some("a\0b"), None),
        ] {
            assert!(scope(project, pipeline, job).is_err());
        }
        assert!(name(" ").is_err() && name("a\nb").is_err() && name(&"x".repeat(101)).is_err());
        assert_eq!(name(" ci "), Ok("ci".to_owned()));
        assert_eq!(note("a\nb"), "a b");
    }
}
