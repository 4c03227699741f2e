use runward_policy::{
    Action, Endpoint, Observation, Source, SuggestedPolicy, Transport, parse_file, suggest,
};

/// Observations of `destination` in each of these runs, by `curl` for nobody.
fn seen<'a>(run: usize, destination: &str, programs: &'a [String]) -> Observation<'a> {
    let (destination, transport) = match destination.strip_suffix("/udp") {
        Some(rest) => (rest, Transport::Udp),
        None => (destination, Transport::Tcp),
    };
    let (host, port) = destination.rsplit_once(':').unwrap();
    let ip = host.trim_matches(['[', ']']).parse().ok();
    Observation {
        run,
        name: ip.is_none().then(|| &*host.to_owned().leak()),
        ip,
        port: port.parse().unwrap(),
        transport,
        connections: 2,
        blocked: 0,
        executables: programs,
        dependencies: &[],
    }
}

fn suggested(runs: &[&[&str]]) -> SuggestedPolicy {
    let programs = ["/usr/bin/curl".to_owned()];
    let observations = runs
        .iter()
        .enumerate()
        .flat_map(|(run, list)| list.iter().map(move |text| (run, *text)))
        .map(|(run, text)| seen(run, text, &programs));
    suggest(runs.len(), observations)
}

fn endpoints(policy: &SuggestedPolicy) -> Vec<String> {
    policy
        .lines
        .iter()
        .map(|line| line.endpoint.to_string())
        .collect()
}

#[test]
fn what_was_used_is_allowed_and_nothing_else() {
    let policy = suggested(&[
        &[
            "github.com:443",
            "GitHub.com.:443",
            "api.github.com:443",
            "ntp.example:123/udp",
        ],
        &[
            "github.com:443",
            "github.com:22",
            "192.0.2.7:8443",
            "[2001:db8::1]:443",
        ],
        &[
            "127.0.0.1:80",
            "[::1]:80",
            "192.0.2.53:53/udp",
            "192.0.2.53:53",
        ],
    ]);
    assert_eq!(
        endpoints(&policy),
        [
            "api.github.com:443",
            "github.com:22",
            "github.com:443",
            "ntp.example:123/udp",
            "192.0.2.7:8443",
            "[2001:db8::1]:443",
        ]
    );
    let github = policy.lines.get(2).unwrap();
    assert_eq!((github.connections, github.runs), (6, 2));
}

#[test]
fn names_are_generalised_when_the_evidence_is_there() {
    for (names, lines) in [
        // Three numbers of one owner.
        (
            &[
                "shard1.store.example.com:443",
                "shard17.store.example.com:443",
                "shard4.store.example.com:443",
            ][..],
            &["shard*.store.example.com:443"][..],
        ),
        (
            &[
                "shard1-eu.store.example.com:443",
                "shard17-eu.store.example.com:443",
                "shard4-eu.store.example.com:443",
            ],
            &["shard*-eu.store.example.com:443"],
        ),
        // Two are no evidence.
        (
            &[
                "shard1.store.example.com:443",
                "shard17.store.example.com:443",
            ],
            &[
                "shard1.store.example.com:443",
                "shard17.store.example.com:443",
            ],
        ),
        // Another port is another endpoint.
        (
            &[
                "s1.example.com:443",
                "s2.example.com:443",
                "s3.example.com:80",
            ],
            &[
                "s1.example.com:443",
                "s2.example.com:443",
                "s3.example.com:80",
            ],
        ),
        // Words do not rotate.
        (
            &[
                "lax.example.com:443",
                "fra.example.com:443",
                "sin.example.com:443",
            ],
            &[
                "fra.example.com:443",
                "lax.example.com:443",
                "sin.example.com:443",
            ],
        ),
        // Random labels, one label below what the owner registered.
        (
            &[
                "x-a1b2c3d4.cdn.example.com:443",
                "x-9f8e7d6c.cdn.example.com:443",
                "x-0a0b0c0d.cdn.example.com:443",
            ],
            &["x-*.cdn.example.com:443"],
        ),
        (
            &[
                "a1b2c3d4ff.cdn.example.com:443",
                "k9f8e7d6cx.cdn.example.com:443",
                "q0a0b0c0dz.cdn.example.com:443",
            ],
            &["*.cdn.example.com:443"],
        ),
        // A number that never changes is a part of the name.
        (
            &[
                "s1.v2.example.com:443",
                "s2.v2.example.com:443",
                "s3.v2.example.com:443",
            ],
            &["s*.v2.example.com:443"],
        ),
    ] {
        assert_eq!(endpoints(&suggested(&[names])), lines, "{names:?}");
    }
}

