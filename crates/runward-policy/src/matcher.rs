//! The compiled policy: answers in the same time for ten endpoints and for ten thousand.

mod globs;
mod grants;
mod names;
mod near;
mod nets;

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::endpoint::{Action, Endpoint, Host, Transport, canonical_ip};
use crate::name::Name;
use crate::narrowing::{Actor, NarrowingSet};
use crate::policy::Policy;
use crate::rule::RuleId;

pub use grants::{Grant, Grants};
use names::NameIndex;
pub use near::{Difference, NearMiss};
use nets::NetIndex;

/// A policy, ready to be asked.
///
/// What a question costs depends on its name and address, and on how many rules are about that one host, but not on
/// how many rules there are.
#[derive(Clone, Debug)]
pub struct Matcher {
    policy: Policy,
    /// For each rule, the layer it belongs to; `None` for rules that deny.
    layer_of: Vec<Option<usize>>,
    names: NameIndex,
    nets: NetIndex,
    /// Rules for any host.
    any: Vec<RuleId>,
}

/// One connection that is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The name that the process looked up, or that it sent as SNI or `Host`.
    pub name: Option<&'a Name>,
    /// The address. IPv4 in IPv6 is taken for the IPv4 address.
    pub ip: Option<IpAddr>,
    /// The port.
    pub port: u16,
    /// The transport.
    pub transport: Transport,
    /// Who asks.
    pub actor: Actor<'a>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It may go ahead.
    Allowed {
        /// The rules that allow it, one of each layer, strongest source first.
        rules: Vec<RuleId>,
    },
    /// A rule denies it.
    Denied {
        /// The first rule that does.
        rule: RuleId,
    },
    /// No rule allows it, in at least one layer.
    NotAllowed {
        /// The endpoint that would allow it: a line to paste. Missing when neither name nor address is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        suggestion: Option<Endpoint>,
        /// The layers that do not allow it, by their number. Empty when the policy has no layer at all.
        layers: Vec<usize>,
    },
}

impl Verdict {
    /// Whether the connection may go ahead.
    pub fn is_allowed(&self) -> bool {
        matches!(self, Verdict::Allowed { .. })
    }
}

impl Matcher {
    /// Compiles a policy.
    pub fn new(policy: Policy) -> Matcher {
        let mut layer_of = vec![None; policy.rules().len()];
        for (number, layer) in policy.layers().iter().enumerate() {
            for rule in &layer.rules {
                if let Some(place) = layer_of.get_mut(rule.index()) {
                    *place = Some(number);
                }
            }
        }
        let mut names = NameIndex::default();
        let mut nets = NetIndex::default();
        let mut any = Vec::new();
        for (id, rule) in policy.numbered() {
            match &rule.endpoint.host {
                Host::Name(name) => names.add_name(name, id),
                Host::Pattern(pattern) => names.add_pattern(pattern, id),
                Host::Net(net) => nets.add(*net, id),
                Host::Any => any.push(id),
            }
        }
        Matcher {
            policy,
            layer_of,
            names,
            nets,
            any,
        }
    }

    /// The policy that this was made of.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether one connection is allowed, and by which rule.
    pub fn judge(&self, question: &Question<'_>) -> Verdict {
        let mine = self.policy.fits(&question.actor);
        let mut allowing: Vec<Option<RuleId>> = vec![None; self.policy.layers().len()];
        for id in self.rules_of(question.name, question.ip) {
            if !self.applies(id, question, mine) {
                continue;
            }
            match self.layer_of.get(id.index()).copied().flatten() {
                // In order of their ids, so that the first rule of the text is named.
                None => return Verdict::Denied { rule: id },
                Some(layer) => {
                    if let Some(place) = allowing.get_mut(layer) {
                        place.get_or_insert(id);
                    }
                }
            }
        }
        let missing: Vec<usize> = allowing
            .iter()
            .enumerate()
            .filter(|(_, rule)| rule.is_none())
            .map(|(layer, _)| layer)
            .collect();
        if missing.is_empty() && !allowing.is_empty() {
            return Verdict::Allowed {
                rules: allowing.into_iter().flatten().collect(),
            };
        }
        let Question {
            name,
            ip,
            port,
            transport,
            ..
        } = *question;
        Verdict::NotAllowed {
            suggestion: Endpoint::of(name, ip, port, transport),
            layers: missing,
        }
    }

    fn applies(&self, id: RuleId, question: &Question<'_>, mine: NarrowingSet) -> bool {
        self.policy.rule(id).is_some_and(|rule| {
            let endpoint = &rule.endpoint;
            endpoint.transports.contains(question.transport)
                && endpoint.ports.contains(question.port)
                && mine.has_all(self.policy.needs(id))
        })
    }

