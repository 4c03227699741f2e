//! Text that a job controls, made fit to be shown, and numbers made fit to be read.
//!
//! A file may be called `\x1b[2J`, and an argument may hold a character that reverses the line after it. On a
//! terminal the first clears the screen, and in any window the second makes a name look like another. So characters
//! that act instead of showing are written as escapes.

use std::borrow::Cow;
use std::fmt::Write as _;

use runward_detect::is_harmful;
use runward_event::Time;

/// `text` with everything that would act on the place where it is shown written as an escape: `\n`, `\x1b`, `\u{202e}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c if !is_harmful(c) => shown.push(c),
            c if u32::from(c) < 0x100 => _ = write!(shown, "\\x{:02x}", u32::from(c)),
            c => _ = write!(shown, "\\u{{{:x}}}", u32::from(c)),
        }
    }
    Cow::Owned(shown)
}

/// [`visible`], cut in the middle to at most `max` characters, because the ends of a path tell most.
pub fn clipped(text: &str, max: usize) -> String {
    let length = text.chars().count();
    let shown = if length <= max.saturating_mul(2) {
        visible(text)
    } else {
        // A hostile text may be long: escape no more of it than can be shown.
        let head = byte_of_char(text, max);
        let tail = byte_of_char(text, length - max);
        let head = text.get(..head).unwrap_or_default();
        let tail = text.get(tail..).unwrap_or_default();
        Cow::Owned(visible(&format!("{head}{tail}")).into_owned())
    };
    if length <= max && shown.chars().count() <= max {
        return shown.into_owned();
    }
    cut_middle(&shown, max)
}

fn cut_middle(text: &str, max: usize) -> String {
    let length = text.chars().count();
    let kept = max.saturating_sub(1);
    let head = byte_of_char(text, kept.div_ceil(2));
    let tail = byte_of_char(text, length.saturating_sub(kept / 2));
    format!(
        "{}…{}",
        text.get(..head).unwrap_or_default(),
        text.get(tail..).unwrap_or_default()
    )
}

fn byte_of_char(text: &str, index: usize) -> usize {
    text.char_indices()
        .nth(index)
        .map_or(text.len(), |(byte, _)| byte)
}

/// The first bytes of `text`, at most `max`, cut between characters. The flag tells whether something is missing.
pub(crate) fn head(text: &str, max: usize) -> (&str, bool) {
    if text.len() <= max {
        return (text, false);
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (text.get(..end).unwrap_or_default(), true)
}

/// The last part of a program's path, which is what people call it.
pub fn base_name(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((_, name)) if !name.is_empty() => name,
        _ => path,
    }
}

/// A command as a person would type it: arguments with other characters than the plain ones stand in quotes. For
/// reading; hostile characters are escaped visibly, so it need not be what a shell takes.
pub fn command_line(args: &[String], max: usize) -> String {
    let mut line = String::new();
    for arg in args {
        if !line.is_empty() {
            line.push(' ');
        }
        let plain = !arg.is_empty()
            && arg
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-./:=@%+,~^".contains(&b) || b >= 0x80);
        if plain {
            line.push_str(arg);
        } else {
            line.push('\'');
            line.push_str(&arg.replace('\'', "'\\''"));
            line.push('\'');
        }
        // Nothing past this can be shown.
        if line.len() > max.saturating_mul(8) {
            line.push('…');
            break;
        }
    }
    let shown = visible(&line);
    if shown.chars().count() <= max {
        return shown.into_owned();
    }
    let end = byte_of_char(&shown, max.saturating_sub(1));
    format!("{}…", shown.get(..end).unwrap_or_default())
}

/// `1,204`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 process`, `204 processes`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// `0 B`, `34 kB`, `1.2 MB`: decimal units, as network tools count.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if n < 1000 {
        return format!("{n} B");
    }
    // Tenths, in integers: no number of bytes is too large for this.
    let mut tenths = n / 100;
    let mut unit = UNITS[0];
    for next in UNITS.iter().skip(1) {
        if tenths < 10_000 {
            break;
        }
        tenths /= 1000;
        unit = next;
    }
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// `340 ms`, `12.4 s`, `3 min 07 s`, `2 h 05 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "unknown".to_owned();
    }
    if seconds < 0.9995 {
        return format!("{:.0} ms", seconds * 1000.0);
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    // A float that is too large saturates; nobody reads that far.
    let whole = seconds.round() as u64;
    match whole {
        0..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `2026-08-01 09:30:12 UTC`.
pub fn moment(time: Time) -> String {
    let text = time.to_string();
    let seconds = text.get(..19).unwrap_or(&text);
    format!("{} UTC", seconds.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acting_characters_show_as_escapes() {
        for (text, shown) in [
            ("plain/path-1.rs", "plain/path-1.rs"),
            ("größe 漢字 🦀", "größe 漢字 🦀"),
            ("\x1b[2J\x07", "\\x1b[2J\\x07"),
            ("a\nb\r\tc", "a\\nb\\r\\tc"),
            ("\u{9b}31m", "\\x9b31m"),
            ("user\u{202e}txt.exe", "user\\u{202e}txt.exe"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn long_text_keeps_both_ends() {
        assert_eq!(clipped("abcdefghij", 10), "abcdefghij");
        assert_eq!(clipped("abcdefghij", 5), "ab…ij");
        assert_eq!(clipped("漢字漢字漢字", 3), "漢…字");
        assert_eq!(clipped("\x1b\x1b\x1b", 9), "\\x1b…\\x1b");
        assert_eq!(clipped("abc", 0), "…");
        assert_eq!(clipped("", 0), "");
        let long = "x".repeat(1 << 20);
        assert_eq!(clipped(&long, 80).chars().count(), 80);
    }

    #[test]
    fn commands_read_as_typed() {
        let args = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        for (list, line) in [
            (args(&["make", "test"]), "make test"),
            (args(&["sh", "-c", "a | b"]), "sh -c 'a | b'"),
            (args(&["x", ""]), "x ''"),
            (args(&["x", "it's"]), "x 'it'\\''s'"),
            (args(&["x", "\x1b[0m"]), "x '\\x1b[0m'"),
            (
                args(&["abcdef", "ghijkl", "mnopqr", "stuvwx"]),
                "abcdef ghijkl mnopq…",
            ),
        ] {
            assert_eq!(command_line(&list, 20), line);
        }
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "process", "processes"), "1 process");
        for (n, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (34_500, "34 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1.0 MB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(bytes(n), text);
        }
        for (seconds, text) in [
            (0.0, "0 ms"),
            (0.9996, "1.0 s"),
            (12.44, "12.4 s"),
            (59.96, "1 min 00 s"),
            (187.0, "3 min 07 s"),
            (7500.0, "2 h 05 min"),
            (f64::NAN, "unknown"),
        ] {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(moment(Time::from_unix_nanos(0)), "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn a_program_is_called_by_its_last_part() {
        assert_eq!(base_name("/usr/bin/node"), "node");
        assert_eq!(base_name("node"), "node");
        assert_eq!(base_name("/odd/"), "/odd/");
        assert_eq!(base_name(""), "");
    }
}
