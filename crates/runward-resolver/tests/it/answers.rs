//! What clients get, and what the gate is told before.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use runward_lab::hickory::op::{Message, OpCode, ResponseCode};
use runward_lab::hickory::rr::rdata::svcb::{
    Alpn, EchConfigList, IpHint, SVCB, SvcParamKey, SvcParamValue,
};
use runward_lab::hickory::rr::rdata::{A, CAA, CNAME, HTTPS, MX, NULL, PTR, SRV, TXT};
use runward_lab::hickory::rr::{DNSClass, Name, RData, RecordType};
use runward_lab::{Behaviour, Dns, Lab, Transport, requires};
use runward_resolver::Transport as AskedBy;

use crate::PATIENCE;
use crate::fence::{
    Fence, LISTENER, extended_error, question, read_framed, receive, sockets, told, with_edns,
    write_framed,
};

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn ips(all: &[&str]) -> Vec<IpAddr> {
    all.iter().map(|one| one.parse().unwrap()).collect()
}

fn lab() -> (Lab, Dns) {
    let lab = Lab::loopback().unwrap();
    let dns = lab.dns(SocketAddr::new(lab.v4(53).into(), 0)).unwrap();
    let addresses = ips(&["192.0.2.1", "192.0.2.2", "2001:db8::1"]);
    dns.address("a.example", 60, &addresses).unwrap();
    dns.alias("www.example", 30, "a.example").unwrap();
    (lab, dns)
}

#[test]
fn all_record_types_pass() {
    let (_lab, dns) = lab();
    let unknown = |code: u16, bytes: &[u8]| {
        let mut rdata = NULL::new();
        rdata.anything = bytes.to_vec();
        RData::Unknown {
            code: RecordType::Unknown(code),
            rdata,
        }
    };
    let records = vec![
        RData::TXT(TXT::new(vec!["one".to_owned()])),
        RData::MX(MX::new(10, name("mail.example."))),
        RData::SRV(SRV::new(1, 2, 443, name("a.example."))),
        RData::CAA(CAA::new_issue(false, Some(name("ca.example")), vec![])),
        RData::PTR(PTR(name("b.example."))),
        unknown(65280, &[1, 0xc0, 12]),
    ];
    dns.set("all.example", 60, records.clone()).unwrap();
    let fence = Fence::new(&[dns.at()]);
    for record in records {
        let answer = fence.ask("all.example.", record.record_type());
        let got: Vec<_> = answer.answers.iter().map(|one| one.data.clone()).collect();
        assert_eq!(got, [record]);
    }
    assert_eq!(
        fence.gate.bindings(),
        [""; 0],
        "there was no address to bind"
    );
}

#[test]
fn addresses_are_bound_to_the_name_that_was_asked_for_with_the_least_time_of_the_chain() {
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    assert_eq!(
        told(&fence.ask("A.Example.", RecordType::A)),
        "ok 192.0.2.1 192.0.2.2"
    );
    assert_eq!(
        told(&fence.ask("a.example.", RecordType::AAAA)),
        "ok 2001:db8::1"
    );
    let www = fence.ask("www.example.", RecordType::A);
    assert_eq!(told(&www), "ok a.example. 192.0.2.1 192.0.2.2");
    let expected = [
        "a.example 192.0.2.1/60 192.0.2.2/60",
        "a.example 2001:db8::1/60",
        "www.example 192.0.2.1/30 192.0.2.2/30",
    ];
    assert_eq!(fence.gate.bindings(), expected);
}

#[test]
fn no_answer_leaves_before_its_addresses_are_bound() {
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    // The first answer comes from upstream, the second from the cache.
    for _ in 0..2 {
        let (binding, is_binding) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        *fence.gate.held.lock().unwrap() = Some((binding, may_go_on));
        let client = fence.client();
        let asked = question("a.example.", RecordType::A, |_| {});
        client.send(&asked.to_vec().unwrap()).unwrap();
        is_binding.recv_timeout(PATIENCE).unwrap();
        client.set_nonblocking(true).unwrap();
        let early = client.recv(&mut [0; 512]).map_err(|error| error.kind());
        assert_eq!(early, Err(std::io::ErrorKind::WouldBlock));
        client.set_nonblocking(false).unwrap();
        go_on.send(()).unwrap();
        assert_eq!(told(&receive(&client)), "ok 192.0.2.1 192.0.2.2");
        *fence.gate.held.lock().unwrap() = None;
    }
    assert_eq!(fence.resolver.counters().from_cache, 1);
}

