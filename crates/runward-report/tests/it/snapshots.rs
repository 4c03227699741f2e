//! What a person reads.

use runward_report::{Style, markdown, terminal};

use super::{Record, sample};

fn style(width: usize) -> Style<'static> {
    Style {
        color: false,
        width,
        report: Some("runward-report/report.html"),
    }
}

#[test]
fn a_terminal() {
    insta::assert_snapshot!(terminal(&sample(), style(100)));
}

#[test]
fn a_narrow_terminal() {
    let text = terminal(&sample(), style(64));
    insta::assert_snapshot!(text);
}

#[test]
fn a_terminal_with_colour() {
    let color = Style {
        color: true,
        ..style(100)
    };
    let text = terminal(&sample(), color);
    assert!(text.contains("\x1b[1;31m"));
    // Without its colours it is the same text.
    let mut plain = text;
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[33m"] {
        plain = plain.replace(code, "");
    }
    let trimmed = |text: &str| {
        text.lines()
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(trimmed(&plain), trimmed(&terminal(&sample(), style(100))));
}

#[test]
fn a_quiet_job_on_a_terminal() {
    let mut record = Record::started();
    record.fork(1, None);
    record.exec(1, None, &["make"]);
    record.end();
    insta::assert_snapshot!(terminal(&record.report(), style(100)));
}

#[test]
fn a_job_summary() {
    insta::assert_snapshot!(markdown(&sample()));
}
