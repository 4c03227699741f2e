//! Suppression rules: the list of them, and one with what it hides.

use askama::Template;
use runward_store::{
    Cursor, Detection, Field, Millis, Page, PageRequest, Suppression, SuppressionState,
};

use super::address::Address;
use super::detections::{DetectionRow, Hidden};
use super::hostile::Text;
use super::moment::Moment;
use super::number::{count, counted};
use super::pager::Older;
use super::pill::Pill;
use super::query::{self, Pairs};
use super::shell::{Section, Shell};

/// Rows of one page.
const ROWS: u32 = 50;

/// What the address of the list of rules says. Without a state, it is those that hide.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SuppressionsQuery {
    state: Option<SuppressionState>,
    after: Option<Cursor>,
}

const STATES: [(Option<SuppressionState>, &str, &str); 4] = [
    (Some(SuppressionState::Live), "live", "Live"),
    (Some(SuppressionState::Expired), "expired", "Expired"),
    (Some(SuppressionState::Ended), "ended", "Ended"),
    (None, "all", "All"),
];

impl SuppressionsQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> SuppressionsQuery {
        let state = query::text(pairs, "state");
        SuppressionsQuery {
            state: STATES
                .into_iter()
                .find(|(_, name, _)| Some(*name) == state.as_deref())
                .map_or(Some(SuppressionState::Live), |(state, _, _)| state),
            after: query::cursor(pairs, "after"),
        }
    }

    /// What the store is asked for.
    pub(crate) fn state(&self) -> Option<SuppressionState> {
        self.state
    }

    /// Which part of the list is wanted.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            after: self.after,
            limit: ROWS,
        }
    }
}

fn address(shell: &Shell, state: Option<SuppressionState>) -> Address {
    let name = STATES
        .into_iter()
        .find(|(known, _, _)| *known == state)
        .map(|(_, name, _)| name)
        .filter(|name| *name != "live");
    shell.at(&["suppressions"]).with_some("state", name)
}

/// `/o/{org}/suppressions`.
#[derive(Template)]
#[template(path = "suppressions.html")]
pub(crate) struct SuppressionsPage {
    shell: Shell,
    states: Vec<Facet>,
    /// What rules hide now, in all.
    hidden: Option<Hidden>,
    new_href: String,
    detections_href: String,
    rows: Vec<RuleCard>,
    /// Whether the list is that of live rules.
    live: bool,
    older: Older,
}

struct Facet {
    label: &'static str,
    href: String,
    current: bool,
}

impl SuppressionsPage {
    /// The rows that the store gave for `query`, and how many detections rules hide in all.
    pub(crate) fn new(
        shell: Shell,
        query: &SuppressionsQuery,
        page: &Page<Suppression>,
        hidden: i64,
        now: Millis,
    ) -> SuppressionsPage {
        let shell = shell.titled("Suppression rules", Section::Suppressions);
        let own = address(&shell, query.state);
        SuppressionsPage {
            states: STATES
                .into_iter()
                .map(|(state, _, label)| Facet {
                    label,
                    href: address(&shell, state).to_string(),
                    current: state == query.state,
                })
                .collect(),
            hidden: Hidden::of(&shell, hidden, |address| address),
            new_href: shell.at(&["suppressions", "new"]).to_string(),
            detections_href: shell.at(&["detections"]).to_string(),
            rows: page
                .rows
                .iter()
                .map(|rule| RuleCard::new(&shell, rule, now))
                .collect(),
            live: query.state == Some(SuppressionState::Live),
            older: Older {
                next: page
                    .next
                    .map(|next| own.clone().with("after", &next.to_text()).to_string()),
                newest: query.after.map(|_| own.to_string()),
            },
            shell,
        }
    }
}

/// Where what rules hide is listed.
pub(super) fn hidden_detections(shell: &Shell) -> Address {
    shell.at(&["detections"]).with("status", "suppressed")
}

