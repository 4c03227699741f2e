//! One table of greetings for both machines, cut in every way.

mod greetings;
mod sockets;

use std::cell::RefCell;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use runward_lab::requires;

use self::greetings::{ALLOWED, Greeting, allowed, greetings};
use super::kernel::{Kernel, PAYLOAD_MAX, pieces, rw_first_bytes_reason};
use super::{FirstBytes, Flow, Phase, Reason, Segment, Verdict};

/// Reads a stream in pieces that end at these places, and at its end.
fn read(port: u16, bytes: &[u8], cuts: &[usize]) -> FirstBytes {
    let mut first_bytes = FirstBytes::new(port);
    for piece in pieces(bytes, cuts) {
        first_bytes.feed(piece, allowed);
    }
    first_bytes
}

/// How many bytes pass before the flow is judged for good.
fn judged_after(greeting: &Greeting) -> usize {
    let mut first_bytes = FirstBytes::new(greeting.port);
    greeting
        .bytes
        .iter()
        .take_while(|byte| !first_bytes.feed(&[**byte], allowed).is_final())
        .count()
}

#[test]
fn each_greeting_is_judged_as_the_table_says() {
    for greeting in greetings() {
        let judged = read(greeting.port, &greeting.bytes, &[]);
        assert_eq!(judged.phase(), greeting.phase, "{}", greeting.name);
    }
}

#[test]
fn a_greeting_is_judged_the_same_however_it_is_cut() {
    for greeting in greetings() {
        // The long ones are mostly padding.
        let step = if greeting.bytes.len() > 2000 { 101 } else { 1 };
        for cut in (0..=greeting.bytes.len()).step_by(step) {
            let judged = read(greeting.port, &greeting.bytes, &[cut]);
            assert_eq!(
                judged.phase(),
                greeting.phase,
                "{} cut at {cut}",
                greeting.name
            );
        }
        let every_byte: Vec<usize> = (0..greeting.bytes.len()).collect();
        let judged = read(greeting.port, &greeting.bytes, &every_byte);
        assert_eq!(
            judged.phase(),
            greeting.phase,
            "{} byte by byte",
            greeting.name
        );
    }
}

#[test]
fn the_refused_name_is_kept_for_the_report() {
    let judged = read(80, b"GET / HTTP/1.1\r\nHost: B.example.\r\n", &[]);
    assert_eq!(judged.phase(), Phase::Refused(Reason::HostMismatch));
    assert_eq!(judged.name(), b"b.example");
}

#[test]
fn reasons_have_the_numbers_of_the_kernel() {
    let kernel = [
        rw_first_bytes_reason::RW_REASON_SNI_MISMATCH,
        rw_first_bytes_reason::RW_REASON_HOST_MISMATCH,
        rw_first_bytes_reason::RW_REASON_NO_SNI,
        rw_first_bytes_reason::RW_REASON_NO_HOST,
        rw_first_bytes_reason::RW_REASON_ENCRYPTED_CLIENT_HELLO,
        rw_first_bytes_reason::RW_REASON_MALFORMED_TLS,
        rw_first_bytes_reason::RW_REASON_MALFORMED_HTTP,
        rw_first_bytes_reason::RW_REASON_AMBIGUOUS_BODY,
        rw_first_bytes_reason::RW_REASON_UPGRADE,
        rw_first_bytes_reason::RW_REASON_H2C,
        rw_first_bytes_reason::RW_REASON_TUNNEL_WITHOUT_TLS,
        rw_first_bytes_reason::RW_REASON_TOO_LONG,
        rw_first_bytes_reason::RW_REASON_URGENT_DATA,
        rw_first_bytes_reason::RW_REASON_UNKNOWN_START,
        rw_first_bytes_reason::RW_REASON_SHARED_PAGES,
        rw_first_bytes_reason::RW_REASON_UNREADABLE,
    ];
    assert_eq!(
        Reason::ALL.map(|reason| reason as u32),
        kernel.map(|number| number.0)
    );
}

#[test]
fn the_kernel_judges_each_greeting_like_the_twin() {
    requires!(Root);
    let mut kernel = Kernel::load(&ALLOWED);
    for greeting in greetings() {
        let phase = kernel.compare(greeting.port, &greeting.bytes, &[], allowed);
        assert_eq!(phase, greeting.phase, "{}", greeting.name);
    }
}