#[test]
fn a_client_gets_no_address_that_could_not_be_bound() {
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    fence
        .gate
        .unwanted
        .lock()
        .unwrap()
        .extend(ips(&["192.0.2.1", "2001:db8::1"]));
    for _ in 0..2 {
        let some = fence.send(&question("a.example.", RecordType::A, with_edns));
        assert_eq!(
            (told(&some), extended_error(&some)),
            ("ok 192.0.2.2".to_owned(), None)
        );
        let none = fence.send(&question("a.example.", RecordType::AAAA, with_edns));
        assert_eq!(
            (told(&none), extended_error(&none)),
            ("ok".to_owned(), Some(15))
        );
    }
    assert_eq!(fence.resolver.counters().removed, 4);
    *fence.gate.broken.lock().unwrap() = true;
    assert_eq!(told(&fence.ask("a.example.", RecordType::A)), "servfail");
    assert_eq!(fence.resolver.counters().unbound, 1);
    *fence.gate.broken.lock().unwrap() = false;
    assert_eq!(
        told(&fence.ask("a.example.", RecordType::A)),
        "ok 192.0.2.2"
    );
}

#[test]
fn a_refused_name_never_goes_upstream() {
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    fence.gate.refuse("b.example");
    fence.gate.refuse("1.2.0.192.in-addr.arpa");
    let refused = fence.send(&question("B.example.", RecordType::A, with_edns));
    assert_eq!(
        (told(&refused), extended_error(&refused)),
        ("nxdomain".to_owned(), Some(15))
    );
    let plain = fence.ask("1.2.0.192.in-addr.arpa.", RecordType::PTR);
    assert_eq!(
        (told(&plain), plain.edns.is_some()),
        ("nxdomain".to_owned(), false)
    );
    // Also when its answer is in the cache.
    assert_eq!(
        told(&fence.ask("a.example.", RecordType::A)),
        "ok 192.0.2.1 192.0.2.2"
    );
    fence.gate.refuse("a.example");
    assert_eq!(told(&fence.ask("a.example.", RecordType::A)), "nxdomain");
    assert_eq!(dns.asked().len(), 1);
    let counters = fence.resolver.counters();
    assert_eq!((counters.refused, counters.questions), (3, 4));
    let expected = [
        "b.example A",
        "1.2.0.192.in-addr.arpa PTR",
        "a.example A",
        "a.example A",
    ];
    assert_eq!(fence.gate.questions(), expected);
}

#[test]
fn the_gate_knows_who_asked() {
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    let client = fence.client();
    let asked = question("a.example.", RecordType::A, |_| {});
    client.send(&asked.to_vec().unwrap()).unwrap();
    receive(&client);
    let mut stream = fence.connect();
    write_framed(&mut stream, &asked);
    read_framed(&mut stream);
    let judged = fence.gate.judged.lock().unwrap();
    let askers: Vec<_> = judged
        .iter()
        .map(|(asker, ..)| (asker.listener, asker.transport, asker.client))
        .collect();
    let expected = [
        (LISTENER, AskedBy::Udp, client.local_addr().unwrap()),
        (LISTENER, AskedBy::Tcp, stream.local_addr().unwrap()),
    ];
    assert_eq!(askers, expected);
}

#[test]
fn sockets_of_another_network_namespace_are_listened_on() {
    requires!(Netns);
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    let elsewhere = Lab::netns().unwrap();
    let (datagrams, connections) = elsewhere.in_client(sockets).unwrap();
    let at = datagrams.local_addr().unwrap();
    let _listening = fence.resolver.listen(7, datagrams, connections).unwrap();
    let asked = question("a.example.", RecordType::A, |_| {});
    let answers = elsewhere.in_client(|| {
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.send_to(&asked.to_vec().unwrap(), at).unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        write_framed(&mut stream, &asked);
        [told(&receive(&client)), told(&read_framed(&mut stream))]
    });
    assert_eq!(answers.unwrap(), ["ok 192.0.2.1 192.0.2.2"; 2]);
    let judged = fence.gate.judged.lock().unwrap();
    assert!(judged.iter().all(|(asker, ..)| asker.listener == 7));
}

