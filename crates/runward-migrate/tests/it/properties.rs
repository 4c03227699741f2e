//! What holds for every text.

use proptest::prelude::*;
use runward_migrate::{Migration, migrate_firewall};

use crate::steps::of_action;
use crate::{changes, migrate};

/// Lines of which YAML is made, right and wrong.
const PIECES: &[&str] = &[
    "jobs:",
    "  a:",
    "    steps:",
    "runs:",
    "  steps:",
    "    - ",
    "  - ",
    "      ",
    "        ",
    "          ",
    "uses: ",
    "with:",
    "step-security/harden-runner@v2",
    "bullfrogsec/bullfrog@v1",
    "cycodelabs/cimon-action@v0",
    "egress-policy: ",
    "block",
    "allowed-endpoints: ",
    "allowed-domains: ",
    "allowed-ips: ",
    "allowed-hosts: ",
    "prevent: ",
    "enable-sudo: ",
    "dns-policy: any",
    "api-token: x",
    "a.example",
    "192.0.2.1",
    "*.b.example",
    "*",
    "|",
    ">-",
    "|2",
    "|+",
    "'",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ", ",
    ": ",
    "- ",
    "&x ",
    "*x",
    "!!str ",
    "<<: ",
    "# v2",
    " # note",
    "${{ x }}",
    "true",
    "\n",
    "\n",
    "\n",
    "\r\n",
    "\t",
    " ",
    "\u{feff}",
    "\u{fc}",
    "---\n",
    "...\n",
    "? ",
    "mode: enforce",
    "allow:",
    "no-default-urls: true",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES).prop_map(str::to_owned);
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// A scalar as people write lists, at an indentation of eight.
fn list() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "a.example",
        "*.b.example",
        "c-*.example",
        "*d.example",
        "*",
        "192.0.2.1",
        "198.51.100.0/24",
        "${{ x.y }}",
        "bad host!",
        "e.example:443",
    ]);
    let words = prop::collection::vec(word, 0..5);
    (words, 0..8_usize).prop_map(|(words, style)| match style {
        0 => format!("|\n          {}\n", words.join("\n          ")),
        1 => format!(">-\n          {}\n", words.join(" ")),
        2 => format!(
            "|+ # kept\n\n           {}\n\n\n",
            words.join("\n\n           ")
        ),
        3 => format!("'{}'\n", words.join(", ")),
        4 => format!("\"{}\" # said\n", words.join("\\n")),
        5 => format!("'{}\n          '\n", words.join("\n          ")),
        6 => format!(
            "\n          x.example {}\n",
            words.join(" ").replace('*', "x")
        ),
        _ => "\n".to_owned(),
    })
}

/// A bullfrog step with some inputs in some order.
fn step() -> impl Strategy<Value = String> {
    let input = prop_oneof![
        list().prop_map(|list| ("allowed-domains", list)),
        list().prop_map(|list| ("allowed-ips", list)),
        Just(("egress-policy", "block\n".to_owned())),
        Just(("enable-sudo", "${{ inputs.sudo }} # perhaps\n".to_owned())),
        Just(("dns-policy", "any\n".to_owned())),
        Just(("_agent-version", "'1' # old\n\n".to_owned())),
    ];
    prop::collection::btree_map(0..6_usize, input, 0..6).prop_map(|inputs| {
        let mut step =
            "    - uses: bullfrogsec/bullfrog@v1 # v1\n      with:\n        # first\n".to_owned();
        let mut seen = Vec::new();
        for (name, value) in inputs.into_values() {
            if !seen.contains(&name) {
                seen.push(name);
                step.push_str(&format!("        {name}: {value}"));
            }
        }
        step
    })
}

/// What a result has to hold, whatever the text was.
fn holds(text: &str, migration: &Migration) {
    let lines = u32::try_from(text.lines().count().max(1)).unwrap();
    for remark in &migration.remarks {
        assert!(remark.line >= 1 && remark.line <= lines, "{remark:?}");
        assert!(!remark.text.contains(char::is_control), "{remark:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn no_text_panics_and_no_result_changes_once_more(text in text()) {
        match migrate(&text) {
            Err(refusal) => prop_assert!(!refusal.to_string().contains(char::is_control)),
            Ok(migration) => {
                holds(&text, &migration);
                if let Some(new) = migration.text {
                    prop_assert_eq!(migrate(&new).unwrap().text, None, "{}", changes(&text, &new));
                }
            }
        }
        if let Ok(migration) = migrate_firewall(&text) {
            holds(&text, &migration);
        }
    }

    #[test]
    fn nothing_outside_of_a_step_changes(
        steps in prop::collection::vec(step(), 1..4),
        crlf in any::<bool>(),
    ) {
        let line_ending = |text: &str| if crlf { text.replace('\n', "\r\n") } else { text.to_owned() };
        let before = line_ending("# x\n\njobs:   {}\nruns: # y\n    steps:\n");
        let between = line_ending("    # z\n    - run:   'make' # \u{fc}\n      env: {A: [b, c,]}\n\n");
        let mut text = before.clone();
        for step in &steps {
            text.push_str(&line_ending(step));
            text.push_str(&between);
        }
        let migration = migrate(&text).unwrap_or_else(|refusal| panic!("{refusal:?}\n{text}"));
        holds(&text, &migration);
        let new = migration.text.unwrap();
        let parts: Vec<&str> = new.split(between.as_str()).collect();
        prop_assert_eq!(parts.len(), steps.len() + 1, "{}", changes(&text, &new));
        prop_assert!(new.starts_with(&before));
        prop_assert_eq!(parts.last().copied(), Some(""));
        prop_assert!(!new.contains("bullfrog"), "{}", changes(&text, &new));
        prop_assert_eq!(of_action(&new, "runward/").len(), steps.len());
        prop_assert_eq!(!crlf, !new.contains('\r'));
        if crlf {
            prop_assert_eq!(new.matches('\n').count(), new.matches("\r\n").count());
        }
        prop_assert_eq!(migrate(&new).unwrap().text, None);
    }
}
