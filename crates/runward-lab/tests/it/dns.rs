//! The DNS server, asked by the net actor's hand-made messages and by hickory's codec.

use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use runward_lab::hickory::op::{Edns, Message, Query, ResponseCode};
use runward_lab::hickory::rr::rdata::{HTTPS, SVCB};
use runward_lab::hickory::rr::{Name, RData, RecordType};
use runward_lab::{Behaviour, Dns, Lab, Ran, Transport};

use crate::{PATIENCE, act, any_port};

fn start(lab: &Lab) -> Dns {
    let dns = lab.dns(any_port(lab.v4(53))).unwrap();
    dns.address(
        "a.example",
        60,
        &ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
    )
    .unwrap();
    dns.address("b.example", 60, &ips(&["192.0.2.3"])).unwrap();
    dns.alias("www.example", 60, "a.example").unwrap();
    dns.text("t.example", 60, &["one", "two"]).unwrap();
    dns
}

fn ips(all: &[&str]) -> Vec<IpAddr> {
    all.iter().map(|one| one.parse().unwrap()).collect()
}

fn ask(dns: &Dns, act_name: &str, rest: &[&str]) -> Ran {
    let (address, port) = (dns.at().ip().to_string(), dns.at().port().to_string());
    act("net", [act_name, &address, &port].iter().chain(rest))
}

/// The id, code, number of answers and addresses in each line that the actor printed.
fn told(ran: &Ran) -> Vec<String> {
    assert!(ran.worked(), "{} {}", ran.stdout, ran.stderr);
    ran.lines
        .iter()
        .map(|line| {
            format!(
                "{} {} {} {}",
                line["id"], line["rcode"], line["answers"], line["addresses"]
            )
        })
        .collect()
}

