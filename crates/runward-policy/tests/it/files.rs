use std::path::PathBuf;

use runward_event::Mode;
use runward_policy::{
    Action, Actor, Group, Matcher, Name, PolicyError, Question, Rule, Source, SourcePolicy,
    Transport, combine, parse_file, policy_schema,
};
use serde_json::{Value, json};

fn read(text: &str) -> Result<SourcePolicy, Vec<PolicyError>> {
    parse_file(text, Source::File("policy.yml".to_owned()))
}

fn spelled(rules: &[Rule]) -> Vec<String> {
    let spell = |rule: &Rule| {
        format!(
            "{}:{} {}",
            rule.origin.line,
            rule.origin.column,
            rule.spelled()
        )
    };
    rules.iter().map(spell).collect()
}

const WHOLE: &str = r#"# What the release job needs.
egress-policy: block
allowed-endpoints:
  - github.com:443            # sources
  - "*.actions.githubusercontent.com"
  - endpoint: upload.example:443
    steps: [Publish, "Upload *"]
    executables: curl
    images: registry.example/publisher
    reason: the finished archive
  - a.example b.example:80
denied-endpoints: >
  # never again
  old.example
  192.0.2.0/24:25
"#;

#[test]
fn a_whole_file_is_read_with_places() {
    let policy = read(WHOLE).unwrap();
    let (mode, origin) = policy.mode.clone().unwrap();
    assert_eq!((mode, origin.line, origin.column), (Mode::Block, 2, 16));
    let allowed = policy.allowed.unwrap();
    assert_eq!(
        spelled(&allowed),
        [
            "4:5 github.com:443",
            "5:6 *.actions.githubusercontent.com:443",
            "6:15 upload.example:443",
            "11:5 a.example:443",
            "11:15 b.example:80",
        ]
    );
    assert_eq!(
        spelled(&policy.denied),
        ["14:3 old.example:*", "15:3 192.0.2.0/24:25"]
    );
    let narrowed = allowed.get(2).unwrap();
    assert_eq!(narrowed.narrowing.steps, ["Publish", "Upload *"]);
    assert_eq!(narrowed.narrowing.executables, ["curl"]);
    assert_eq!(narrowed.reason.as_deref(), Some("the finished archive"));
}

