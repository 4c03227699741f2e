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
