//! Processes of the host: every way to make the kernel send something.

use std::net::IpAddr;

use runward_lab::Need::Program;
use runward_lab::{requires, test_name};

use super::{Batch, Case, Truth, case};

/// Each of these sends to the case's own address, which the policy does not name, and none needs more than a socket.
pub(crate) const SOCKETS: [(&str, &str); 38] = [
    ("connect, IPv4", "$A/net tcp {4} 4430"),
    ("connect, IPv6", "$A/net tcp {6} 4430"),
    (
        "connect, IPv4 mapped into IPv6",
        "$A/net tcp-mapped {4} 4430",
    ),
    ("connect without waiting", "$A/net tcp-nonblock {6} 4430"),
    ("connect from a thread", "$A/evade tcp-thread {4} 4430"),
    (
        "connect again after AF_UNSPEC",
        "$A/evade tcp-again {allowed4} 4430 {4} 4430",
    ),
    ("TCP Fast Open, IPv4", "$A/net tcp-fastopen {4} 4430"),
    ("TCP Fast Open, IPv6", "$A/net tcp-fastopen {6} 4430"),
    (
        "TCP Fast Open at connect",
        "$A/evade tcp-fastopen-connect {4} 4430",
    ),
    ("io_uring", "$A/net uring {4} 4430"),
    ("io_uring, IPv6", "$A/net uring {6} 4430"),
    ("io_uring by a kernel worker", "$A/net uring-async {4} 4430"),
    (
        "io_uring by a polling thread",
        "$A/net uring-sqpoll {6} 4430",
    ),
    (
        "io_uring makes the socket too",
        "$A/evade uring-socket {4} 4430",
    ),
    ("io_uring, UDP", "$A/net uring-udp {4} 4430"),
    (
        "a child uses its parent's socket",
        "$A/net inherited {4} 4430",
    ),
    ("a socket passed inside the job", "$A/net passed {6} 4430"),
    ("UDP, connected, IPv4", "$A/net udp {4} 4430"),
    ("UDP, connected, IPv6", "$A/net udp {6} 4430"),
    ("UDP, connected, mapped", "$A/net udp-mapped {4} 4430"),
    ("UDP sendto, IPv4", "$A/net udp-sendto {4} 4430"),
    ("UDP sendto, IPv6", "$A/net udp-sendto {6} 4430"),
    ("UDP sendto, mapped", "$A/net udp-sendto-mapped {4} 4430"),
    ("UDP sendmsg", "$A/net udp-sendmsg {4} 4430"),
    (
        "UDP sendmmsg after an allowed peer",
        "$A/net udp-sendmmsg {udp4} 4430 {4} 4430",
    ),
    (
        "UDP sendto from a connected socket",
        "$A/evade udp-elsewhere {udp4} 4430 {4} 4430",
    ),
    (
        "UDP connected anew",
        "$A/evade udp-reconnect {udp6} 4430 {6} 4430",
    ),
    (
        "UDP to an address that changes meanwhile",
        "$A/evade udp-race {udp4} 4430 {4} 4430",
    ),
    (
        "UDP sendto without a family",
        "$A/evade udp-unspec {4} 4430",
    ),
    (
        "UDP sendto IPv4 from an IPv6 socket",
        "$A/evade udp-six-four {4} 4430",
    ),
    ("UDP held back and uncorked", "$A/evade udp-cork {4} 4430"),
    (
        "QUIC to a refused address",
        "$A/net udp-sendto {4} 443 1200",
    ),
    ("UDP-Lite", "$A/evade protocol udplite {4} 4430"),
    ("UDP-Lite, IPv6", "$A/evade protocol udplite {6} 4430"),
    ("SCTP", "$A/evade protocol sctp {4} 4430"),
    ("MPTCP", "$A/evade protocol mptcp {4} 4430"),
    ("DCCP", "$A/evade protocol dccp {4} 4430"),
    ("SMC", "$A/evade protocol smc {4} 4430"),
];

/// These need a privilege in the network namespace, or a device.
pub(crate) const BELOW: [(&str, &str); 16] = [
    ("ping, IPv4", "$A/evade ping {4}"),
    ("ping, IPv6", "$A/evade ping {6}"),
    ("a raw ICMP socket", "$A/net icmp {4}"),
    ("a raw packet, IPv4", "$A/packets raw-ip {4} 4430"),
    ("a raw packet, IPv6", "$A/packets raw-ip {6} 4430"),
    ("a raw protocol, IPv4", "$A/packets raw-protocol {4} 253"),
    ("a raw protocol, IPv6", "$A/packets raw-protocol {6} 253"),
    ("a packet socket, IPv4", "$A/packets packet {4} 4430"),
    ("a packet socket, IPv6", "$A/packets packet {6} 4430"),
    (
        "a packet socket without frame header",
        "$A/packets packet-dgram {4} 4430",
    ),
    (
        "a packet socket past the queue",
        "$A/packets packet-bypass {4} 4430",
    ),
    (
        "a packet socket made by io_uring",
        "$A/packets packet-uring {4} 4430",
    ),
    ("an XDP socket", "$A/packets xdp {4} 4430"),
    (
        "a segment routing header",
        "$A/evade route-header {udp6} 4430 {6}",
    ),
    ("a tunnel device, IPv4", "$A/packets tun {4} 4430"),
    ("a tunnel device, IPv6", "$A/packets tun {6} 4430"),
];

