use std::collections::BTreeMap;

use serde::Serialize;

use crate::endpoint::{Action, Transport};
use crate::limits;
use crate::narrowing::NarrowingSet;
use crate::policy::Policy;
use crate::ports::PortRange;
use crate::rule::RuleId;

/// Everything that is granted to connections to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Grants {
    /// The grants, by transport and port. A connection is allowed when one of them allows it.
    pub grants: Vec<Grant>,
    /// The first rule that denies something of this host, perhaps to some processes only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<RuleId>,
    /// Whether there were more grants than [`limits::GRANTS_OF_HOST`]; those are not granted.
    pub truncated: bool,
}

/// Ports of one host that some or all processes may connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    /// The transport.
    pub transport: Transport,
    /// The ports.
    pub ports: PortRange,
    /// The process must fit all of these.
    pub needs: NarrowingSet,
    /// The process must fit none of these.
    pub forbids: NarrowingSet,
    /// The rule that allows it, of the strongest source.
    pub rule: RuleId,
}

impl Grants {
    /// The rule by which a process that fits `mine` may connect, if it may.
    pub fn allow(&self, transport: Transport, port: u16, mine: NarrowingSet) -> Option<RuleId> {
        self.grants
            .iter()
            .find(|grant| {
                grant.transport == transport
                    && grant.ports.contains(port)
                    && mine.has_all(grant.needs)
                    && !mine.has_any(grant.forbids)
            })
            .map(|grant| grant.rule)
    }
}

/// What grants differ in, apart from ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    transport: Transport,
    needs: NarrowingSet,
    forbids: NarrowingSet,
}

/// Ranges of ports in order that do not overlap, each with the rule it comes from.
type Segments = Vec<(PortRange, RuleId)>;

/// Segments by key. Keys with fewer needs come first, so that a bound keeps the plain grants.
type Table = BTreeMap<Key, Segments>;

/// Folds `rules` (all that are about one host) into grants: intersection over the layers, minus what is denied.
pub(super) fn granted(
    policy: &Policy,
    rules: &[RuleId],
    layer_of: impl Fn(RuleId) -> Option<usize>,
) -> Grants {
    let mut layers = vec![Table::new(); policy.layers().len()];
    let mut denied = Table::new();
    let mut denied_by = None;
    for id in rules {
        let Some(rule) = policy.rule(*id) else {
            continue;
        };
        let table = match layer_of(*id) {
            Some(layer) => layers.get_mut(layer),
            None => Some(&mut denied),
        };
        if rule.action == Action::Deny {
            denied_by.get_or_insert(*id);
        }
        let Some(table) = table else { continue };
        for transport in rule.endpoint.transports.each() {
            let key = Key {
                transport: *transport,
                needs: policy.needs(*id),
                forbids: NarrowingSet::EMPTY,
            };
            let ranges = rule.endpoint.ports.ranges().iter();
            table
                .entry(key)
                .or_default()
                .extend(ranges.map(|range| (*range, *id)));
        }
    }
    let mut truncated = false;
    let mut folded = layers
        .into_iter()
        .map(in_order)
        .reduce(|strong, weak| bounded(intersection(&strong, &weak), &mut truncated))
        .unwrap_or_default();
    for (key, segments) in in_order(denied) {
        folded = bounded(without(folded, key, &segments), &mut truncated);
    }
    let folded = bounded(folded, &mut truncated);
    let mut grants: Vec<Grant> = folded
        .into_iter()
        .flat_map(|(key, segments)| {
            segments
                .into_iter()
                .map(move |(ports, rule)| (key, ports, rule))
        })
        .map(|(key, ports, rule)| Grant {
            transport: key.transport,
            ports,
            needs: key.needs,
            forbids: key.forbids,
            rule,
        })
        .collect();
    grants.sort_unstable();
    Grants {
        grants,
        denied_by,
        truncated,
    }
}