#[test]
fn names_among_strangers_are_never_generalised() {
    for names in [
        [
            "productionresultssa1.blob.core.windows.net:443",
            "productionresultssa2.blob.core.windows.net:443",
            "productionresultssa3.blob.core.windows.net:443",
        ],
        [
            "d111111abcdef8.cloudfront.net:443",
            "d222222abcdef8.cloudfront.net:443",
            "d333333abcdef8.cloudfront.net:443",
        ],
        [
            "bucket1.s3.amazonaws.com:443",
            "bucket2.s3.amazonaws.com:443",
            "bucket3.s3.amazonaws.com:443",
        ],
        [
            "user1.github.io:443",
            "user2.github.io:443",
            "user3.github.io:443",
        ],
        [
            "bucket1.storage.googleapis.com:443",
            "bucket2.storage.googleapis.com:443",
            "bucket3.storage.googleapis.com:443",
        ],
        // Different owners.
        ["cdn1.com:443", "cdn2.com:443", "cdn3.com:443"],
        [
            "a.shop1.co.uk:443",
            "a.shop2.co.uk:443",
            "a.shop3.co.uk:443",
        ],
        // A customer's name, by its looks.
        [
            "tenant0001a.example.com:443",
            "tenant-x1y2z3w4.example.com:443",
            "a1b2c3d4e5.example.com:443",
        ],
        [
            "a1b2c3d4e5.example.com:443",
            "f1b2c3d4e5.example.com:443",
            "k1b2c3d4e5.example.com:443",
        ],
    ] {
        let policy = suggested(&[&names]);
        assert_eq!(policy.lines.len(), 3, "{names:?}");
        assert!(policy.lines.iter().all(|line| line.names.is_empty()));
    }
}

#[test]
fn the_file_reads_back_and_says_who_and_how_often() {
    let npm = ["/usr/bin/npm".to_owned(), "/usr/bin/node".to_owned()];
    let evil = ["/tmp/\x1b[2J\nallowed-endpoints: ['*']".to_owned()];
    let foo = ["foo@1.2.3".to_owned()];
    let mut observations = vec![
        seen(0, "registry.example:443", &npm),
        seen(1, "registry.example:443", &npm),
        seen(0, "s1.shards.example.com:443", &npm),
        seen(0, "s2.shards.example.com:443", &npm),
        seen(1, "s3.shards.example.com:443", &npm),
        seen(1, "[2001:db8::1]:8443", &evil),
    ];
    observations.push(Observation {
        dependencies: &foo,
        blocked: 2,
        ..seen(1, "evil.example:443", &npm)
    });
    let policy = suggest(2, observations);
    let text = policy.to_yaml();
    insta::assert_snapshot!(text);
    let read = parse_file(&text, Source::File("policy.yml".to_owned())).unwrap();
    let rules: Vec<String> = read
        .allowed
        .unwrap()
        .iter()
        .map(runward_policy::Rule::spelled)
        .collect();
    assert_eq!(rules, endpoints(&policy));
    let empty = suggest(0, []).to_yaml();
    let read = parse_file(&empty, Source::File("policy.yml".to_owned())).unwrap();
    assert_eq!(read.allowed, Some(Vec::new()));
}

#[test]
fn every_suggested_line_is_an_endpoint() {
    for text in endpoints(&suggested(&[&[
        "a.example:1",
        "192.0.2.1:2",
        "[2001:db8::1]:3/udp",
    ]])) {
        assert_eq!(
            Endpoint::parse(&text, Action::Allow).unwrap().to_string(),
            text
        );
    }
}
