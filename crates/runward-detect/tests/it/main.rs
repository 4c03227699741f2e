//! Runs the fixture of every detection, and checks that a detection is complete: source, fixture, expected result,
//! docs section.
//!
//! After a wanted change, `UPDATE_EXPECT=1 cargo test -p runward-detect` writes the expected results anew; read them.

mod bounded;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use runward_detect::Finding;
use runward_tree::Tree;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn ids() -> BTreeSet<String> {
    let all = runward_detect::all();
    let ids: BTreeSet<String> = all
        .iter()
        .map(|detection| detection.about().id.to_owned())
        .collect();
    assert_eq!(ids.len(), all.len(), "two detections have one id");
    let abouts = runward_detect::ABOUTS.map(|about| about.id);
    let in_order: Vec<&str> = all.iter().map(|detection| detection.about().id).collect();
    assert_eq!(in_order, abouts, "what is known of them, in the same order");
    ids
}

/// What all detections together find in a recorded job.
fn findings(events: &str) -> Vec<Finding> {
    let mut detections = runward_detect::all();
    let mut tree = Tree::default();
    let mut findings = Vec::new();
    for line in events.lines() {
        let event =
            runward_event::parse_line(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        tree.apply(&event);
        for detection in &mut detections {
            detection.observe(&event, &tree, &mut findings);
        }
    }
    findings
}

#[test]
fn every_fixture_gives_exactly_the_expected_result() {
    for id in ids() {
        let folder = repository().join("tests/scenarios").join(&id);
        let found = findings(&read(&folder.join("events.jsonl")));
        assert!(
            found.iter().any(|finding| finding.detection == id),
            "the fixture of {id} does not make it fire"
        );
        for finding in &found {
            assert!(
                finding.path.is_none() || finding.destination.is_none(),
                "{finding:?}"
            );
        }
        let found =
            serde_json::to_string_pretty(&found).map_or_else(|e| panic!("{e}"), |t| t + "\n");
        let expected = folder.join("expected.json");
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&expected, &found).unwrap_or_else(|e| panic!("{}: {e}", expected.display()));
        }
        assert_eq!(
            found,
            read(&expected),
            "what is found in the fixture of {id} has changed"
        );
    }
}

#[test]
fn every_detection_is_complete_and_nothing_is_left_over() {
    let ids = ids();

    let folders = fs::read_dir(repository().join("tests/scenarios"))
        .unwrap_or_else(|error| panic!("tests/scenarios: {error}"))
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    assert_eq!(ids, folders, "detections and folders in tests/scenarios");

    let docs = read(&repository().join("docs/detections.md"));
    let sections = docs
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        ids, sections,
        "detections and sections in docs/detections.md"
    );

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for id in &ids {
        let file = source.join(format!("{}.rs", id.replace('-', "_")));
        assert!(file.is_file(), "{id} has no file {}", file.display());
    }
}
