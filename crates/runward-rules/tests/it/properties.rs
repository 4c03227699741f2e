//! Whatever a file says and whatever a record has: an answer, and no panic.

use proptest::prelude::*;
use runward_detect::Observer as _;
use runward_rules::Rules;
use runward_tree::Tree;

use crate::record::{RECORD, events, rule};

/// Conditions that are right but for their bounds, and a word that nobody knows now and then.
fn expression() -> impl Strategy<Value = String> {
    let pick = |words: Vec<&'static str>| prop::sample::select(words).prop_map(str::to_owned);
    let text = move || {
        pick(vec![
            "event.name",
            "event.ip",
            "process.exe",
            "process.parent.dependency.name",
            "job.branch",
            "'a'",
            "\"\\u00e9\\n\"",
            "r'\\w'",
            "string(event.port)",
            "process.step.lowerAscii()",
            "event.env['X']",
        ])
    };
    let number = move || {
        pick(vec![
            "event.pid",
            "size(process.args)",
            "1",
            "0",
            "-9223372036854775808",
            "9223372036854775807",
            "size(event.name)",
            "int(event.name)",
        ])
    };
    let list = move || {
        pick(vec![
            "process.args",
            "process.parent.args",
            "['a', 'b']",
            "[]",
            "process.ancestors.map(p, p.exe)",
            "job.args",
            "process.args.filter(p, p != 'a')",
        ])
    };
    let order = move || pick(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        (text(), order(), text()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
        (
            number(),
            pick(vec!["+", "-", "*", "/", "%"]),
            number(),
            order(),
            number()
        )
            .prop_map(|(a, op, b, order, c)| format!("{a} {op} {b} {order} {c}")),
        (
            text(),
            pick(vec!["startsWith", "endsWith", "contains"]),
            text()
        )
            .prop_map(|(a, call, b)| format!("{a}.{call}({b})")),
        (text(), pick(vec!["a+", "^\\\\w*$", "(a|b){0,9}", "("]))
            .prop_map(|(a, pattern)| format!("{a}.matches('{pattern}')")),
        (text(), list()).prop_map(|(a, list)| format!("{a} in {list}")),
        pick(vec![
            "true",
            "false",
            "has(event.name)",
            "job.context.fork",
            "has(process.ancestors)",
            "nothing"
        ]),
    ];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        prop_oneof![
            (inner.clone(), pick(vec!["&&", "||"]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (
                list(),
                pick(vec!["exists", "all", "exists_one"]),
                inner.clone()
            )
                .prop_map(|(list, name, body)| format!("{list}.{name}(p, p != 'a' && {body})")),
            (pick(vec!["exists", "all"]), inner.clone()).prop_map(|(name, body)| format!(
                "process.ancestors.{name}(p, has(p.step) || {body})"
            )),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

fn ask(text: &str) -> bool {
    match Rules::read(text) {
        Ok(mut rules) => {
            let mut tree = Tree::default();
            let mut findings = Vec::new();
            for event in events(RECORD) {
                tree.apply(&event);
                rules.observe(&event, &tree, &mut findings);
            }
            for finding in findings {
                assert!(!finding.message.chars().any(char::is_control));
            }
            for note in rules.notes() {
                assert!(!note.chars().any(char::is_control), "{note}");
            }
            true
        }
        Err(errors) => {
            assert!(!errors.is_empty() && errors.len() <= 101);
            for error in errors {
                assert!(error.line > 0 && error.column > 0);
                assert!(!error.message.chars().any(char::is_control), "{error}");
            }
            false
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_expression_is_refused_or_has_an_answer(when in expression()) {
        ask(&rule("[connect, process_exec]", &when));
        ask(&rule("[process_exec, process_exit]", &when));
    }

    #[test]
    fn text_like_an_expression_ends_without_a_panic(when in "[a-z.()\\[\\]{}'\"\\\\&|!=<>+?:,0-9xur \n\u{e9}-]{0,60}") {
        ask(&rule("connect", &when));
        let message = when.replace(['\n', '\''], " ");
        ask(&(rule("connect", "true") + &format!("    message: 'a {message} b'\n")));
    }

    #[test]
    fn text_like_a_file_ends_without_a_panic(text in "(rules|id|on|when|-|:|\n|  |connect|'|\"|\\||>|[a-z{}&*#\u{e9}]){0,60}") {
        ask(&text);
        ask(&format!("rules:\n  - {text}"));
    }
}

#[test]
fn the_generator_makes_rules_that_are_right_and_rules_that_are_wrong() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut right = 0;
    for _ in 0..400 {
        let when = expression().new_tree(&mut runner).unwrap().current();
        right += usize::from(ask(&rule("[connect, process_exec]", &when)));
    }
    assert!((10..390).contains(&right), "{right} of 400 are right");
}
