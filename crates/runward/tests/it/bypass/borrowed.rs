//! Sockets that are older than the job, or that somebody outside hands in.

use runward_lab::{requires, test_name};

use super::{Batch, Case, Truth, case};

/// The kinds of sockets, and the ways to send through each.
const SOCKETS: [(&str, &[&str]); 5] = [
    (
        "tcp",
        &["write", "sendmsg", "sendfile", "uring", "zerocopy"],
    ),
    ("tcp-fresh", &["write"]),
    ("udp", &["write", "sendmsg", "uring"]),
    ("udp-open", &["sendmsg"]),
    ("raw", &["sendmsg"]),
];

/// The data is what counts: the connection itself stood before.
fn shown_by_data(case: Case) -> Case {
    case.shown_by(Truth::Payload)
}

fn opened_before() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, ways) in SOCKETS {
        for way in ways {
            cases.push(shown_by_data(
                case(
                    &format!("opened before: {kind} by {way}"),
                    &format!("$A/borrowed use {kind} {{4}} 4430 {way} {{fd}}"),
                )
                .inherits(&format!("{kind} {{4}} 4430")),
            ));
        }
    }
    for kind in ["tcp", "udp", "udp-open"] {
        cases.push(shown_by_data(
            case(
                &format!("opened before: {kind}, IPv6"),
                &format!("$A/borrowed use {kind} {{6}} 4430 write {{fd}}"),
            )
            .inherits(&format!("{kind} {{6}} 4430")),
        ));
    }
    cases
}

fn handed_in() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, ways) in SOCKETS {
        for way in ways {
            cases.push(shown_by_data(
                case(
                    &format!("handed in: {kind} by {way}"),
                    &format!("$A/borrowed take {kind} {{4}} 4430 {way} $W/given-{{n}}"),
                )
                .beside(&format!(
                    "exec $A/borrowed give {kind} {{4}} 4430 $W/given-{{n}}"
                )),
            ));
        }
    }
    cases.push(
        shown_by_data(case(
            "handed in: a packet socket",
            "$A/borrowed take packet {4} 4430 sendmsg $W/given-{n}",
        ))
        .beside("exec $A/borrowed give packet {4} 4430 $W/given-{n}")
        .stopped_on_tier_a("its packets pass no hook, and who hands it in could send them as well"),
    );
    for (kind, way) in [
        ("tcp", "write"),
        ("udp", "sendmsg"),
        ("udp-open", "sendmsg"),
    ] {
        cases.push(shown_by_data(
            case(
                &format!("copied from another process: {kind}"),
                &format!("$A/borrowed steal {kind} {{6}} 4430 {way} $W/kept-{{n}}"),
            )
            .beside(&format!(
                "exec $A/borrowed keep {kind} {{6}} 4430 $W/kept-{{n}}"
            )),
        ));
    }
    cases
}

#[test]
fn no_socket_from_before_the_job_gets_past_the_fence() {
    requires!(Root, Netns);
    Batch::new(test_name!(), opened_before()).judge();
}

#[test]
fn no_socket_that_is_handed_in_gets_past_the_fence() {
    requires!(Root, Netns);
    Batch::new(test_name!(), handed_in()).judge();
}