fn in_order(table: Table) -> Table {
    table
        .into_iter()
        .map(|(key, segments)| (key, disjoint(segments)))
        .collect()
}

/// Sorts, and cuts what overlaps; the range that begins first keeps what two have in common.
fn disjoint(mut segments: Segments) -> Segments {
    segments.sort_unstable();
    let mut kept: Segments = Vec::with_capacity(segments.len());
    for (range, rule) in segments {
        let first = match kept.last() {
            Some((before, _)) if range.first <= before.last => before.last.checked_add(1),
            _ => Some(range.first),
        };
        if let Some(first) = first.filter(|first| *first <= range.last) {
            kept.push((
                PortRange {
                    first,
                    last: range.last,
                },
                rule,
            ));
        }
    }
    kept
}

fn intersection(strong: &Table, weak: &Table) -> Table {
    let mut both = Table::new();
    for (one, segments) in strong {
        for (other, others) in weak {
            if one.transport != other.transport {
                continue;
            }
            let common = common(segments, others);
            if common.is_empty() {
                continue;
            }
            let key = Key {
                transport: one.transport,
                needs: one.needs.or(other.needs),
                forbids: NarrowingSet::EMPTY,
            };
            both.entry(key).or_default().extend(common);
        }
    }
    in_order(both)
}

/// What is in both, with the rules of the first.
fn common(one: &Segments, other: &Segments) -> Segments {
    let mut common = Vec::new();
    let mut others = other.iter().peekable();
    for (range, rule) in one {
        while let Some((candidate, _)) = others.peek() {
            if let Some(both) = range.and(*candidate) {
                common.push((both, *rule));
            }
            // A range that reaches beyond this one may also meet the next.
            if candidate.last > range.last {
                break;
            }
            others.next();
        }
    }
    common
}

/// What is in the first and not in the second.
fn rest(one: &Segments, other: &Segments) -> Segments {
    let mut rest = Vec::new();
    let mut others = other.iter().peekable();
    for (range, rule) in one {
        let mut first = Some(range.first);
        while let Some((cut, _)) = others.peek() {
            let Some(start) = first.filter(|_| cut.first <= range.last) else {
                break;
            };
            if cut.first > start {
                let before = PortRange {
                    first: start,
                    last: cut.first - 1,
                };
                rest.push((before, *rule));
            }
            if cut.last >= start {
                first = cut.last.checked_add(1).filter(|next| *next <= range.last);
            }
            if cut.last > range.last {
                break;
            }
            others.next();
        }
        if let Some(first) = first {
            let after = PortRange {
                first,
                last: range.last,
            };
            rest.push((after, *rule));
        }
    }
    rest
}

/// Takes away what is denied: to everybody when the denial has no narrowing, and else to those that it names.
fn without(table: Table, denial: Key, denied: &Segments) -> Table {
    let mut left = Table::new();
    for (key, segments) in table {
        if key.transport != denial.transport {
            left.entry(key).or_default().extend(segments);
            continue;
        }
        let outside = rest(&segments, denied);
        if !outside.is_empty() {
            left.entry(key).or_default().extend(outside);
        }
        // Who must fit what is denied can't use the grant.
        if denial.needs.is_empty() || key.needs.has_all(denial.needs) {
            continue;
        }
        let inside = common(&segments, denied);
        if !inside.is_empty() {
            let narrowed = Key {
                forbids: key.forbids.or(denial.needs),
                ..key
            };
            left.entry(narrowed).or_default().extend(inside);
        }
    }
    in_order(left)
}

/// At most [`limits::GRANTS_OF_HOST`] segments; what is beyond is not granted.
fn bounded(table: Table, truncated: &mut bool) -> Table {
    let mut room = limits::GRANTS_OF_HOST;
    let mut kept = Table::new();
    for (key, mut segments) in table {
        *truncated |= segments.len() > room;
        segments.truncate(room);
        room -= segments.len();
        if !segments.is_empty() {
            kept.insert(key, segments);
        }
    }
    kept
}
