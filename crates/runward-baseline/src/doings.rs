//! Everything that one run did, by place.

use std::collections::{BTreeMap, BTreeSet};

use runward_event::Time;

use crate::limits;
use crate::place::{Place, Who, step};
use crate::summary::{Lineage, RunSummary};

/// Everything that one run did, by place.
#[derive(Debug, Default)]
pub(crate) struct Doings {
    pub(crate) places: BTreeMap<(bool, String), Doing>,
    /// What was too much to be looked at.
    pub(crate) omitted: u64,
}

/// What one run did at one place.
#[derive(Debug)]
pub(crate) struct Doing {
    pub(crate) place: Place,
    pub(crate) sent: u64,
    pub(crate) who: BTreeMap<Who, Deed>,
}

/// What one of them did there.
#[derive(Debug)]
pub(crate) struct Deed {
    pub(crate) at: Time,
    pub(crate) lineage: Lineage,
    pub(crate) steps: BTreeSet<String>,
}

impl Doings {
    pub(crate) fn of(run: &RunSummary) -> Doings {
        let mut doings = Doings {
            omitted: run.uncounted,
            ..Doings::default()
        };
        let mut left = limits::CALLS;
        for call in &run.calls {
            if call.blocked {
                continue;
            }
            let Some(place) = Place::of_call(&call.destination) else {
                continue;
            };
            if left == 0 {
                doings.omitted += 1;
                continue;
            }
            left -= 1;
            doings.add(place, &call.lineage, call.first, call.bytes_sent);
        }
        for overwrite in &run.overwrites {
            if left == 0 {
                doings.omitted += 1;
                continue;
            }
            left -= 1;
            let place = Place::of_file(&overwrite.path);
            doings.add(place, &overwrite.lineage, overwrite.at, 0);
        }
        doings
    }

    fn add(&mut self, place: Place, lineage: &Lineage, at: Time, sent: u64) {
        let doing = self
            .places
            .entry((place.is_file, place.text.clone()))
            .or_insert_with(|| Doing {
                place,
                sent: 0,
                who: BTreeMap::new(),
            });
        doing.sent = doing.sent.saturating_add(sent);
        let deed = doing.who.entry(Who::of(lineage)).or_insert_with(|| Deed {
            at,
            lineage: lineage.clone(),
            steps: BTreeSet::new(),
        });
        deed.at = deed.at.min(at);
        if let Some(step) = step(lineage)
            && deed.steps.len() < limits::STEPS_OF_MEMBER
        {
            deed.steps.insert(step);
        }
    }
}
