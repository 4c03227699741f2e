//! What is normal for jobs: the list of baselines, and one of them.

use askama::Template;
use runward_baseline::{Member, OpenAnomaly, State};
use runward_event::Time;
use runward_report::text::clipped;
use runward_store::{
    Baseline, BaselineEntry, BaselineFilter, BaselineSettings, BaselineState, Cursor, Millis, Page,
    PageRequest, ProjectId,
};

use super::address::Address;
use super::hostile::Text;
use super::moment::Moment;
use super::number::{count, counted};
use super::pager::Older;
use super::pill::Pill;
use super::query::{self, Pairs};
use super::shell::{Section, Shell};
use crate::app::millis;

/// Rows of one page.
const ROWS: u32 = 50;
/// Lines of the changelog on the page of one baseline.
const ENTRIES: u32 = 50;

/// What the address of the list says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BaselinesQuery {
    state: Option<BaselineState>,
    project: Option<i64>,
    after: Option<Cursor>,
}

const STATES: [(Option<BaselineState>, &str, &str); 4] = [
    (None, "all", "All"),
    (Some(BaselineState::Creating), "creating", "Creating"),
    (Some(BaselineState::Stable), "stable", "Stable"),
    (Some(BaselineState::Unstable), "unstable", "Unstable"),
];

impl BaselinesQuery {
    /// Reads the pairs of the address's query.
    pub(crate) fn parse(pairs: &Pairs) -> BaselinesQuery {
        let state = query::text(pairs, "state");
        BaselinesQuery {
            state: STATES
                .into_iter()
                .find(|(_, name, _)| Some(*name) == state.as_deref())
                .and_then(|(state, ..)| state),
            project: query::text(pairs, "project").and_then(|id| id.parse().ok()),
            after: query::cursor(pairs, "after"),
        }
    }

    /// What the store is asked for.
    pub(crate) fn filter(&self) -> BaselineFilter {
        BaselineFilter {
            project: self.project.map(ProjectId),
            state: self.state,
        }
    }

    /// Which part of the list is wanted.
    pub(crate) fn page(&self) -> PageRequest {
        PageRequest {
            after: self.after,
            limit: ROWS,
        }
    }

    fn address(&self, shell: &Shell, state: Option<BaselineState>) -> Address {
        let name = STATES
            .into_iter()
            .find(|(known, ..)| *known == state)
            .map(|(_, name, _)| name)
            .filter(|name| *name != "all");
        let project = self.project.map(|project| project.to_string());
        shell
            .at(&["baseline"])
            .with_some("project", project.as_deref())
            .with_some("state", name)
    }
}

/// `/o/{org}/baseline`.
#[derive(Template)]
#[template(path = "baselines.html")]
pub(crate) struct BaselinesPage {
    shell: Shell,
    states: Vec<Facet>,
    rows: Vec<Row>,
    /// No job has a baseline yet.
    empty: bool,
    older: Older,
    settings: Settings,
    settings_action: String,
}

struct Facet {
    label: &'static str,
    count: String,
    href: String,
    current: bool,
}

struct Row {
    job: Text,
    project: Text,
    pipeline: Text,
    href: String,
    state: Pill,
    runs: String,
    members: String,
    open: String,
    any_open: bool,
    rate: String,
    changed: Moment,
}

struct Settings {
    min_runs: i64,
    min_days: Option<i64>,
    runs_per_alert: i64,
    news_commits: i64,
    alert_commits: Option<i64>,
}

impl BaselinesPage {
    /// The rows that the store gave for `query`, how many there are in each state, and what is set.
    pub(crate) fn new(
        shell: Shell,
        query: &BaselinesQuery,
        page: &Page<Baseline>,
        counts: &[(BaselineState, i64)],
        settings: &BaselineSettings,
        now: Millis,
    ) -> BaselinesPage {
        let shell = shell.titled("Baseline", Section::Baseline);
        let own = query.address(&shell, query.state);
        let in_state = |state: Option<BaselineState>| {
            let counted = counts
                .iter()
                .filter(|(known, _)| state.is_none_or(|wanted| wanted == *known));
            counted.map(|(_, count)| count).sum::<i64>()
        };
        BaselinesPage {
            states: STATES
                .into_iter()
                .map(|(state, _, label)| Facet {
                    label,
                    count: count(in_state(state)),
                    href: query.address(&shell, state).to_string(),
                    current: state == query.state,
                })
                .collect(),
            rows: page
                .rows
                .iter()
                .map(|row| Row::new(&shell, row, now))
                .collect(),
            empty: counts.is_empty(),
            older: Older {
                next: page
                    .next
                    .map(|next| own.clone().with("after", &next.to_text()).to_string()),
                newest: query.after.map(|_| own.to_string()),
            },
            settings: Settings {
                min_runs: settings.min_runs,
                min_days: settings.min_days,
                runs_per_alert: settings.runs_per_alert,
                news_commits: settings.news_commits,
                alert_commits: settings.alert_commits,
            },
            settings_action: shell.at(&["baseline"]).to_string(),
            shell,
        }
    }
}

