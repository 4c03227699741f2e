//! The part of the settings that says how long things are kept.

use askama::Template;
use askama::filters::HtmlSafe;
use runward_report::text::clipped;
use runward_store::{Overdue, Retention, TERM_MAX, Term};

use super::number::{count, counted};
use super::shell::Shell;

/// Characters of a term that are shown again as they were typed.
const TYPED: usize = 20;

/// What was typed into the form and is not saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RetentionTyped {
    /// Of events, detections and runs.
    pub(crate) terms: [String; 3],
    /// What these terms would delete of what there is, and by which word it is said that this is meant.
    pub(crate) losses: Option<(Overdue, String)>,
}

/// Its form: `settings/retention` (events, detections, runs, seen, sure, csrf).
#[derive(Template)]
#[template(path = "part/retention.html")]
pub(super) struct RetentionSection {
    admin: bool,
    csrf: String,
    action: String,
    /// The terms that whoever sends the form has seen.
    seen: String,
    fields: Vec<Field>,
    longest: i64,
    losses: Option<Losses>,
}

/// The template escapes its texts.
impl HtmlSafe for RetentionSection {}

struct Field {
    name: &'static str,
    label: &'static str,
    about: &'static str,
    /// What the form has: a number of days, or nothing.
    typed: String,
    /// The term that holds, as people say it.
    said: String,
}

struct Losses {
    /// What there is that would be deleted.
    told: Vec<String>,
    sure: String,
}

impl RetentionSection {
    pub(super) fn new(
        shell: &Shell,
        terms: &Retention,
        typed: Option<RetentionTyped>,
    ) -> RetentionSection {
        let days = |term: Term| {
            term.days()
                .map_or_else(String::new, |days| days.to_string())
        };
        let all = [terms.events(), terms.detections(), terms.runs()];
        let (texts, losses) = match typed {
            Some(typed) => (typed.terms, typed.losses),
            None => (all.map(days), None),
        };
        let fields = FIELDS.into_iter().zip(all).zip(texts);
        RetentionSection {
            admin: shell.admin,
            csrf: shell.csrf.clone(),
            action: shell.at(&["settings", "retention"]).to_string(),
            seen: seen(terms),
            fields: fields
                .map(|(((name, label, about), term), typed)| Field {
                    name,
                    label,
                    about,
                    typed: clipped(&typed, TYPED),
                    said: term.to_string(),
                })
                .collect(),
            longest: TERM_MAX,
            losses: losses.map(|(overdue, sure)| Losses {
                told: told(&overdue),
                sure,
            }),
        }
    }
}

/// Terms in a form: `30-400-400`, with nothing for what is for ever.
pub(crate) fn seen(terms: &Retention) -> String {
    let days = |term: Term| {
        term.days()
            .map_or_else(String::new, |days| days.to_string())
    };
    [terms.events(), terms.detections(), terms.runs()]
        .map(days)
        .join("-")
}

fn told(overdue: &Overdue) -> Vec<String> {
    let detections = match overdue.undecided {
        0 => counted(overdue.detections, "detection", "detections"),
        undecided => format!(
            "{}, of which nobody has decided about {}",
            counted(overdue.detections, "detection", "detections"),
            count(undecided)
        ),
    };
    let all = [
        (
            overdue.events,
            format!("the events of {}", counted(overdue.events, "run", "runs")),
        ),
        (overdue.detections, detections),
        (overdue.runs, counted(overdue.runs, "run", "runs")),
    ];
    let some = all.into_iter().filter(|(n, _)| *n > 0);
    some.map(|(_, told)| told).collect()
}

const FIELDS: [(&str, &str, &str); 3] = [
    (
        "events",
        "Events",
        "all that a job did, one by one; the pages of a run are made of them",
    ),
    (
        "detections",
        "Detections",
        "what was found in them, whether somebody has decided about it or not",
    ),
    (
        "runs",
        "Runs",
        "that there was a run, what was counted of it, and where it went",
    ),
];
