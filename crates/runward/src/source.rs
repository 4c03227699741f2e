//! Where a job's policy comes from, strongest first: options, a policy file, the workspace's own, the job's variables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Result, anyhow};
use runward_policy::{
    Action, Actor, Matcher, Policy, PolicyError, Question, Source, SourcePolicy, Transport,
    combine, parse_file,
};

use crate::cli::{EgressPolicy, RunOptions};

/// The policy in force. Any error in any source is an error of the whole.
pub(crate) fn policy(options: &RunOptions, _workspace: &Path) -> Result<Policy> {
    let flag = |name: &str| Source::Flag(name.to_owned());
    let mut read = Vec::new();
    if let Some(mode) = options.egress_policy {
        let word = match mode {
            EgressPolicy::Audit => "audit",
            EgressPolicy::Block => "block",
        };
        read.push(SourcePolicy::of_mode(word, flag("--egress-policy")));
    }
    let lists = [
        (
            &options.allowed_endpoints,
            Action::Allow,
            "--allowed-endpoints",
        ),
        (
            &options.denied_endpoints,
            Action::Deny,
            "--denied-endpoints",
        ),
    ];
    for (list, action, name) in lists {
        if let Some(text) = list {
            read.push(SourcePolicy::of_list(text, action, flag(name)));
        }
    }
    if let Some(path) = &options.policy {
        let text = std::fs::read_to_string(path)
            .map_err(|error| anyhow!("cannot read the policy {}: {error}", path.display()))?;
        read.push(parse_file(&text, Source::File(path.display().to_string())));
    }
    let variable = |name: &str| {
        let value = std::env::var(name).ok().filter(|value| !value.is_empty());
        value.map(|value| (value, Source::Variable(name.to_owned())))
    };
    if let Some((text, source)) = variable("RUNWARD_EGRESS_POLICY") {
        read.push(SourcePolicy::of_mode(&text, source));
    }
    for (name, action) in [
        ("RUNWARD_ALLOWED_ENDPOINTS", Action::Allow),
        ("RUNWARD_DENIED_ENDPOINTS", Action::Deny),
    ] {
        if let Some((text, source)) = variable(name) {
            read.push(SourcePolicy::of_list(&text, action, source));
        }
    }
    let mut sources = Vec::new();
    let mut errors = Vec::new();
    for source in read {
        match source {
            Ok(source) => sources.push(source),
            Err(found) => errors.extend(found),
        }
    }
    if errors.is_empty() {
        combine(sources).map_err(|errors| refused(&errors))
    } else {
        Err(refused(&errors))
    }
}

fn refused(errors: &[PolicyError]) -> anyhow::Error {
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    anyhow!(
        "the policy has errors, so nothing was started:\n  {}",
        lines.join("\n  ")
    )
}

/// An address that the policy does not allow, for proving that it is refused. `None` when the policy allows too much for
/// that.
pub(crate) fn refused_address(policy: &Policy) -> Option<SocketAddr> {
    let matcher = Matcher::new(policy.clone());
    // Of the networks that are kept for documentation (RFC 5737, RFC 3849).
    let addresses: [IpAddr; 3] = [
        Ipv4Addr::new(192, 0, 2, 1).into(),
        Ipv4Addr::new(203, 0, 113, 1).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    ];
    let ports = [9_u16, 4711, 65_535];
    let mut candidates = addresses
        .into_iter()
        .flat_map(|address| ports.map(|port| SocketAddr::new(address, port)));
    candidates.find(|candidate| {
        !matcher
            .judge(&Question {
                name: None,
                ip: Some(candidate.ip()),
                port: candidate.port(),
                transport: Transport::Udp,
                actor: Actor::default(),
            })
            .is_allowed()
    })
}
