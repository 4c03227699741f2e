//! What the variables of expressions are for one event. Each is made when the first rule asks for it.

use std::borrow::Cow;
use std::sync::OnceLock;

use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use runward_event::{Event, JobStart, ProcessId};
use runward_tree::{Dependency, Ecosystem, Process, Tree};

use crate::limits;
use crate::slots::{Field, Root, Slot, Slots};
use crate::value::{Cut, Data, value};
use crate::vocabulary::{NOT_OF_JOB, WHO};

/// One event, seen by expressions.
#[derive(Debug)]
pub(crate) struct Scope<'v> {
    slots: &'v Slots,
    /// Nothing is known of it when a rule is only tried out.
    event: Option<&'v Event>,
    tree: &'v Tree,
    job: &'v Data<'static>,
    who: Option<ProcessId>,
    of_event: OnceLock<Data<'static>>,
    of_process: OnceLock<Data<'v>>,
    of_parent: OnceLock<Data<'v>>,
    ancestors: OnceLock<Data<'v>>,
    words: OnceLock<Data<'static>>,
    cut: Cut,
}

impl<'v> Scope<'v> {
    pub(crate) fn new(
        slots: &'v Slots,
        job: &'v Data<'static>,
        event: &'v Event,
        tree: &'v Tree,
    ) -> Scope<'v> {
        Scope {
            event: Some(event),
            who: event.body.process(),
            ..Scope::empty(slots, job, tree)
        }
    }

    /// An event of which nothing is known.
    pub(crate) fn empty(slots: &'v Slots, job: &'v Data<'static>, tree: &'v Tree) -> Scope<'v> {
        Scope {
            slots,
            event: None,
            tree,
            job,
            who: None,
            of_event: OnceLock::new(),
            of_process: OnceLock::new(),
            of_parent: OnceLock::new(),
            ancestors: OnceLock::new(),
            words: OnceLock::new(),
            cut: Cut::default(),
        }
    }

    /// Whether something that was asked for was too long to be shown as a whole.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut.is_noted()
    }

    /// The process that the event is about, if it is known.
    pub(crate) fn process(&self) -> Option<&'v Process> {
        self.tree.process(self.who?)
    }

    /// The program that it runs; empty when that is not known.
    pub(crate) fn exe(&self) -> &'v str {
        self.who
            .and_then(|id| self.tree.image(id))
            .map_or("", |image| image.exe.as_str())
    }

    fn data<'b>(&'b self, field: &Field) -> Option<&'b Data<'b>> {
        let mut data: &'b Data<'b> = match field.root {
            Root::Event => self
                .of_event
                .get_or_init(|| self.event.map_or(Data::Map(Vec::new()), event)),
            Root::Process => self.of_process.get_or_init(|| {
                self.process()
                    .map_or(Data::Map(Vec::new()), |process| one(self.tree, process))
            }),
            Root::Parent => self.of_parent.get_or_init(|| {
                self.above()
                    .next()
                    .map_or(Data::Map(Vec::new()), |process| one(self.tree, process))
            }),
            Root::Ancestors => self.ancestors.get_or_init(|| {
                let mut above = self.above();
                let list = above.by_ref().take(limits::ANCESTORS);
                Data::List(list.map(|process| one(self.tree, process)).collect())
            }),
            Root::Job => self.job,
            Root::Who => self.words.get_or_init(|| {
                let pid = self.process().map_or(0, |process| process.pid);
                Data::Text(Cow::Owned(runward_detect::actor(self.tree, self.who, pid)))
            }),
        };
        for key in &field.keys {
            data = data.get(key)?;
        }
        Some(data)
    }

    fn above(&self) -> impl Iterator<Item = &'v Process> {
        let tree = self.tree;
        self.who
            .into_iter()
            .flat_map(move |id| tree.climb(id).skip(1))
    }
}

impl VariableResolver for Scope<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        Some(match self.slots.get(name)? {
            Slot::Field(field) if field.test => {
                CowVal::owned(CelBool::from(self.data(field).is_some()))
            }
            Slot::Field(field) => value(&field.shape, self.data(field), &self.cut),
            Slot::Pattern(pattern) => CowVal::Borrowed(pattern),
            Slot::Network(network) => CowVal::Borrowed(network),
            Slot::List(list) => CowVal::Borrowed(list),
        })
    }
}

/// An event as it stands in `events.jsonl`.
fn event(event: &Event) -> Data<'static> {
    Data::of(serde_json::to_value(event).unwrap_or_default())
}

/// The job, from its first event.
pub(crate) fn job(start: &JobStart) -> Data<'static> {
    let Data::Map(mut entries) = Data::of(serde_json::to_value(start).unwrap_or_default()) else {
        return Data::Map(Vec::new());
    };
    let identity = entries
        .iter()
        .position(|(name, _)| name == "identity")
        .map(|place| entries.swap_remove(place));
    if let Some((_, Data::Map(identity))) = identity {
        entries.extend(identity);
    }
    entries.retain(|(name, _)| !NOT_OF_JOB.contains(&name.as_ref()));
    Data::Map(entries)
}

fn one<'v>(tree: &'v Tree, process: &'v Process) -> Data<'v> {
    let mut fields = vec![(Cow::Borrowed("pid"), Data::Int(i64::from(process.pid)))];
    let mut put = |name: &'static str, data: Data<'v>| fields.push((Cow::Borrowed(name), data));
    if let Some(image) = tree.image(process.id) {
        put("exe", Data::text(&image.exe));
        put("name", Data::text(base_name(&image.exe)));
        put("path", Data::text(&image.path));
        // One more than is shown, so that it is noticed.
        let args = image.args.iter().take(limits::LIST + 1);
        put("args", Data::List(args.map(Data::text).collect()));
        put("cwd", Data::text(&image.cwd));
        put("uid", Data::Int(i64::from(image.uid)));
        if let Some(container) = &image.container {
            put("container", Data::text(container));
        }
    }
    if let Some(step) = &process.step {
        put("step", Data::text(&step.name));
    }
    if let Some(dependency) = &process.dependency {
        put("dependency", package(dependency));
    }
    Data::Map(fields)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn package(dependency: &Dependency) -> Data<'_> {
    let ecosystem = match dependency.ecosystem {
        Ecosystem::Npm => "npm",
        Ecosystem::Pip => "pip",
        Ecosystem::Cargo => "cargo",
        Ecosystem::Go => "go",
        Ecosystem::Maven => "maven",
    };
    let mut fields = vec![
        (Cow::Borrowed("ecosystem"), Data::text(ecosystem)),
        (Cow::Borrowed("name"), Data::text(&dependency.name)),
    ];
    for (name, text) in [
        ("version", &dependency.version),
        ("phase", &dependency.phase),
    ] {
        if let Some(text) = text {
            fields.push((Cow::Borrowed(name), Data::text(text)));
        }
    }
    Data::Map(fields)
}

/// Where a name that an expression begins with leads: the variable, and how many of the fields behind it are spent.
pub(crate) fn root(name: &str, keys: &[String]) -> Option<(Root, usize)> {
    match (name, keys.first().map(String::as_str)) {
        ("event", _) => Some((Root::Event, 0)),
        ("process", Some("parent")) => Some((Root::Parent, 1)),
        ("process", Some("ancestors")) => Some((Root::Ancestors, 1)),
        ("process", _) => Some((Root::Process, 0)),
        ("job", _) => Some((Root::Job, 0)),
        (WHO, None) => Some((Root::Who, 0)),
        _ => None,
    }
}
