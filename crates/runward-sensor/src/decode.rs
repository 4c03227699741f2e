//! Records of the ring buffer to events. Pure: bytes in, events out.
//!
//! The kernel side wrote the records, but what stands in them (lengths excepted) is the job's: names, arguments, DNS
//! messages. Nothing here panics on any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use runward_event::{
    AttributionVar, Body, Connect, ConnectClose, ConnectOutcome, ConnectionId, Direction,
    DnsTransport, ProcessExec, ProcessExit, ProcessFork, ProcessId, Protocol, Reason, Refused,
    Status, Texts, Time,
};

use crate::abi::{
    self, rw_connect, rw_connect_close, rw_container, rw_dns, rw_exec, rw_exit, rw_fork, rw_head,
    rw_kind, rw_mount_call, rw_netns, rw_outcome, rw_reason, rw_refused, rw_socket_gone,
};
use crate::container::container_id;
use crate::dns::{Datagram, DnsDecoder};
use crate::exec_facts;
use crate::flags;
use crate::memory;
use crate::reset::Stream;
use crate::tamper;

/// Something that the kernel side told.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorEvent {
    /// The job that it belongs to. `None` for a DNS answer to some process outside of every job.
    pub job: Option<u64>,
    /// When, in nanoseconds on the boot clock.
    pub boot_ns: u64,
    /// What.
    pub body: Body,
    /// Of a program's start, its environment as far as it was read: variables, each with a NUL at its end. Only while it is
    /// asked for ([`Sensor::tell_environments`](crate::Sensor::tell_environments)); never part of a record.
    pub environment: Option<Box<[u8]>>,
}

/// A record, decoded as far as the record itself allows.
#[derive(Debug)]
pub(crate) enum Record {
    Event(SensorEvent),
    /// A peer of an unconnected socket: remember where its byte counts are.
    Flow {
        event: SensorEvent,
        cookie: u64,
        addr: [u8; 16],
        port: u16,
    },
    /// A socket with such peers is gone: its byte counts are final.
    SocketGone {
        job: Option<u64>,
        boot_ns: u64,
        process: ProcessId,
        cookie: u64,
    },
    /// A stream whose first bytes were refused is to be ended.
    Reset(Stream),
    /// A process of a job mounts something.
    MountCall(MountCall),
    Container(ContainerStart),
    /// A fenced job is about to use DNS in a network namespace without a resolver.
    NamespaceUsed {
        job: Option<u64>,
        pid: u32,
        netns: u64,
    },
}

/// A program that was started by a process that looks after a container, and that no job has started itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContainerStart {
    /// Its process id.
    pub pid: u32,
    /// The process that looks after the container: one for each, in most engines.
    pub keeper: u32,
    /// Whether it runs in the container; else it is the runtime that makes one, or does something else to it.
    pub is_inside: bool,
    /// Whether the container ran before, and this was started in it.
    pub is_session: bool,
    /// Whether it is in the job that had asked for it, from its first instruction on.
    pub is_placed: bool,
}

/// A process of a job is in a call that mounts something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountCall {
    /// The process.
    pub process: ProcessId,
    /// Its process id.
    pub pid: u32,
    /// The inode number of its mount namespace.
    pub namespace: u64,
}

/// The longest value of a variable that an event carries, in bytes.
const ENV_VALUE_MAX: usize = 4096;

/// Decodes records; keeps the state that DNS over TCP needs between them.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    dns: DnsDecoder,
    /// Since when the sensor watches: programs that changed before are nothing new.
    since: Time,
    /// Whether the environments of programs are told.
    pub(crate) tells_environments: bool,
    /// Records that could not be understood.
    pub(crate) malformed: u64,
}

impl Decoder {
    pub(crate) fn new(since: Time) -> Decoder {
        Decoder {
            since,
            ..Decoder::default()
        }
    }

