//! Which records of an answer belong to the name that was asked for.

use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::gate::{Bound, MOST_ADDRESSES};
use crate::record;

/// The most aliases between a name and its records. Longer chains are cut, and so lead nowhere.
const MOST_LINKS: usize = 16;

/// The records of an answer that belong to its question, and what was left out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Chain {
    /// The aliases in order, then the records of the type that was asked for.
    pub(crate) records: Vec<Record>,
    /// The addresses among them, each with the least time of the way to it.
    pub(crate) addresses: Vec<Bound>,
    /// Whether there is a record of the type that was asked for.
    pub(crate) found: bool,
    /// How many records are of other names, types or classes.
    pub(crate) unrelated: u64,
    /// How many addresses are beyond the bound.
    pub(crate) beyond: u64,
}

/// Follows the aliases from the name on, through the records of the answer and no others.
///
/// With `dnssec`, the signatures of the records that are kept are kept too.
pub(crate) fn follow(name: &Name, kind: RecordType, dnssec: bool, mut left: Vec<Record>) -> Chain {
    let mut chain = Chain::default();
    let all = left.len();
    left.retain(|record| record.dns_class == DNSClass::IN);
    let mut at = name.clone();
    for _ in 0..=MOST_LINKS {
        let own = take(&mut left, |record| {
            record.name == at && record.record_type() == kind
        });
        if !own.is_empty() {
            chain.found = true;
            chain.end(own);
            chain.sign(&at, kind, dnssec, &mut left);
            break;
        }
        let alias = left
            .iter()
            .position(|record| record.name == at && target(record).is_some());
        let Some(link) = alias.map(|place| left.remove(place)) else {
            break;
        };
        let Some(next) = target(&link).cloned() else {
            break;
        };
        chain.records.push(link);
        chain.sign(&at, RecordType::CNAME, dnssec, &mut left);
        at = next;
    }
    let kept = chain.records.len() as u64 + chain.beyond;
    chain.unrelated = (all as u64).saturating_sub(kept);
    chain
}

impl Chain {
    /// Adds the records at the end of the chain. None of their addresses lives longer than the way to it.
    fn end(&mut self, own: Vec<Record>) {
        let way = self.records.iter().map(|link| link.ttl).min();
        for record in own {
            let ip = match &record.data {
                RData::A(v4) => Some(v4.0.into()),
                RData::AAAA(v6) => Some(v6.0.into()),
                _ => None,
            };
            if let Some(ip) = ip {
                if self.addresses.len() == MOST_ADDRESSES {
                    self.beyond += 1;
                    continue;
                }
                let ttl = way.map_or(record.ttl, |way| way.min(record.ttl));
                self.addresses.push(Bound { ip, ttl });
            }
            self.records.push(record);
        }
    }

    /// Adds the signatures over a name's records of a type.
    fn sign(&mut self, name: &Name, kind: RecordType, dnssec: bool, left: &mut Vec<Record>) {
        if dnssec {
            self.records.extend(take(left, |record| {
                record.name == *name && covers(record) == Some(kind)
            }));
        }
    }
}

/// The type that a signature is over: the first two bytes of its data (RFC 4034, section 3.1).
pub(crate) fn covers(record: &Record) -> Option<RecordType> {
    if record.record_type() != RecordType::RRSIG {
        return None;
    }
    let (number, _) = record::raw(record).split_first_chunk::<2>()?;
    Some(RecordType::from(u16::from_be_bytes(*number)))
}

fn target(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::CNAME(target) => Some(&target.0),
        _ => None,
    }
}