#[test]
fn questions_by_datagram() {
    let lab = Lab::loopback().unwrap();
    let dns = start(&lab);
    for (name, kind, expected) in [
        ("a.example", "A", r#"21079 0 2 ["192.0.2.1","192.0.2.2"]"#),
        ("A.eXample", "AAAA", r#"21079 0 1 ["2001:db8::1"]"#),
        ("www.example", "A", r#"21079 0 3 ["192.0.2.1","192.0.2.2"]"#),
        ("t.example", "TXT", "21079 0 2 []"),
        ("a.example", "MX", "21079 0 0 []"),
        ("nowhere.example", "A", "21079 3 0 []"),
    ] {
        assert_eq!(
            told(&ask(&dns, "dns-udp", &[name, kind])),
            [expected],
            "{name} {kind}"
        );
    }
    let asked = dns.asked();
    let names: Vec<_> = asked
        .iter()
        .map(|one| (one.name.as_str(), one.kind.as_str()))
        .collect();
    assert_eq!(
        names[1],
        ("A.eXample", "AAAA"),
        "the name is logged as it was written"
    );
    assert_eq!(names.len(), 6);
    assert!(asked.iter().all(|one| one.transport == Transport::Udp));
    assert_eq!(asked[5].code, Some(ResponseCode::NXDomain));
}

#[test]
fn questions_by_connection_pipelined_and_split() {
    let lab = Lab::loopback().unwrap();
    let dns = start(&lab);
    let pipelined = ask(&dns, "dns-tcp", &["a.example", "b.example", "x.example"]);
    assert_eq!(
        told(&pipelined),
        [
            r#"1 0 2 ["192.0.2.1","192.0.2.2"]"#,
            r#"2 0 1 ["192.0.2.3"]"#,
            "3 3 0 []"
        ]
    );
    for cut in ["1", "2", "14", "20"] {
        let split = ask(&dns, "dns-tcp-split", &["b.example", cut]);
        assert_eq!(told(&split), [r#"21079 0 1 ["192.0.2.3"]"#], "cut at {cut}");
    }
    let asked = dns.asked();
    assert_eq!(asked.len(), 7);
    assert!(asked.iter().all(|one| one.transport == Transport::Tcp));
    let sources: Vec<_> = asked.iter().take(3).map(|one| one.from).collect();
    assert!(
        sources.iter().all(|one| *one == sources[0]),
        "one connection: {sources:?}"
    );
}

#[test]
fn behaviours() {
    let lab = Lab::loopback().unwrap();
    let dns = start(&lab);

    dns.behave("a.example", Behaviour::TruncateUdp).unwrap();
    let ran = ask(&dns, "dns-udp", &["a.example"]);
    assert_eq!(ran.lines[0]["truncated"], true);
    assert_eq!(told(&ran), ["21079 0 0 []"]);
    assert_eq!(
        told(&ask(&dns, "dns-tcp", &["a.example"])),
        [r#"1 0 2 ["192.0.2.1","192.0.2.2"]"#]
    );

    dns.behave("a.example", Behaviour::Fail(ResponseCode::Refused))
        .unwrap();
    assert_eq!(
        told(&ask(&dns, "dns-udp", &["a.example"])),
        ["21079 5 0 []"]
    );

    dns.behave("a.example", Behaviour::Delay(Duration::from_millis(300)))
        .unwrap();
    let start = Instant::now();
    assert_eq!(
        told(&ask(&dns, "dns-udp", &["a.example", "AAAA"])),
        [r#"21079 0 1 ["2001:db8::1"]"#]
    );
    assert!(start.elapsed() >= Duration::from_millis(300));

    dns.behave("a.example", Behaviour::Silent).unwrap();
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    client
        .send_to(&question("a.example.", RecordType::A, None), dns.at())
        .unwrap();
    let asked = dns.log().wait(PATIENCE, |all| all.len() == 5);
    assert_eq!((asked[4].name.as_str(), asked[4].code), ("a.example", None));
    assert!(client.recv(&mut [0; 512]).is_err());

    dns.behave("a.example", Behaviour::Answer).unwrap();
    dns.rotate("a.example", 1).unwrap();
    for expected in ["192.0.2.1", "192.0.2.2", "192.0.2.1"] {
        let told = told(&ask(&dns, "dns-udp", &["a.example"]));
        assert_eq!(told, [format!("21079 0 1 [\"{expected}\"]")]);
    }

    dns.remove("a.example").unwrap();
    assert_eq!(
        told(&ask(&dns, "dns-udp", &["a.example"])),
        ["21079 3 0 []"]
    );
}

#[test]
fn large_answers_are_cut_to_what_the_client_takes() {
    let lab = Lab::loopback().unwrap();
    let dns = start(&lab);
    let many: Vec<IpAddr> = (0..50)
        .map(|last| IpAddr::from([192, 0, 2, last]))
        .collect();
    dns.address("many.example", 60, &many).unwrap();
    // 50 records of 16 bytes: too much for 512 bytes, not for 1,232.
    for (payload, truncated, answers) in [
        (None, true, 0),
        (Some(100), true, 0),
        (Some(1232), false, 50),
        (Some(65_535), false, 50),
    ] {
        let answer = exchange(&dns, &question("many.example.", RecordType::A, payload));
        let got = (
            answer.metadata.truncation,
            answer.answers.len(),
            answer.edns.is_some(),
        );
        assert_eq!(got, (truncated, answers, payload.is_some()), "{payload:?}");
    }
}

#[test]
fn any_record_type_can_be_served() {
    let lab = Lab::loopback().unwrap();
    let dns = start(&lab);
    let record = RData::HTTPS(HTTPS(SVCB::new(
        1,
        Name::from_ascii("cdn.example.").unwrap(),
        vec![],
    )));
    dns.set("https.example", 60, vec![record.clone()]).unwrap();
    let answer = exchange(&dns, &question("hTTps.example.", RecordType::HTTPS, None));
    assert_eq!(answer.answers[0].data, record);
    assert_eq!(answer.answers[0].ttl, 60);
    assert_eq!(
        answer.queries[0].name().to_ascii(),
        "hTTps.example.",
        "the question comes back as written"
    );
}

#[test]
fn malformed_messages_are_logged_and_survived() {
    let lab = Lab::loopback().unwrap();
    let dns = start(&lab);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    let garbage: [&[u8]; 4] = [b"", b"\x01", b"\x01\x02\x03", &[0xff; 600]];
    for message in garbage {
        client.send_to(message, dns.at()).unwrap();
    }
    let asked = dns.log().wait(PATIENCE, |all| all.len() == garbage.len());
    assert_eq!(asked.len(), garbage.len());
    assert!(
        asked
            .iter()
            .all(|one| one.name.is_empty() && one.code == Some(ResponseCode::FormErr))
    );
    assert_eq!(
        told(&ask(&dns, "dns-udp", &["b.example"])),
        [r#"21079 0 1 ["192.0.2.3"]"#]
    );
}

#[test]
fn names_that_are_none_are_refused() {
    let lab = Lab::loopback().unwrap();
    let dns = start(&lab);
    let error = dns
        .address(&"x".repeat(64), 60, &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("is not a domain name"), "{error}");
}

fn question(name: &str, kind: RecordType, payload: Option<u16>) -> Vec<u8> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

fn exchange(dns: &Dns, question: &[u8]) -> Message {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send_to(question, dns.at()).unwrap();
    let mut buffer = [0; 65_536];
    let count = client.recv(&mut buffer).unwrap();
    Message::from_vec(&buffer[..count]).unwrap()
}