/// `/o/{org}/suppressions/{id}`.
#[derive(Template)]
#[template(path = "suppression.html")]
pub(crate) struct SuppressionPage {
    shell: Shell,
    list_href: String,
    rule: RuleCard,
    rows: Vec<DetectionRow>,
    /// Whether it hides more than the rows.
    more: bool,
}

impl SuppressionPage {
    /// `detections` are the newest ones that the rule hides.
    pub(crate) fn new(
        shell: Shell,
        rule: &Suppression,
        detections: &Page<Detection>,
        now: Millis,
    ) -> SuppressionPage {
        let shell = shell.titled(&rule.name, Section::Suppressions);
        SuppressionPage {
            list_href: shell.at(&["suppressions"]).to_string(),
            rule: RuleCard {
                alone: true,
                ..RuleCard::new(&shell, rule, now)
            },
            rows: detections
                .rows
                .iter()
                .map(|detection| DetectionRow {
                    // The whole page says so.
                    hidden_by: None,
                    ..DetectionRow::new(&shell, detection, now)
                })
                .collect(),
            more: detections.next.is_some(),
            shell,
        }
    }
}

/// A rule, with all that is known of it; `templates/part/rule.html` shows it.
pub(crate) struct RuleCard {
    id: i64,
    /// Whether its page has its name as the title already.
    alone: bool,
    name: Text,
    href: String,
    state: Pill,
    live: bool,
    reason: Text,
    asks: Vec<Ask>,
    created: Moment,
    created_by: Text,
    expires: Option<Moment>,
    ended: Option<Moment>,
    ended_by: Option<Text>,
    hides: String,
    hides_any: bool,
    hides_href: String,
    given_back: String,
    busy: bool,
    action: String,
}

/// What a rule asks of one field.
struct Ask {
    label: &'static str,
    /// None asks nothing.
    pattern: Option<Text>,
}

impl RuleCard {
    fn new(shell: &Shell, rule: &Suppression, now: Millis) -> RuleCard {
        let state = rule.state(now);
        let id = rule.id.to_string();
        let own = shell.at(&["suppressions", &id]).to_string();
        RuleCard {
            id: rule.id,
            alone: false,
            name: Text::new(&rule.name, 100),
            href: own.clone(),
            state: Pill::suppression(state),
            live: state == SuppressionState::Live,
            reason: Text::new(&rule.reason, 1_000),
            asks: asks(rule),
            created: Moment::ago(rule.created_at, now),
            created_by: Text::new(&rule.created_by, 60),
            expires: rule
                .expires_at
                .filter(|_| state == SuppressionState::Live)
                // The last moment of the last day, whose date people chose.
                .map(|at| Moment::ago(at.saturating_sub(1), now)),
            ended: rule.ended_at.map(|at| Moment::ago(at, now)),
            ended_by: rule.ended_by.as_deref().map(|by| Text::new(by, 60)),
            hides: counted(rule.hides, "detection", "detections"),
            hides_any: rule.hides > 0,
            hides_href: hidden_detections(shell).with("rule", &id).to_string(),
            given_back: count(rule.given_back),
            busy: rule.busy,
            action: own,
        }
    }
}

fn asks(rule: &Suppression) -> Vec<Ask> {
    Field::ALL
        .into_iter()
        .filter_map(|field| {
            let pattern = rule.matcher.pattern(field);
            let always = field.is_scope() || field == Field::Kind;
            (always || pattern.is_some()).then(|| Ask {
                label: label(field),
                pattern: pattern.map(|pattern| Text::new(pattern.as_str(), 300)),
            })
        })
        .collect()
}

/// What people call a field.
pub(super) fn label(field: Field) -> &'static str {
    match field {
        Field::Project => "Project",
        Field::Pipeline => "Pipeline",
        Field::Job => "Job",
        Field::Kind => "Kind",
        Field::Destination => "Destination",
        Field::Host => "Host",
        Field::Program => "Program",
        Field::Path => "Path",
        Field::File => "File name",
        Field::Secret => "Kind of secret",
    }
}
