//! What a client can't do to the others.

use std::io::Read as _;
use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use runward_lab::hickory::rr::RecordType;
use runward_lab::{Behaviour, Dns, Lab};

use crate::PATIENCE;
use crate::fence::{Fence, hasty, question, read_framed, receive, sockets, told, write_framed};

fn silent_and_not() -> (Lab, Dns) {
    let lab = Lab::loopback().unwrap();
    let dns = lab.dns(SocketAddr::new(lab.v4(53).into(), 0)).unwrap();
    dns.address("a.example", 60, &[[192, 0, 2, 1].into()])
        .unwrap();
    dns.address("*.slow.example", 60, &[[192, 0, 2, 2].into()])
        .unwrap();
    dns.behave("*.slow.example", Behaviour::Silent).unwrap();
    (lab, dns)
}

#[test]
fn one_listeners_waiting_questions_do_not_take_the_room_of_another() {
    let (_lab, dns) = silent_and_not();
    let fence = Fence::new(&[dns.at()]);
    let (datagrams, connections) = sockets();
    let second_at = datagrams.local_addr().unwrap();
    let _second = fence.resolver.listen(2, datagrams, connections).unwrap();
    let greedy = fence.client();
    for number in 0..300 {
        let name = format!("n{number}.slow.example.");
        let asked = question(&name, RecordType::A, |m| m.metadata.id = number);
        greedy.send(&asked.to_vec().unwrap()).unwrap();
        // Datagrams that come faster than they are read are lost, and lost ones would not be counted here.
        let deadline = Instant::now() + PATIENCE;
        while fence.resolver.counters().questions <= u64::from(number) && Instant::now() < deadline
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    assert_eq!(
        told(&receive(&greedy)),
        "servfail",
        "those beyond the bound are told at once"
    );
    let counters = fence.resolver.counters();
    assert_eq!((counters.forwarded, counters.overload), (256, 44));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = question("a.example.", RecordType::A, |_| {});
    client.send_to(&asked.to_vec().unwrap(), second_at).unwrap();
    assert_eq!(told(&receive(&client)), "ok 192.0.2.1");
}

#[test]
fn connections_are_bounded() {
    let (_lab, dns) = silent_and_not();
    let fence = Fence::new(&[dns.at()]);
    let asked = question("a.example.", RecordType::A, |_| {});
    let mut open: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = fence.connect();
            write_framed(&mut stream, &asked);
            assert_eq!(told(&read_framed(&mut stream)), "ok 192.0.2.1");
            stream
        })
        .collect();
    let mut one_more = fence.connect();
    // A reset is as good as an end.
    assert_eq!(one_more.read(&mut [0]).unwrap_or(0), 0);
    assert_eq!(fence.resolver.counters().closed, 1);
    open.pop();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut stream = fence.connect();
        let asked = asked.to_vec().unwrap();
        let framed = [
            &u16::try_from(asked.len()).unwrap().to_be_bytes()[..],
            &asked,
        ]
        .concat();
        if stream.write_all(&framed).is_ok()
            && stream.read(&mut [0; 2]).is_ok_and(|count| count > 0)
        {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the closed connection's place is not free"
        );
    }
}

#[test]
fn a_message_that_is_too_long_ends_the_connection() {
    let (_lab, dns) = silent_and_not();
    let fence = Fence::new(&[dns.at()]);
    let mut stream = fence.connect();
    stream.write_all(&4097_u16.to_be_bytes()).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    assert_eq!(fence.resolver.counters().closed, 1);
}

#[test]
fn a_listener_ends_with_its_handle() {
    let (_lab, dns) = silent_and_not();
    let mut fence = Fence::with(hasty(&[dns.at()]), None);
    let mut stream = fence.connect();
    write_framed(
        &mut stream,
        &question("n.slow.example.", RecordType::A, |_| {}),
    );
    fence.listening = None;
    // Its connections end, and its address is free, also while a question still waits.
    assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
    let deadline = Instant::now() + PATIENCE;
    while UdpSocket::bind(fence.at).is_err() {
        assert!(Instant::now() < deadline, "the address is still taken");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn stopping_frees_the_address() {
    let (_lab, dns) = silent_and_not();
    let fence = Fence::new(&[dns.at()]);
    let at = fence.at;
    assert_eq!(
        told(&fence.ask("a.example.", RecordType::A)),
        "ok 192.0.2.1"
    );
    fence.resolver.stop();
    drop(UdpSocket::bind(at).unwrap());
}
