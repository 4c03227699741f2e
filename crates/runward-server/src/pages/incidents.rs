//! The same new thing in several jobs at once, or the same finding in several projects.

use askama::Template;
use runward_baseline::Incident;
use runward_report::text::{base_name, counted};
use runward_store::{Cursor, Millis, OrgId, Page, PageRequest};

use super::address::Address;
use super::chart::{Bars, Value};
use super::hostile::Text;
use super::moment::Moment;
use super::pager::Older;
use super::query::{self, Pairs};
use super::shell::{Section, Shell};
use crate::app::millis;

/// Incidents of one page.
const ROWS: u32 = 20;
/// Bars of an incident, at least.
const DAY: u32 = 24;
/// Bars of an incident, at most: beyond, the last one is of all that came later.
const HOURS: u32 = 48;

/// `/o/{org}/incidents`.
#[derive(Template)]
#[template(path = "incidents.html")]
pub(crate) struct IncidentsPage {
    shell: Shell,
    detections_href: String,
    rows: Vec<Row>,
    older: Older,
}

struct Row {
    id: i64,
    subject: Text,
    summary: Text,
    spread: String,
    elsewhere: bool,
    first: Moment,
    last: Moment,
    /// The run in which it was first, if this organisation may know it.
    first_href: Option<String>,
    facts: Vec<(&'static str, Text)>,
    bars: Bars,
    runs_href: String,
}

/// The part of the list that is wanted.
pub(crate) fn incidents_page(pairs: &Pairs) -> PageRequest {
    PageRequest {
        after: query::cursor(pairs, "after"),
        limit: ROWS,
    }
}

impl IncidentsPage {
    /// What the store knows, as the organisation may see it.
    pub(crate) fn new(
        shell: Shell,
        org: OrgId,
        page: &Page<runward_store::Incident>,
        after: Option<Cursor>,
        now: Millis,
    ) -> IncidentsPage {
        let shell = shell.titled("Incidents", Section::Detections);
        let own = shell.at(&["incidents"]);
        let rows = page.rows.iter().filter_map(|kept| {
            // One that a newer version wrote is left out, as long as an older one looks at it.
            let incident: Incident = serde_json::from_slice(&kept.state).ok()?;
            Some(Row::new(
                &shell,
                kept.id,
                org,
                &incident.seen_by(org.0),
                now,
            ))
        });
        IncidentsPage {
            rows: rows.collect(),
            older: Older {
                next: page
                    .next
                    .map(|next| own.clone().with("after", &next.to_text()).to_string()),
                newest: after.map(|_| own.to_string()),
            },
            detections_href: shell.at(&["detections"]).to_string(),
            shell,
        }
    }
}

impl Row {
    fn new(shell: &Shell, id: i64, org: OrgId, incident: &Incident, now: Millis) -> Row {
        let spread = &incident.spread;
        // A finding stands among the detections, and all else among the destinations.
        let seen_at = match incident.key.finding() {
            Some(kind) => shell
                .at(&["detections"])
                .with("kind", kind)
                .with("status", "all"),
            None => destinations(shell, incident),
        };
        Row {
            id,
            subject: Text::new(&incident.subject, 160),
            summary: Text::new(&incident.sentence(), 600),
            spread: format!(
                "{} in {}",
                counted(spread.jobs(), "job", "jobs"),
                counted(spread.projects(), "project", "projects")
            ),
            elsewhere: spread.elsewhere,
            first: Moment::ago(millis(incident.first.at), now),
            last: Moment::ago(millis(incident.last), now),
            first_href: (incident.first.organisation == org.0)
                .then(|| shell.at(&["runs", &incident.first.run]).to_string()),
            facts: facts(incident),
            bars: bars(incident),
            runs_href: seen_at.to_string(),
        }
    }
}

fn destinations(shell: &Shell, incident: &Incident) -> Address {
    let host = incident.subject.split(':').next().unwrap_or_default();
    let short: String = host.chars().take(query::TEXT).collect();
    shell.at(&["destinations"]).with("q", &short)
}

/// What all sightings have in common.
fn facts(incident: &Incident) -> Vec<(&'static str, Text)> {
    let common = &incident.common;
    let text = |text: &str| Text::new(text, 120);
    let mut facts = Vec::new();
    match &common.program {
        Some(program) => facts.push(("Process", text(base_name(program)))),
        None => facts.push(("Process", text("several"))),
    }
    if let Some(dependency) = &common.dependency {
        facts.push(("Dependency", text(dependency)));
    }
    if let Some(image) = &common.image {
        facts.push(("Image", text(image)));
    }
    facts.push((
        "Machines",
        text(match common.hosted {
            Some(true) => "only the provider's",
            Some(false) => "only your own",
            None => "of several kinds, or not known",
        }),
    ));
    if common.outside_steps {
        facts.push(("Steps", text("none: it ran outside of every step")));
    }
    facts
}

/// Jobs by the hour in which it reached them.
fn bars(incident: &Incident) -> Bars {
    let by_hour = &incident.spread.by_hour;
    let last = by_hour
        .keys()
        .max()
        .map_or(DAY, |hour| hour + 1)
        .clamp(DAY, HOURS)
        - 1;
    let values = (0..=last).map(|hour| {
        let reached: u64 = if hour == HOURS - 1 {
            by_hour.range(hour..).map(|(_, jobs)| jobs).sum()
        } else {
            by_hour.get(&hour).copied().unwrap_or(0)
        };
        let jobs = i64::try_from(reached).unwrap_or(i64::MAX);
        Value {
            whole: jobs,
            part: jobs,
            said: format!("hour {}: {}", hour + 1, counted(reached, "job", "jobs")),
        }
    });
    let label = "Jobs that it reached, by the hour since it was first seen".to_owned();
    Bars::new(label, "blocked", values.collect())
}
