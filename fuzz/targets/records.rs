//! Records of the kernel's ring buffer, in which names, arguments and DNS messages are the job's: whatever they hold,
//! the events that come of them can be written and read again.
//!
//! An input is records, each behind its length in two bytes, low byte first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runward_event::{Event, Time, parse_line, write_line};
use runward_sensor::exercise::decode;

fuzz_target!(|data: &[u8]| {
    for body in decode(records(data)) {
        let event = Event {
            seq: 1,
            time: Time::from_unix_nanos(0),
            body,
        };
        let mut line = Vec::new();
        assert!(write_line(&mut line, &event).is_ok());
        let line = String::from_utf8(line).expect("JSON is UTF-8");
        assert_eq!(parse_line(&line).expect("an event"), event);
    }
});

fn records(mut data: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (record, behind) = rest.split_at(length);
        records.push(record);
        data = behind;
    }
    records
}
