//! What git's settings say about content: whether a file in the working tree can differ from its blob, and which
//! files are ignored everywhere. Pure but for the reader that it is given.
//!
//! Where a setting can't be understood, the answer is the careful one: the file is read instead of trusted.

use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// How deep files may include each other.
const MAX_INCLUDES: usize = 64;

/// What the sensor must know of a repository's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Line ends are converted by default.
    pub(crate) autocrlf: bool,
    /// Objects are named by SHA-256.
    pub(crate) sha256: bool,
    /// Attributes stand in a file of this name too.
    pub(crate) attributes: Option<PathBuf>,
    /// Patterns to ignore stand in a file of this name too.
    pub(crate) excludes: Option<PathBuf>,
}

impl Settings {
    /// Reads configuration files, later ones winning, with whatever they include, whatever the condition.
    pub(crate) fn read(
        files: &[PathBuf],
        homes: &[PathBuf],
        read: &dyn Fn(&Path) -> Option<Vec<u8>>,
    ) -> Settings {
        let mut settings = Settings::default();
        let mut left = MAX_INCLUDES;
        for file in files {
            settings.add(file, homes, read, &mut left);
        }
        settings
    }

    fn add(
        &mut self,
        file: &Path,
        homes: &[PathBuf],
        read: &dyn Fn(&Path) -> Option<Vec<u8>>,
        left: &mut usize,
    ) {
        let Some(next) = left.checked_sub(1) else {
            return;
        };
        *left = next;
        let Some(bytes) = read(file) else { return };
        let text = String::from_utf8_lossy(&bytes);
        let mut section = String::new();
        for line in text.lines() {
            let mut line = line.trim();
            if let Some(rest) = line.strip_prefix('[') {
                let Some((name, after)) = rest.split_once(']') else {
                    continue;
                };
                section = name
                    .split([' ', '"', '\t'])
                    .next()
                    .unwrap_or("")
                    .to_ascii_lowercase();
                line = after.trim();
            }
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, "true"));
            let value = value.trim().trim_matches('"');
            let paths = || in_homes(value, file, homes);
            match (section.as_str(), key.trim().to_ascii_lowercase().as_str()) {
                ("core", "autocrlf") => {
                    let off = ["false", "no", "off", "0", ""];
                    self.autocrlf = !off.contains(&value.to_ascii_lowercase().as_str());
                }
                ("core", "attributesfile") => self.attributes = paths().into_iter().next(),
                ("core", "excludesfile") => self.excludes = paths().into_iter().next(),
                ("extensions", "objectformat") => self.sha256 = value == "sha256",
                ("include" | "includeif", "path") => {
                    for path in paths() {
                        self.add(&path, homes, read, left);
                    }
                }
                _ => {}
            }
        }
    }
}

/// A path in a configuration file: below a home folder, or relative to the file.
fn in_homes(value: &str, file: &Path, homes: &[PathBuf]) -> Vec<PathBuf> {
    match value.strip_prefix("~/") {
        Some(below) => homes.iter().map(|home| home.join(below)).collect(),
        None => vec![file.parent().unwrap_or(Path::new("/")).join(value)],
    }
}

/// Which files may be converted between the working tree and their blob.
#[derive(Debug, Default)]
pub(crate) struct Conversions {
    /// Every file may be.
    all: bool,
    /// The patterns of one `.gitattributes`, and the folder that they count from.
    patterns: Vec<(Vec<u8>, Gitignore)>,
}

impl Conversions {
    /// Every file, because a setting says so.
    pub(crate) fn everywhere() -> Conversions {
        Conversions {
            all: true,
            patterns: Vec::new(),
        }
    }

    /// Takes an attribute file that stands in `folder`, relative to the worktree (empty, or ending with `/`).
    pub(crate) fn add(&mut self, folder: &[u8], bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let mut builder = GitignoreBuilder::new("");
        let mut any = false;
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            let Some(pattern) = words.next() else {
                continue;
            };
            // A quoted pattern may hold spaces, so all its words are taken for attributes.
            if !words.any(converts) {
                continue;
            }
            let plain = !pattern.starts_with(['"', '[', '!']);
            if !plain || builder.add_line(None, pattern).is_err() {
                self.all = true;
            }
            any = true;
        }
        if !any {
            return;
        }
        match builder.build() {
            Ok(patterns) => self.patterns.push((folder.to_vec(), patterns)),
            Err(_) => self.all = true,
        }
    }

    /// Whether the file at `path`, relative to the worktree, may differ from its blob.
    pub(crate) fn may_touch(&self, path: &[u8]) -> bool {
        self.all
            || self.patterns.iter().any(|(folder, patterns)| {
                path.strip_prefix(folder.as_slice())
                    .is_some_and(|below| patterns.matched(as_path(below), false).is_ignore())
            })
    }
}

