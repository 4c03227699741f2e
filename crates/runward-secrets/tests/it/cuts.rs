//! A stream comes in pieces of any size, and its lines have any length.

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::*;

/// What is found when the text is cut at these places.
fn found_in_pieces(text: &[u8], mut cuts: Vec<usize>) -> BTreeSet<Found> {
    let finder = finder();
    let mut found = BTreeSet::new();
    let mut stream = Stream::default();
    cuts.push(text.len());
    cuts.sort_unstable();
    let mut from = 0;
    for to in cuts {
        stream.feed(&finder, &text[from..to], &mut |one| {
            found.insert(one);
        });
        from = to;
    }
    stream.finish(&finder, &mut |one| {
        found.insert(one);
    });
    found
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let inner = || prop::sample::select(vec![value(), token(), "plain words".to_owned()]);
    prop_oneof![
        4 => inner().prop_map(String::into_bytes),
        4 => inner().prop_map(|text| base64(text).into_bytes()),
        4 => inner().prop_map(|text| base64(base64(text)).into_bytes()),
        2 => (inner(), 0_usize..200).prop_map(|(text, n)| {
            wrapped(format!("{}{text}{}", "a ".repeat(n), "b ".repeat(n)), 76).into_bytes()
        }),
        4 => Just(b"\n".to_vec()),
        1 => Just(b"\r\n".to_vec()),
        1 => Just(b" ".to_vec()),
        1 => (0_usize..40_000, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => Just(b"-----BEGIN X PRIVATE KEY-----\n".to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 48 } else { 512 }))]

    #[test]
    fn the_same_is_found_wherever_the_stream_is_cut(
        pieces in prop::collection::vec(piece(), 0..24),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..24),
    ) {
        let text = pieces.concat();
        let cuts = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        prop_assert_eq!(found_in_pieces(&text, cuts), found_in_pieces(&text, Vec::new()));
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands_in_a_line_without_end(
        before in 0_usize..70_000,
        after in 0_usize..30_000,
        layers in 0_u8..3,
    ) {
        let mut text = token();
        for _ in 0..layers {
            text = base64(format!("{text} "));
        }
        let line = format!("{} {text} {}", ".".repeat(before), ".".repeat(after));
        let found = found_in(&line);
        prop_assert_eq!(found.len(), 1);
        let plain = found_in(token());
        prop_assert_eq!(&found[0].hash, &plain[0].hash);
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands_in_long_encoded_text(
        before in 0_usize..50_000,
        after in 0_usize..20_000,
        twice in any::<bool>(),
    ) {
        let text = format!("{} {} {}", ".".repeat(before), token(), ".".repeat(after));
        let once = base64(text);
        let line = if twice { base64(once) } else { once };
        let found = found_in(&line);
        prop_assert!(found.iter().any(|one| one.hash == found_in(token())[0].hash), "{:?}", found);
    }
}
