//! What is told of wrong files: all of it at once, each with its place.

use runward_rules::Rules;

use crate::record::rule;

fn errors(text: &str) -> Vec<String> {
    match Rules::read(text) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

/// The first error of a condition on connections, and where it begins in it.
fn wrong(when: &str) -> String {
    let errors = errors(&rule("connect", when));
    errors.into_iter().next().unwrap_or_default()
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = "rules:
  - id: Not Kebab
    title: x
    severity: urgent
    on: conect
    when: 'true'
  - id: reverse-shell
    titel: x
    severity: low
    on: [connect, dns]
    when: event.nam == 'a' && procss.exe == \"b\"
    message: '{event.nme} and {job.brnch}'
  - id: two
    title: x
    severity: low
    on: connect
    once: path
    when: >
      event.port == '443'
      && process.args.startsWith('x')
  - just words
";
    insta::assert_snapshot!(errors(text).join("\n"));
}

#[test]
fn errors_say_what_to_do() {
    let told: Vec<String> = [
        "event.port = 443",
        "event.name == 'a' &&",
        "event.name",
        "event",
        "event.name == null",
        "event.port == 443.5",
        "event.protocol == 'tpc'",
        "event.status in ['allowed', 'refused']",
        "event.path.startsWith('/usr')",
        "event.name.startswith('a')",
        "event.name.matches('(')",
        "event.name.matches(event.ip)",
        "event.name.matches('(a{1000}){1000}')",
        "event.ip.inNetwork('10.0.0.0/33')",
        "event.port.startsWith('4')",
        "process.args == ['a']",
        "process.args[0] == 'a'",
        "process.args['x'] == 'a'",
        "process.ancestors.exists(p, p.exee == 'a')",
        "process.ancestors.exists(event, true)",
        "process.ancestors.exists(p, process.ancestors.exists(q, q.args.exists(a, a in p.args)))",
        "size(event.port) > 1",
        "1 / event.port > 2",
        "{'a': 1}.a == 1",
        "b'a' == b'a'",
        "event.exists(x, true)",
        "who == 'a'",
        "has(event)",
        "frobnicate(event.name)",
        "process.args.map(a, a + 'x').size() > 1",
        "[1, 'a'].size() == 2",
        "timestamp(event.time) > timestamp('2026-01-01T00:00:00Z')",
        "",
    ]
    .into_iter()
    .map(|when| format!("{when}\n    {}", wrong(when)))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn files_that_are_none_are_told() {
    let told: Vec<String> = [
        "",
        "[]",
        "rules: 3",
        "rules: [3]",
        "rule:\n  - id: a",
        "rules:\n  - id: a\n    id: b",
        "rules: &a []\nmore: *a",
        "rules: [[[[[[[[]]]]]]]]",
        "a: b: c",
        "rules: []\n---\nrules: []",
        "rules:\n  - {id: a, title: x, severity: low, on: [], when: 'true'}",
        "rules:\n  - {id: any, title: x, severity: low, on: dns, when: 'true'}",
        "rules:\n  - {id: a, title: \"x\\e[2J\", severity: low, on: dns, when: 'true'}",
        "rules:\n  - {id: a, title: x, severity: low, on: dns, when: 'true', message: 'a } b'}",
        "rules:\n  - {id: a, title: x, severity: low, on: dns, when: 'true', message: '{event.answers}'}",
    ]
    .into_iter()
    .map(|text| format!("{text}\n    {}", errors(text).join("\n    ")))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn what_a_file_may_have_is_bounded() {
    let one = |n: usize| {
        format!("  - {{id: r{n}, title: x, severity: low, on: dns, when: event.name == 'a'}}\n")
    };
    let many = |n: usize| "rules:\n".to_owned() + &(0..n).map(one).collect::<String>();
    assert_eq!(errors(&many(200)), Vec::<String>::new());
    assert!(errors(&many(201))[0].contains("at most 200 rules"));
    assert!(errors(&many(5_000))[0].contains("at most 262144 bytes"));

    let long = format!("event.name == '{}'", "a".repeat(2_000));
    assert!(wrong(&long).contains("more than 2000 bytes"));
    // Parentheses alone are no part of what is evaluated.
    wrong(&format!("{}true{}", "(".repeat(990), ")".repeat(990)));
    wrong(&"(".repeat(2_000));
    // Nor are pairs of `!`.
    wrong(&("!".repeat(999) + "true"));
    for deep in [
        "1".to_owned() + &" + 1".repeat(400) + " > 0",
        "process".to_owned() + &".parent".repeat(200),
        "[".repeat(500) + &"]".repeat(500),
    ] {
        let wrong = wrong(&deep);
        assert!(!wrong.is_empty(), "{deep}");
    }
}

#[test]
fn a_place_is_found_in_every_way_to_write_a_text() {
    for (when, place) in [
        ("event.port == 1 && event.nam == 'é'", "6:35"),
        ("\"é\\u00e9é\\\"\" ", "6:12"),
        ("'event.port == 1 && event.nam == ''é'' '", "6:36"),
        ("\"event.port == 1 && event.nam == 'é'\"", "6:36"),
        (
            "|\n      event.port == 1\n        && event.nam == 'é'",
            "8:17",
        ),
        (
            ">\n      event.port == 1\n      && event.nam == 'é'",
            "8:15",
        ),
        ("event.port == 1\n      && event.nam == 'é'", "7:15"),
    ] {
        let text = format!(
            "rules:\n  - id: a\n    title: x\n    severity: low\n    on: connect\n    when: {when}\n"
        );
        let errors = errors(&text);
        assert!(
            errors[0].starts_with(&format!("{place}: ")),
            "{when}: {errors:?}"
        );
    }
}
