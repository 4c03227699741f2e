//! Records that are cut off, reordered, doubled, full of gaps, hostile, or from a newer version; and what must hold of
//! the report of every record. Shared by the tests of this crate and by the fuzz target `streams`.

use std::collections::BTreeSet;

use runward_event::{Event, Provider, parse_line};
use runward_report::{
    Detection, Report, ReportBuilder, Style, annotations, html, json, markdown, sarif, terminal,
};
use serde_json::{Map, Value};

/// The fixtures of the detections: what there is to find.
const FIXTURES: [&str; 13] = [
    include_str!("../../../../tests/scenarios/agent-tampered/events.jsonl"),
    include_str!("../../../../tests/scenarios/dns-tunnel/events.jsonl"),
    include_str!("../../../../tests/scenarios/dropped-executable/events.jsonl"),
    include_str!("../../../../tests/scenarios/events-lost/events.jsonl"),
    include_str!("../../../../tests/scenarios/fileless-execution/events.jsonl"),
    include_str!("../../../../tests/scenarios/install-script-egress/events.jsonl"),
    include_str!("../../../../tests/scenarios/outbound-call-blocked/events.jsonl"),
    include_str!("../../../../tests/scenarios/privileged-container/events.jsonl"),
    include_str!("../../../../tests/scenarios/process-outlives-step/events.jsonl"),
    include_str!("../../../../tests/scenarios/reverse-shell/events.jsonl"),
    include_str!("../../../../tests/scenarios/runner-memory-read/events.jsonl"),
    include_str!("../../../../tests/scenarios/source-code-overwritten/events.jsonl"),
    include_str!("../../../../tests/scenarios/suspicious-destination/events.jsonl"),
];

/// Texts that try to leave the place where they are shown.
pub(crate) const HARM: [&str; 16] = [
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "\x1b[2J\x1b]0;owned\x07",
    "\u{9b}31m\u{85}",
    "a|b|`c`|\n## Title\n[x](https://evil.example)",
    "@org/team #1 https://evil.example <b>",
    "user\u{202e}gpj.exe",
    "zero\u{200b}width\u{feff}",
    "\r\nSet: x\0",
    "{{ 7 }}{% raw %}",
    "\u{2028}\u{2029}",
    "``\\|``",
    "x\n::error title=x,file=y::z",
    "x\n##vso[task.setvariable variable=PATH]y",
    "\x1b[0Ksection_start:0:x\r\x1b[0K",
    "",
];

/// What a number may be in a record that nobody honest wrote.
const NUMBERS: [u64; 6] = [0, 1, 2, 53, u32::MAX as u64, u64::MAX];

/// Lines of a record, made of the fixtures' by what `script` says: four bytes for each act.
pub(crate) fn lines(script: &[u8]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for act in script.chunks_exact(4) {
        let [what, a, b, c] = *act else { continue };
        let fixture: Vec<&str> = pick(&FIXTURES, a).lines().collect();
        match what % 8 {
            0 => lines.extend(fixture.iter().map(|line| (*line).to_owned())),
            // A part of it, which may begin anywhere.
            1 => {
                let from = usize::from(b) % fixture.len();
                let part = fixture.iter().skip(from).take(usize::from(c));
                lines.extend(part.map(|line| (*line).to_owned()));
            }
            2 => lines.push((*pick(&fixture, b)).to_owned()),
            // Two lines change places.
            3 if !lines.is_empty() => {
                let (one, other) = (usize::from(a) % lines.len(), usize::from(b) % lines.len());
                lines.swap(one, other);
            }
            4 if !lines.is_empty() => {
                let gone = usize::from(a) % lines.len();
                lines.remove(gone);
            }
            5 if !lines.is_empty() => {
                let place = usize::from(a) % lines.len();
                let keep = lines[place].len() * usize::from(b) / 256;
                let keep = lines[place].floor_char_boundary(keep);
                lines[place].truncate(keep);
            }
            6 | 7 if !lines.is_empty() => {
                let place = usize::from(a) % lines.len();
                if let Some(line) = changed(&lines[place], what, b, c) {
                    lines[place] = line;
                }
            }
            _ => {}
        }
        lines.truncate(2_000);
    }
    lines
}

fn pick<T>(from: &[T], by: u8) -> &T {
    &from[usize::from(by) % from.len()]
}

/// A line with another value in one place, or with a field that only a newer version knows.
fn changed(line: &str, what: u8, which: u8, how: u8) -> Option<String> {
    let mut event: Value = serde_json::from_str(line).ok()?;
    if what % 8 == 7 && which >= 128 {
        let fields = event.as_object_mut()?;
        match how % 4 {
            0 => drop(fields.insert("kind".to_owned(), "gpu_kernel".into())),
            1 => drop(fields.insert((*pick(&HARM, which)).to_owned(), Value::Object(Map::new()))),
            2 => drop(fields.insert("kind".to_owned(), (*pick(&HARM, which)).into())),
            _ => drop(fields.insert("mood".to_owned(), Value::Array(vec![Value::Null]))),
        }
        return serde_json::to_string(&event).ok();
    }
    let count = leaves(&mut event, &mut |_| {});
    let wanted = usize::from(which) % count.max(1);
    let mut at = 0;
    leaves(&mut event, &mut |leaf| {
        if at == wanted {
            change(leaf, how);
        }
        at += 1;
    });
    serde_json::to_string(&event).ok()
}

