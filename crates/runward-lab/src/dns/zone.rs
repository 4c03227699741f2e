//! The names that a DNS server knows, and the answer to a question.

use std::collections::HashMap;

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{Name, RData, Record, RecordType};

use super::Behaviour;

/// An alias chain longer than this is a loop.
const MOST_ALIASES: usize = 16;

/// All names, in lower case.
#[derive(Debug, Default)]
pub(crate) struct Zone {
    names: HashMap<Name, Node>,
}

#[derive(Debug, Default)]
struct Node {
    records: Vec<(u32, RData)>,
    behaviour: Behaviour,
    /// How many records one answer has, if not all.
    take: Option<usize>,
    /// Where the next answer begins.
    cursor: usize,
}

/// What is to be answered.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub(crate) code: ResponseCode,
    pub(crate) records: Vec<Record>,
}

impl Zone {
    pub(crate) fn clear(&mut self, name: &Name, kind: RecordType) {
        if let Some(node) = self.names.get_mut(name) {
            node.records
                .retain(|(_, record)| record.record_type() != kind);
        }
    }

    pub(crate) fn add(&mut self, name: &Name, ttl: u32, records: impl IntoIterator<Item = RData>) {
        let node = self.names.entry(name.clone()).or_default();
        node.records
            .extend(records.into_iter().map(|record| (ttl, record)));
    }

    pub(crate) fn remove(&mut self, name: &Name) {
        self.names.remove(name);
    }

    pub(crate) fn rotate(&mut self, name: &Name, take: usize) {
        let node = self.names.entry(name.clone()).or_default();
        node.take = Some(take);
        node.cursor = 0;
    }

    pub(crate) fn behave(&mut self, name: &Name, behaviour: Behaviour) {
        self.names.entry(name.clone()).or_default().behaviour = behaviour;
    }

    /// What the asked name does, whatever its aliases do.
    pub(crate) fn behaviour(&self, name: &Name) -> Behaviour {
        self.key(&name.to_lowercase())
            .and_then(|key| self.names.get(&key))
            .map(|node| node.behaviour.clone())
            .unwrap_or_default()
    }

    /// The records of a name, along its aliases. This moves rotations on.
    pub(crate) fn find(&mut self, asked: &Name, kind: RecordType) -> Found {
        let mut found = Found {
            code: ResponseCode::NoError,
            records: Vec::new(),
        };
        let mut name = asked.clone();
        for _ in 0..MOST_ALIASES {
            let lower = name.to_lowercase();
            let Some(node) = self.key(&lower).and_then(|key| self.names.get_mut(&key)) else {
                if !self.names.keys().any(|known| lower.zone_of(known)) {
                    found.code = ResponseCode::NXDomain;
                }
                return found;
            };
            let matching = node.next(kind);
            let alias = node.alias(kind).filter(|_| matching.is_empty());
            if let Some((ttl, RData::CNAME(target))) = alias {
                found
                    .records
                    .push(Record::from_rdata(name, ttl, RData::CNAME(target.clone())));
                name = target.0;
                continue;
            }
            found.records.extend(
                matching
                    .into_iter()
                    .map(|(ttl, data)| Record::from_rdata(name.clone(), ttl, data)),
            );
            return found;
        }
        Found {
            code: ResponseCode::ServFail,
            records: Vec::new(),
        }
    }

    /// The entry that stands for a name: its own, or the nearest `*` above it.
    fn key(&self, lower: &Name) -> Option<Name> {
        if self.names.contains_key(lower) {
            return Some(lower.clone());
        }
        let mut parent = lower.clone();
        while parent.num_labels() > 0 {
            parent = parent.base_name();
            let wildcard = parent.prepend_label("*").ok()?;
            if self.names.contains_key(&wildcard) {
                return Some(wildcard);
            }
        }
        None
    }
}

