//! What a client sent, as a question that can be answered.

use std::ops::RangeInclusive;

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder};

/// The longest message that a client may send, in bytes. A question with cookie and padding (RFC 8467) takes a fifth.
pub(crate) const MOST_BYTES: usize = 4096;

/// The most additional records in a question; one (OPT) is usual.
const MOST_ADDITIONAL: u16 = 8;

/// What every client takes in a datagram (RFC 1035).
const LEAST_ROOM: u16 = 512;

/// The most that is sent in a datagram. The listener is on the client's machine, so that the usual 1232 bytes for paths
/// with small frames would only cost a second question.
const MOST_ROOM: u16 = 4096;

/// Types that are no records' types but operations: signatures, transfers, everything (RFC 6895, section 3.1).
const META: RangeInclusive<u16> = 128..=255;

/// Name (RFC 1035), type and flags.
const MOST_KEY: usize = 255 + 2 + 1;

/// A question that can be answered.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) head: Head,
    /// The question section, in the client's spelling.
    pub(crate) section: &'a [u8],
    pub(crate) name: Name,
    pub(crate) kind: RecordType,
}

/// What of a message's head and EDNS matters for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) id: u16,
    pub(crate) operation: u8,
    pub(crate) recursion_desired: bool,
    pub(crate) authentic_data: bool,
    pub(crate) checking_disabled: bool,
    pub(crate) edns: Option<Edns>,
}

/// What a client said about itself by EDNS (RFC 6891).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) room: u16,
    pub(crate) dnssec: bool,
}

/// Why a message gets no real answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusual<'a> {
    /// Nobody is there to answer, or it is an answer itself: two servers would answer each other for ever.
    Ignore,
    /// It gets this code. The section is what could be read of the question.
    Answer {
        head: Head,
        section: &'a [u8],
        code: ResponseCode,
    },
}

/// Reads a client's message.
pub(crate) fn read(bytes: &[u8]) -> Result<Asked<'_>, Unusual<'_>> {
    let mut decoder = BinDecoder::new(bytes);
    let Ok(header) = Header::read(&mut decoder) else {
        return Err(Unusual::Ignore);
    };
    let meta = &header.metadata;
    if meta.message_type != MessageType::Query {
        return Err(Unusual::Ignore);
    }
    let head = Head {
        id: meta.id,
        operation: u8::from(meta.op_code),
        recursion_desired: meta.recursion_desired,
        authentic_data: meta.authentic_data,
        checking_disabled: meta.checking_disabled,
        edns: None,
    };
    let unusual = |head, section, code| Unusual::Answer {
        head,
        section,
        code,
    };
    let malformed = unusual(head, &[][..], ResponseCode::FormErr);
    if meta.op_code != OpCode::Query {
        return Err(unusual(head, &[], ResponseCode::NotImp));
    }
    if header.counts.queries != 1 || bytes.len() > MOST_BYTES {
        return Err(malformed);
    }
    let start = decoder.index();
    let Ok(query) = Query::read(&mut decoder) else {
        return Err(malformed);
    };
    let Some(section) = bytes.get(start..decoder.index()) else {
        return Err(malformed);
    };
    if section.len() != wire_length(query.name()) + 4 {
        // A pointer, which could only lead into the head: the section could not be echoed.
        return Err(malformed);
    }
    let kind = query.query_type();
    let refused = is_meta(kind) || query.query_class() != DNSClass::IN;
    if header.counts.answers != 0 || header.counts.authorities != 0 {
        // A transfer of changes has a record there, and is refused as one.
        let code = if refused {
            ResponseCode::Refused
        } else {
            ResponseCode::FormErr
        };
        return Err(unusual(head, section, code));
    }
    let (head, version) = match edns(&mut decoder, header.counts.additionals) {
        Some((edns, version)) => (Head { edns, ..head }, version),
        None => return Err(unusual(head, section, ResponseCode::FormErr)),
    };
    if version != 0 {
        return Err(unusual(head, section, ResponseCode::BADVERS));
    }
    if refused {
        return Err(unusual(head, section, ResponseCode::Refused));
    }
    Ok(Asked {
        head,
        section,
        name: query.name,
        kind,
    })
}

