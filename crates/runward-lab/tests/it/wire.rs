//! The witness between client and servers.

use std::net::IpAddr;

use runward_lab::{Answer, Lab, Packet, actor, requires, run};

use crate::PATIENCE;

fn from_client(lab: &Lab, name: &str, arguments: &[&str]) {
    let mut command = lab.command(actor(name));
    command.args(arguments);
    let ran = run(&mut command, PATIENCE).unwrap();
    assert!(ran.worked(), "{arguments:?}: {} {}", ran.stdout, ran.stderr);
}

#[test]
fn whatever_is_sent_has_a_witness() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    let wire = lab.wire().unwrap();
    assert_eq!(wire.to(lab.v4(9).into()).unwrap(), []);
    let table: [(&str, &[&str], u8, u16, u64); 7] = [
        ("net", &["udp", "{}", "4430", "30"], 17, 4430, 30),
        (
            "evade",
            &["protocol", "udplite", "{}", "4430"],
            136,
            4430,
            40,
        ),
        ("evade", &["ping", "{}"], 1, 0, 48),
        ("packets", &["raw-ip", "{}", "99"], 17, 99, 40),
        ("packets", &["raw-protocol", "{}", "253"], 253, 0, 40),
        ("packets", &["packet", "{}", "4430"], 17, 4430, 40),
        ("packets", &["packet-bypass", "{}", "4430"], 17, 4430, 40),
    ];
    for ((name, arguments, protocol, port, payload), host) in table.into_iter().zip(10..) {
        let to = lab.v4(host);
        let text = to.to_string();
        let filled: Vec<_> = arguments
            .iter()
            .map(|argument| if *argument == "{}" { &text } else { *argument })
            .collect();
        from_client(&lab, name, &filled);
        let seen = wire.to(to.into()).unwrap();
        let [one] = &seen[..] else {
            panic!("{name} {arguments:?}: {seen:?}");
        };
        assert_eq!(
            (one.protocol, port_of(one, protocol), one.payload),
            (protocol, port, payload),
            "{name} {arguments:?}"
        );
        assert_eq!(Some(one.from), lab.client_v4().map(IpAddr::V4));
    }
}

/// The port, for protocols that have any; elsewhere these bytes mean something else.
fn port_of(packet: &Packet, protocol: u8) -> u16 {
    if matches!(protocol, 6 | 17 | 136) {
        packet.port
    } else {
        0
    }
}

#[test]
fn a_connection_is_seen_from_its_first_packet_on() {
    requires!(Root, Netns);
    let lab = Lab::netns().unwrap();
    let wire = lab.wire().unwrap();
    let sink = lab.tcp((lab.v6(7), 4430).into(), Answer::Echo).unwrap();
    from_client(
        &lab,
        "net",
        &["tcp", &sink.at().ip().to_string(), "4430", "100"],
    );
    let seen = wire.to(sink.at().ip()).unwrap();
    assert_eq!(
        seen.first().map(|packet| packet.payload),
        Some(0),
        "{seen:?}"
    );
    assert_eq!(seen.iter().map(|packet| packet.payload).sum::<u64>(), 100);
    assert!(
        seen.iter()
            .any(|packet| packet.first.starts_with(b"abcdef"))
    );
}
