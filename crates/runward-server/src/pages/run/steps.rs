//! What each step and each dependency of a run did, summed from the report's rows.

use std::collections::{BTreeMap, HashMap};

use askama::Template;
use askama::filters::HtmlSafe;
use runward_event::Status;
use runward_report::text::{bytes, counted};
use runward_report::{Dependency, Ecosystem, Report};

use super::super::hostile::Text;
use super::super::shell::Shell;
use super::RunSource;
use super::actor::dependency_name;
use super::frame::{Frame, Tab, tab_address};

/// Steps or dependencies that are listed.
const GROUPS: usize = 500;
/// Destinations or files that one of them lists.
const ENTRIES: usize = 40;

/// `/o/{org}/runs/{run}/steps`.
#[derive(Template)]
#[template(path = "run/steps.html")]
pub(crate) struct StepsTab {
    shell: Shell,
    frame: Frame,
    steps: Groups,
    more_steps: usize,
    dependencies: Groups,
    more_dependencies: usize,
    /// Whether any step is known, so that the rest has a name.
    any: bool,
}

/// Steps or dependencies, below each other.
#[derive(Template)]
#[template(path = "run/groups.html")]
struct Groups {
    groups: Vec<Group>,
    /// Begins the names of their parts on the page.
    key: &'static str,
    /// What the one without a name is called.
    unnamed: &'static str,
}

/// The template escapes its texts.
impl HtmlSafe for Groups {}

impl Groups {
    fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// A step or a dependency.
struct Group {
    name: Text,
    ecosystem: &'static str,
    /// Sums, each with whether a person should look at it.
    sums: Vec<(String, bool)>,
    blocked: bool,
    overwritten: bool,
    destinations: Vec<(Text, bool)>,
    more_destinations: usize,
    all_destinations: usize,
    files: Vec<(Text, bool)>,
    more_files: usize,
    network_href: String,
    files_href: String,
}

/// What one of them did.
#[derive(Default)]
struct Sums<'a> {
    name: String,
    ecosystem: &'static str,
    processes: u64,
    connections: u64,
    blocked: u64,
    sent: u64,
    /// And whether something to them was blocked.
    destinations: BTreeMap<&'a str, bool>,
    file_changes: u64,
    /// And whether they were overwritten.
    files: BTreeMap<&'a str, bool>,
}

impl StepsTab {
    pub(crate) fn new(shell: Shell, source: &RunSource<'_>) -> StepsTab {
        let (shell, frame) = Frame::new(shell, source, Tab::Steps);
        let steps = by_step(source.report);
        let dependencies = by_dependency(source.report);
        let group = |sums: &Sums<'_>| Group::new(&shell, source, sums);
        StepsTab {
            any: steps.iter().any(|sums| !sums.name.is_empty()),
            more_steps: steps.len().saturating_sub(GROUPS),
            steps: Groups {
                groups: steps.iter().take(GROUPS).map(group).collect(),
                key: "s",
                unnamed: "Outside of any step",
            },
            more_dependencies: dependencies.len().saturating_sub(GROUPS),
            dependencies: Groups {
                groups: dependencies.iter().take(GROUPS).map(group).collect(),
                key: "k",
                unnamed: "",
            },
            frame,
            shell,
        }
    }
}

/// The number of a name, which is new if it was not met before.
fn place(
    rows: &mut Vec<Sums<'_>>,
    index: &mut HashMap<String, usize>,
    name: String,
    ecosystem: &'static str,
) -> usize {
    *index.entry(name).or_insert_with_key(|name| {
        rows.push(Sums {
            name: name.clone(),
            ecosystem,
            ..Sums::default()
        });
        rows.len() - 1
    })
}

/// Sums by step, in the order in which the steps were first met. What belongs to no step has the empty name.
fn by_step(report: &Report) -> Vec<Sums<'_>> {
    sums(report, |_, step| {
        Some((step.unwrap_or_default().to_owned(), ""))
    })
}

/// Sums by dependency, in the order in which their scripts first ran. What belongs to none is left out.
fn by_dependency(report: &Report) -> Vec<Sums<'_>> {
    sums(report, |dependency, _| {
        dependency.map(|d| (dependency_name(d), ecosystem(d.ecosystem)))
    })
}

