//! The ways in which a secret is written.

use runward_event::Encoding;

use crate::*;

/// Rule, encoding and line of each.
fn kinds(text: impl AsRef<[u8]>) -> Vec<(String, Encoding, u64)> {
    let found = found_in(text).into_iter();
    found
        .map(|one| (one.rule, one.encoding, one.line))
        .collect()
}

fn variable(encoding: Encoding, line: u64) -> Vec<(String, Encoding, u64)> {
    vec![("environment-variable".to_owned(), encoding, line)]
}

fn rule(encoding: Encoding, line: u64) -> Vec<(String, Encoding, u64)> {
    vec![("gitlab-pat".to_owned(), encoding, line)]
}

#[test]
fn a_variables_value_is_found_in_every_encoding_and_at_every_place_in_it() {
    for before in ["", "x", "xy", "xyz", "{\"token\":\""] {
        let plain = format!("{before}{}\"}}", value());
        let once = base64(&plain);
        let twice = base64(&once);
        assert_eq!(kinds(format!("a\n{plain}\n")), variable(Encoding::Plain, 2));
        assert_eq!(
            kinds(format!("a\n={once}\n")),
            variable(Encoding::Base64, 2)
        );
        assert_eq!(
            kinds(format!("a\n{twice}")),
            variable(Encoding::Base64Twice, 2)
        );
        // Attached to other characters of base64.
        assert_eq!(kinds(format!("ab{once}\n")), variable(Encoding::Base64, 1));
    }
}

#[test]
fn a_token_is_found_in_every_encoding() {
    let text = format!("the token is {} today", token());
    let once = base64(&text);
    assert_eq!(kinds(&text), rule(Encoding::Plain, 1));
    assert_eq!(kinds(&once), rule(Encoding::Base64, 1));
    assert_eq!(kinds(base64(&once)), rule(Encoding::Base64Twice, 1));
    assert_eq!(kinds(base64(base64(&once))), [], "three times is too much");
}

#[test]
fn wrapped_base64_is_put_together() {
    let filler = "some text before and after it, long enough to fill a line; ".repeat(20);
    let text = format!("{filler} {} {filler}", token());
    for width in [64, 76] {
        let once = wrapped(&text, width);
        let got = kinds(format!("first line\n{once}last line\n"));
        assert_eq!(got, rule(Encoding::Base64, 2), "{width}");
        let twice = wrapped(wrapped(&text, 76), width);
        assert_eq!(kinds(twice), rule(Encoding::Base64Twice, 1), "{width}");
        let windows = once.replace('\n', "\r\n");
        assert_eq!(kinds(windows), rule(Encoding::Base64, 1), "{width}");
    }
}

#[test]
fn what_the_memory_of_a_runner_holds_is_found_as_the_incidents_printed_it() {
    let memory = r#""INERT":{"value":"aQ7-inert-thing","isSecret":true}"#;
    let got = kinds(base64(base64(memory)));
    let rule = "github-runner-secret".to_owned();
    assert_eq!(got, [(rule, Encoding::Base64Twice, 1)]);
}

#[test]
fn a_secret_has_one_hash_in_all_its_encodings_and_another_with_another_key() {
    let text = format!("{}\n{}\n", value(), base64(value()));
    let found = found_in(&text);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].hash, found[1].hash);
    assert!(!format!("{found:?}").contains(&value()));

    let variable = Variable {
        name: "DEPLOY_TOKEN".to_owned(),
        value: value().into_bytes(),
    };
    let other = Finder::new([8; 32], vec![variable], false);
    assert_ne!(found_by(&other, &text)[0].hash, found[0].hash);
}

#[test]
fn each_is_told_once_and_what_is_too_much_is_counted() {
    let text = format!("{}\n", token()).repeat(1_000);
    assert_eq!(kinds(&text), rule(Encoding::Plain, 1));

    let finder = finder();
    let mut stream = Stream::default();
    let mut told = 0;
    for number in 0..600 {
        let line = format!("{}-xZ8_kQ2-wE5rT9yU{number:04}\n", "glpat");
        stream.feed(&finder, line.as_bytes(), &mut |_| told += 1);
    }
    assert_eq!((told, stream.untold()), (500, 100));
}

#[test]
fn a_value_that_is_masked_on_purpose_is_no_finding() {
    let text = format!("::add-mask::{}\n", value());
    assert_eq!(kinds(&text), []);
    let elsewhere = Finder::new(
        [7; 32],
        vec![Variable {
            name: "T".to_owned(),
            value: value().into_bytes(),
        }],
        false,
    );
    assert_eq!(found_by(&elsewhere, &text).len(), 1);
}

#[test]
fn what_waits_for_the_end_of_its_line_can_be_looked_at_before() {
    let finder = finder();
    let mut stream = Stream::default();
    let mut found = Vec::new();
    let text = format!("Password: {}", value());
    stream.feed(&finder, text.as_bytes(), &mut |one| found.push(one));
    assert!(found.is_empty());
    stream.peek(&finder, &mut |one| found.push(one));
    assert_eq!(found.len(), 1);
    stream.feed(&finder, b" and more\n", &mut |one| found.push(one));
    stream.finish(&finder, &mut |one| found.push(one));
    assert_eq!(found.len(), 1, "and it is not told again");
}