#[test]
fn the_kernel_judges_like_the_twin_however_a_greeting_is_cut() {
    requires!(Root);
    let mut kernel = Kernel::load(&ALLOWED);
    for greeting in greetings() {
        let (port, bytes) = (greeting.port, &greeting.bytes);
        // What comes after the verdict is not looked at.
        let end = bytes.len().min(judged_after(&greeting) + 2);
        let bytes = &bytes[..end.min(4000)];
        // The long ones are mostly padding, and a processor may be emulated here.
        let step = if bytes.len() > 300 { 7 } else { 1 };
        for cut in (0..bytes.len()).step_by(step) {
            kernel.compare(port, bytes, &[cut], allowed);
        }
        let every_byte: Vec<usize> = (0..bytes.len()).collect();
        kernel.compare(port, bytes, &every_byte, allowed);
    }
}

/// A port, the bytes that are sent to it, and where to cut them.
type Stream = (u16, Vec<u8>, Vec<usize>);

/// Greetings with some bytes changed, taken out, or put in from elsewhere, and where to cut them.
fn mutated() -> impl Strategy<Value = Stream> {
    let all = greetings();
    let edits = proptest::collection::vec((any::<prop::sample::Index>(), 0..4, any::<u8>()), 0..6);
    let cuts = proptest::collection::vec(any::<prop::sample::Index>(), 0..6);
    let which = any::<prop::sample::Index>();
    (which, any::<prop::sample::Index>(), edits, cuts).prop_map(
        move |(which, other, edits, cuts)| {
            let greeting = which.get(&all);
            let mut bytes = greeting.bytes.clone();
            bytes.truncate(2000);
            for (place, edit, byte) in edits {
                let at = place.index(bytes.len() + 1);
                match edit {
                    0 if at < bytes.len() => bytes[at] = byte,
                    1 if at < bytes.len() => drop(bytes.remove(at)),
                    2 => bytes.insert(at, byte),
                    3 => {
                        let other = other.get(&all);
                        bytes.splice(at..at, other.bytes.iter().copied().take(60));
                    }
                    _ => {}
                }
            }
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            (greeting.port, bytes, cuts)
        },
    )
}

fn random() -> impl Strategy<Value = Stream> {
    let alphabet = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"GET / HTTP/1.1\r\nHost: a.example:80\x16\x03\x01\0 \t\r\n".to_vec()),
    ];
    let bytes = proptest::collection::vec(alphabet, 0..200);
    (bytes, any::<prop::sample::Index>()).prop_map(|(bytes, cut)| {
        let cut = cut.index(bytes.len() + 1);
        (80, bytes, vec![cut])
    })
}

/// Compares both machines on many inputs; the kernel's is loaded once.
fn compare_all<T: std::fmt::Debug>(
    inputs: impl Strategy<Value = T>,
    compare: impl Fn(&mut Kernel, T),
) {
    let kernel = RefCell::new(Kernel::load(&ALLOWED));
    let config = Config {
        cases: 2000,
        failure_persistence: None,
        ..Config::default()
    };
    let compared = TestRunner::new(config).run(&inputs, |input| {
        compare(&mut kernel.borrow_mut(), input);
        Ok(())
    });
    compared.unwrap();
}

fn compare_stream(kernel: &mut Kernel, (port, bytes, cuts): Stream) {
    kernel.compare(port, &bytes, &cuts, allowed);
}

#[test]
fn the_kernel_judges_mutated_greetings_like_the_twin() {
    requires!(Root);
    compare_all(mutated(), compare_stream);
}

#[test]
fn the_kernel_judges_random_bytes_like_the_twin() {
    requires!(Root);
    compare_all(random(), compare_stream);
}

/// What servers would read out of a stream, as widely used parsers see it.
mod servers {
    /// The name in a ClientHello, when rustls takes it.
    pub(super) fn server_name(mut bytes: &[u8]) -> Option<String> {
        let mut acceptor = rustls::server::Acceptor::default();
        while acceptor.read_tls(&mut bytes).ok()? > 0 {
            if let Some(accepted) = acceptor.accept().ok()? {
                return Some(accepted.client_hello().server_name()?.to_owned());
            }
        }
        None
    }

