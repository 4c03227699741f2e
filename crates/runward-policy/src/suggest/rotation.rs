//! Names that change from run to run: `shard4.store.example` today, `shard17.store.example` tomorrow.

use std::collections::BTreeMap;

use crate::endpoint::{Endpoint, Host, Transports};
use crate::name::Name;
use crate::pattern::NamePattern;
use crate::ports::PortSet;
use crate::tenancy;

use super::{Seen, SuggestedLine};

/// How many names it takes to believe that they rotate.
const EVIDENCE: usize = 3;

/// The shortest run of letters and digits that can be told from a word by its looks.
const RANDOM: usize = 8;

/// What names that rotate have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Family {
    /// The name with `*` for what rotates.
    pattern: String,
    ports: PortSet,
    transports: Transports,
}

/// Turns what was seen into lines, with a pattern in place of each family of names that rotate.
pub(super) fn generalise(mut seen: BTreeMap<Endpoint, Seen>) -> Vec<SuggestedLine> {
    let mut lines = Vec::new();
    let mut rotating = Vec::new();
    for mask in [numbers as fn(&str) -> String, random] {
        for (family, members) in families(&seen, mask) {
            let Some(pattern) = pattern_for(&family, &members) else {
                rotating.extend(members);
                continue;
            };
            let mut sum = Seen::default();
            let mut names = Vec::new();
            for member in members {
                sum.add(&seen.remove(&member).unwrap_or_default());
                names.push(member.host.to_string());
            }
            let endpoint = Endpoint {
                host: Host::Pattern(pattern),
                ports: family.ports,
                transports: family.transports,
            };
            lines.push(sum.into_line(endpoint, names, false));
        }
    }
    lines.extend(seen.into_iter().map(|(endpoint, seen)| {
        let rotates = rotating.contains(&endpoint);
        seen.into_line(endpoint, Vec::new(), rotates)
    }));
    lines
}

/// Endpoints by what they have in common, where that is more than their name and there are enough of them.
fn families(
    seen: &BTreeMap<Endpoint, Seen>,
    mask: fn(&str) -> String,
) -> BTreeMap<Family, Vec<Endpoint>> {
    let mut families: BTreeMap<Family, Vec<Endpoint>> = BTreeMap::new();
    for endpoint in seen.keys() {
        let Host::Name(name) = &endpoint.host else {
            continue;
        };
        let masked: Vec<String> = name.as_str().split('.').map(mask).collect();
        let family = Family {
            pattern: masked.join("."),
            ports: endpoint.ports.clone(),
            transports: endpoint.transports,
        };
        if family.pattern.contains('*') {
            families.entry(family).or_default().push(endpoint.clone());
        }
    }
    families.retain(|_, members| members.len() >= EVIDENCE);
    families
}

/// The pattern of a family, if it allows no more than names of the same owner.
fn pattern_for(family: &Family, members: &[Endpoint]) -> Option<NamePattern> {
    let pattern = narrow(&family.pattern, members)?;
    let names = members.iter().filter_map(|member| match &member.host {
        Host::Name(name) => Some(name),
        Host::Pattern(_) | Host::Net(_) | Host::Any => None,
    });
    let one_owner = names.clone().all(|name| owner_is_fixed(name, &pattern));
    let parsed = NamePattern::parse(&pattern).ok()?;
    let fits = names.clone().all(|name| parsed.matches(name));
    let shared = tenancy::is_shared(&Host::Pattern(parsed.clone()));
    (one_owner && fits && !shared).then_some(parsed)
}

/// Puts back what is the same in all members: a number that never changes is a part of the name.
fn narrow(pattern: &str, members: &[Endpoint]) -> Option<String> {
    let names: Vec<String> = members
        .iter()
        .map(|member| member.host.to_string())
        .collect();
    let mut labels: Vec<String> = pattern.split('.').map(str::to_owned).collect();
    for (place, label) in labels.iter_mut().enumerate() {
        let mut values = names.iter().filter_map(|name| name.split('.').nth(place));
        let first = values.next()?;
        if values.all(|value| value == first) {
            first.clone_into(label);
        }
    }
    Some(labels.join("."))
}

/// Whether everything from the registered domain up stands in the pattern word for word, and one label more where the
/// label in question is `*` alone: what looks random right below a registered domain is often the name of a customer.
fn owner_is_fixed(name: &Name, pattern: &str) -> bool {
    let Some(owner) = tenancy::registered_domain(name) else {
        return false;
    };
    match pattern.strip_suffix(owner) {
        Some(below) => !below.is_empty() && below != "*.",
        None => false,
    }
}

/// A label with `*` for every run of digits: `shard4-eu` is `shard*-eu`.
fn numbers(label: &str) -> String {
    let mut masked = String::with_capacity(label.len());
    for c in label.chars() {
        match c {
            '0'..='9' if masked.ends_with('*') => {}
            '0'..='9' => masked.push('*'),
            c => masked.push(c),
        }
    }
    masked
}

/// A label with `*` for every part between hyphens that looks random: long, of letters and digits mixed.
fn random(label: &str) -> String {
    let parts: Vec<&str> = label
        .split('-')
        .map(|part| {
            let digits = part.bytes().filter(u8::is_ascii_digit).count();
            let mixed = digits > 0 && digits < part.len();
            if part.len() >= RANDOM && mixed {
                "*"
            } else {
                part
            }
        })
        .collect();
    parts.join("-")
}
