//! Places in the file system that somebody asked to be told of, as patterns, and which file is at one.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use runward_event::SensitiveClass;

/// A place whose files are looked after.
///
/// A pattern is a path whose parts may hold `*`, which stands for any number of bytes but `/`. It starts with `/`; with
/// `~/`, below each home folder; with `./`, below the workspace; or with `**/`, anywhere. It may end with `/**`, for
/// everything below. Of several patterns that fit a file, the first one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What is told of it; of [`SensitiveClass::Other`] nothing is.
    pub class: SensitiveClass,
    /// Where it is.
    pub pattern: String,
}

/// Patterns, ready to be compared with paths.
#[derive(Debug, Default)]
pub(crate) struct Places {
    places: Vec<Place>,
    patterns: Vec<Pattern>,
    /// Names that are looked for in every folder, with their place.
    names: Vec<(Box<[u8]>, usize)>,
}

#[derive(Debug)]
struct Pattern {
    place: usize,
    /// Whether it starts at the root folder.
    anchored: bool,
    /// Whether everything below it is meant.
    below: bool,
    parts: Vec<Box<[u8]>>,
}

impl Places {
    /// `~/` stands for each of `homes`, `./` for `workspace`. Folders that are there are taken by their real paths,
    /// which is how the kernel tells of them.
    pub(crate) fn new(places: &[Place], workspace: &Path, homes: &[PathBuf]) -> Places {
        let mut all = Places {
            places: places.to_vec(),
            ..Places::default()
        };
        for (place, Place { pattern, .. }) in places.iter().enumerate() {
            if let Some(anywhere) = pattern.strip_prefix("**/") {
                let pattern = Pattern::new(place, false, anywhere);
                match anywhere.contains(['/', '*']) {
                    // It names nothing, so that it would fit everything.
                    _ if pattern.parts.is_empty() => (),
                    true => all.patterns.push(pattern),
                    false => all.names.push((anywhere.as_bytes().into(), place)),
                }
            } else if let Some(below) = pattern.strip_prefix("~/") {
                for home in homes {
                    all.anchor(place, &home.join(below));
                }
            } else if let Some(below) = pattern.strip_prefix("./") {
                all.anchor(place, &workspace.join(below));
            } else {
                all.anchor(place, Path::new(pattern));
            }
        }
        all
    }

    fn anchor(&mut self, place: usize, path: &Path) {
        // A place that can't be written as text can't be a pattern, and no home folder is called so.
        if let Some(path) = real(path).to_str() {
            self.patterns.push(Pattern::new(place, true, path));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(crate) fn get(&self, place: usize) -> Option<&Place> {
        self.places.get(place)
    }

    /// The place that a file with this absolute path is at.
    pub(crate) fn find(&self, path: &[u8]) -> Option<usize> {
        let parts: Vec<&[u8]> = parts(path).collect();
        let fitting = self.patterns.iter().filter(|pattern| pattern.fits(&parts));
        let name = parts.last().copied().unwrap_or_default();
        let named = self.names.iter().filter(|(known, _)| **known == *name);
        fitting
            .map(|pattern| pattern.place)
            .chain(named.map(|(_, place)| *place))
            .min()
    }

    /// Whether files of this name are looked for in every folder.
    pub(crate) fn is_name(&self, name: &[u8]) -> bool {
        self.names.iter().any(|(known, _)| **known == *name)
    }

    /// Whether a file directly in this folder may be at a place, by more than its own name.
    pub(crate) fn are_in(&self, folder: &[u8]) -> bool {
        let parts: Vec<&[u8]> = parts(folder).collect();
        self.patterns.iter().any(|pattern| pattern.is_in(&parts))
    }

    /// Whether a folder that is now called so may have brought files to a place, or folders that they would be in.
    pub(crate) fn may_be_below(&self, folder: &[u8]) -> bool {
        let parts: Vec<&[u8]> = parts(folder).collect();
        self.patterns
            .iter()
            .any(|pattern| pattern.may_be_below(&parts))
    }

    /// The patterns of places that can be looked for at the start: those that say where they begin and end.
    pub(crate) fn roots(&self) -> impl Iterator<Item = (usize, &[Box<[u8]>])> {
        self.patterns
            .iter()
            .filter(|pattern| pattern.anchored && !pattern.below)
            .map(|pattern| (pattern.place, &*pattern.parts))
    }
}

impl Pattern {
    fn new(place: usize, anchored: bool, text: &str) -> Pattern {
        let short = text.strip_suffix("/**");
        Pattern {
            place,
            anchored,
            below: short.is_some(),
            parts: parts(short.unwrap_or(text).as_bytes())
                .map(Into::into)
                .collect(),
        }
    }

    fn fits(&self, path: &[&[u8]]) -> bool {
        let starts = self.starts(path.len(), self.below);
        starts.into_iter().any(|start| self.fits_at(path, start))
    }

    /// Where in a path of this length the pattern may begin; `more` if the path goes on after it.
    fn starts(&self, length: usize, more: bool) -> std::ops::Range<usize> {
        let Some(spare) = length.checked_sub(self.parts.len() + usize::from(more)) else {
            return 0..0;
        };
        match (self.anchored, more) {
            (true, true) => 0..1,
            (true, false) => 0..usize::from(spare == 0),
            (false, true) => 0..spare + 1,
            (false, false) => spare..spare + 1,
        }
    }

    fn fits_at(&self, path: &[&[u8]], start: usize) -> bool {
        let path = path.get(start..).unwrap_or_default();
        path.len() >= self.parts.len()
            && self
                .parts
                .iter()
                .zip(path)
                .all(|(part, name)| fits(part, name))
    }

    fn is_in(&self, folder: &[&[u8]]) -> bool {
        // Any name will do for the file, so a path that is longer by one is asked for.
        let mut path = folder.to_vec();
        match self.below {
            true => {
                path.push(b"x");
                self.fits(&path)
            }
            false => {
                let Some((_, above)) = self.parts.split_last() else {
                    return false;
                };
                let starts = self.starts(folder.len() + 1, false);
                starts.into_iter().any(|start| {
                    let folder = folder.get(start..).unwrap_or_default();
                    above.len() == folder.len()
                        && above
                            .iter()
                            .zip(folder)
                            .all(|(part, name)| fits(part, name))
                })
            }
        }
    }

    fn may_be_below(&self, folder: &[&[u8]]) -> bool {
        let agrees = |names: &[&[u8]]| {
            !names.is_empty()
                && (self.below || names.len() < self.parts.len())
                && self
                    .parts
                    .iter()
                    .zip(names)
                    .all(|(part, name)| fits(part, name))
        };
        match self.anchored {
            true => agrees(folder),
            false => (0..folder.len()).any(|start| agrees(folder.get(start..).unwrap_or_default())),
        }
    }
}

/// Whether a name fits a pattern in which `*` stands for any number of bytes.
pub(crate) fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let mut pieces = pattern.split(|byte| *byte == b'*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        if piece.is_empty() {
            continue;
        }
        let Some(at) = rest.windows(piece.len()).position(|part| part == piece) else {
            return false;
        };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
    }
    true
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
}

