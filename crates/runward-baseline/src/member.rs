//! How something becomes normal, and stops being so.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::anomaly::Kind;
use crate::change::What;
use crate::family::generalise;
use crate::ledger::{Decision, Ledger};
use crate::limits;
use crate::memory::{Member, Memory, Open, Origin};
use crate::place::{Place, Who};

/// No longer open.
pub(crate) fn close(memory: &mut Memory, ledger: &mut Ledger, key: &str) -> Option<Open> {
    let open = memory.open.remove(key)?;
    if open.kind != Kind::Storm {
        ledger.story(key, -1);
    }
    Some(open)
}

/// Something new becomes normal.
pub(crate) fn join(
    memory: &mut Memory,
    ledger: &mut Ledger,
    open: &Open,
    origin: Origin,
    decision: &Decision<'_>,
) {
    if open.kind == Kind::Storm {
        return;
    }
    if open.kind == Kind::DataVolume {
        if let Some(member) = memory.places.get_mut(&open.place) {
            member.volume.most = member.volume.most.max(open.most_sent);
        }
    } else if open.samples.is_empty() {
        join_place(memory, ledger, open, &open.place, &origin);
    } else {
        join_family(memory, ledger, open, &origin);
    }
    ledger.note(
        decision.at,
        What::Joined,
        &open.subject,
        decision.run,
        decision.by.clone(),
        decision.why.to_owned(),
    );
    for text in open.samples.iter().chain([&open.place]) {
        generalise(memory, ledger, text, open.is_file, decision);
    }
}

/// Names of a family: they widen the pattern that there is, or become normal one by one.
fn join_family(memory: &mut Memory, ledger: &mut Ledger, open: &Open, origin: &Origin) {
    let masked: Vec<_> = open
        .samples
        .iter()
        .filter_map(|text| Place::again(text, open.is_file).masked)
        .collect();
    let known = memory.members_mut(open.is_file).get_mut(&open.place);
    if let Some(pattern) = known.and_then(|member| member.pattern.as_mut()) {
        for masked in masked {
            for (slot, value) in pattern.slots.iter_mut().zip(&masked.values) {
                *slot = slot.widened(value);
            }
            pattern.names = pattern.names.saturating_add(1);
        }
        join_place(memory, ledger, open, &open.place, origin);
        return;
    }
    for text in &open.samples {
        join_place(memory, ledger, open, text, origin);
    }
}

fn join_place(memory: &mut Memory, ledger: &mut Ledger, open: &Open, text: &str, origin: &Origin) {
    let actors: Vec<(u16, Who)> = open
        .who
        .iter()
        .map(|who| (memory.actor_or_new(who), who.clone()))
        .collect();
    let steps: Vec<u8> = open
        .steps
        .iter()
        .filter_map(|step| memory.step(step))
        .collect();
    if !memory.members(open.is_file).contains_key(text) {
        let room = if open.is_file {
            limits::FILES
        } else {
            limits::PLACES
        };
        if memory.members(open.is_file).len() >= room {
            make_room(memory, ledger, open.is_file);
        }
        let member = Member {
            sight: open.sight.clone(),
            origin: origin.clone(),
            owner: open.owner,
            ..Member::default()
        };
        ledger.normal(text, open.is_file, owner_of(text, open.owner), 1);
        memory
            .members_mut(open.is_file)
            .insert(text.to_owned(), member);
    }
    let Some(member) = memory.members_mut(open.is_file).get_mut(text) else {
        return;
    };
    let mut given_up = 0;
    let is_new = member.uses.is_empty() && member.volume.runs == 0;
    if is_new && open.most_sent > 0 {
        member.volume.add(open.most_sent);
    }
    for (actor, who) in actors {
        if member.uses.iter().any(|(used, _)| *used == actor) {
            continue;
        }
        if member.uses.len() >= limits::USES {
            let oldest = (0..member.uses.len())
                .min_by_key(|at| member.uses.get(*at).map(|(_, sight)| sight.last_run));
            if let Some(oldest) = oldest {
                member.uses.swap_remove(oldest);
                given_up += 1;
            }
        }
        let mut sight = open.sight.clone();
        // The alert is counted once: with the place if that was new, too.
        sight.alerted &= !is_new;
        member.uses.push((actor, sight));
        ledger.visit(text, open.is_file, &who, 1);
    }
    member.add_steps(&steps);
    memory.give_up(given_up);
}

/// No longer normal.
pub(crate) fn remove(
    memory: &mut Memory,
    ledger: &mut Ledger,
    text: &str,
    is_file: bool,
) -> Option<Member> {
    let member = memory.members_mut(is_file).remove(text)?;
    ledger.normal(text, is_file, owner_of(text, member.owner), -1);
    for (actor, _) in &member.uses {
        if let Some(actor) = memory.actors.get(usize::from(*actor)) {
            ledger.visit(text, is_file, &actor.who, -1);
        }
    }
    Some(member)
}

/// Gives up the member that is worth least: seen in fewest runs, longest ago, and accepted by nobody. Of equals, one of
/// the program that has most: what one program floods the state with pushes out its own, and not what others always do.
fn make_room(memory: &mut Memory, ledger: &mut Ledger, is_file: bool) {
    let first_of = |member: &Member| member.uses.first().map(|(actor, _)| *actor);
    let mut crowds: BTreeMap<Option<u16>, usize> = BTreeMap::new();
    for member in memory.members(is_file).values() {
        *crowds.entry(first_of(member)).or_default() += 1;
    }
    let least = memory
        .members(is_file)
        .iter()
        .min_by_key(|(_, member)| {
            let person = matches!(member.origin, Origin::Person(_));
            let crowd = crowds.get(&first_of(member)).copied();
            (
                person,
                member.sight.runs,
                member.sight.last_run,
                Reverse(crowd),
            )
        })
        .map(|(text, _)| text.clone());
    if let Some(least) = least {
        remove(memory, ledger, &least, is_file);
        memory.give_up(1);
    }
}

/// The owner of a name as its member remembers it.
pub(crate) fn owner_of(text: &str, bytes: u8) -> Option<&str> {
    let (host, _) = text.rsplit_once(':')?;
    (bytes > 0).then(|| host.get(host.len().saturating_sub(usize::from(bytes))..))?
}

impl Member {
    pub(crate) fn add_steps(&mut self, steps: &[u8]) {
        for step in steps {
            if self.steps.len() < limits::STEPS_OF_MEMBER && !self.steps.contains(step) {
                self.steps.push(*step);
            }
        }
    }

    /// Two members become one.
    pub(crate) fn join(&mut self, other: Member) {
        self.sight.join(&other.sight);
        for (actor, sight) in other.uses {
            if let Some((_, known)) = self.uses.iter_mut().find(|(used, _)| *used == actor) {
                known.join(&sight);
            } else if self.uses.len() < limits::USES {
                self.uses.push((actor, sight));
            }
        }
        self.add_steps(&other.steps);
        if other.volume.runs > self.volume.runs {
            let most = self.volume.most.max(other.volume.most);
            self.volume = other.volume;
            self.volume.most = most;
        } else {
            self.volume.most = self.volume.most.max(other.volume.most);
        }
        if self.origin == Origin::Created {
            self.origin = other.origin;
        }
    }
}