fn is_meta(kind: RecordType) -> bool {
    matches!(kind, RecordType::ZERO | RecordType::OPT) || META.contains(&u16::from(kind))
}

/// The EDNS record among the additional ones, and its version. `None` if they are malformed.
fn edns(decoder: &mut BinDecoder<'_>, count: u16) -> Option<(Option<Edns>, u8)> {
    if count > MOST_ADDITIONAL {
        return None;
    }
    let (_, found, _) =
        Message::read_records(decoder, usize::from(count), true, OpCode::Query).ok()?;
    let Some(found) = found else {
        return Some((None, 0));
    };
    let edns = Edns {
        room: found.max_payload().clamp(LEAST_ROOM, MOST_ROOM),
        dnssec: found.flags().dnssec_ok,
    };
    Some((Some(edns), found.version()))
}

impl Asked<'_> {
    /// Whether DNSSEC records are asked for.
    pub(crate) fn dnssec(&self) -> bool {
        self.head.edns.is_some_and(|edns| edns.dnssec)
    }

    /// What tells questions apart for cache and upstream.
    pub(crate) fn key(&self) -> Key {
        let mut key = Key {
            bytes: [0; MOST_KEY],
            length: 0,
        };
        // The last two bytes are the class, which is always IN.
        let parts = self.section.split_last_chunk::<2>();
        let (named, _) = parts.unwrap_or((self.section, &[0; 2]));
        let flags = u8::from(self.dnssec()) | u8::from(self.head.checking_disabled) << 1;
        for byte in named.iter().chain([&flags]) {
            if let Some(place) = key.bytes.get_mut(key.length) {
                *place = *byte;
                key.length += 1;
            }
        }
        // Lengths of labels are below 64 and so are no letters; the type's two bytes may be, and must stay.
        let name = named.len().saturating_sub(2);
        if let Some(name) = key.bytes.get_mut(..name) {
            name.make_ascii_lowercase();
        }
        key
    }

    /// The name as [`crate::Question::name`] has it.
    pub(crate) fn text(&self) -> String {
        let mut text = self.name.to_lowercase().to_ascii();
        if text.len() > 1 {
            // Names from the wire end in the root, so that this dot is never an escaped one.
            text.pop();
        }
        text
    }
}

impl Head {
    /// How many bytes an answer in a datagram may have.
    pub(crate) fn room(&self) -> usize {
        usize::from(self.edns.map_or(LEAST_ROOM, |edns| edns.room))
    }
}

/// What tells questions apart: the name in lower case, the type, and the flags that change what upstream answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    bytes: [u8; MOST_KEY],
    length: usize,
}

