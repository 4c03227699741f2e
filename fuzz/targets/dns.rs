//! A client's DNS message and an upstream's answer to it: what would leave is sound.
//!
//! An input is the length of the client's message in one byte, that message, and the answer: the counts of its three
//! sections in one byte each, and its records.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((length, rest)) = data.split_first() else {
        return;
    };
    let (client, upstream) = rest
        .split_at_checked(usize::from(*length))
        .unwrap_or((rest, &[]));
    if let Err(wrong) = runward_resolver::exercise(client, upstream) {
        panic!("{wrong}");
    }
});
