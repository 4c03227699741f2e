//! What changed in a source file, line by line, for whoever shows it.

use runward_detect::ContentChange;
use runward_event::NoDiff;

use crate::text::{counted, visible};

/// A line of a diff, fit to be shown: what would act on the place where it stands is written as an escape. Tabs stay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// The line with its sign.
    pub text: String,
}

/// What a line of a diff is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// Where the lines after it stand.
    Hunk,
    /// A line that is as it was.
    Same,
    /// A new line.
    Added,
    /// A line that is gone.
    Removed,
    /// A remark of the diff itself.
    Remark,
}

impl LineKind {
    /// A name for style sheets.
    pub fn class(self) -> &'static str {
        match self {
            LineKind::Hunk => "hunk",
            LineKind::Same => "same",
            LineKind::Added => "added",
            LineKind::Removed => "removed",
            LineKind::Remark => "remark",
        }
    }
}

/// The first lines of what changed.
pub fn lines(content: &ContentChange, max: usize) -> Vec<Line> {
    let text = content.diff.as_ref().map_or("", |diff| diff.text.as_str());
    let lines = text.split_terminator('\n').map(|line| Line {
        kind: kind(line),
        text: line.split('\t').map(visible).collect::<Vec<_>>().join("\t"),
    });
    lines.take(max).collect()
}

fn kind(line: &str) -> LineKind {
    match line.as_bytes().first() {
        Some(b'+') => LineKind::Added,
        Some(b'-') => LineKind::Removed,
        Some(b'@') => LineKind::Hunk,
        Some(b'\\') => LineKind::Remark,
        _ => LineKind::Same,
    }
}

/// How much of a diff so many lines of it leave out.
pub fn left_out(content: &ContentChange, shown: usize) -> Option<String> {
    let diff = content.diff.as_ref()?;
    let all = diff.text.split_terminator('\n').count();
    let more = u64::try_from(all.saturating_sub(shown)).unwrap_or(u64::MAX);
    match (more, diff.cut) {
        (0, false) => None,
        (0, true) => Some("the rest is too long for a report".to_owned()),
        (more, _) => Some(format!("and {}", counted(more, "more line", "more lines"))),
    }
}

/// `2 lines added, 1 removed`, or why there is no diff.
pub fn summary(content: &ContentChange) -> Option<String> {
    if let Some(diff) = &content.diff {
        let added = counted(diff.added, "line added", "lines added");
        return Some(format!(
            "{added}, {} removed",
            crate::text::count(diff.removed)
        ));
    }
    let why = match content.no_diff? {
        NoDiff::Large => "the file is too large",
        NoDiff::Binary => "the file is not text",
        NoDiff::NoOriginal => "git's objects do not hold what it was when the job started",
        NoDiff::TooMany => "the job has too many already",
        NoDiff::Off => "diffs are switched off",
        _ => return None,
    };
    Some(format!("No diff: {why}"))
}

/// The first line of the file as it was that is not as it was: where a reader of the repository should look.
pub(crate) fn first_line(content: &ContentChange) -> Option<u64> {
    let mut lines = content.diff.as_ref()?.text.split_terminator('\n');
    let head = lines.next()?.strip_prefix("@@ -")?;
    let digits = head.bytes().take_while(u8::is_ascii_digit).count();
    let start: u64 = head.get(..digits)?.parse().ok()?;
    let before = lines
        .take_while(|line| kind(line) == LineKind::Same)
        .count();
    Some(start.saturating_add(u64::try_from(before).ok()?).max(1))
}

#[cfg(test)]
mod tests {
    use runward_event::FileDiff;

    use super::*;

    fn content(text: &str) -> ContentChange {
        ContentChange {
            hash_before: None,
            hash_after: None,
            diff: Some(FileDiff {
                text: text.to_owned(),
                added: 1,
                removed: 1,
                cut: false,
            }),
            no_diff: None,
            mount: None,
        }
    }

    #[test]
    fn hostile_lines_are_shown_harmlessly() {
        let hostile = content(
            "@@ -1 +1 @@\n-old\r\n+\tnew\x1b[2J\u{202e}\u{2028}x\r\n\\ No newline at end of file\n",
        );
        let shown: Vec<String> = lines(&hostile, 9)
            .into_iter()
            .map(|line| line.text)
            .collect();
        assert_eq!(
            shown,
            [
                "@@ -1 +1 @@",
                "-old\\r",
                "+\tnew\\x1b[2J\\u{202e}\\u{2028}x\\r",
                "\\ No newline at end of file"
            ]
        );
    }

    #[test]
    fn the_first_change_is_where_a_reader_looks() {
        for (text, line) in [
            ("@@ -7,7 +7,8 @@\n a\n b\n c\n+d\n e\n", Some(10)),
            ("@@ -1,3 +1 @@\n-a\n", Some(1)),
            ("@@ -0,0 +1 @@\n+a\n", Some(1)),
            ("@@ -99999999999999999999 +1 @@\n+a\n", None),
            ("nonsense", None),
            ("", None),
        ] {
            assert_eq!(first_line(&content(text)), line, "{text}");
        }
    }

    #[test]
    fn what_is_left_out_is_said() {
        let content = content("@@ -1 +1 @@\n-a\n+b\n");
        assert_eq!(left_out(&content, 3), None);
        assert_eq!(left_out(&content, 1).as_deref(), Some("and 2 more lines"));
    }
}
