//! An answer, ready to be sent to any client any number of times.
//!
//! It is kept as the bytes that go out. For each client only the id, the flags, the spelling of the question and the
//! times to live are written over, so that an answer from the cache costs one copy.

use std::net::IpAddr;

use hickory_proto::op::{Header, HeaderCounts, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{
    BinDecodable as _, BinDecoder, BinEncodable as _, BinEncoder,
};

use crate::accept::{Inquiry, Reply};
use crate::chain::{self, Chain};
use crate::gate::Bound;
use crate::question::Head;
use crate::record;
use crate::svcb::{self, Stripped};

/// The head of a message (RFC 1035, section 4.1.1), in bytes.
const HEAD: usize = 12;

/// The longest time that the absence of records is kept, in seconds. A name that a job waits for may appear soon.
const MOST_NEGATIVE_TTL: u32 = 900;

/// What this resolver says that it takes in a datagram, in bytes.
const OWN_ROOM: u16 = 4096;

/// Why there is no real answer, for clients that understand extended errors (RFC 8914).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The policy does not allow it.
    Blocked = 15,
    /// No upstream answered.
    Unreachable = 22,
}

/// An answer to one question, for any client.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Head, question, answers and authorities. The head's flags and the question's spelling are those of nobody yet.
    wire: Box<[u8]>,
    /// Where the question ends.
    question_end: usize,
    /// Where the times to live stand.
    times: Box<[usize]>,
    /// The addresses that have to be bound before this is sent.
    addresses: Box<[Bound]>,
    /// For how many seconds this is true. 0 is for this once.
    lifetime: u32,
    code: ResponseCode,
    authentic: bool,
}

/// What was left out of an upstream's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOut {
    pub(crate) unrelated: u64,
    pub(crate) beyond: u64,
    pub(crate) stripped: u64,
}

impl Answer {
    /// What of an upstream's reply is for the client. `None` if it does not fit into a message.
    pub(crate) fn new(inquiry: &Inquiry, reply: Reply) -> Option<(Answer, LeftOut)> {
        let mut chain = chain::follow(&inquiry.name, inquiry.kind, inquiry.dnssec, reply.answers);
        let stripped = strip(&mut chain);
        let authorities = authorities(&chain, inquiry, reply.authorities);
        let left_out = LeftOut {
            unrelated: chain.unrelated + reply.malformed,
            beyond: chain.beyond,
            stripped,
        };
        let changed = left_out != LeftOut::default();
        let code = if reply.exists {
            ResponseCode::NoError
        } else {
            ResponseCode::NXDomain
        };
        let answer = Answer::encode(Parts {
            name: &inquiry.name,
            kind: inquiry.kind,
            code,
            authentic: reply.authentic && !changed,
            lifetime: lifetime(&chain, &authorities),
            answers: &chain.records,
            authorities: &authorities,
            addresses: chain.addresses.into(),
        })?;
        Some((answer, left_out))
    }

    fn encode(parts: Parts<'_>) -> Option<Answer> {
        let mut wire = Vec::with_capacity(512);
        let mut encoder = BinEncoder::new(&mut wire);
        let header = Header {
            metadata: Metadata::new(0, MessageType::Response, OpCode::Query),
            counts: HeaderCounts {
                queries: 1,
                answers: u16::try_from(parts.answers.len()).ok()?,
                authorities: u16::try_from(parts.authorities.len()).ok()?,
                additionals: 0,
            },
        };
        header.emit(&mut encoder).ok()?;
        parts.name.emit(&mut encoder).ok()?;
        parts.kind.emit(&mut encoder).ok()?;
        DNSClass::IN.emit(&mut encoder).ok()?;
        let question_end = encoder.offset();
        let mut times = Vec::with_capacity(parts.answers.len() + parts.authorities.len());
        for record in parts.answers.iter().chain(parts.authorities) {
            let start = encoder.offset();
            record.emit(&mut encoder).ok()?;
            times.push(start);
        }
        for place in &mut times {
            // Name, then type and class of two bytes each, then the time.
            *place = after_name(&wire, *place)? + 4;
        }
        Some(Answer {
            wire: wire.into(),
            question_end,
            times: times.into(),
            addresses: parts.addresses,
            lifetime: parts.lifetime,
            code: parts.code,
            authentic: parts.authentic,
        })
    }

