use std::net::IpAddr;

use ipnet::IpNet;
use proptest::prelude::*;
use runward_policy::{
    Action, Actor, Endpoint, Matcher, Name, Narrowing, Policy, Question, Source, SourcePolicy,
    Transport, combine, parse_endpoints, parse_file,
};

use crate::flag;

/// Endpoints over few hosts and ports, so that rules meet.
fn endpoint() -> impl Strategy<Value = String> {
    let host = prop_oneof![
        "[ab](\\.[ab]){0,2}\\.example",
        "(\\*\\.|a\\*\\.|\\*b\\.|a\\.\\*\\.)(a\\.)?example",
        Just("*".to_owned()),
        (0_u8..4, 28_u8..=32).prop_map(|(low, length)| format!("192.0.2.{low}/{length}")),
        (0_u8..4, 120_u8..=128).prop_map(|(low, length)| format!("[2001:db8::{low}]/{length}")),
    ];
    let ports = prop_oneof![
        Just(String::new()),
        Just(":*".to_owned()),
        (1_u16..6).prop_map(|port| format!(":{port}")),
        (1_u16..6, 0_u16..4).prop_map(|(first, more)| format!(":{first}-{}", first + more)),
        (1_u16..3, 4_u16..6).prop_map(|(one, other)| format!(":{one},{other}")),
    ];
    let transport = prop_oneof![3 => Just(""), 1 => Just("/udp"), 1 => Just("/any")];
    (host, ports, transport)
        .prop_map(|(host, ports, transport)| format!("{host}{ports}{transport}"))
}

fn narrowing() -> impl Strategy<Value = Narrowing> {
    let one_of = |values: [&'static str; 2]| {
        prop_oneof![
            3 => Just(Vec::new()),
            1 => proptest::sample::select(values.to_vec()).prop_map(|v| vec![v.to_owned()]),
        ]
    };
    (one_of(["build", "test"]), one_of(["curl", "npm"])).prop_map(|(steps, executables)| {
        Narrowing {
            steps,
            executables,
            images: Vec::new(),
        }
    })
}

fn source(number: usize) -> impl Strategy<Value = SourcePolicy> {
    let rules = |action| {
        proptest::collection::vec((endpoint(), narrowing()), 0..5).prop_map(move |rules| {
            let mut read = Vec::new();
            for (text, narrowing) in rules {
                let list = parse_endpoints(&text, action, &flag()).unwrap();
                read.extend(list.rules.into_iter().map(|rule| runward_policy::Rule {
                    narrowing: narrowing.clone(),
                    ..rule
                }));
            }
            read
        })
    };
    let allowed = proptest::option::weighted(0.8, rules(Action::Allow));
    (allowed, rules(Action::Deny)).prop_map(move |(allowed, denied)| SourcePolicy {
        allowed,
        denied,
        ..SourcePolicy::empty(Source::File(format!("{number}.yml")))
    })
}

fn policies() -> impl Strategy<Value = Policy> {
    (source(0), source(1)).prop_map(|(one, other)| combine(vec![one, other]).unwrap())
}

fn ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u8..40).prop_map(|low| IpAddr::from([192, 0, 2, low])),
        (0_u16..40).prop_map(|low| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, low])),
        (0_u8..4).prop_map(|low| format!("::ffff:192.0.2.{low}").parse().unwrap()),
    ]
}

fn name() -> impl Strategy<Value = Name> {
    "[ab]{1,2}(\\.[ab]){0,2}\\.example".prop_map(|text| Name::parse(&text).unwrap())
}

fn asks() -> impl Strategy<Value = (u16, Transport, Option<&'static str>, Option<&'static str>)> {
    (
        prop_oneof![0_u16..10, Just(443)],
        prop_oneof![Just(Transport::Tcp), Just(Transport::Udp)],
        proptest::option::of(proptest::sample::select(vec!["build", "test", "other"])),
        proptest::option::of(proptest::sample::select(vec![
            "/usr/bin/curl",
            "/bin/npm",
            "/x",
        ])),
    )
}

