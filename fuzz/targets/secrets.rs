//! What a job prints: the same is found in it however it is cut, whatever it is, also behind the end of a unit.
//!
//! An input is the stream itself. Where it is cut, and how much stands before it in its line, follows from its bytes.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runward_secrets::{Finder, Found, Stream, Variable};

/// A long line comes in units; an input is shorter than one.
const BEFORE_MAX: u64 = 40_000;

static FINDER: LazyLock<Finder> = LazyLock::new(|| {
    let variable = Variable {
        name: "TOKEN".to_owned(),
        value: b"not-A-secret-7Q2x".to_vec(),
    };
    Finder::new([0; 32], vec![variable], true)
});

fuzz_target!(|bytes: &[u8]| {
    let number = number_of(bytes);
    let before = if number & 1 == 0 {
        0
    } else {
        number % BEFORE_MAX
    };
    let mut text = vec![b'.'; usize::try_from(before).unwrap_or(0)];
    text.extend_from_slice(bytes);
    let whole = found_in([&text[..]]);
    let place = |bits: u64| usize::try_from(bits & 0xffff).unwrap_or(0) % (text.len() + 1);
    let (one, other) = (place(number >> 16), place(number >> 32));
    let (first, second) = (one.min(other), one.max(other));
    let pieces = [&text[..first], &text[first..second], &text[second..]];
    assert_eq!(whole, found_in(pieces));
    assert_eq!(whole, found_in(text.chunks(1 + text.len() / 100)));
});

fn found_in<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> BTreeSet<Found> {
    let mut found = BTreeSet::new();
    let mut stream = Stream::default();
    for piece in pieces {
        stream.feed(&FINDER, piece, &mut |one| {
            found.insert(one);
        });
    }
    stream.finish(&FINDER, &mut |one| {
        found.insert(one);
    });
    found
}

/// FNV-1a, <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>: the same number for the same bytes.
fn number_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
