//! Servers that are slow, dead, or not who they say they are.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;

use runward_lab::hickory::op::{Message, MessageType, OpCode};
use runward_lab::hickory::rr::rdata::A;
use runward_lab::hickory::rr::{Name, RData, Record, RecordType};
use runward_lab::{Behaviour, Dns, Lab};
use runward_resolver::{Options, Resolver, ResolverError, Upstreams};

use crate::PATIENCE;
use crate::fence::{Doorman, Fence, extended_error, hasty, question, sockets, told, with_edns};

fn server(lab: &Lab, host: u8) -> Dns {
    let dns = lab.dns(SocketAddr::new(lab.v4(host).into(), 0)).unwrap();
    dns.address("*.example", 60, &[[192, 0, 2, host].into()])
        .unwrap();
    dns
}

/// An address of the lab where nobody listens.
fn nobody(lab: &Lab) -> SocketAddr {
    let socket = UdpSocket::bind((lab.v4(99), 0)).unwrap();
    socket.local_addr().unwrap()
}

#[test]
fn the_next_server_is_asked_when_one_is_silent_and_then_asked_first() {
    let lab = Lab::loopback().unwrap();
    let (first, second) = (server(&lab, 1), server(&lab, 2));
    first.behave("*.example", Behaviour::Silent).unwrap();
    let fence = Fence::with(hasty(&[first.at(), second.at()]), None);
    assert_eq!(
        told(&fence.ask("a.example.", RecordType::A)),
        "ok 192.0.2.2"
    );
    assert_eq!(fence.resolver.counters().silent, 1);
    // It rests for a second at least. A machine that is so slow that this is over gives another silence, not a failure.
    assert_eq!(
        told(&fence.ask("b.example.", RecordType::A)),
        "ok 192.0.2.2"
    );
    assert_eq!(second.asked().len(), 2);
}

#[test]
fn the_next_server_is_asked_when_one_fails_or_is_not_there() {
    use runward_lab::hickory::op::ResponseCode::{FormErr, NotImp, Refused, ServFail};
    let lab = Lab::loopback().unwrap();
    let (first, second) = (server(&lab, 1), server(&lab, 2));
    let fence = Fence::new(&[nobody(&lab), first.at(), second.at()]);
    for (code, name) in [
        (ServFail, "a"),
        (Refused, "b"),
        (NotImp, "c"),
        (FormErr, "d"),
    ] {
        first.behave("*.example", Behaviour::Fail(code)).unwrap();
        let answer = fence.ask(&format!("{name}.example."), RecordType::A);
        assert_eq!(told(&answer), "ok 192.0.2.2", "{code}");
    }
    let counters = fence.resolver.counters();
    assert_eq!(counters.failed, 4);
    assert!(counters.silent >= 1);
}

#[test]
fn all_servers_dead_is_a_failure_that_says_so() {
    let lab = Lab::loopback().unwrap();
    let silent = server(&lab, 1);
    silent.behave("*.example", Behaviour::Silent).unwrap();
    let fence = Fence::with(hasty(&[nobody(&lab), silent.at()]), None);
    let answer = fence.send(&question("a.example.", RecordType::A, with_edns));
    assert_eq!(
        (told(&answer), extended_error(&answer)),
        ("servfail".to_owned(), Some(22))
    );
    assert_eq!(fence.resolver.counters().unanswered, 1);
    // It is asked again as soon as it is back.
    silent.behave("*.example", Behaviour::Answer).unwrap();
    assert_eq!(
        told(&fence.ask("a.example.", RecordType::A)),
        "ok 192.0.2.1"
    );
}

#[test]
fn servers_can_be_replaced() {
    let lab = Lab::loopback().unwrap();
    let (first, second) = (server(&lab, 1), server(&lab, 2));
    let fence = Fence::new(&[first.at()]);
    assert_eq!(
        told(&fence.ask("a.example.", RecordType::A)),
        "ok 192.0.2.1"
    );
    fence
        .resolver
        .replace_upstreams(&Upstreams::new(vec![second.at()]));
    assert_eq!(
        told(&fence.ask("b.example.", RecordType::A)),
        "ok 192.0.2.2"
    );
}