    /// The hosts of an HTTP request's head, when httparse takes it.
    pub(super) fn hosts(bytes: &[u8]) -> Option<Vec<String>> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut headers);
        request.parse(bytes).ok()?.is_complete().then_some(())?;
        let host = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("host");
        let text =
            |header: &httparse::Header<'_>| String::from_utf8_lossy(header.value).into_owned();
        Some(request.headers.iter().filter(host).map(text).collect())
    }
}

proptest! {
    #![proptest_config(Config { cases: 4000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_greeting_that_a_server_understands_passes_with_an_allowed_name_only((port, bytes, _) in mutated()) {
        let phase = read(port, &bytes, &[]).phase();
        if matches!(phase, Phase::Refused(_)) {
            return Ok(());
        }
        if let Some(name) = servers::server_name(&bytes) {
            prop_assert!(allowed(name.to_ascii_lowercase().trim_end_matches('.').as_bytes(), port), "{name}");
        }
        for host in servers::hosts(&bytes).into_iter().flatten() {
            let (name, _) = host.split_once(':').unwrap_or((&host, ""));
            let name = name.to_ascii_lowercase();
            let name = name.trim_end_matches('.').as_bytes();
            prop_assert!(ALLOWED.iter().any(|(allowed, _)| allowed.as_bytes() == name), "{host}");
        }
    }

    #[test]
    fn random_bytes_are_judged_the_same_however_they_are_cut((port, bytes, cuts) in mutated()) {
        prop_assert_eq!(read(port, &bytes, &cuts).phase(), read(port, &bytes, &[]).phase());
    }
}

/// A packet: sequence number, its flags, payload.
type Packet<'a> = (u32, &'a str, &'a [u8]);

/// Streams whose packets are lost, sent again, overlap, or come too early; what becomes of each packet.
fn flows() -> Vec<(&'static str, Vec<(Packet<'static>, Verdict)>)> {
    const RIGHT: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    const WRONG: &[u8] = b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
    let pass = Verdict::Pass;
    let early = Verdict::Early;
    let mismatch = Verdict::Refuse(Reason::HostMismatch);
    let right = |from: usize, to: usize| &RIGHT[from..to];
    let wrong = |from: usize, to: usize| &WRONG[from..to];
    vec![
        (
            "in order",
            vec![
                ((9, "syn", b""), pass),
                ((10, "", right(0, 20)), pass),
                ((30, "", right(20, 35)), pass),
            ],
        ),
        (
            "a wrong name, and what follows",
            vec![
                ((9, "syn", b""), pass),
                ((10, "", wrong(0, 20)), pass),
                ((30, "", wrong(20, 35)), mismatch),
                ((30, "", wrong(20, 35)), mismatch),
                ((45, "", b"x"), mismatch),
                ((45, "", b""), pass),
            ],
        ),
        (
            "sent again",
            vec![
                ((9, "syn", b""), pass),
                ((9, "syn", b""), pass),
                ((10, "", wrong(0, 20)), pass),
                ((9, "syn", b""), pass),
                ((10, "", wrong(0, 20)), pass),
                ((10, "", wrong(0, 10)), pass),
                ((30, "", wrong(20, 35)), mismatch),
            ],
        ),
        (
            "sent again with more",
            vec![
                ((9, "syn", b""), pass),
                ((10, "", wrong(0, 20)), pass),
                ((10, "", wrong(0, 35)), mismatch),
            ],
        ),
        (
            "a gap",
            vec![
                ((9, "syn", b""), pass),
                ((20, "", wrong(10, 35)), early),
                ((10, "", wrong(0, 10)), pass),
                ((20, "", wrong(10, 35)), mismatch),
            ],
        ),
        (
            "numbers that wrap around",
            vec![
                ((u32::MAX - 10, "syn", b""), pass),
                ((u32::MAX - 9, "", right(0, 20)), pass),
                ((u32::MAX - 9, "", right(0, 20)), pass),
                ((10, "", right(20, 35)), pass),
                ((25, "", WRONG), mismatch),
            ],
        ),
        (
            "data in the SYN",
            vec![
                ((9, "syn", wrong(0, 20)), pass),
                ((30, "", wrong(20, 35)), mismatch),
            ],
        ),
        (
            "a wrong name in the SYN",
            vec![((9, "syn", WRONG), mismatch), ((10, "", WRONG), mismatch)],
        ),
        (
            "data in the SYN that the peer did not take",
            vec![
                ((9, "syn", RIGHT), pass),
                ((10, "", RIGHT), pass),
                ((45, "", WRONG), mismatch),
            ],
        ),
        (
            "connected anew",
            vec![
                ((9, "syn", b""), pass),
                ((10, "", WRONG), mismatch),
                ((90, "syn", b""), pass),
                ((91, "", RIGHT), pass),
            ],
        ),
        (
            "connected anew after something else",
            vec![
                ((9, "syn", b""), pass),
                ((10, "", b"\0\0"), pass),
                ((12, "", WRONG), pass),
                ((90, "syn", b""), pass),
                ((91, "", WRONG), mismatch),
            ],
        ),
        (
            "no SYN",
            vec![
                ((9, "", b""), pass),
                ((9, "", RIGHT), Verdict::Refuse(Reason::UnknownStart)),
                ((9, "", RIGHT), Verdict::Refuse(Reason::UnknownStart)),
            ],
        ),
        (
            "an urgent byte",
            vec![
                ((9, "syn", b""), pass),
                ((10, "", right(0, 20)), pass),
                (
                    (30, "urgent", right(20, 21)),
                    Verdict::Refuse(Reason::UrgentData),
                ),
            ],
        ),
        (
            "an urgent pointer alone",
            vec![
                ((9, "syn", b""), pass),
                ((10, "urgent", b""), Verdict::Refuse(Reason::UrgentData)),
                ((10, "", RIGHT), Verdict::Refuse(Reason::UrgentData)),
            ],
        ),
        (
            "an urgent byte in something else",
            vec![
                ((9, "syn", b""), pass),
                ((10, "", b"\0\0"), pass),
                ((12, "urgent", WRONG), pass),
            ],
        ),
    ]
}

