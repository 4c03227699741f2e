//! What a policy would have done in runs that were recorded. A fold over events; nothing is sent anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use runward_event::{Body, Connect, Dns, DnsMessageKind, Event, Protocol, Time};
use serde::Serialize;

use crate::endpoint::{Endpoint, Transport};
use crate::implicit::Decision;
use crate::matcher::{Matcher, Question, Verdict};
use crate::name::Name;
use crate::narrowing::Actor;
use crate::rule::RuleId;
use crate::text::visible;

/// The most destinations, and the most names, that are told one by one. Others are counted.
const ROWS: usize = 10_000;

/// The most executables or steps of one row.
const SET: usize = 20;

/// Judges recorded connections and lookups by a policy.
///
/// Call [`Replay::begin_run`] before the events of each run.
#[derive(Debug)]
pub struct Replay<'m> {
    matcher: &'m Matcher,
    result: Replayed,
    current: Option<RunTotals>,
    destinations: BTreeMap<(String, Protocol), BlockedDestination>,
    names: BTreeMap<String, RefusedName>,
}

/// What the policy would have done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Replayed {
    /// A row for each run, in the order in which they were begun.
    pub runs: Vec<RunTotals>,
    /// What would have been blocked, most connections first.
    pub blocked: Vec<BlockedDestination>,
    /// Names that would not have been looked up, most lookups first.
    pub refused_names: Vec<RefusedName>,
    /// Connections to be blocked that have no row of their own.
    pub omitted_connections: u64,
    /// Lookups to be refused that have no row of their own.
    pub omitted_lookups: u64,
}

/// Sums over one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunTotals {
    /// Connections that were recorded.
    pub connections: u64,
    /// Of these, how many would have been blocked.
    pub blocked_connections: u64,
    /// Questions to DNS servers that were recorded.
    pub lookups: u64,
    /// Of these, how many would have been refused.
    pub refused_lookups: u64,
}

/// A destination that would have been blocked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockedDestination {
    /// Name or address, and port.
    pub destination: String,
    /// The transport protocol.
    pub protocol: Protocol,
    /// The endpoint that would allow it, if one can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<Endpoint>,
    /// The rule that denies it, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<RuleId>,
    /// Connections that would have been blocked.
    pub connections: u64,
    /// In how many of the runs.
    pub runs: u64,
    /// The first of them.
    pub first_time: Time,
    /// The programs that made them.
    pub executables: BTreeSet<String>,
    /// The steps that they belong to.
    pub steps: BTreeSet<String>,
    #[serde(skip)]
    last_run: usize,
}

/// A name that would not have been looked up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedName {
    /// The name, as it was asked for.
    pub name: String,
    /// Questions that would have been refused.
    pub lookups: u64,
    /// In how many of the runs.
    pub runs: u64,
    #[serde(skip)]
    last_run: usize,
}

