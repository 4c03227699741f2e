//! The text of a policy with what was found out about it: its faults in place, and what it would have stopped.

use askama::Template;
use askama::filters::HtmlSafe;
use runward_event::Mode;
use runward_report::text::{clipped, count, counted, visible};
use runward_store::ProjectSummary;

use super::super::hostile::Text;
use super::super::number::length;
use super::super::run::WhatIfRow;
use super::super::runs::{Choice, project_choices};
use super::super::shell::Shell;
use crate::policy::{NOTE_MAX, PolicyFault, TEXT_MAX};
use crate::what_if::{Tried, TriedRun};

/// Faults that are shown.
const FAULTS: usize = 50;
/// Programs of a row that are shown.
const PROGRAMS: usize = 6;
/// How many runs can be chosen.
const RUNS: [u32; 4] = [5, 10, 20, 50];
/// How many are chosen at first.
const RUNS_FIRST: u32 = 10;

/// What somebody typed, to be shown again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Typed {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) note: String,
    /// Whose runs a policy is tried on: a project's number, `policy` for those of the policy's own jobs, or nothing.
    pub(crate) whose: String,
    pub(crate) runs: Option<u32>,
}

/// What was found out about a typed text.
pub(crate) enum Answer {
    /// Nobody asked.
    None,
    /// It has faults.
    Faults(Vec<PolicyFault>),
    /// It has none.
    Fine(Mode, Vec<PolicyFault>),
    /// It has none, and was tried.
    Tried(Mode, Vec<PolicyFault>, Tried),
    /// It was not tried or saved, and why.
    Refused(String),
}

/// The fields of a form, with what was found out. The form itself, and what it is for, is the page's.
#[derive(Template)]
#[template(path = "policy/editor.html")]
pub(super) struct Editor {
    text: String,
    rows: usize,
    text_max: usize,
    pub(super) note: String,
    pub(super) note_max: usize,
    /// Whether the faults are such.
    broken: bool,
    faults: Vec<Fault>,
    more_faults: Option<String>,
    fine: Option<String>,
    refused: Option<String>,
    trial: Option<Trial>,
    whose: Vec<Choice>,
    runs: Vec<Choice>,
}

/// The template escapes its texts.
impl HtmlSafe for Editor {}

/// A fault, or what is odd.
struct Fault {
    line: u32,
    column: u32,
    /// Characters of what is meant.
    length: usize,
    odd: bool,
    message: String,
    suggestion: Option<Text>,
    before: String,
    marked: String,
    after: String,
}

struct Trial {
    good: bool,
    verdict: String,
    remark: Option<String>,
    rows: Vec<Stopped>,
    runs: Vec<RunRow>,
}

struct Stopped {
    destination: Text,
    programs: Vec<Text>,
    connections: String,
    then: Option<String>,
    runs: String,
    reason: String,
}

struct RunRow {
    job: Text,
    project: Text,
    href: String,
    connections: String,
    stopped: String,
    any: bool,
}

impl Editor {
    /// `own` says that the policy is attached, so that there are runs of its own jobs.
    pub(super) fn new(
        shell: &Shell,
        typed: &Typed,
        answer: &Answer,
        projects: &[ProjectSummary],
        own: bool,
    ) -> Editor {
        let faults: &[PolicyFault] = match answer {
            Answer::Faults(faults) | Answer::Fine(_, faults) | Answer::Tried(_, faults, _) => {
                faults
            }
            Answer::None | Answer::Refused(_) => &[],
        };
        let odd = !matches!(answer, Answer::Faults(_));
        let left = faults.len().saturating_sub(FAULTS);
        Editor {
            rows: typed.text.lines().count().saturating_add(2).clamp(12, 32),
            text: typed.text.chars().take(TEXT_MAX).collect(),
            text_max: TEXT_MAX,
            note: typed.note.chars().take(NOTE_MAX).collect(),
            note_max: NOTE_MAX,
            broken: matches!(answer, Answer::Faults(_)),
            faults: faults
                .iter()
                .take(FAULTS)
                .map(|fault| Fault::new(fault, odd))
                .collect(),
            more_faults: (left > 0).then(|| count(u64::try_from(left).unwrap_or(u64::MAX))),
            fine: match answer {
                Answer::Fine(mode, doubts) => Some(fine(*mode, doubts)),
                _ => None,
            },
            refused: match answer {
                Answer::Refused(why) => Some(clipped(why, 300)),
                _ => None,
            },
            trial: match answer {
                Answer::Tried(mode, _, tried) => Some(Trial::new(shell, *mode, tried)),
                _ => None,
            },
            whose: whose(typed, projects, own),
            runs: runs(typed),
        }
    }
}

fn fine(mode: Mode, doubts: &[PolicyFault]) -> String {
    let mode = match mode {
        Mode::Block => "What it does not allow is stopped.",
        Mode::Audit => "What it does not allow is recorded, and not stopped.",
    };
    let odd = match length(doubts) {
        0 => String::new(),
        n => format!(" {} odd:", counted(n, "place is", "places are")),
    };
    format!("No faults. {mode}{odd}")
}