fn change(leaf: &mut Value, how: u8) {
    *leaf = match leaf {
        Value::String(text) if how >= 200 => text.repeat(usize::from(how)).into(),
        Value::String(text) if how >= 128 => format!("{text}{}", pick(&HARM, how)).into(),
        Value::String(_) => (*pick(&HARM, how)).into(),
        Value::Number(_) => (*pick(&NUMBERS, how)).into(),
        Value::Bool(was) => (!*was).into(),
        _ => Value::Null,
    };
}

/// Visits every value that holds no others, but for those that make a line an event at all; says how many there are.
pub(crate) fn leaves(value: &mut Value, visit: &mut dyn FnMut(&mut Value)) -> usize {
    match value {
        Value::Array(items) => items.iter_mut().map(|item| leaves(item, visit)).sum(),
        Value::Object(fields) => fields
            .iter_mut()
            .filter(|(name, _)| !matches!(name.as_str(), "time" | "kind"))
            .map(|(_, value)| leaves(value, visit))
            .sum(),
        leaf => {
            visit(leaf);
            1
        }
    }
}

/// What a reader takes of these lines: those that are events.
pub(crate) fn events(lines: &[String]) -> Vec<Event> {
    let read = |line: &String| parse_line(line).ok();
    lines.iter().filter_map(read).collect()
}

/// Checks what must hold of every record. `cut` says where it breaks off.
pub(crate) fn check(events: &[Event], cut: usize) -> Report {
    let (before, _) = events.split_at(cut % (events.len() + 1));
    let found_before = found(before);
    let mut builder = ReportBuilder::new();
    for event in events {
        builder.apply(event);
    }
    let all = builder.detections().to_vec();
    // What stands in a record up to a place is found there, whatever comes after it.
    assert_eq!(found_before, all[..found_before.len().min(all.len())]);
    // Each event gives a few findings, and the end of a job or step at most a hundred more.
    assert!(all.len() <= events.len() * 8 + 200, "{}", all.len());
    let mut report = builder.finish();
    assert_eq!(report.counts.events, events.len() as u64);
    is_harmless(&mut report);
    report
}

fn found(events: &[Event]) -> Vec<Detection> {
    let mut builder = ReportBuilder::new();
    for event in events {
        builder.apply(event);
    }
    builder.detections().to_vec()
}

/// Checks that every way to write a report down ends, can be read, and does nothing but be read.
pub(crate) fn is_harmless(report: &mut Report) {
    let read: Report = serde_json::from_str(&json(report)).expect("report.json is a report");
    assert_eq!(read.detections, report.detections);

    for width in [20, 80, 200] {
        let style = Style {
            color: false,
            width,
            report: None,
        };
        is_plain(&terminal(report, style), "on the terminal");
    }
    is_plain(&markdown(report), "in Markdown");

    let page = html(report);
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script").count(), 2);
    for harm in ["<img", "<!--", "onerror=alert(1)>"] {
        assert!(!page.contains(harm), "{harm}");
    }
    is_plain(&page, "on the page");

    let sarif = sarif(report);
    let results = sarif["runs"][0]["results"].as_array().expect("results");
    assert!(results.len() <= report.detections.len());
    let ids: BTreeSet<&str> = runward_detect::ABOUTS
        .iter()
        .map(|about| about.id)
        .collect();
    for result in results {
        assert!(ids.contains(result["ruleId"].as_str().expect("an id")));
        is_plain(
            result["message"]["text"].as_str().expect("a text"),
            "in SARIF",
        );
    }

    for (provider, start) in [
        (Provider::Github, "::"),
        (Provider::Azure, "##vso[task.logissue "),
        (Provider::Gitlab, "no line"),
    ] {
        report.job.provider = provider;
        for line in annotations(report) {
            assert!(line.starts_with(start), "{line:?}");
            is_plain(&line, "in an annotation");
            assert!(!line.contains('\n'), "{line:?}");
        }
    }
}

/// No character moves the cursor, or turns what is read around.
fn is_plain(text: &str, place: &str) {
    let bad = |c: char| {
        c != '\n'
            && (c.is_control()
                || matches!(c, '\u{200B}' | '\u{FEFF}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'))
    };
    if let Some(at) = text.find(bad) {
        let start = text.floor_char_boundary(at.saturating_sub(60));
        let end = text.floor_char_boundary(at + 60);
        panic!("{place}: {:?}", &text[start..end]);
    }
}
