use askama::Template;
use runward_report::text::visible;
use runward_store::{Millis, Policy, PolicyVersion};

use super::super::hostile::Text;
use super::super::moment::Moment;
use super::super::number::count;
use super::super::pill::Pill;
use super::super::shell::{Section, Shell};
use super::changes::Changes;
use super::policy_address;

/// `/o/{org}/policies/{id}/versions/{number}`, compared with the one before or with that of `?against=`.
#[derive(Template)]
#[template(path = "policy/version.html")]
pub(crate) struct VersionPage {
    shell: Shell,
    name: Text,
    href: String,
    list_href: String,
    number: String,
    newest: bool,
    mode: Pill,
    by: Text,
    at: Moment,
    at_absolute: Moment,
    note: Option<Text>,
    /// The numbers of the older and the newer one of the two that are compared, and how they differ.
    against: Option<(String, String, Changes)>,
    compare: Vec<(i64, bool)>,
    action: String,
    text: Vec<String>,
}

/// Older versions that can be chosen to compare with.
const COMPARED: i64 = 50;

impl VersionPage {
    /// `against` is the version to compare with; the first one has none before it.
    pub(crate) fn new(
        shell: Shell,
        policy: &Policy,
        (version, text): &(PolicyVersion, String),
        against: Option<&(PolicyVersion, String)>,
        now: Millis,
    ) -> VersionPage {
        let name = Text::new(&policy.name, 80);
        let title = format!("Policy {}, version {}", name.plain(), version.number);
        let shell = shell.titled(&title, Section::Policies);
        let chosen = against.map(|(other, _)| other.number);
        let oldest = (policy.newest.number - COMPARED).max(1);
        let mut compare: Vec<(i64, bool)> = (oldest..=policy.newest.number)
            .rev()
            .filter(|number| *number != version.number)
            .map(|number| (number, Some(number) == chosen))
            .collect();
        if let Some(chosen) = chosen.filter(|chosen| *chosen < oldest) {
            compare.push((chosen, true));
        }
        VersionPage {
            href: policy_address(&shell, policy.id).to_string(),
            list_href: shell.at(&["policies"]).to_string(),
            number: count(version.number),
            newest: version.number == policy.newest.number,
            mode: Pill::asked_mode(version.mode),
            by: Text::new(&version.by, 48),
            at: Moment::ago(version.at, now),
            at_absolute: Moment::absolute(version.at),
            note: Some(Text::new(&version.note, 500)).filter(|note| !note.is_empty()),
            against: against.map(|(other, other_text)| {
                let this = (version.number, text.as_str());
                let other = (other.number, other_text.as_str());
                let (old, new) = (this.min(other), this.max(other));
                let changes = Changes::between(old.1, new.1);
                (count(old.0), count(new.0), changes)
            }),
            compare,
            action: shell
                .at(&[
                    "policies",
                    &policy.id.to_string(),
                    "versions",
                    &version.number.to_string(),
                ])
                .to_string(),
            text: text
                .lines()
                .map(|line| visible(line).into_owned())
                .collect(),
            name,
            shell,
        }
    }
}
