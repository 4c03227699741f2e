//! Records that are not as the agent writes them. `fuzz:streams` tries more of them, for longer.

use proptest::prelude::*;

use crate::forges::check as is_valid_sarif;
use crate::mutated::{check, events, lines};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_to_a_record_its_report_is_whole_and_harmless(
        script in proptest::collection::vec(any::<u8>(), 4..160), cut: usize,
    ) {
        check(&events(&lines(&script)), cut);
    }
}

/// Every fixture by itself, broken off after each of its events.
#[test]
fn a_record_that_breaks_off_gives_what_was_found_before() {
    for fixture in 0..13 {
        let events = events(&lines(&[0, fixture, 0, 0]));
        assert!(events.len() > 5);
        let found = (0..=events.len())
            .map(|cut| check(&events, cut))
            .map(|report| report.detections.len());
        assert!(found.min() > Some(0));
    }
}

/// All at once, twice, backwards: three jobs in one file are no job, and still a report.
#[test]
fn records_run_together_are_told_as_code_scanning_wants_them() {
    let script: Vec<u8> = (0..13).flat_map(|fixture| [0, fixture, 0, 0]).collect();
    let mut events = events(&lines(&script));
    is_valid_sarif(&check(&events, 7));
    events.extend(events.clone());
    is_valid_sarif(&check(&events, 7));
    events.reverse();
    is_valid_sarif(&check(&events, 7));
}
