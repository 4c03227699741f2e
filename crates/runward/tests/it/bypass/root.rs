//! Root inside the job: what it can do to the machine, to other processes, and to the fence.

use runward_lab::Need::Program;
use runward_lab::{requires, test_name};

use super::host::VETH;
use super::{Batch, Case, Truth, case};

/// Whoever may set up the machine's network can have the kernel send for him, after the fence has seen the packet. A job
/// without root can't: `--disable-sudo`.
const NETWORK: &str = "root sets up the machine's network behind the fence";

/// Two changes at the same moment may each undo the other's.
const ONE_BY_ONE: &str = r#"
    nat() {
        until mkdir $W/nat 2>/dev/null; do sleep 0.05; done
        iptables -w 5 -t nat -A "$@"; result=$?
        rmdir $W/nat; return $result
    }
"#;

/// What becomes of packets after they left a socket whose peer is allowed. Each case has an allowed address of its own,
/// so that they do not redirect each other's.
fn redirections() -> Vec<Case> {
    vec![
        case(
            "another destination by NAT of the host",
            // Twice: beside so many others that change the network, a first datagram was lost now and then.
            "nat OUTPUT -p udp -d {free} -j DNAT --to {4}:4430 && { $A/net udp {free} 4430; $A/net udp {free} 4430; }",
        )
        .needs(&[Program("iptables")]),
        case(
            "another destination by NAT of the host, TCP",
            "nat OUTPUT -p tcp -d {free} -j DNAT --to {4}:4430 && $A/net tcp {free} 4430",
        )
        .needs(&[Program("iptables")]),
        case(
            "loopback led out by NAT",
            "echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
             nat OUTPUT -p udp -d 127.0.0.{n} -j DNAT --to {4}:4430 &&
             nat POSTROUTING -d {4} -j MASQUERADE && $A/net udp 127.0.0.{n} 4430",
        )
        .needs(&[Program("iptables")]),
        case(
            "another destination by NAT on the way",
            &format!(
                "{VETH}
                 nat PREROUTING -i rw{{n}} -p udp -j DNAT --to {{4}}:4430
                 $IN $A/net udp {{free}} 4430; sleep 0.5; kill $p"
            ),
        )
        .needs(&[
            Program("iptables"),
            Program("ip"),
            Program("unshare"),
            Program("nsenter"),
        ])
        .out_of_reach(NETWORK),
        case(
            "another destination by a traffic filter",
            "tc qdisc add dev eth0 clsact; tc filter add dev eth0 egress protocol ip u32 match ip dst {free}/32 \
             action pedit ex munge ip dst set {4} || { echo '{\"lacking\":\"traffic actions\"}'; exit; }
             $A/net udp {free} 4430",
        )
        .needs(&[Program("tc")])
        .out_of_reach(NETWORK),
        case(
            "an allowed destination through a tunnel of the kernel's",
            "ip link add rwx{n} type vxlan id 77 remote {4} dstport 4789 dev eth0 ||
                 { echo '{\"lacking\":\"such tunnels\"}'; exit; }
             ip link set rwx{n} up &&
             ip addr add 10.66.0.1/24 dev rwx{n} && ip neigh add 10.66.0.2 lladdr 02:00:00:00:00:02 dev rwx{n} &&
             ip route add {free}/32 via 10.66.0.2 dev rwx{n} && $A/net udp {free} 4430; sleep 0.2",
        )
        .shown_by(Truth::Pattern)
        .needs(&[Program("ip")])
        .out_of_reach(NETWORK),
        case(
            "an allowed destination through IPsec",
            "ip xfrm state add src 203.0.113.2 dst {4} proto esp spi 0x77 mode tunnel \
                 enc 'ecb(cipher_null)' '' auth digest_null '' || { echo '{\"lacking\":\"IPsec\"}'; exit; }
             ip xfrm policy add src 203.0.113.2/32 dst {free}/32 dir out \
                 tmpl src 203.0.113.2 dst {4} proto esp mode tunnel && $A/net udp {free} 4430",
        )
        .needs(&[Program("ip")]),
    ]
}

/// Processes outside of the job that do its work.
fn others() -> Vec<Case> {
    vec![
        case(
            "the kernel starts a process",
            "mkdir $W/release && $A/escape release-agent $W/release $A/enter --net {client} -- $A/net udp {4} 4430",
        )
        .stopped_on_tier_a("a process that the kernel starts for root is nobody's child"),
        case(
            "a process outside is made to send",
            "until [ -s $W/pid ]; do sleep 0.1; done; $A/escape ptrace $(cat $W/pid) {6} 4430",
        )
        .beside("echo $$ >$W/pid; exec $A/procs sleep 20000")
        .stopped_on_tier_a("root that traces a process outside of the job is that process"),
        case(
            "a service outside runs what it is given",
            "echo \"$A/net udp {4} 4430\" >$W/spool.new; mv $W/spool.new $W/spool; sleep 1",
        )
        .beside("until [ -s $W/spool ]; do sleep 0.1; done; exec sh $W/spool")
        .out_of_reach("what a service of the machine does for somebody is the service's own doing"),
    ]
}

#[test]
fn no_redirection_by_root_gets_past_the_fence() {
    requires!(Root, Netns);
    let mut cases = redirections();
    for case in &mut cases {
        case.act.insert_str(0, ONE_BY_ONE);
    }
    Batch::new(test_name!(), cases).judge();
}

#[test]
fn what_processes_outside_of_the_job_do_is_out_of_reach() {
    requires!(Root, Netns);
    Batch::new(test_name!(), others()).judge();
}

#[test]
fn the_fence_stands_without_its_pins() {
    requires!(Root, Netns);
    let case = case(
        "the pins are removed",
        "$A/escape unpin $R; $A/net udp {4} 4430",
    );
    Batch::new(test_name!(), vec![case]).judge();
}

#[test]
fn the_fence_is_not_detached() {
    requires!(Root, Netns);
    let case = case(
        "the links are detached",
        "$A/escape detach $R; $A/net udp {4} 4430",
    );
    Batch::new(test_name!(), vec![case]).judge();
}

#[test]
fn the_fence_is_not_emptied() {
    requires!(Root, Netns);
    let case = case(
        "the map of fences is emptied",
        "$A/escape unfence $R; $A/net udp {4} 4430",
    );
    Batch::new(test_name!(), vec![case]).judge();
}

#[test]
fn no_socket_without_room_for_a_record_gets_past_the_fence() {
    requires!(Root, Netns);
    let room = "/proc/sys/net/core/optmem_max";
    let acts = [
        ("no room for a socket's record", "$A/net tcp {4} 4430"),
        ("no room, IPv6", "$A/net tcp {6} 4430"),
        ("no room, UDP", "$A/net udp {4} 4430"),
        ("no room, UDP without a peer", "$A/net udp-sendto {4} 4430"),
    ];
    let acts = acts.map(|(name, act)| case(name, &format!("sleep 0.5; {act}")));
    let cases = [case(
        "the room is taken",
        &format!("old=$(cat {room}); echo 1 >{room}; sleep 2; echo $old >{room}; $A/net udp {{udp4}} 4430"),
    )
    .shown_by(Truth::PayloadTo("198.51.100.251".parse().expect("an address"), 17))
    .passes()];
    Batch::new(test_name!(), cases.into_iter().chain(acts).collect()).judge();
}
