//! Every connection, with the process that made it, and what came of it.

use std::net::{IpAddr, SocketAddr};

use runward_event::{ConnectOutcome, Lost, Protocol};
use runward_lab::{Answer, Lab, actor, requires};

use crate::bed::{Bed, Recorded};

fn net(arguments: &[&str]) -> Recorded {
    let program = actor("net");
    Bed::new().record(std::iter::once(program.to_str().unwrap()).chain(arguments.iter().copied()))
}

/// Asserts that exactly one connection went to `to`, by a process of the job with process id `pid`, and gives what came
/// of it: outcome, bytes sent, bytes received.
fn only(
    recorded: &Recorded,
    case: &str,
    protocol: Protocol,
    to: SocketAddr,
    pid: u64,
) -> (ConnectOutcome, u64, u64) {
    let matching: Vec<_> = recorded
        .connects()
        .into_iter()
        .filter(|connect| (connect.ip, connect.port) == (to.ip(), to.port()))
        .collect();
    let [connect] = &matching[..] else {
        panic!(
            "{case}: {} connections to {to}: {:?}",
            matching.len(),
            recorded.connects()
        )
    };
    assert_eq!(connect.protocol, protocol, "{case}");
    assert_eq!(
        Some(connect.process),
        recorded.process(pid),
        "{case}: {connect:?}"
    );
    assert_eq!(u64::from(connect.pid), pid, "{case}");
    let close = recorded
        .closes()
        .into_iter()
        .find(|close| close.connection == connect.connection);
    let close = close.unwrap_or_else(|| panic!("{case}: it never ended"));
    (close.outcome, close.bytes_sent, close.bytes_received)
}

#[test]
fn every_way_to_speak_tcp_is_seen() {
    requires!(Root);
    let lab = Lab::loopback().unwrap();
    let sink = lab
        .tcp((lab.v4(10), 0).into(), Answer::Fixed(vec![b'r'; 50]))
        .unwrap();
    let (ip, port) = (sink.at().ip().to_string(), sink.at().port().to_string());
    let acts = [
        "tcp",
        "tcp-mapped",
        "tcp-nonblock",
        "tcp-fastopen",
        "uring",
        "uring-async",
        "uring-sqpoll",
        "inherited",
        "passed",
    ];
    for act in acts {
        let recorded = net(&[act, &ip, &port, "1000"]);
        if let Some(lacking) = recorded.ran.lacking() {
            runward_lab::skip_part(runward_lab::test_name!(), act, &lacking);
            continue;
        }
        assert!(recorded.ran.worked(), "{act}: {}", recorded.ran.stdout);
        let pid = recorded.ran.number("pid").unwrap();
        let (outcome, sent, _) = only(&recorded, act, Protocol::Tcp, sink.at(), pid);
        assert_eq!(
            (outcome, sent),
            (ConnectOutcome::Established, 1000),
            "{act}"
        );
        assert_eq!(
            recorded.connects()[0].v4_mapped,
            act == "tcp-mapped",
            "{act}"
        );
        assert_eq!(recorded.lost(), Vec::<&Lost>::new(), "{act}");
    }
}

