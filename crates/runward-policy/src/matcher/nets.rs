use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::rule::RuleId;

/// Finds rules by address: for each length of prefix that occurs, a hash of the networks of that length.
#[derive(Clone, Debug, Default)]
pub(super) struct NetIndex {
    by_length: BTreeMap<(Family, u8), HashMap<IpNet, Vec<RuleId>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn of(ip: IpAddr) -> Family {
        match ip {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}

/// The networks that hold every address.
pub(super) fn everywhere() -> [IpNet; 2] {
    [
        IpNet::new_assert(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        IpNet::new_assert(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
    ]
}

impl NetIndex {
    pub(super) fn add(&mut self, net: IpNet, rule: RuleId) {
        self.by_length
            .entry((Family::of(net.addr()), net.prefix_len()))
            .or_default()
            .entry(net)
            .or_default()
            .push(rule);
    }

    /// Adds the rules of all networks that hold `ip`.
    pub(super) fn find(&self, ip: IpAddr, found: &mut Vec<RuleId>) {
        self.find_covering(IpNet::from(ip), found);
    }

    /// Adds the rules of `net` and of all networks around it.
    pub(super) fn find_covering(&self, net: IpNet, found: &mut Vec<RuleId>) {
        let family = Family::of(net.addr());
        let lengths = (family, 0)..=(family, net.prefix_len());
        for ((_, length), nets) in self.by_length.range(lengths) {
            let around = IpNet::new(net.addr(), *length).map(|net| net.trunc());
            if let Ok(around) = around {
                found.extend(nets.get(&around).into_iter().flatten());
            }
        }
    }

    /// All networks.
    pub(super) fn all(&self) -> Vec<IpNet> {
        self.by_length
            .values()
            .flat_map(HashMap::keys)
            .copied()
            .collect()
    }
}
