//! What sets a program's start apart from most. Pure: a record in, facts out.

use runward_event::{ExecFacts, Stream, StreamEnd, StreamName, Time};

use crate::abi::{rw_exec, rw_stream, rw_stream_kind};
use crate::decode::ip_address;

/// linux/capability.h: `CAP_SYS_ADMIN`.
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// In the order of the record.
const STREAMS: [StreamName; 4] = [
    StreamName::Stdin,
    StreamName::Stdout,
    StreamName::Stderr,
    StreamName::ParentStdin,
];

/// `since` is when the sensor began to watch.
pub(crate) fn of(record: &rw_exec, in_container: bool, since: Time) -> ExecFacts {
    let changed = Time::from_unix_nanos(record.changed_ns);
    ExecFacts {
        streams: STREAMS
            .into_iter()
            .zip(&record.streams)
            .filter_map(|(name, end)| stream(name, end))
            .collect(),
        changed: (changed >= since).then_some(changed),
        unlinked: record.links == 0,
        adopted: false,
        privileged: in_container && record.capabilities & CAP_SYS_ADMIN != 0,
    }
}

fn stream(name: StreamName, end: &rw_stream) -> Option<Stream> {
    let to = match rw_stream_kind(u32::from(end.kind)) {
        rw_stream_kind::RW_STREAM_TCP => StreamEnd::Tcp,
        rw_stream_kind::RW_STREAM_UDP => StreamEnd::Udp,
        rw_stream_kind::RW_STREAM_NAMED_PIPE => StreamEnd::NamedPipe,
        _ => return None,
    };
    let is_pipe = to == StreamEnd::NamedPipe;
    Some(Stream {
        stream: name,
        to,
        ip: (!is_pipe).then(|| ip_address(&end.addr).0),
        port: (!is_pipe).then_some(end.port),
        inode: is_pipe.then_some(end.inode),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> rw_exec {
        rw_exec {
            links: 1,
            ..rw_exec::default()
        }
    }

    #[test]
    fn an_ordinary_start_has_nothing_to_tell() {
        let since = Time::from_unix_nanos(1);
        assert!(of(&record(), false, since).is_ordinary());
        let mut strong = record();
        strong.capabilities = u64::MAX;
        assert!(
            of(&strong, false, since).is_ordinary(),
            "root outside of a container"
        );
        assert!(of(&strong, true, since).privileged);
    }

    #[test]
    fn a_file_that_is_new_or_gone_is_told() {
        let since = Time::from_unix_nanos(1_000);
        for (changed_ns, told) in [(999, false), (1_000, true), (u64::MAX, true)] {
            let facts = of(
                &rw_exec {
                    changed_ns,
                    ..record()
                },
                false,
                since,
            );
            assert_eq!(facts.changed.is_some(), told, "{changed_ns}");
        }
        assert!(
            of(
                &rw_exec {
                    links: 0,
                    ..record()
                },
                false,
                since
            )
            .unlinked
        );
    }

    #[test]
    fn streams_say_where_they_lead() {
        let mut record = record();
        let mut addr = [0; 16];
        addr[10..].copy_from_slice(&[0xff, 0xff, 192, 0, 2, 7]);
        record.streams[0] = rw_stream {
            addr,
            port: 4444,
            kind: 1,
            ..rw_stream::default()
        };
        record.streams[1] = rw_stream {
            inode: 12,
            kind: 3,
            ..rw_stream::default()
        };
        record.streams[2].kind = 200;
        let told = of(&record, false, Time::from_unix_nanos(1)).streams;
        let want = [
            Stream {
                stream: StreamName::Stdin,
                to: StreamEnd::Tcp,
                ip: Some([192, 0, 2, 7].into()),
                port: Some(4444),
                inode: None,
            },
            Stream {
                stream: StreamName::Stdout,
                to: StreamEnd::NamedPipe,
                ip: None,
                port: None,
                inode: Some(12),
            },
        ];
        assert_eq!(told, want);
    }
}
