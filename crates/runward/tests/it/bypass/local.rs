//! Loopback: the job's own servers are its own affair, and every other service of the machine is not.

use runward_lab::{requires, test_name};

use super::{Batch, Case, Truth, case};

/// A service of the machine, and what the job tries at it.
fn service(name: &str, sink: &str, act: &str) -> Case {
    case(name, act)
        .beside(&format!("exec $A/speak sink {sink}"))
        .shown_by(Truth::Told("bytes"))
}

fn services() -> Vec<Case> {
    // The service must be there before the job, so each act waits a moment.
    [
        (
            "a service on loopback",
            "tcp 127.0.0.1 61{n}",
            "$A/net tcp 127.0.0.1 61{n}",
        ),
        (
            "a service on loopback, IPv6",
            "tcp ::1 61{n}",
            "$A/net tcp ::1 61{n}",
        ),
        (
            "a datagram service on loopback",
            "udp 127.0.0.1 61{n}",
            "$A/net udp-sendto 127.0.0.1 61{n}",
        ),
        (
            "a datagram service, connected",
            "udp 127.0.0.9 61{n}",
            "$A/net udp 127.0.0.9 61{n}",
        ),
        (
            "a service on all addresses",
            "tcp 0.0.0.0 61{n}",
            "$A/net tcp 127.3.2.1 61{n}",
        ),
        (
            "a service on all addresses, by none",
            "tcp 0.0.0.0 61{n}",
            "$A/net tcp 0.0.0.0 61{n}",
        ),
        (
            "a service on all addresses, mapped",
            "tcp :: 61{n}",
            "$A/net tcp-mapped 127.0.0.1 61{n}",
        ),
        (
            "a service on the machine's address",
            "tcp 203.0.113.2 61{n}",
            "$A/net tcp 203.0.113.2 61{n}",
        ),
        (
            "a service beside a listener of the job",
            "tcp 127.0.0.1 61{n}",
            "$A/speak confuse tcp 0.0.0.0 127.0.0.1 61{n}",
        ),
        (
            "a service on all addresses beside a listener",
            "tcp 0.0.0.0 61{n}",
            "$A/speak confuse tcp 127.0.0.1 127.0.0.2 61{n}",
        ),
        (
            "a datagram service beside one of the job",
            "udp 127.0.0.1 61{n}",
            "$A/speak confuse udp 0.0.0.0 127.0.0.1 61{n}",
        ),
        (
            "a service that shares its port with the job",
            "tcp 127.0.0.1 61{n}",
            "$A/speak confuse tcp 127.0.0.1 127.0.0.1 61{n}",
        ),
        (
            "a datagram service that shares its port",
            "udp 127.0.0.1 61{n}",
            "$A/speak confuse udp 127.0.0.1 127.0.0.1 61{n}",
        ),
        (
            "a service in the place of the job's own",
            "udp 127.0.0.1 61{n} $W/gone-{n}",
            "$A/speak stale 127.0.0.1 61{n} $W/gone-{n}",
        ),
    ]
    .map(|(name, sink, act)| service(name, sink, &format!("sleep 0.5; {act}")))
    .into()
}

#[test]
fn no_other_service_of_the_machine_is_reached() {
    requires!(Root, Netns);
    Batch::new(test_name!(), services()).judge();
}

#[test]
fn the_job_reaches_its_own_servers() {
    requires!(Root, Netns);
    Batch::new(test_name!(), Vec::new())
        .controls(&[
            "$A/speak own tcp 127.0.0.1",
            "$A/speak own tcp ::1",
            "$A/speak own tcp 0.0.0.0",
            "$A/speak own tcp 0.0.0.0 127.0.0.1",
            "$A/speak own tcp ::",
            "$A/speak own tcp :: ::1",
            "$A/speak own tcp 127.5.5.5",
            "$A/speak own tcp ::ffff:127.0.0.1",
            "$A/speak own udp 127.0.0.1",
            "$A/speak own udp 0.0.0.0 127.0.0.1",
            "$A/speak own udp ::1",
        ])
        .judge();
}