/// The path with links followed in as much of it as is there.
fn real(path: &Path) -> PathBuf {
    let mut missing = Vec::new();
    let mut above = path;
    while let (Some(parent), Some(name)) = (above.parent(), above.file_name()) {
        // The file itself stays what it is called.
        missing.push(name.as_bytes());
        above = parent;
        if !parent.as_os_str().as_bytes().contains(&b'*')
            && let Ok(real) = parent.canonicalize()
        {
            let mut bytes = real.into_os_string().into_vec();
            for name in missing.into_iter().rev() {
                if !bytes.ends_with(b"/") {
                    bytes.push(b'/');
                }
                bytes.extend_from_slice(name);
            }
            return crate::files::settings::as_path(&bytes).to_owned();
        }
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places(patterns: &[&str]) -> Places {
        let places: Vec<Place> = patterns
            .iter()
            .map(|pattern| Place {
                class: SensitiveClass::Persistence,
                pattern: (*pattern).to_owned(),
            })
            .collect();
        Places::new(
            &places,
            Path::new("/nowhere/work"),
            &["/nowhere/home".into(), "/nowhere/other".into()],
        )
    }

    #[test]
    fn files_are_found_at_their_places() {
        let all = places(&[
            "/nowhere/cron.d/*",
            "~/.aws/credentials",
            "./.git/config",
            "**/site-packages/known.pth",
            "**/site-packages/*.pth",
            "**/_actions/**",
            "/nowhere/units/**",
            "**/.runner",
        ]);
        for (path, place) in [
            ("/nowhere/cron.d/job", Some(0)),
            ("/nowhere/cron.d/below/job", None),
            ("/x/nowhere/cron.d/job", None),
            ("/nowhere/home/.aws/credentials", Some(1)),
            ("/nowhere/other/.aws/credentials", Some(1)),
            ("/nowhere/third/.aws/credentials", None),
            ("/nowhere/work/.git/config", Some(2)),
            ("/a/site-packages/known.pth", Some(3)),
            ("/a/b/site-packages/x.pth", Some(4)),
            ("/a/site-packages/x.pt", None),
            ("/a/site-packages/sub/x.pth", None),
            ("/w/_actions/o/r/v1/dist/index.js", Some(5)),
            ("/w/_actions", None),
            ("/nowhere/units/a", Some(6)),
            ("/nowhere/units/a.wants/b", Some(6)),
            ("/nowhere/units", None),
            ("/any/where/.runner", Some(7)),
            ("", None),
        ] {
            assert_eq!(all.find(path.as_bytes()), place, "{path}");
            if place.is_some_and(|place| place != 7) {
                let (folder, _) = path.rsplit_once('/').unwrap();
                assert!(all.are_in(folder.as_bytes()), "{folder}");
                let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
                assert!(all.may_be_below(folder.as_bytes()), "{folder}, {above}");
            }
        }
        for folder in ["/", "/nowhere", "/a/b", "/x/cron.d"] {
            assert!(!all.are_in(folder.as_bytes()), "{folder}");
        }
        assert!(all.may_be_below(b"/nowhere/home"));
        assert!(!all.may_be_below(b"/tmp/x"));
    }

    #[test]
    fn a_pattern_that_names_nothing_fits_nothing() {
        for pattern in ["**/", "**//", "**///**"] {
            let all = places(&[pattern]);
            for path in ["", "/", "/a", "/a/b"] {
                assert_eq!(all.find(path.as_bytes()), None, "{pattern} {path}");
            }
        }
    }

    #[test]
    fn stars_stand_for_any_bytes() {
        for (pattern, name, fit) in [
            ("*", "", true),
            ("id_*", "id_rsa", true),
            ("id_*", "xid_rsa", false),
            ("*.pth", ".pth", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("abc", "abcd", false),
        ] {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                fit,
                "{pattern} {name}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_path_is_too_strange(path in prop::collection::vec(any::<u8>(), 0..80), pattern in "(/|~/|\\./|\\*\\*/)[a-c*/]{0,12}") {
            let all = places(&[&pattern]);
            if all.find(&path).is_some() {
                let cut = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                let name = &path[cut..];
                prop_assume!(name.len() > 1);
                let by_name = all.is_name(&name[1..]);
                prop_assert!(by_name || all.are_in(&path[..cut]));
            }
            let _ = all.may_be_below(&path);
        }
    }
}
