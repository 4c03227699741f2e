//! Detections of all runs, by kind and state, with the forms to decide about them.

use askama::Template;
use runward_store::{
    About, Cursor, Detection, DetectionFilter, DetectionStatus, Field, Millis, Page, PageRequest,
    Pattern, ProjectId,
};

use super::address::Address;
use super::detection_kinds::KindText;
use super::hostile::Text;
use super::moment::Moment;
use super::number::{count, counted};
use super::pager::Older;
use super::pill::Pill;
use super::query::{self, Pairs};
use super::run::{Actor, Change};
use super::shell::{Section, Shell};
use super::suppressions::hidden_detections;
use crate::{kinds, learn};

/// Rows of one page.
const ROWS: u32 = 50;

/// What the address of the list of detections says. Without a state, it is what nobody has decided about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DetectionsQuery {
    kind: Option<String>,
    status: Option<DetectionStatus>,
    project: Option<i64>,
    run: Option<String>,
    rule: Option<i64>,
    after: Option<Cursor>,
}

const STATUSES: [(Option<DetectionStatus>, &str, &str); 4] = [
    (Some(DetectionStatus::New), "new", "New"),
    (
        Some(DetectionStatus::Suppressed),
        "suppressed",
        "Suppressed",
    ),
    (Some(DetectionStatus::Resolved), "resolved", "Resolved"),
    (None, "all", "All"),
];

impl DetectionsQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> DetectionsQuery {
        let status = query::text(pairs, "status");
        DetectionsQuery {
            kind: query::text(pairs, "kind"),
            status: STATUSES
                .into_iter()
                .find(|(_, name, _)| Some(*name) == status.as_deref())
                .map_or(Some(DetectionStatus::New), |(status, _, _)| status),
            project: query::number(pairs, "project"),
            run: query::text(pairs, "run"),
            rule: query::number(pairs, "rule"),
            after: query::cursor(pairs, "after"),
        }
    }

    /// What the store is asked for.
    pub(crate) fn filter(&self) -> DetectionFilter {
        DetectionFilter {
            kind: self.kind.clone(),
            status: self.status,
            project: self.project.map(ProjectId),
            run: self.run.clone(),
            rule: self.rule,
            shown: false,
        }
    }

    /// Which part of the list is wanted.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            after: self.after,
            limit: ROWS,
        }
    }

    /// What this list lacks because rules hide it.
    fn hidden(&self, shell: &Shell, counts: &[(String, DetectionStatus, i64)]) -> Option<Hidden> {
        let lacks = matches!(
            self.status,
            Some(DetectionStatus::New | DetectionStatus::Resolved)
        );
        let kind = self.kind.as_deref();
        lacks
            .then(|| {
                Hidden::new(shell, counts, kind, |address| {
                    let project = self.project.map(|id| id.to_string());
                    address
                        .with_some("kind", kind)
                        .with_some("project", project.as_deref())
                        .with_some("run", self.run.as_deref())
                })
            })
            .flatten()
    }

    /// The address of this list. The state that goes without saying is not said.
    fn address(&self, shell: &Shell) -> Address {
        let status = STATUSES
            .into_iter()
            .find(|(status, _, _)| *status == self.status)
            .map(|(_, name, _)| name)
            .filter(|name| *name != "new");
        shell
            .at(&["detections"])
            .with_some("status", status)
            .with_some("kind", self.kind.as_deref())
            .with_some("project", self.project.map(|id| id.to_string()).as_deref())
            .with_some("run", self.run.as_deref())
            .with_some("rule", self.rule.map(|id| id.to_string()).as_deref())
    }
}

/// `/o/{org}/detections`.
#[derive(Template)]
#[template(path = "detections.html")]
pub(crate) struct DetectionsPage {
    shell: Shell,
    incidents_href: String,
    kinds_href: String,
    /// What the kind is that the list is limited to.
    about: Option<KindText>,
    statuses: Vec<Facet>,
    kinds: Vec<Facet>,
    /// What else the list is limited to, and the list without that limit.
    limits: Vec<(String, String)>,
    hidden: Option<Hidden>,
    rows: Vec<DetectionRow>,
    older: Older,
    /// Whether anything was ever found.
    any: bool,
}

