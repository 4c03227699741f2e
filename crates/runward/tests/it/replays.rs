//! Incidents of the last years, re-enacted: each is seen, named and attributed, on every kernel.

use std::io::Write as _;

use runward_lab::replay::{REPLAYS, table};
use runward_lab::{requires, skip_part, test_name};

use crate::bed::{binary, mount_bpffs};

#[test]
fn every_incident_is_seen_named_and_attributed() {
    requires!(Root, Netns);
    mount_bpffs();
    let mut rows = Vec::new();
    for replay in REPLAYS {
        match replay.lacks() {
            Some(reason) => skip_part(test_name!(), replay.name, &reason),
            None => rows.push(replay.play(&binary()).unwrap()),
        }
    }
    // Past the harness, which would hide it: the table of this kernel.
    let _ = std::io::stderr().write_all(table(&rows).as_bytes());
    let wrong: Vec<_> = rows.iter().filter(|row| !row.is_right()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(rows.len() >= 15, "{}", rows.len());
}
