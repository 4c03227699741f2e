//! What a change of the state is written down into: lines of the changelog, and what changes around the job.

use std::collections::BTreeMap;

use runward_event::Time;

use crate::change::{Actor, Change, What};
use crate::key::Key;
use crate::place::Who;
use crate::scope::{Rates, ScopeDelta};
use crate::text::harmless;

/// What a change of the state is written down into.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) changes: Vec<Change>,
    keys: BTreeMap<Key, (i32, i32)>,
    pub(crate) rates: Rates,
}

impl Ledger {
    pub(crate) fn note(
        &mut self,
        at: Time,
        what: What,
        subject: &str,
        run: Option<&str>,
        by: Actor,
        why: String,
    ) {
        self.changes.push(Change {
            at,
            what,
            subject: subject.to_owned(),
            run: run.map(|run| harmless(run, 128)),
            by,
            why,
        });
    }

    /// Something new is open, or is no longer.
    pub(crate) fn story(&mut self, key: &str, way: i32) {
        self.add(Key::of_story(key), 0, way);
    }

    fn add(&mut self, key: Key, normal: i32, open: i32) {
        let sums = self.keys.entry(key).or_default();
        sums.0 = sums.0.saturating_add(normal);
        sums.1 = sums.1.saturating_add(open);
    }

    /// What it all comes to: what was taken back in the same run is no change.
    pub(crate) fn close(self) -> (Vec<Change>, ScopeDelta) {
        let keys = self.keys.into_iter();
        let keys = keys.filter(|(_, sums)| *sums != (0, 0));
        let delta = ScopeDelta {
            keys: keys
                .map(|(key, (normal, open))| (key, normal, open))
                .collect(),
            rates: self.rates,
        };
        (self.changes, delta)
    }

    pub(crate) fn normal(&mut self, place: &str, is_file: bool, owner: Option<&str>, way: i32) {
        self.add(Key::of_place(place, is_file), way, 0);
        if let Some(owner) = owner {
            self.add(Key::of_owner(owner), way, 0);
        }
    }

    pub(crate) fn visit(&mut self, place: &str, is_file: bool, who: &Who, way: i32) {
        self.add(Key::of_visit(place, is_file, who), way, 0);
    }
}

/// Who decides, for the changelog.
pub(crate) struct Decision<'a> {
    pub(crate) at: Time,
    pub(crate) by: Actor,
    pub(crate) run: Option<&'a str>,
    pub(crate) why: &'a str,
}
