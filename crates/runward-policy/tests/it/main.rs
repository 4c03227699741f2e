//! The policy language as a whole: what is read, what is refused and how, and what is allowed in the end.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail as the tests do; clippy knows only functions marked as tests"
)]

mod corpus;
mod files;
mod layers;
mod lists;
mod properties;
mod replays;
mod suggestions;
mod verdicts;

use std::sync::Arc;

use runward_policy::{
    Action, Actor, Matcher, Name, Policy, Question, Source, SourcePolicy, Transport, Verdict,
    combine,
};

fn flag() -> Arc<Source> {
    Arc::new(Source::Flag("--allowed-endpoints".to_owned()))
}

/// A policy of one list that allows and one that denies.
fn policy(allowed: &str, denied: &str) -> Policy {
    let flag = |name: &str| Source::Flag(name.to_owned());
    combine(vec![
        SourcePolicy::of_list(allowed, Action::Allow, flag("--allowed-endpoints")).unwrap(),
        SourcePolicy::of_list(denied, Action::Deny, flag("--denied-endpoints")).unwrap(),
    ])
    .unwrap()
}

/// Asks about `host:port` or `host:port/udp`, where the host is a name or an address.
fn ask(matcher: &Matcher, destination: &str) -> Verdict {
    let (destination, transport) = match destination.strip_suffix("/udp") {
        Some(rest) => (rest, Transport::Udp),
        None => (destination, Transport::Tcp),
    };
    let (host, port) = destination.rsplit_once(':').unwrap();
    let ip = host.trim_matches(['[', ']']).parse().ok();
    let name = ip.is_none().then(|| Name::parse(host).unwrap());
    matcher.judge(&Question {
        name: name.as_ref(),
        ip,
        port: port.parse().unwrap(),
        transport,
        actor: Actor::default(),
    })
}
