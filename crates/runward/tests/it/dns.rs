//! Names looked up, and the names that connections get from them.

use runward_event::{Dns, DnsMessageKind, DnsTransport};
use runward_lab::{Answer, Behaviour, Lab, actor, requires};

use crate::bed::{Bed, Recorded};

fn net(arguments: &[&str]) -> Recorded {
    let program = actor("net");
    Bed::new().record(std::iter::once(program.to_str().unwrap()).chain(arguments.iter().copied()))
}

fn told(recorded: &Recorded, kind: DnsMessageKind) -> Vec<String> {
    let line = |dns: &&Dns| {
        let answers: Vec<_> = dns
            .answers
            .iter()
            .map(|answer| answer.data.as_str())
            .collect();
        let code = dns.rcode.as_deref().unwrap_or("-");
        format!(
            "{} {} {code} {}",
            dns.name,
            dns.record_type,
            answers.join(",")
        )
    };
    recorded
        .dns()
        .iter()
        .filter(|dns| dns.message == kind)
        .map(line)
        .collect()
}

#[test]
fn questions_and_answers_are_seen_over_udp_and_tcp() {
    requires!(Root);
    let lab = Lab::loopback().unwrap();
    let server = (lab.v4(53), 53).into();
    let dns = lab.dns(server).unwrap();
    dns.address(
        "www.example",
        60,
        &[[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
    )
    .unwrap();
    dns.alias("alias.example", 60, "www.example").unwrap();
    let server = server.ip().to_string();

    let recorded = net(&["dns-udp", &server, "53", "WWW.example"]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    assert_eq!(told(&recorded, DnsMessageKind::Query), ["www.example A - "]);
    assert_eq!(
        told(&recorded, DnsMessageKind::Answer),
        ["www.example A NOERROR 192.0.2.1,192.0.2.2"]
    );
    assert_eq!(recorded.dns()[0].process, recorded.execs()[0].process);
    assert_eq!(recorded.dns()[0].transport, DnsTransport::Udp);

    // Three questions in one segment; then one question over two segments.
    let recorded = net(&[
        "dns-tcp",
        &server,
        "53",
        "www.example",
        "alias.example",
        "none.example",
    ]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    let questions = [
        "www.example A - ",
        "alias.example A - ",
        "none.example A - ",
    ];
    assert_eq!(told(&recorded, DnsMessageKind::Query), questions);
    let mut answers = told(&recorded, DnsMessageKind::Answer);
    answers.sort();
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert!(
        answers[0].starts_with("alias.example A NOERROR www.example"),
        "{answers:?}"
    );
    assert_eq!(answers[1], "none.example A NXDOMAIN ");
    assert!(
        recorded
            .dns()
            .iter()
            .all(|dns| dns.transport == DnsTransport::Tcp)
    );

    let recorded = net(&["dns-tcp-split", &server, "53", "www.example", "7"]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    assert_eq!(told(&recorded, DnsMessageKind::Query), ["www.example A - "]);
}

#[test]
fn failures_are_told() {
    requires!(Root);
    let lab = Lab::loopback().unwrap();
    let at = (lab.v4(53), 53).into();
    let dns = lab.dns(at).unwrap();
    dns.behave(
        "broken.example",
        Behaviour::Fail(runward_lab::hickory::op::ResponseCode::ServFail),
    )
    .unwrap();
    let recorded = net(&["dns-udp", &at.ip().to_string(), "53", "broken.example"]);
    assert_eq!(
        told(&recorded, DnsMessageKind::Answer),
        ["broken.example A SERVFAIL "]
    );
}

#[test]
fn a_connection_has_the_name_that_was_looked_up() {
    requires!(Root, Netns, Program("python3"));
    let lab = Lab::netns().unwrap();
    let dns = lab.dns((lab.v4(53), 53).into()).unwrap();
    lab.set_nameservers(&[lab.v4(53).into()]).unwrap();
    let sink = lab.tcp((lab.v4(9), 4430).into(), Answer::Silent).unwrap();
    // Through an alias: the connection has the name that was asked for.
    dns.alias("shop.example", 60, "cdn.example").unwrap();
    dns.address("cdn.example", 60, &[sink.at().ip()]).unwrap();
    let script =
        "import socket; socket.create_connection(('shop.example', 4430)).sendall(b'x' * 10)";
    let mut client = lab.command("python3");
    client.args(["-c", script]);
    let recorded =
        Bed::new().record(std::iter::once(client.get_program()).chain(client.get_args()));
    assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
    let connect = recorded
        .connects()
        .into_iter()
        .find(|connect| connect.port == 4430)
        .unwrap();
    assert_eq!(connect.name.as_deref(), Some("shop.example"));
    let row = recorded.report["network_events"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["port"] == 4430)
        .unwrap();
    assert_eq!(row["destination"], "shop.example:4430");
    assert_eq!(row["status"], "allowed");
    assert!(
        row["process"]["args"][0]
            .as_str()
            .unwrap()
            .ends_with("python3"),
        "{row}"
    );
}