impl Row {
    fn new(shell: &Shell, row: &Baseline, now: Millis) -> Row {
        let summary = row.summary;
        Row {
            job: Text::new(&row.job_name, 60),
            project: Text::new(&row.project_name, 60),
            pipeline: Text::new(&row.pipeline, 60),
            href: shell.at(&["baseline", &row.job.0.to_string()]).to_string(),
            state: Pill::baseline(summary.state),
            runs: count(summary.runs),
            members: count(summary.members),
            open: count(summary.open),
            any_open: summary.open > 0,
            rate: match summary.state {
                BaselineState::Creating => String::new(),
                _ => once_in(summary.alert_rate),
            },
            changed: Moment::ago(row.changed_at, now),
        }
    }
}

/// `once in 240 runs (between 110 and 900)`, of a rate and its bounds.
fn once_in([mean, low, high]: [f64; 3]) -> String {
    let runs = |rate: f64| {
        let runs = (1.0 / rate.max(1e-9)).round().max(1.0);
        if runs >= 10_000.0 {
            "more than 10,000".to_owned()
        } else {
            format!("{runs:.0}")
        }
    };
    format!(
        "once in {} runs (between {} and {})",
        runs(mean),
        runs(high),
        runs(low)
    )
}

/// What the page of one baseline is made of.
pub(crate) struct BaselineParts<'a> {
    pub(crate) row: &'a Baseline,
    pub(crate) state: &'a State,
    /// How often it shows something new, and how often it alerts, in words.
    pub(crate) rates: [String; 2],
    pub(crate) members: &'a [Member],
    pub(crate) open: &'a [OpenAnomaly],
    pub(crate) entries: &'a Page<BaselineEntry>,
    /// How many destinations or files and how many new things were given up, because there are too many.
    pub(crate) given_up: (u64, u64),
}

/// `/o/{org}/baseline/{job}`.
#[derive(Template)]
#[template(path = "baseline.html")]
pub(crate) struct BaselinePage {
    shell: Shell,
    list_href: String,
    policy_href: String,
    detections_href: String,
    action: String,
    job: Text,
    project: Text,
    pipeline: Text,
    state: Pill,
    runs: String,
    /// Why it is in this state, a sentence each, and what would help.
    reasons: Vec<Reason>,
    rates: [String; 2],
    creating: bool,
    open: Vec<Open>,
    groups: [Group; 2],
    given_up: Option<String>,
    entries: Vec<Entry>,
    older: Older,
}

struct Reason {
    what: String,
    remedy: String,
    culprits: Vec<Text>,
    policy: Vec<Text>,
}

struct Open {
    key: String,
    subject: Text,
    kind: &'static str,
    told: bool,
    programs: Vec<Text>,
    first: Moment,
    last: Moment,
    runs: String,
    /// What it takes to become normal.
    takes: String,
    rejected_by: Option<Text>,
}

/// What is normal: destinations, or files.
struct Group {
    title: &'static str,
    id: &'static str,
    rows: Vec<Normal>,
}

struct Normal {
    key: String,
    subject: Text,
    pattern: Option<String>,
    programs: Vec<Text>,
    steps: Vec<Text>,
    first: Moment,
    last: Moment,
    runs: String,
    how: Text,
}

struct Entry {
    at: Moment,
    what: Text,
    subject: Text,
    why: Text,
    by: Text,
    run_href: Option<String>,
}

/// The part of the changelog that is wanted.
pub(crate) fn entries_page(pairs: &Pairs) -> PageRequest {
    PageRequest {
        after: query::cursor(pairs, "after"),
        limit: ENTRIES,
    }
}

impl BaselinePage {
    pub(crate) fn new(
        shell: Shell,
        parts: &BaselineParts<'_>,
        asked: PageRequest,
        now: Millis,
    ) -> BaselinePage {
        let row = parts.row;
        let shell = shell.titled(&format!("Baseline of {}", row.job_name), Section::Baseline);
        let job = row.job.0.to_string();
        let own = shell.at(&["baseline", &job]);
        let normal = |files: bool| {
            let members = parts.members.iter();
            members
                .filter(|member| member.is_file == files)
                .map(|member| Normal::new(member, now))
                .collect()
        };
        BaselinePage {
            list_href: shell.at(&["baseline"]).to_string(),
            policy_href: shell
                .at(&["policies", "new"])
                .with("baseline", &job)
                .to_string(),
            detections_href: shell
                .at(&["detections"])
                .with("project", &row.project.0.to_string())
                .to_string(),
            action: own.to_string(),
            job: Text::new(&row.job_name, 80),
            project: Text::new(&row.project_name, 80),
            pipeline: Text::new(&row.pipeline, 80),
            state: Pill::baseline(row.summary.state),
            runs: counted(row.summary.runs, "run", "runs"),
            reasons: reasons(parts.state),
            rates: parts.rates.clone(),
            creating: row.summary.state == BaselineState::Creating,
            open: parts.open.iter().map(|open| Open::new(open, now)).collect(),
            groups: [
                Group {
                    title: "Normal destinations",
                    id: "calls",
                    rows: normal(false),
                },
                Group {
                    title: "Files that it overwrites",
                    id: "files",
                    rows: normal(true),
                },
            ],
            given_up: given_up(parts.given_up),
            entries: parts
                .entries
                .rows
                .iter()
                .map(|entry| Entry::new(&shell, entry, now))
                .collect(),
            older: Older {
                next: parts
                    .entries
                    .next
                    .map(|next| format!("{}#changes", own.clone().with("after", &next.to_text()))),
                newest: asked.after.map(|_| format!("{own}#changes")),
            },
            shell,
        }
    }
}

