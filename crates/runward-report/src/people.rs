use std::collections::HashMap;
use std::sync::Arc;

use runward_event::ProcessId;
use runward_tree::{Parent, Process, Tree};

use crate::limits;
use crate::model::{Ancestor, Dependency, Ecosystem, Omitted, ProcessDetail};
use crate::text::head;

/// Tells who did something: the process with its ancestors as they were at that moment, its step and its dependency.
///
/// A process may run another program later, so this is asked when the event comes, not at the end. Rows of the same
/// process share one [`ProcessDetail`].
pub(crate) struct People {
    known: HashMap<ProcessId, Person>,
    /// What is left of [`limits::ROW_DETAILS`].
    left: usize,
    /// What is left of [`limits::FINDING_DETAILS`].
    left_for_findings: usize,
}

/// Somebody who did something.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) detail: Arc<ProcessDetail>,
    pub(crate) step: Option<Arc<str>>,
    pub(crate) dependency: Option<Arc<Dependency>>,
    /// Bytes of text in `detail`: about what each row costs that names it.
    size: usize,
}

/// More processes than this do not act at the same time in any job that the cache should help.
const KNOWN: usize = 4096;

impl People {
    pub(crate) fn new() -> People {
        People {
            known: HashMap::new(),
            left: limits::ROW_DETAILS,
            left_for_findings: limits::FINDING_DETAILS,
        }
    }

    /// Call when `id` was born or began to run another program: what was known of it is out of date, and so is what
    /// was known of its descendants.
    pub(crate) fn forget(&mut self, tree: &Tree, id: ProcessId) {
        let childless = tree.process(id).is_none_or(|p| p.children.is_empty());
        if childless {
            self.known.remove(&id);
        } else {
            self.known.clear();
        }
    }

    /// Call when `id` has ended. Its descendants still come from where they came from.
    pub(crate) fn gone(&mut self, id: ProcessId) {
        self.known.remove(&id);
    }

    /// Who `id` is. `pid` stands in when the tree does not know the process.
    pub(crate) fn person(&mut self, tree: &Tree, id: ProcessId, pid: u32) -> Person {
        if let Some(person) = self.known.get(&id) {
            return person.clone();
        }
        let person = Person::new(tree, id, pid);
        if self.known.len() >= KNOWN {
            self.known.clear();
        }
        self.known.insert(id, person.clone());
        person
    }

    /// Who `id` is, for a row that is kept: in short once the rows together have become too large.
    pub(crate) fn person_for_row(
        &mut self,
        tree: &Tree,
        id: ProcessId,
        pid: u32,
        omitted: &mut Omitted,
    ) -> Person {
        let person = self.person(tree, id, pid);
        person.within(&mut self.left, omitted)
    }

    /// Who `id` is, for a finding. These have room of their own, which a flood of rows can't take.
    pub(crate) fn person_for_finding(
        &mut self,
        tree: &Tree,
        id: ProcessId,
        pid: u32,
        omitted: &mut Omitted,
    ) -> Person {
        let person = self.person(tree, id, pid);
        person.within(&mut self.left_for_findings, omitted)
    }
}

impl Person {
    /// In short when what is `left` does not hold the whole.
    fn within(mut self, left: &mut usize, omitted: &mut Omitted) -> Person {
        match left.checked_sub(self.size) {
            Some(rest) => *left = rest,
            None => {
                omitted.row_details += 1;
                self.detail = Arc::new(in_short(&self.detail));
            }
        }
        self
    }

    fn new(tree: &Tree, id: ProcessId, pid: u32) -> Person {
        let way_up: Vec<&Process> = tree.climb(id).take(MAX_CLIMB).collect();
        let images = images(&way_up);
        let (exe, args, mut truncated) =
            program(images.first().copied().flatten(), limits::ROW_ARGS);
        let lineage: Vec<Arc<Ancestor>> = way_up
            .iter()
            .zip(&images)
            .skip(1)
            .take(limits::LINEAGE)
            .map(|(process, image)| Arc::new(Ancestor::new(process, *image)))
            .collect();
        let cut = way_up.len() > limits::LINEAGE + 1;
        if cut {
            truncated.push("lineage".to_owned());
        }
        let size = 128
            + exe.len()
            + size_of_args(&args)
            + lineage
                .iter()
                .map(|a| 64 + a.exe.len() + size_of_args(&a.args))
                .sum::<usize>();
        let process = way_up.first().copied();
        let reaches_root = way_up.last().is_some_and(|p| p.parent == Parent::Root);
        Person {
            detail: Arc::new(ProcessDetail {
                process: id,
                pid: process.map_or(pid, |p| p.pid),
                exe,
                args,
                lineage,
                lineage_complete: reaches_root && !cut,
                truncated,
            }),
            step: process.and_then(step).map(Arc::from),
            dependency: process.and_then(dependency).map(Arc::new),
            size,
        }
    }
}

/// How far up a lineage is followed to find the program of a process that never started one. A job can make a chain
/// of a hundred thousand forks; each of its events must stay cheap.
const MAX_CLIMB: usize = 1024;

