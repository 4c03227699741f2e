//! From a compiled policy to what the kernel's maps hold. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use runward_event::PolicyRule;
use runward_policy::{Action, Grants, Matcher, Name, Policy, Transport};
use runward_sensor::{FenceRules, Grant};

use super::BlockError;

/// One scope is taken: [`runward_sensor::SCOPE_KNOWN`].
const NARROWINGS_MAX: usize = 63;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Everything that is known before the first name is looked up.
pub(crate) fn fence_rules(matcher: &Matcher) -> Result<FenceRules, BlockError> {
    let narrowings = matcher.policy().narrowings().len();
    if narrowings > NARROWINGS_MAX {
        return Err(BlockError::TooManyNarrowings(narrowings));
    }
    let mut rules = FenceRules {
        narrowed: narrowings > 0,
        ..FenceRules::default()
    };
    for (net, grants) in matcher.net_grants() {
        let grants = kernel_grants(&grants, &net)?;
        rules.nets.push((net.network(), net.prefix_len(), grants));
    }
    rules.nets.extend(localhost(matcher)?);
    for name in matcher.exact_names() {
        let grants = kernel_grants(&matcher.grants_for_name(name), name)?;
        rules.names.push((name.as_str().to_owned(), grants));
    }
    Ok(rules)
}

/// `localhost` is never looked up: in the kernel it is its addresses.
fn localhost(matcher: &Matcher) -> Result<Vec<(IpAddr, u8, Vec<Grant>)>, BlockError> {
    let Ok(name) = Name::parse("localhost") else {
        return Ok(Vec::new());
    };
    let mut nets = Vec::new();
    for (address, prefix_len) in [
        (IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        (IpAddr::V4(Ipv4Addr::LOCALHOST), 32),
        (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    ] {
        if !matcher.is_name_allowed(&name) {
            break;
        }
        let grants = kernel_grants(&matcher.grants(Some(&name), Some(address)), &name)?;
        nets.push((address, prefix_len, grants));
    }
    Ok(nets)
}

/// Grants in the kernel's terms.
pub(crate) fn kernel_grants(
    grants: &Grants,
    host: &dyn std::fmt::Display,
) -> Result<Vec<Grant>, BlockError> {
    if grants.truncated {
        return Err(BlockError::TooManyRules(host.to_string()));
    }
    Ok(grants
        .grants
        .iter()
        .map(|grant| Grant {
            ports: grant.ports.first..=grant.ports.last,
            transport: Some(match grant.transport {
                Transport::Tcp => TCP,
                Transport::Udp => UDP,
            }),
            rule: grant.rule.0,
            needs: grant.needs.bits(),
            forbids: grant.forbids.bits(),
        })
        .collect())
}

/// The policy as the record keeps it.
pub(crate) fn policy_rules(policy: &Policy) -> Vec<PolicyRule> {
    (0..)
        .zip(policy.rules())
        .map(|(rule, written)| PolicyRule {
            rule,
            text: written.spelled(),
            source: written.origin.to_string(),
            denies: written.action == Action::Deny,
        })
        .collect()
}
