use runward_event::Mode;
use runward_policy::{Action, Matcher, Name, Source, SourcePolicy, combine};

use crate::ask;

fn list(source: Source, text: &str) -> SourcePolicy {
    SourcePolicy::of_list(text, Action::Allow, source).unwrap()
}

fn mode(source: Source, text: &str) -> SourcePolicy {
    SourcePolicy::of_mode(text, source).unwrap()
}

fn flag(name: &str) -> Source {
    Source::Flag(name.to_owned())
}

fn variable(name: &str) -> Source {
    Source::Variable(name.to_owned())
}

#[test]
fn a_weaker_source_only_tightens() {
    let policy = combine(vec![
        list(
            variable("RUNWARD_ALLOWED_ENDPOINTS"),
            "a.example b.example evil.example *.c.example:80",
        ),
        list(
            flag("--allowed-endpoints"),
            "a.example *.c.example:80,443 d.example",
        ),
    ])
    .unwrap();
    let matcher = Matcher::new(policy);
    for (destination, holds) in [
        ("a.example:443", true),
        ("b.example:443", false),
        ("evil.example:443", false),
        ("x.c.example:80", true),
        ("x.c.example:443", false),
        ("d.example:443", false),
    ] {
        assert_eq!(
            ask(&matcher, destination).is_allowed(),
            holds,
            "{destination}"
        );
    }
    let sources: Vec<&str> = matcher
        .policy()
        .layers()
        .iter()
        .map(|layer| layer.source.name())
        .collect();
    assert_eq!(
        sources,
        ["--allowed-endpoints", "RUNWARD_ALLOWED_ENDPOINTS"]
    );
}

#[test]
fn a_source_without_a_list_does_not_narrow_and_an_empty_list_allows_nothing() {
    let with = |other: SourcePolicy| {
        let policy = combine(vec![list(flag("--allowed-endpoints"), "a.example"), other]).unwrap();
        ask(&Matcher::new(policy), "a.example:443").is_allowed()
    };
    assert!(with(SourcePolicy::empty(variable(
        "RUNWARD_ALLOWED_ENDPOINTS"
    ))));
    assert!(with(mode(variable("RUNWARD_EGRESS_POLICY"), "block")));
    assert!(!with(list(
        Source::Workspace(".runward.yml".to_owned()),
        ""
    )));
}

#[test]
fn block_beats_audit_from_any_source() {
    for (flags, job, holds) in [
        ("audit", "block", Mode::Block),
        ("block", "audit", Mode::Block),
        ("audit", "audit", Mode::Audit),
    ] {
        let policy = combine(vec![
            mode(variable("RUNWARD_EGRESS_POLICY"), job),
            mode(flag("--egress-policy"), flags),
        ])
        .unwrap();
        assert_eq!(policy.mode(), holds, "{flags} {job}");
    }
    let nothing = combine(Vec::new()).unwrap();
    assert_eq!((nothing.mode(), nothing.mode_origin()), (Mode::Audit, None));
}

#[test]
fn a_mode_with_a_slip_brings_the_right_one() {
    let error = |text: &str| {
        let errors = SourcePolicy::of_mode(text, flag("--egress-policy")).unwrap_err();
        errors.first().unwrap().to_string()
    };
    insta::assert_snapshot!(error("audti"), @"--egress-policy:1:1: `audti`: not an egress policy: `audit` or `block`; did you mean `audit`?");
    assert!(error("${{ inputs.policy }}").contains("not replaced"));
}

#[test]
fn layers_that_name_hosts_differently_meet_at_the_address() {
    let policy = combine(vec![
        list(flag("--allowed-endpoints"), "a.example"),
        list(variable("RUNWARD_ALLOWED_ENDPOINTS"), "203.0.113.0/24"),
    ])
    .unwrap();
    let matcher = Matcher::new(policy);
    let name = Name::parse("a.example").unwrap();
    assert!(
        matcher.is_name_allowed(&name),
        "its address may lie in the network"
    );
    assert!(!matcher.is_name_allowed(&Name::parse("b.example").unwrap()));
    assert!(matcher.grants_for_name(&name).grants.is_empty());
    let at = |ip: &str| {
        matcher
            .grants(Some(&name), Some(ip.parse().unwrap()))
            .grants
            .len()
    };
    assert_eq!((at("203.0.113.7"), at("192.0.2.1")), (1, 0));
}
