//! Decodes a git index from memory. The job can write the index, so its bytes are hostile.
//!
//! The decoding itself is gix-index's. Before it sees any byte, [`strip`] walks over the entries, bounds their names
//! (version 4 compresses names, so a small file can unpack to any size), and takes away every optional extension:
//! these cache things that we don't need, and decoding them recurses and indexes as deep as the file says.

use filetime::FileTime;
use gix_hash::ObjectId;
use gix_index::entry::{Flags, Mode, Stage, Stat};
use thiserror::Error;

/// The longest index that is read, in bytes. A million entries need about a hundred million.
pub(crate) const MAX_INDEX: u64 = 1 << 29;
/// The most entries of one index.
pub(crate) const MAX_ENTRIES: usize = 4_000_000;
/// The longest name of an entry: what the kernel takes.
const MAX_NAME: usize = 4095;
/// The most bytes that all names of one index may take together.
const MAX_NAMES: usize = 1 << 29;

/// Why an index can't be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum IndexError {
    #[error("it is damaged at byte {0}")]
    Damaged(usize),
    #[error("it has version {0}, and versions 2 to 4 are known")]
    Version(u32),
    #[error("it is larger than a sensible index")]
    TooLarge,
    #[error("it can't be decoded: {0}")]
    Decode(String),
    #[error("it is split, and its shared part can't be read")]
    Shared,
}

/// One entry of an index.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) id: ObjectId,
    pub(crate) kind: EntryKind,
    pub(crate) stat: Stat,
    /// Whether this entry says what the file held when its stat was taken: not in a conflict, not only intended.
    pub(crate) settled: bool,
}

/// What an entry names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A regular file or a symbolic link.
    File,
    /// Another repository: its files stand in its own index.
    Submodule,
}

/// The entries of an index, in its order. `shared` reads the shared part of a split index, by its checksum.
pub(crate) fn decode(
    bytes: Vec<u8>,
    kind: gix_hash::Kind,
    shared: impl FnOnce(&str) -> Option<Vec<u8>>,
) -> Result<Vec<Entry>, IndexError> {
    let state = parse(bytes, kind)?;
    let own = entries(&state);
    let Some(link) = state.link() else {
        return Ok(finish(own));
    };
    let Some(bitmaps) = &link.bitmaps else {
        return Ok(finish(own));
    };
    let id = link.shared_index_checksum;
    let bytes = shared(&id.to_string()).ok_or(IndexError::Shared)?;
    if !bytes.ends_with(id.as_bytes()) {
        return Err(IndexError::Shared);
    }
    let mut base: Vec<Option<Entry>> = entries(&parse(bytes, kind)?)
        .into_iter()
        .map(Some)
        .collect();

    // The first entries of a split index have no names: they replace the entries of the shared one that the bitmap
    // names, in order. Deleted entries are in the other bitmap; what is left over is new.
    let mut own = own.into_iter();
    let replaced = bitmaps.replace.for_each_set_bit(|at| {
        let old = base.get_mut(at)?.as_mut()?;
        let new = own.next()?;
        *old = Entry {
            path: std::mem::take(&mut old.path),
            ..new
        };
        Some(())
    });
    let deleted = bitmaps.delete.for_each_set_bit(|at| {
        *base.get_mut(at)? = None;
        Some(())
    });
    if replaced.is_none() || deleted.is_none() {
        return Err(IndexError::Shared);
    }
    Ok(finish(base.into_iter().flatten().chain(own).collect()))
}

/// Sorted by name, one entry a name, and only names that can be a file below the worktree.
fn finish(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.retain(|entry| is_plain(&entry.path));
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries.dedup_by(|later, first| {
        let same = later.path == first.path;
        first.settled &= !same;
        same
    });
    entries
}

/// Whether a name stays below the folder that it is relative to, and can be handed to the kernel.
pub(crate) fn is_plain(path: &[u8]) -> bool {
    !path.contains(&0)
        && path
            .split(|byte| *byte == b'/')
            .all(|part| !matches!(part, b"" | b"." | b".."))
}

fn entries(state: &gix_index::State) -> Vec<Entry> {
    let wanted = state.entries().iter().filter_map(|entry| {
        let kind = if entry.mode == Mode::COMMIT {
            EntryKind::Submodule
        } else if entry.mode == Mode::DIR {
            // A folder outside a sparse checkout: none of its files is there.
            return None;
        } else {
            EntryKind::File
        };
        let path = entry.path(state).to_vec();
        let settled = entry.stage() == Stage::Unconflicted
            && !entry
                .flags
                .intersects(Flags::INTENT_TO_ADD | Flags::SKIP_WORKTREE);
        Some(Entry {
            path,
            id: entry.id,
            kind,
            stat: entry.stat,
            settled,
        })
    });
    wanted.collect()
}

