//! Short names of things, the same in every process and in every version.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::place::Who;
use crate::text::harmless;

/// Names something that jobs have in common: a destination or a file, with or without a program, or an owner of names.
/// The first 64 bits of a SHA-256, so that a table of them is small and nobody finds a second thing with the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u64);

impl Key {
    /// The key of a place, whoever goes there. A file can be called like a destination, and is another thing.
    pub(crate) fn of_place(place: &str, is_file: bool) -> Key {
        let kind = if is_file { "file" } else { "place" };
        Key(hash(&[kind, place]))
    }

    /// The key of a place together with who goes there.
    pub(crate) fn of_visit(place: &str, is_file: bool, who: &Who) -> Key {
        let kind = if is_file { "rewrite" } else { "visit" };
        Key(hash(&[kind, place, &who.program, &who.dependency]))
    }

    /// The key of something new, by its [`AnomalyKey`].
    pub(crate) fn of_story(key: &str) -> Key {
        Key(hash(&["story", key]))
    }

    /// The key of who registered a name.
    pub(crate) fn of_owner(owner: &str) -> Key {
        Key(hash(&["owner", owner]))
    }
}

/// The same parts give the same number for ever: states and tables are kept over versions.
pub(crate) fn hash(parts: &[&str]) -> u64 {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        sha.update(part.as_bytes());
    }
    let digest = sha.finalize();
    let head: [u8; 8] = digest.first_chunk().copied().unwrap_or_default();
    u64::from_be_bytes(head)
}

/// Names one new thing of a job: the same whenever the job shows it again, and the same in every job.
/// At most [`crate::limits::KEY_BYTES`] bytes, without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AnomalyKey(Box<str>);

impl AnomalyKey {
    /// The key of this text, as [`AnomalyKey::as_str`] gave it.
    pub fn new(text: &str) -> AnomalyKey {
        AnomalyKey(text.into())
    }

    /// The key of a finding of this kind, whichever job it is in; `what` is what those of several jobs have in common.
    pub fn of_finding(kind: &str, what: &str) -> AnomalyKey {
        let kind = harmless(kind, limits::STEP_BYTES);
        let what = harmless(what, limits::PLACE_BYTES);
        AnomalyKey(format!("{FINDING}{kind}|{what}").into())
    }

    /// The kind of the finding that this is the key of, if it is one's.
    pub fn finding(&self) -> Option<&str> {
        let (kind, _) = self.0.strip_prefix(FINDING)?.split_once('|')?;
        Some(kind)
    }

    /// The text, for a column of a table or a form of a page.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What keys of findings begin with, and no others.
const FINDING: &str = "finding|";

impl fmt::Display for AnomalyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_in_every_version() {
        assert_eq!(
            Key::of_place("example.com:443", false),
            Key(0x98dc_ba3c_6d16_0e96)
        );
        assert_ne!(
            Key::of_place("example.com:443", true),
            Key::of_place("example.com:443", false)
        );
        assert_ne!(hash(&["ab", "c"]), hash(&["a", "bc"]));
    }

    #[test]
    fn keys_of_findings_are_told_apart_from_others_and_are_short() {
        let key = AnomalyKey::of_finding("reverse-shell", "a|b\n");
        assert_eq!(key.finding(), Some("reverse-shell"));
        assert_eq!(AnomalyKey::new("volume|finding|x").finding(), None);
        let long = AnomalyKey::of_finding(&"k".repeat(5_000), &"w".repeat(5_000));
        assert!(long.as_str().len() <= limits::KEY_BYTES, "{long}");
        let one = AnomalyKey::of_finding("k", &format!("{}1", "w".repeat(5_000)));
        let other = AnomalyKey::of_finding("k", &format!("{}2", "w".repeat(5_000)));
        assert_ne!(one, other);
    }
}