#[test]
fn tcp_over_ipv6_is_seen() {
    requires!(Root, Ipv6);
    let lab = Lab::loopback().unwrap();
    let sink = lab.tcp((lab.v6(1), 0).into(), Answer::Echo).unwrap();
    let recorded = net(&["tcp", "::1", &sink.at().port().to_string(), "777"]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    let pid = recorded.ran.number("pid").unwrap();
    let (outcome, sent, received) = only(&recorded, "tcp6", Protocol::Tcp, sink.at(), pid);
    assert_eq!((outcome, sent), (ConnectOutcome::Established, 777));
    assert!(
        received == 777 || received == 0,
        "{received}: the actor may close before the echo comes"
    );
}

#[test]
fn what_cannot_be_reached_failed() {
    requires!(Root);
    let lab = Lab::loopback().unwrap();
    // A port that nobody listens on: one that was just free.
    let at = lab
        .tcp((lab.v4(11), 0).into(), Answer::Silent)
        .unwrap()
        .at();
    let recorded = net(&["tcp-refused", &at.ip().to_string(), &at.port().to_string()]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    let pid = recorded.ran.number("pid").unwrap();
    assert_eq!(
        only(&recorded, "refused", Protocol::Tcp, at, pid),
        (ConnectOutcome::Failed, 0, 0)
    );
}

#[test]
fn every_way_to_speak_udp_is_seen() {
    requires!(Root);
    let lab = Lab::loopback().unwrap();
    let sink = lab.udp((lab.v4(12), 0).into(), Answer::Silent).unwrap();
    let (ip, port) = (sink.at().ip().to_string(), sink.at().port().to_string());
    let acts = [
        "udp",
        "udp-mapped",
        "udp-sendto",
        "udp-sendto-mapped",
        "udp-sendmsg",
        "uring-udp",
    ];
    for act in acts {
        let recorded = net(&[act, &ip, &port, "300"]);
        if let Some(lacking) = recorded.ran.lacking() {
            runward_lab::skip_part(runward_lab::test_name!(), act, &lacking);
            continue;
        }
        assert!(recorded.ran.worked(), "{act}: {}", recorded.ran.stdout);
        let pid = recorded.ran.number("pid").unwrap();
        let (outcome, sent, _) = only(&recorded, act, Protocol::Udp, sink.at(), pid);
        assert_eq!((outcome, sent), (ConnectOutcome::Datagrams, 300), "{act}");
        assert_eq!(
            recorded.connects()[0].v4_mapped,
            act.ends_with("mapped"),
            "{act}"
        );
    }
}

#[test]
fn one_sendmmsg_to_many_is_many_connections() {
    requires!(Root);
    let lab = Lab::loopback().unwrap();
    let sinks: Vec<_> = (20..25)
        .map(|host| lab.udp((lab.v4(host), 0).into(), Answer::Silent).unwrap())
        .collect();
    let places: Vec<String> = sinks
        .iter()
        .flat_map(|sink| [sink.at().ip().to_string(), sink.at().port().to_string()])
        .collect();
    let mut arguments = vec!["udp-sendmmsg"];
    arguments.extend(places.iter().map(String::as_str));
    let recorded = net(&arguments);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    let pid = recorded.ran.number("pid").unwrap();
    for sink in &sinks {
        let (outcome, sent, _) = only(&recorded, "sendmmsg", Protocol::Udp, sink.at(), pid);
        assert_eq!(outcome, ConnectOutcome::Datagrams);
        assert!(sent > 0);
    }
    assert_eq!(recorded.connects().len(), sinks.len());
}

#[test]
fn a_ping_is_seen() {
    requires!(Root);
    let lab = Lab::loopback().unwrap();
    let recorded = net(&["icmp", &lab.v4(13).to_string()]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    let pid = recorded.ran.number("pid").unwrap();
    let to = (IpAddr::V4(lab.v4(13)), 0).into();
    assert_eq!(
        only(&recorded, "icmp", Protocol::Icmp, to, pid).0,
        ConnectOutcome::Datagrams
    );
}

#[test]
fn other_network_namespaces_are_seen() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    let sink = lab.tcp((lab.v4(5), 7777).into(), Answer::Silent).unwrap();
    let sink6 = lab.tcp((lab.v6(5), 7777).into(), Answer::Silent).unwrap();
    let bed = Bed::new();
    // Runward stands outside; only its command enters the client's namespace.
    for (at, case) in [(sink.at(), "IPv4"), (sink6.at(), "IPv6")] {
        let mut client = lab.command(actor("net"));
        client.args(["tcp", &at.ip().to_string(), "7777", "64"]);
        let command: Vec<_> = std::iter::once(client.get_program())
            .chain(client.get_args())
            .collect();
        let recorded = bed.record(command);
        assert!(
            recorded.ran.worked(),
            "{case}: {} {}",
            recorded.ran.stdout,
            recorded.ran.stderr
        );
        let pid = recorded.ran.number("pid").unwrap();
        assert_eq!(only(&recorded, case, Protocol::Tcp, at, pid).1, 64);
    }
    let unreachable = net_in(&lab, &bed, &["tcp-unreachable", "198.18.0.1", "1"]);
    let pid = unreachable.ran.number("pid").unwrap();
    let to = "198.18.0.1:1".parse().unwrap();
    assert_eq!(
        only(&unreachable, "unreachable", Protocol::Tcp, to, pid),
        (ConnectOutcome::Failed, 0, 0)
    );
}

fn net_in(lab: &Lab, bed: &Bed, arguments: &[&str]) -> Recorded {
    let mut client = lab.command(actor("net"));
    client.args(arguments);
    bed.record(std::iter::once(client.get_program()).chain(client.get_args()))
}
