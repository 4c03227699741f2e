//! Records of what a fenced job tried beside the network. Pure: a record in, an event out.

use runward_event::{Act, Body, ProcessId, Tamper, Texts};

use crate::abi::{rw_act, rw_tamper, rw_tamper_outcome};

/// The commands of bpf(2) by number (`enum bpf_cmd` of linux/bpf.h).
const BPF_COMMANDS: [&str; 37] = [
    "BPF_MAP_CREATE",
    "BPF_MAP_LOOKUP_ELEM",
    "BPF_MAP_UPDATE_ELEM",
    "BPF_MAP_DELETE_ELEM",
    "BPF_MAP_GET_NEXT_KEY",
    "BPF_PROG_LOAD",
    "BPF_OBJ_PIN",
    "BPF_OBJ_GET",
    "BPF_PROG_ATTACH",
    "BPF_PROG_DETACH",
    "BPF_PROG_TEST_RUN",
    "BPF_PROG_GET_NEXT_ID",
    "BPF_MAP_GET_NEXT_ID",
    "BPF_PROG_GET_FD_BY_ID",
    "BPF_MAP_GET_FD_BY_ID",
    "BPF_OBJ_GET_INFO_BY_FD",
    "BPF_PROG_QUERY",
    "BPF_RAW_TRACEPOINT_OPEN",
    "BPF_BTF_LOAD",
    "BPF_BTF_GET_FD_BY_ID",
    "BPF_TASK_FD_QUERY",
    "BPF_MAP_LOOKUP_AND_DELETE_ELEM",
    "BPF_MAP_FREEZE",
    "BPF_BTF_GET_NEXT_ID",
    "BPF_MAP_LOOKUP_BATCH",
    "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
    "BPF_MAP_UPDATE_BATCH",
    "BPF_MAP_DELETE_BATCH",
    "BPF_LINK_CREATE",
    "BPF_LINK_UPDATE",
    "BPF_LINK_GET_FD_BY_ID",
    "BPF_LINK_GET_NEXT_ID",
    "BPF_ENABLE_STATS",
    "BPF_ITER_CREATE",
    "BPF_LINK_DETACH",
    "BPF_PROG_BIND_MAP",
    "BPF_TOKEN_CREATE",
];

/// Families of sockets by number (linux/socket.h), of those that are seen in the wild.
const FAMILIES: [(u32, &str); 24] = [
    (3, "AF_AX25"),
    (4, "AF_IPX"),
    (5, "AF_APPLETALK"),
    (9, "AF_X25"),
    (15, "AF_KEY"),
    (17, "AF_PACKET"),
    (21, "AF_RDS"),
    (23, "AF_IRDA"),
    (24, "AF_PPPOX"),
    (26, "AF_LLC"),
    (27, "AF_IB"),
    (28, "AF_MPLS"),
    (29, "AF_CAN"),
    (30, "AF_TIPC"),
    (31, "AF_BLUETOOTH"),
    (33, "AF_RXRPC"),
    (36, "AF_IEEE802154"),
    (39, "AF_NFC"),
    (40, "AF_VSOCK"),
    (41, "AF_KCM"),
    (42, "AF_QIPCRTR"),
    (43, "AF_SMC"),
    (44, "AF_XDP"),
    (45, "AF_MCTP"),
];

pub(crate) fn body(record: &rw_tamper) -> Body {
    let mut texts = Texts::default();
    let act = act(record.act);
    let len = usize::try_from(record.target_len).unwrap_or(0);
    let named = record.target.map(i8::cast_unsigned);
    let named = named.get(..len).unwrap_or(&named);
    let target = if named.is_empty() {
        detail(act, record.detail)
    } else {
        Some(texts.text(|| "/target".to_owned(), named))
    };
    let killed = record.outcome == rw_tamper_outcome::RW_TAMPER_KILLED.0;
    Body::Tamper(Box::new(Tamper {
        process: ProcessId(record.head.process),
        pid: record.head.pid,
        act,
        target,
        prevented: record.outcome == rw_tamper_outcome::RW_TAMPER_PREVENTED.0,
        killed,
        raw: texts.into_raw(),
    }))
}

fn act(number: u32) -> Act {
    match rw_act(number) {
        rw_act::RW_ACT_BPF => Act::Bpf,
        rw_act::RW_ACT_SIGNAL => Act::Signal,
        rw_act::RW_ACT_MEMORY => Act::Memory,
        rw_act::RW_ACT_LIMITS => Act::Limits,
        rw_act::RW_ACT_PINS => Act::Pins,
        rw_act::RW_ACT_REPORT => Act::Report,
        rw_act::RW_ACT_MOUNT => Act::Mount,
        rw_act::RW_ACT_MODULE => Act::Module,
        rw_act::RW_ACT_KEXEC => Act::Kexec,
        rw_act::RW_ACT_RAW_MEMORY => Act::RawMemory,
        rw_act::RW_ACT_RAW_DISK => Act::RawDisk,
        rw_act::RW_ACT_TUNNEL => Act::Tunnel,
        rw_act::RW_ACT_SETTING => Act::Setting,
        rw_act::RW_ACT_CGROUP => Act::Cgroup,
        rw_act::RW_ACT_SOCKET => Act::Socket,
        rw_act::RW_ACT_SERVICE => Act::Service,
        rw_act::RW_ACT_RESOLVER => Act::Resolver,
        rw_act::RW_ACT_GROUP_SIGNAL => Act::GroupSignal,
        _ => Act::Other,
    }
}

