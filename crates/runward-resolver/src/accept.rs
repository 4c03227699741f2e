//! Whether what came from an upstream is the answer to what was asked.

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType};
use hickory_proto::serialize::binary::{
    BinDecodable as _, BinDecoder, BinEncodable as _, DecodeError,
};

use crate::record;

/// What fits any path without fragments (DNS flag day 2020), in bytes.
const UPSTREAM_ROOM: u16 = 1232;

/// What upstream is asked: a name in lower case, a type, and two flags. Nothing else of a client's message.
#[derive(Clone, Debug)]
pub(crate) struct Inquiry {
    pub(crate) name: Name,
    pub(crate) kind: RecordType,
    pub(crate) dnssec: bool,
    pub(crate) checking_disabled: bool,
}

/// An upstream's message.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It does not answer this inquiry, or not with this id: somebody else may have sent it.
    Ignore,
    /// It was cut; over TCP there is more.
    Truncated,
    /// The upstream could not or would not.
    Failed,
    /// It is the answer.
    Answer(Reply),
}

/// What an upstream answered, not yet looked at.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) exists: bool,
    pub(crate) authentic: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authorities: Vec<Record>,
    /// How many records were passed over, since their data is not what their type says.
    pub(crate) malformed: u64,
}

impl Inquiry {
    /// The message that asks this.
    pub(crate) fn message(&self, id: u16) -> Option<Vec<u8>> {
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.metadata.authentic_data = true;
        message.metadata.checking_disabled = self.checking_disabled;
        message.add_query(Query::query(self.name.clone(), self.kind));
        let mut edns = hickory_proto::op::Edns::new();
        edns.set_max_payload(UPSTREAM_ROOM);
        edns.set_dnssec_ok(self.dnssec);
        message.set_edns(edns);
        message.to_bytes().ok()
    }

    /// Judges a message that came from the upstream's address.
    pub(crate) fn judge(&self, id: u16, bytes: &[u8]) -> Verdict {
        let mut decoder = BinDecoder::new(bytes);
        let Ok(header) = Header::read(&mut decoder) else {
            return Verdict::Ignore;
        };
        let meta = &header.metadata;
        let mine = meta.id == id
            && meta.message_type == MessageType::Response
            && meta.op_code == OpCode::Query
            && header.counts.queries == 1
            && Query::read(&mut decoder).is_ok_and(|query| self.is_asked(&query));
        if !mine {
            return Verdict::Ignore;
        }
        if meta.truncation {
            return Verdict::Truncated;
        }
        match read_sections(&mut decoder, &header) {
            Ok(reply) => reply,
            Err(_) => Verdict::Failed,
        }
    }

    fn is_asked(&self, query: &Query) -> bool {
        query.query_type() == self.kind
            && query.query_class() == DNSClass::IN
            && query.name() == &self.name
    }
}

fn read_sections(decoder: &mut BinDecoder<'_>, header: &Header) -> Result<Verdict, DecodeError> {
    let mut malformed = 0;
    let mut section = |count: u16| {
        let mut records = Vec::new();
        for _ in 0..count {
            match record::read(decoder)? {
                Some(record) => records.push(record),
                None => malformed += 1,
            }
        }
        Ok::<_, DecodeError>(records)
    };
    let answers = section(header.counts.answers)?;
    let authorities = section(header.counts.authorities)?;
    let additionals = section(header.counts.additionals)?;
    let exists = match (header.metadata.response_code, extended(&additionals)) {
        (ResponseCode::NoError, 0) => true,
        (ResponseCode::NXDomain, 0) => false,
        _ => return Ok(Verdict::Failed),
    };
    Ok(Verdict::Answer(Reply {
        exists,
        authentic: header.metadata.authentic_data,
        answers,
        authorities,
        malformed,
    }))
}