/// How much a page lacks because rules hide it: nothing is hidden without being counted.
pub(crate) struct Hidden {
    /// `3 detections are`.
    pub(crate) said: String,
    pub(crate) href: String,
    pub(crate) rules_href: String,
}

impl Hidden {
    /// By counts in each state, of one kind or of all; `narrow` says of what the page is.
    pub(crate) fn new(
        shell: &Shell,
        counts: &[(String, DetectionStatus, i64)],
        kind: Option<&str>,
        narrow: impl FnOnce(Address) -> Address,
    ) -> Option<Hidden> {
        let hidden = counts.iter().filter(|(counted, status, _)| {
            *status == DetectionStatus::Suppressed && kind.is_none_or(|kind| kind == counted)
        });
        let sum = hidden.fold(0, |sum: i64, (_, _, n)| sum.saturating_add(*n));
        Hidden::of(shell, sum, narrow)
    }

    /// So many, if any.
    pub(crate) fn of(
        shell: &Shell,
        n: i64,
        narrow: impl FnOnce(Address) -> Address,
    ) -> Option<Hidden> {
        (n > 0).then(|| Hidden {
            said: counted(n, "detection is", "detections are"),
            href: narrow(hidden_detections(shell)).to_string(),
            rules_href: shell.at(&["suppressions"]).to_string(),
        })
    }
}

/// A value to filter by, and how many there are of it.
struct Facet {
    label: String,
    count: String,
    href: String,
    current: bool,
}

impl DetectionsPage {
    /// The rows that the store gave for `query`, and how many there are of each kind in each state.
    pub(crate) fn new(
        shell: Shell,
        query: &DetectionsQuery,
        page: &Page<Detection>,
        counts: &[(String, DetectionStatus, i64)],
        now: Millis,
    ) -> DetectionsPage {
        let shell = shell.titled("Detections", Section::Detections);
        let address = query.address(&shell);
        DetectionsPage {
            incidents_href: shell.at(&["incidents"]).to_string(),
            kinds_href: shell.at(&["detections", "kinds"]).to_string(),
            about: query
                .kind
                .as_deref()
                .and_then(kinds::about)
                .map(KindText::new),
            statuses: statuses(&shell, query, counts),
            kinds: kinds(&shell, query, counts),
            limits: limits(&shell, query),
            hidden: query.hidden(&shell, counts),
            rows: page
                .rows
                .iter()
                .map(|detection| DetectionRow::new(&shell, detection, now))
                .collect(),
            older: Older {
                next: page
                    .next
                    .map(|next| address.clone().with("after", &next.to_text()).to_string()),
                newest: query.after.map(|_| address.to_string()),
            },
            any: !counts.is_empty(),
            shell,
        }
    }
}

fn statuses(
    shell: &Shell,
    query: &DetectionsQuery,
    counts: &[(String, DetectionStatus, i64)],
) -> Vec<Facet> {
    STATUSES
        .into_iter()
        .map(|(status, _, label)| {
            let n = counts
                .iter()
                .filter(|(kind, s, _)| {
                    status.is_none_or(|status| status == *s)
                        && query.kind.as_ref().is_none_or(|wanted| wanted == kind)
                })
                .fold(0, |sum: i64, (_, _, n)| sum.saturating_add(*n));
            let other = DetectionsQuery {
                status,
                after: None,
                ..query.clone()
            };
            Facet {
                label: label.to_owned(),
                count: count(n),
                href: other.address(shell).to_string(),
                current: query.status == status,
            }
        })
        .collect()
}

