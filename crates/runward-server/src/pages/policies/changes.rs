//! What one text changed of another, line by line.

use askama::Template;
use askama::filters::HtmlSafe;
use runward_report::text::{count, counted, visible};
use std::time::Duration;

use similar::{ChangeTag, TextDiff};

/// Lines around a change that are shown, too.
const AROUND: usize = 3;
/// How long texts are compared.
const COMPARED: Duration = Duration::from_millis(300);

/// The lines that differ, with those around them.
#[derive(Template)]
#[template(path = "policy/changes.html")]
pub(super) struct Changes {
    /// `3 lines added, 1 removed`.
    said: String,
    any: bool,
    lines: Vec<Line>,
}

/// The template escapes its texts.
impl HtmlSafe for Changes {}

struct Line {
    tone: &'static str,
    /// In words, for those who don't see the sign.
    word: &'static str,
    sign: &'static str,
    old: String,
    new: String,
    text: String,
    /// Lines before this one are left out.
    gap: bool,
}

impl Changes {
    /// One of the texts may be anything that somebody typed; so the time is bounded, and after it the comparison is only
    /// coarser.
    pub(super) fn between(old: &str, new: &str) -> Changes {
        let diff = TextDiff::configure().timeout(COMPARED).diff_lines(old, new);
        let mut lines = Vec::new();
        let (mut added, mut removed) = (0, 0);
        for (number, group) in (0..).zip(diff.grouped_ops(AROUND)) {
            let mut gap = number > 0;
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let (tone, word, sign) = match change.tag() {
                    ChangeTag::Equal => ("same", "unchanged", ""),
                    ChangeTag::Insert => ("added", "added", "+"),
                    ChangeTag::Delete => ("removed", "removed", "−"),
                };
                added += u64::from(change.tag() == ChangeTag::Insert);
                removed += u64::from(change.tag() == ChangeTag::Delete);
                lines.push(Line {
                    tone,
                    word,
                    sign,
                    old: line_number(change.old_index()),
                    new: line_number(change.new_index()),
                    text: visible(change.value().trim_end_matches('\n')).into_owned(),
                    gap: std::mem::take(&mut gap),
                });
            }
        }
        Changes {
            said: format!(
                "{} added, {} removed",
                counted(added, "line", "lines"),
                count(removed)
            ),
            any: !lines.is_empty(),
            lines,
        }
    }
}

fn line_number(index: Option<usize>) -> String {
    index.map_or_else(String::new, |index| index.saturating_add(1).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_changed_stand_with_those_around_them() {
        let old: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let new = old
            .replace("line 2\n", "line two\n")
            .replace("line 20\n", "line 20\nlast\n");
        let changes = Changes::between(&old, &new);
        assert_eq!(changes.said, "2 lines added, 1 removed");
        let shown: Vec<String> = changes
            .lines
            .iter()
            .map(|line| {
                format!(
                    "{}{}{}",
                    if line.gap { "…" } else { "" },
                    line.sign,
                    line.text
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                "line 1",
                "−line 2",
                "+line two",
                "line 3",
                "line 4",
                "line 5",
                "…line 18",
                "line 19",
                "line 20",
                "+last"
            ]
        );
        assert!(!Changes::between(&old, &old).any);
    }
}
