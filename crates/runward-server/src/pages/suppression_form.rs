//! The form that makes a suppression rule: filled by hand, or by the link of a detection.

use askama::Template;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use runward_store::{
    Detection, Fault, Field, Millis, SUPPRESSION_NAME_MAX, SUPPRESSION_REASON_MAX,
    SuppressionDraft, SuppressionPreview,
};

use super::detections::DetectionRow;
use super::hostile::Text;
use super::number::{count, counted, length};
use super::query::{self, Pairs};
use super::shell::{Section, Shell};
use super::suppressions::label;

/// Characters of a field that are kept when it is shown again: more than any that could be saved.
const TYPED: usize = 4_000;

/// What stands in the form, as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SuppressionForm {
    name: String,
    reason: String,
    expires: String,
    patterns: Vec<(Field, String)>,
}

impl SuppressionForm {
    /// Reads the pairs of a query or of a form.
    pub(crate) fn parse(pairs: &Pairs) -> SuppressionForm {
        let typed = |name: &str| -> String {
            let value = query::values(pairs, name).next().unwrap_or_default();
            value.trim().chars().take(TYPED).collect()
        };
        SuppressionForm {
            name: typed("name"),
            reason: typed("reason"),
            expires: typed("expires"),
            patterns: Field::ALL
                .into_iter()
                .map(|field| (field, typed(field.name())))
                .collect(),
        }
    }

    /// Whether nothing was typed into it.
    pub(crate) fn is_empty(&self) -> bool {
        self.patterns.iter().all(|(_, text)| text.is_empty())
            && [&self.name, &self.reason, &self.expires]
                .iter()
                .all(|text| text.is_empty())
    }

    /// The rule that it says, but for a day that can't be read.
    pub(crate) fn draft(&self) -> Result<SuppressionDraft, Fault> {
        let expires_at = match self.expires.as_str() {
            "" => None,
            day => Some(end_of(day).ok_or_else(|| Fault {
                at: "expires",
                why: "this is no day: write it as 2026-12-31".to_owned(),
            })?),
        };
        Ok(SuppressionDraft {
            name: self.name.clone(),
            reason: self.reason.clone(),
            expires_at,
            patterns: self.patterns.clone(),
        })
    }

    fn typed(&self, wanted: Field) -> &str {
        let found = self.patterns.iter().find(|(field, _)| *field == wanted);
        found.map_or("", |(_, text)| text)
    }

    /// Whether it asks for nothing but where and of what kind.
    fn is_wide(&self) -> bool {
        let conditions = Field::ALL
            .into_iter()
            .filter(|field| !field.is_scope() && *field != Field::Kind);
        conditions
            .into_iter()
            .all(|field| self.typed(field).is_empty())
    }
}

/// The first moment after a day, in UTC.
fn end_of(day: &str) -> Option<Millis> {
    let next: Date = day.parse::<Date>().ok()?.tomorrow().ok()?;
    let begins = next.to_zoned(TimeZone::UTC).ok()?;
    Some(begins.timestamp().as_millisecond())
}

/// `/o/{org}/suppressions/new`.
#[derive(Template)]
#[template(path = "suppression_form.html")]
pub(crate) struct SuppressionFormPage {
    shell: Shell,
    list_href: String,
    action: String,
    name: Input,
    reason: Input,
    expires: Input,
    kinds: Vec<Choice>,
    scope: Vec<Input>,
    conditions: Vec<Input>,
    /// What is wrong with the rule as a whole.
    fault: Option<String>,
    /// Whether anything is wrong.
    faulty: bool,
    preview: Option<Preview>,
    name_max: usize,
    reason_max: usize,
}

/// One field of the form.
struct Input {
    name: &'static str,
    label: &'static str,
    hint: &'static str,
    value: String,
    fault: Option<String>,
}

struct Choice {
    value: String,
    label: String,
    selected: bool,
}

/// What the rule would hide.
struct Preview {
    title: String,
    about: String,
    /// A rule without a condition hides more than one thinks.
    wide: bool,
    rows: Vec<DetectionRow>,
    more: Option<String>,
}

