//! Records that are cut off, reordered, doubled, hostile or from a newer version: tree, detections and every report.
//!
//! The input is a script that makes a record of the detections' fixtures; the last byte says where it breaks off.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/runward-report/tests/streams/mod.rs"]
mod streams;

fuzz_target!(|script: &[u8]| {
    // What is checked costs a millisecond or more for each event.
    let script = &script[..script.len().min(256)];
    let cut = script.last().map_or(0, |cut| usize::from(*cut));
    streams::check(&streams::events(&streams::lines(script)), cut);
});
