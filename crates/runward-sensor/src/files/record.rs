//! Reads what the kernel writes into a fanotify descriptor. Pure, and safe for any bytes.
//!
//! The layout is that of `fanotify(7)`: an event's fixed part, then information records, each with its own length.

use crate::files::handle::RawHandle;

/// The kinds of change in one event: `FAN_*` bits. The kernel merges equal events, so several may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mask(pub(crate) u64);

impl Mask {
    pub(crate) fn has(self, bits: u64) -> bool {
        self.0 & bits != 0
    }
}

/// A name in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub(crate) folder: RawHandle<'a>,
    pub(crate) name: &'a [u8],
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) mask: Mask,
    /// The process that did it, in the reader's pid namespace; 0 when it isn't visible there.
    pub(crate) pid: u32,
    /// The name that it was done to; for a rename, the old name.
    pub(crate) at: Option<Name<'a>>,
    /// For a rename, the new name.
    pub(crate) to: Option<Name<'a>>,
    /// The file that it was done to.
    pub(crate) target: Option<RawHandle<'a>>,
}

/// The kernel wrote something that this reader doesn't understand; what follows it in the buffer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The events in a buffer, in order. Ends after the first malformed one.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    pub(crate) fn new(buffer: &'a [u8]) -> Records<'a> {
        Records { rest: buffer }
    }

    fn read(&mut self) -> Option<Record<'a>> {
        let mut event = Fields(self.rest);
        let event_len = event.u32()? as usize;
        let version = event.u8()?;
        event.u8()?;
        let metadata_len = usize::from(event.u16()?);
        let mask = Mask(event.u64()?);
        // In this mode the descriptor is always FAN_NOFD: there is nothing to close.
        event.u32()?;
        let pid = u32::try_from(event.u32()? as i32).unwrap_or(0);
        if version != libc::FANOTIFY_METADATA_VERSION || metadata_len < METADATA {
            return None;
        }
        let (whole, rest) = self.rest.split_at_checked(event_len)?;
        let mut infos = whole.get(metadata_len..)?;
        let mut record = Record {
            mask,
            pid,
            at: None,
            to: None,
            target: None,
        };
        while !infos.is_empty() {
            let mut header = Fields(infos);
            let kind = header.u8()?;
            header.u8()?;
            let len = usize::from(header.u16()?);
            if len < INFO_HEADER {
                return None;
            }
            let (info, next) = infos.split_at_checked(len)?;
            infos = next;
            let body = Fields(info.get(INFO_HEADER..)?);
            match kind {
                libc::FAN_EVENT_INFO_TYPE_FID => record.target = Some(body.handle()?.0),
                libc::FAN_EVENT_INFO_TYPE_DFID_NAME | libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME => {
                    record.at = Some(body.name()?);
                }
                libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME => record.to = Some(body.name()?),
                // A newer kernel may tell more than we asked for.
                _ => {}
            }
        }
        self.rest = rest;
        Some(record)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match self.read() {
            Some(record) => Some(Ok(record)),
            None => {
                self.rest = &[];
                Some(Err(Malformed))
            }
        }
    }
}

