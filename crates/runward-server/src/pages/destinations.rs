//! Destinations of everything that an organisation has sent, and the runs behind one.

use askama::Template;
use runward_store::{Cursor, Destination, DestinationFilter, Millis, Page, PageRequest, Sighting};

use super::address::Address;
use super::hostile::Text;
use super::moment::Moment;
use super::number::{bytes, count, counted};
use super::pager::Older;
use super::query::{self, Pairs};
use super::shell::{Section, Shell};

/// Rows of one page.
const ROWS: u32 = 100;

/// What the address of the list of destinations says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DestinationsQuery {
    text: Option<String>,
    blocked: bool,
    after: Option<Cursor>,
}

impl DestinationsQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> DestinationsQuery {
        DestinationsQuery {
            text: query::text(pairs, "q"),
            blocked: query::flag(pairs, "blocked"),
            after: query::cursor(pairs, "after"),
        }
    }

    /// What the store is asked for.
    pub(crate) fn filter(&self) -> DestinationFilter {
        DestinationFilter {
            text: self.text.clone(),
            blocked: self.blocked,
        }
    }

    /// Which part of the list is wanted.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            after: self.after,
            limit: ROWS,
        }
    }

    fn address(&self, shell: &Shell, path: &str, after: Option<Cursor>) -> Address {
        shell
            .at(&[path])
            .with_some("q", self.text.as_deref())
            .with_some("blocked", self.blocked.then_some("1"))
            .with_some("after", after.map(Cursor::to_text).as_deref())
    }
}

/// `/o/{org}/destinations`.
#[derive(Template)]
#[template(path = "destinations.html")]
pub(crate) struct DestinationsPage {
    shell: Shell,
    action: String,
    text: String,
    blocked: bool,
    filtered: bool,
    rows: Vec<Row>,
    older: Older,
    csv_href: String,
    json_href: String,
}

struct Row {
    href: String,
    destination: Text,
    runs: String,
    jobs: String,
    connections: String,
    blocked: Option<String>,
    programs: Vec<Text>,
    first: Moment,
    last: Moment,
}

impl DestinationsPage {
    /// The rows that the store gave for `query`.
    pub(crate) fn new(
        shell: Shell,
        query: &DestinationsQuery,
        page: &Page<Destination>,
        now: Millis,
    ) -> DestinationsPage {
        let shell = shell.titled("Destinations", Section::Destinations);
        let address = |path: &str, after| query.address(&shell, path, after).to_string();
        DestinationsPage {
            action: shell.at(&["destinations"]).to_string(),
            text: query.text.clone().unwrap_or_default(),
            blocked: query.blocked,
            filtered: query.blocked || query.text.is_some(),
            rows: page.rows.iter().map(|d| Row::new(&shell, d, now)).collect(),
            older: Older {
                next: page.next.map(|next| address("destinations", Some(next))),
                newest: query.after.map(|_| address("destinations", None)),
            },
            csv_href: address("destinations.csv", None),
            json_href: address("destinations.json", None),
            shell,
        }
    }
}

impl Row {
    fn new(shell: &Shell, d: &Destination, now: Millis) -> Row {
        Row {
            href: shell.at(&["destinations", &d.id.to_string()]).to_string(),
            destination: Text::new(&d.destination, 72),
            runs: count(d.runs),
            jobs: count(d.jobs),
            connections: count(d.connections),
            blocked: (d.blocked > 0).then(|| count(d.blocked)),
            programs: d
                .programs
                .iter()
                .take(4)
                .map(|p| Text::program(p, 24))
                .collect(),
            first: Moment::ago(d.first_seen_at, now),
            last: Moment::ago(d.last_seen_at, now),
        }
    }
}

/// What the address of one destination says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DestinationQuery {
    after: Option<Cursor>,
}

impl DestinationQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> DestinationQuery {
        DestinationQuery {
            after: query::cursor(pairs, "after"),
        }
    }

    /// Which part of the list is wanted.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            after: self.after,
            limit: ROWS,
        }
    }
}

/// `/o/{org}/destinations/{id}`.
#[derive(Template)]
#[template(path = "destination.html")]
pub(crate) struct DestinationPage {
    shell: Shell,
    all_href: String,
    destination: Text,
    sums: Vec<(String, &'static str)>,
    blocked: Option<String>,
    first: Moment,
    last: Moment,
    programs: Vec<Text>,
    rows: Vec<SightingRow>,
    older: Older,
}

struct SightingRow {
    href: String,
    project: Text,
    pipeline: Text,
    job: Text,
    started: Moment,
    connections: String,
    blocked: Option<String>,
    sent: String,
    received: String,
    program: Text,
}

impl DestinationPage {
    /// A destination and the runs that went there.
    pub(crate) fn new(
        shell: Shell,
        query: &DestinationQuery,
        destination: &Destination,
        sightings: &Page<Sighting>,
        now: Millis,
    ) -> DestinationPage {
        let name = Text::new(&destination.destination, 120);
        let shell = shell.titled(name.plain(), Section::Destinations);
        let address = shell.at(&["destinations", &destination.id.to_string()]);
        let noun = |n, one, many| (count(n), if n == 1 { one } else { many });
        DestinationPage {
            all_href: shell.at(&["destinations"]).to_string(),
            sums: vec![
                noun(destination.runs, "run", "runs"),
                noun(destination.jobs, "job", "jobs"),
                noun(destination.connections, "connection", "connections"),
            ],
            blocked: (destination.blocked > 0)
                .then(|| counted(destination.blocked, "blocked call", "blocked calls")),
            first: Moment::ago(destination.first_seen_at, now),
            last: Moment::ago(destination.last_seen_at, now),
            programs: destination
                .programs
                .iter()
                .take(20)
                .map(|p| Text::new(p, 80))
                .collect(),
            rows: sightings
                .rows
                .iter()
                .map(|s| SightingRow::new(&shell, s, now))
                .collect(),
            older: Older {
                next: sightings
                    .next
                    .map(|next| address.clone().with("after", &next.to_text()).to_string()),
                newest: query.after.map(|_| address.to_string()),
            },
            destination: name,
            shell,
        }
    }
}

impl SightingRow {
    fn new(shell: &Shell, s: &Sighting, now: Millis) -> SightingRow {
        let seen = &s.observation;
        SightingRow {
            href: shell
                .at(&["runs", &s.run, "network"])
                .with("q", &seen.destination.chars().take(200).collect::<String>())
                .to_string(),
            project: Text::new(&s.project_name, 48),
            pipeline: Text::new(&s.pipeline, 48),
            job: Text::new(&s.job, 48),
            started: Moment::ago(s.started_at, now),
            connections: count(seen.connections),
            blocked: (seen.blocked > 0).then(|| count(seen.blocked)),
            sent: bytes(seen.bytes_sent),
            received: bytes(seen.bytes_received),
            program: Text::program(&seen.program, 32),
        }
    }
}
