use serde::Serialize;

use crate::pattern::fits;

/// To which processes a rule applies. An empty list means any; a process must fit every list that is not empty.
///
/// In all values `*` stands for any characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Narrowing {
    /// CI steps, by their names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<String>,
    /// Programs: by path where the value has a `/`, and else by the last part of the path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub executables: Vec<String>,
    /// Container images, by reference. A value without tag and digest means every tag and digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
}

/// Who asks: what is known of a process. What is missing fits no value: a process that is in no step is in none of
/// the steps that a rule names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Actor<'a> {
    /// The CI step it belongs to.
    pub step: Option<&'a str>,
    /// The path of its program.
    pub executable: Option<&'a str>,
    /// The image of the container it runs in.
    pub image: Option<&'a str>,
}

impl Narrowing {
    /// Whether the rule applies to every process.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.executables.is_empty() && self.images.is_empty()
    }

    /// Whether the rule applies to this process.
    pub fn admits(&self, actor: &Actor<'_>) -> bool {
        any(&self.steps, actor.step, fits)
            && any(&self.executables, actor.executable, fits_executable)
            && any(&self.images, actor.image, fits_image)
    }
}

fn any(values: &[String], known: Option<&str>, fits: fn(&str, &str) -> bool) -> bool {
    values.is_empty() || known.is_some_and(|known| values.iter().any(|value| fits(value, known)))
}

fn fits_executable(value: &str, path: &str) -> bool {
    if value.contains('/') {
        return fits(value, path);
    }
    fits(value, path.rsplit('/').next().unwrap_or(path))
}

fn fits_image(value: &str, image: &str) -> bool {
    let named = |reference: &str| {
        let last = reference.rsplit('/').next().unwrap_or(reference);
        last.contains([':', '@'])
    };
    if named(value) {
        return fits(value, image);
    }
    let repository = image.split('@').next().unwrap_or(image);
    let repository = match repository.rsplit_once(':') {
        // A `/` after the `:` makes it the port of the registry.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => repository,
    };
    fits(value, repository)
}

/// Names a narrowing of one policy: a bit of a [`NarrowingSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NarrowingId(pub(crate) u8);

/// Narrowings of one policy, a bit for each: which a process fits, or which a grant needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NarrowingSet(u64);

impl NarrowingSet {
    /// None at all.
    pub const EMPTY: NarrowingSet = NarrowingSet(0);

    /// The bits: bit `n` is the narrowing of number `n`.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Just this one.
    pub fn one(id: NarrowingId) -> NarrowingSet {
        // At most 64 narrowings are in a policy; see `limits::NARROWINGS`.
        NarrowingSet(1_u64.checked_shl(u32::from(id.0)).unwrap_or(0))
    }

    /// What is in either.
    #[must_use]
    pub fn or(self, other: NarrowingSet) -> NarrowingSet {
        NarrowingSet(self.0 | other.0)
    }

    /// Whether everything of `other` is in this.
    pub fn has_all(self, other: NarrowingSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether something of `other` is in this.
    pub fn has_any(self, other: NarrowingSet) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is in this.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_for_the_processes_it_names() {
        let list = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        for (executables, path, holds) in [
            (&["curl"][..], "/usr/bin/curl", true),
            (&["curl"], "/tmp/curl/evil", false),
            (&["/usr/bin/curl"], "/tmp/curl", false),
            (&["/usr/bin/*"], "/usr/bin/curl", true),
            (&["wget", "python3*"], "/usr/bin/python3.11", true),
            (&[], "/usr/bin/curl", true),
        ] {
            let narrowing = Narrowing {
                executables: list(executables),
                ..Narrowing::default()
            };
            let actor = Actor {
                executable: Some(path),
                ..Actor::default()
            };
            assert_eq!(narrowing.admits(&actor), holds, "{executables:?} {path}");
        }
        for (image, reference, holds) in [
            ("node", "node:20", true),
            ("node", "node@sha256:00", true),
            ("node", "evil/node:20", false),
            (
                "registry.example:5000/node",
                "registry.example:5000/node:20",
                true,
            ),
            (
                "registry.example:5000/node",
                "registry.example:5000/node",
                true,
            ),
            ("node:2*", "node:20", true),
            ("node:20", "node:22", false),
        ] {
            let narrowing = Narrowing {
                images: list(&[image]),
                ..Narrowing::default()
            };
            let actor = Actor {
                image: Some(reference),
                ..Actor::default()
            };
            assert_eq!(narrowing.admits(&actor), holds, "{image} {reference}");
        }
    }

    #[test]
    fn what_is_unknown_fits_nothing_that_is_named() {
        let narrowing = Narrowing {
            steps: vec!["*".to_owned()],
            ..Narrowing::default()
        };
        assert!(!narrowing.admits(&Actor::default()));
        assert!(Narrowing::default().admits(&Actor::default()));
    }
}
