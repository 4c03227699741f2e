//! Rules of a user's own: a file is refused with places, or its rules answer for every event, without a panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use runward_detect::Observer as _;
use runward_event::{Event, parse_line};
use runward_rules::Rules;
use runward_tree::Tree;

/// A record with processes, steps, a dependency, connections and files.
static EVENTS: LazyLock<Vec<Event>> = LazyLock::new(|| {
    include_str!("../../crates/runward-rules/tests/records/examples.jsonl")
        .lines()
        .map(|line| parse_line(line).expect("an event"))
        .collect()
});

fuzz_target!(|text: &str| {
    if text.starts_with("rules:") {
        return ask(text);
    }
    // Most inputs should get as far as an expression; the second line is a message.
    let (when, message) = text.split_once('\n').unwrap_or((text, ""));
    let quoted = |text: &str| format!("{:?}", text.replace(['\\', '\''], "'"));
    for kind in ["[connect, process_exec]", "[file_write, job_start]"] {
        let mut file = format!(
            "rules:\n  - id: a\n    title: x\n    severity: low\n    on: {kind}\n    when: |\n      {}\n",
            when.replace(char::is_control, " ")
        );
        if !message.is_empty() {
            file += &format!("    message: {}\n", quoted(message));
        }
        ask(&file);
    }
});

fn ask(text: &str) {
    match Rules::read(text) {
        Ok(mut rules) => {
            let mut tree = Tree::default();
            let mut findings = Vec::new();
            for event in EVENTS.iter() {
                tree.apply(event);
                rules.observe(event, &tree, &mut findings);
            }
            let said = findings.iter().map(|finding| &finding.message);
            let notes = rules.notes();
            for sentence in said.chain(&notes) {
                assert!(!sentence.contains(['\n', '\x1b']));
            }
        }
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.to_string().contains(['\n', '\x1b']));
                assert!(error.line > 0 && error.column > 0);
            }
        }
    }
}
