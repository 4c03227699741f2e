//! Whatever stands in any field of any event, the report of the record is whole and does nothing.
//!
//! The events are those of the record that each version of the format keeps, one of every kind, so a new kind or field is
//! tried without anybody thinking of it.

use runward_event::{Event, parse_line};
use runward_report::ReportBuilder;
use serde_json::Value;

use crate::mutated::{HARM, is_harmless, leaves};

const WHOLE: &str = include_str!("../../../runward-event/tests/formats/1.jsonl");
/// Longer than anything that the sensor reads.
const LONG: usize = 1 << 20;

fn lines() -> Vec<Value> {
    let read = |line| serde_json::from_str(line).unwrap();
    WHOLE.lines().map(read).collect()
}

/// The record with what `edit` makes of the text at one place of one line; nothing if it is no event then.
fn edited(
    lines: &[Value],
    line: usize,
    place: usize,
    edit: &dyn Fn(&str) -> String,
) -> Option<Vec<Event>> {
    let mut lines = lines.to_vec();
    let mut at = 0;
    let mut is_text = false;
    leaves(&mut lines[line], &mut |leaf| {
        if at == place
            && let Some(text) = leaf.as_str()
        {
            is_text = true;
            *leaf = edit(text).into();
        }
        at += 1;
    });
    let read = |line: &Value| parse_line(&line.to_string()).ok();
    let events: Vec<Event> = lines.iter().filter_map(read).collect();
    is_text.then_some(events)
}

/// Says how many places took such a text, and checks the report of each.
fn in_every_field(edit: &dyn Fn(&str) -> String) -> usize {
    let whole = lines();
    let mut places = 0;
    for line in 0..whole.len() {
        let count = leaves(&mut whole[line].clone(), &mut |_| {});
        for place in 0..count {
            let Some(events) = edited(&whole, line, place, edit) else {
                continue;
            };
            places += usize::from(events.len() == whole.len());
            let mut builder = ReportBuilder::new();
            for event in &events {
                builder.apply(event);
            }
            is_harmless(&mut builder.finish());
        }
    }
    places
}

#[test]
fn harm_in_any_field_is_shown_and_not_done() {
    let all = HARM.concat();
    let places = in_every_field(&|_| all.clone());
    assert!(places > 50, "only {places} fields take any text");
    // As the end of something that means something: a known program, a registry, a step.
    in_every_field(&|text| format!("{text}{all}"));
    in_every_field(&|_| String::new());
}

#[test]
fn a_text_of_a_megabyte_fits_in_any_field() {
    let places = in_every_field(&|_| "\u{1b}é<".repeat(LONG / 4));
    assert!(places > 50, "only {places} fields take any text");
}

/// Bytes that are no UTF-8 make a line that is no event; what is left is told.
#[test]
fn a_line_that_is_no_text_is_left_out() {
    for line in WHOLE.lines() {
        let mut bytes = line.as_bytes().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] = 0xff;
        assert!(parse_line(str::from_utf8(&bytes).unwrap_or_default()).is_err());
    }
}