impl Node {
    /// The records of this answer.
    fn next(&mut self, kind: RecordType) -> Vec<(u32, RData)> {
        let matching: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| kind == RecordType::ANY || record.record_type() == kind)
            .collect();
        let take = self.take.unwrap_or(matching.len()).min(matching.len());
        let start = if matching.is_empty() {
            0
        } else {
            self.cursor % matching.len()
        };
        let chosen = matching
            .iter()
            .cycle()
            .skip(start)
            .take(take)
            .map(|one| (*one).clone())
            .collect();
        if self.take.is_some() && !matching.is_empty() {
            self.cursor = start + take;
        }
        chosen
    }

    fn alias(&self, kind: RecordType) -> Option<(u32, RData)> {
        if matches!(kind, RecordType::CNAME | RecordType::ANY) {
            return None;
        }
        self.records
            .iter()
            .find(|(_, record)| matches!(record, RData::CNAME(_)))
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::{A, CNAME};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn address(last: u8) -> RData {
        RData::A(A::new(192, 0, 2, last))
    }

    fn zone() -> Zone {
        let mut zone = Zone::default();
        zone.add(
            &name("a.example."),
            60,
            [address(1), address(2), address(3)],
        );
        zone.add(&name("*.wild.example."), 60, [address(9)]);
        zone.add(&name("own.wild.example."), 60, [address(8)]);
        zone.add(
            &name("alias.example."),
            5,
            [RData::CNAME(CNAME(name("A.example.")))],
        );
        zone.add(
            &name("dangling.example."),
            5,
            [RData::CNAME(CNAME(name("nowhere.test.")))],
        );
        zone.add(
            &name("loop.example."),
            5,
            [RData::CNAME(CNAME(name("loop.example.")))],
        );
        zone
    }

    #[test]
    fn answers() {
        use ResponseCode::{NXDomain, NoError, ServFail};
        for (asked, kind, code, count) in [
            ("a.example.", RecordType::A, NoError, 3),
            ("A.EXAMPLE.", RecordType::A, NoError, 3),
            ("a.example.", RecordType::AAAA, NoError, 0),
            ("a.example.", RecordType::ANY, NoError, 3),
            ("x.a.example.", RecordType::A, NXDomain, 0),
            // A name that only has names below it exists.
            ("example.", RecordType::A, NoError, 0),
            ("x.wild.example.", RecordType::A, NoError, 1),
            ("x.y.wild.example.", RecordType::A, NoError, 1),
            ("wild.example.", RecordType::A, NoError, 0),
            ("alias.example.", RecordType::A, NoError, 4),
            ("alias.example.", RecordType::CNAME, NoError, 1),
            ("dangling.example.", RecordType::A, NXDomain, 1),
            ("loop.example.", RecordType::A, ServFail, 0),
            (".", RecordType::NS, NoError, 0),
            ("test.", RecordType::A, NXDomain, 0),
        ] {
            let found = zone().find(&name(asked), kind);
            assert_eq!(
                (found.code, found.records.len()),
                (code, count),
                "{asked} {kind}"
            );
        }
    }

    #[test]
    fn the_nearest_entry_wins() {
        let found = zone().find(&name("own.wild.example."), RecordType::A);
        assert_eq!(found.records[0].data, address(8));
    }

    #[test]
    fn rotation_moves_on_with_each_answer() {
        let mut zone = zone();
        zone.rotate(&name("a.example."), 2);
        let seen: Vec<Vec<RData>> = (0..3)
            .map(|_| {
                let found = zone.find(&name("a.example."), RecordType::A);
                found
                    .records
                    .into_iter()
                    .map(|record| record.data)
                    .collect()
            })
            .collect();
        assert_eq!(
            seen,
            [
                [address(1), address(2)],
                [address(3), address(1)],
                [address(2), address(3)]
            ]
        );
    }

    #[test]
    fn rotation_of_nothing_is_nothing() {
        let mut zone = zone();
        zone.rotate(&name("a.example."), 0);
        zone.rotate(&name("empty.example."), 3);
        assert_eq!(zone.find(&name("a.example."), RecordType::A).records, []);
        assert_eq!(
            zone.find(&name("empty.example."), RecordType::A).records,
            []
        );
    }
}