impl<'m> Replay<'m> {
    /// A replay with this policy.
    pub fn new(matcher: &'m Matcher) -> Replay<'m> {
        Replay {
            matcher,
            result: Replayed::default(),
            current: None,
            destinations: BTreeMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// The events that follow are those of another run.
    pub fn begin_run(&mut self) {
        let before = self.current.replace(RunTotals::default());
        self.result.runs.extend(before);
    }

    /// Takes the next event, and who did it.
    pub fn apply(&mut self, event: &Event, actor: &Actor<'_>) {
        match &event.body {
            Body::Connect(connect) => self.connect(event.time, connect, actor),
            Body::Dns(dns) if dns.message == DnsMessageKind::Query => self.lookup(dns),
            _ => {}
        }
    }

    fn connect(&mut self, time: Time, connect: &Connect, actor: &Actor<'_>) {
        let name = connect
            .name
            .as_deref()
            .and_then(|name| Name::parse(name).ok());
        let refusal = self.refusal(connect, name.as_ref(), actor);
        let run = self.run();
        run.connections += 1;
        let Some((suggestion, denied_by)) = refusal else {
            return;
        };
        run.blocked_connections += 1;
        let number = self.number();
        let destination = label(name.as_ref(), connect.ip, connect.port);
        let key = (destination, connect.protocol);
        if !self.destinations.contains_key(&key) && self.destinations.len() >= ROWS {
            self.result.omitted_connections += 1;
            return;
        }
        let row = self
            .destinations
            .entry(key)
            .or_insert_with_key(|(destination, protocol)| BlockedDestination {
                destination: destination.clone(),
                protocol: *protocol,
                suggestion,
                denied_by,
                connections: 0,
                runs: 0,
                first_time: time,
                executables: BTreeSet::new(),
                steps: BTreeSet::new(),
                last_run: 0,
            });
        row.connections += 1;
        row.runs += u64::from(row.last_run != number);
        row.last_run = number;
        row.first_time = row.first_time.min(time);
        remember(&mut row.executables, actor.executable);
        remember(&mut row.steps, actor.step);
    }

    /// What would allow a connection and what denies it; nothing when it would go ahead.
    fn refusal(
        &self,
        connect: &Connect,
        name: Option<&Name>,
        actor: &Actor<'_>,
    ) -> Option<(Option<Endpoint>, Option<RuleId>)> {
        let transport = match connect.protocol {
            Protocol::Tcp => Transport::Tcp,
            Protocol::Udp => Transport::Udp,
            // No endpoint can allow these.
            _ if connect.ip.to_canonical().is_loopback() => return None,
            _ => return Some((None, None)),
        };
        let decision = self.matcher.decide(&Question {
            name,
            ip: Some(connect.ip),
            port: connect.port,
            transport,
            actor: *actor,
        });
        match decision {
            Decision::Implicit { .. } | Decision::Judged(Verdict::Allowed { .. }) => None,
            Decision::Judged(Verdict::Denied { rule }) => Some((None, Some(rule))),
            Decision::Judged(Verdict::NotAllowed { suggestion, .. }) => Some((suggestion, None)),
        }
    }

    fn lookup(&mut self, dns: &Dns) {
        let allowed = Name::parse(&dns.name)
            .is_ok_and(|name| self.matcher.is_name_allowed(&name) || name.as_str() == "localhost");
        let run = self.run();
        run.lookups += 1;
        if allowed {
            return;
        }
        run.refused_lookups += 1;
        let number = self.number();
        let name = visible(&dns.name);
        if !self.names.contains_key(&name) && self.names.len() >= ROWS {
            self.result.omitted_lookups += 1;
            return;
        }
        let row = self
            .names
            .entry(name)
            .or_insert_with_key(|name| RefusedName {
                name: name.clone(),
                lookups: 0,
                runs: 0,
                last_run: 0,
            });
        row.lookups += 1;
        row.runs += u64::from(row.last_run != number);
        row.last_run = number;
    }

    fn run(&mut self) -> &mut RunTotals {
        self.current.get_or_insert_default()
    }

    /// The number of the current run, counted from 1.
    fn number(&self) -> usize {
        self.result.runs.len() + 1
    }

    /// What the policy would have done.
    pub fn finish(mut self) -> Replayed {
        self.result.runs.extend(self.current);
        self.result.blocked = self.destinations.into_values().collect();
        self.result
            .blocked
            .sort_by_key(|row| std::cmp::Reverse(row.connections));
        self.result.refused_names = self.names.into_values().collect();
        self.result
            .refused_names
            .sort_by_key(|row| std::cmp::Reverse(row.lookups));
        self.result
    }
}

fn remember(set: &mut BTreeSet<String>, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty())
        && set.len() < SET
        && !set.contains(value)
    {
        set.insert(value.to_owned());
    }
}

/// `name:port`, or `ip:port` when no name is known.
fn label(name: Option<&Name>, ip: IpAddr, port: u16) -> String {
    let host = match (name, ip) {
        (Some(name), _) => name.to_string(),
        (None, IpAddr::V6(ip)) if port != 0 => format!("[{ip}]"),
        (None, ip) => ip.to_string(),
    };
    match port {
        0 => host,
        port => format!("{host}:{port}"),
    }
}
