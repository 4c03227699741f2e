//! Errors and warnings of a policy as a compiler shows them: the line, and a mark under what is meant.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};

use runward_policy::{PolicyError, PolicyWarning, Spot};
use runward_report::text::visible;
use unicode_width::UnicodeWidthStr as _;

use crate::output;

/// Tells what is wrong, on standard error.
pub(crate) fn errors(errors: &[PolicyError]) {
    let colour = colour();
    let mut text = String::new();
    for error in errors {
        finding(
            &mut text,
            Level::Error,
            colour,
            &error.place,
            &error.fault.to_string(),
            error.suggestion.as_deref(),
        );
    }
    tell(&text);
}

/// Tells what is odd, on standard error.
pub(crate) fn warnings(warnings: &[PolicyWarning]) {
    let colour = colour();
    let mut text = String::new();
    for warning in warnings {
        finding(
            &mut text,
            Level::Warning,
            colour,
            &warning.place,
            &warning.doubt.to_string(),
            warning.suggestion.as_deref(),
        );
    }
    tell(&text);
}

fn colour() -> bool {
    let wanted = output::wants_colour(&|name| std::env::var_os(name).map(drop));
    wanted && std::io::stderr().is_terminal()
}

fn tell(text: &str) {
    // A closed standard error is no reason to fail.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
}

fn finding(
    text: &mut String,
    level: Level,
    colour: bool,
    place: &Spot,
    what: &str,
    suggestion: Option<&str>,
) {
    let (name, paint) = match level {
        Level::Error => ("error", "\x1b[1;31m"),
        Level::Warning => ("warning", "\x1b[1;33m"),
    };
    let (on, off) = if colour { (paint, "\x1b[0m") } else { ("", "") };
    let number = place.line.to_string();
    let margin = " ".repeat(number.len());
    // Writing to a string can't fail.
    let _ = writeln!(text, "{on}{name}{off}: {}", visible(what));
    let _ = writeln!(
        text,
        "{margin}--> {}:{}:{}",
        place.source, place.line, place.column
    );
    let _ = writeln!(text, "{margin} |");
    let Marked {
        before,
        meant,
        after,
    } = marked(place);
    let _ = writeln!(text, "{number} | {before}{meant}{after}");
    let indent = " ".repeat(before.width());
    let mark = "^".repeat(meant.width().max(1));
    let _ = write!(text, "{margin} | {indent}{on}{mark}{off}");
    if let Some(meant) = suggestion {
        let _ = write!(text, " did you mean `{}`?", visible(meant));
    }
    text.push_str("\n\n");
}

/// The parts of a line before, in and behind what is meant, harmless each.
struct Marked {
    before: String,
    meant: String,
    after: String,
}

fn marked(place: &Spot) -> Marked {
    let part = |from: usize, count: usize| -> String {
        let part: String = place.excerpt.chars().skip(from).take(count).collect();
        // A tab is as wide as it likes; a space is not.
        visible(&part.replace('\t', " ")).into_owned()
    };
    let (start, end) = (place.marked.start, place.marked.end);
    Marked {
        before: part(0, start),
        meant: part(start, end.saturating_sub(start)),
        after: part(end, usize::MAX),
    }
}
