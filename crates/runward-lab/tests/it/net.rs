//! The net actor against the sinks: what it says it sent is what arrived.

use std::net::{IpAddr, Ipv6Addr};
use std::process::Command;
use std::thread;

use runward_lab::{Answer, Lab, Ran, actor, requires, run, skip, test_name};

use crate::{PATIENCE, act, any_port};

/// An act that this kernel lacks is said to be skipped; any other failure is one.
fn worked(test: &str, ran: &Ran) -> bool {
    if let Some(lacking) = ran.lacking() {
        skip(test, &format!("this kernel lacks {lacking}"));
        return false;
    }
    assert!(ran.worked(), "{test}: {} {}", ran.stdout, ran.stderr);
    true
}

#[test]
fn each_way_to_connect_arrives() {
    let lab = Lab::loopback().unwrap();
    for way in [
        "tcp",
        "tcp-mapped",
        "tcp-nonblock",
        "tcp-fastopen",
        "uring",
        "uring-async",
        "uring-sqpoll",
        "inherited",
        "passed",
    ] {
        let sink = lab
            .tcp(any_port(lab.v4(1)), Answer::Fixed(b"thanks".to_vec()))
            .unwrap();
        let (address, port) = (sink.at().ip().to_string(), sink.at().port().to_string());
        let ran = act("net", [way, &address, &port, "1000"]);
        if !worked(&format!("{} {way}", test_name!()), &ran) {
            continue;
        }
        let log = sink
            .log()
            .wait(PATIENCE, |all| all.iter().any(|one| one.ended));
        assert_eq!(log.len(), 1, "{way}");
        let one = &log[0];
        assert_eq!((one.received, one.sent), (1000, 6), "{way}");
        assert!(one.first.starts_with(b"abcdefghij"), "{way}");
        assert_eq!(ran.number("sent"), Some(1000), "{way}");
        assert_eq!(ran.number("received"), Some(6), "{way}");
        assert_eq!(
            ran.number("local_port"),
            Some(u64::from(one.from.port())),
            "{way}"
        );
        assert_eq!(one.to, sink.at(), "{way}");
    }
}

#[test]
fn each_way_to_send_a_datagram_arrives() {
    let lab = Lab::loopback().unwrap();
    for way in [
        "udp",
        "udp-mapped",
        "udp-sendto",
        "udp-sendto-mapped",
        "udp-sendmsg",
        "uring-udp",
    ] {
        let sink = lab.udp(any_port(lab.v4(1)), Answer::Silent).unwrap();
        let (address, port) = (sink.at().ip().to_string(), sink.at().port().to_string());
        let ran = act("net", [way, &address, &port, "77"]);
        if !worked(&format!("{} {way}", test_name!()), &ran) {
            continue;
        }
        let log = sink.log().wait(PATIENCE, |all| !all.is_empty());
        assert_eq!(log.len(), 1, "{way}");
        assert_eq!(log[0].received, 77, "{way}");
        assert_eq!(
            ran.number("local_port"),
            Some(u64::from(log[0].from.port())),
            "{way}"
        );
    }
}

#[test]
fn one_call_reaches_several_destinations() {
    let lab = Lab::loopback().unwrap();
    let sinks = [1, 2, 3].map(|host| lab.udp(any_port(lab.v4(host)), Answer::Silent).unwrap());
    let mut arguments = vec!["udp-sendmmsg".to_owned()];
    for sink in &sinks {
        arguments.extend([sink.at().ip().to_string(), sink.at().port().to_string()]);
    }
    let ran = act("net", arguments);
    assert_eq!(ran.number("datagrams"), Some(3), "{}", ran.stdout);
    for (sink, length) in sinks.iter().zip(5..) {
        let log = sink.log().wait(PATIENCE, |all| !all.is_empty());
        assert_eq!(
            log.iter().map(|one| one.received).collect::<Vec<_>>(),
            [length]
        );
    }
}

#[test]
fn ipv6() {
    requires!(Ipv6);
    let lab = Lab::loopback().unwrap();
    let tcp = lab.tcp(any_port(lab.v6(1)), Answer::Echo).unwrap();
    let udp = lab.udp(any_port(lab.v6(1)), Answer::Silent).unwrap();
    let ran = act("net", ["tcp", "::1", &tcp.at().port().to_string(), "20"]);
    assert_eq!(
        (ran.number("sent"), ran.number("received")),
        (Some(20), Some(20)),
        "{}",
        ran.stdout
    );
    assert!(act("net", ["udp-sendto", "::1", &udp.at().port().to_string()]).worked());
    let log = udp.log().wait(PATIENCE, |all| !all.is_empty());
    assert_eq!(log[0].from.ip(), IpAddr::V6(Ipv6Addr::LOCALHOST));
}

#[test]
fn a_stopped_server_refuses() {
    let lab = Lab::loopback().unwrap();
    let sink = lab.tcp(any_port(lab.v4(1)), Answer::Silent).unwrap();
    let (address, port) = (sink.at().ip().to_string(), sink.at().port().to_string());
    let ran = act("net", ["tcp-refused", &address, &port]);
    assert_eq!(
        (ran.code(), ran.text("error")),
        (1, Some("EISCONN")),
        "it is still there"
    );
    drop(sink);
    let ran = act("net", ["tcp-refused", &address, &port]);
    assert!(ran.worked(), "{}", ran.stdout);
}

#[test]
fn echo_request_by_raw_socket() {
    requires!(Root);
    let lab = Lab::loopback().unwrap();
    let ran = act("net", ["icmp", &lab.v4(1).to_string()]);
    if worked(test_name!(), &ran) {
        assert_eq!(ran.number("received"), Some(24), "{}", ran.stdout);
    }
}

#[test]
fn sockets_from_outside() {
    let lab = Lab::loopback().unwrap();
    for state in ["fresh", "connected"] {
        let sink = lab.tcp(any_port(lab.v4(1)), Answer::Silent).unwrap();
        let (address, port) = (sink.at().ip().to_string(), sink.at().port().to_string());
        let meeting = lab.folder().join(state).display().to_string();
        let (given, taken) = thread::scope(|scope| {
            let give = scope.spawn(|| act("net", ["give", &address, &port, &meeting, state]));
            let taken = act("net", ["take", &address, &port, &meeting, state, "9"]);
            (give.join().unwrap(), taken)
        });
        assert!(
            given.worked() && taken.worked(),
            "{state}: {} {}",
            given.stdout,
            taken.stdout
        );
        let log = sink
            .log()
            .wait(PATIENCE, |all| all.iter().any(|one| one.ended));
        assert_eq!(
            log.iter().map(|one| one.received).collect::<Vec<_>>(),
            [9],
            "{state}"
        );
    }
}

#[test]
fn bad_arguments_are_told_apart_from_failures() {
    for arguments in [
        &["tcp", "not-an-address", "80"][..],
        &["tcp", "127.0.0.1", "65536"],
        &["tcp", "127.0.0.1"],
        &["tcp-mapped", "::1", "80"],
        &["dns-udp", "127.0.0.1", "53", "a..b"],
        &["no-such-act"],
        &[],
    ] {
        let ran = run(Command::new(actor("net")).args(arguments), PATIENCE).unwrap();
        assert_eq!(ran.code(), 64, "{arguments:?}");
        assert!(!ran.stderr.is_empty());
    }
}
