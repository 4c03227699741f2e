//! What would change, as programs that patch read it.

use std::path::Path;
use std::time::Duration;

use similar::TextDiff;

use crate::output;

/// How long a difference is looked for before a coarser one will do.
const PATIENCE: Duration = Duration::from_secs(5);

/// A unified diff; without an old path, of a new file.
pub(super) fn unified(old_path: Option<&Path>, new_path: &Path, old: &str, new: &str) -> String {
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(old, new);
    let old_path = old_path.map_or_else(|| "/dev/null".to_owned(), output::shown);
    diff.unified_diff()
        .header(&old_path, &output::shown(new_path))
        .to_string()
}

/// A diff for a terminal: the files may be of strangers, and nothing in them may act on it.
pub(super) fn harmless(diff: &str) -> String {
    let mut shown = String::with_capacity(diff.len());
    for c in diff.chars() {
        match c {
            '\n' | '\t' => shown.push(c),
            '\'' | '"' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_diff_acts_on_a_terminal() {
        let diff = "-a: 'x'\t# gr\u{fc}n \"y\" \\\r\n+\u{1b}[2J\u{202e}\n";
        assert_eq!(
            harmless(diff),
            "-a: 'x'\t# gr\u{fc}n \"y\" \\\\r\n+\\u{1b}[2J\\u{202e}\n"
        );
    }
}