#[test]
fn every_yaml_spelling_of_a_list_is_read_where_it_stands() {
    for (text, rules) in [
        ("allowed-endpoints: []", &[][..]),
        ("allowed-endpoints: ''", &[]),
        ("allowed-endpoints: >\n", &[]),
        (
            "allowed-endpoints: >-\n    # note\n    a.example:80\n\n    b.example",
            &["3:5 a.example:80", "5:5 b.example:443"],
        ),
        (
            "allowed-endpoints: |+ # note\n  a.example:80 # b.example:80\n  c.example\n\n",
            &["2:3 a.example:80", "3:3 c.example:443"],
        ),
        (
            "allowed-endpoints: a.example\n  b.example # c\n",
            &["1:20 a.example:443", "2:3 b.example:443"],
        ),
        (
            "allowed-endpoints: \"a.example  b.example\"",
            &["1:21 a.example:443", "1:32 b.example:443"],
        ),
        (
            "allowed-endpoints: \"a.example\n  b.example\"",
            &["1:20 a.example:443", "1:30 b.example:443"],
        ),
        (
            "allowed-endpoints: ['*.a.example', \"[2001:db8::1]:80\"]",
            &["1:22 *.a.example:443", "1:37 [2001:db8::1]:80"],
        ),
        (
            "allowed-endpoints:\n# ü\n- ü.example:80 b.example",
            &["3:3 xn--tda.example:80", "3:16 b.example:443"],
        ),
        (
            "\u{feff}allowed-endpoints:\r\n  - a.example\r\n  - b.example\r\n",
            &["2:5 a.example:443", "3:5 b.example:443"],
        ),
        (
            "{allowed-endpoints: [a.example, {endpoint: b.example}]}",
            &["1:22 a.example:443", "1:44 b.example:443"],
        ),
    ] {
        let policy = read(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        assert_eq!(spelled(&policy.allowed.unwrap()), rules, "{text}");
    }
}

#[test]
fn a_file_that_says_nothing_says_nothing() {
    for text in [
        "",
        "# only a note\n",
        "---\n",
        "---\n...\n",
        "{}",
        "egress-policy: audit",
    ] {
        let policy = read(text).unwrap();
        assert_eq!((policy.allowed, policy.denied.len()), (None, 0), "{text}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = r#"egress-policy: audti
allowed_endpoints: []
allowed-endpoints:
  - github.com:g443
  - endpoint: a.example b.example
  - endpiont: a.example
  - endpoint: a.example
    steps: []
    executables: {}
    reason: ""
    images: [a, [b]]
  - a.example: 443
  -
  - [a.example]
  - "@git-lab"
  - endpoint: [a]
denied-endpoints: ~
denied-endpoints:
  x: y
disable-sudo: true
colour: blue
? [a]
: b
"#;
    let errors = read(text).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn what_yaml_could_hide_is_refused() {
    for (text, kind) in [
        ("a: &x [b]\nallowed-endpoints: *x", "yaml-feature"),
        ("allowed-endpoints: !!str a.example", "yaml-feature"),
        ("<<: {}", "yaml-feature"),
        ("--- {}\n--- {}", "yaml-feature"),
        ("[[[[[[[[[[[[]]]]]]]]]]]]", "too-deep"),
        (&"[".repeat(100_000), "yaml"),
        (&"- ".repeat(100_000), "too-deep"),
        (&format!("a: [{}]", "a,".repeat(200_000)), "too-many-rules"),
        (&" ".repeat(2 << 20), "too-long"),
        ("a: 'b", "yaml"),
        ("{---", "yaml"),
        ("- a", "expected"),
        ("github.com:443 a.example", "expected"),
        ("a: \0", "yaml"),
    ] {
        let errors = read(text).unwrap_err();
        let head: String = text.chars().take(30).collect();
        assert_eq!(errors.first().unwrap().fault.kind(), kind, "{head}");
    }
}

#[test]
fn endpoints_that_need_quotes_are_told_to_have_them() {
    let text = "allowed-endpoints:\n  - *.example.com:443\n  - a.example\n  - @gitlab\n  - [2001:db8::1]:443\n";
    let errors = read(text).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_narrowed_endpoint_is_for_those_that_it_names() {
    let text = "allowed-endpoints:\n  - {endpoint: a.example, executables: [npm], steps: Install}\n  - b.example\n\
        denied-endpoints:\n  - {endpoint: b.example, executables: curl}\n";
    let matcher = Matcher::new(combine(vec![read(text).unwrap()]).unwrap());
    for (name, step, executable, holds) in [
        ("a.example", Some("Install"), Some("/usr/bin/npm"), true),
        ("a.example", Some("Test"), Some("/usr/bin/npm"), false),
        ("a.example", Some("Install"), Some("/usr/bin/curl"), false),
        ("a.example", None, None, false),
        ("b.example", None, Some("/usr/bin/npm"), true),
        ("b.example", None, Some("/usr/bin/curl"), false),
        ("b.example", None, None, true),
    ] {
        let actor = Actor {
            step,
            executable,
            image: None,
        };
        let name = Name::parse(name).unwrap();
        let verdict = matcher.judge(&Question {
            name: Some(&name),
            ip: None,
            port: 443,
            transport: Transport::Tcp,
            actor,
        });
        assert_eq!(verdict.is_allowed(), holds, "{name} {actor:?}");
        let mine = matcher.policy().fits(&actor);
        let granted = matcher
            .grants_for_name(&name)
            .allow(Transport::Tcp, 443, mine);
        assert_eq!(granted.is_some(), holds, "{name} {actor:?}");
    }
}

#[test]
fn too_many_narrowings_are_refused() {
    let many = |count: usize| {
        let entries: Vec<String> = (0..count)
            .map(|n| format!("{{endpoint: a.example, steps: s{n}}}"))
            .collect();
        combine(vec![
            read(&format!("allowed-endpoints: [{}]", entries.join(","))).unwrap(),
        ])
    };
    assert_eq!(many(64).unwrap().narrowings().len(), 64);
    let errors = many(65).unwrap_err();
    assert_eq!(errors.first().unwrap().fault.kind(), "too-many-narrowings");
}

#[test]
fn the_committed_schema_is_that_of_the_code() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/policy.json");
    let text = serde_json::to_string_pretty(&policy_schema()).unwrap() + "\n";
    if std::env::var_os("RUNWARD_UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == text,
        "docs/schema/policy.json is out of date: run RUNWARD_UPDATE_SCHEMA=1 cargo test -p runward-policy"
    );
}

#[test]
fn schema_and_reader_agree_about_the_shape() {
    let schema = serde_json::to_value(policy_schema()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let entry = |entry: Value| json!({ "allowed-endpoints": [entry] });
    for (file, holds) in [
        (json!({}), true),
        (json!({ "egress-policy": "block" }), true),
        (
            json!({ "egress-policy": "audit", "allowed-endpoints": "a.example b.example", "denied-endpoints": [] }),
            true,
        ),
        (
            entry(json!({ "endpoint": "a.example", "steps": ["x"], "images": "y", "reason": "z" })),
            true,
        ),
        (json!({ "egress-policy": "enforce" }), false),
        (json!({ "egress-policy": null }), false),
        (json!({ "allowed-endpoints": null }), false),
        (json!({ "allowed-endpoints": {} }), false),
        (json!({ "allowed": [] }), false),
        (json!([]), false),
        (entry(json!(null)), false),
        (entry(json!({ "steps": ["x"] })), false),
        (
            entry(json!({ "endpoint": "a.example", "steps": [] })),
            false,
        ),
        (
            entry(json!({ "endpoint": "a.example", "step": "x" })),
            false,
        ),
        (
            entry(json!({ "endpoint": "a.example", "reason": ["x"] })),
            false,
        ),
    ] {
        assert_eq!(validator.is_valid(&file), holds, "schema: {file}");
        // JSON is YAML.
        assert_eq!(read(&file.to_string()).is_ok(), holds, "reader: {file}");
    }
}

#[test]
fn a_deny_list_in_a_file_has_the_defaults_of_denials() {
    let policy = read("denied-endpoints: [evil.example]").unwrap();
    let rule = policy.denied.first().unwrap();
    assert_eq!(rule.action, Action::Deny);
    assert!(rule.endpoint.ports.is_any());
}

#[test]
fn the_reference_of_the_language_holds() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/policy.md");
    let document = std::fs::read_to_string(path).unwrap();
    let (_, after) = document.split_once("```yaml\n").unwrap();
    let (example, _) = after.split_once("```").unwrap();
    let policy = read(example).unwrap();
    assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
    for group in Group::all() {
        let row = format!("| `@{}` | <{}> |", group.name, group.source);
        assert!(document.contains(&row), "{row}");
    }
}
