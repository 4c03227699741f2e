//! Reading the records of an upstream's answer, changing as little as can be.

use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable as _, BinDecoder, DecodeError, Restrict};

/// The longest time that an answer is kept or bound, in seconds: a day, as most caches have it.
const MOST_TTL: u32 = 86_400;

/// Reads one record. `None` stands for a record whose data is not what its type says: it is passed over.
///
/// Only data that may hold pointers into the message (RFC 3597, section 4), or that is decided about, is parsed. All
/// other data is carried as bytes, so that a type that nobody here knows passes unchanged.
pub(crate) fn read(decoder: &mut BinDecoder<'_>) -> Result<Option<Record>, DecodeError> {
    let name = Name::read(decoder)?;
    let kind = RecordType::read(decoder)?;
    let class = DNSClass::read(decoder)?;
    let ttl = decoder.read_u32()?.unverified(/* any number will do, see `seconds` */);
    let length = decoder.read_u16()?.unverified(/* `read_slice` compares it with what is there */);
    let start = u16::try_from(decoder.index()).map_err(|_| DecodeError::InsufficientBytes)?;
    let mut inside = decoder.clone(start);
    let bytes = decoder
        .read_slice(usize::from(length))?
        .unverified(/* any bytes will do */);
    let data = if is_parsed(kind) {
        // None of these is ever empty. What reads messages takes an empty one for a part of an update.
        if bytes.is_empty() {
            return Ok(None);
        }
        match RData::read(&mut inside, kind, Restrict::new(length)) {
            Ok(data) => data,
            Err(_) => return Ok(None),
        }
    } else if bytes.is_empty() {
        RData::Update0(kind)
    } else {
        opaque(kind, bytes)
    };
    let ttl = if kind == RecordType::OPT {
        ttl
    } else {
        seconds(ttl)
    };
    let mut record = Record::from_rdata(name, ttl, data);
    record.dns_class = class;
    Ok(Some(record))
}

/// The bytes of a record's data that is not parsed.
pub(crate) fn raw(record: &Record) -> &[u8] {
    match &record.data {
        RData::Unknown { rdata, .. } => &rdata.anything,
        _ => &[],
    }
}

fn opaque(code: RecordType, bytes: &[u8]) -> RData {
    let mut rdata = NULL::new();
    rdata.anything = bytes.to_vec();
    RData::Unknown { code, rdata }
}

fn is_parsed(kind: RecordType) -> bool {
    matches!(
        kind,
        RecordType::A
            | RecordType::AAAA
            | RecordType::CNAME
            | RecordType::HTTPS
            | RecordType::MX
            | RecordType::NAPTR
            | RecordType::NS
            | RecordType::PTR
            | RecordType::SOA
            | RecordType::SRV
            | RecordType::SVCB
    )
}

/// A time to live as RFC 2181, section 8 reads it: a number with its highest bit set is 0.
fn seconds(ttl: u32) -> u32 {
    if ttl > u32::MAX / 2 {
        0
    } else {
        ttl.min(MOST_TTL)
    }
}
