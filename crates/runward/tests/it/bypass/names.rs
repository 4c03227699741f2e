//! Names: what the job may ask, whom, and what it may make the fence believe.

use std::net::IpAddr;

use runward_lab::{requires, test_name};

use super::dns::{self, hex, mark};
use super::{Batch, Case, Truth, case};

/// The lab's name server, which the machine is configured with.
const SERVER: &str = "198.51.100.53";

/// Where clouds give a machine its credentials, and an address as internal networks have them.
const METADATA: &str = "169.254.169.254";
const PRIVATE: &str = "10.1.2.3";

/// How many names of 62 bytes are more than a job may ask for below one pattern.
const TUNNELLED: usize = 40;

fn asks(name: &str, act: &str, asked: &str) -> Case {
    case(name, act).shown_by(Truth::Question(asked.to_owned()))
}

/// Questions about names that the policy does not allow.
pub(crate) fn questions() -> Vec<Case> {
    let mut cases: Vec<Case> = [
        "A", "AAAA", "TXT", "ANY", "MX", "SRV", "HTTPS", "CNAME", "10",
    ]
    .iter()
    .map(|kind| {
        let name = format!("q{}.refused.example", kind.to_lowercase());
        asks(
            &format!("a question, type {kind}"),
            &format!("$A/net dns-udp {{ns}} 53 {name} {kind}"),
            &name,
        )
    })
    .collect();
    cases.extend([
        asks(
            "a question in upper case",
            "$A/net dns-udp {ns} 53 UPPER.REFUSED.EXAMPLE",
            "upper.refused.example",
        ),
        asks(
            "a question over TCP",
            "$A/net dns-tcp {ns} 53 tcp.refused.example",
            "tcp.refused.example",
        ),
        asks(
            "a question behind an allowed one over TCP",
            "$A/net dns-tcp {ns} 53 allowed.example piped.refused.example allowed.example",
            "piped.refused.example",
        ),
        asks(
            "a question in two segments",
            "$A/net dns-tcp-split {ns} 53 split.refused.example 7",
            "split.refused.example",
        ),
        asks(
            "a name below an allowed one",
            "$A/net dns-udp {ns} 53 secret.allowed.example",
            "secret.allowed.example",
        ),
        asks(
            "a name that ends like an allowed one",
            "$A/net dns-udp {ns} 53 xallowed.example",
            "xallowed.example",
        ),
        asks(
            "a parent of a wildcard",
            "$A/net dns-udp {ns} 53 wild.example",
            "wild.example",
        ),
        asks(
            "an alias's target",
            "$A/net dns-udp {ns} 53 edge.example",
            "edge.example",
        ),
        asks(
            "a name below an allowed wildcard",
            "$A/net dns-udp {ns} 53 shard17.wild.example",
            "shard17.wild.example",
        )
        .passes(),
        asks(
            "a tunnel below an allowed wildcard",
            &format!(
                "i=0; while [ $i -lt {TUNNELLED} ]; do i=$((i+1)); \
                 $A/net dns-udp {{ns}} 53 $(printf %062d $i).wild.example; done"
            ),
            &format!("{TUNNELLED:062}.wild.example"),
        ),
    ]);
    cases
}

/// Messages that carry something past whoever looks at the question alone.
fn carriers() -> Vec<Case> {
    let server: IpAddr = SERVER.parse().expect("an address");
    let carried = |name: &str, act: String, number| {
        case(name, &act).shown_by(Truth::Bytes(server, mark(number)))
    };
    let datagram = |bytes: &[u8]| format!("$A/speak datagram {{ns}} 53 {}", hex(bytes));
    let stream = |bytes: &[u8]| format!("$A/speak say {{ns}} 53 0 0 {}", hex(bytes));
    let labelled = |number| {
        format!(
            "{}.refused.example.",
            String::from_utf8_lossy(&mark(number))
        )
    };
    vec![
        carried(
            "an option of an allowed question",
            datagram(&dns::option(&mark(1))),
            1,
        ),
        carried(
            "bytes after an allowed question",
            datagram(&dns::trailing(&mark(2))),
            2,
        ),
        carried(
            "a second question in one message",
            datagram(&dns::two_questions(&labelled(3))),
            3,
        ),
        carried(
            "an answer nobody asked for",
            datagram(&dns::response(&labelled(4))),
            4,
        ),
        carried("an update", datagram(&dns::update(&labelled(5))), 5),
        carried("another class", datagram(&dns::chaos(&labelled(6))), 6),
        carried("no message at all", datagram(&mark(7)), 7),
        carried("no message at all over TCP", stream(&mark(8)), 8),
        carried(
            "an option over TCP",
            stream(&dns::framed(&dns::option(&mark(9)))),
            9,
        ),
    ]
}

