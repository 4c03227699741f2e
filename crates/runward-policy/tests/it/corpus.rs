//! Lists that people really use. The collection is not part of this repository; without it these tests skip.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use runward_policy::{Action, Source, SourcePolicy, parse_endpoints};
use serde_json::Value;

use crate::flag;

/// The rows of one file of the collection. Says the test's name where it is missing, as `runward_lab::skip` does.
fn rows(test: &str, file: &str) -> Option<Vec<Value>> {
    let folder = std::env::var_os("RUNWARD_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus"),
        PathBuf::from,
    );
    let Ok(text) = std::fs::read_to_string(folder.join(file)) else {
        // Nothing can be done about a closed stderr.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED it::corpus::{test}: needs {file} in $RUNWARD_CORPUS or in ../shared/corpus beside the workspace"
        );
        return None;
    };
    let row = |line| serde_json::from_str(line).unwrap();
    Some(text.lines().map(row).collect())
}

/// Counts what becomes of each list: `parsed`, or the kinds of its faults.
fn outcome(text: &str, counts: &mut BTreeMap<String, usize>) {
    let outcome = match parse_endpoints(text, Action::Allow, &flag()) {
        Ok(endpoints) => {
            for warning in &endpoints.warnings {
                *counts
                    .entry(format!("warning {}", warning.doubt.kind()))
                    .or_default() += 1;
            }
            "parsed".to_owned()
        }
        Err(errors) => {
            let mut kinds: Vec<&str> = errors.iter().map(|error| error.fault.kind()).collect();
            kinds.sort_unstable();
            kinds.dedup();
            for error in &errors {
                assert!(error.place.line > 0 && error.place.column > 0);
                assert!(
                    error
                        .place
                        .excerpt
                        .contains(error.place.text.split_whitespace().next().unwrap())
                );
            }
            format!("fault {}", kinds.join(" "))
        }
    };
    *counts.entry(outcome).or_default() += 1;
}

#[test]
fn every_real_input_parses_or_its_fault_is_named() {
    let Some(rows) = rows(
        "every_real_input_parses_or_its_fault_is_named",
        "raw_inputs.jsonl",
    ) else {
        return;
    };
    let mut counts = BTreeMap::new();
    for row in &rows {
        outcome(row["raw"].as_str().unwrap(), &mut counts);
    }
    eprintln!("{} inputs: {counts:#?}", rows.len());
    let parsed = counts.get("parsed").copied().unwrap_or_default();
    // What is left in place of an expression can't be known; all but a few of the others are right.
    let expressions = counts.get("fault expression").copied().unwrap_or_default();
    assert!(
        (parsed + expressions) * 100 >= rows.len() * 99,
        "{counts:?}"
    );
    for kind in counts.keys().filter(|kind| kind.starts_with("fault")) {
        assert!(
            ["fault expression", "fault missing-port", "fault colons"].contains(&kind.as_str()),
            "{kind}"
        );
    }
}

#[test]
fn every_real_allowlist_parses_or_its_fault_is_named() {
    let Some(rows) = rows(
        "every_real_allowlist_parses_or_its_fault_is_named",
        "allowlists.jsonl",
    ) else {
        return;
    };
    let mut counts = BTreeMap::new();
    for row in &rows {
        let list: Vec<&str> = row["allowed_endpoints"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        outcome(&list.join("\n"), &mut counts);
        if let Some(mode) = row["policy"].as_str() {
            let read = SourcePolicy::of_mode(mode, Source::Flag("--egress-policy".to_owned()));
            assert_eq!(read.is_err(), mode.contains("${{"), "{mode}");
        }
    }
    eprintln!("{} lists: {counts:#?}", rows.len());
    for kind in counts.keys().filter(|kind| kind.starts_with("fault")) {
        assert_eq!(kind, "fault expression");
    }
}