/// The program of each process of a lineage: its own last one, or for a fork without exec the one that its nearest
/// ancestor ran when it was born. The same answer as [`Tree::image`], for all of them in one walk.
fn images<'a>(way_up: &[&'a Process]) -> Vec<Option<&'a runward_tree::Image>> {
    let mut images = Vec::with_capacity(way_up.len());
    let mut above: Option<&Process> = None;
    // What the process above was born with.
    let mut born_with = None;
    for process in way_up.iter().rev().copied() {
        born_with = inherited(process, above, born_with);
        images.push(process.images.last().or(born_with));
        above = Some(process);
    }
    images.reverse();
    images
}

/// The program that a process was born with: the one that its parent ran at that moment, which may be the one that
/// the parent was born with.
pub(crate) fn inherited<'a>(
    process: &Process,
    parent: Option<&'a Process>,
    parent_born_with: Option<&'a runward_tree::Image>,
) -> Option<&'a runward_tree::Image> {
    parent?
        .images
        .iter()
        .rfind(|image| image.time <= process.started)
        .or(parent_born_with)
}

impl Ancestor {
    fn new(process: &Process, image: Option<&runward_tree::Image>) -> Ancestor {
        let (exe, args, truncated) = program(image, limits::LINEAGE_ARGS);
        Ancestor {
            process: process.id,
            pid: process.pid,
            exe,
            args,
            truncated,
        }
    }
}

fn program(image: Option<&runward_tree::Image>, max: usize) -> (String, Vec<String>, Vec<String>) {
    let Some(image) = image else {
        return (String::new(), Vec::new(), Vec::new());
    };
    let (exe, exe_cut) = head(&image.exe, limits::PATH);
    let (args, args_cut) = clip_args(image.args.iter(), max);
    let mut truncated = Vec::new();
    for (field, cut) in [("exe", exe_cut), ("args", args_cut)] {
        if cut || image.truncated.iter().any(|t| t == field) {
            truncated.push(field.to_owned());
        }
    }
    (exe.to_owned(), args, truncated)
}

fn in_short(detail: &ProcessDetail) -> ProcessDetail {
    ProcessDetail {
        process: detail.process,
        pid: detail.pid,
        exe: detail.exe.clone(),
        args: Vec::new(),
        lineage: Vec::new(),
        lineage_complete: false,
        truncated: vec!["args".to_owned(), "lineage".to_owned()],
    }
}

/// The first arguments, as many as `max` bytes hold. The flag tells whether something is missing.
pub(crate) fn clip_args<'a>(
    args: impl Iterator<Item = &'a str>,
    max: usize,
) -> (Vec<String>, bool) {
    let mut kept = Vec::new();
    let mut left = max;
    for arg in args {
        if left < ARG_COST {
            return (kept, true);
        }
        left -= ARG_COST;
        let (text, cut) = head(arg, left);
        kept.push(text.to_owned());
        if cut {
            return (kept, true);
        }
        left -= text.len();
    }
    (kept, false)
}

/// What an argument costs besides its text, so that ten thousand empty ones are not free.
const ARG_COST: usize = 4;

/// What [`clip_args`] counts.
pub(crate) fn size_of_args(args: &[String]) -> usize {
    args.iter().map(|arg| arg.len() + ARG_COST).sum()
}

/// The CI step of a process, by name.
pub(crate) fn step(process: &Process) -> Option<String> {
    let step = process.step.as_ref()?;
    Some(head(&step.name, limits::PATH).0.to_owned())
}

/// The package whose scripts a process belongs to.
pub(crate) fn dependency(process: &Process) -> Option<Dependency> {
    let dependency = process.dependency.as_ref()?;
    let text = |text: &str| head(text, limits::PATH).0.to_owned();
    Some(Dependency {
        ecosystem: match dependency.ecosystem {
            runward_tree::Ecosystem::Npm => Ecosystem::Npm,
            runward_tree::Ecosystem::Pip => Ecosystem::Pip,
            runward_tree::Ecosystem::Cargo => Ecosystem::Cargo,
            runward_tree::Ecosystem::Go => Ecosystem::Go,
            runward_tree::Ecosystem::Maven => Ecosystem::Maven,
        },
        name: text(&dependency.name),
        version: dependency.version.as_deref().map(text),
        phase: dependency.phase.as_deref().map(text),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_cut_where_the_space_ends() {
        let args = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let all = args(&["make", "all"]);
        let clip = |args: &[String], max| clip_args(args.iter().map(String::as_str), max);
        assert_eq!(clip(&all, 15), (all.clone(), false));
        assert_eq!(clip(&all, 14), (args(&["make", "al"]), true));
        assert_eq!(clip(&all, 8), (args(&["make"]), true));
        assert_eq!(clip(&args(&["größe"]), 7), (args(&["gr"]), true));
        let (kept, cut) = clip(&vec![String::new(); 10_000], 400);
        assert!(kept.len() == 100 && cut);
    }
}