#[test]
fn odd_messages_get_the_code_that_they_deserve() {
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    type Change = fn(&mut Message);
    let table: &[(&str, RecordType, Change)] = &[
        ("refused", RecordType::ANY, |_| {}),
        ("refused", RecordType::AXFR, |_| {}),
        ("refused", RecordType::IXFR, |_| {}),
        ("refused", RecordType::A, |m| {
            m.queries[0].set_query_class(DNSClass::CH);
        }),
        ("notimp", RecordType::A, |m| {
            m.metadata.op_code = OpCode::Update
        }),
        ("notimp", RecordType::A, |m| {
            m.metadata.op_code = OpCode::Notify
        }),
        ("formerr", RecordType::A, |m| m.queries.clear()),
        ("formerr", RecordType::A, |m| {
            m.queries.push(m.queries[0].clone())
        }),
    ];
    for (expected, kind, change) in table {
        let answer = fence.send(&question("a.example.", *kind, change));
        assert_eq!(told(&answer), *expected);
        assert_eq!(answer.metadata.id, 0x1234);
    }
    // No answer to what is no question, and still there afterwards.
    let client = fence.client();
    for bytes in [&[][..], &[1; 11], &[0xff; 40]] {
        client.send(bytes).unwrap();
    }
    let asked = question("a.example.", RecordType::A, |_| {});
    client.send(&asked.to_vec().unwrap()).unwrap();
    assert_eq!(told(&receive(&client)), "ok 192.0.2.1 192.0.2.2");
    assert_eq!(fence.resolver.counters().unusual, 11);
    assert_eq!(dns.asked().len(), 1);
}

#[test]
fn the_clients_spelling_comes_back_and_does_not_go_upstream() {
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    for spelling in ["a.eXAMPLe.", "A.ExamplE."] {
        let answer = fence.ask(spelling, RecordType::A);
        assert_eq!(answer.queries[0].name().to_ascii(), spelling);
        assert_eq!(answer.answers[0].name.to_ascii(), spelling);
    }
    assert_eq!(dns.asked().len(), 1);
    assert_eq!(dns.asked()[0].name, "a.example");
}

#[test]
fn large_answers_are_cut_for_small_clients_and_fetched_over_tcp() {
    let (_lab, dns) = lab();
    let texts = vec!["x".repeat(200); 12];
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    dns.text("large.example", 60, &texts).unwrap();
    let fence = Fence::new(&[dns.at()]);
    let cut = fence.ask("large.example.", RecordType::TXT);
    assert_eq!((cut.metadata.truncation, cut.answers.len()), (true, 0));
    let whole = fence.send(&question("large.example.", RecordType::TXT, with_edns));
    assert_eq!(
        (whole.metadata.truncation, whole.answers.len()),
        (false, 12)
    );
    let mut stream = fence.connect();
    write_framed(
        &mut stream,
        &question("large.example.", RecordType::TXT, |_| {}),
    );
    assert_eq!(read_framed(&mut stream).answers.len(), 12);
    let by: Vec<Transport> = dns.asked().iter().map(|one| one.transport).collect();
    assert_eq!(by, [Transport::Udp, Transport::Tcp]);
    let counters = fence.resolver.counters();
    assert_eq!((counters.retried_over_tcp, counters.truncated), (1, 1));
}

#[test]
fn pipelined_questions_are_answered_as_the_answers_come() {
    let (_lab, dns) = lab();
    dns.address("slow.example", 60, &ips(&["192.0.2.9"]))
        .unwrap();
    dns.behave("slow.example", Behaviour::Delay(Duration::from_millis(500)))
        .unwrap();
    let fence = Fence::new(&[dns.at()]);
    let mut stream = fence.connect();
    for (id, asked) in [
        (1, "slow.example."),
        (2, "a.example."),
        (3, "nowhere.example."),
    ] {
        let message = question(asked, RecordType::A, |m| m.metadata.id = id);
        write_framed(&mut stream, &message);
    }
    // The client has said all that it will say, and still gets everything.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answers: Vec<(u16, String)> = (0..3)
        .map(|_| read_framed(&mut stream))
        .map(|answer| (answer.metadata.id, told(&answer)))
        .collect();
    assert_eq!(
        answers[2],
        (1, "ok 192.0.2.9".to_owned()),
        "the slow one is the last"
    );
    answers.sort();
    assert_eq!(answers[1], (2, "ok 192.0.2.1 192.0.2.2".to_owned()));
    assert_eq!(answers[2], (3, "nxdomain".to_owned()));
}

#[test]
fn the_same_question_is_asked_upstream_once() {
    let (_lab, dns) = lab();
    dns.address("slow.example", 60, &ips(&["192.0.2.9"]))
        .unwrap();
    dns.behave("slow.example", Behaviour::Delay(Duration::from_millis(500)))
        .unwrap();
    let fence = Fence::new(&[dns.at()]);
    let clients: Vec<_> = (0..20)
        .map(|id| {
            let client = fence.client();
            let asked = question("slow.example.", RecordType::A, |m| m.metadata.id = id);
            client.send(&asked.to_vec().unwrap()).unwrap();
            client
        })
        .collect();
    for (id, client) in (0..).zip(&clients) {
        let answer = receive(client);
        assert_eq!(
            (answer.metadata.id, told(&answer)),
            (id, "ok 192.0.2.9".to_owned())
        );
    }
    assert_eq!(dns.asked().len(), 1);
    assert_eq!(
        fence.gate.bindings().len(),
        20,
        "each asker has the address bound"
    );
}

