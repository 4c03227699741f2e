//! Runs, newest first, with the filter in the address.

use askama::Template;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use runward_store::{
    Cursor, Millis, Page, PageRequest, ProjectId, ProjectSummary, Run, RunFilter, RunState, Tag,
    Tags,
};

use super::address::Address;
use super::hostile::Text;
use super::pager::Older;
use super::query::{self, Pairs};
use super::run_row::RunRow;
use super::shell::{Section, Shell};

/// Rows of one page.
const ROWS: u32 = 50;

/// What the address of the list of runs says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct RunsQuery {
    project: Option<i64>,
    pipeline: Option<String>,
    job: Option<String>,
    branch: Option<String>,
    state: Option<RunState>,
    tags: Tags,
    within: Option<Within>,
    from: Option<Date>,
    to: Option<Date>,
    text: Option<String>,
    after: Option<Cursor>,
}

/// A time up to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Within {
    Hour,
    Day,
    Week,
    Month,
}

impl Within {
    const ALL: [Within; 4] = [Within::Hour, Within::Day, Within::Week, Within::Month];

    fn name(self) -> &'static str {
        match self {
            Within::Hour => "1h",
            Within::Day => "24h",
            Within::Week => "7d",
            Within::Month => "30d",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Within::Hour => "in the last hour",
            Within::Day => "in the last 24 hours",
            Within::Week => "in the last 7 days",
            Within::Month => "in the last 30 days",
        }
    }

    fn millis(self) -> Millis {
        const HOUR: Millis = 3_600_000;
        match self {
            Within::Hour => HOUR,
            Within::Day => 24 * HOUR,
            Within::Week => 7 * 24 * HOUR,
            Within::Month => 30 * 24 * HOUR,
        }
    }
}

const STATES: [(RunState, &str); 3] = [
    (RunState::Running, "running"),
    (RunState::Finished, "finished"),
    (RunState::Silent, "silent"),
];

impl RunsQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> RunsQuery {
        let state = query::text(pairs, "state");
        let within = query::text(pairs, "within");
        let date = |name| query::text(pairs, name).and_then(|text| text.parse().ok());
        RunsQuery {
            project: query::number(pairs, "project"),
            pipeline: query::text(pairs, "pipeline"),
            job: query::text(pairs, "job"),
            branch: query::text(pairs, "branch"),
            state: STATES
                .into_iter()
                .find(|(_, name)| Some(*name) == state.as_deref())
                .map(|(state, _)| state),
            tags: query::values(pairs, "tag")
                .filter_map(Tag::from_name)
                .fold(Tags::default(), Tags::with),
            within: Within::ALL
                .into_iter()
                .find(|w| Some(w.name()) == within.as_deref()),
            from: date("from"),
            to: date("to"),
            text: query::text(pairs, "q"),
            after: query::cursor(pairs, "after"),
        }
    }

    /// What the store is asked for.
    pub(crate) fn filter(&self, now: Millis) -> RunFilter {
        let midnight = |date: Date| {
            date.to_zoned(TimeZone::UTC)
                .map(|zoned| zoned.timestamp().as_millisecond())
                .ok()
        };
        // The last day counts as a whole, so the end is the day after.
        let until = self.to.and_then(|to| midnight(to.tomorrow().ok()?));
        let since = match self.within {
            Some(within) => Some(now.saturating_sub(within.millis())),
            None => self.from.and_then(midnight),
        };
        RunFilter {
            project: self.project.map(ProjectId),
            pipeline: self.pipeline.clone(),
            job: self.job.clone(),
            branch: self.branch.clone(),
            state: self.state,
            tags: self.tags,
            recorded: false,
            since,
            until: until.filter(|_| self.within.is_none()),
            text: self.text.clone(),
        }
    }

    /// Which part of the list is wanted.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            after: self.after,
            limit: ROWS,
        }
    }

    fn is_filtered(&self) -> bool {
        *self
            != RunsQuery {
                after: self.after,
                ..RunsQuery::default()
            }
    }

    fn address(&self, shell: &Shell, after: Option<Cursor>) -> Address {
        let state = self
            .state
            .and_then(|state| STATES.into_iter().find(|(s, _)| *s == state));
        let date = |date: Option<Date>| date.map(|date| date.to_string());
        let mut address = shell
            .at(&["runs"])
            .with_some("q", self.text.as_deref())
            .with_some("project", self.project.map(|id| id.to_string()).as_deref())
            .with_some("pipeline", self.pipeline.as_deref())
            .with_some("job", self.job.as_deref())
            .with_some("branch", self.branch.as_deref())
            .with_some("state", state.map(|(_, name)| name))
            .with_some("within", self.within.map(Within::name))
            .with_some("from", date(self.from).as_deref())
            .with_some("to", date(self.to).as_deref());
        for tag in self.tags.list() {
            address = address.with("tag", tag.name());
        }
        address.with_some("after", after.map(Cursor::to_text).as_deref())
    }
}

