use std::collections::HashMap;

/// Finds which of many patterns for one label fit it: a trie of characters, in which a `*` is a place that may be
/// stayed at. The work depends on the label and on how many `*` a pattern has, not on the number of patterns.
#[derive(Clone, Debug, Default)]
pub(super) struct Globs {
    /// Node 0 is the root, if there is any.
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    next: HashMap<u8, usize>,
    /// The place behind a `*` that comes here.
    star: Option<usize>,
    /// Whether the way here ends with a `*`, so that any character may follow.
    stays: bool,
    /// What the pattern that ends here stands for.
    value: Option<usize>,
}

impl Globs {
    /// Adds a pattern; the answer is the value it had already, or `value`.
    pub(super) fn insert(&mut self, pattern: &str, value: usize) -> usize {
        if self.nodes.is_empty() {
            self.nodes.push(Node::default());
        }
        let mut at = 0;
        for byte in pattern.bytes() {
            at = self.child(at, byte);
        }
        match self.nodes.get_mut(at) {
            Some(node) => *node.value.get_or_insert(value),
            None => value,
        }
    }

    fn child(&mut self, at: usize, byte: u8) -> usize {
        let new = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else {
            return at;
        };
        let child = match byte {
            b'*' => *node.star.get_or_insert(new),
            byte => *node.next.entry(byte).or_insert(new),
        };
        if child == new {
            self.nodes.push(Node {
                stays: byte == b'*',
                ..Node::default()
            });
        }
        child
    }

    /// Adds the values of all patterns that fit `label`.
    pub(super) fn find(&self, label: &str, found: &mut Vec<usize>) {
        if self.nodes.is_empty() {
            return;
        }
        let mut places = Vec::new();
        self.arrive(0, &mut places);
        let mut next = Vec::new();
        for byte in label.bytes() {
            for at in &places {
                let Some(node) = self.nodes.get(*at) else {
                    continue;
                };
                if node.stays {
                    self.arrive(*at, &mut next);
                }
                if let Some(child) = node.next.get(&byte) {
                    self.arrive(*child, &mut next);
                }
            }
            next.sort_unstable();
            next.dedup();
            std::mem::swap(&mut places, &mut next);
            next.clear();
        }
        found.extend(places.iter().filter_map(|at| self.nodes.get(*at)?.value));
    }

    /// A `*` may stand for nothing, so who comes to a place also comes to the one behind its `*`.
    fn arrive(&self, at: usize, places: &mut Vec<usize>) {
        places.push(at);
        places.extend(self.nodes.get(at).and_then(|node| node.star));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pattern::fits;

    proptest! {
        #[test]
        fn many_patterns_at_once_are_each_pattern_by_itself(
            patterns in proptest::collection::vec("\\*?([ab]\\*?){0,4}", 1..20),
            label in "[ab]{0,8}",
        ) {
            let mut globs = Globs::default();
            let values: Vec<usize> =
                patterns.iter().enumerate().map(|(n, p)| globs.insert(p, n)).collect();
            let mut found = Vec::new();
            globs.find(&label, &mut found);
            for (pattern, value) in patterns.iter().zip(values) {
                prop_assert_eq!(fits(pattern, &label), found.contains(&value), "{}", pattern);
            }
        }
    }
}
