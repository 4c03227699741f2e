//! The first page: what has happened lately, what waits for a decision, and how much of the fleet is fenced.

use askama::Template;
use runward_store::{Day, Detection, Millis, Overview, Run};

use super::chart::{Bars, Meter, Value};
use super::detections::{DetectionRow, Hidden};
use super::moment::day;
use super::number::{count, counted, percent};
use super::run_row::RunRow;
use super::shell::{Section, Shell};

/// `/o/{org}`.
#[derive(Template)]
#[template(path = "overview.html")]
pub(crate) struct OverviewPage {
    shell: Shell,
    /// Nothing has been sent yet.
    empty: bool,
    period: String,
    tiles: Vec<Tile>,
    charts: Vec<Chart>,
    /// The charts' numbers as a table: day, runs, in block mode, blocked calls, detections.
    table: Vec<[String; 5]>,
    coverage: Coverage,
    runs: Vec<RunRow>,
    runs_href: String,
    detections: Vec<DetectionRow>,
    open: String,
    hidden: Option<Hidden>,
    detections_href: String,
    settings_href: String,
}

struct Tile {
    number: String,
    label: &'static str,
    href: String,
    tone: &'static str,
}

struct Chart {
    title: &'static str,
    /// The sum over all days.
    sum: String,
    remark: String,
    bars: Bars,
    first: String,
    last: String,
}

struct Coverage {
    said: String,
    percent: Option<i64>,
    meter: Meter,
    rest: String,
}

impl OverviewPage {
    /// `runs` are the newest ones, `detections` the newest open ones; a few of each are enough.
    pub(crate) fn new(
        shell: Shell,
        overview: &Overview,
        runs: &[Run],
        detections: &[Detection],
        now: Millis,
    ) -> OverviewPage {
        let shell = shell.titled("Overview", Section::Overview);
        OverviewPage {
            empty: overview.projects == 0 && runs.is_empty(),
            period: match overview.days.len() {
                1 => "Last day".to_owned(),
                days => format!("Last {days} days"),
            },
            tiles: tiles(&shell, overview),
            charts: charts(&overview.days),
            table: overview.days.iter().rev().map(table_row).collect(),
            coverage: Coverage::new(overview),
            runs: runs
                .iter()
                .map(|run| RunRow::new(&shell, run, now))
                .collect(),
            runs_href: shell.at(&["runs"]).to_string(),
            detections: detections
                .iter()
                .map(|detection| DetectionRow::new(&shell, detection, now))
                .collect(),
            open: count(overview.open_detections),
            hidden: Hidden::of(&shell, overview.hidden_detections, |address| address),
            detections_href: shell.at(&["detections"]).to_string(),
            settings_href: format!("{}#keys", shell.at(&["settings"])),
            shell,
        }
    }
}

fn tiles(shell: &Shell, overview: &Overview) -> Vec<Tile> {
    let open = overview.open_detections;
    vec![
        Tile {
            number: count(open),
            label: if open == 1 {
                "open detection"
            } else {
                "open detections"
            },
            href: shell.at(&["detections"]).to_string(),
            tone: if open > 0 { "alarm" } else { "" },
        },
        Tile {
            number: count(overview.running),
            label: if overview.running == 1 {
                "run under way"
            } else {
                "runs under way"
            },
            href: shell.at(&["runs"]).with("state", "running").to_string(),
            tone: if overview.running > 0 { "going" } else { "" },
        },
        Tile {
            number: count(overview.jobs),
            label: if overview.jobs == 1 { "job" } else { "jobs" },
            href: shell.at(&["runs"]).to_string(),
            tone: "",
        },
        Tile {
            number: count(overview.projects),
            label: if overview.projects == 1 {
                "project"
            } else {
                "projects"
            },
            href: shell.at(&["projects"]).to_string(),
            tone: "",
        },
        Tile {
            number: count(overview.destinations),
            label: if overview.destinations == 1 {
                "destination"
            } else {
                "destinations"
            },
            href: shell.at(&["destinations"]).to_string(),
            tone: "",
        },
    ]
}

fn charts(days: &[Day]) -> Vec<Chart> {
    let first = days.first().map(|d| day(d.start)).unwrap_or_default();
    let last = days.last().map(|d| day(d.start)).unwrap_or_default();
    let sum = |of: fn(&Day) -> i64| days.iter().map(of).fold(0, i64::saturating_add);
    let chart = |title: &'static str,
                 tone,
                 remark: String,
                 whole: fn(&Day) -> i64,
                 part: fn(&Day) -> i64,
                 one,
                 many| {
        let values = days
            .iter()
            .map(|d| Value {
                whole: whole(d),
                part: part(d),
                said: format!("{}: {}", day(d.start), counted(whole(d), one, many)),
            })
            .collect();
        let all = count(sum(whole));
        let most = days.iter().map(whole).max().unwrap_or(0);
        Chart {
            title,
            bars: Bars::new(
                format!(
                    "{title} on each day from {first} to {last}: {all} in all, at most {} on a day",
                    count(most)
                ),
                tone,
                values,
            ),
            sum: all,
            remark,
            first: first.clone(),
            last: last.clone(),
        }
    };
    vec![
        chart(
            "Runs",
            "runs",
            format!("{} in block mode", count(sum(|d| d.blocking))),
            |d| d.runs,
            |d| d.blocking,
            "run",
            "runs",
        ),
        chart(
            "Blocked calls",
            "blocked",
            String::new(),
            |d| d.blocked,
            |d| d.blocked,
            "blocked call",
            "blocked calls",
        ),
        chart(
            "Detections",
            "detections",
            String::new(),
            |d| d.detections,
            |d| d.detections,
            "detection",
            "detections",
        ),
    ]
}

fn table_row(d: &Day) -> [String; 5] {
    [
        day(d.start),
        count(d.runs),
        count(d.blocking),
        count(d.blocked),
        count(d.detections),
    ]
}

impl Coverage {
    fn new(overview: &Overview) -> Coverage {
        let Overview {
            jobs,
            blocking_jobs,
            ..
        } = *overview;
        let said = format!(
            "{} of {}",
            count(blocking_jobs),
            counted(jobs, "job", "jobs")
        );
        let rest = jobs.saturating_sub(blocking_jobs);
        Coverage {
            percent: percent(blocking_jobs, jobs),
            meter: Meter::new(format!("{said} in block mode"), "good", blocking_jobs, jobs),
            said,
            rest: match rest {
                0 => "Every job was fenced in its last run.".to_owned(),
                1 => "1 job was only recorded in its last run.".to_owned(),
                n => format!("{} jobs were only recorded in their last run.", count(n)),
            },
        }
    }
}