impl SuppressionFormPage {
    /// The form as it was typed, with what is wrong with it, and what the rule would hide of `open` new detections.
    pub(crate) fn new(
        shell: Shell,
        form: &SuppressionForm,
        faults: &[Fault],
        preview: Option<&SuppressionPreview>,
        (kinds, open): (&[String], i64),
        now: Millis,
    ) -> SuppressionFormPage {
        let shell = shell.titled("New suppression rule", Section::Suppressions);
        let fault = |at: &str| {
            let found = faults.iter().find(|fault| fault.at == at);
            found.map(|fault| sentence(&fault.why))
        };
        let input = |name: &'static str, label, hint, value: &str| Input {
            name,
            label,
            hint,
            value: value.to_owned(),
            fault: fault(name),
        };
        let asked =
            |field: Field| input(field.name(), label(field), hint(field), form.typed(field));
        let (scope, others): (Vec<Field>, Vec<Field>) = Field::ALL
            .into_iter()
            .filter(|field| *field != Field::Kind)
            .partition(|field| field.is_scope());
        SuppressionFormPage {
            list_href: shell.at(&["suppressions"]).to_string(),
            action: shell.at(&["suppressions"]).to_string(),
            name: input(
                "name",
                "Name",
                "By which people will know the rule.",
                &form.name,
            ),
            reason: input(
                "reason",
                "Why",
                "Whoever reads this in a year should see that it is still right.",
                &form.reason,
            ),
            expires: input(
                "expires",
                "Last day (optional)",
                "It ends by itself after this day, in UTC.",
                &form.expires,
            ),
            kinds: choices(kinds, form.typed(Field::Kind)),
            scope: scope.into_iter().map(asked).collect(),
            conditions: others.into_iter().map(asked).collect(),
            fault: fault("rule"),
            faulty: !faults.is_empty(),
            preview: preview.map(|preview| Preview::new(&shell, form, preview, open, now)),
            name_max: SUPPRESSION_NAME_MAX,
            reason_max: SUPPRESSION_REASON_MAX,
            shell,
        }
    }
}

fn hint(field: Field) -> &'static str {
    match field {
        Field::Project => "Full name: group/app, group/*",
        Field::Pipeline => "File or name: .gitlab-ci.yml",
        Field::Job => "Name in the pipeline: test*",
        Field::Destination => "Name and port: *.example:443",
        Field::Host => "Without the port: *.example",
        Field::Program => "Whole path: /usr/bin/curl, */curl",
        Field::Path => "From the workspace: dist/*",
        Field::File => "Last part of the path: *.lock",
        Field::Secret => "Such as aws-*",
        Field::Kind => "",
    }
}

/// Kinds to choose from. One that was typed into the address stays, known or not.
fn choices(kinds: &[String], typed: &str) -> Vec<Choice> {
    let is_plain = |kind: &&str| kind.len() <= 60 && kind.bytes().all(|b| b.is_ascii_graphic());
    let choice = |value: &str, label: String| Choice {
        value: value.to_owned(),
        label,
        selected: value == typed,
    };
    let mut choices = vec![choice("", "any kind".to_owned())];
    let unknown = (!typed.is_empty() && !kinds.iter().any(|kind| kind == typed)).then_some(typed);
    let known = kinds.iter().map(String::as_str).filter(is_plain);
    for kind in known.chain(unknown) {
        choices.push(choice(kind, Text::new(kind, 60).plain().to_owned()));
    }
    choices
}

/// A clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}

impl Preview {
    fn new(
        shell: &Shell,
        form: &SuppressionForm,
        preview: &SuppressionPreview,
        open: i64,
        now: Millis,
    ) -> Preview {
        let least = if preview.complete { "" } else { "at least " };
        let hides = counted(preview.hides, "detection", "detections");
        let shown = length(&preview.rows);
        let rest = preview
            .hides
            .saturating_sub(i64::try_from(shown).unwrap_or(i64::MAX));
        Preview {
            title: match preview.hides {
                0 => "It would hide nothing now".to_owned(),
                _ => format!("It would hide {least}{hides}"),
            },
            about: match (preview.hides, preview.complete) {
                (0, true) => format!(
                    "None of {} fits. Once saved, it hides what fits of all that comes.",
                    counted(open, "new detection", "new detections")
                ),
                (_, true) => format!(
                    "Of {}. Once saved, it also hides what fits of all that comes.",
                    counted(open, "new detection", "new detections")
                ),
                (_, false) => format!(
                    "Only the newest {} were looked at. Once saved, it hides what fits of the older ones, too.",
                    count(preview.looked_at)
                ),
            },
            wide: form.is_wide(),
            rows: preview
                .rows
                .iter()
                .map(|detection: &Detection| DetectionRow::new(shell, detection, now))
                .collect(),
            more: (rest > 0).then(|| count(rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_holds_to_the_end_of_its_last_day() {
        for (day, end) in [
            ("2026-07-31", Some(1_785_542_400_000)),
            ("1969-12-31", Some(0)),
            ("2026-02-30", None),
            ("9999-12-31", None),
            ("soon", None),
        ] {
            assert_eq!(end_of(day), end, "{day}");
        }
    }

    #[test]
    fn what_was_typed_is_kept_and_becomes_a_draft() {
        let pairs: Vec<(String, String)> = [
            ("csrf", "x"),
            ("name", " scanner "),
            ("host", " *.example\n"),
            ("expires", "2026-07-31"),
            ("unknown", "y"),
        ]
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
        let form = SuppressionForm::parse(&pairs);
        let draft = form.draft().unwrap();
        assert_eq!(draft.name, "scanner");
        assert_eq!(draft.expires_at, Some(1_785_542_400_000));
        assert_eq!(form.typed(Field::Host), "*.example");
        assert!(!form.is_empty() && !form.is_wide());
        assert!(SuppressionForm::parse(&[]).is_empty());
        let wrong = SuppressionForm {
            expires: "tomorrow".to_owned(),
            ..form
        };
        assert_eq!(wrong.draft().unwrap_err().at, "expires");
    }
}