fn take(records: &mut Vec<Record>, wanted: impl Fn(&Record) -> bool) -> Vec<Record> {
    records.extract_if(.., |record| wanted(record)).collect()
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, AAAA, CNAME, TXT};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn a(owner: &str, ttl: u32, last: u8) -> Record {
        Record::from_rdata(name(owner), ttl, RData::A(A::new(192, 0, 2, last)))
    }

    fn alias(owner: &str, ttl: u32, target: &str) -> Record {
        Record::from_rdata(name(owner), ttl, RData::CNAME(CNAME(name(target))))
    }

    fn chaos(mut record: Record) -> Record {
        record.dns_class = DNSClass::CH;
        record
    }

    /// The kept addresses with their times, how many records were kept, and how many were unrelated.
    fn told(records: Vec<Record>) -> (Vec<(String, u32)>, usize, u64) {
        let chain = follow(&name("a.example."), RecordType::A, false, records);
        let addresses = chain.addresses.iter();
        (
            addresses
                .map(|bound| (bound.ip.to_string(), bound.ttl))
                .collect(),
            chain.records.len(),
            chain.unrelated,
        )
    }

    #[test]
    fn chains() {
        let one = |ttl| vec![("192.0.2.1".to_owned(), ttl)];
        let table = [
            ("own", vec![a("a.example.", 60, 1)], (one(60), 1, 0)),
            (
                "own, in other case",
                vec![a("A.Example.", 60, 1)],
                (one(60), 1, 0),
            ),
            (
                "of another name",
                vec![a("b.example.", 60, 1)],
                (vec![], 0, 1),
            ),
            (
                "one alias, which lives shorter",
                vec![alias("a.example.", 5, "cdn.test."), a("cdn.test.", 60, 1)],
                (one(5), 2, 0),
            ),
            (
                "two aliases in the wrong order",
                vec![
                    a("c.test.", 60, 1),
                    alias("b.test.", 30, "c.test."),
                    alias("a.example.", 90, "b.test."),
                ],
                (one(30), 3, 0),
            ),
            (
                "an alias that nothing leads to",
                vec![alias("x.example.", 5, "cdn.test."), a("cdn.test.", 60, 1)],
                (vec![], 0, 2),
            ),
            (
                "an address beside the chain",
                vec![
                    alias("a.example.", 5, "cdn.test."),
                    a("other.test.", 60, 2),
                    a("cdn.test.", 60, 1),
                ],
                (one(5), 2, 1),
            ),
            (
                "a second alias of the same name",
                vec![
                    alias("a.example.", 5, "b.test."),
                    alias("a.example.", 5, "c.test."),
                    a("b.test.", 60, 1),
                    a("c.test.", 60, 2),
                ],
                (one(5), 2, 2),
            ),
            (
                "an alias beside an address",
                vec![
                    alias("a.example.", 5, "b.test."),
                    a("a.example.", 60, 1),
                    a("b.test.", 60, 2),
                ],
                (one(60), 1, 2),
            ),
            (
                "a loop",
                vec![
                    alias("a.example.", 5, "b.test."),
                    alias("b.test.", 5, "a.example."),
                ],
                (vec![], 2, 0),
            ),
            (
                "an alias to nowhere",
                vec![alias("a.example.", 5, "b.test.")],
                (vec![], 1, 0),
            ),
            (
                "another class",
                vec![chaos(a("a.example.", 60, 1))],
                (vec![], 0, 1),
            ),
            (
                "another type",
                vec![
                    Record::from_rdata(
                        name("a.example."),
                        60,
                        RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
                    ),
                    Record::from_rdata(
                        name("a.example."),
                        60,
                        RData::TXT(TXT::new(vec!["x".to_owned()])),
                    ),
                ],
                (vec![], 0, 2),
            ),
        ];
        for (what, records, expected) in table {
            assert_eq!(told(records), expected, "{what}");
        }
    }

    #[test]
    fn a_chain_longer_than_the_bound_leads_nowhere() {
        let chain = |links: usize| {
            let mut records: Vec<Record> = (0..links)
                .map(|link| {
                    let owner = if link == 0 {
                        "a.example.".to_owned()
                    } else {
                        format!("l{link}.")
                    };
                    alias(&owner, 60, &format!("l{}.", link + 1))
                })
                .collect();
            records.push(a(&format!("l{links}."), 60, 1));
            told(records).0.len()
        };
        assert_eq!(chain(MOST_LINKS), 1);
        assert_eq!(chain(MOST_LINKS + 1), 0);
    }

    #[test]
    fn addresses_beyond_the_bound_are_left_out() {
        let many = (0..=255).map(|last| a("a.example.", 60, last)).collect();
        let chain = follow(&name("a.example."), RecordType::A, false, many);
        assert_eq!(chain.addresses.len(), MOST_ADDRESSES);
        assert_eq!(chain.records.len(), MOST_ADDRESSES);
        assert_eq!((chain.beyond, chain.unrelated), (128, 0));
    }

    #[test]
    fn a_question_for_an_alias_gets_the_alias_alone() {
        let records = vec![alias("a.example.", 5, "b.test."), a("b.test.", 60, 1)];
        let chain = follow(&name("a.example."), RecordType::CNAME, false, records);
        assert_eq!((chain.records.len(), chain.addresses.len()), (1, 0));
        assert!(chain.found);
    }

    #[test]
    fn signatures_stay_with_what_they_sign_if_they_are_asked_for() {
        let signature = |owner: &str, kind: RecordType| {
            let mut rdata = hickory_proto::rr::rdata::NULL::new();
            rdata.anything = [&u16::from(kind).to_be_bytes()[..], &[0; 20]].concat();
            let code = RecordType::RRSIG;
            Record::from_rdata(name(owner), 60, RData::Unknown { code, rdata })
        };
        let records = || {
            vec![
                alias("a.example.", 5, "b.test."),
                signature("a.example.", RecordType::CNAME),
                a("b.test.", 60, 1),
                signature("b.test.", RecordType::A),
                signature("b.test.", RecordType::AAAA),
                signature("c.test.", RecordType::A),
            ]
        };
        for (dnssec, kept, unrelated) in [(true, 4, 2), (false, 2, 4)] {
            let chain = follow(&name("a.example."), RecordType::A, dnssec, records());
            assert_eq!((chain.records.len(), chain.unrelated), (kept, unrelated));
        }
    }
}