fn sums(
    report: &Report,
    key: impl Fn(Option<&Dependency>, Option<&str>) -> Option<(String, &'static str)>,
) -> Vec<Sums<'_>> {
    let mut rows: Vec<Sums<'_>> = Vec::new();
    let mut index = HashMap::new();
    for row in &report.processes {
        let Some((name, world)) = key(row.dependency.as_ref(), row.step.as_deref()) else {
            continue;
        };
        let at = place(&mut rows, &mut index, name, world);
        if let Some(sums) = rows.get_mut(at) {
            sums.processes += 1;
        }
    }
    for row in &report.network_events {
        let Some((name, world)) = key(row.dependency.as_deref(), row.step.as_deref()) else {
            continue;
        };
        let at = place(&mut rows, &mut index, name, world);
        if let Some(sums) = rows.get_mut(at) {
            let blocked = row.status == Status::Blocked;
            sums.connections += 1;
            sums.blocked += u64::from(blocked);
            sums.sent = sums.sent.saturating_add(row.bytes_sent.unwrap_or(0));
            *sums.destinations.entry(&row.destination).or_default() |= blocked;
        }
    }
    for row in &report.file_events {
        let Some((name, world)) = key(row.dependency.as_deref(), row.step.as_deref()) else {
            continue;
        };
        let at = place(&mut rows, &mut index, name, world);
        if let Some(sums) = rows.get_mut(at) {
            sums.file_changes += 1;
            *sums.files.entry(&row.path).or_default() |= row.changed;
        }
    }
    rows
}

impl Group {
    fn new(shell: &Shell, source: &RunSource<'_>, sums: &Sums<'_>) -> Group {
        let sought: String = sums.name.chars().take(200).collect();
        let overwritten = sums.files.values().filter(|changed| **changed).count();
        let overwritten = u64::try_from(overwritten).unwrap_or(u64::MAX);
        let link = |tab| {
            tab_address(shell, &source.run.id, tab)
                .with_some("q", Some(&sought))
                .to_string()
        };
        Group {
            name: Text::new(&sums.name, 80),
            ecosystem: sums.ecosystem,
            sums: said(sums, overwritten),
            blocked: sums.blocked > 0,
            overwritten: overwritten > 0,
            destinations: entries(&sums.destinations),
            more_destinations: sums.destinations.len().saturating_sub(ENTRIES),
            all_destinations: sums.destinations.len(),
            files: entries(&sums.files),
            more_files: sums.files.len().saturating_sub(ENTRIES),
            network_href: link(Tab::Network),
            files_href: link(Tab::Files),
        }
    }
}

/// What one of them did, in numbers; what it did not do is left out, where that goes without saying.
fn said(sums: &Sums<'_>, overwritten: u64) -> Vec<(String, bool)> {
    let mut said = vec![
        (counted(sums.processes, "process", "processes"), false),
        (
            counted(sums.connections, "connection", "connections"),
            false,
        ),
    ];
    if sums.blocked > 0 {
        said.push((counted(sums.blocked, "blocked", "blocked"), true));
    }
    if sums.sent > 0 {
        said.push((format!("{} sent", bytes(sums.sent)), false));
    }
    said.push((
        counted(sums.file_changes, "file change", "file changes"),
        false,
    ));
    if overwritten > 0 {
        let files = counted(
            overwritten,
            "overwritten source file",
            "overwritten source files",
        );
        said.push((files, true));
    }
    said
}

/// The first entries, those that a person should look at before the others.
fn entries(all: &BTreeMap<&str, bool>) -> Vec<(Text, bool)> {
    let (marked, plain): (Vec<_>, Vec<_>) = all.iter().partition(|(_, marked)| **marked);
    marked
        .into_iter()
        .chain(plain)
        .take(ENTRIES)
        .map(|(text, marked)| (Text::new(text, 80), *marked))
        .collect()
}

fn ecosystem(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Npm => "npm",
        Ecosystem::Pip => "pip",
        Ecosystem::Cargo => "cargo",
        Ecosystem::Go => "go",
        Ecosystem::Maven => "maven",
        _ => "other",
    }
}
