//! How names that take turns become one pattern.

use std::cmp::Reverse;

use crate::change::{Actor, What};
use crate::ledger::{Decision, Ledger};
use crate::limits;
use crate::member::{owner_of, remove};
use crate::memory::{Member, Memory, Pattern};
use crate::place::Place;
use crate::shape::{Slot, filled};
use crate::text::counted;

/// How many names of one mask it takes to believe that they rotate.
const FAMILY: usize = 4;

/// If a family's names are each called in more than this part of the runs, they are a fixed set and do not rotate.
const FIXED: f64 = 0.75;

/// Makes one pattern of names that rotate, if there are enough of them beside this one.
pub(crate) fn generalise(
    memory: &mut Memory,
    ledger: &mut Ledger,
    text: &str,
    is_file: bool,
    decision: &Decision<'_>,
) {
    let place = Place::again(text, is_file);
    let Some(mask) = place.mask_text() else {
        return;
    };
    let patterns = memory.places.values().chain(memory.files.values());
    if patterns.filter(|member| member.pattern.is_some()).count() >= limits::PATTERNS {
        return;
    }
    let Some(family) = family(memory, &mask, is_file) else {
        return;
    };
    let mut joined = Member::default();
    let mut pattern = Pattern::default();
    for (at, text) in family.iter().enumerate() {
        let Some((member, values)) =
            remove(memory, ledger, text, is_file).zip(values(text, is_file))
        else {
            continue;
        };
        if at == 0 {
            joined = member;
            pattern.slots = values.iter().map(|value| Slot::of(value)).collect();
        } else {
            joined.join(member);
            for (slot, value) in pattern.slots.iter_mut().zip(&values) {
                *slot = slot.widened(value);
            }
        }
        pattern.names += 1;
        if pattern.samples.len() < limits::SAMPLES {
            pattern.samples.push(text.clone());
        }
    }
    let shown = filled(&mask, &pattern.slots);
    let words: Vec<String> = pattern.slots.iter().filter_map(Slot::words).collect();
    joined.pattern = Some(pattern);
    ledger.normal(&mask, is_file, owner_of(&mask, joined.owner), 1);
    for (actor, _) in &joined.uses {
        if let Some(actor) = memory.actors.get(usize::from(*actor)) {
            ledger.visit(&mask, is_file, &actor.who, 1);
        }
    }
    memory.members_mut(is_file).insert(mask, joined);
    let why = format!(
        "{} of one owner, called by the same program, differ in nothing but {}.",
        counted(family.len() as u64, "name"),
        words.join(" and ")
    );
    ledger.note(
        decision.at,
        What::Generalised,
        &shown,
        decision.run,
        Actor::Rule,
        why,
    );
}

/// Members of one mask that one program shares and that take turns; none if they are too few, or a fixed set.
fn family(memory: &Memory, mask: &str, is_file: bool) -> Option<Vec<String>> {
    let of_mask: Vec<(&String, &Member)> = memory
        .members(is_file)
        .iter()
        .filter(|(text, member)| {
            member.pattern.is_none()
                && Place::again(text, is_file).mask_text().as_deref() == Some(mask)
        })
        .collect();
    if of_mask.len() < FAMILY {
        return None;
    }
    let program = |member: &Member, program: &str| {
        member.uses.iter().any(|(actor, _)| {
            memory
                .actors
                .get(usize::from(*actor))
                .is_some_and(|actor| actor.who.program == program)
        })
    };
    let programs = memory.actors.iter().map(|actor| actor.who.program.as_str());
    let (count, shared) = programs
        .map(|name| {
            (
                of_mask
                    .iter()
                    .filter(|(_, member)| program(member, name))
                    .count(),
                name,
            )
        })
        .max_by_key(|(count, name)| (*count, Reverse(*name)))?;
    if count < FAMILY {
        return None;
    }
    let family: Vec<(&String, &Member)> = of_mask
        .into_iter()
        .filter(|(_, member)| program(member, shared))
        .collect();
    let first = family
        .iter()
        .map(|(_, member)| member.sight.first_run)
        .min()?;
    let runs = f64::from(memory.runs.saturating_sub(first)) + 1.0;
    let calls: f64 = family
        .iter()
        .map(|(_, member)| f64::from(member.sight.runs))
        .sum();
    let fixed = calls / (runs * family.len() as f64) > FIXED;
    (!fixed).then(|| family.into_iter().map(|(text, _)| text.clone()).collect())
}

fn values(text: &str, is_file: bool) -> Option<Vec<String>> {
    Some(Place::again(text, is_file).masked?.values)
}