    /// For how many seconds this may be kept.
    pub(crate) fn lifetime(&self) -> u32 {
        self.lifetime
    }

    /// How much memory this takes, about, in bytes.
    pub(crate) fn size(&self) -> usize {
        size_of::<Answer>()
            + self.wire.len()
            + size_of_val(&*self.times)
            + size_of_val(&*self.addresses)
    }

    /// The addresses that have to be bound before this is sent, with the time that is left after `age` seconds.
    pub(crate) fn addresses(&self, age: u32) -> Vec<Bound> {
        let left = |bound: &Bound| Bound {
            ip: bound.ip,
            ttl: bound.ttl.saturating_sub(age),
        };
        self.addresses.iter().map(left).collect()
    }

    /// The same answer with those addresses only that are `kept`. `None` if this can't be read again, which would be a
    /// mistake here.
    pub(crate) fn only(&self, kept: &[IpAddr]) -> Option<Answer> {
        let mut decoder = BinDecoder::new(&self.wire);
        let header = Header::read(&mut decoder).ok()?;
        let name = Name::read(&mut decoder).ok()?;
        let kind = RecordType::read(&mut decoder).ok()?;
        DNSClass::read(&mut decoder).ok()?;
        let mut section = |count: u16| -> Option<Vec<Record>> {
            (0..count)
                .map(|_| record::read(&mut decoder).ok().flatten())
                .collect()
        };
        let mut answers = section(header.counts.answers)?;
        let authorities = section(header.counts.authorities)?;
        answers.retain(|record| match &record.data {
            RData::A(v4) => kept.contains(&v4.0.into()),
            RData::AAAA(v6) => kept.contains(&v6.0.into()),
            // A signature would no longer be over what is there.
            _ => !matches!(
                chain::covers(record),
                Some(RecordType::A | RecordType::AAAA)
            ),
        });
        let addresses = self.addresses.iter().copied();
        Answer::encode(Parts {
            name: &name,
            kind,
            code: self.code,
            authentic: false,
            lifetime: self.lifetime,
            answers: &answers,
            authorities: &authorities,
            addresses: addresses.filter(|bound| kept.contains(&bound.ip)).collect(),
        })
    }

    /// Writes this for a client, in place of what is in `out`. Says whether it had to be cut to fit into `room` bytes.
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        head: &Head,
        section: &[u8],
        age: u32,
        room: usize,
        reason: Option<Reason>,
    ) -> bool {
        out.clear();
        let whole = self.wire.len() + edns_length(head, reason) <= room;
        let end = if whole {
            self.wire.len()
        } else {
            self.question_end
        };
        out.extend_from_slice(self.wire.get(..end).unwrap_or_default());
        // The question is the same but for upper and lower case, and so of the same length.
        if let Some(place) = out.get_mut(HEAD..HEAD + section.len()) {
            place.copy_from_slice(section);
        }
        if whole {
            for place in &self.times {
                older(out, *place, age);
            }
        }
        let wants_authentic = head.authentic_data || head.edns.is_some_and(|edns| edns.dnssec);
        let flags = Flags {
            code: self.code,
            truncated: !whole,
            authentic: self.authentic && wants_authentic && whole,
        };
        set_head(out, head, flags);
        if !whole {
            // No answers and no authorities.
            if let Some(counts) = out.get_mut(6..10) {
                counts.fill(0);
            }
        }
        write_edns(out, head, self.code, reason);
        !whole
    }
}

/// Writes an answer without records, in place of what is in `out`.
pub(crate) fn write_bare(
    out: &mut Vec<u8>,
    head: &Head,
    section: &[u8],
    code: ResponseCode,
    reason: Option<Reason>,
) {
    out.clear();
    out.resize(HEAD, 0);
    if let Some(count) = out.get_mut(5) {
        *count = u8::from(!section.is_empty());
    }
    out.extend_from_slice(section);
    let flags = Flags {
        code,
        truncated: false,
        authentic: false,
    };
    set_head(out, head, flags);
    write_edns(out, head, code, reason);
}

struct Parts<'a> {
    name: &'a Name,
    kind: RecordType,
    code: ResponseCode,
    authentic: bool,
    lifetime: u32,
    answers: &'a [Record],
    authorities: &'a [Record],
    addresses: Box<[Bound]>,
}

