//! What is left when the job's command has ended: processes, and data that the kernel still tries to send.

use runward_lab::{requires, test_name};

use super::{Batch, Case, Truth, case};

fn cases() -> Vec<Case> {
    vec![
        case(
            "a process that outlives the command",
            "setsid sh -c 'sleep 2; exec $A/net udp {4} 4430' >/dev/null 2>&1 </dev/null &",
        ),
        case(
            "a process that outlives it and retries",
            "setsid sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 0.5; $A/net tcp {6} 4430; done' >/dev/null 2>&1 </dev/null &",
        ),
        case(
            "a process that outlives it without its first thread",
            "setsid $A/evade udp-headless {4} 4430 4 >/dev/null 2>&1 </dev/null &",
        ),
        case(
            "data that waits in a socket opened before",
            "$A/borrowed use tcp {4} 4430 write {fd}; true",
        )
        .inherits("tcp {4} 4430")
        .shown_by(Truth::Payload),
        case(
            "a first message that was refused, sent again",
            "$A/net dns-udp {ns} 53 allowed.example; $A/speak say {shared} 80 0 0 474554202f20485454502f312e310d0a486f73743a206c6174652e6f746865722e6578616d706c650d0a0d0a",
        )
        .shown_by(Truth::Stream(b"late.other.example".to_vec())),
    ]
}

#[test]
fn nothing_gets_out_after_the_command_has_ended() {
    requires!(Root, Netns, Program("setsid"));
    Batch::new(test_name!(), cases()).patient().judge();
}