/// Other processes and other places, all of which the job itself makes.
const PLACES: [(&str, &str); 8] = [
    ("a daemon in a session of its own", "$A/procs daemon 300 $A/net tcp {4} 4430; sleep 2"),
    ("an orphan", "$A/procs orphan $A/net tcp {6} 4430; sleep 1"),
    ("a thread that becomes a program", "$A/procs thread-exec $A/net tcp {4} 4430"),
    ("a child of a thread", "$A/procs thread-fork $A/net tcp {4} 4430"),
    ("vfork", "$A/procs vfork $A/net tcp {6} 4430"),
    ("a sibling in place of a child", "$A/procs clone-parent $A/net tcp {4} 4430; sleep 1"),
    ("a user and network namespace with an uplink", "$A/escape uplink {4} 4430"),
    (
        "a control group of version 2",
        "g=$(sed -n 's/^[^ ]* \\([^ ]*\\) cgroup2 .*/\\1/p' /proc/mounts | head -n 1)/runward-lab-$$; mkdir $g
         $A/procs cgroup $g $A/net tcp {4} 4430; sleep 1; rmdir $g",
    ),
];

/// A namespace whose only way out is a pair of devices that leads to this one, which passes its packets on. `IN` runs a
/// command there.
pub(crate) const VETH: &str = r#"
    unshare -n sleep 30 & p=$!
    until [ "$(readlink /proc/$p/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
    IN="nsenter --net=/proc/$p/ns/net"
    ip link add rw{n} type veth peer name eth0 netns $p
    ip addr add 10.77.{n}.1/24 dev rw{n}; ip link set rw{n} up
    $IN ip addr add 10.77.{n}.2/24 dev eth0; $IN ip link set eth0 up; $IN ip route add default via 10.77.{n}.1
    echo 1 >/proc/sys/net/ipv4/ip_forward
"#;

const NAMESPACES: [(&str, &str); 4] = [
    ("a namespace behind a veth pair", "$IN $A/net udp {4} 4430"),
    (
        "a packet socket behind a veth pair",
        "$IN $A/packets packet {4} 4430",
    ),
    (
        "a namespace that ip netns names",
        "ip netns attach rw-$$-0-c $p; ip netns exec rw-$$-0-c $A/net udp {4} 4430; ip netns del rw-$$-0-c",
    ),
    (
        "a user namespace inside of it",
        "$IN unshare -U -r $A/net udp {4} 4430",
    ),
];

pub(crate) fn table(rows: &[(&str, &str)]) -> Vec<Case> {
    rows.iter().map(|(name, act)| case(name, act)).collect()
}

fn namespaces() -> Vec<Case> {
    let needs = [Program("ip"), Program("unshare"), Program("nsenter")];
    NAMESPACES
        .iter()
        .map(|(name, act)| case(name, &format!("{VETH}\n{act}\nsleep 0.5; kill $p")).needs(&needs))
        .collect()
}

/// What goes to everybody on the link, and what the kernel says by itself.
fn groups() -> Vec<Case> {
    let to = |address: &str, port| Truth::Place(address.parse().expect("an address"), port);
    vec![
        case(
            "broadcast",
            "$A/evade udp-broadcast 255.255.255.255 5001 eth0",
        )
        .shown_by(to("255.255.255.255", 5001)),
        case(
            "broadcast of the link",
            "$A/evade udp-broadcast 203.0.113.3 5002 eth0",
        )
        .shown_by(to("203.0.113.3", 5002)),
        case(
            "multicast, as mDNS",
            "$A/evade udp-broadcast 224.0.0.251 5353 eth0",
        )
        .shown_by(to("224.0.0.251", 5353)),
        case(
            "multicast, IPv6",
            "$A/evade udp-broadcast ff02::fb 5353 eth0",
        )
        .shown_by(to("ff02::fb", 5353)),
    ]
}

/// Answers to somebody who calls from outside.
fn answers() -> Vec<Case> {
    let called = |name: &str, act: &str, call: &str, to: &str, protocol| {
        let to: IpAddr = to.parse().expect("an address");
        case(name, act)
            .far(&format!("exec $A/speak call {call}"))
            .shown_by(Truth::PayloadTo(to, protocol))
    };
    vec![
        called(
            "a server of the job is called",
            "$A/speak serve tcp 0.0.0.0 5010",
            "tcp 203.0.113.2 5010",
            "203.0.113.1",
            6,
        ),
        called(
            "a datagram server of the job is called",
            "$A/speak serve udp 0.0.0.0 5011",
            "udp 203.0.113.2 5011",
            "203.0.113.1",
            17,
        ),
        called(
            "a server of the job is called, IPv6",
            "$A/speak serve tcp :: 5012",
            "tcp 2001:db8:ffff::2 5012",
            "2001:db8:ffff::1",
            6,
        ),
    ]
}

#[test]
fn no_socket_of_the_host_gets_past_the_fence() {
    requires!(Root, Netns);
    let mut cases = table(&SOCKETS);
    cases.extend(table(&PLACES));
    Batch::new(test_name!(), cases).judge();
}

#[test]
fn nothing_below_the_sockets_gets_past_the_fence() {
    requires!(Root, Netns);
    let mut cases = table(&BELOW);
    cases.extend(namespaces());
    cases.extend(groups());
    cases.extend(answers());
    Batch::new(test_name!(), cases).judge();
}
