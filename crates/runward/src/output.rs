//! What a person sees on the terminal. Standard output belongs to the command; Runward speaks on standard error.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use runward_report::{Report, Style, terminal};

/// Says something in one sentence, after the program's name.
pub(crate) fn say(sentence: impl std::fmt::Display) {
    // In one piece: others may write to the same place. A closed standard error is no reason to fail.
    let _ = io::stderr().write_all(format!("runward: {sentence}\n").as_bytes());
}

/// A path on one line: nothing in the name of a file acts on a terminal.
pub(crate) fn shown(path: &Path) -> String {
    let path = path.to_string_lossy();
    let mut shown = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Prints the summary of a report.
pub(crate) fn summary(report: &Report, folder: &Path) {
    let stderr = io::stderr();
    let place = folder.join("report.html").display().to_string();
    let width = rustix::termios::tcgetwinsize(&stderr).map_or(0, |size| usize::from(size.ws_col));
    let text = terminal(
        report,
        Style {
            color: stderr.is_terminal() && wants_colour(&|name| std::env::var_os(name).map(drop)),
            width: if width == 0 { 100 } else { width },
            report: Some(&place),
        },
    );
    let _ = stderr.lock().write_all(text.as_bytes());
}

/// Says something to the CI system that shows this job's output.
pub(crate) fn command(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints the report as one line of JSON.
pub(crate) fn json(report: &Report) {
    let mut stderr = io::stderr().lock();
    let _ = serde_json::to_writer(&mut stderr, report);
    let _ = writeln!(stderr);
}

/// Whether the environment leaves colour on (see no-color.org).
pub(crate) fn wants_colour(has: &dyn Fn(&str) -> Option<()>) -> bool {
    has("NO_COLOR").is_none()
}