/// A server that sends `forge`'s messages before the true answer.
fn liar(forge: impl Fn(&Message) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let at = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        let (count, from) = socket.recv_from(&mut buffer).unwrap();
        let asked = Message::from_vec(&buffer[..count]).unwrap();
        let elsewhere = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        elsewhere
            .send_to(&answer(&asked, 66, |_| {}), from)
            .unwrap();
        for forged in forge(&asked) {
            socket.send_to(&forged, from).unwrap();
        }
        socket.send_to(&answer(&asked, 1, |_| {}), from).unwrap();
    });
    at
}

/// An answer with one address.
fn answer(asked: &Message, last: u8, change: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::response(asked.metadata.id, OpCode::Query);
    message.add_query(asked.queries[0].clone());
    let data = RData::A(A::new(192, 0, 2, last));
    message.add_answer(Record::from_rdata(
        asked.queries[0].name().clone(),
        60,
        data,
    ));
    change(&mut message);
    message.to_vec().unwrap()
}

#[test]
fn forged_answers_are_ignored() {
    let other = || Name::from_ascii("b.example.").unwrap();
    let at = liar(move |asked| {
        let id = asked.metadata.id;
        vec![
            answer(asked, 66, |m| m.metadata.id = id.wrapping_add(1)),
            answer(asked, 66, |m| {
                m.queries[0].set_name(other());
            }),
            answer(asked, 66, |m| {
                m.queries[0].set_query_type(RecordType::AAAA);
            }),
            answer(asked, 66, |m| m.queries.clear()),
            answer(asked, 66, |m| m.metadata.message_type = MessageType::Query),
            b"nonsense".to_vec(),
        ]
    });
    let fence = Fence::new(&[at]);
    assert_eq!(
        told(&fence.ask("a.example.", RecordType::A)),
        "ok 192.0.2.1"
    );
    assert_eq!(fence.gate.bindings(), ["a.example 192.0.2.1/60"]);
    // The one from another port never reached the socket.
    assert_eq!(fence.resolver.counters().ignored, 6);
}

#[test]
fn addresses_of_other_names_in_an_answer_are_dropped() {
    let at = liar(|asked| {
        vec![answer(asked, 1, |m| {
            let victim = Name::from_ascii("victim.example.").unwrap();
            let data = RData::A(A::new(192, 0, 2, 66));
            m.add_answer(Record::from_rdata(victim.clone(), 60, data.clone()));
            m.add_authority(Record::from_rdata(victim.clone(), 60, data.clone()));
            m.add_additional(Record::from_rdata(victim, 60, data));
        })]
    });
    let fence = Fence::new(&[at]);
    let got = fence.ask("a.example.", RecordType::A);
    assert_eq!(told(&got), "ok 192.0.2.1");
    assert_eq!((got.authorities.len(), got.additionals.len()), (0, 0));
    assert_eq!(fence.gate.bindings(), ["a.example 192.0.2.1/60"]);
    assert_eq!(fence.resolver.counters().unrelated, 1);
}

#[test]
fn a_resolver_without_servers_or_on_all_addresses_does_not_start() {
    let start = |servers: Vec<SocketAddr>| {
        let options = Options {
            upstreams: Upstreams::new(servers),
        };
        Resolver::start(&options, std::sync::Arc::new(Doorman::default()))
    };
    assert!(matches!(start(vec![]), Err(ResolverError::NoUpstream)));
    let resolver = start(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 1))]).unwrap();
    let everywhere = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let refused = resolver.listen(1, everywhere, sockets().1);
    assert!(matches!(refused, Err(ResolverError::Unspecified(_))));
}
