//! Records of the ring buffer to events. Pure: bytes in, events out.
//!
//! The kernel side wrote the records, but what stands in them (lengths excepted) is the job's: names, arguments, DNS
//! messages. Nothing here panics on any bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use runward_event::{
    AttributionVar, Body, Connect, ConnectClose, ConnectOutcome, ConnectionId, Direction,
    DnsTransport, ProcessExec, ProcessExit, ProcessFork, ProcessId, Protocol, Status, Texts,
};

use crate::abi::{
    self, rw_connect, rw_connect_close, rw_dns, rw_exec, rw_exit, rw_fork, rw_head, rw_kind,
    rw_outcome, rw_socket_gone,
};
use crate::container::container_id;
use crate::dns::{Datagram, DnsDecoder};
use crate::flags;

/// Something that the kernel side told.
#[derive(Clone, Debug, PartialEq)]
pub struct SensorEvent {
    /// The job that it belongs to. `None` for a DNS answer to some process outside of every job.
    pub job: Option<u64>,
    /// When, in nanoseconds on the boot clock.
    pub boot_ns: u64,
    /// What.
    pub body: Body,
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
}

/// The longest value of a variable that an event carries, in bytes.
const ENV_VALUE_MAX: usize = 4096;

/// Decodes records; keeps the state that DNS over TCP needs between them.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    dns: DnsDecoder,
    /// Records that could not be understood.
    pub(crate) malformed: u64,
}

impl Decoder {
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
            rw_kind::RW_EXEC => sink(event(exec(bytes)?)),
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

fn exec(bytes: &[u8]) -> Option<Body> {
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
    Some(Body::ProcessExec(Box::new(ProcessExec {
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
        container: container_id(&cgroup).map(str::to_owned),
        cgroup,
        env: attribution(env, &mut texts),
        truncated: cut_fields(record.head.flags),
        raw: texts.into_raw(),
    })))
}

/// The strings of a memory area in which each ends with a NUL. The last may lack it when the area was cut.
fn strings(area: &[u8]) -> impl Iterator<Item = &[u8]> {
    let area = area.strip_suffix(b"\0").unwrap_or(area);
    // An area without a single byte holds no string; one that held only a NUL holds an empty one.
    area.split(|byte| *byte == 0)
}

fn attribution(
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
    Body::Connect(Connect {
        connection: ConnectionId(record.connection),
        process: ProcessId(record.head.process),
        pid: record.head.pid,
        protocol: protocol(record.protocol, record.raw != 0),
        ip,
        port: record.port,
        name: None,
        status: Status::Allowed,
        v4_mapped: mapped && record.family == AF_INET6,
    })
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
    })
}

/// An address as the kernel side writes it, and whether it is an IPv4 address in IPv6 form.
fn ip_address(addr: &[u8; 16]) -> (IpAddr, bool) {
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