fn detail(act: Act, number: u32) -> Option<String> {
    match act {
        Act::Bpf => {
            let index = usize::try_from(number).unwrap_or(usize::MAX);
            let name = BPF_COMMANDS.get(index).map(|name| (*name).to_owned());
            Some(name.unwrap_or_else(|| format!("command {number}")))
        }
        Act::Signal | Act::GroupSignal => Some(format!("signal {number}")),
        Act::Memory => Some(format!("process {number}")),
        Act::RawMemory | Act::RawDisk | Act::Tunnel if number != 0 => {
            let (major, minor) = (number >> 20, number & 0xf_ffff);
            Some(format!("device {major}:{minor}"))
        }
        Act::Socket => {
            let known = FAMILIES.iter().find(|(family, _)| *family == number);
            let name = known.map(|(_, name)| (*name).to_owned());
            Some(name.unwrap_or_else(|| format!("family {number}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::rw_head;

    fn told(act: rw_act, detail: u32, target: &[u8], outcome: rw_tamper_outcome) -> Tamper {
        let mut record = rw_tamper {
            head: rw_head {
                process: 7,
                pid: 70,
                ..rw_head::default()
            },
            act: act.0,
            detail,
            outcome: outcome.0,
            target_len: u32::try_from(target.len()).unwrap(),
            target: [0; 256],
        };
        for (place, byte) in record.target.iter_mut().zip(target) {
            *place = byte.cast_signed();
        }
        match body(&record) {
            Body::Tamper(tamper) => *tamper,
            other => panic!("{other:?}"),
        }
    }

    /// A record's act, number and text, and what they become.
    type Row = (rw_act, u32, &'static [u8], Act, Option<&'static str>);

    #[test]
    fn each_act_says_what_it_was_aimed_at() {
        let prevented = rw_tamper_outcome::RW_TAMPER_PREVENTED;
        let table: [Row; 12] = [
            (
                rw_act::RW_ACT_BPF,
                34,
                b"",
                Act::Bpf,
                Some("BPF_LINK_DETACH"),
            ),
            (rw_act::RW_ACT_BPF, 900, b"", Act::Bpf, Some("command 900")),
            (rw_act::RW_ACT_SIGNAL, 9, b"", Act::Signal, Some("signal 9")),
            (
                rw_act::RW_ACT_GROUP_SIGNAL,
                15,
                b"",
                Act::GroupSignal,
                Some("signal 15"),
            ),
            (
                rw_act::RW_ACT_MEMORY,
                12,
                b"",
                Act::Memory,
                Some("process 12"),
            ),
            (
                rw_act::RW_ACT_SOCKET,
                17,
                b"",
                Act::Socket,
                Some("AF_PACKET"),
            ),
            (
                rw_act::RW_ACT_SOCKET,
                99,
                b"",
                Act::Socket,
                Some("family 99"),
            ),
            (rw_act::RW_ACT_MODULE, 0, b"", Act::Module, None),
            (rw_act::RW_ACT_RAW_MEMORY, 0, b"", Act::RawMemory, None),
            (
                rw_act::RW_ACT_TUNNEL,
                10 << 20 | 200,
                b"",
                Act::Tunnel,
                Some("device 10:200"),
            ),
            (
                rw_act::RW_ACT_PINS,
                0,
                b"bpf:/runward/1",
                Act::Pins,
                Some("bpf:/runward/1"),
            ),
            (rw_act(4_000), 3, b"", Act::Other, None),
        ];
        for (number, detail, target, act, want) in table {
            let told = told(number, detail, target, prevented);
            assert_eq!((told.act, told.target.as_deref()), (act, want));
            assert!(told.prevented && !told.killed);
        }
    }

    #[test]
    fn what_was_not_refused_says_so() {
        let seen = told(
            rw_act::RW_ACT_BPF,
            5,
            b"",
            rw_tamper_outcome::RW_TAMPER_SEEN,
        );
        assert!(!seen.prevented && !seen.killed);
        let killed = told(
            rw_act::RW_ACT_SOCKET,
            17,
            b"",
            rw_tamper_outcome::RW_TAMPER_KILLED,
        );
        assert!(!killed.prevented && killed.killed);
    }

    #[test]
    fn a_target_that_claims_to_be_longer_than_it_can_be_ends() {
        let long = [b'x'; 300];
        let told = told(
            rw_act::RW_ACT_SERVICE,
            0,
            &long,
            rw_tamper_outcome::RW_TAMPER_SEEN,
        );
        assert_eq!(told.target.map(|target| target.len()), Some(256));
    }
}