/// The rules applied one by one, as the document of the language says it.
fn by_hand(policy: &Policy, question: &Question<'_>) -> bool {
    let applies = |rule: &runward_policy::Rule| {
        let host = match &rule.endpoint.host {
            runward_policy::Host::Name(name) => question.name == Some(name),
            runward_policy::Host::Pattern(pattern) => {
                question.name.is_some_and(|name| pattern.matches(name))
            }
            runward_policy::Host::Net(net) => question
                .ip
                .is_some_and(|ip| net.contains(&ip.to_canonical())),
            runward_policy::Host::Any => true,
        };
        host && rule.endpoint.ports.contains(question.port)
            && rule.endpoint.transports.contains(question.transport)
            && rule.narrowing.admits(&question.actor)
    };
    let denied = policy.denied().any(|(_, rule)| applies(rule));
    let allowed = policy.layers().iter().all(|layer| {
        layer
            .rules
            .iter()
            .any(|id| policy.rule(*id).is_some_and(applies))
    });
    !denied && allowed && !policy.layers().is_empty()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_compiled_policy_judges_as_the_rules_one_by_one(
        policy in policies(),
        name in proptest::option::of(name()),
        ip in proptest::option::of(ip()),
        (port, transport, step, executable) in asks(),
    ) {
        let matcher = Matcher::new(policy);
        let actor = Actor { step, executable, image: None };
        let question = Question { name: name.as_ref(), ip, port, transport, actor };
        let expected = by_hand(matcher.policy(), &question);
        prop_assert_eq!(matcher.judge(&question).is_allowed(), expected);
        let mine = matcher.policy().fits(&actor);
        let granted = matcher.grants(name.as_ref(), ip);
        prop_assert!(!granted.truncated);
        prop_assert_eq!(granted.allow(transport, port, mine).is_some(), expected);
        if let (Some(name), true) = (&name, expected) {
            let without_name = by_hand(matcher.policy(), &Question { name: None, ..question });
            prop_assert!(without_name || matcher.is_name_allowed(name));
        }
    }

    #[test]
    fn the_longest_matching_network_judges_as_the_rules_one_by_one(
        policy in policies(),
        ip in ip(),
        (port, transport, step, executable) in asks(),
    ) {
        let matcher = Matcher::new(policy);
        let actor = Actor { step, executable, image: None };
        let question = Question { name: None, ip: Some(ip), port, transport, actor };
        let nets: Vec<(IpNet, _)> = matcher.net_grants();
        let mine = matcher.policy().fits(&actor);
        let allowed = nets
            .iter()
            .filter(|(net, _)| net.contains(&ip.to_canonical()))
            .max_by_key(|(net, _)| net.prefix_len())
            .and_then(|(_, grants)| grants.allow(transport, port, mine));
        prop_assert_eq!(allowed.is_some(), by_hand(matcher.policy(), &question));
    }

    #[test]
    fn any_text_ends_without_a_panic(text in "\\PC{0,200}") {
        let _ = parse_endpoints(&text, Action::Allow, &flag());
    }

    #[test]
    fn text_like_a_list_ends_without_a_panic(
        text in "([a-z*@$#{}\\[\\]\"'`/:.,\\- \n0-9]|::|\\$\\{\\{|https://|ü){0,80}"
    ) {
        match parse_endpoints(&text, Action::Allow, &flag()) {
            Err(errors) => prop_assert!(!errors.is_empty()),
            Ok(endpoints) => for rule in endpoints.rules {
                prop_assert_eq!(Endpoint::parse(&rule.spelled(), Action::Allow), Ok(rule.endpoint));
            }
        }
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same(text in endpoint()) {
        for action in [Action::Allow, Action::Deny] {
            let endpoint = Endpoint::parse(&text, action).unwrap();
            prop_assert_eq!(Endpoint::parse(&endpoint.spelled(action), action), Ok(endpoint));
        }
    }

    #[test]
    fn a_name_is_canonical_once_it_was_read(text in "\\PC{0,40}") {
        if let Ok(name) = Name::parse(&text) {
            prop_assert_eq!(Name::parse(name.as_str()), Ok(name.clone()));
            prop_assert!(name.as_str().len() <= 253 && name.as_str().is_ascii());
        }
    }

    #[test]
    fn any_file_ends_without_a_panic(text in "\\PC{0,200}") {
        let _ = parse_file(&text, Source::File("policy.yml".to_owned()));
    }

    #[test]
    fn text_like_a_file_ends_without_a_panic(
        text in "(egress-policy|allowed-endpoints|denied-endpoints|endpoint|steps|: |\n|\n  |- |\\[|\\]|[{}]|'|\"|#|\\||>|[*&!@%]|a.example|443|block|ü|\t|,|~){0,60}"
    ) {
        if let Err(errors) = parse_file(&text, Source::File("policy.yml".to_owned())) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(!error.to_string().contains(['\n', '\x1b']));
                prop_assert!(error.place.line > 0 && error.place.column > 0);
            }
        }
    }

    #[test]
    fn a_list_in_a_file_is_the_same_list(words in proptest::collection::vec(endpoint(), 0..6)) {
        let alone = parse_endpoints(&words.join("\n"), Action::Allow, &flag()).unwrap();
        let spelled = |rules: &[runward_policy::Rule]| rules.iter().map(runward_policy::Rule::spelled).collect::<Vec<_>>();
        for text in [
            format!("allowed-endpoints: >\n  {}\n", words.join("\n  ")),
            format!("allowed-endpoints: |\n\n    {}", words.join(" ")),
            format!("allowed-endpoints: \"{}\"", words.join(", ")),
            format!("allowed-endpoints: [{}]", words.iter().map(|w| format!("'{w}'")).collect::<Vec<_>>().join(",")),
        ] {
            let file = parse_file(&text, Source::File("policy.yml".to_owned())).unwrap();
            prop_assert_eq!(spelled(&file.allowed.unwrap()), spelled(&alone.rules), "{}", text);
        }
    }
}