/// The length of `struct fanotify_event_metadata`.
const METADATA: usize = 24;
/// The length of `struct fanotify_event_info_header`.
const INFO_HEADER: usize = 4;

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_ne_bytes)
    }

    fn handle(mut self) -> Option<(RawHandle<'a>, &'a [u8])> {
        let fsid = self.take()?;
        let len = self.u32()? as usize;
        let kind = self.u32()? as i32;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        if len > crate::files::sys::MAX_HANDLE {
            return None;
        }
        Some((RawHandle { fsid, kind, bytes }, rest))
    }

    fn name(self) -> Option<Name<'a>> {
        let (folder, rest) = self.handle()?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(Name {
            folder,
            name: rest.get(..end)?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes an event as the kernel does.
    pub(crate) fn encode(
        mask: u64,
        pid: i32,
        infos: &[(u8, RawHandle<'_>, Option<&[u8]>)],
    ) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, handle, name) in infos {
            let mut info = Vec::new();
            info.extend(handle.fsid);
            info.extend((handle.bytes.len() as u32).to_ne_bytes());
            info.extend(handle.kind.to_ne_bytes());
            info.extend(handle.bytes);
            if let Some(name) = name {
                info.extend(*name);
                info.push(0);
            }
            while !(info.len() + INFO_HEADER).is_multiple_of(4) {
                info.push(0);
            }
            body.push(*kind);
            body.push(0);
            body.extend(((info.len() + INFO_HEADER) as u16).to_ne_bytes());
            body.extend(info);
        }
        let mut event = Vec::new();
        event.extend(((METADATA + body.len()) as u32).to_ne_bytes());
        event.push(libc::FANOTIFY_METADATA_VERSION);
        event.push(0);
        event.extend((METADATA as u16).to_ne_bytes());
        event.extend(mask.to_ne_bytes());
        event.extend((-1i32).to_ne_bytes());
        event.extend(pid.to_ne_bytes());
        event.extend(body);
        event
    }

    fn raw(bytes: &[u8]) -> RawHandle<'_> {
        RawHandle {
            fsid: *b"fsid-001",
            kind: 1,
            bytes,
        }
    }

    #[test]
    fn reads_a_rename_with_both_names_and_the_file() {
        let buffer = encode(
            libc::FAN_RENAME,
            77,
            &[
                (
                    libc::FAN_EVENT_INFO_TYPE_OLD_DFID_NAME,
                    raw(b"dir-a..."),
                    Some(b"old"),
                ),
                (
                    libc::FAN_EVENT_INFO_TYPE_NEW_DFID_NAME,
                    raw(b"dir-b..."),
                    Some(b"new name"),
                ),
                (libc::FAN_EVENT_INFO_TYPE_FID, raw(b"file...."), None),
            ],
        );
        let records: Vec<_> = Records::new(&buffer).collect();
        assert_eq!(
            records,
            [Ok(Record {
                mask: Mask(libc::FAN_RENAME),
                pid: 77,
                at: Some(Name {
                    folder: raw(b"dir-a..."),
                    name: b"old"
                }),
                to: Some(Name {
                    folder: raw(b"dir-b..."),
                    name: b"new name"
                }),
                target: Some(raw(b"file....")),
            })]
        );
    }

    #[test]
    fn an_overflow_has_no_names() {
        let buffer = encode(libc::FAN_Q_OVERFLOW, 0, &[]);
        let records: Vec<_> = Records::new(&buffer).collect();
        assert_eq!(
            records,
            [Ok(Record {
                mask: Mask(libc::FAN_Q_OVERFLOW),
                pid: 0,
                at: None,
                to: None,
                target: None
            })]
        );
    }

    #[test]
    fn a_broken_event_ends_the_buffer_and_keeps_what_came_before() {
        let good = encode(
            libc::FAN_DELETE,
            5,
            &[(libc::FAN_EVENT_INFO_TYPE_DFID_NAME, raw(b"d"), Some(b"x"))],
        );
        type Damage = fn(&mut Vec<u8>);
        let breakages: [(&str, Damage); 5] = [
            ("event longer than the buffer", |event| event[0] = 200),
            ("event of no length", |event| event[0] = 0),
            ("another version", |event| event[4] = 9),
            ("info record of no length", |event| event[26] = 0),
            ("handle longer than its record", |event| event[36] = 99),
        ];
        for (what, damage) in breakages {
            let mut bad = good.clone();
            damage(&mut bad);
            let buffer = [good.clone(), bad, good.clone()].concat();
            let records: Vec<_> = Records::new(&buffer).map(|r| r.is_ok()).collect();
            assert_eq!(records, [true, false], "{what}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Records::new(&bytes).count() <= bytes.len());
        }

        #[test]
        fn damaged_events_end_without_a_panic(
            at: prop::sample::Index, to: u8, names in prop::collection::vec(prop::collection::vec(1u8.., 0..20), 1..6)
        ) {
            let mut buffer = Vec::new();
            for name in &names {
                buffer.extend(encode(libc::FAN_CREATE, 1, &[
                    (libc::FAN_EVENT_INFO_TYPE_DFID_NAME, raw(b"12345678"), Some(name)),
                    (libc::FAN_EVENT_INFO_TYPE_FID, raw(b"abcdefgh"), None),
                ]));
            }
            prop_assert_eq!(Records::new(&buffer).filter(|r| r.is_ok()).count(), names.len());
            let at = at.index(buffer.len());
            buffer[at] = to;
            prop_assert!(Records::new(&buffer).count() <= buffer.len());
        }
    }
}
