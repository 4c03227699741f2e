//! What a source file held and holds, under the detection that is about it.

use askama::Template;
use askama::filters::HtmlSafe;
use runward_report::text::clipped;
use runward_report::{ContentChange, diff};

/// Lines of one diff that are shown.
const LINES: usize = 200;
/// Characters of one line.
const LINE: usize = 400;

/// What differs, or why that is not known.
#[derive(Template)]
#[template(path = "part/change.html")]
pub(crate) struct Change {
    summary: String,
    /// Each line with its class.
    lines: Vec<(&'static str, String)>,
    left_out: Option<String>,
}

/// The template escapes its texts.
impl HtmlSafe for Change {}

impl Change {
    /// Nothing where there is nothing to say.
    pub(crate) fn new(content: &ContentChange) -> Option<Change> {
        let lines = diff::lines(content, LINES);
        Some(Change {
            summary: diff::summary(content)?,
            left_out: diff::left_out(content, lines.len()),
            lines: lines
                .into_iter()
                .map(|line| (line.kind.class(), clipped(&line.text, LINE)))
                .collect(),
        })
    }
}
