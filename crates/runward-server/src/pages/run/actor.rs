//! The process that did something: its name in a row, and behind it the arguments and the way up.

use askama::Template;
use askama::filters::HtmlSafe;
use runward_report::text::clipped;
use runward_report::{Ancestor, Dependency, ProcessDetail};

use super::super::hostile::Text;

/// Arguments that are listed one by one.
const ARGUMENTS: usize = 60;
/// Processes on the way up that are listed.
const WAY_UP: usize = 24;
/// Characters of one argument.
const ARGUMENT: usize = 400;

/// A process as a row names it.
#[derive(Template)]
#[template(path = "part/actor.html")]
pub(crate) struct Actor {
    /// Names it on its page, so that it can be found again when the page has changed.
    key: String,
    program: Text,
    path: Text,
    pid: u32,
    arguments: Vec<Text>,
    more_arguments: usize,
    /// The fields that are incomplete, in words.
    cut: String,
    way_up: Vec<Step>,
    more_way_up: usize,
    /// Whether the way up does not reach the job's first process.
    broken: bool,
}

/// The template escapes its texts.
impl HtmlSafe for Actor {}

/// A process on the way up.
struct Step {
    program: Text,
    command: Text,
    pid: u32,
}

impl Actor {
    /// `key` is different for each one on a page.
    pub(crate) fn new(p: &ProcessDetail, key: &str) -> Actor {
        Actor {
            key: key.to_owned(),
            program: Text::program(&p.exe, 28),
            path: Text::new(
                if p.exe.is_empty() {
                    "not known"
                } else {
                    &p.exe
                },
                200,
            ),
            pid: p.pid,
            arguments: p
                .args
                .iter()
                .take(ARGUMENTS)
                .map(|a| Text::new(a, ARGUMENT))
                .collect(),
            more_arguments: p.args.len().saturating_sub(ARGUMENTS),
            cut: clipped(&p.truncated.join(", "), 120),
            way_up: p
                .lineage
                .iter()
                .take(WAY_UP)
                .map(|ancestor| Step::new(ancestor))
                .collect(),
            more_way_up: p.lineage.len().saturating_sub(WAY_UP),
            broken: !p.lineage_complete,
        }
    }
}

impl Step {
    fn new(ancestor: &Ancestor) -> Step {
        let arguments = ancestor.args.get(1..).unwrap_or_default();
        Step {
            program: Text::program(&ancestor.exe, 40),
            command: Text::command(arguments, 120),
            pid: ancestor.pid,
        }
    }
}

/// The dependency, or else the step, or else nothing: what a person would name as the cause.
pub(crate) fn cause(step: Option<&str>, dependency: Option<&Dependency>) -> Option<Text> {
    match (dependency, step) {
        (Some(dependency), _) => Some(Text::new(&dependency_name(dependency), 60)),
        (None, Some(step)) => Some(Text::new(step, 60)),
        (None, None) => None,
    }
}

/// `postinstall of esbuild@0.21.5`.
pub(crate) fn dependency_name(dependency: &Dependency) -> String {
    let mut name = dependency
        .phase
        .as_ref()
        .map(|phase| format!("{phase} of "))
        .unwrap_or_default();
    name.push_str(&dependency.name);
    if let Some(version) = &dependency.version {
        name.push('@');
        name.push_str(version);
    }
    name
}