/// Other servers, and other ways to ask.
pub(crate) fn servers() -> Vec<Case> {
    vec![
        case(
            "another name server",
            "$A/net dns-udp {4} 53 allowed.example",
        ),
        case(
            "another name server, IPv6",
            "$A/net dns-udp {6} 53 allowed.example",
        ),
        case(
            "another name server over TCP",
            "$A/net dns-tcp {4} 53 allowed.example; $A/net udp {4} 53",
        ),
        case("DNS over TLS", "$A/net tcp {4} 853"),
        case("DNS over HTTPS by address", "$A/net tcp {4} 443"),
        case(
            "a name server on another port",
            "$A/net dns-udp {4} 5353 allowed.example",
        ),
        case(
            "DNS over TLS at an allowed address",
            "$A/net tcp {allowed4} 853",
        )
        .shown_by(Truth::Place(
            "198.51.100.250".parse().expect("an address"),
            853,
        )),
        case("the name server on another port", "$A/net udp {ns} 5353")
            .shown_by(Truth::Place(SERVER.parse().expect("an address"), 5353)),
        case(
            "QUIC to an allowed name",
            "$A/net dns-udp {ns} 53 allowed.example; $A/net udp {shared} 443 1200",
        )
        .shown_by(Truth::PayloadTo(
            "198.51.100.240".parse().expect("an address"),
            17,
        )),
    ]
}

/// Answers by which an address of the attacker's is to become that of an allowed name.
pub(crate) fn forgeries() -> Vec<Case> {
    [
        ("a forged answer by the job's own server", "127.0.0.1"),
        (
            "a forged answer from another loopback address",
            "127.0.0.53",
        ),
        ("a forged answer over IPv6", "::1"),
    ]
    .map(|(name, server)| {
        case(
            name,
            &format!("$A/names forged {server} allowed.example {{4}} 4430"),
        )
    })
    .into_iter()
    .chain([
        case(
            "an answer that nobody asked for",
            "$A/names unsolicited allowed.example {4} 4430",
        ),
        case(
            "an answer of the attacker's own server",
            "$A/net dns-udp {4} 53 allowed.example; $A/net tcp {4} 4430",
        ),
    ])
    .collect()
}

/// Names below an allowed wildcard, whose owner says that they stand for a place that is not public.
fn rebound() -> Vec<Case> {
    let place = |name: &str, host: &str, address: &str| {
        case(
            name,
            &format!("$A/net dns-udp {{ns}} 53 {host}.wild.example; $A/net tcp {address} 4430"),
        )
        .shown_by(Truth::Place(address.parse().expect("an address"), 4430))
    };
    vec![
        place("a name for the metadata service", "metadata", METADATA),
        place("a name for a private address", "private", PRIVATE),
        case(
            "a name for a service on loopback",
            "$A/net dns-udp {ns} 53 loopback.wild.example; $A/net tcp 127.0.0.1 4430",
        )
        .beside("exec $A/speak sink tcp 127.0.0.1 4430")
        .shown_by(Truth::Told("bytes")),
    ]
}

#[test]
fn no_allowed_name_opens_a_place_that_is_not_public() {
    requires!(Root, Netns);
    Batch::new(test_name!(), rebound()).judge();
}

#[test]
fn no_question_gets_past_the_resolver() {
    requires!(OwnProcessor, Root, Netns);
    Batch::new(test_name!(), questions()).judge();
}

#[test]
fn nothing_rides_along_with_a_question() {
    requires!(OwnProcessor, Root, Netns);
    Batch::new(test_name!(), carriers()).judge();
}

/// The machine's own resolver daemon, which programs ask over a unix socket and which asks for them. By the name that the
/// one of systemd has.
fn daemons() -> Vec<Case> {
    const FOLDER: &str = "D=/run/runward-lab-$(basename $W)";
    vec![
        asks(
            "a resolver daemon outside of the job",
            &format!("{FOLDER}; $A/names through $D/io.systemd.Resolve daemon.refused.example"),
            "daemon.refused.example",
        )
        .beside(&format!(
            "{FOLDER}; mkdir -p $D; trap 'rm -rf $D' EXIT; $A/names daemon $D/io.systemd.Resolve"
        )),
    ]
}

#[test]
fn no_other_server_is_asked_and_no_lie_believed() {
    requires!(Root, Netns);
    let mut cases = servers();
    cases.extend(forgeries());
    cases.extend(daemons());
    Batch::new(test_name!(), cases).judge();
}
