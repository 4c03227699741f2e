use runward_policy::{Actor, BelowPatterns, Matcher, Name, Question, Transport, Verdict};

use crate::{ask, policy};

#[test]
fn a_destination_is_allowed_by_the_line_that_names_it() {
    let allowed = "github.com:443 *.example.com:443,8000-8010 cp*.cdn.example 198.51.100.7:8443 \
        203.0.113.0/26:9999 [2001:db8::]/32:443 dns.example:53/udp localhost:5000 *:6443";
    let matcher = Matcher::new(policy(
        allowed,
        "evil.example.com 203.0.113.9 [2001:db8:bad::]/48:443",
    ));
    for (destination, holds) in [
        ("github.com:443", true),
        ("GITHUB.com.:443", true),
        ("github.com:80", false),
        ("github.com:443/udp", false),
        ("xgithub.com:443", false),
        ("a.github.com:443", false),
        ("a.example.com:443", true),
        ("a.b.example.com:8005", true),
        ("a.b.example.com:8011", false),
        ("example.com:443", false),
        ("evil.example.com:443", false),
        ("very.evil.example.com:443", true),
        ("cp1.cdn.example:443", true),
        ("a.cp1.cdn.example:443", false),
        ("198.51.100.7:8443", true),
        ("198.51.100.7:443", false),
        ("[::ffff:198.51.100.7]:8443", true),
        ("203.0.113.63:9999", true),
        ("203.0.113.64:9999", false),
        ("203.0.113.9:9999", false),
        ("[2001:db8::7]:443", true),
        ("[2001:db8:bad::7]:443", false),
        ("dns.example:53/udp", true),
        ("dns.example:53", false),
        ("localhost:5000", true),
        ("anything.at.all:6443", true),
        ("192.0.2.1:6443", true),
        ("203.0.113.9:6443", false),
    ] {
        assert_eq!(
            ask(&matcher, destination).is_allowed(),
            holds,
            "{destination}"
        );
    }
}

#[test]
fn a_denial_without_port_is_for_every_port_and_transport() {
    let matcher = Matcher::new(policy("*:*/any", "evil.example 192.0.2.0/24:443"));
    for (destination, holds) in [
        ("evil.example:443", false),
        ("evil.example:22", false),
        ("evil.example:53/udp", false),
        ("192.0.2.1:443", false),
        ("192.0.2.1:443/udp", false),
        ("192.0.2.1:80", true),
        ("good.example:22", true),
    ] {
        assert_eq!(
            ask(&matcher, destination).is_allowed(),
            holds,
            "{destination}"
        );
    }
}

#[test]
fn an_allowed_name_does_not_open_a_denied_address() {
    let matcher = Matcher::new(policy("inner.example", "10.0.0.0/8"));
    let name = Name::parse("inner.example").unwrap();
    let judge = |ip: &str| {
        matcher.judge(&Question {
            name: Some(&name),
            ip: Some(ip.parse().unwrap()),
            port: 443,
            transport: Transport::Tcp,
            actor: Actor::default(),
        })
    };
    assert!(judge("192.0.2.1").is_allowed());
    assert!(matches!(judge("10.1.2.3"), Verdict::Denied { .. }));
    assert!(matches!(judge("::ffff:10.1.2.3"), Verdict::Denied { .. }));
    let ip = Some("10.1.2.3".parse().unwrap());
    assert!(matcher.grants(Some(&name), ip).grants.is_empty());
}

#[test]
fn a_refusal_brings_the_line_that_would_allow_it() {
    let matcher = Matcher::new(policy("github.com", ""));
    for (destination, line) in [
        ("a.example:8443", "a.example:8443"),
        ("192.0.2.1:443", "192.0.2.1:443"),
        ("[2001:db8::1]:53/udp", "[2001:db8::1]:53/udp"),
    ] {
        let Verdict::NotAllowed { suggestion, layers } = ask(&matcher, destination) else {
            panic!("{destination} is allowed");
        };
        assert_eq!(suggestion.unwrap().to_string(), line);
        assert_eq!(layers, [0]);
    }
}

#[test]
fn a_policy_without_any_list_allows_nothing() {
    let matcher = Matcher::new(runward_policy::combine(Vec::new()).unwrap());
    assert!(!ask(&matcher, "github.com:443").is_allowed());
    assert!(!matcher.is_name_allowed(&Name::parse("github.com").unwrap()));
    assert!(matcher.net_grants().is_empty());
}

#[test]
fn names_are_looked_up_when_a_connection_to_them_could_be_allowed() {
    let matcher = Matcher::new(policy(
        "a.example *.b.example:80 203.0.113.0/24",
        "no.b.example denied.b.example:443",
    ));
    for (name, holds) in [
        ("a.example", true),
        ("x.b.example", true),
        ("no.b.example", false),
        ("denied.b.example", true),
        ("c.example", false),
    ] {
        assert_eq!(
            matcher.is_name_allowed(&Name::parse(name).unwrap()),
            holds,
            "{name}"
        );
    }
    let names: Vec<&str> = matcher
        .exact_names()
        .into_iter()
        .map(Name::as_str)
        .collect();
    assert_eq!(names, ["a.example"]);
    assert!(matcher.has_patterns());
}

#[test]
fn what_stands_for_the_stars_of_a_pattern_is_bounded() {
    let names = |matcher: &Matcher, below: &mut BelowPatterns, ask: &dyn Fn(usize) -> String| {
        (0..2000)
            .take_while(|n| {
                let name = Name::parse(&ask(*n)).unwrap();
                assert!(matcher.is_name_allowed(&name), "{name}");
                below.admit(matcher, &name, A)
            })
            .count()
    };
    const A: u16 = 1;
    let matcher = Matcher::new(policy(
        "*.example.com shard*.store.example told.example.com *:22",
        "",
    ));
    let mut below = BelowPatterns::default();
    // 2048 bytes, of which each name takes those before the dot, and 2 for the type.
    let long = |n: usize| format!("{n:0>62}.example.com");
    assert_eq!(names(&matcher, &mut below, &long), 32);
    // Full, for every name that is new; another type of a known one is new, too.
    let known = Name::parse(&long(0)).unwrap();
    let new = Name::parse("x.example.com").unwrap();
    assert!(below.admit(&matcher, &known, A) && below.let_through(&matcher, &known));
    assert!(!below.admit(&matcher, &known, 28));
    assert!(!below.admit(&matcher, &new, A) && !below.let_through(&matcher, &new));
    // Each pattern has room of its own; what the policy writes out, and what any host's line allows, needs none.
    assert_eq!(
        names(&matcher, &mut below, &|n| format!(
            "shard{n:0>6}.store.example"
        )),
        256
    );
    assert_eq!(
        names(&matcher, &mut below, &|_| "told.example.com".to_owned()),
        2000
    );
    assert_eq!(
        names(&matcher, &mut below, &|n| format!("{n}.any.example")),
        2000
    );
}
