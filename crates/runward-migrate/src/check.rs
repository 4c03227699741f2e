//! Whether what came out is what should have come out: the file as it was and the new one, part by part.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use runward_policy::{Action, Endpoint, Source, parse_endpoints};
use runward_yaml::{Documents, PartId, PartValue};

use crate::limits;
use crate::list::{without_expressions, words};
use crate::steps::{pairs, text};

/// What a changed part should be.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    /// As it was.
    Same(PartId),
    /// A text.
    Text(String),
    /// A list of endpoints that means these.
    List {
        endpoints: BTreeSet<Endpoint>,
        /// What only the job's start gives a value to, in the order of the text.
        expressions: Vec<String>,
    },
}

/// The inputs that a step should have.
pub(crate) type Inputs = Vec<(String, Expected)>;

/// What should have become of the steps of a file.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) action: String,
    /// By the map of the step; nothing for a step whose inputs stay.
    pub(crate) steps: HashMap<PartId, Option<Inputs>>,
}

/// Whether `new` is `old` but for what the plan says.
pub(crate) fn is_as_planned(old: &Documents, new: &Documents, plan: &Plan) -> bool {
    let mut comparison = Comparison {
        old,
        new,
        plan,
        left: limits::COMPARED,
    };
    old.roots().len() == new.roots().len()
        && old
            .roots()
            .iter()
            .zip(new.roots())
            .all(|(old, new)| comparison.same(*old, *new, 0))
}

struct Comparison<'d> {
    old: &'d Documents,
    new: &'d Documents,
    plan: &'d Plan,
    /// How many parts may still be compared.
    left: usize,
}

impl Comparison<'_> {
    fn same(&mut self, old: PartId, new: PartId, depth: usize) -> bool {
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        if depth > limits::COMPARED_DEPTH {
            return false;
        }
        let (old, new) = (self.old.meant(old), self.new.meant(new));
        if let Some(inputs) = self.plan.steps.get(&old) {
            return self.step(old, new, inputs.as_ref(), depth);
        }
        match (&self.old.part(old).value, &self.new.part(new).value) {
            (PartValue::Scalar(old), PartValue::Scalar(new)) => {
                old.text == new.text && old.style == new.style
            }
            (PartValue::List { entries: old, .. }, PartValue::List { entries: new, .. }) => {
                old.len() == new.len()
                    && old
                        .iter()
                        .zip(new)
                        .all(|(old, new)| self.same(*old, *new, depth + 1))
            }
            (PartValue::Map { pairs: old, .. }, PartValue::Map { pairs: new, .. }) => {
                old.len() == new.len()
                    && old.iter().zip(new).all(|(old, new)| {
                        self.same(old.0, new.0, depth + 1) && self.same(old.1, new.1, depth + 1)
                    })
            }
            _ => false,
        }
    }

    fn step(&mut self, old: PartId, new: PartId, inputs: Option<&Inputs>, depth: usize) -> bool {
        let (old_pairs, new_pairs) = (pairs(self.old, old), pairs(self.new, new));
        let has_inputs = |documents: &Documents, pairs: &[(PartId, PartId)]| {
            pairs
                .iter()
                .any(|(key, _)| text(documents, *key) == Some("with"))
        };
        let is_added = inputs.is_some() && !has_inputs(self.old, old_pairs);
        if new_pairs.len() != old_pairs.len() + usize::from(is_added) {
            return false;
        }
        let mut left = old_pairs.iter();
        for (key, value) in new_pairs {
            let name = text(self.new, *key);
            if let (Some("with"), Some(inputs)) = (name, inputs) {
                if !self.inputs(inputs, *value, depth) {
                    return false;
                }
                if is_added {
                    continue;
                }
                let was = left.next().and_then(|(key, _)| text(self.old, *key));
                if was != Some("with") {
                    return false;
                }
                continue;
            }
            let Some((old_key, old_value)) = left.next() else {
                return false;
            };
            let same = self.same(*old_key, *key, depth + 1)
                && match name {
                    Some("uses") => {
                        text(self.new, *value).map(str::trim) == Some(&self.plan.action)
                    }
                    _ => self.same(*old_value, *value, depth + 1),
                };
            if !same {
                return false;
            }
        }
        left.next().is_none()
    }

    fn inputs(&mut self, expected: &Inputs, new: PartId, depth: usize) -> bool {
        let new = pairs(self.new, new);
        let mut left: Vec<&(String, Expected)> = expected.iter().collect();
        for (key, value) in new {
            let name = text(self.new, *key);
            let found = left.iter().position(|(of, _)| Some(of.as_str()) == name);
            let Some(found) = found else {
                return false;
            };
            let (_, expected) = left.swap_remove(found);
            let same = match expected {
                Expected::Same(old) => self.same(*old, *value, depth + 1),
                Expected::Text(expected) => {
                    text(self.new, *value).map(str::trim) == Some(expected.as_str())
                }
                Expected::List {
                    endpoints,
                    expressions,
                } => text(self.new, *value)
                    .is_some_and(|list| list_means(list, endpoints, expressions)),
            };
            if !same {
                return false;
            }
        }
        left.is_empty()
    }
}

/// Whether a list, read by the policy's own parser, means these endpoints and has these expressions.
fn list_means(list: &str, endpoints: &BTreeSet<Endpoint>, expressions: &[String]) -> bool {
    let source = Arc::new(Source::Flag("allowed-endpoints".to_owned()));
    let known = without_expressions(list);
    let Ok(read) = parse_endpoints(&known, Action::Allow, &source) else {
        return false;
    };
    let means: BTreeSet<Endpoint> = read.rules.into_iter().map(|rule| rule.endpoint).collect();
    let found = words(list).into_iter().filter_map(|at| list.get(at));
    let found: Vec<&str> = found.filter(|word| word.contains("${{")).collect();
    means == *endpoints && found == expressions
}
