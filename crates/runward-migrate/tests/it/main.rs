//! Files of other tools, taken over: what changes, what stays, and what is told.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod corpus;
mod firewall;
mod oddities;
mod properties;
mod steps;
mod tools;

use runward_migrate::{Action, Migration, Refusal, Weight, migrate_workflow};
use similar::TextDiff;

fn migrate(text: &str) -> Result<Migration, Refusal> {
    migrate_workflow(text, &Action::default())
}

/// What a person would see: the changed lines and the remarks, or why nothing is changed.
fn seen(text: &str, migration: Result<Migration, Refusal>) -> String {
    match migration {
        Ok(migration) => {
            let mut seen = match &migration.text {
                Some(new) => changes(text, new),
                None => "nothing to do\n".to_owned(),
            };
            for remark in &migration.remarks {
                let weight = match remark.weight {
                    Weight::Lost => "lost",
                    Weight::Note => "note",
                };
                seen.push_str(&format!("{weight} {}: {}\n", remark.line, remark.text));
            }
            seen
        }
        Err(refusal) => format!("refused {}:{}: {refusal}\n", refusal.line, refusal.column),
    }
}

fn changes(old: &str, new: &str) -> String {
    let visible = |text: &str| text.replace('\r', "\\r").replace('\u{feff}', "\\u{feff}");
    let (old, new) = (visible(old), visible(new));
    TextDiff::from_lines(&old, &new)
        .unified_diff()
        .context_radius(1)
        .to_string()
}

/// One case of a table: its snapshot has its name. What came out does not change once more.
fn check(name: &str, text: &str) {
    let migration = migrate(text);
    if let Ok(Migration {
        text: Some(new), ..
    }) = &migration
    {
        assert_eq!(migrate(new).unwrap().text, None, "{name}");
    }
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(name, seen(text, migration));
    });
}
