//! Files of other tools: a file is refused with its place, or what came out is YAML, says so once, and has no step of the
//! other tools left that could be taken over.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runward_migrate::{Action, Migration, migrate_firewall, migrate_workflow};
use runward_policy::{Source, parse_file};

fuzz_target!(|text: &str| {
    let action = Action::default();
    match migrate_workflow(text, &action) {
        Err(refusal) => {
            assert!(refusal.line > 0 && refusal.column > 0);
            assert!(!refusal.to_string().contains(['\n', '\x1b']));
        }
        Ok(migration) => {
            sound(&migration);
            if let Some(new) = migration.text {
                assert_ne!(new, text);
                let again = migrate_workflow(&new, &action);
                assert!(again.is_ok_and(|again| again.text.is_none()));
            }
        }
    }
    if let Ok(migration) = migrate_firewall(text) {
        sound(&migration);
        if let Some(new) = migration.text {
            assert!(parse_file(&new, Source::File(".runward.yml".to_owned())).is_ok());
        }
    }
});

fn sound(migration: &Migration) {
    for remark in &migration.remarks {
        assert!(remark.line > 0);
        assert!(!remark.text.contains(['\n', '\x1b']));
    }
}
