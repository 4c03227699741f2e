//! The first bytes of a stream, ClientHello or HTTP: they are judged the same however they are cut, and the kernel
//! judges them like its Rust twin.
//!
//! An input is the stream itself. Where it is cut follows from its bytes, so that captured greetings are inputs as they
//! are. The kernel is asked where it can be: as root, with BPF. A round through it costs two system calls for each
//! packet, so it sees only some of the inputs; which ones follows from their bytes too, so that an input that failed
//! fails again.
#![no_main]

use std::sync::{LazyLock, Mutex, PoisonError};

use libfuzzer_sys::fuzz_target;
use runward_sensor::exercise::Kernel;
use runward_sensor::first_bytes::FirstBytes;

const ALLOWED: [(&str, u16); 4] = [
    ("a.example", 443),
    ("a.example", 80),
    ("c-1_x.a.example", 8443),
    ("d.example", 80),
];

/// One of so many inputs goes through the kernel.
const ASK_KERNEL: u64 = 8;

static KERNEL: LazyLock<Option<Mutex<Kernel>>> = LazyLock::new(|| {
    let kernel = Kernel::load(&ALLOWED);
    match &kernel {
        Ok(_) => eprintln!("note: the kernel judges one of {ASK_KERNEL} inputs too"),
        Err(error) => eprintln!("note: skipped: the kernel judges nothing here: {error}"),
    }
    kernel.ok().map(Mutex::new)
});

fuzz_target!(|bytes: &[u8]| {
    let number = number_of(bytes);
    let port = if number & 1 == 0 { 443 } else { 80 };
    let cuts = cuts(number, bytes.len());
    let whole = judged(port, &[bytes]);
    let mut from = 0;
    let pieces: Vec<&[u8]> = cuts
        .iter()
        .chain([&bytes.len()])
        .map(|to| &bytes[std::mem::replace(&mut from, *to)..*to])
        .collect();
    assert_same(&whole, &judged(port, &pieces));
    assert_same(&whole, &judged(port, &bytes.chunks(1).collect::<Vec<_>>()));
    if let Some(kernel) = &*KERNEL
        && number / 2 % ASK_KERNEL == 0
    {
        let mut kernel = kernel.lock().unwrap_or_else(PoisonError::into_inner);
        kernel.compare(port, bytes, &cuts, allowed);
    }
});

fn judged(port: u16, pieces: &[&[u8]]) -> FirstBytes {
    let mut stream = FirstBytes::new(port);
    for piece in pieces {
        stream.feed(piece, allowed);
    }
    stream
}

fn assert_same(one: &FirstBytes, other: &FirstBytes) {
    assert_eq!(one.phase(), other.phase());
    assert_eq!(one.name(), other.name());
}

fn allowed(name: &[u8], port: u16) -> bool {
    let is = |(allowed, on): &(&str, u16)| allowed.as_bytes() == name && *on == port;
    ALLOWED.iter().any(is)
}

/// FNV-1a, <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>: the same number for the same bytes.
fn number_of(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Up to two places in a stream of this length, in their order.
fn cuts(number: u64, len: usize) -> [usize; 2] {
    let place = |bits: u64| usize::try_from(bits & 0xffff).unwrap_or(0) % (len + 1);
    let mut cuts = [place(number >> 16), place(number >> 32)];
    cuts.sort_unstable();
    cuts
}
