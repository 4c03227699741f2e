//! `docs/rules.md`: its examples work, and it names what there is.

use std::fs;
use std::path::Path;

use runward_rules::words;

use crate::record::{rules, run};

fn docs() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn examples(docs: &str) -> Vec<String> {
    let blocks = docs.split("```yaml\n").skip(1);
    blocks
        .filter_map(|block| Some(block.split_once("```")?.0.to_owned()))
        .collect()
}

#[test]
fn every_example_of_the_docs_finds_what_it_says() {
    let record = include_str!("../records/examples.jsonl");
    let mut found = Vec::new();
    for example in examples(&docs()) {
        let (findings, notes) = run(&mut rules(&example), record);
        assert!(notes.is_empty(), "{notes:?}");
        found.extend(
            findings.into_iter().map(|finding| {
                format!("{} {}: {}", finding.seq, finding.detection, finding.message)
            }),
        );
    }
    insta::assert_snapshot!(found.join("\n"));
}

#[test]
fn the_docs_name_every_field_of_a_process() {
    let docs = docs();
    for word in words("connect") {
        let Some(field) = word.path.strip_prefix("process.") else {
            continue;
        };
        if !field.starts_with("parent.") {
            assert!(docs.contains(&format!("`{field}`")), "{field}");
        }
    }
}

#[test]
fn every_kind_of_event_can_be_asked_for() {
    for kind in [
        "job_start",
        "process_exec",
        "connect",
        "dns",
        "refused",
        "tamper",
        "file_write",
        "lost",
    ] {
        let words = words(kind);
        let has = |path: &str| words.iter().any(|word| word.path == path);
        assert!(
            has("event.kind") && has("event.seq") && has("event.time"),
            "{kind}"
        );
        assert!(has("process.parent.dependency.name"), "{kind}");
        assert!(
            has("job.branch") && has("job.context.fork") && !has("job.notes"),
            "{kind}"
        );
    }
    let kind_of = |path: &str| {
        words("process_exec")
            .into_iter()
            .find(|word| word.path == path)
            .unwrap()
            .kind
    };
    assert_eq!(kind_of("event.facts.unlinked"), "bool");
    assert_eq!(kind_of("event.env"), "map");
    assert_eq!(kind_of("event.args"), "list");
    assert_eq!(kind_of("event.pid"), "int");
    assert_eq!(kind_of("event.time"), "string");
}
