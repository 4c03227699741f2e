//! Whether a state that was read is one that learning could have made: inside of the bounds, and every number points to
//! something.

use crate::limits as l;
use crate::memory::{Actor, Contexts, Member, Memory, Open, Origin, Pattern};
use crate::place::Who;
use crate::shape::Slot;

/// The most bytes that a state can have: each field at its bound, numbers as postcard writes the largest, and two bytes
/// for each length.
const WORST: usize = {
    let sight = 5 * 5 + 1;
    let use_of = 3 + sight;
    let volume = 5 + 4 + 4 + 10;
    let pattern = l::SAMPLES * (2 + l::PLACE_BYTES) + l::SAMPLES * (2 + l::PLACE_BYTES) / 2 + 5 + 4;
    let origin = 1 + 2 + l::PERSON_BYTES;
    let member =
        2 + l::PLACE_BYTES + sight + l::USES * use_of + l::STEPS_OF_MEMBER + volume + origin + 8;
    let members = (l::PLACES + l::FILES) * member + l::PATTERNS * pattern;
    let who = 2 + l::PROGRAM_BYTES + 2 + l::DEPENDENCY_BYTES;
    let noise = 2 + l::PARENT_BYTES + 4 + 5;
    let actors = l::ACTORS * (who + 5 + 4 + 2 + l::NOISES * noise);
    let names = (2 + l::SAMPLES) * (2 + l::PLACE_BYTES);
    let of_open = names + l::SAMPLES * (who + 2 + l::STEP_BYTES) + 5 * l::COMMITS + sight;
    let open = l::OPEN * (2 + l::KEY_BYTES + of_open + 2 + l::PERSON_BYTES + 40);
    let steps = l::STEPS * (2 + l::STEP_BYTES);
    let seen = l::RUNS * (10 + 5) + 8;
    let contexts = 4 * (2 + 5 * l::VERSIONS) + l::VERSIONS * 9 + 24;
    members + actors + open + steps + seen + contexts + 64
};

const _: () = assert!(WORST + l::REST_BYTES <= l::STATE_BYTES);

impl Memory {
    /// Whether a state that was read keeps to the bounds.
    pub(crate) fn is_sound(&self) -> bool {
        let members = || self.places.iter().chain(&self.files);
        let patterns = members().filter(|(_, member)| member.pattern.is_some());
        self.places.len() <= l::PLACES
            && self.files.len() <= l::FILES
            && patterns.count() <= l::PATTERNS
            && self.actors.len() <= l::ACTORS
            && self.open.len() <= l::OPEN
            && self.seen.runs.len() <= l::RUNS
            && [self.gap, self.exposure, self.surges].iter().all(is_finite)
            && self.contexts.is_sound()
            && are_short(&self.steps, l::STEPS, l::STEP_BYTES)
            && self.actors.iter().all(Actor::is_sound)
            && members().all(|(text, member)| {
                text.len() <= l::PLACE_BYTES
                    && member.is_sound()
                    && member.points_to(self.actors.len(), self.steps.len())
            })
            && self
                .open
                .iter()
                .all(|(key, open)| key.len() <= l::KEY_BYTES && open.is_sound())
    }
}

impl Contexts {
    fn is_sound(&self) -> bool {
        [self.changes, self.with_news].iter().all(is_finite)
            && self.versions.iter().all(|known| known.len() <= l::VERSIONS)
            && self.resets.len() <= l::VERSIONS
            && self
                .resets
                .iter()
                .all(|(_, keep)| (0.0..=1.0).contains(keep))
    }
}

impl Actor {
    fn is_sound(&self) -> bool {
        self.who.is_short()
            && is_finite(&self.runs)
            && self.noises.len() <= l::NOISES
            && self
                .noises
                .iter()
                .all(|noise| noise.parent.len() <= l::PARENT_BYTES && is_finite(&noise.runs))
    }
}

impl Member {
    fn is_sound(&self) -> bool {
        self.uses.len() <= l::USES
            && self.steps.len() <= l::STEPS_OF_MEMBER
            && is_finite(&self.volume.squares)
            && (0.0..=64.0).contains(&self.volume.mean)
            && self.pattern.as_ref().is_none_or(Pattern::is_sound)
            && match &self.origin {
                Origin::Person(name) => name.len() <= l::PERSON_BYTES,
                Origin::Created | Origin::Recurred => true,
            }
    }

    fn points_to(&self, actors: usize, steps: usize) -> bool {
        self.uses
            .iter()
            .all(|(actor, _)| usize::from(*actor) < actors)
            && self.steps.iter().all(|step| usize::from(*step) < steps)
    }
}

impl Pattern {
    fn is_sound(&self) -> bool {
        are_short(&self.samples, l::SAMPLES, l::PLACE_BYTES)
            && self.slots.len() <= l::SAMPLES
            && self.slots.iter().map(Slot::bytes).sum::<usize>() <= l::PLACE_BYTES
    }
}

impl Open {
    fn is_sound(&self) -> bool {
        let rejected_by = self.rejected_by.as_ref();
        self.subject.len() <= l::PLACE_BYTES
            && self.place.len() <= l::PLACE_BYTES
            && self.commits.len() <= l::COMMITS
            && are_short(&self.samples, l::SAMPLES, l::PLACE_BYTES)
            && are_short(&self.steps, l::SAMPLES, l::STEP_BYTES)
            && self.who.len() <= l::SAMPLES
            && self.who.iter().all(Who::is_short)
            && rejected_by.is_none_or(|name| name.len() <= l::PERSON_BYTES)
    }
}

impl Who {
    fn is_short(&self) -> bool {
        self.program.len() <= l::PROGRAM_BYTES && self.dependency.len() <= l::DEPENDENCY_BYTES
    }
}

fn are_short(texts: &[String], count: usize, bytes: usize) -> bool {
    texts.len() <= count && texts.iter().all(|text| text.len() <= bytes)
}

/// Far above anything that comes of learning, and low enough that nothing runs over.
fn is_finite(number: &f32) -> bool {
    (0.0..=1e6).contains(number)
}