fn kinds(
    shell: &Shell,
    query: &DetectionsQuery,
    counts: &[(String, DetectionStatus, i64)],
) -> Vec<Facet> {
    let mut kinds: Vec<(&str, i64)> = Vec::new();
    for (kind, status, n) in counts {
        let counted = if query.status.is_none_or(|wanted| wanted == *status) {
            *n
        } else {
            0
        };
        match kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, sum)) => *sum = sum.saturating_add(counted),
            None => kinds.push((kind, counted)),
        }
    }
    kinds.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let all = kinds
        .iter()
        .fold(0, |sum: i64, (_, n)| sum.saturating_add(*n));
    let facet = |kind: Option<&str>, n: i64| {
        let other = DetectionsQuery {
            kind: kind.map(|kind| kind.chars().take(query::TEXT).collect()),
            after: None,
            ..query.clone()
        };
        Facet {
            label: kind.map_or_else(
                || "All kinds".to_owned(),
                |kind| Text::new(kind, 60).plain().to_owned(),
            ),
            count: count(n),
            href: other.address(shell).to_string(),
            current: query.kind.as_deref() == kind,
        }
    };
    let mut facets = vec![facet(None, all)];
    facets.extend(kinds.into_iter().map(|(kind, n)| facet(Some(kind), n)));
    facets
}

fn limits(shell: &Shell, query: &DetectionsQuery) -> Vec<(String, String)> {
    let mut limits = Vec::new();
    if query.project.is_some() {
        let other = DetectionsQuery {
            project: None,
            after: None,
            ..query.clone()
        };
        limits.push((
            "of one project".to_owned(),
            other.address(shell).to_string(),
        ));
    }
    if query.run.is_some() {
        let other = DetectionsQuery {
            run: None,
            after: None,
            ..query.clone()
        };
        limits.push(("of one run".to_owned(), other.address(shell).to_string()));
    }
    if query.rule.is_some() {
        let other = DetectionsQuery {
            rule: None,
            after: None,
            ..query.clone()
        };
        limits.push((
            "that one rule hides".to_owned(),
            other.address(shell).to_string(),
        ));
    }
    limits
}

/// A detection, with what it stands on and what can be done about it; `templates/part/detection.html` shows it.
pub(crate) struct DetectionRow {
    pub(crate) id: i64,
    pub(crate) kind: Text,
    pub(crate) severity: Pill,
    /// The severity as a name in the style sheet.
    pub(crate) severity_name: &'static str,
    pub(crate) title: Text,
    /// What it is about, unless the title has said all of that.
    pub(crate) subject: Option<Text>,
    pub(crate) program: Text,
    pub(crate) project: Text,
    pub(crate) pipeline: Text,
    pub(crate) job: Text,
    pub(crate) at: Moment,
    pub(crate) status: Pill,
    pub(crate) open: bool,
    pub(crate) resolved: bool,
    pub(crate) decided_by: Option<Text>,
    pub(crate) comment: Option<Text>,
    /// The rule that hides it, and where it is.
    pub(crate) hidden_by: Option<(Text, String)>,
    pub(crate) run_href: String,
    /// The rows of the run that it stands on.
    pub(crate) evidence_href: Option<String>,
    pub(crate) action: String,
    pub(crate) suppress_href: String,
    /// Who did it, where the run's report is at hand.
    pub(crate) actor: Option<Actor>,
    /// What changed in the file that it is about, likewise.
    pub(crate) change: Option<Change>,
    /// What a person does next; nothing once somebody has decided.
    pub(crate) next: Option<&'static str>,
}

