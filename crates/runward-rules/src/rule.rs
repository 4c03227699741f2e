//! One rule, and what it has told already.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use cel::common::types::CelBool;
use cel::{Context, ExecutionError};
use runward_detect::{Finding, Refusal, RuleAbout, destination};
use runward_event::{Body, Event};
use runward_tree::Tree;

use crate::error::harmless;
use crate::expression::Expression;
use crate::functions::environment;
use crate::limits;
use crate::message::Message;
use crate::scope::Scope;
use crate::slots::Slots;
use crate::value::Data;

/// How often a rule tells the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Once {
    /// Each process, with each destination or path, once.
    #[default]
    Each,
    /// Every event.
    Event,
    Process,
    Program,
    Destination,
    Path,
    Job,
}

impl Once {
    pub(crate) const WORDS: [(&str, Once); 6] = [
        ("event", Once::Event),
        ("process", Once::Process),
        ("program", Once::Program),
        ("destination", Once::Destination),
        ("path", Once::Path),
        ("job", Once::Job),
    ];

    /// A kind of event that lacks what this goes by.
    pub(crate) fn lacks(self, kinds: &[String]) -> Option<&str> {
        let has = |kind: &&String| match self {
            Once::Destination => matches!(kind.as_str(), "connect" | "refused" | "dns"),
            Once::Path => kind.starts_with("file_"),
            _ => true,
        };
        let kind = kinds.iter().find(|kind| !has(kind))?;
        Some(kind)
    }
}

/// A rule of a file, at work in one job.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) about: RuleAbout,
    /// The kinds of events that it asks for.
    pub(crate) kinds: Vec<String>,
    when: Expression,
    message: Option<Message>,
    once: Once,
    told: runward_detect::Once<u64>,
    found: u64,
    /// How often it could not be asked, and why the first time.
    failures: u64,
    failure: Option<(u64, String)>,
}

impl Rule {
    pub(crate) fn new(
        about: RuleAbout,
        kinds: Vec<String>,
        when: Expression,
        message: Option<Message>,
        once: Once,
    ) -> Rule {
        Rule {
            about,
            kinds,
            when,
            message,
            once,
            told: runward_detect::Once::default(),
            found: 0,
            failures: 0,
            failure: None,
        }
    }

    /// Asks it about an event of which nothing is known. A rule that fails then would fail on some event.
    pub(crate) fn try_out(&self, slots: &Slots) -> Result<(), String> {
        let job = Data::Map(Vec::new());
        let tree = Tree::default();
        let scope = Scope::empty(slots, &job, &tree);
        let mut context = Context::with_env(environment());
        context.set_variable_resolver(&scope);
        let tried = self.holds(&context).and_then(|holds| match &self.message {
            Some(message) if holds => message.say(&context).map(drop),
            _ => Ok(()),
        });
        tried.map_err(|error| {
            format!(
                "this fails where an event leaves things out ({}): ask `has(…)` or `size(…)` first, with `&&`",
                harmless(&error.to_string())
            )
        })
    }

    /// Looks at an event of one of its kinds.
    pub(crate) fn observe(
        &mut self,
        event: &Event,
        scope: &Scope<'_>,
        context: &Context<'_, '_>,
        tree: &Tree,
        findings: &mut Vec<Finding>,
    ) {
        match self.holds(context) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => return self.fail(event, &error),
        }
        let subject = Subject::of(event);
        if !self.is_new(event, scope, &subject) {
            return;
        }
        self.found = self.found.saturating_add(1);
        if self.found > limits::FINDINGS {
            return;
        }
        let who = scope.process();
        let said = match &self.message {
            Some(message) => message.say(context),
            None => Ok(match who {
                Some(process) => {
                    let actor = runward_detect::actor(tree, Some(process.id), process.pid);
                    format!("{actor}: {}", self.about.title)
                }
                None => self.about.title.clone(),
            }),
        };
        let message = match said {
            Ok(message) => message,
            Err(error) => {
                self.fail(event, &error);
                // What was found is told all the same.
                self.about.title.clone()
            }
        };
        findings.push(Finding {
            detection: self.about.id.clone(),
            severity: self.about.severity,
            confidence: self.about.confidence,
            time: event.time,
            seq: event.seq,
            evidence: Vec::new(),
            process: who.map(|process| process.id),
            message,
            path: subject.path,
            destination: subject.destination,
            content: None,
        });
    }

    fn holds(&self, context: &Context<'_, '_>) -> Result<bool, ExecutionError> {
        let value = self.when.evaluate(context)?;
        Ok(value
            .as_ref()
            .downcast_ref::<CelBool>()
            .is_some_and(|holds| *holds.inner()))
    }

    fn is_new(&mut self, event: &Event, scope: &Scope<'_>, subject: &Subject) -> bool {
        let process = scope.process().map(|process| process.id);
        let mut hasher = DefaultHasher::new();
        match self.once {
            Once::Event => return true,
            Once::Each => (process, &subject.path, &subject.destination).hash(&mut hasher),
            Once::Process => process.hash(&mut hasher),
            Once::Program => scope.exe().hash(&mut hasher),
            Once::Destination => subject.destination.hash(&mut hasher),
            Once::Path => subject.path.hash(&mut hasher),
            Once::Job => {}
        }
        // Processes that are not known are not one and the same.
        if process.is_none() && self.once == Once::Process {
            event.seq.hash(&mut hasher);
        }
        self.told.is_new(hasher.finish())
    }

    fn fail(&mut self, event: &Event, error: &ExecutionError) {
        self.failures = self.failures.saturating_add(1);
        if self.failure.is_none() {
            self.failure = Some((event.seq, harmless(&error.to_string())));
        }
    }

    /// What a reader should know about how it went.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> {
        let id = &self.about.id;
        let failed = self.failure.as_ref().map(|(seq, why)| {
            format!(
                "The rule {id} could not be asked about {} events, the first of them {seq}: {why}.",
                self.failures
            )
        });
        let more = self.found.saturating_sub(limits::FINDINGS);
        let omitted = (more > 0).then(|| {
            format!("The rule {id} found {more} more things than are listed; make it narrower, or tell it `once`.")
        });
        failed.into_iter().chain(omitted)
    }
}

/// What a finding is about.
#[derive(Debug, Default)]
struct Subject {
    path: Option<String>,
    destination: Option<String>,
}

/// Bytes of a path, as elsewhere.
const PATH: usize = 4_096;

impl Subject {
    fn of(event: &Event) -> Subject {
        let mut subject = match &event.body {
            Body::Connect(connect) => Subject::to(destination(
                connect.name.as_deref(),
                connect.ip,
                connect.port,
                connect.protocol,
            )),
            Body::Refused(refused) => Subject::to(Refusal::of_refused(refused).destination()),
            Body::Dns(dns) => Subject::to(dns.name.clone()),
            Body::FileCreate(change)
            | Body::FileWrite(change)
            | Body::FileRename(change)
            | Body::FileDelete(change) => Subject {
                path: Some(change.path.clone()),
                destination: None,
            },
            _ => Subject::default(),
        };
        for text in [&mut subject.path, &mut subject.destination]
            .into_iter()
            .flatten()
        {
            text.truncate(text.floor_char_boundary(PATH));
        }
        subject
    }

    fn to(destination: String) -> Subject {
        Subject {
            path: None,
            destination: Some(destination),
        }
    }
}
