//! Block lists: what they refuse, in audit and in block mode, what they leave alone, and what is told of it.

use std::fs;
use std::net::{IpAddr, SocketAddr};

use runward_event::{Body, Reason};
use runward_lab::{Answer, Dns, Lab, Ran, Tcp, Udp, actor, requires, run};

use crate::bed::{Bed, LIMIT, Recorded};

/// What real clients say first, for the host `a.example`.
const TLS: &[u8] = include_bytes!("../../../runward-sensor/tests/greetings/curl-tls.bin");
const TLS_WITHOUT_NAME: &[u8] =
    include_bytes!("../../../runward-sensor/tests/greetings/openssl-no-sni.bin");
const HTTP: &[u8] = include_bytes!("../../../runward-sensor/tests/greetings/curl-get.bin");
const SSH: &[u8] = include_bytes!("../../../runward-sensor/tests/greetings/ssh.bin");

/// Hosts of the lab: one that is listed by its address, one that many names share, and name servers.
const LISTED: u8 = 10;
const SHARED: u8 = 11;
const NAMESERVER: u8 = 53;
const OTHER_NAMESERVER: u8 = 54;
const PORT: u16 = 4430;

/// A lab with hosts that are listed and hosts that are not.
struct Place {
    lab: Lab,
    dns: Dns,
    other_dns: Dns,
    listed: Tcp,
    listed_datagrams: Udp,
    shared: Tcp,
}

impl Place {
    fn new() -> Place {
        let lab = Lab::netns().unwrap();
        let at = |host, port| SocketAddr::from((lab.v4(host), port));
        let dns = lab.dns(at(NAMESERVER, 53)).unwrap();
        let other_dns = lab.dns(at(OTHER_NAMESERVER, 53)).unwrap();
        for name in ["a.example", "below.evil.example", "good.example"] {
            let shared: IpAddr = lab.v4(SHARED).into();
            dns.address(name, 60, &[shared]).unwrap();
            other_dns.address(name, 60, &[shared]).unwrap();
        }
        let answer = || Answer::Fixed(b"heard".to_vec());
        let listed = lab.tcp(at(LISTED, PORT), answer()).unwrap();
        let listed_datagrams = lab.udp(at(LISTED, PORT), Answer::Silent).unwrap();
        let shared = lab.tcp(at(SHARED, PORT), answer()).unwrap();
        lab.set_nameservers(&[lab.v4(NAMESERVER).into()]).unwrap();
        Place {
            dns,
            other_dns,
            listed,
            listed_datagrams,
            shared,
            lab,
        }
    }