    /// The rules that are about a host with this name and this address: those that deny first, each kind in order.
    fn rules_of(&self, name: Option<&Name>, ip: Option<IpAddr>) -> Vec<RuleId> {
        let mut found = self.any.clone();
        if let Some(name) = name {
            self.names.find(name, &mut found);
        }
        if let Some(ip) = ip {
            self.nets.find(canonical_ip(ip), &mut found);
        }
        self.in_order(found)
    }

    fn in_order(&self, mut rules: Vec<RuleId>) -> Vec<RuleId> {
        let allows = |id: &RuleId| self.layer_of.get(id.index()).copied().flatten().is_some();
        rules.sort_unstable_by_key(|id| (allows(id), *id));
        rules.dedup();
        rules
    }

    /// Everything that is granted to connections to a host with this name and this address, over all layers and
    /// without what is denied. This is what the kernel is to be told when `name` resolved to `ip`.
    pub fn grants(&self, name: Option<&Name>, ip: Option<IpAddr>) -> Grants {
        self.granted(&self.rules_of(name, ip))
    }

    /// [`Matcher::grants`] for a name whose address is not known yet.
    pub fn grants_for_name(&self, name: &Name) -> Grants {
        self.grants(Some(name), None)
    }

    /// Whether a lookup of this name is to be answered: whether a connection to some address of it could be allowed.
    ///
    /// A policy that only has networks allows no names; with several layers, one of them must be about names.
    pub fn is_name_allowed(&self, name: &Name) -> bool {
        let mut rules = self.any.clone();
        self.names.find(name, &mut rules);
        let named = rules.iter().any(|id| self.allows(*id));
        let net_rules = self.policy.numbered().filter(|(id, rule)| {
            // Only where layers differ in kind does an address decide about a name.
            self.policy.layers().len() > 1
                && self.allows(*id)
                && matches!(rule.endpoint.host, Host::Net(_))
        });
        rules.extend(net_rules.map(|(id, _)| id));
        named && !self.granted(&self.in_order(rules)).grants.is_empty()
    }

    /// The first pattern that allows this name, and how many bytes of the name stand in the place of its `*`. Nothing when
    /// a rule names it exactly, or when any host is allowed.
    pub(crate) fn below_pattern(&self, name: &Name) -> Option<(RuleId, usize)> {
        let mut rules = Vec::new();
        self.names.find(name, &mut rules);
        rules.retain(|id| self.allows(*id));
        rules.sort_unstable();
        let mut first = None;
        for id in rules {
            match &self.policy.rule(id)?.endpoint.host {
                Host::Pattern(pattern) => {
                    let bytes = name.as_str().len().saturating_sub(pattern.plain_bytes());
                    first.get_or_insert((id, bytes));
                }
                _ => return None,
            }
        }
        first
    }

    fn allows(&self, id: RuleId) -> bool {
        self.layer_of.get(id.index()).copied().flatten().is_some()
    }

    /// Every network that a rule names, with everything that is granted to addresses for which it is the longest
    /// match. Shorter networks around it are already in its grants. With rules for any host, `0.0.0.0/0` and `::/0`
    /// are there too.
    ///
    /// Walking this as a longest-prefix map gives the same answer as [`Matcher::judge`] for an address without name.
    pub fn net_grants(&self) -> Vec<(IpNet, Grants)> {
        let mut nets = self.nets.all();
        if !self.any.is_empty() {
            nets.extend(nets::everywhere());
        }
        nets.sort_unstable();
        nets.dedup();
        nets.into_iter()
            .map(|net| {
                let mut rules = self.any.clone();
                self.nets.find_covering(net, &mut rules);
                (net, self.granted(&self.in_order(rules)))
            })
            .collect()
    }

    fn granted(&self, rules: &[RuleId]) -> Grants {
        grants::granted(&self.policy, rules, |id| {
            self.layer_of.get(id.index()).copied().flatten()
        })
    }

    /// The names that a rule allows exactly, each once, in order.
    pub fn exact_names(&self) -> Vec<&Name> {
        let mut names: Vec<&Name> = self
            .policy
            .rules()
            .iter()
            .filter(|rule| rule.action == Action::Allow)
            .filter_map(|rule| match &rule.endpoint.host {
                Host::Name(name) => Some(name),
                Host::Pattern(_) | Host::Net(_) | Host::Any => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Whether names can be allowed that [`Matcher::exact_names`] does not have.
    pub fn has_patterns(&self) -> bool {
        self.policy.rules().iter().any(|rule| {
            rule.action == Action::Allow
                && matches!(rule.endpoint.host, Host::Pattern(_) | Host::Any)
        })
    }
}