    /// Decodes one record into what it tells: usually one thing, several for DNS messages in one segment.
    pub(crate) fn record(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Record)) {
        if self.decode(bytes, sink).is_none() {
            self.malformed += 1;
        }
    }

    fn decode(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Record)) -> Option<()> {
        let (head, _) = abi::read::<rw_head>(bytes)?;
        let event = |body| Record::Event(sensor_event(&head, body));
        match rw_kind(u32::from(head.kind)) {
            rw_kind::RW_FORK => sink(event(fork(abi::read(bytes)?.0))),
            rw_kind::RW_EXEC => {
                let (body, environment) = exec(bytes, self.since)?;
                let mut told = sensor_event(&head, body);
                if self.tells_environments {
                    told.environment = Some(environment.into());
                }
                sink(Record::Event(told));
            }
            rw_kind::RW_EXIT => sink(event(exit(abi::read(bytes)?.0))),
            rw_kind::RW_CONNECT => {
                let (record, _) = abi::read::<rw_connect>(bytes)?;
                let told = sensor_event(&head, connect(&record));
                if head.flags & flags::CONNECT_FLOW == 0 {
                    sink(Record::Event(told));
                } else {
                    sink(Record::Flow {
                        event: told,
                        cookie: record.cookie,
                        addr: record.addr,
                        port: record.port,
                    });
                }
            }
            rw_kind::RW_REFUSED => {
                let (record, _) = abi::read::<rw_refused>(bytes)?;
                sink(event(refused(&record)));
                if record.local_port != 0 {
                    sink(Record::Reset(stream(&record)));
                }
            }
            rw_kind::RW_TAMPER => sink(event(tamper::body(&abi::read(bytes)?.0))),
            rw_kind::RW_MEMORY => sink(event(memory::body(&abi::read(bytes)?.0))),
            rw_kind::RW_NETNS => {
                let (record, _) = abi::read::<rw_netns>(bytes)?;
                sink(Record::NamespaceUsed {
                    job: job(&head),
                    pid: head.pid,
                    netns: record.netns,
                });
            }
            rw_kind::RW_MOUNT_CALL => {
                let (record, _) = abi::read::<rw_mount_call>(bytes)?;
                sink(Record::MountCall(MountCall {
                    process: ProcessId(head.process),
                    pid: head.pid,
                    namespace: u64::from(record.mount_ns),
                }));
            }
            rw_kind::RW_CONTAINER => {
                let (record, _) = abi::read::<rw_container>(bytes)?;
                sink(Record::Container(ContainerStart {
                    pid: head.pid,
                    keeper: record.keeper,
                    is_inside: record.inside != 0,
                    is_session: record.session != 0,
                    is_placed: record.placed != 0,
                }));
            }
            rw_kind::RW_CONNECT_CLOSE => sink(event(connect_close(abi::read(bytes)?.0))),
            rw_kind::RW_DNS => self.dns_messages(bytes, sink)?,
            rw_kind::RW_SOCKET_GONE => {
                let (record, _) = abi::read::<rw_socket_gone>(bytes)?;
                sink(Record::SocketGone {
                    job: job(&head),
                    boot_ns: head.boot_ns,
                    process: ProcessId(head.process),
                    cookie: record.cookie,
                });
            }
            _ => return None,
        }
        Some(())
    }

    fn dns_messages(&mut self, bytes: &[u8], sink: &mut dyn FnMut(Record)) -> Option<()> {
        let (record, rest) = abi::read::<rw_dns>(bytes)?;
        let payload = rest.get(..usize::try_from(record.len).ok()?)?;
        let head = record.head;
        let datagram = Datagram {
            process: ProcessId(head.process),
            pid: head.pid,
            cookie: record.cookie,
            direction: if head.flags & flags::DNS_INGRESS == 0 {
                Direction::Egress
            } else {
                Direction::Ingress
            },
            transport: if head.flags & flags::DNS_TCP == 0 {
                DnsTransport::Udp
            } else {
                DnsTransport::Tcp
            },
            server: ip_address(&record.addr).0,
            port: record.port,
            sequence: record.tcp_seq,
            cut: head.flags & flags::DNS_CUT != 0,
            payload,
        };
        self.dns.datagram(&datagram, &mut |dns| {
            sink(Record::Event(sensor_event(&head, Body::Dns(Box::new(dns)))));
        });
        Some(())
    }
}

fn job(head: &rw_head) -> Option<u64> {
    (head.job != 0).then_some(head.job)
}

fn sensor_event(head: &rw_head, body: Body) -> SensorEvent {
    SensorEvent {
        job: job(head),
        boot_ns: head.boot_ns,
        body,
        environment: None,
    }
}

fn known(process: u64) -> Option<ProcessId> {
    (process != 0).then_some(ProcessId(process))
}

fn fork(record: rw_fork) -> Body {
    Body::ProcessFork(ProcessFork {
        process: ProcessId(record.head.process),
        pid: record.head.pid,
        parent: known(record.parent),
        ppid: record.ppid,
    })
}

fn exit(record: rw_exit) -> Body {
    // As wait(2) puts it: the signal in the low seven bits, else the code in the next byte.
    let signal = record.status & 0x7f;
    let code = (record.status >> 8) & 0xff;
    Body::ProcessExit(ProcessExit {
        process: ProcessId(record.head.process),
        pid: record.head.pid,
        code: (signal == 0).then_some(code.cast_signed()),
        signal: (signal != 0).then_some(signal.cast_signed()),
    })
}