fn given_up((members, open): (u64, u64)) -> Option<String> {
    let [members, open] = [members, open].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let mut said = Vec::new();
    if members > 0 {
        said.push(counted(
            members,
            "thing that was normal",
            "things that were normal",
        ));
    }
    if open > 0 {
        said.push(counted(open, "new thing", "new things"));
    }
    (!said.is_empty()).then(|| {
        format!(
            "There were too many to keep: {} given up, and will count as new when seen again.",
            said.join(" and ")
        )
    })
}

fn reasons(state: &State) -> Vec<Reason> {
    match state {
        State::Stable => Vec::new(),
        State::Creating { runs, of, missing } => vec![Reason {
            what: format!("{runs} of {of} runs so far."),
            remedy: missing.clone(),
            culprits: Vec::new(),
            policy: Vec::new(),
        }],
        State::Unstable { reasons } => reasons
            .iter()
            .map(|reason| Reason {
                what: clipped(&reason.what, 400),
                remedy: clipped(&reason.remedy, 400),
                culprits: texts(&reason.culprits),
                policy: texts(&reason.policy),
            })
            .collect(),
    }
}

fn texts(all: &[String]) -> Vec<Text> {
    all.iter()
        .take(12)
        .map(|text| Text::new(text, 100))
        .collect()
}

fn moment(time: Time, now: Millis) -> Moment {
    Moment::ago(millis(time), now)
}

impl Open {
    fn new(open: &OpenAnomaly, now: Millis) -> Open {
        use runward_baseline::Kind;
        Open {
            key: open.key.as_str().to_owned(),
            subject: Text::new(&open.subject, 100),
            kind: match open.kind {
                Kind::NewDestination => "new destination",
                Kind::NewLineage => "new program",
                Kind::DataVolume => "more data than ever",
                Kind::NewOverwrite => "new overwritten file",
                _ => "many new things at once",
            },
            told: open.told,
            programs: texts(&open.programs),
            first: moment(open.first_seen, now),
            last: moment(open.last_seen, now),
            runs: count(i64::from(open.runs)),
            takes: match open.takes {
                None => "only a person can accept it".to_owned(),
                Some(takes) => format!("{} of {takes} commits of protected branches", open.counted),
            },
            rejected_by: open.rejected_by.as_deref().map(|by| Text::new(by, 60)),
        }
    }
}

impl Normal {
    fn new(member: &Member, now: Millis) -> Normal {
        use runward_baseline::How;
        Normal {
            key: member.key.as_str().to_owned(),
            subject: Text::new(&member.subject, 100),
            pattern: member.pattern.as_ref().map(|pattern| {
                clipped(
                    &format!(
                        "{}: * is {}; such as {}",
                        counted(i64::from(pattern.names), "name", "names"),
                        pattern.stars.join(", then "),
                        pattern.samples.join(", ")
                    ),
                    300,
                )
            }),
            programs: texts(&member.programs),
            steps: texts(&member.steps),
            first: moment(member.first_seen, now),
            last: moment(member.last_seen, now),
            runs: count(i64::try_from(member.runs).unwrap_or(i64::MAX)),
            how: match &member.how {
                How::Created => Text::new("the first runs", 60),
                How::Recurred => Text::new("recurring", 60),
                How::Accepted(by) => Text::new(by, 60),
            },
        }
    }
}

impl Entry {
    fn new(shell: &Shell, entry: &BaselineEntry, now: Millis) -> Entry {
        let line = &entry.entry;
        Entry {
            at: Moment::ago(line.at, now),
            what: Text::new(&line.what, 30),
            subject: Text::new(&line.subject, 100),
            why: Text::new(&line.why, 300),
            by: Text::new(line.person.as_deref().unwrap_or("the rules"), 60),
            run_href: line
                .run
                .as_deref()
                .map(|run| shell.at(&["runs", run]).to_string()),
        }
    }
}
