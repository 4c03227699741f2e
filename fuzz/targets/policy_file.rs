//! Policy files: what is read makes a policy that judges, and whose allowed endpoints can be printed and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use runward_policy::{
    Actor, Endpoint, Matcher, Name, Question, Source, Transport, combine, parse_file,
};

fuzz_target!(|text: &str| {
    let policy = match parse_file(text, Source::File("policy.yml".to_owned())) {
        Ok(policy) => policy,
        Err(errors) => {
            assert!(!errors.is_empty());
            for error in errors {
                assert!(!error.to_string().contains(['\n', '\x1b']));
                assert!(error.place.line > 0 && error.place.column > 0);
            }
            return;
        }
    };
    let Ok(policy) = combine(vec![policy]) else {
        return;
    };
    for rule in policy.rules() {
        let read = Endpoint::parse(&rule.spelled(), rule.action);
        assert_eq!(read.as_ref(), Ok(&rule.endpoint));
    }
    judges(&Matcher::new(policy));
});

/// The verdict is the one that the kernel is told for the name.
fn judges(matcher: &Matcher) {
    let Ok(name) = Name::parse("a.example") else {
        return;
    };
    let actor = Actor {
        step: Some("build"),
        executable: Some("/usr/bin/curl"),
        image: None,
    };
    let question = Question {
        name: Some(&name),
        ip: None,
        port: 443,
        transport: Transport::Tcp,
        actor,
    };
    let allowed = matcher.judge(&question).is_allowed();
    let grants = matcher.grants_for_name(&name);
    if !grants.truncated {
        let granted = grants.allow(Transport::Tcp, 443, matcher.policy().fits(&actor));
        assert_eq!(granted.is_some(), allowed);
    }
}