#[test]
fn absence_is_remembered() {
    let (_lab, dns) = lab();
    let fence = Fence::new(&[dns.at()]);
    // The lab's zones say that absence holds for a second, so that a pause between the two may need another round.
    let remembered = (0..20).any(|round| {
        let before = fence.resolver.counters().from_cache;
        let missing = format!("nowhere{round}.example.");
        assert_eq!(told(&fence.ask(&missing, RecordType::A)), "nxdomain");
        let again = fence.ask(&missing, RecordType::A);
        assert_eq!(
            (told(&again), again.authorities.len()),
            ("nxdomain".to_owned(), 1)
        );
        fence.resolver.counters().from_cache > before
    });
    assert!(remembered);
    assert_eq!(told(&fence.ask("a.example.", RecordType::MX)), "ok");
}

#[test]
fn an_answer_is_asked_for_again_when_its_time_is_over() {
    let (_lab, dns) = lab();
    dns.address("short.example", 1, &ips(&["192.0.2.1"]))
        .unwrap();
    let fence = Fence::new(&[dns.at()]);
    assert_eq!(
        told(&fence.ask("short.example.", RecordType::A)),
        "ok 192.0.2.1"
    );
    dns.address("short.example", 1, &ips(&["192.0.2.2"]))
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while told(&fence.ask("short.example.", RecordType::A)) != "ok 192.0.2.2" {
        assert!(Instant::now() < deadline, "the old answer is still given");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn every_one_of_many_rotating_addresses_is_bound_when_it_is_answered() {
    let (_lab, dns) = lab();
    let eight: Vec<IpAddr> = (1..=8)
        .map(|last| IpAddr::from([192, 0, 2, last]))
        .collect();
    for (ttl, host) in [(0, "zero.example"), (1, "one.example")] {
        dns.address(host, ttl, &eight).unwrap();
        dns.rotate(host, 1).unwrap();
    }
    let fence = Fence::new(&[dns.at()]);
    let mut seen = std::collections::HashSet::new();
    for round in 0..500 {
        for host in ["zero.example", "one.example"] {
            let answer = fence.ask(&format!("{host}."), RecordType::A);
            let ip = answer.answers[0].data.ip_addr().unwrap();
            let bound = fence.gate.bound.lock().unwrap();
            let (name, addresses) = bound.last().unwrap();
            assert_eq!(
                (name.as_str(), addresses[0].ip),
                (host, ip),
                "round {round}"
            );
            assert!(addresses[0].ttl <= 1);
            seen.insert(ip);
        }
    }
    assert_eq!(seen.len(), 8);
}

#[test]
fn keys_of_encrypted_hellos_and_address_hints_do_not_pass() {
    let (_lab, dns) = lab();
    let parameters = vec![
        (
            SvcParamKey::Alpn,
            SvcParamValue::Alpn(Alpn(vec!["h2".to_owned()])),
        ),
        (
            SvcParamKey::Ipv4Hint,
            SvcParamValue::Ipv4Hint(IpHint(vec![A::new(192, 0, 2, 1)])),
        ),
        (
            SvcParamKey::EchConfigList,
            SvcParamValue::EchConfigList(EchConfigList(vec![0, 4, 1, 2, 3, 4])),
        ),
    ];
    let svcb = SVCB::new(1, Name::root(), parameters);
    dns.set("a.example", 60, vec![RData::HTTPS(HTTPS(svcb))])
        .unwrap();
    dns.set(
        "alias.example",
        60,
        vec![RData::CNAME(CNAME(name("a.example.")))],
    )
    .unwrap();
    let fence = Fence::new(&[dns.at()]);
    for asked in ["a.example.", "alias.example."] {
        let answer = fence.ask(asked, RecordType::HTTPS);
        let Some(RData::HTTPS(https)) = answer.answers.last().map(|last| &last.data) else {
            panic!("{answer:?}");
        };
        let keys: Vec<_> = https.0.svc_params.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, [SvcParamKey::Alpn]);
    }
    assert_eq!(fence.resolver.counters().stripped, 2);
}

#[test]
fn the_code_of_a_failure_is_the_clients_too() {
    let (_lab, dns) = lab();
    dns.behave("broken.example", Behaviour::Fail(ResponseCode::ServFail))
        .unwrap();
    let fence = Fence::new(&[dns.at()]);
    let answer = fence.send(&question("broken.example.", RecordType::A, with_edns));
    assert_eq!(
        (told(&answer), extended_error(&answer)),
        ("servfail".to_owned(), Some(22))
    );
    assert_eq!(fence.resolver.counters().failed, 2);
}
