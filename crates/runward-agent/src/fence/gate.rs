//! What the resolver asks: may this name be looked up, and may the job have these addresses?

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use runward_policy::{BelowPatterns, BlockList, Matcher, Name};
use runward_resolver::{Asker, Bound, Gate, GateError, Judgement, Kept, Question};
use runward_sensor::{Fence, FenceError, FenceRules};

use super::plan::kernel_grants;

/// How long an address may still be connected to when its time to live is over: some programs keep it for half a minute,
/// whatever the answer said.
const GRACE: Duration = Duration::from_secs(30);

/// The gate of one job: its policy, and the maps that the kernel judges by.
#[derive(Debug)]
pub(crate) struct JobGate {
    /// Held for as long as one answer takes, so that no address is let through by a policy that is not in force any more.
    law: RwLock<Law>,
    /// Names that are refused, whatever the policy allows.
    block_list: Arc<BlockList>,
    fence: Fence,
}

/// A policy, and what follows from it.
#[derive(Debug)]
struct Law {
    matcher: Arc<Matcher>,
    /// Names that somebody wrote into the policy, rather than a pattern that they fit.
    spelled_out: HashSet<Name>,
    /// What was asked for below patterns; only where the policy has some.
    below: Option<Mutex<BelowPatterns>>,
}

impl Law {
    fn new(matcher: Arc<Matcher>) -> Law {
        Law {
            spelled_out: matcher.exact_names().into_iter().cloned().collect(),
            below: matcher.has_patterns().then(Mutex::default),
            matcher,
        }
    }

    fn admit(&self, name: &Name, record_type: u16) -> bool {
        self.below.as_ref().is_none_or(|below| {
            let mut below = below.lock().unwrap_or_else(PoisonError::into_inner);
            below.admit(&self.matcher, name, record_type)
        })
    }
}

impl JobGate {
    pub(crate) fn new(matcher: Arc<Matcher>, block_list: Arc<BlockList>, fence: Fence) -> JobGate {
        JobGate {
            law: RwLock::new(Law::new(matcher)),
            block_list,
            fence,
        }
    }

    fn law(&self) -> RwLockReadGuard<'_, Law> {
        self.law.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a policy in the place of the one in force, which must allow no more.
    pub(crate) fn tighten(
        &self,
        matcher: Arc<Matcher>,
        rules: &FenceRules,
    ) -> Result<(), FenceError> {
        let mut law = self.law.write().unwrap_or_else(PoisonError::into_inner);
        *law = Law::new(matcher);
        self.fence.tighten(rules)
    }

    /// Whether an answered question for a name, which the policy allows, was turned away as one of too many.
    pub(crate) fn is_one_too_many(&self, name: &Name) -> bool {
        let law = self.law();
        law.below.as_ref().is_some_and(|below| {
            let below = below.lock().unwrap_or_else(PoisonError::into_inner);
            !below.let_through(&law.matcher, name)
        })
    }

    pub(crate) fn matcher(&self) -> Arc<Matcher> {
        Arc::clone(&self.law().matcher)
    }

    pub(crate) fn fence(&self) -> &Fence {
        &self.fence
    }

    fn bind_one(&self, law: &Law, name: &Name, bound: &Bound) -> Result<bool, GateError> {
        let failed = |error: &dyn std::error::Error| GateError(error.to_string());
        // The job's own loopback needs no name, and another's is no place for one.
        if bound.ip.is_loopback() {
            return Ok(true);
        }
        let grants = law.matcher.grants(Some(name), Some(bound.ip));
        let grants = kernel_grants(&grants, name).map_err(|error| failed(&error))?;
        if grants.is_empty() {
            return Ok(false);
        }
        let lifetime = Duration::from_secs(bound.ttl.into()).saturating_add(GRACE);
        self.fence
            .bind(bound.ip, &grants, lifetime)
            .map_err(|error| failed(&error))?;
        Ok(true)
    }
}

impl Gate for JobGate {
    fn judge(&self, _: &Asker, question: &Question<'_>) -> Judgement {
        let law = self.law();
        match Name::parse(question.name) {
            Ok(name)
                if self.block_list.name(name.as_str()).is_none()
                    && law.matcher.is_name_allowed(&name)
                    && law.admit(&name, question.kind.0) =>
            {
                Judgement::Allow
            }
            _ => Judgement::Refuse,
        }
    }

    fn bind(&self, _: &Asker, name: &str, addresses: &[Bound]) -> Result<Kept, GateError> {
        let name = Name::parse(name).map_err(|error| GateError(error.to_string()))?;
        let law = self.law();
        // It was judged by another policy, which is not in force any more.
        if !law.matcher.is_name_allowed(&name) {
            return Ok(Kept::Only(Vec::new()));
        }
        let grants = kernel_grants(&law.matcher.grants_for_name(&name), &name)
            .map_err(|error| GateError(error.to_string()))?;
        self.fence
            .allow_name(name.as_str(), &grants)
            .map_err(|error| GateError(error.to_string()))?;
        let spelled_out = law.spelled_out.contains(&name);
        let mut kept = Vec::new();
        for bound in addresses {
            if (spelled_out || is_public(bound.ip)) && self.bind_one(&law, &name, bound)? {
                kept.push(bound.ip);
            }
        }
        Ok(if kept.len() == addresses.len() {
            Kept::All
        } else {
            Kept::Only(kept)
        })
    }
}

/// Whether an address is one of the public internet. A name that only a pattern allows may not lead elsewhere: whoever
/// may make names below a domain could point them at the cloud's metadata service, or into the private network.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                // 100.64.0.0/10, shared by providers (RFC 6598); some clouds have their metadata there.
                || (a == 100 && (64..128).contains(&b)))
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_is_not_public() {
        let table = [
            ("198.51.100.7", true),
            ("2001:db8::1", true),
            ("10.1.2.3", false),
            ("172.16.0.1", false),
            ("192.168.1.1", false),
            ("169.254.169.254", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("0.0.0.0", false),
            ("224.0.0.1", false),
            ("::1", false),
            ("::", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("ff02::1", false),
            ("::ffff:10.0.0.1", false),
        ];
        for (address, public) in table {
            assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
        }
    }
}
