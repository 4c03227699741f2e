//! The policy that was in force in a run, the one that its record suggests, and what another one would have refused.

use std::collections::HashMap;

use askama::Template;
use runward_event::PolicyRule;
use runward_report::text::{clipped, count, counted, visible};
use runward_store::AttachedPolicy;

use super::super::hostile::Text;
use super::super::number::{self, length};
use super::super::pill::Pill;
use super::super::policies::{attached_to, policy_address};
use super::super::shell::Shell;
use super::RunSource;
use super::frame::{Frame, Tab, tab_address};

/// Rules that stand on the page.
const RULES: usize = 1000;
/// Characters of a policy that a form is filled with again.
const TYPED: usize = 64 << 10;

/// A policy that somebody tried on the run's record, and what it would have refused.
#[derive(Clone, Debug, Default)]
pub(crate) struct WhatIf {
    /// The policy as it was typed.
    pub(crate) policy: String,
    /// Why it can't be read, if so.
    pub(crate) error: Option<String>,
    pub(crate) rows: Vec<WhatIfRow>,
    /// Destinations that are not listed there, because there are too many.
    pub(crate) unlisted: u64,
    /// Connections that the report counts and does not list, so that they could not be judged.
    pub(crate) unjudged: u64,
}

/// What a tried policy would have refused to one destination.
#[derive(Clone, Debug, Default)]
pub(crate) struct WhatIfRow {
    pub(crate) destination: String,
    pub(crate) processes: Vec<String>,
    pub(crate) connections: u64,
    /// Those of the connections that were stopped when they were recorded.
    pub(crate) stopped_then: u64,
    /// In how many of the runs.
    pub(crate) runs: u64,
    pub(crate) reason: String,
}

/// `/o/{org}/runs/{run}/policy`. Its form has `policy` and `csrf`, and goes to the same address.
#[derive(Template)]
#[template(path = "run/policy.html")]
pub(crate) struct PolicyTab {
    shell: Shell,
    frame: Frame,
    action: String,
    mode: Pill,
    /// Whether the viewer may know of named policies.
    is_member: bool,
    named: Option<Named>,
    /// Where the recommended policy becomes a named one; only for those who may.
    keep_href: Option<String>,
    rules: Vec<Rule>,
    more_rules: Option<String>,
    recommended: String,
    typed: String,
    /// Lines of the box to type in.
    typed_rows: usize,
    asked: bool,
    error: Option<String>,
    /// The policy would have stopped nothing, and everything was judged.
    good: bool,
    verdict: String,
    refused: Vec<Refused>,
}

/// The named policy that is in effect for the run's job, and those that would be without it.
struct Named {
    name: Text,
    href: String,
    version: String,
    mode: Pill,
    because: &'static str,
    overridden: Vec<(Text, String, &'static str)>,
}

struct Rule {
    number: u32,
    text: Text,
    source: Text,
    denies: bool,
    /// Connections of this run that it allowed.
    used: String,
    unused: bool,
}

struct Refused {
    destination: Text,
    processes: Vec<Text>,
    connections: String,
    reason: String,
}

impl PolicyTab {
    /// `recommended` is the text of a policy that allows what this run did and nothing else.
    pub(crate) fn new(
        shell: Shell,
        source: &RunSource<'_>,
        recommended: &str,
        what_if: Option<&WhatIf>,
    ) -> PolicyTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Policy);
        let report = source.report;
        let left = length(&report.policy)
            .saturating_add(report.omitted.policy_rules)
            .saturating_sub(u64::try_from(RULES).unwrap_or(u64::MAX));
        let refused = what_if
            .map(|what_if| what_if.rows.as_slice())
            .unwrap_or_default();
        let typed = what_if.map_or_else(
            || lines(recommended),
            |what_if| what_if.policy.chars().take(TYPED).collect(),
        );
        let mut used: HashMap<u32, u64> = HashMap::new();
        for rule in report.network_events.iter().filter_map(|row| row.rule) {
            *used.entry(rule).or_default() += 1;
        }
        PolicyTab {
            action: tab_address(&shell, &source.run.id, Tab::Policy).to_string(),
            mode: Pill::mode(source.run.effective_mode),
            is_member: shell.login.is_some(),
            named: Named::of(&shell, source.policies),
            keep_href: shell.admin.then(|| {
                let new = shell.at(&["policies", "new"]);
                new.with("run", &source.run.id).to_string()
            }),
            rules: report
                .policy
                .iter()
                .take(RULES)
                .map(|rule| Rule::new(rule, used.get(&rule.rule).copied().unwrap_or(0)))
                .collect(),
            more_rules: (left > 0).then(|| count(left)),
            recommended: lines(recommended),
            typed_rows: typed.lines().count().clamp(4, 20),
            typed,
            asked: what_if.is_some(),
            error: what_if
                .and_then(|what_if| what_if.error.as_deref())
                .map(|error| clipped(error, 600)),
            good: what_if.is_some_and(|tried| tried.rows.is_empty() && tried.unjudged == 0),
            verdict: what_if.map(verdict).unwrap_or_default(),
            refused: refused.iter().map(Refused::new).collect(),
            frame,
            shell,
        }
    }
}

