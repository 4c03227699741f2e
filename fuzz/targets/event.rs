//! Lines of `events.jsonl`: an event that was read can be written and read again, and nothing is lost on the way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runward_event::{Body, parse_line, write_line};

fuzz_target!(|line: &str| {
    let Ok(event) = parse_line(line) else {
        return;
    };
    // A kind of a later version is known by its name alone.
    if matches!(event.body, Body::Unknown(_)) {
        return;
    }
    let mut written = Vec::new();
    assert!(write_line(&mut written, &event).is_ok());
    let written = String::from_utf8(written).expect("JSON is UTF-8");
    assert_eq!(written.matches('\n').count(), 1);
    assert_eq!(parse_line(&written).expect("an event"), event);
});