impl Key {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// How long a name is when it is written without pointers.
fn wire_length(name: &Name) -> usize {
    name.iter().map(|label| label.len() + 1).sum::<usize>() + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gate::Kind;

    /// The bytes of one question for a name of these labels, with type, class and what comes after.
    fn message(
        labels: &[&[u8]],
        kind: u16,
        class: u16,
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in labels {
            bytes.push(u8::try_from(label.len()).unwrap());
            bytes.extend_from_slice(label);
        }
        bytes.push(0);
        bytes.extend_from_slice(&kind.to_be_bytes());
        bytes.extend_from_slice(&class.to_be_bytes());
        change(&mut bytes);
        bytes
    }

    fn plain(labels: &[&[u8]]) -> Vec<u8> {
        message(labels, 1, 1, |_| {})
    }

    fn with_edns(bytes: &mut Vec<u8>, room: u16, version: u8, flags: u16, options: &[u8]) {
        bytes[11] += 1;
        bytes.extend_from_slice(&[0, 0, 41]);
        bytes.extend_from_slice(&room.to_be_bytes());
        bytes.extend_from_slice(&[0, version]);
        bytes.extend_from_slice(&flags.to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(options.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(options);
    }

    fn told(bytes: &[u8]) -> String {
        match read(bytes) {
            Ok(asked) => format!("{} {}", asked.text(), Kind(asked.kind.into())),
            Err(Unusual::Ignore) => "ignored".to_owned(),
            Err(Unusual::Answer { code, section, .. }) => {
                format!("{} {}", u16::from(code), section.len())
            }
        }
    }

    #[test]
    fn questions() {
        let a: &[&[u8]] = &[b"a", b"example"];
        let soa: &[u8] = &[0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 0, 0, 0];
        type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
        let table: &[(&str, u16, u16, Change<'_>, &str)] = &[
            ("plain", 1, 1, &|_| {}, "a.example A"),
            ("an unknown type", 65280, 1, &|_| {}, "a.example TYPE65280"),
            ("a pointer's type", 12, 1, &|_| {}, "a.example PTR"),
            ("everything", 255, 1, &|_| {}, "5 15"),
            ("a transfer", 252, 1, &|_| {}, "5 15"),
            ("a mail agent", 254, 1, &|_| {}, "5 15"),
            ("no type", 0, 1, &|_| {}, "5 15"),
            ("the type of EDNS", 41, 1, &|_| {}, "5 15"),
            ("class CH", 1, 3, &|_| {}, "5 15"),
            ("class ANY", 1, 255, &|_| {}, "5 15"),
            ("an answer", 1, 1, &|m| m[2] |= 0x80, "ignored"),
            ("half a head", 1, 1, &|m| m.truncate(11), "ignored"),
            ("only a head", 1, 1, &|m| m.truncate(12), "1 0"),
            ("an update", 1, 1, &|m| m[2] = 5 << 3, "4 0"),
            ("no question", 1, 1, &|m| m[5] = 0, "1 0"),
            ("two questions", 1, 1, &|m| m[5] = 2, "1 0"),
            ("with an answer", 1, 1, &|m| m[7] = 1, "1 15"),
            (
                "with an authority",
                1,
                1,
                &|m| {
                    m[9] = 1;
                    m.extend_from_slice(soa);
                },
                "1 15",
            ),
            (
                "a transfer of changes",
                251,
                1,
                &|m| {
                    m[9] = 1;
                    m.extend_from_slice(soa);
                },
                "5 15",
            ),
            ("a missing record", 1, 1, &|m| m[11] = 1, "1 15"),
            ("many records", 1, 1, &|m| m[11] = 9, "1 15"),
            (
                "EDNS",
                1,
                1,
                &|m| with_edns(m, 1232, 0, 0, &[]),
                "a.example A",
            ),
            (
                "EDNS with a cookie",
                1,
                1,
                &|m| with_edns(m, 1232, 0, 0, &[0, 10, 0, 2, 1, 2]),
                "a.example A",
            ),
            (
                "EDNS of tomorrow",
                1,
                1,
                &|m| with_edns(m, 1232, 1, 0, &[]),
                "16 15",
            ),
            (
                "EDNS twice",
                1,
                1,
                &|m| {
                    with_edns(m, 1232, 0, 0, &[]);
                    with_edns(m, 1232, 0, 0, &[]);
                },
                "1 15",
            ),
            (
                "EDNS cut",
                1,
                1,
                &|m| {
                    with_edns(m, 1232, 0, 0, &[]);
                    m.pop();
                },
                "1 15",
            ),
            (
                "bytes after the end",
                1,
                1,
                &|m| m.extend_from_slice(b"more"),
                "a.example A",
            ),
            ("too long", 1, 1, &|m| m.resize(MOST_BYTES + 1, 0), "1 0"),
            (
                "as long as can be",
                1,
                1,
                &|m| m.resize(MOST_BYTES, 0),
                "a.example A",
            ),
        ];
        for (what, kind, class, change, expected) in table {
            assert_eq!(
                told(&message(a, *kind, *class, change)),
                *expected,
                "{what}"
            );
        }
    }

    #[test]
    fn a_name_that_points_into_the_head_is_malformed() {
        let mut bytes = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        bytes.extend_from_slice(&[1, b'a', 0xc0, 0, 0, 1, 0, 1]);
        assert_eq!(told(&bytes), "1 0");
    }

    #[test]
    fn names_are_told_in_lower_case_and_so_that_different_ones_never_look_alike() {
        for (labels, expected) in [
            (&[][..], ". A"),
            (&[b"A".as_slice(), b"eXample"], "a.example A"),
            (&[b"a.example".as_slice()], "a\\.example A"),
            (&[b"a".as_slice(), b"b\\", b"c"], "a.b\\\\.c A"),
            (&[b"a.".as_slice()], "a\\. A"),
            (
                &[b"_sip".as_slice(), b"_udp", b"example"],
                "_sip._udp.example A",
            ),
            (
                &[b"xn--bcher-kva".as_slice(), b"example"],
                "xn--bcher-kva.example A",
            ),
        ] {
            assert_eq!(told(&plain(labels)), expected);
        }
    }

    #[test]
    fn keys_differ_where_answers_do() {
        let key = |bytes: &[u8]| read(bytes).unwrap().key().as_slice().to_vec();
        let base = key(&plain(&[b"a", b"example"]));
        assert_eq!(base, key(&plain(&[b"A", b"Example"])));
        // 0x4142 and 0x6162 are letters of both cases, and different types.
        let of_type = |kind| key(&message(&[b"a"], kind, 1, |_| {}));
        assert_ne!(of_type(0x4142), of_type(0x6162));
        for other in [
            plain(&[b"b", b"example"]),
            message(&[b"a", b"example"], 28, 1, |_| {}),
            message(&[b"a", b"example"], 1, 1, |m| m[3] |= 0x10),
            message(&[b"a", b"example"], 1, 1, |m| {
                with_edns(m, 1232, 0, 0x8000, &[])
            }),
        ] {
            assert_ne!(base, key(&other));
        }
        let edns = message(&[b"a", b"example"], 1, 1, |m| with_edns(m, 1232, 0, 0, &[]));
        assert_eq!(base, key(&edns));
    }

    #[test]
    fn room_is_what_the_client_says_within_bounds() {
        let room = |bytes: &[u8]| read(bytes).unwrap().head.room();
        assert_eq!(room(&plain(&[b"a"])), 512);
        for (said, expected) in [(0, 512), (511, 512), (1232, 1232), (65535, 4096)] {
            let bytes = message(&[b"a"], 1, 1, |m| with_edns(m, said, 0, 0, &[]));
            assert_eq!(room(&bytes), expected);
        }
    }

    fn labels() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 1..20), 0..8)
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = told(&bytes);
        }

        /// A changed byte or two may make another question of it, never a panic, and its section is the message's own.
        #[test]
        fn mutated_questions_are_survived(
            labels in labels(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
            let mut bytes = message(&labels, 28, 1, |m| with_edns(m, 1232, 0, 0x8000, &[0, 8, 0, 1, 7]));
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(asked) = read(&bytes) {
                prop_assert!(bytes[12..].starts_with(asked.section));
                prop_assert!(asked.key().as_slice().len() == asked.section.len() - 1);
                prop_assert!(asked.text().is_ascii());
            }
        }

        #[test]
        fn different_names_have_different_texts_and_keys(one in labels(), other in labels()) {
            let lower = |labels: &[Vec<u8>]| -> Vec<Vec<u8>> {
                labels.iter().map(|label| label.to_ascii_lowercase()).collect()
            };
            let told = |labels: &[Vec<u8>]| {
                let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
                let bytes = plain(&labels);
                let asked = read(&bytes).unwrap();
                (asked.text(), asked.key().as_slice().to_vec())
            };
            let (same, one, other) = (lower(&one) == lower(&other), told(&one), told(&other));
            prop_assert_eq!(same, one.0 == other.0);
            prop_assert_eq!(same, one.1 == other.1);
        }
    }
}