/// A text of several lines, each made harmless by itself, so that the lines stay lines.
fn lines(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.lines() {
        shown.push_str(&visible(line));
        shown.push('\n');
    }
    shown
}

fn verdict(tried: &WhatIf) -> String {
    let refused = &tried.rows;
    let unjudged = match tried.unjudged {
        0 => String::new(),
        n => format!(
            " {} not judged: the run made more than a report lists.",
            counted(n, "connection was", "connections were")
        ),
    };
    if refused.is_empty() {
        let all = if tried.unjudged > 0 {
            "everything that was judged"
        } else {
            "everything that this run did"
        };
        return format!("This policy would have let {all} through.{unjudged}");
    }
    let connections = refused
        .iter()
        .fold(0, |sum: u64, row| sum.saturating_add(row.connections));
    let more = match tried.unlisted {
        0 => String::new(),
        n => format!(
            ", and others to {} that {} not listed",
            counted(n, "destination", "destinations"),
            if n == 1 { "is" } else { "are" }
        ),
    };
    format!(
        "This policy would have stopped {} to {}{more}.{unjudged}",
        counted(connections, "connection", "connections"),
        counted(length(refused), "destination", "destinations")
    )
}

impl Named {
    fn of(shell: &Shell, policies: &[AttachedPolicy]) -> Option<Named> {
        let (first, rest) = policies.split_first()?;
        Some(Named {
            name: Text::new(&first.policy.name, 80),
            href: policy_address(shell, first.policy.id).to_string(),
            version: number::count(first.policy.newest.number),
            mode: Pill::asked_mode(first.policy.newest.mode),
            because: attached_to(&first.attachment.scope),
            overridden: rest
                .iter()
                .map(|other| {
                    (
                        Text::new(&other.policy.name, 60),
                        policy_address(shell, other.policy.id).to_string(),
                        attached_to(&other.attachment.scope),
                    )
                })
                .collect(),
        })
    }
}

impl Rule {
    fn new(rule: &PolicyRule, used: u64) -> Rule {
        Rule {
            number: rule.rule,
            text: Text::new(&rule.text, 120),
            source: Text::new(&rule.source, 100),
            denies: rule.denies,
            used: count(used),
            unused: used == 0,
        }
    }
}

impl Refused {
    fn new(row: &WhatIfRow) -> Refused {
        Refused {
            destination: Text::new(&row.destination, 80),
            processes: row
                .processes
                .iter()
                .take(6)
                .map(|p| Text::program(p, 28))
                .collect(),
            connections: count(row.connections),
            reason: clipped(&row.reason, 200),
        }
    }
}
