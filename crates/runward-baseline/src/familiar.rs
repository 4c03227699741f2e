//! What the job, and others around it, know of somebody or of a place.

use std::collections::HashSet;

use crate::judge::Examiner;
use crate::key::Key;
use crate::memory::Member;
use crate::place::{Place, Who};
use crate::scope::Level;
use crate::score::{self, Found, Lineage as Relation};

impl<'a> Examiner<'a> {
    pub(crate) fn relation(&self, who: &Who) -> Relation {
        let actors = &self.memory.actors;
        let program = actors.iter().any(|actor| actor.who.program == who.program);
        if self.memory.actor(who).is_some() {
            Relation::Known
        } else if !program {
            Relation::NewProgram
        } else if who.dependency.is_empty()
            || actors
                .iter()
                .any(|actor| actor.who.dependency == who.dependency)
        {
            Relation::Elsewhere
        } else {
            Relation::NewDependency
        }
    }

    /// What the job, and others around it, know of a place that it never went to.
    pub(crate) fn around_new(&self, place: &Place, who: &Who) -> Found {
        if let Some(found) = self.visited_around(&place.text, place.is_file, who) {
            return found;
        }
        let family = place.mask_text();
        if let Some(found) = family.and_then(|mask| self.visited_around(&mask, place.is_file, who))
        {
            return found;
        }
        let normal =
            |level: &Level, key: Key| level.known.get(&key).is_some_and(|known| known.normal > 0);
        let around = [&self.around.project, &self.around.organisation];
        let here = Key::of_place(&place.text, place.is_file);
        if around.iter().any(|level| normal(level, here)) {
            return Found::PlaceAround;
        }
        if place.is_file || place.bare {
            return Found::Stranger;
        }
        let owned = self.owners().contains(place.owner.as_str());
        match (place.public, place.open) {
            (Some(_), _) => return Found::PublicSource,
            (None, Some(_)) if owned => return Found::SameService,
            (None, Some(_)) => return Found::Stranger,
            (None, None) if owned => return Found::SameOwner,
            (None, None) => {}
        }
        let owner = Key::of_owner(&place.owner);
        if normal(&self.around.project, owner) {
            return Found::OwnerAround;
        }
        Found::Stranger
    }

    /// Whether the same program, for the same dependency, goes to the same place in another job.
    pub(crate) fn visited_around(&self, text: &str, is_file: bool, who: &Who) -> Option<Found> {
        let key = Key::of_visit(text, is_file, who);
        let normal = |level: &Level| level.known.get(&key).is_some_and(|known| known.normal > 0);
        if normal(&self.around.project) {
            Some(Found::VisitInProject)
        } else if normal(&self.around.organisation) {
            Some(Found::VisitInOrganisation)
        } else {
            None
        }
    }

    /// Whoever has names that are normal.
    pub(crate) fn owners(&self) -> &HashSet<&'a str> {
        self.owners.get_or_init(|| {
            let owner = |(text, member): (&'a String, &'a Member)| {
                let host = text
                    .rsplit_once(':')
                    .map_or(text.as_str(), |(host, _)| host);
                match usize::from(member.owner) {
                    0 => host,
                    bytes => host.get(host.len().saturating_sub(bytes)..).unwrap_or(host),
                }
            };
            self.memory.places.iter().map(owner).collect()
        })
    }

    /// A known owner that the owner of a new name looks like.
    pub(crate) fn alike(&self, place: &Place) -> Option<String> {
        let name = label(&place.owner);
        if place.is_file || name.len() < score::ALIKE_BYTES {
            return None;
        }
        self.owners()
            .iter()
            .filter(|owner| **owner != place.owner && !owner.contains('*'))
            .find(|owner| {
                let known = label(owner);
                known.len() >= score::ALIKE_BYTES
                    && known.len().abs_diff(name.len()) <= 1
                    && strsim::osa_distance(known, name) <= 1
            })
            .map(|owner| (*owner).to_owned())
    }

    /// In which part of its runs a program meets a new name there: the runs, and how many of them.
    pub(crate) fn noise(&self, place: &Place, who: &Who) -> (f64, f64) {
        self.memory
            .actor(who)
            .and_then(|actor| self.memory.actors.get(usize::from(actor)))
            .map_or((0.0, 0.0), |actor| {
                actor.noise(&place.parent, self.memory.runs)
            })
    }
}

/// The label that an owner chose: `example` of `example.co.uk`.
fn label(owner: &str) -> &str {
    owner.split_once('.').map_or(owner, |(label, _)| label)
}