    /// A list with an address, a name and a pattern, in three forms of feeds.
    fn list(&self, bed: &Bed) -> String {
        let text = format!(
            "# a feed\n{} # a known host\nhxxps://a[.]example took secrets\n*.evil.example\n",
            self.lab.v4(LISTED)
        );
        let path = bed.path().join("feed.txt");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Fills in a script: `$NET`, `$SPEAK` and `$NAMES` are the actors, `{…}` the hosts.
    fn script(&self, text: &str) -> String {
        let v4 = |host| self.lab.v4(host).to_string();
        let text = text
            .replace("{listed}", &format!("{} {PORT}", v4(LISTED)))
            .replace("{shared}", &format!("{} {PORT}", v4(SHARED)))
            .replace("{ns}", &format!("{} 53", v4(NAMESERVER)))
            .replace("{other-ns}", &format!("{} 53", v4(OTHER_NAMESERVER)));
        let program = |name| actor(name).display().to_string();
        format!(
            "NET={}; SPEAK={}; NAMES={}\nt() {{ what=$1; shift; \"$@\" >/dev/null 2>&1 && echo $what: passed || echo $what: refused; }}\n{text}",
            program("net"),
            program("speak"),
            program("names")
        )
    }

    fn record(&self, bed: &Bed, options: &[&str], script: &str) -> Recorded {
        let script = self.script(script);
        let arguments = ["run", "--quiet"]
            .into_iter()
            .chain(options.iter().copied())
            .chain(["--", "sh", "-c", &script]);
        bed.finish(&mut bed.runward_in(&self.lab, arguments))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was found, as detection, severity and sentence, without who did it.
fn found(recorded: &Recorded) -> Vec<String> {
    let found = recorded.report["detections"].as_array().unwrap().iter();
    found
        // The actors call bare addresses; that they do is another test's.
        .filter(|found| {
            !found["message"]
                .as_str()
                .is_some_and(|message| message.contains("a bare address"))
        })
        .map(|found| {
            let text = |key: &str| found[key].as_str().unwrap_or("").to_owned();
            let message = text("message");
            let what = message
                .split_once(" was kept from ")
                .map_or(message.as_str(), |(_, what)| what);
            format!("{} {} {what}", text("detection"), text("severity"))
        })
        .collect()
}

fn refused_by_list(recorded: &Recorded) -> usize {
    let listed = |body: &Body| match body {
        Body::Connect(connect) => {
            connect.reason == Some(Reason::BlockList) && connect.listed.is_some()
        }
        Body::Refused(refused) => refused.reason == Reason::BlockList && refused.listed.is_some(),
        _ => false,
    };
    recorded
        .events
        .iter()
        .filter(|event| listed(&event.body))
        .count()
}

#[test]
fn what_is_listed_is_refused_in_audit_mode_and_all_else_passes() {
    requires!(Root, Netns);
    let place = Place::new();
    let bed = Bed::new();
    let list = place.list(&bed);
    let script = format!(
        "t tcp $NET tcp {{listed}}
         t mapped $NET tcp-mapped {{listed}}
         t fastopen $NET tcp-fastopen {{listed}}
         t udp $NET udp {{listed}}
         t sendto $NET udp-sendto {{listed}}
         t question $NET dns-udp {{ns}} A.Example
         t below $NET dns-udp {{ns}} below.evil.example
         t stream-question $NET dns-tcp {{ns}} a.example
         t other-server $NET dns-udp {{other-ns}} a.example
         t lookup $NAMES fetch a.example {PORT}
         t tls $SPEAK say {{shared}} 0 0 {tls}
         t tls-in-pieces $SPEAK say {{shared}} 90 1 {tls}
         t http $SPEAK say {{shared}} 0 0 {http}
         t apex $NET dns-udp {{ns}} evil.example
         t good-question $NET dns-udp {{ns}} good.example
         t good-lookup $NAMES fetch good.example {PORT}
         t no-name $SPEAK say {{shared}} 0 0 {no_name}
         t ssh $SPEAK say {{shared}} 0 0 {ssh}
         t other-http $SPEAK say {{shared}} 7 1 {other_http}
         t address $NET tcp {{shared}}",
        tls = hex(TLS),
        http = hex(HTTP),
        no_name = hex(TLS_WITHOUT_NAME),
        ssh = hex(SSH),
        other_http = hex(b"GET / HTTP/1.1\r\nHost: good.example\r\n\r\n"),
    );
    let recorded = place.record(&bed, &["--block-list", &list], &script);
    let said: Vec<&str> = recorded.ran.stdout.lines().collect();
    let (refused, passed): (Vec<&str>, Vec<&str>) = said
        .iter()
        .copied()
        .partition(|line| line.ends_with(": refused"));
    let names = |lines: &[&str]| -> Vec<String> {
        lines
            .iter()
            .map(|line| line.split(':').next().unwrap_or("").to_owned())
            .collect()
    };
    assert_eq!(
        names(&refused)[..10],
        [
            "tcp",
            "mapped",
            "fastopen",
            "udp",
            "sendto",
            "question",
            "below",
            "stream-question",
            "other-server",
            "lookup"
        ]
        .map(str::to_owned),
        "{said:?}"
    );
    for name in ["good-question", "good-lookup", "other-http", "address"] {
        assert!(
            names(&passed).iter().any(|passed| passed == name),
            "{name}: {said:?}"
        );
    }
    // What came where: nothing at the listed host, and no listed name anywhere.
    assert!(place.listed.received().is_empty());
    assert!(place.listed_datagrams.received().is_empty());
    let asked: Vec<String> = [&place.dns, &place.other_dns]
        .iter()
        .flat_map(|dns| dns.asked())
        .map(|question| question.name.to_ascii_lowercase())
        .collect();
    assert!(asked.iter().any(|name| name == "good.example"), "{asked:?}");
    assert!(
        asked.iter().any(|name| name == "evil.example"),
        "only what is below it"
    );
    assert!(
        !asked
            .iter()
            .any(|name| name == "a.example" || name == "below.evil.example"),
        "{asked:?}"
    );
    let came: Vec<Vec<u8>> = place
        .shared
        .received()
        .into_iter()
        .map(|came| came.first)
        .collect();
    for greeting in [TLS, HTTP] {
        assert!(
            !came.iter().any(|came| came == greeting),
            "a whole greeting of a listed name"
        );
    }
    for greeting in [TLS_WITHOUT_NAME, SSH] {
        assert!(
            came.iter().any(|came| came.starts_with(greeting)),
            "a greeting without one"
        );
    }
    // One finding for each destination and process, by one detection, with the entry and its reason.
    let found = found(&recorded);
    assert!(
        found
            .iter()
            .all(|found| found.starts_with("suspicious-destination high")
                || found.starts_with("dns-tunnel low")),
        "{found:#?}"
    );
    let address = place.lab.v4(LISTED);
    for what in [
        format!(
            "calling {address}:{PORT}: {address} is on the block list ({list}:2: a known host)"
        ),
        format!("looking up a.example: a.example is on the block list ({list}:3: took secrets)"),
        format!("looking up below.evil.example: *.evil.example is on the block list ({list}:4)"),
        format!(
            "calling a.example:{PORT}: a.example is on the block list ({list}:3: took secrets)"
        ),
    ] {
        assert!(
            found.iter().any(|found| found.ends_with(&what)),
            "{what}: {found:#?}"
        );
    }
    assert!(refused_by_list(&recorded) >= 12);
    assert!(
        recorded
            .ran
            .stderr
            .contains("found suspicious-destination: ")
    );
    assert!(
        !recorded.ran.stderr.contains("blocked "),
        "{}",
        recorded.ran.stderr
    );
    let start = recorded.events.first().unwrap();
    let Body::JobStart(start) = &start.body else {
        panic!("{start:?}")
    };
    let lists: Vec<(&str, u64)> = start
        .block_lists
        .iter()
        .map(|list| (list.source.as_str(), list.entries))
        .collect();
    assert_eq!(lists[0], (list.as_str(), 3));
    assert_eq!(lists[1].0, "built-in");
    assert_eq!(start.resolvers, [IpAddr::from(place.lab.v4(NAMESERVER))]);
}

#[test]
fn hosts_of_known_attacks_are_refused_unless_that_is_turned_off() {
    requires!(Root, Netns);
    let place = Place::new();
    let script = "t question $NET dns-udp {ns} scan.aquasecurtiy.org\nt collector $NET dns-udp {ns} webhook.site";
    let bed = Bed::new();
    let recorded = place.record(&bed, &[], script);
    assert!(
        !place
            .dns
            .asked()
            .iter()
            .any(|asked| asked.name == "scan.aquasecurtiy.org")
    );
    assert!(
        place
            .dns
            .asked()
            .iter()
            .any(|asked| asked.name == "webhook.site"),
        "only told of"
    );
    let found = found(&recorded);
    assert!(
        found.iter().any(|found| found.starts_with(
            "suspicious-destination high looking up scan.aquasecurtiy.org: scan.aquasecurtiy.org is on the block list (built-in:"
        )),
        "{found:#?}"
    );

    let bed = Bed::new();
    let recorded = place.record(&bed, &["--no-builtin-block-list"], script);
    assert!(
        place
            .dns
            .asked()
            .iter()
            .any(|asked| asked.name == "scan.aquasecurtiy.org")
    );
    assert_eq!(refused_by_list(&recorded), 0);
    let Some(Body::JobStart(start)) = recorded.events.first().map(|event| &event.body) else {
        panic!("{:?}", recorded.events.first())
    };
    assert!(start.block_lists.is_empty());
    assert!(
        start.notes.iter().any(|note| note.contains("turned off")),
        "{:?}",
        start.notes
    );
}

#[test]
fn a_block_list_wins_over_the_policy_in_block_mode() {
    requires!(Root, Netns);
    let place = Place::new();
    let bed = Bed::new();
    let list = place.list(&bed);
    let endpoints = format!(
        "*.example:{PORT} {}:{PORT} {}:{PORT}",
        place.lab.v4(LISTED),
        place.lab.v4(SHARED)
    );
    let script = format!(
        "t lookup $NAMES fetch a.example {PORT}
         t tcp $NET tcp {{listed}}
         t tls $SPEAK say {{shared}} 0 0 {tls}
         t good $NAMES fetch good.example {PORT}
         t address $NET tcp {{shared}}",
        tls = hex(TLS)
    );
    let options = [
        "--block-list",
        &list,
        "--egress-policy",
        "block",
        "--allowed-endpoints",
        &endpoints,
    ];
    let recorded = place.record(&bed, &options, &script);
    let said: Vec<&str> = recorded.ran.stdout.lines().collect();
    for line in [
        "lookup: refused",
        "tcp: refused",
        "good: passed",
        "address: passed",
    ] {
        assert!(
            said.contains(&line),
            "{line}: {said:?} {}",
            recorded.ran.stderr
        );
    }
    assert!(place.listed.received().is_empty());
    assert!(!place.shared.received().iter().any(|came| came.first == TLS));
    let found = found(&recorded);
    assert!(
        found
            .iter()
            .all(|found| found.starts_with("suspicious-destination high")),
        "{found:#?}"
    );
    assert_eq!(found.len(), 3, "one for each act: {found:#?}");
}

#[test]
fn data_in_names_below_an_allowed_pattern_is_found_in_block_mode() {
    requires!(Root, Netns);
    let place = Place::new();
    let script = "for i in 1 2 3 4 5 6; do
        t $i $NET dns-udp {ns} c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0$i.good.example
    done";
    let options = [
        "--egress-policy",
        "block",
        "--allowed-endpoints",
        "*.good.example",
    ];
    let recorded = place.record(&Bed::new(), &options, script);
    let found = found(&recorded);
    assert!(
        found
            .iter()
            .any(|found| found.starts_with("dns-tunnel high") && found.contains("good.example")),
        "{found:#?}"
    );
}

#[test]
fn a_name_server_that_is_not_the_machines_is_told_in_audit_mode() {
    requires!(Root, Netns);
    let place = Place::new();
    let script =
        "t own $NET dns-udp {ns} good.example\nt other $NET dns-udp {other-ns} good.example";
    let recorded = place.record(&Bed::new(), &[], script);
    let found = found(&recorded);
    let other = place.lab.v4(OTHER_NAMESERVER);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("dns-tunnel low")
            && found[0].ends_with(&format!(
                "called {other}:53 for names: it is not one of the machine's name servers"
            )),
        "{found:#?}"
    );
}

/// `runward run` with a list of this text; the command leaves a file.
fn start(bed: &Bed, text: &str) -> Ran {
    let list = bed.path().join("feed.txt");
    fs::write(&list, text).unwrap();
    let list = list.display().to_string();
    let arguments = ["run", "--block-list", &list, "--", "touch", "started"];
    run(&mut bed.runward(arguments), LIMIT).unwrap()
}

#[test]
fn a_list_with_an_error_starts_nothing_and_all_errors_are_told() {
    requires!(Root);
    let bed = Bed::new();
    let ran = start(
        &bed,
        "evil.example\nevil.example:80\n# fine\n192.0.2.1/24\n",
    );
    assert_eq!(ran.status.code(), Some(125), "{}", ran.stderr);
    assert!(!bed.path().join("started").exists());
    for line in [
        "feed.txt:2: `evil.example:80`: a block list blocks every port of a host: remove the port",
        "feed.txt:4: `192.0.2.1/24`: the address has bits behind its prefix: did you mean `192.0.2.0/24`?",
        "a block list has errors, so the command was not started",
    ] {
        assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
    }
    let missing = [
        "run",
        "--block-list",
        "missing.txt",
        "--",
        "touch",
        "started",
    ];
    let ran = run(&mut bed.runward(missing), LIMIT).unwrap();
    assert_eq!(ran.status.code(), Some(125), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("cannot read the block list missing.txt"),
        "{}",
        ran.stderr
    );
    assert!(!bed.path().join("started").exists());
}