/// `/o/{org}/runs`.
#[derive(Template)]
#[template(path = "runs.html")]
pub(crate) struct RunsPage {
    shell: Shell,
    action: String,
    runs: Vec<RunRow>,
    older: Older,
    filtered: bool,
    /// Whether the rarely used fields hold something, so that they must be seen.
    more_open: bool,
    text: String,
    pipeline: String,
    job: String,
    branch: String,
    from: String,
    to: String,
    projects: Vec<Choice>,
    states: Vec<Choice>,
    times: Vec<Choice>,
    tags: Vec<Choice>,
    settings_href: String,
}

/// One of several values of a field.
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) chosen: bool,
}

impl RunsPage {
    /// The rows that the store gave for `query`, and all projects to choose from.
    pub(crate) fn new(
        shell: Shell,
        query: &RunsQuery,
        page: &Page<Run>,
        projects: &[ProjectSummary],
        now: Millis,
    ) -> RunsPage {
        let shell = shell.titled("Runs", Section::Runs);
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let date = |date: Option<Date>| date.map(|date| date.to_string()).unwrap_or_default();
        RunsPage {
            action: shell.at(&["runs"]).to_string(),
            runs: page
                .rows
                .iter()
                .map(|run| RunRow::new(&shell, run, now))
                .collect(),
            older: Older {
                next: page
                    .next
                    .map(|next| query.address(&shell, Some(next)).to_string()),
                newest: query.after.map(|_| query.address(&shell, None).to_string()),
            },
            filtered: query.is_filtered(),
            more_open: query.pipeline.is_some()
                || query.job.is_some()
                || query.from.is_some()
                || query.to.is_some()
                || query.tags != Tags::default(),
            text: text(&query.text),
            pipeline: text(&query.pipeline),
            job: text(&query.job),
            branch: text(&query.branch),
            from: date(query.from),
            to: date(query.to),
            projects: project_choices(projects, query.project),
            states: STATES
                .into_iter()
                .map(|(state, name)| Choice {
                    value: name.to_owned(),
                    label: name.to_owned(),
                    chosen: query.state == Some(state),
                })
                .collect(),
            times: Within::ALL
                .into_iter()
                .map(|within| Choice {
                    value: within.name().to_owned(),
                    label: within.label().to_owned(),
                    chosen: query.within == Some(within),
                })
                .collect(),
            tags: Tag::ALL
                .into_iter()
                .map(|tag| Choice {
                    value: tag.name().to_owned(),
                    label: tag.name().replace('-', " "),
                    chosen: query.tags.has(tag),
                })
                .collect(),
            settings_href: format!("{}#keys", shell.at(&["settings"])),
            shell,
        }
    }
}

/// Projects to choose from, by name.
pub(crate) fn project_choices(projects: &[ProjectSummary], chosen: Option<i64>) -> Vec<Choice> {
    let mut choices: Vec<Choice> = projects
        .iter()
        .map(|p| Choice {
            value: p.project.id.0.to_string(),
            label: Text::new(&p.project.name, 60).plain().to_owned(),
            chosen: chosen == Some(p.project.id.0),
        })
        .collect();
    choices.sort_by(|a, b| a.label.cmp(&b.label));
    choices
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_785_576_612_000;

    fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
        query
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect()
    }

    #[test]
    fn the_next_part_keeps_the_filter() {
        let query = pairs(&[
            ("q", "a b"),
            ("project", "3"),
            ("state", "running"),
            ("tag", "loss"),
            ("tag", "blocked-call"),
            ("from", "2026-07-01"),
            ("after", "5-6"),
        ]);
        let query = RunsQuery::parse(&query);
        let shell = Shell::of("acme", "Acme");
        assert_eq!(
            query
                .address(&shell, Some(Cursor { time: 1, id: 2 }))
                .to_string(),
            "/o/acme/runs?q=a%20b&project=3&state=running&from=2026-07-01&tag=blocked-call&tag=loss&after=1-2"
        );
        assert_eq!(query.page().after, Some(Cursor { time: 5, id: 6 }));
        assert!(query.is_filtered());
    }

    #[test]
    fn what_says_nothing_sensible_is_not_said() {
        let odd = pairs(&[
            ("project", "x"),
            ("state", "odd"),
            ("tag", "none"),
            ("within", "1y"),
            ("from", "yesterday"),
            ("q", "  "),
            ("after", "x"),
        ]);
        assert_eq!(RunsQuery::parse(&odd), RunsQuery::default());
        assert!(!RunsQuery::default().is_filtered());
    }

    #[test]
    fn a_range_of_days_has_its_last_day() {
        let query = RunsQuery::parse(&pairs(&[("from", "2026-07-01"), ("to", "2026-07-01")]));
        let filter = query.filter(NOW);
        assert_eq!(
            filter.until.zip(filter.since).map(|(u, s)| u - s),
            Some(86_400_000)
        );
        let within =
            RunsQuery::parse(&pairs(&[("within", "1h"), ("to", "2026-07-01")])).filter(NOW);
        assert_eq!((within.since, within.until), (Some(NOW - 3_600_000), None));
    }
}
