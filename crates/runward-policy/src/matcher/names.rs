use std::collections::HashMap;

use crate::name::Name;
use crate::pattern::NamePattern;
use crate::rule::RuleId;

use super::globs::Globs;

/// Finds rules by name: exact names by hash, patterns in a trie of labels from the top-level domain down.
#[derive(Clone, Debug, Default)]
pub(super) struct NameIndex {
    exact: HashMap<Name, Vec<RuleId>>,
    /// Node 0 is the root, if there is any.
    nodes: Vec<Node>,
}

/// A place in the trie: all patterns that end in the labels on the way here.
#[derive(Clone, Debug, Default)]
struct Node {
    /// The next label to the left, word for word.
    words: HashMap<String, usize>,
    /// The next label to the left, with `*` in it.
    globs: Globs,
    /// Patterns that end here.
    here: Vec<RuleId>,
    /// Patterns that have `*.` in front of what leads here: at least one more label.
    below: Vec<RuleId>,
}

impl NameIndex {
    pub(super) fn add_name(&mut self, name: &Name, rule: RuleId) {
        self.exact.entry(name.clone()).or_default().push(rule);
    }

    pub(super) fn add_pattern(&mut self, pattern: &NamePattern, rule: RuleId) {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for label in pattern.labels_from_top() {
            at = self.child(at, label);
        }
        let Some(node) = self.nodes.get_mut(at) else {
            return;
        };
        if pattern.any_depth() {
            node.below.push(rule);
        } else {
            node.here.push(rule);
        }
    }

    fn child(&mut self, at: usize, label: &str) -> usize {
        let new = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else {
            return at;
        };
        let child = if label.contains('*') {
            node.globs.insert(label, new)
        } else {
            *node.words.entry(label.to_owned()).or_insert(new)
        };
        if child == new {
            self.nodes.push(Node::default());
        }
        child
    }

    /// Adds all rules whose name or pattern fits.
    pub(super) fn find(&self, name: &Name, found: &mut Vec<RuleId>) {
        found.extend(self.exact.get(name).into_iter().flatten());
        let mut places = vec![0];
        let mut next = Vec::new();
        for label in name.labels_from_top() {
            for node in places.iter().filter_map(|at| self.nodes.get(*at)) {
                // There is one more label, which is what these ask for.
                found.extend(&node.below);
                next.extend(node.words.get(label));
                node.globs.find(label, &mut next);
            }
            std::mem::swap(&mut places, &mut next);
            next.clear();
            if places.is_empty() {
                return;
            }
        }
        for node in places.iter().filter_map(|at| self.nodes.get(*at)) {
            found.extend(&node.here);
        }
    }
}