/// A program's start, and its environment.
fn exec(bytes: &[u8], since: Time) -> Option<(Body, &[u8])> {
    let (record, mut rest) = abi::read::<rw_exec>(bytes)?;
    let mut part = |len: u32| -> Option<&[u8]> {
        let (part, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
        rest = after;
        Some(part)
    };
    let path = part(record.path_len)?;
    let exe = part(record.exe_len)?;
    let cwd = part(record.cwd_len)?;
    let cgroup = part(record.cgroup_len)?;
    let args = part(record.args_len)?;
    let env = part(record.env_len)?;

    let mut texts = Texts::default();
    let cgroup = if cgroup.is_empty() { b"/" } else { cgroup };
    let cgroup = texts.text(|| "/cgroup".to_owned(), cgroup);
    let container = container_id(&cgroup).map(str::to_owned);
    let body = Body::ProcessExec(Box::new(ProcessExec {
        process: ProcessId(record.head.process),
        pid: record.head.pid,
        parent: known(record.parent),
        ppid: record.ppid,
        exe: texts.text(|| "/exe".to_owned(), exe),
        path: texts.text(|| "/path".to_owned(), path),
        args: strings(args)
            .enumerate()
            .map(|(index, arg)| texts.text(|| format!("/args/{index}"), arg))
            .collect(),
        cwd: texts.text(|| "/cwd".to_owned(), cwd),
        uid: record.uid,
        gid: record.gid,
        facts: exec_facts::of(&record, container.is_some(), since),
        container,
        cgroup,
        env: attribution(env, &mut texts),
        truncated: cut_fields(record.head.flags),
        raw: texts.into_raw(),
    }));
    Some((body, env))
}

/// The strings of a memory area in which each ends with a NUL. The last may lack it when the area was cut.
pub(crate) fn strings(area: &[u8]) -> impl Iterator<Item = &[u8]> {
    // An area without a single byte holds no string; one that holds only a NUL holds an empty one.
    let some = !area.is_empty();
    let area = area.strip_suffix(b"\0").unwrap_or(area);
    area.split(|byte| *byte == 0).filter(move |_| some)
}

pub(crate) fn attribution(
    env: &[u8],
    texts: &mut Texts,
) -> std::collections::BTreeMap<AttributionVar, String> {
    strings(env)
        .filter_map(|variable| {
            let equals = variable.iter().position(|byte| *byte == b'=')?;
            let (name, value) = variable.split_at_checked(equals)?;
            let var = AttributionVar::from_name(name)?;
            let value = value.get(1..)?;
            let value = value.get(..ENV_VALUE_MAX).unwrap_or(value);
            let pointer = || format!("/env/{}", String::from_utf8_lossy(name));
            Some((var, texts.text(pointer, value)))
        })
        .collect()
}

fn cut_fields(flags: u16) -> Vec<String> {
    [
        (flags::CUT_ARGS, "args"),
        (flags::CUT_EXE, "exe"),
        (flags::CUT_PATH, "path"),
        (flags::CUT_CWD, "cwd"),
        (flags::CUT_CGROUP, "cgroup"),
        (flags::CUT_ENV, "env"),
    ]
    .into_iter()
    .filter(|(flag, _)| flags & flag != 0)
    .map(|(_, name)| name.to_owned())
    .collect()
}

fn connect(record: &rw_connect) -> Body {
    const AF_INET6: u16 = 10;
    let (ip, mapped) = ip_address(&record.addr);
    let blocked = record.head.flags & flags::CONNECT_BLOCKED != 0;
    Body::Connect(Connect {
        connection: ConnectionId(record.connection),
        process: ProcessId(record.head.process),
        pid: record.head.pid,
        protocol: protocol(record.protocol, record.raw != 0),
        ip,
        port: record.port,
        name: None,
        status: if blocked {
            Status::Blocked
        } else {
            Status::Allowed
        },
        reason: blocked.then(|| reason(record.reason)),
        rule: record.rule.checked_sub(1),
        listed: None,
        v4_mapped: mapped && record.family == AF_INET6,
    })
}

fn stream(record: &rw_refused) -> Stream {
    Stream {
        local: SocketAddr::new(ip_address(&record.local).0, record.local_port),
        remote: SocketAddr::new(ip_address(&record.addr).0, record.port),
        cookie: record.cookie,
        pid: record.head.pid,
    }
}

fn refused(record: &rw_refused) -> Body {
    let name = record.name.get(..usize::from(record.name_len));
    let name = name.filter(|name| !name.is_empty());
    Body::Refused(Refused {
        connection: (record.connection != 0).then_some(ConnectionId(record.connection)),
        process: ProcessId(record.head.process),
        pid: record.head.pid,
        protocol: protocol(record.protocol, false),
        ip: ip_address(&record.addr).0,
        port: record.port,
        name: name.map(|name| String::from_utf8_lossy(name).into_owned()),
        reason: reason(record.reason),
        listed: None,
    })
}

fn reason(number: u8) -> Reason {
    match rw_reason(u32::from(number)) {
        rw_reason::RW_NOT_ALLOWED => Reason::NotAllowed,
        rw_reason::RW_EXPIRED => Reason::Expired,
        rw_reason::RW_PROTOCOL => Reason::Protocol,
        rw_reason::RW_LOCAL_SERVICE => Reason::LocalService,
        rw_reason::RW_NO_ROOM => Reason::NoRoom,
        rw_reason::RW_UNREADABLE => Reason::Unreadable,
        rw_reason::RW_INBOUND => Reason::Inbound,
        rw_reason::RW_LISTED => Reason::BlockList,
        _ => first_bytes_reason(number),
    }
}

/// What `enum rw_first_bytes_reason` of `bpf/first_bytes_state.h` means to a reader.
fn first_bytes_reason(number: u8) -> Reason {
    let base = rw_reason::RW_FIRST_BYTES.0;
    match u32::from(number).checked_sub(base) {
        Some(1) => Reason::SniMismatch,
        Some(2) => Reason::HostMismatch,
        Some(3) => Reason::NoSni,
        Some(5) => Reason::EncryptedClientHello,
        Some(4 | 7 | 8) => Reason::HttpUnclear,
        Some(9 | 10) => Reason::HttpUpgrade,
        Some(_) => Reason::FirstBytes,
        None => Reason::Other,
    }
}

fn connect_close(record: rw_connect_close) -> Body {
    Body::ConnectClose(ConnectClose {
        connection: ConnectionId(record.connection),
        process: ProcessId(record.head.process),
        outcome: match rw_outcome(record.outcome) {
            rw_outcome::RW_ESTABLISHED => ConnectOutcome::Established,
            rw_outcome::RW_DATAGRAMS => ConnectOutcome::Datagrams,
            _ => ConnectOutcome::Failed,
        },
        bytes_sent: record.bytes_sent,
        bytes_received: record.bytes_received,
        duration_ns: record.head.boot_ns.saturating_sub(record.started_boot_ns),
        opaque: record.head.flags & flags::CLOSE_OPAQUE != 0,
    })
}

/// An address as the kernel side writes it, and whether it is an IPv4 address in IPv6 form.
pub(crate) fn ip_address(addr: &[u8; 16]) -> (IpAddr, bool) {
    let v6 = Ipv6Addr::from(*addr);
    match v6.to_ipv4_mapped() {
        Some(v4) => (IpAddr::V4(Ipv4Addr::from(v4.octets())), true),
        None => (IpAddr::V6(v6), false),
    }
}

/// IANA's protocol numbers.
fn protocol(number: u16, raw: bool) -> Protocol {
    match number {
        1 | 58 => Protocol::Icmp,
        _ if raw => Protocol::Raw,
        // 262 is Linux's own number for multipath TCP.
        6 | 262 => Protocol::Tcp,
        17 | 136 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => Protocol::Other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::abi::bytes_of;

    fn decode(bytes: &[u8]) -> (Vec<Record>, u64) {
        let mut decoder = Decoder::default();
        let mut records = Vec::new();
        decoder.record(bytes, &mut |record| records.push(record));
        (records, decoder.malformed)
    }

    fn head(kind: rw_kind, flags: u16) -> rw_head {
        let kind = u16::try_from(kind.0).unwrap();
        rw_head {
            boot_ns: 5,
            job: 1,
            process: 70,
            pid: 7,
            kind,
            flags,
        }
    }

    fn body(records: Vec<Record>) -> Body {
        match &records[..] {
            [Record::Event(event)] => event.body.clone(),
            other => panic!("not one event: {other:?}"),
        }
    }

    fn exec_record(flags: u16, args: &[u8], env: &[u8]) -> Vec<u8> {
        let parts: [&[u8]; 6] = [
            b"./tool",
            b"/usr/bin/tool",
            b"/src",
            b"/docker/x",
            args,
            env,
        ];
        let len = |index: usize| u32::try_from(parts[index].len()).unwrap();
        let record = rw_exec {
            head: head(rw_kind::RW_EXEC, flags),
            parent: 69,
            ppid: 6,
            uid: 1000,
            gid: 100,
            path_len: len(0),
            exe_len: len(1),
            cwd_len: len(2),
            cgroup_len: len(3),
            args_len: len(4),
            env_len: len(5),
            links: 1,
            ..rw_exec::default()
        };
        [bytes_of(&record), &parts.concat()].concat()
    }

    fn exec_of(bytes: &[u8]) -> ProcessExec {
        match body(decode(bytes).0) {
            Body::ProcessExec(exec) => *exec,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_exec_has_its_parts() {
        let env = b"HOME=/root\0CI_JOB_ID=42\0SECRET=s\0npm_package_name=left=pad\0";
        let exec = exec_of(&exec_record(0, b"tool\0\0two words\0", env));
        assert_eq!(
            (exec.path.as_str(), exec.exe.as_str()),
            ("./tool", "/usr/bin/tool")
        );
        assert_eq!(
            (exec.cwd.as_str(), exec.cgroup.as_str()),
            ("/src", "/docker/x")
        );
        assert_eq!(exec.args, ["tool", "", "two words"]);
        assert_eq!(
            (exec.parent, exec.ppid, exec.uid, exec.gid),
            (Some(ProcessId(69)), 6, 1000, 100)
        );
        let env: Vec<_> = exec
            .env
            .iter()
            .map(|(var, value)| (*var, value.as_str()))
            .collect();
        assert_eq!(
            env,
            [
                (AttributionVar::CiJobId, "42"),
                (AttributionVar::NpmPackageName, "left=pad")
            ]
        );
        assert_eq!((exec.truncated, exec.raw.len()), (vec![], 0));
    }

    #[test]
    fn bytes_that_are_not_text_are_kept() {
        let exec = exec_of(&exec_record(
            flags::CUT_ARGS,
            b"a\0\xff\xfe\0cut off he",
            b"",
        ));
        assert_eq!(exec.args, ["a", "\u{fffd}\u{fffd}", "cut off he"]);
        assert_eq!(exec.raw.get("/args/1").map(String::as_str), Some("fffe"));
        assert_eq!(exec.truncated, ["args"]);
        assert_eq!(
            exec_of(&exec_record(0, b"", b"")).args,
            Vec::<String>::new(),
            "argc 0"
        );
        assert_eq!(
            exec_of(&exec_record(0, b"\0", b"")).args,
            [""],
            "one empty argument"
        );
    }

    #[test]
    fn a_status_is_a_code_or_a_signal() {
        let table = [
            (0, Some(0), None),
            (3 << 8, Some(3), None),
            (9, None, Some(9)),
            (11 | 0x80, None, Some(11)),
        ];
        for (status, code, signal) in table {
            let record = rw_exit {
                head: head(rw_kind::RW_EXIT, 0),
                status,
                pad: 0,
            };
            let expected = ProcessExit {
                process: ProcessId(70),
                pid: 7,
                code,
                signal,
            };
            assert_eq!(
                body(decode(bytes_of(&record)).0),
                Body::ProcessExit(expected),
                "{status:#x}"
            );
        }
    }

    #[test]
    fn a_mapped_address_is_the_address_that_it_means() {
        const AF_INET6: u16 = 10;
        let mut record = rw_connect {
            head: head(rw_kind::RW_CONNECT, 0),
            ..rw_connect::default()
        };
        record.addr = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets();
        record.family = AF_INET6;
        record.protocol = 6;
        let Body::Connect(connect) = body(decode(bytes_of(&record)).0) else {
            panic!()
        };
        assert_eq!(connect.ip, IpAddr::from([192, 0, 2, 1]));
        assert!(connect.v4_mapped);
        assert_eq!(connect.protocol, Protocol::Tcp);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400), kind in 0u16..10) {
            decode(&bytes);
            // The same behind a head that is right, so that every kind is reached.
            let mut framed = bytes_of(&head(rw_kind(u32::from(kind)), 0)).to_vec();
            framed.extend_from_slice(&bytes);
            decode(&framed);
        }
    }

    #[test]
    fn a_record_that_promises_more_than_it_has_is_counted() {
        let whole = exec_record(0, b"tool\0", b"");
        let (records, malformed) = decode(&whole[..whole.len() - 1]);
        assert!(records.is_empty());
        assert_eq!(malformed, 1);
    }
}
