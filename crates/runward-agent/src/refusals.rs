//! What the fence refused, in sentences for a person who watches the job run.

use std::collections::{HashMap, HashSet};

use runward_event::{Body, ConnectionId, Reason};
use runward_report::text::clipped;
use runward_report::{Refusal, line_to_paste, reason_sentence};
use runward_tree::Tree;

/// How many different refusals are told of; a job that tries more has made its point, and the report has them all.
const TOLD_MAX: usize = 64;
/// How many open connections are remembered by name, for refusals that come later.
const CONNECTIONS_MAX: usize = 65_536;
/// The longest name or path in a sentence, in characters.
const QUOTE_MAX: usize = 200;

/// Picks what has not been told before, and puts it into words.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    told: HashSet<(String, Reason)>,
    new: Vec<String>,
    names: HashMap<ConnectionId, String>,
}

impl Refusals {
    pub(crate) fn observe(&mut self, body: &Body, tree: &Tree) {
        let Some(mut refusal) = Refusal::of(body) else {
            self.follow(body);
            return;
        };
        // A finding tells it, with the entry of the list.
        if refusal.reason == Reason::BlockList {
            return;
        }
        // A stream that said no name was looked up under one.
        let known = refusal.stopped.and_then(|id| self.names.get(&id));
        refusal.name = refusal.name.or(known.map(String::as_str));
        let destination = refusal.destination();
        if self.told.len() < TOLD_MAX && self.told.insert((destination, refusal.reason)) {
            self.new.push(sentence(&refusal, tree));
        }
    }

    fn follow(&mut self, body: &Body) {
        match body {
            Body::Connect(connect) => {
                if let Some(name) = &connect.name
                    && self.names.len() < CONNECTIONS_MAX
                {
                    self.names.insert(connect.connection, name.clone());
                }
            }
            Body::ConnectClose(close) => {
                self.names.remove(&close.connection);
            }
            _ => {}
        }
    }

    /// What was put into words since the last call.
    pub(crate) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.new)
    }
}

fn sentence(refusal: &Refusal<'_>, tree: &Tree) -> String {
    let destination = clipped(&refusal.destination(), QUOTE_MAX);
    let exe = tree
        .image(refusal.process)
        .map_or("a program that is not known", |image| &image.exe);
    let exe = clipped(exe, QUOTE_MAX);
    let why = reason_sentence(refusal.reason);
    let mut sentence = format!(
        "blocked {destination} for {exe} (pid {}): {why}",
        refusal.pid
    );
    if let Some(line) = line_to_paste(refusal) {
        sentence.push_str("; to allow it: ");
        sentence.push_str(&line);
    }
    sentence
}
