//! What the tree gives up when a job makes more processes or longer arguments than are kept.

use std::collections::HashSet;

use runward_event::ProcessId;

use super::Tree;
use crate::Parent;

/// What remains of arguments that were shortened, in bytes: enough to recognise a command.
const SHORT_ARGS: usize = 256;

impl Tree {
    /// Enters a finished process into the queues of what may be given up.
    pub(super) fn mark_finished(&mut self, id: ProcessId) {
        let Some(node) = self.node(id) else { return };
        if node
            .process
            .images
            .iter()
            .any(|image| image.weight() > 2 * SHORT_ARGS)
        {
            self.wordy.push_back(id);
        }
        self.queue(id);
    }

    /// Queues a process for folding if it has ended and nothing below it is kept.
    fn queue(&mut self, id: ProcessId) {
        let Some(node) = self.node_mut(id) else {
            return;
        };
        if node.queued || node.kept_children > 0 || node.process.exit.is_none() {
            return;
        }
        node.queued = true;
        if node.active {
            self.active.push_back(id);
        } else {
            self.quiet.push_back(id);
        }
    }

    /// Folds up to `count` finished processes into their parents. `needed` is not folded: a child is about to be
    /// entered with it.
    pub(super) fn fold(&mut self, count: usize, needed: Parent) {
        let mut thinned = HashSet::new();
        let mut set_aside = Vec::new();
        let mut left = count;
        while left > 0 {
            let Some(id) = self.quiet.pop_front().or_else(|| self.active.pop_front()) else {
                break;
            };
            if needed == Parent::Known(id) {
                set_aside.push(id);
                continue;
            }
            let Some(place) = self.places.get(&id).copied() else {
                continue;
            };
            let Some(slot) = self.nodes.get_mut(place) else {
                continue;
            };
            // A child may have appeared since it was queued: an event of a birth can come late.
            if let Some(node) = slot.as_mut().filter(|node| node.kept_children > 0) {
                node.queued = false;
                continue;
            }
            let Some(node) = slot.take() else { continue };
            self.places.remove(&id);
            self.dropped.folded += 1;
            left -= 1;
            let weight: usize = node.process.images.iter().map(|image| image.weight()).sum();
            self.text_bytes = self.text_bytes.saturating_sub(weight);

            if let Parent::Known(parent) = node.process.parent {
                if let Some(above) = self.node_mut(parent) {
                    above.kept_children = above.kept_children.saturating_sub(1);
                    above.process.folded += 1 + node.process.folded;
                    thinned.insert(parent);
                }
                self.queue(parent);
            }
        }
        for id in set_aside {
            if let Some(node) = self.node_mut(id) {
                node.queued = false;
            }
            self.queue(id);
        }
        for parent in thinned {
            self.thin(parent);
        }
        // Closing the holes costs as much as everything that is kept, so it waits until there are many.
        let holes = self.nodes.len() - self.places.len();
        if holes > self.nodes.len() / 8 {
            self.sweep();
        }
    }

    /// Drops folded children from a process's list.
    fn thin(&mut self, parent: ProcessId) {
        let Tree { nodes, places, .. } = self;
        let Some(place) = places.get(&parent).copied() else {
            return;
        };
        if let Some(node) = nodes.get_mut(place).and_then(Option::as_mut) {
            node.process
                .children
                .retain(|child| places.contains_key(child));
            node.process.children.shrink_to(node.kept_children * 2);
        }
    }

    /// Closes the holes that folding left.
    fn sweep(&mut self) {
        self.nodes.retain(Option::is_some);
        for (place, node) in self.nodes.iter().enumerate() {
            if let Some(node) = node {
                self.places.insert(node.process.id, place);
            }
        }
        let Tree { places, wordy, .. } = self;
        wordy.retain(|id| places.contains_key(id));
    }

    /// Brings the text back inside its budget, after `newest` got another program.
    pub(super) fn shed_text(&mut self, newest: ProcessId) {
        while self.text_bytes > self.limits.text_bytes {
            let Some(id) = self.wordy.pop_front() else {
                break;
            };
            self.shorten_args(id);
        }
        if self.text_bytes <= self.limits.text_bytes {
            return;
        }
        // Programs of processes that still run, or very many short ones.
        let batch = (self.places.len() / 8).max(1);
        self.fold(batch, Parent::Known(newest));
        if self.text_bytes <= self.limits.text_bytes {
            return;
        }
        self.shorten_args(newest);
        if self.text_bytes > self.limits.text_bytes.saturating_mul(2) {
            self.keep_newest_image(newest);
        }
    }

    fn shorten_args(&mut self, id: ProcessId) {
        let Some(node) = self.node_mut(id) else {
            return;
        };
        let (mut before, mut after, mut shortened) = (0, 0, 0);
        for image in &mut node.process.images {
            let weight = image.weight();
            image.shorten_args(SHORT_ARGS);
            before += weight;
            after += image.weight();
            shortened += u64::from(image.weight() < weight);
        }
        self.text_bytes = self.text_bytes.saturating_sub(before) + after;
        self.dropped.shortened += shortened;
    }

    /// The last resort, which only a job gets to that fills memory on purpose.
    fn keep_newest_image(&mut self, id: ProcessId) {
        let Some(node) = self.node_mut(id) else {
            return;
        };
        let images = &mut node.process.images;
        let before: usize = images.iter().map(|image| image.weight()).sum();
        let gone = images.len().saturating_sub(1);
        images.drain(..gone);
        images.shrink_to_fit();
        for image in images.iter_mut() {
            image.shorten_all(SHORT_ARGS);
        }
        let after: usize = images.iter().map(|image| image.weight()).sum();
        self.text_bytes = self.text_bytes.saturating_sub(before) + after;
        self.dropped.images += u64::try_from(gone).unwrap_or(u64::MAX);
    }
}