impl DetectionRow {
    pub(crate) fn new(shell: &Shell, d: &Detection, now: Millis) -> DetectionRow {
        DetectionRow {
            id: d.id,
            kind: Text::new(&d.kind, 60),
            severity: Pill::severity(&d.severity),
            severity_name: severity_name(&d.severity),
            title: Text::new(&d.title, 320),
            subject: Some(&d.subject)
                .filter(|subject| !subject.is_empty() && **subject != d.title)
                .map(|subject| Text::new(subject, 160)),
            program: Text::program(&d.program, 40),
            project: Text::new(&d.project_name, 48),
            pipeline: Text::new(&d.pipeline, 48),
            job: Text::new(&d.job, 48),
            at: Moment::ago(d.at, now),
            status: Pill::detection(d.status),
            open: d.status == DetectionStatus::New,
            resolved: d.status == DetectionStatus::Resolved,
            decided_by: d.decided_by.as_deref().map(|by| Text::new(by, 60)),
            comment: d.comment.as_deref().map(|comment| Text::new(comment, 400)),
            hidden_by: d.hidden_by.as_ref().map(|by| {
                let rule = shell.at(&["suppressions", &by.rule.to_string()]);
                (Text::new(&by.name, 100), rule.to_string())
            }),
            run_href: shell.at(&["runs", &d.run, "detections"]).to_string(),
            evidence_href: evidence(shell, d).map(|address| address.to_string()),
            action: shell.at(&["detections", &d.id.to_string()]).to_string(),
            suppress_href: suppress_address(shell, d).to_string(),
            actor: None,
            change: None,
            next: kinds::about(&d.kind)
                .filter(|_| d.status == DetectionStatus::New)
                .map(|about| about.next),
        }
    }

    /// With who did it.
    #[must_use]
    pub(crate) fn done_by(mut self, actor: Option<Actor>) -> DetectionRow {
        self.actor = actor;
        self
    }

    /// With what changed in its file.
    #[must_use]
    pub(crate) fn changed(mut self, change: Option<Change>) -> DetectionRow {
        self.change = change;
        self
    }
}

/// Whether a detection is about a call that is not normal for the job.
pub(crate) fn is_call(kind: &str) -> bool {
    matches!(kind, learn::CALL | learn::VOLUME)
}

/// The rows of the run that a detection stands on: connections to its destination, or changes of its file.
fn evidence(shell: &Shell, d: &Detection) -> Option<Address> {
    let (tab, text) = match d.about {
        About::Destination => ("network", d.subject.split(':').next()?),
        About::File => ("files", d.subject.as_str()),
        About::Secret | About::Machine => return None,
    };
    let short: String = text.chars().take(query::TEXT).collect();
    (!short.is_empty()).then(|| shell.at(&["runs", &d.run, tab]).with("q", &short))
}

/// The form of a rule as narrow as what is known of this detection: what a person takes away makes it wider.
fn suppress_address(shell: &Shell, d: &Detection) -> Address {
    let subject = match d.about {
        About::Destination => Some(Field::Destination),
        About::File => Some(Field::Path),
        About::Secret => Some(Field::Secret),
        About::Machine => None,
    };
    let facts = d.facts();
    [
        Some(Field::Kind),
        subject,
        Some(Field::Program),
        Some(Field::Project),
        Some(Field::Pipeline),
        Some(Field::Job),
    ]
    .into_iter()
    .flatten()
    .fold(shell.at(&["suppressions", "new"]), |address, field| {
        let value = facts.value(field).unwrap_or_default();
        let short: String = value.chars().take(1000).collect();
        address.with_some(field.name(), Some(&Pattern::literal(&short)))
    })
}

/// A severity as a name in the style sheet: nothing that anybody else wrote gets into a class.
pub(crate) fn severity_name(severity: &str) -> &'static str {
    match severity {
        "critical" | "high" => "high",
        "medium" => "medium",
        _ => "low",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_goes_without_saying() {
        let query = DetectionsQuery::parse(&[]);
        assert_eq!(query.filter().status, Some(DetectionStatus::New));
        let shell = Shell::of("acme", "Acme");
        assert_eq!(query.address(&shell).to_string(), "/o/acme/detections");
        let all = DetectionsQuery::parse(&[("status".to_owned(), "all".to_owned())]);
        assert_eq!(all.filter().status, None);
        assert_eq!(
            all.address(&shell).to_string(),
            "/o/acme/detections?status=all"
        );
    }
}