struct Flags {
    code: ResponseCode,
    truncated: bool,
    authentic: bool,
}

/// Takes out of the chain what clients must not have. Says from how many records something was taken.
fn strip(chain: &mut Chain) -> u64 {
    let mut count = 0;
    let mut changed = Vec::new();
    chain.records.retain_mut(|record| {
        let outcome = svcb::strip(record);
        if outcome != Stripped::Same {
            count += 1;
            changed.push(record.record_type());
        }
        outcome != Stripped::Useless
    });
    // Signatures over what was changed no longer hold.
    chain
        .records
        .retain(|record| chain::covers(record).is_none_or(|kind| !changed.contains(&kind)));
    count
}

/// The authority records that a client needs: who says that there is nothing, and with DNSSEC the proof of it.
fn authorities(chain: &Chain, inquiry: &Inquiry, mut records: Vec<Record>) -> Vec<Record> {
    let end = chain
        .records
        .iter()
        .rev()
        .find_map(|record| match &record.data {
            RData::CNAME(target) => Some(&target.0),
            _ => None,
        });
    let end = end.unwrap_or(&inquiry.name);
    let mut found_start = false;
    records.retain(|record| {
        if record.dns_class != DNSClass::IN {
            return false;
        }
        match record.record_type() {
            RecordType::SOA => {
                let first = !chain.found && !found_start && record.name.zone_of(end);
                found_start |= first;
                first
            }
            RecordType::NSEC | RecordType::NSEC3 | RecordType::RRSIG => inquiry.dnssec,
            _ => false,
        }
    });
    records
}

/// For how many seconds an answer may be kept: the least of its records. Without records of the type that was asked for
/// it is what the zone's start of authority says (RFC 2308, section 5), and without that nothing.
fn lifetime(chain: &Chain, authorities: &[Record]) -> u32 {
    let records = chain.records.iter().map(|record| record.ttl).min();
    if chain.found {
        return records.unwrap_or(0);
    }
    let absence = authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    let absence = absence.unwrap_or(0).min(MOST_NEGATIVE_TTL);
    records.map_or(absence, |records| records.min(absence))
}

/// Where the name that begins at `at` ends.
fn after_name(wire: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length => at += usize::from(length) + 1,
        }
    }
}

/// Takes `age` off the time to live at `place`.
fn older(wire: &mut [u8], place: usize, age: u32) {
    let Some(bytes) = wire.get_mut(place..).and_then(<[u8]>::first_chunk_mut::<4>) else {
        return;
    };
    *bytes = u32::from_be_bytes(*bytes).saturating_sub(age).to_be_bytes();
}

fn set_head(out: &mut [u8], head: &Head, flags: Flags) {
    let Some(place) = out.first_chunk_mut::<4>() else {
        return;
    };
    let [high, low] = head.id.to_be_bytes();
    let first = 0x80
        | (head.operation & 0x0f) << 3
        | u8::from(flags.truncated) << 1
        | u8::from(head.recursion_desired);
    let second = 0x80
        | u8::from(flags.authentic) << 5
        | u8::from(head.checking_disabled) << 4
        | flags.code.low();
    *place = [high, low, first, second];
}

/// How long the EDNS record for a client is.
fn edns_length(head: &Head, reason: Option<Reason>) -> usize {
    match (head.edns, reason) {
        (None, _) => 0,
        (Some(_), None) => 11,
        (Some(_), Some(_)) => 17,
    }
}

