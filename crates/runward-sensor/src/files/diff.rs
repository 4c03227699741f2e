//! What differs between two versions of a small text. Pure: bytes in, a bounded diff out.

use std::time::Duration;

use runward_event::{FileDiff, NoDiff};
use similar::{Algorithm, ChangeTag, TextDiff};

/// The longest version that is compared, in bytes. Hardly a file that people write is longer; what machines write (lock
/// files, bundles) has a difference that nobody reads in a report.
pub(crate) const MAX_BYTES: usize = 256 << 10;
/// The longest diff, in bytes and in lines: some screens.
const MAX_TEXT: usize = 16 << 10;
const MAX_LINES: usize = 300;
/// The longest line, in bytes; minified code is one line.
const MAX_LINE: usize = 512;
/// How many lines around a change are shown, as git does.
const CONTEXT: usize = 3;
/// After this long the comparison takes the next best answer. Lines that a job chose could make it take very long.
const MAX_TIME: Duration = Duration::from_millis(50);

/// Compares two versions.
pub(crate) fn diff(before: &[u8], after: &[u8]) -> Result<FileDiff, NoDiff> {
    if before.len() > MAX_BYTES || after.len() > MAX_BYTES {
        return Err(NoDiff::Large);
    }
    let (before, after) = (text(before)?, text(after)?);
    let (old, new) = (lines(before), lines(after));
    let compared = TextDiff::configure()
        .algorithm(Algorithm::Myers)
        .timeout(MAX_TIME)
        .diff_slices(&old, &new);
    let mut out = Page::default();
    for group in compared.grouped_ops(CONTEXT) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let old = (first.old_range().start, last.old_range().end);
        let new = (first.new_range().start, last.new_range().end);
        out.line("@@", &format!(" -{} +{} @@\n", range(old), range(new)));
        for change in group.iter().flat_map(|op| compared.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Equal => " ",
                ChangeTag::Insert => "+",
                ChangeTag::Delete => "-",
            };
            out.diff.added += u64::from(sign == "+");
            out.diff.removed += u64::from(sign == "-");
            out.line(sign, change.value());
        }
    }
    Ok(out.diff)
}

/// As text, if it is: git calls a file binary that has a NUL.
fn text(bytes: &[u8]) -> Result<&str, NoDiff> {
    let text = std::str::from_utf8(bytes).map_err(|_| NoDiff::Binary)?;
    if text.contains('\0') {
        return Err(NoDiff::Binary);
    }
    Ok(text)
}

/// The lines with their ends, divided at line feeds alone: what else may end a line is part of it here.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// A range of lines as a hunk's head has it (POSIX, diff -u).
fn range((start, end): (usize, usize)) -> String {
    match end.saturating_sub(start) {
        1 => format!("{}", start + 1),
        0 => format!("{start},0"),
        len => format!("{},{len}", start + 1),
    }
}

#[derive(Default)]
struct Page {
    diff: FileDiff,
    lines: usize,
}

impl Page {
    fn line(&mut self, sign: &str, line: &str) {
        let (line, ends) = match line.strip_suffix('\n') {
            Some(line) => (line, true),
            None => (line, false),
        };
        let shown = &line[..line.floor_char_boundary(MAX_LINE)];
        let room = MAX_TEXT.saturating_sub(self.diff.text.len());
        if self.lines >= MAX_LINES || shown.len() + 64 > room {
            // Whatever comes after it is left out, too: a hole in a diff would read as if nothing were there.
            self.lines = MAX_LINES;
            self.diff.cut = true;
            return;
        }
        self.lines += 1;
        let text = &mut self.diff.text;
        text.push_str(sign);
        text.push_str(shown);
        if shown.len() < line.len() {
            text.push('…');
            self.diff.cut = true;
        }
        text.push('\n');
        if !ends {
            text.push_str("\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(before: &str, after: &str) -> String {
        diff(before.as_bytes(), after.as_bytes()).unwrap().text
    }

    #[test]
    fn it_is_what_diff_u_prints() {
        let before: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let after = before
            .replace("line 3\n", "")
            .replace("line 15\n", "fifteen\nand a half\n")
            + "the end";
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        for (before, after) in [
            (before.as_str(), after.as_str()),
            (after.as_str(), before.as_str()),
            ("", "new\n"),
            ("old\n", ""),
            ("a\r\nb\r\n", "a\nb\n"),
            ("same\nlast", "same\nlast\n"),
        ] {
            let ran = std::process::Command::new("diff")
                .arg("-u")
                .args([place("a", before), place("b", after)])
                .output()
                .unwrap();
            let printed = String::from_utf8(ran.stdout).unwrap();
            let hunks = printed.split_once("\n@@").unwrap().1;
            assert_eq!(text(before, after), format!("@@{hunks}"));
        }
    }

    #[test]
    fn lines_are_counted_and_ends_are_kept() {
        let told = diff(b"a\nb\nc\n", b"a\nB\nc\nd").unwrap();
        assert_eq!((told.added, told.removed, told.cut), (2, 1, false));
        assert!(told.text.ends_with("+d\n\\ No newline at end of file\n"));
        assert!(text("a\n", "a\r\n").contains("+a\r\n"));
    }

    #[test]
    fn what_is_not_text_or_too_large_has_no_diff() {
        for (bytes, why) in [
            (&b"a\0b"[..], NoDiff::Binary),
            (b"\xff\xfe", NoDiff::Binary),
            (&vec![b'x'; MAX_BYTES + 1], NoDiff::Large),
        ] {
            assert_eq!(diff(b"text\n", bytes), Err(why));
            assert_eq!(diff(bytes, b"text\n"), Err(why));
        }
    }

    #[test]
    fn a_diff_is_bounded_whatever_a_job_writes() {
        let long = "é".repeat(MAX_BYTES / 2);
        let told = diff(b"short\n", long.as_bytes()).unwrap();
        assert!(told.cut && told.text.len() < MAX_LINE + 200 && told.text.contains('…'));

        let many: String = (0..MAX_BYTES / 8).map(|n| format!("{n}\n")).collect();
        let many = &many[..many.len().min(MAX_BYTES)];
        let told = diff(b"", many.as_bytes()).unwrap();
        assert!(told.cut && told.text.len() <= MAX_TEXT);
        assert!(told.text.lines().count() <= MAX_LINES);
        assert_eq!(told.added, many.split_inclusive('\n').count() as u64);

        // Lines that have nothing in common in any order are the worst case of the algorithm.
        let start = std::time::Instant::now();
        let (one, other): (String, String) = (0..40_000u64)
            .map(|n| {
                (
                    format!("{}\n", n * 7919 % 40_009),
                    format!("{}\n", n * 104_729 % 40_009),
                )
            })
            .unzip();
        let cut = |text: &str| text.as_bytes()[..text.len().min(MAX_BYTES)].to_vec();
        diff(&cut(&one), &cut(&other)).unwrap();
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
    }
}
