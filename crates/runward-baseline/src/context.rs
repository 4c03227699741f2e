//! What runs are made with, and what a change of it means.

use crate::key::hash;
use crate::limits;
use crate::memory::Contexts;
use crate::summary::Context;

/// What the parts are called, in their order.
const PARTS: [&str; 4] = [
    "pipeline file",
    "runner's image",
    "pinned actions",
    "lockfile",
];

/// The part that is no reason to begin anew: dependencies change all the time.
const LOCKFILE: usize = 3;

/// Of so many changes, so many bring news, before any has been seen: a fifth, not believed much. Of the changes of real
/// allowlists a ninth came with a visible change of the steps.
const CHANGES: f64 = 5.0;
const WITH_NEWS: f64 = 1.0;

/// How long after a change what is new is put down to it, in runs.
pub(crate) const AFTERMATH: u32 = 20;

/// Changes that are remembered for weighing what was before them.
const RESETS: usize = 16;

/// The part of what is known that is given up at a change that certainly brings news.
const GIVEN_UP: f64 = 0.9;

impl Contexts {
    /// The parts that differ from all runs before, in words. Unknown parts, and the first of their kind, do not.
    pub(crate) fn changed(&self, context: &Context) -> Vec<&'static str> {
        let parts = parts(context);
        let pairs = self.versions.iter().zip(parts).zip(PARTS);
        pairs
            .filter_map(|((known, part), name)| {
                let version = version(part?);
                (!known.is_empty() && !known.contains(&version)).then_some(name)
            })
            .collect()
    }

    /// Takes in a run's context. Answers what changed, if the estimate begins anew, and which part of it is kept.
    pub(crate) fn take(&mut self, context: &Context, run: u32) -> Option<(&'static str, f32)> {
        let mut changed = None;
        for (at, part) in parts(context).into_iter().enumerate() {
            let (Some(part), Some(known)) = (part, self.versions.get_mut(at)) else {
                continue;
            };
            let version = version(part);
            let first = known.is_empty();
            let place = known.iter().position(|other| *other == version);
            // The last used stands last, so that the version that is forgotten is one that nobody uses.
            if let Some(place) = place {
                known.remove(place);
            } else if known.len() >= limits::VERSIONS {
                known.remove(0);
            }
            known.push(version);
            let is_new = place.is_none() && !first;
            if is_new && at != LOCKFILE {
                changed = changed.or(Some(at));
            }
        }
        let at = changed?;
        Some((PARTS.get(at).copied()?, self.begin_anew(at, run)))
    }

    fn begin_anew(&mut self, part: usize, run: u32) -> f32 {
        let news = (WITH_NEWS + f64::from(self.with_news)) / (CHANGES + f64::from(self.changes));
        let keep = (1.0 - GIVEN_UP * news).clamp(0.0, 1.0) as f32;
        self.changes += 1.0;
        self.last_change = run;
        self.last_part = u8::try_from(part).unwrap_or_default();
        self.news_since = false;
        self.resets.push((run, keep));
        if self.resets.len() > RESETS {
            // Before the oldest change that is remembered, what is left is that of both together.
            let (_, first) = self.resets.remove(0);
            if let Some((_, second)) = self.resets.first_mut() {
                *second *= first;
            }
        }
        keep
    }

    /// Something new came in this run: the last change gets the blame if it is near.
    pub(crate) fn news(&mut self, run: u32) {
        let near = self.changes > 0.0 && run.saturating_sub(self.last_change) <= AFTERMATH;
        if near && !self.news_since {
            self.news_since = true;
            self.with_news += 1.0;
        }
    }

    /// What changed last, and how many runs ago, while that is near.
    pub(crate) fn recent(&self, run: u32) -> Option<(&'static str, u32)> {
        let ago = run.saturating_sub(self.last_change);
        (self.changes > 0.0 && ago <= AFTERMATH)
            .then(|| PARTS.get(usize::from(self.last_part)).copied())
            .flatten()
            .map(|part| (part, ago))
    }
}

fn parts(context: &Context) -> [Option<&str>; 4] {
    [
        &context.pipeline_file,
        &context.image,
        &context.actions,
        &context.lockfile,
    ]
    .map(|part| part.as_deref())
}

/// A collision makes one change pass for none, which nobody gains by.
fn version(text: &str) -> u32 {
    (hash(&["version", text]) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(version: &str) -> Context {
        Context {
            image: Some(version.to_owned()),
            ..Context::default()
        }
    }

    #[test]
    fn branches_that_differ_are_no_changes() {
        let mut contexts = Contexts::default();
        assert_eq!(
            contexts.take(&image("a"), 1),
            None,
            "the first is no change"
        );
        assert_eq!(contexts.changed(&image("b")), ["runner's image"]);
        assert!(contexts.take(&image("b"), 2).is_some());
        for run in 3..40 {
            let branch = if run % 2 == 0 { "a" } else { "b" };
            assert_eq!(contexts.take(&image(branch), run), None);
            assert!(contexts.changed(&image(branch)).is_empty());
        }
        assert_eq!(
            contexts.take(&Context::default(), 40),
            None,
            "unknown is no change"
        );
    }

    #[test]
    fn changes_that_never_bring_news_soon_cost_little() {
        let mut contexts = Contexts::default();
        contexts.take(&image("0"), 1);
        let first = contexts.take(&image("1"), 2).unwrap().1;
        let mut last = first;
        for version in 2..60_u32 {
            last = contexts
                .take(&image(&version.to_string()), version * 10)
                .unwrap()
                .1;
            assert!(
                contexts
                    .versions
                    .iter()
                    .all(|known| known.len() <= limits::VERSIONS)
            );
            assert!(contexts.resets.len() <= RESETS);
        }
        assert!(first < 0.85 && last > 0.97, "{first} {last}");
    }

    #[test]
    fn a_lockfile_is_told_but_nothing_begins_anew() {
        let lockfile = |version: &str| Context {
            lockfile: Some(version.to_owned()),
            ..Context::default()
        };
        let mut contexts = Contexts::default();
        contexts.take(&lockfile("a"), 1);
        assert_eq!(contexts.changed(&lockfile("b")), ["lockfile"]);
        assert_eq!(contexts.take(&lockfile("b"), 2), None);
    }
}
