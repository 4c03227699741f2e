//! Lists of endpoints, as CI inputs carry them: what is read can be printed and read again.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use runward_policy::{Action, Endpoint, Source, parse_endpoints};

fuzz_target!(|text: &str| {
    let source = Arc::new(Source::Flag("--allowed-endpoints".to_owned()));
    for action in [Action::Allow, Action::Deny] {
        match parse_endpoints(text, action, &source) {
            Err(errors) => {
                assert!(!errors.is_empty());
                for error in errors {
                    assert!(!error.to_string().contains(['\n', '\x1b']));
                    assert!(error.place.line > 0 && error.place.column > 0);
                }
            }
            Ok(endpoints) => {
                for rule in endpoints.rules {
                    let read = Endpoint::parse(&rule.spelled(), action);
                    assert_eq!(read, Ok(rule.endpoint));
                }
            }
        }
    }
});