/// The upper bits of the response code, which stand in the EDNS record's first byte of time to live (RFC 6891).
fn extended(additionals: &[Record]) -> u32 {
    additionals
        .iter()
        .find(|record| record.record_type() == RecordType::OPT)
        .map_or(0, |record| record.ttl >> 24)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inquiry() -> Inquiry {
        Inquiry {
            name: Name::from_ascii("a.example.").unwrap(),
            kind: RecordType::A,
            dnssec: false,
            checking_disabled: false,
        }
    }

    fn told(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Ignore => "ignore",
            Verdict::Truncated => "truncated",
            Verdict::Failed => "failed",
            Verdict::Answer(_) => "answer",
        }
    }

    fn answer(change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(Query::query(inquiry().name, RecordType::A));
        change(&mut message);
        message.to_vec().unwrap()
    }

    fn query(name: &str, kind: RecordType) -> Query {
        Query::query(Name::from_ascii(name).unwrap(), kind)
    }

    #[test]
    fn only_the_answer_to_the_question_is_taken() {
        type Change = fn(&mut Message);
        let table: &[(&str, Change)] = &[
            ("answer", |_| {}),
            ("answer", |m| {
                m.queries = vec![query("A.Example.", RecordType::A)]
            }),
            ("answer", |m| {
                m.metadata.response_code = ResponseCode::NXDomain
            }),
            ("failed", |m| {
                m.metadata.response_code = ResponseCode::ServFail
            }),
            ("failed", |m| {
                m.metadata.response_code = ResponseCode::Refused
            }),
            ("truncated", |m| m.metadata.truncation = true),
            ("ignore", |m| m.metadata.id = 8),
            ("ignore", |m| m.metadata.message_type = MessageType::Query),
            ("ignore", |m| m.metadata.op_code = OpCode::Notify),
            ("ignore", |m| m.queries.clear()),
            ("ignore", |m| {
                m.queries = vec![query("b.example.", RecordType::A)]
            }),
            ("ignore", |m| {
                m.queries = vec![query("a.example.", RecordType::AAAA)]
            }),
            ("ignore", |m| {
                m.queries.push(query("a.example.", RecordType::A))
            }),
            ("ignore", |m| {
                m.queries[0].set_query_class(DNSClass::CH);
            }),
        ];
        for (row, (expected, change)) in table.iter().enumerate() {
            let verdict = inquiry().judge(7, &answer(change));
            assert_eq!(told(&verdict), *expected, "row {row}");
        }
    }

    #[test]
    fn an_extended_code_is_a_failure() {
        let bytes = answer(|message| {
            message.metadata.response_code = ResponseCode::BADVERS;
            message.set_edns(hickory_proto::op::Edns::new());
        });
        assert_eq!(told(&inquiry().judge(7, &bytes)), "failed");
    }

    #[test]
    fn an_inquiry_carries_the_name_the_type_and_two_flags() {
        let asked = Inquiry {
            dnssec: true,
            checking_disabled: true,
            ..inquiry()
        };
        let message = Message::from_vec(&asked.message(9).unwrap()).unwrap();
        assert_eq!(message.metadata.id, 9);
        assert!(message.metadata.checking_disabled && message.metadata.recursion_desired);
        assert_eq!(message.queries, [query("a.example.", RecordType::A)]);
        let edns = message.edns.unwrap();
        assert!(edns.flags().dnssec_ok);
        assert_eq!(edns.max_payload(), UPSTREAM_ROOM);
        assert_eq!(edns.options().as_ref().len(), 0);
    }

    proptest! {
        /// A message that was cut anywhere is never taken for a whole answer.
        #[test]
        fn a_cut_answer_is_not_an_answer(cut in 0_usize..64) {
            let whole = answer(|message| {
                message.add_answer(Record::from_rdata(
                    inquiry().name,
                    60,
                    hickory_proto::rr::RData::A(hickory_proto::rr::rdata::A::new(192, 0, 2, 1)),
                ));
            });
            let cut = &whole[..whole.len().saturating_sub(cut + 1)];
            prop_assert_ne!(told(&inquiry().judge(7, cut)), "answer");
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = inquiry().judge(7, &bytes);
        }
    }
}