fn segment(packet: Packet<'static>) -> Segment<'static> {
    let (sequence, flags, payload) = packet;
    Segment {
        sequence,
        syn: flags == "syn",
        urgent: flags == "urgent",
        payload,
    }
}

#[test]
fn packets_are_judged_by_their_place_in_the_stream() {
    for (name, packets) in flows() {
        let mut flow = Flow::new(80);
        for (place, (packet, verdict)) in packets.into_iter().enumerate() {
            assert_eq!(
                flow.segment(&segment(packet), allowed),
                verdict,
                "{name}: packet {place}"
            );
        }
    }
}

#[test]
fn the_kernel_judges_packets_by_their_place_in_the_stream() {
    requires!(Root);
    let mut kernel = Kernel::load(&ALLOWED);
    for (name, packets) in flows() {
        kernel.reset();
        for (place, (packet, verdict)) in packets.into_iter().enumerate() {
            let told = kernel.segment(80, &segment(packet));
            assert_eq!(
                told.passed,
                verdict == Verdict::Pass,
                "{name}: packet {place}: {told:?}"
            );
            if let Verdict::Refuse(reason) = verdict {
                assert_eq!(
                    told.phase,
                    Some(Phase::Refused(reason)),
                    "{name}: packet {place}"
                );
            }
        }
    }
}

#[test]
fn the_kernel_judges_packets_out_of_order_like_the_twin() {
    requires!(Root);
    let index = || any::<prop::sample::Index>();
    let windows = proptest::collection::vec((index(), index(), 0..12), 1..12);
    compare_all(
        (mutated(), windows),
        |kernel, ((port, bytes, _), windows)| {
            kernel.reset();
            let mut flow = Flow::new(port);
            // Mostly one after another, some of them again, some too early, a few with a flag.
            let mut next = 0;
            for (from, len, kind) in windows {
                let from = if kind < 8 {
                    next
                } else {
                    from.index(bytes.len() + 1)
                };
                let to = from + len.index(bytes.len() + 1 - from);
                let segment = Segment {
                    // Data in the SYN begins one number later.
                    sequence: u32::try_from(from).unwrap() + u32::from(kind != 0 || from > 0),
                    syn: kind == 0 && from == 0,
                    urgent: kind == 11,
                    payload: &bytes[from..to.min(from + PAYLOAD_MAX)],
                };
                next = next.max(from + segment.payload.len());
                let verdict = flow.segment(&segment, allowed);
                let told = kernel.segment(port, &segment);
                assert_eq!(
                    (told.passed, told.phase),
                    (verdict == Verdict::Pass, flow.phase())
                );
            }
        },
    );
}