/// Whether an attribute makes git change content on its way in or out.
fn converts(attribute: &str) -> bool {
    let name = attribute.split('=').next().unwrap_or_default();
    matches!(
        name,
        "text" | "eol" | "crlf" | "filter" | "ident" | "working-tree-encoding"
    )
}

pub(crate) fn as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::new(os_str(bytes)))
}

fn os_str(bytes: &[u8]) -> &std::ffi::OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(bytes)
}

/// The home folder of a user, from the text of `/etc/passwd`.
pub(crate) fn home_of(passwd: &[u8], uid: u32) -> Option<PathBuf> {
    let uid = uid.to_string();
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        if fields.nth(2)? != uid.as_bytes() {
            return None;
        }
        let home = fields.nth(2)?;
        home.starts_with(b"/").then(|| as_path(home).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn settings(files: &[(&str, &str)]) -> Settings {
        let files: HashMap<PathBuf, Vec<u8>> = files
            .iter()
            .map(|(path, text)| (path.into(), text.as_bytes().to_vec()))
            .collect();
        let read = |path: &Path| files.get(path).cloned();
        Settings::read(
            &["/etc/gitconfig".into(), "/r/.git/config".into()],
            &["/home/u".into()],
            &read,
        )
    }

    #[test]
    fn settings_are_found_wherever_they_stand() {
        let found = |files: &[(&str, &str)]| {
            let s = settings(files);
            (s.autocrlf, s.sha256, s.excludes)
        };
        assert_eq!(found(&[]), (false, false, None));
        assert_eq!(
            found(&[("/etc/gitconfig", "[core]\n\tAutoCRLF = input\n")]),
            (true, false, None)
        );
        assert_eq!(
            found(&[("/etc/gitconfig", "[core] autocrlf")]),
            (true, false, None)
        );
        assert_eq!(
            found(&[
                ("/etc/gitconfig", "[core]\nautocrlf=true"),
                ("/r/.git/config", "[core]\nautocrlf=false")
            ]),
            (false, false, None)
        );
        assert_eq!(
            found(&[(
                "/r/.git/config",
                "[extensions]\n objectformat = sha256\n[core]\nexcludesFile = ~/ig\n"
            )]),
            (false, true, Some("/home/u/ig".into()))
        );
        assert_eq!(
            found(&[
                (
                    "/r/.git/config",
                    "[includeIf \"gitdir:/x\"]\n path = extra\n"
                ),
                (
                    "/r/.git/extra",
                    "[core]\n autocrlf = yes\n[include]\n path = ~/more"
                ),
                (
                    "/home/u/more",
                    "[include]\npath = /home/u/more\n[core]\nexcludesfile = \"ig\"\n"
                ),
            ]),
            (true, false, Some("/home/u/ig".into()))
        );
    }

    #[test]
    fn only_attributes_that_change_content_count() {
        let examples = [
            ("*.png binary\n*.md diff\n", "a.md", false),
            ("* text=auto\n", "any/where", true),
            ("*.sh text eol=lf\n", "x/run.sh", true),
            ("*.sh text eol=lf\n", "x/run.rs", false),
            (
                "*.psd filter=lfs diff=lfs merge=lfs -text\n",
                "art/a.psd",
                true,
            ),
            ("/top.c ident\n", "sub/top.c", false),
            ("*.c -text\n# *.c text\n", "a.c", false),
            ("\"with space.c\" text\n", "other", true),
        ];
        for (text, path, touched) in examples {
            let mut conversions = Conversions::default();
            conversions.add(b"", text.as_bytes());
            assert_eq!(
                conversions.may_touch(path.as_bytes()),
                touched,
                "{text:?} {path}"
            );
        }
        let mut below = Conversions::default();
        below.add(b"sub/", b"*.c text");
        assert!(below.may_touch(b"sub/x/a.c"));
        assert!(!below.may_touch(b"a.c"));
        assert!(Conversions::everywhere().may_touch(b"a"));
    }

    #[test]
    fn homes_are_read_from_passwd() {
        let passwd =
            b"root:x:0:0:root:/root:/bin/sh\nbad:x:7\nci:x:1000:1000:,,,:/home/ci:/bin/sh\n";
        assert_eq!(home_of(passwd, 1000), Some("/home/ci".into()));
        assert_eq!(home_of(passwd, 0), Some("/root".into()));
        assert_eq!(home_of(passwd, 7), None);
        assert_eq!(home_of(passwd, 8), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut conversions = Conversions::default();
            conversions.add(b"", &bytes);
            conversions.may_touch(b"a/b.c");
            home_of(&bytes, 0);
            Settings::read(&["/c".into()], &[], &|_| Some(bytes.clone()));
        }
    }
}
