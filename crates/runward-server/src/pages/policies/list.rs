use askama::Template;
use runward_event::Mode;
use runward_store::{Millis, Policy, PolicyAttachment};

use super::super::hostile::Text;
use super::super::moment::Moment;
use super::super::number::count;
use super::super::pill::Pill;
use super::super::shell::{Section, Shell};
use super::{ScopeView, policy_address};

/// Attachments that a row names.
const NAMED: usize = 3;

/// `/o/{org}/policies`, and with `?archived=1` those that were put away.
#[derive(Template)]
#[template(path = "policies.html")]
pub(crate) struct PoliciesPage {
    shell: Shell,
    archived: bool,
    rows: Vec<Row>,
    sums: Vec<(String, &'static str)>,
    new_href: String,
    kept_href: String,
    archived_href: String,
}

struct Row {
    name: Text,
    href: String,
    mode: Pill,
    version: String,
    scopes: Vec<ScopeView>,
    more: Option<String>,
    changed: Moment,
    by: Text,
    note: Option<Text>,
}

impl PoliciesPage {
    /// `policies` are all archived or all not.
    pub(crate) fn new(
        shell: Shell,
        policies: &[Policy],
        attachments: &[PolicyAttachment],
        archived: bool,
        now: Millis,
    ) -> PoliciesPage {
        let shell = shell.titled("Policies", Section::Policies);
        let of = |policy: &Policy| {
            attachments
                .iter()
                .filter(|own| own.policy == policy.id)
                .count()
        };
        let many = |keep: &dyn Fn(&&Policy) -> bool| {
            count(i64::try_from(policies.iter().filter(keep).count()).unwrap_or(i64::MAX))
        };
        PoliciesPage {
            archived,
            sums: vec![
                (many(&|policy| policy.newest.mode == Mode::Block), "block"),
                (many(&|policy| policy.newest.mode == Mode::Audit), "audit"),
                (many(&|policy| of(policy) == 0), "not attached"),
            ],
            rows: policies
                .iter()
                .map(|policy| Row::new(&shell, policy, attachments, now))
                .collect(),
            new_href: shell.at(&["policies", "new"]).to_string(),
            kept_href: shell.at(&["policies"]).to_string(),
            archived_href: shell.at(&["policies"]).with("archived", "1").to_string(),
            shell,
        }
    }
}

impl Row {
    fn new(shell: &Shell, policy: &Policy, attachments: &[PolicyAttachment], now: Millis) -> Row {
        let own: Vec<&PolicyAttachment> = attachments
            .iter()
            .filter(|own| own.policy == policy.id)
            .collect();
        let left = own.len().saturating_sub(NAMED);
        Row {
            name: Text::new(&policy.name, 80),
            href: policy_address(shell, policy.id).to_string(),
            mode: Pill::asked_mode(policy.newest.mode),
            version: count(policy.newest.number),
            scopes: own
                .iter()
                .take(NAMED)
                .map(|own| ScopeView::new(&own.scope, own.project_name.as_deref()))
                .collect(),
            more: (left > 0).then(|| count(i64::try_from(left).unwrap_or(i64::MAX))),
            changed: Moment::ago(policy.newest.at, now),
            by: Text::new(&policy.newest.by, 48),
            note: Some(Text::new(&policy.newest.note, 100)).filter(|note| !note.is_empty()),
        }
    }
}