/// Adds the EDNS record (RFC 6891) for a client that speaks EDNS.
fn write_edns(out: &mut Vec<u8>, head: &Head, code: ResponseCode, reason: Option<Reason>) {
    let Some(edns) = head.edns else {
        return;
    };
    let [room_high, room_low] = OWN_ROOM.to_be_bytes();
    let dnssec = u8::from(edns.dnssec) << 7;
    // The root, type 41, the room, the code's upper bits, the version, and the flags.
    out.extend_from_slice(&[0, 0, 41, room_high, room_low, code.high(), 0, dnssec, 0]);
    match reason {
        None => out.extend_from_slice(&[0, 0]),
        // Option 15 of two bytes: the extended error.
        Some(reason) => out.extend_from_slice(&[0, 6, 0, 15, 0, 2, 0, reason as u8]),
    }
    if let Some(count) = out.get_mut(11) {
        *count = 1;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::op::Message;
    use hickory_proto::rr::rdata::svcb::{EchConfigList, SVCB, SvcParamKey, SvcParamValue};
    use hickory_proto::rr::rdata::{A, CNAME, HTTPS, NULL, SOA};
    use proptest::prelude::*;

    use super::*;
    use crate::accept::Verdict;
    use crate::question::Edns;

    /// The question section for `A.Example` of type A, as a client may spell it.
    const SECTION: &[u8] = b"\x01A\x07Example\0\0\x01\0\x01";

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(owner: &str, ttl: u32, last: u8) -> Record {
        Record::from_rdata(name(owner), ttl, RData::A(A::new(192, 0, 2, last)))
    }

    fn soa(owner: &str) -> Record {
        let soa = SOA::new(Name::root(), Name::root(), 1, 1, 1, 1, 30);
        Record::from_rdata(name(owner), 60, RData::SOA(soa))
    }

    fn opaque(owner: &str, kind: RecordType, data: &[u8]) -> Record {
        let mut rdata = NULL::new();
        rdata.anything = data.to_vec();
        Record::from_rdata(name(owner), 60, RData::Unknown { code: kind, rdata })
    }

    fn inquiry(kind: RecordType) -> Inquiry {
        Inquiry {
            name: name("a.example."),
            kind,
            dnssec: false,
            checking_disabled: false,
        }
    }

    fn reply(answers: Vec<Record>, authorities: Vec<Record>) -> Reply {
        Reply {
            exists: true,
            authentic: true,
            answers,
            authorities,
            malformed: 0,
        }
    }

    fn addresses(count: u8) -> Answer {
        let answers = (1..=count).map(|last| a("a.example.", 60, last)).collect();
        Answer::new(&inquiry(RecordType::A), reply(answers, vec![]))
            .unwrap()
            .0
    }

    fn head(edns: Option<Edns>) -> Head {
        Head {
            id: 0x1234,
            operation: 0,
            recursion_desired: true,
            authentic_data: true,
            checking_disabled: false,
            edns,
        }
    }

    fn written(
        answer: &Answer,
        head: &Head,
        age: u32,
        room: usize,
        reason: Option<Reason>,
    ) -> Vec<u8> {
        let mut out = vec![7; 3];
        answer.write(&mut out, head, SECTION, age, room, reason);
        out
    }

    #[test]
    fn an_answer_has_the_clients_id_and_spelling_and_the_times_that_are_left() {
        let alias = Record::from_rdata(
            name("a.example."),
            40,
            RData::CNAME(CNAME(name("cdn.test."))),
        );
        let records = vec![alias, a("cdn.test.", 50, 1)];
        let (answer, left_out) =
            Answer::new(&inquiry(RecordType::A), reply(records, vec![])).unwrap();
        assert_eq!((answer.lifetime(), left_out), (40, LeftOut::default()));
        let bytes = written(&answer, &head(None), 15, 512, None);
        assert_eq!(&bytes[12..12 + SECTION.len()], SECTION);
        let message = Message::from_vec(&bytes).unwrap();
        assert_eq!(message.metadata.id, 0x1234);
        assert!(message.metadata.recursion_available && message.metadata.authentic_data);
        let told: Vec<_> = message
            .answers
            .iter()
            .map(|one| (one.name.to_ascii(), one.ttl))
            .collect();
        let expected = [("A.Example.".to_owned(), 25), ("cdn.test.".to_owned(), 35)];
        assert_eq!(told, expected);
        let bound = Bound {
            ip: Ipv4Addr::new(192, 0, 2, 1).into(),
            ttl: 25,
        };
        assert_eq!(answer.addresses(15), [bound]);
    }

    #[test]
    fn an_answer_that_does_not_fit_is_cut_to_the_question() {
        let answer = addresses(60);
        let edns = head(Some(Edns {
            room: 512,
            dnssec: false,
        }));
        for (head, room, cut) in [
            (head(None), 512, true),
            (edns, 512, true),
            (head(None), 4096, false),
            (edns, 4096, false),
            // Two bytes for the pointer, ten for the rest, four for the address.
            (head(None), 12 + SECTION.len() + 60 * 16, false),
            (edns, 12 + SECTION.len() + 60 * 16, true),
        ] {
            let bytes = written(&answer, &head, 0, room, None);
            assert!(bytes.len() <= room);
            let message = Message::from_vec(&bytes).unwrap();
            assert_eq!(message.metadata.truncation, cut);
            assert_eq!(message.answers.len(), if cut { 0 } else { 60 });
            assert_eq!(message.queries.len(), 1);
            assert_eq!(message.edns.is_some(), head.edns.is_some());
        }
    }

    #[test]
    fn a_reason_is_told_to_clients_that_understand_it() {
        let answer = addresses(1);
        let edns = head(Some(Edns {
            room: 512,
            dnssec: true,
        }));
        let bytes = written(&answer, &edns, 0, 512, Some(Reason::Blocked));
        let message = Message::from_vec(&bytes).unwrap();
        assert!(bytes.ends_with(&[0, 15, 0, 2, 0, 15]));
        assert!(message.edns.unwrap().flags().dnssec_ok);
        let bytes = written(&answer, &head(None), 0, 512, Some(Reason::Blocked));
        assert_eq!(Message::from_vec(&bytes).unwrap().edns, None);
    }

    #[test]
    fn bare_answers_carry_the_code_and_what_there_is_of_a_question() {
        let edns = head(Some(Edns {
            room: 512,
            dnssec: false,
        }));
        for (head, section, code) in [
            (head(None), SECTION, ResponseCode::NXDomain),
            (head(None), &[][..], ResponseCode::FormErr),
            (edns, SECTION, ResponseCode::BADVERS),
            (edns, SECTION, ResponseCode::ServFail),
        ] {
            let mut out = vec![7; 3];
            write_bare(&mut out, &head, section, code, None);
            let message = Message::from_vec(&out).unwrap();
            // 16 has two names.
            assert_eq!(u16::from(message.metadata.response_code), u16::from(code));
            assert_eq!(message.metadata.id, 0x1234);
            assert_eq!(message.queries.len(), usize::from(!section.is_empty()));
            assert_eq!(message.edns.is_some(), head.edns.is_some());
        }
    }

    #[test]
    fn addresses_that_are_not_kept_are_not_in_the_answer() {
        let answer = addresses(3);
        let ip = |last| IpAddr::from([192, 0, 2, last]);
        for (kept, expected) in [
            (vec![ip(1), ip(2), ip(3)], vec![ip(1), ip(2), ip(3)]),
            (vec![ip(2)], vec![ip(2)]),
            (vec![ip(2), ip(9)], vec![ip(2)]),
            (vec![], vec![]),
        ] {
            let rest = answer.only(&kept).unwrap();
            let bound: Vec<_> = rest.addresses(0).iter().map(|bound| bound.ip).collect();
            assert_eq!(bound, expected);
            let message = Message::from_vec(&written(&rest, &head(None), 0, 512, None)).unwrap();
            let answered: Vec<_> = message
                .answers
                .iter()
                .filter_map(|record| record.data.ip_addr())
                .collect();
            assert_eq!(answered, expected);
        }
    }

    #[test]
    fn absence_has_its_proof_and_nothing_else() {
        let mine = soa("example.");
        for (authorities, kept, lifetime) in [
            (vec![mine.clone()], 1, 30),
            (vec![mine.clone(), soa("example.")], 1, 30),
            (vec![soa("other.")], 0, 0),
            (vec![a("ns.example.", 60, 1), mine.clone()], 1, 30),
            (vec![], 0, 0),
        ] {
            for exists in [true, false] {
                let reply = Reply {
                    exists,
                    ..reply(vec![], authorities.clone())
                };
                let (answer, _) = Answer::new(&inquiry(RecordType::A), reply).unwrap();
                assert_eq!(answer.lifetime(), lifetime);
                let message =
                    Message::from_vec(&written(&answer, &head(None), 0, 512, None)).unwrap();
                assert_eq!(message.authorities.len(), kept);
                let code = if exists {
                    ResponseCode::NoError
                } else {
                    ResponseCode::NXDomain
                };
                assert_eq!(message.metadata.response_code, code);
            }
        }
    }

    #[test]
    fn keys_of_encrypted_hellos_leave_and_take_the_signature_and_the_proof_with_them() {
        let ech = (
            SvcParamKey::EchConfigList,
            SvcParamValue::EchConfigList(EchConfigList(vec![0, 2, 1, 1])),
        );
        let https = HTTPS(SVCB::new(1, Name::root(), vec![ech]));
        let covered = u16::from(RecordType::HTTPS).to_be_bytes();
        let records = vec![
            Record::from_rdata(name("a.example."), 60, RData::HTTPS(https)),
            opaque(
                "a.example.",
                RecordType::RRSIG,
                &[&covered[..], &[0; 20]].concat(),
            ),
        ];
        let inquiry = Inquiry {
            dnssec: true,
            ..inquiry(RecordType::HTTPS)
        };
        let (answer, left_out) = Answer::new(&inquiry, reply(records, vec![])).unwrap();
        assert_eq!(left_out.stripped, 1);
        let message = Message::from_vec(&written(&answer, &head(None), 0, 512, None)).unwrap();
        assert_eq!(message.answers.len(), 1);
        assert!(!message.metadata.authentic_data);
        let RData::HTTPS(https) = &message.answers[0].data else {
            panic!("{message:?}");
        };
        assert!(https.0.svc_params.is_empty());
    }

    #[test]
    fn data_of_unknown_types_passes_unchanged() {
        for data in [&[][..], &[0xc0, 0x0c], &[1, 2, 3]] {
            let kind = RecordType::Unknown(65280);
            let record = opaque("a.example.", kind, data);
            let (answer, _) = Answer::new(&inquiry(kind), reply(vec![record], vec![])).unwrap();
            let bytes = written(&answer, &head(None), 0, 512, None);
            let length = u16::try_from(data.len()).unwrap().to_be_bytes();
            assert!(bytes.ends_with(&[&length, data].concat()), "{data:?}");
        }
    }

    #[test]
    fn a_record_without_the_data_that_its_type_has_is_passed_over() {
        let mut message = Message::from_vec(&upstream()).unwrap();
        message.add_answer(Record::update0(name("cdn.example."), 50, RecordType::A));
        let inquiry = inquiry(RecordType::A);
        let Verdict::Answer(reply) = inquiry.judge(7, &message.to_vec().unwrap()) else {
            panic!("{message:?}");
        };
        let (answer, left_out) = Answer::new(&inquiry, reply).unwrap();
        assert_eq!(left_out.unrelated, 1);
        assert_eq!(answer.addresses(0).len(), 2);
        let bytes = written(&answer, &head(None), 0, 512, None);
        assert_eq!(Message::from_vec(&bytes).unwrap().answers.len(), 3);
    }

    /// A whole upstream message with aliases, addresses and odd records.
    fn upstream() -> Vec<u8> {
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(hickory_proto::op::Query::query(
            name("a.example."),
            RecordType::A,
        ));
        let alias = RData::CNAME(CNAME(name("cdn.example.")));
        message.add_answer(Record::from_rdata(name("a.example."), 40, alias));
        message.add_answer(a("cdn.example.", 50, 1));
        message.add_answer(a("cdn.example.", 50, 2));
        message.add_authority(soa("example."));
        message.to_vec().unwrap()
    }

    proptest! {
        /// Whatever an upstream sends, what leaves can be read, is about the question, and has only addresses that are
        /// handed over to be bound.
        #[test]
        fn what_leaves_is_well_formed_and_bound(
            changes in prop::collection::vec((12_usize..200, any::<u8>()), 0..6),
            age in 0_u32..100,
            kept: u8,
        ) {
            let mut bytes = upstream();
            for (place, byte) in changes {
                if let Some(place) = bytes.get_mut(place) {
                    *place = byte;
                }
            }
            let inquiry = inquiry(RecordType::A);
            let Verdict::Answer(reply) = inquiry.judge(7, &bytes) else {
                return Ok(());
            };
            let (answer, _) = Answer::new(&inquiry, reply).unwrap();
            let kept = [IpAddr::from([192, 0, 2, kept % 4])];
            for answer in [&answer.only(&kept).unwrap(), &answer] {
                let out = written(answer, &head(None), age, 65_535, None);
                let message = Message::from_vec(&out).unwrap();
                prop_assert_eq!(&message.queries[0].name, &inquiry.name);
                let bound: Vec<_> = answer.addresses(age).iter().map(|bound| bound.ip).collect();
                let leave: Vec<_> = message
                    .answers
                    .iter()
                    .filter_map(|record| record.data.ip_addr())
                    .collect();
                prop_assert_eq!(bound, leave);
            }
        }
    }
}