fn whose(typed: &Typed, projects: &[ProjectSummary], own: bool) -> Vec<Choice> {
    let mut choices = Vec::new();
    if own {
        choices.push(Choice {
            value: "policy".to_owned(),
            label: "jobs that it is in effect for".to_owned(),
            chosen: typed.whose == "policy",
        });
    }
    choices.push(Choice {
        value: String::new(),
        label: "all projects".to_owned(),
        chosen: typed.whose.is_empty(),
    });
    choices.extend(project_choices(projects, typed.whose.parse().ok()));
    choices
}

/// How many runs to choose from.
pub(super) fn runs(typed: &Typed) -> Vec<Choice> {
    let chosen = typed.runs.unwrap_or(RUNS_FIRST);
    let choice = |n: u32| Choice {
        value: n.to_string(),
        label: n.to_string(),
        chosen: n == chosen,
    };
    RUNS.into_iter().map(choice).collect()
}

impl Fault {
    fn new(fault: &PolicyFault, odd: bool) -> Fault {
        let part = |from: usize, to: usize| {
            let part: String = fault
                .excerpt
                .chars()
                .skip(from)
                .take(to.saturating_sub(from))
                .collect();
            visible(&part).into_owned()
        };
        Fault {
            line: fault.line,
            column: fault.column,
            length: fault.marked.len().max(1),
            odd,
            message: clipped(&fault.message, 400),
            suggestion: fault
                .suggestion
                .as_deref()
                .map(|meant| Text::new(meant, 120)),
            before: part(0, fault.marked.start),
            marked: part(fault.marked.start, fault.marked.end),
            after: part(fault.marked.end, usize::MAX),
        }
    }
}

impl Trial {
    fn new(shell: &Shell, mode: Mode, tried: &Tried) -> Trial {
        Trial {
            good: tried.rows.is_empty()
                && !tried.runs.is_empty()
                && tried.runs.iter().all(|run| run.unjudged == 0),
            verdict: verdict(mode, tried),
            remark: remark(tried),
            rows: tried.rows.iter().map(Stopped::new).collect(),
            runs: tried
                .runs
                .iter()
                .map(|run| RunRow::new(shell, run))
                .collect(),
        }
    }
}

/// What the trial could not look at, or does not show.
fn remark(tried: &Tried) -> Option<String> {
    let unjudged = tried.runs.iter().map(|run| run.unjudged);
    let unjudged = unjudged.fold(0, u64::saturating_add);
    let mut said = Vec::new();
    if tried.omitted > 0 {
        let runs = counted(tried.omitted, "older run was", "older runs were");
        said.push(format!(
            "{runs} left out: together they are too much to look through at once."
        ));
    }
    if unjudged > 0 {
        let connections = counted(unjudged, "connection was", "connections were");
        said.push(format!(
            "{connections} not judged: the runs made more than a report lists."
        ));
    }
    if tried.unlisted > 0 {
        let destinations = counted(tried.unlisted, "destination is", "destinations are");
        said.push(format!("{destinations} not listed here."));
    }
    (!said.is_empty()).then(|| said.join(" "))
}

fn verdict(mode: Mode, tried: &Tried) -> String {
    let runs = counted(length(&tried.runs), "run", "runs");
    if tried.runs.is_empty() {
        return "There is no run to try it on.".to_owned();
    }
    if tried.rows.is_empty() {
        let of_it = if tried.runs.iter().any(|run| run.unjudged > 0) {
            "everything that was judged"
        } else {
            "everything"
        };
        return format!("It would have let {of_it} through that {runs} did.");
    }
    let sum = |of: fn(&TriedRun) -> u64| tried.runs.iter().map(of).fold(0, u64::saturating_add);
    let hit = tried.runs.iter().filter(|run| run.stopped > 0).count();
    let then = tried
        .rows
        .iter()
        .fold(0, |sum: u64, row| sum.saturating_add(row.stopped_then));
    let act = match mode {
        Mode::Block => "stopped",
        Mode::Audit => "recorded as not allowed, and let through,",
    };
    let already = match then {
        0 => String::new(),
        n => format!(
            " Of these, {} stopped then, too.",
            counted(n, "was", "were")
        ),
    };
    format!(
        "It would have {act} {} to {}, in {} of {runs}.{already}",
        counted(sum(|run| run.stopped), "connection", "connections"),
        counted(
            length(&tried.rows).saturating_add(tried.unlisted),
            "destination",
            "destinations"
        ),
        count(u64::try_from(hit).unwrap_or(u64::MAX)),
    )
}

impl Stopped {
    fn new(row: &WhatIfRow) -> Stopped {
        Stopped {
            destination: Text::new(&row.destination, 80),
            programs: row
                .processes
                .iter()
                .take(PROGRAMS)
                .map(|program| Text::program(program, 28))
                .collect(),
            connections: count(row.connections),
            then: (row.stopped_then > 0).then(|| count(row.stopped_then)),
            runs: count(row.runs),
            reason: clipped(&row.reason, 200),
        }
    }
}

impl RunRow {
    fn new(shell: &Shell, tried: &TriedRun) -> RunRow {
        RunRow {
            job: Text::new(&tried.run.job, 60),
            project: Text::new(&tried.run.project_name, 60),
            href: shell.at(&["runs", &tried.run.id, "policy"]).to_string(),
            connections: count(tried.connections),
            stopped: count(tried.stopped),
            any: tried.stopped > 0,
        }
    }
}