fn parse(mut bytes: Vec<u8>, kind: gix_hash::Kind) -> Result<gix_index::State, IndexError> {
    strip(&mut bytes, kind.len_in_bytes())?;
    let options = gix_index::decode::Options {
        thread_limit: Some(1),
        alloc_limit_bytes: Some(MAX_NAMES),
        ..Default::default()
    };
    gix_index::State::from_bytes(&bytes, FileTime::zero(), kind, options)
        .map(|(state, _checksum)| state)
        .map_err(|error| IndexError::Decode(error.to_string()))
}

/// Leaves of an index only its entries and the extensions that a reader must understand.
fn strip(bytes: &mut Vec<u8>, hash_len: usize) -> Result<(), IndexError> {
    let body_end = bytes
        .len()
        .checked_sub(hash_len)
        .ok_or(IndexError::Damaged(0))?;
    let body = bytes.get(..body_end).unwrap_or_default();
    let mut at = Cursor { body, at: 0 };
    if at.take(4) != Some(b"DIRC") {
        return Err(IndexError::Damaged(0));
    }
    let version = at.u32().ok_or(IndexError::Damaged(4))?;
    if !(2..=4).contains(&version) {
        return Err(IndexError::Version(version));
    }
    let count = at.u32().ok_or(IndexError::Damaged(8))? as usize;
    if count > MAX_ENTRIES {
        return Err(IndexError::TooLarge);
    }
    let mut name_len = 0;
    let mut names = 0usize;
    for _ in 0..count {
        let start = at.at;
        name_len = at
            .entry(version, hash_len, name_len)
            .ok_or(IndexError::Damaged(start))?;
        names += name_len;
        if names > MAX_NAMES {
            return Err(IndexError::TooLarge);
        }
    }
    let entries_end = at.at;
    let mut kept = Vec::new();
    while at.at < body_end {
        let start = at.at;
        let damaged = IndexError::Damaged(start);
        let Some(signature) = at.take(4) else {
            return Err(damaged);
        };
        // A signature that starts in lower case marks an extension that a reader must not skip.
        let must_keep = signature.first().is_some_and(u8::is_ascii_lowercase);
        let Some(len) = at.u32() else {
            return Err(damaged);
        };
        if at.take(len as usize).is_none() {
            return Err(damaged);
        }
        if must_keep {
            kept.extend_from_slice(body.get(start..at.at).unwrap_or_default());
        }
    }
    bytes.truncate(entries_end);
    bytes.append(&mut kept);
    // An index whose checksum is all zero has none, by git's own convention (`index.skipHash`).
    bytes.resize(bytes.len() + hash_len, 0);
    Ok(())
}

struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.body.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_be_bytes(self.take(4)?.try_into().ok()?))
    }

    /// Steps over one entry; the length of its whole name.
    fn entry(&mut self, version: u32, hash_len: usize, previous: usize) -> Option<usize> {
        let start = self.at;
        self.take(40 + hash_len)?;
        let flags = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        if flags & 0x4000 != 0 {
            if version < 3 {
                return None;
            }
            self.take(2)?;
        }
        let len = if version == 4 {
            let strip = self.varint()?;
            let suffix = self.up_to_nul()?;
            previous.checked_sub(strip)?.checked_add(suffix)?
        } else {
            let len = usize::from(flags & 0x0fff);
            if len > MAX_NAME - 1 {
                return None;
            }
            self.take(len)?;
            let whole = (self.at - start + 8) & !7;
            self.take(whole - (self.at - start))?;
            len
        };
        (len <= MAX_NAME).then_some(len)
    }

    /// The variable-length number of git's packs, where each further byte adds one.
    fn varint(&mut self) -> Option<usize> {
        let mut value = 0usize;
        for step in 0..4 {
            let [byte] = self.take(1)?.try_into().ok()?;
            let byte: u8 = byte;
            if step > 0 {
                value += 1;
            }
            value = (value << 7) | usize::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn up_to_nul(&mut self) -> Option<usize> {
        let rest = self.body.get(self.at..)?;
        let len = rest.iter().take(MAX_NAME + 1).position(|byte| *byte == 0)?;
        self.take(len + 1)?;
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An index as git writes it: names, and whether to use version 4, with an optional extension at the end.
    fn index(version: u32, names: &[&str], extensions: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
        let mut bytes = b"DIRC".to_vec();
        bytes.extend(version.to_be_bytes());
        bytes.extend((names.len() as u32).to_be_bytes());
        let mut previous = "";
        for name in names {
            let start = bytes.len();
            for field in [1u32, 2, 3, 4, 5, 6, 0o100644, 7, 8, 9] {
                bytes.extend(field.to_be_bytes());
            }
            bytes.extend([name.len() as u8; 20]);
            bytes.extend((name.len().min(0xfff) as u16).to_be_bytes());
            if version == 4 {
                let common = previous
                    .bytes()
                    .zip(name.bytes())
                    .take_while(|(a, b)| a == b)
                    .count();
                bytes.push((previous.len() - common) as u8);
                bytes.extend(&name.as_bytes()[common..]);
                bytes.push(0);
                previous = name;
            } else {
                bytes.extend(name.as_bytes());
                let whole = (bytes.len() - start + 8) & !7;
                bytes.resize(start + whole, 0);
            }
        }
        for (signature, data) in extensions {
            bytes.extend(*signature);
            bytes.extend((data.len() as u32).to_be_bytes());
            bytes.extend(*data);
        }
        bytes.extend([0xee; 20]);
        bytes
    }

    fn names(bytes: Vec<u8>) -> Result<Vec<String>, IndexError> {
        let entries = decode(bytes, gix_hash::Kind::Sha1, |_| None)?;
        Ok(entries
            .iter()
            .map(|e| String::from_utf8_lossy(&e.path).into_owned())
            .collect())
    }

    #[test]
    fn versions_two_and_four_read_the_same() {
        let files = ["a", "dir/file", "dir/file2", "dir/other/deep", "z"];
        for version in [2, 3, 4] {
            let bytes = index(
                version,
                &files,
                &[(b"TREE", b"garbage"), (b"UNTR", b"more garbage")],
            );
            assert_eq!(names(bytes).unwrap(), files, "version {version}");
        }
    }

    #[test]
    fn names_that_leave_the_worktree_are_left_out() {
        let files = ["../up", "/abs", "a//b", "good", "x/./y", "x/../y"];
        assert_eq!(names(index(2, &files, &[])).unwrap(), ["good"]);
    }

    #[test]
    fn a_name_in_conflict_is_one_entry_that_is_not_settled() {
        let bytes = index(2, &["a", "a", "b"], &[]);
        let entries = decode(bytes, gix_hash::Kind::Sha1, |_| None).unwrap();
        let told: Vec<_> = entries
            .iter()
            .map(|e| (e.path.as_slice(), e.settled))
            .collect();
        assert_eq!(told, [(b"a".as_slice(), false), (b"b".as_slice(), true)]);
    }

    #[test]
    fn what_is_not_an_index_says_so() {
        let examples: [(&str, Vec<u8>, IndexError); 6] = [
            ("nothing", vec![], IndexError::Damaged(0)),
            ("another file", vec![b'x'; 100], IndexError::Damaged(0)),
            ("a new version", index(5, &[], &[]), IndexError::Version(5)),
            (
                "cut short",
                index(2, &["abc"], &[])[..60].to_vec(),
                IndexError::Damaged(12),
            ),
            (
                "more entries than bytes",
                {
                    let mut bytes = index(2, &["abc"], &[]);
                    bytes[8..12].copy_from_slice(&2u32.to_be_bytes());
                    bytes
                },
                IndexError::Damaged(84),
            ),
            (
                "billions of entries",
                {
                    let mut bytes = index(2, &["abc"], &[]);
                    bytes[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
                    bytes
                },
                IndexError::TooLarge,
            ),
        ];
        for (what, bytes, error) in examples {
            assert_eq!(names(bytes).unwrap_err(), error, "{what}");
        }
    }

    #[test]
    fn a_small_file_does_not_unpack_to_a_large_name() {
        let mut bytes = index(4, &["a"], &[]);
        // Five thousand bytes of name, then an entry that repeats them all.
        let end = bytes.len() - 22;
        bytes.splice(end..end, std::iter::repeat_n(b'x', 5000));
        assert_eq!(names(bytes).unwrap_err(), IndexError::Damaged(12));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn damage_never_panics(
            version in 2u32..=4,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut: prop::sample::Index,
            link in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let mut bytes = index(version, &["a", "b/c", "b/d"], &[(b"link", &link), (b"TREE", b"x\x001 1\n")]);
            for (at, to) in damage {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            let shared = index(2, &["b/c", "q"], &[]);
            let _ = decode(bytes.clone(), gix_hash::Kind::Sha1, |_| Some(shared.clone()));
            bytes.truncate(cut.index(bytes.len()));
            let _ = decode(bytes, gix_hash::Kind::Sha1, |_| Some(shared));
        }
    }
}
