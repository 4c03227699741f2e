//! The variables of expressions: `event`, `process` and `job`, with their fields.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use runward_event::event_schema;
use schemars::{JsonSchema, schema_for};
use serde_json::Value;

use crate::shape::{Fields, Shape, shape};

/// What can be asked for.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    /// Each kind of event, by its name.
    events: BTreeMap<String, Arc<Fields>>,
    pub(crate) process: Shape,
    pub(crate) job: Shape,
}

/// The variables that every expression has.
pub(crate) const VARIABLES: [&str; 3] = ["event", "process", "job"];

/// The variable that only messages have: who did it, in words.
pub(crate) const WHO: &str = "who";

/// A package whose install or build script runs.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "described here, filled in by `scope`")]
struct Dependency {
    /// `npm`, `pip`, `cargo`, `go` or `maven`.
    ecosystem: String,
    /// The package's name.
    name: String,
    /// Its version.
    version: String,
    /// What of it runs: `postinstall`, `build-script` and their kin.
    phase: String,
}

/// A process above another.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "described here, filled in by `scope`")]
struct Above {
    /// Its process id.
    pid: u32,
    /// The program that it runs, with symbolic links followed; for a script, its interpreter.
    exe: String,
    /// The last part of `exe`.
    name: String,
    /// The path that was handed to `execve`: for a script, the script.
    path: String,
    /// The arguments; the first is the program's own name.
    args: Vec<String>,
    /// The working directory that the program started in.
    cwd: String,
    /// The effective user id.
    uid: u32,
    /// The id of the container that it runs in.
    container: String,
    /// The CI step.
    step: String,
    /// The innermost dependency whose script it belongs to.
    dependency: Dependency,
}

/// The process that an event is about.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "described here, filled in by `scope`")]
struct Process {
    #[serde(flatten)]
    itself: Above,
    /// The process that made it.
    parent: Above,
    /// The processes above it, from its parent upwards.
    ancestors: Vec<Above>,
}

/// The schema of events is the same for every file.
static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(Vocabulary::read);

impl Vocabulary {
    /// Everything that there is to ask for.
    pub(crate) fn get() -> &'static Vocabulary {
        &VOCABULARY
    }

    fn read() -> Vocabulary {
        let schema = event_schema();
        let schema = schema.as_value();
        let definitions = schema.get("$defs").unwrap_or(&Value::Null);
        let common = fields(schema, definitions);
        let variants = schema.get("oneOf").and_then(Value::as_array);
        let events: BTreeMap<String, Arc<Fields>> = variants
            .into_iter()
            .flatten()
            .filter_map(|variant| {
                let kind = variant.pointer("/properties/kind/const")?.as_str()?;
                let mut event = fields(variant, definitions);
                event.join(&common);
                event.fields.insert(
                    "kind".to_owned(),
                    Shape::Text(Some([kind.to_owned()].into())),
                );
                event.name = format!("an event of kind `{kind}`");
                Some((kind.to_owned(), Arc::new(event)))
            })
            .collect();
        let job = events.get("job_start").map(|start| job(start));
        let process = schema_for!(Process);
        let process = process.as_value();
        let definitions = process.get("$defs").unwrap_or(&Value::Null);
        Vocabulary {
            process: named(shape(process, definitions), "a process"),
            job: Shape::Object(Arc::new(job.unwrap_or_default())),
            events,
        }
    }

    /// The kinds of events that there are.
    pub(crate) fn kinds(&self) -> impl Iterator<Item = &str> {
        self.events.keys().map(String::as_str)
    }

    /// What an event of any of these kinds can have.
    pub(crate) fn event(&self, kinds: &[String]) -> Shape {
        let mut events = kinds.iter().filter_map(|kind| self.events.get(kind));
        let Some(first) = events.next() else {
            return Shape::Object(Arc::default());
        };
        let mut fields = Fields::clone(first);
        for event in events {
            fields.join(event);
            fields.name = format!("an event of kind `{}`", kinds.join("` or `"));
        }
        Shape::Object(Arc::new(fields))
    }
}

/// The fields of an object that a schema describes by a reference or by itself.
fn fields(schema: &Value, definitions: &Value) -> Fields {
    match shape(schema, definitions) {
        Shape::Object(fields) => Fields::clone(&fields),
        _ => Fields::default(),
    }
}

fn named(shape: Shape, name: &str) -> Shape {
    match shape {
        Shape::Object(fields) => {
            let mut fields = Fields::clone(&fields);
            name.clone_into(&mut fields.name);
            Shape::Object(Arc::new(fields))
        }
        other => other,
    }
}

/// Fields of the job's first event that are no property of the job.
pub(crate) const NOT_OF_JOB: [&str; 8] = [
    "seq", "time", "kind", "format", "policy", "rules", "notes", "raw",
];

/// The job: its first event, with the identity's fields beside the others.
fn job(start: &Fields) -> Fields {
    let mut job = Fields {
        name: "a job".to_owned(),
        fields: start.fields.clone(),
    };
    for name in NOT_OF_JOB {
        job.fields.remove(name);
    }
    if let Some(Shape::Object(identity)) = job.fields.remove("identity") {
        job.join(&identity);
    }
    job
}

/// One thing that expressions can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As it is written: `process.dependency.name`.
    pub path: String,
    /// Its type in CEL: `string`, `int`, `bool`, `list` or `map`.
    pub kind: &'static str,
}

/// Everything that expressions about events of this kind can ask for, in order.
pub fn words(kind: &str) -> Vec<Word> {
    let vocabulary = Vocabulary::get();
    let mut words = Vec::new();
    let event = vocabulary.event(&[kind.to_owned()]);
    for (name, shape) in [
        ("event", &event),
        ("process", &vocabulary.process),
        ("job", &vocabulary.job),
    ] {
        list(name, shape, &mut words);
    }
    words
}

fn list(path: &str, shape: &Shape, words: &mut Vec<Word>) {
    if let Shape::Object(fields) = shape {
        for (name, shape) in &fields.fields {
            list(&format!("{path}.{name}"), shape, words);
        }
    } else {
        words.push(Word {
            path: path.to_owned(),
            kind: shape.word(),
        });
    }
}
