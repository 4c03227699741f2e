//! What is not worth recording: files that git ignores, and git's own bookkeeping.

use std::path::Path;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::files::content::{Root, read_small, read_small_below};
use crate::files::repository::{MAX_TEXT, Repository, UserFiles};
use crate::files::settings::as_path;

/// Whether changes of files in a folder are recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// They are, unless git ignores the file itself.
    Recorded,
    /// The folder is a repository's own: only its `config` is recorded.
    GitTop,
    /// The folder holds a repository's hooks, which git runs: everything is recorded.
    GitHooks,
    /// The folder is deep inside a repository: nothing is recorded.
    GitInner,
    /// Git ignores the folder: nothing is recorded but tracked files.
    Ignored,
}

impl Verdict {
    /// The verdict on a folder called `name` in a folder with this one, before any ignore rule.
    pub(crate) fn of_folder_called(self, name: &[u8]) -> Verdict {
        match self {
            Verdict::Recorded if name == b".git" => Verdict::GitTop,
            // `modules` and `worktrees` lead to further repositories, each with a name of its own.
            Verdict::GitTop => match name {
                b"hooks" => Verdict::GitHooks,
                b"objects" | b"refs" | b"logs" | b"lfs" | b"info" | b"branches" | b"rr-cache" => {
                    Verdict::GitInner
                }
                _ => Verdict::GitTop,
            },
            other => other,
        }
    }

    /// Whether nothing in the folder, and nothing in any folder below it, is recorded.
    pub(crate) fn is_silent(self) -> bool {
        matches!(self, Verdict::GitInner | Verdict::Ignored)
    }
}

/// The ignore rules that hold in the whole workspace: those of the repository, and of folders above the workspace.
///
/// The rules of folders in the workspace are kept with the folders.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    /// In the order of asking, each with the workspace's path relative to the folder that the rules count from.
    rules: Vec<(Vec<u8>, Gitignore)>,
    in_repository: bool,
}

impl Rules {
    /// The rules for `workspace`; without a repository nothing is ignored.
    pub(crate) fn read(
        repository: Option<&Repository>,
        workspace: &Path,
        user: &UserFiles,
    ) -> Rules {
        let Some(repository) = repository else {
            return Rules::default();
        };
        let mut rules = Rules {
            rules: Vec::new(),
            in_repository: true,
        };
        let above = workspace
            .ancestors()
            .skip(1)
            .take_while(|dir| dir.starts_with(&repository.worktree));
        for folder in above {
            rules.add(folder, workspace, &folder.join(".gitignore"));
        }
        let worktree = &repository.worktree;
        rules.add(
            worktree,
            workspace,
            &repository.common_dir.join("info/exclude"),
        );
        match user.settings(repository).excludes {
            Some(path) => rules.add(worktree, workspace, &path),
            None => {
                for home in &user.homes {
                    rules.add(worktree, workspace, &home.join(".config/git/ignore"));
                }
            }
        }
        rules
    }

    /// Whether there is no repository.
    pub(crate) fn is_empty(&self) -> bool {
        !self.in_repository
    }

    /// Whether the rules above the workspace ignore a path in it.
    pub(crate) fn ignores(&self, path: &[u8], folder: bool) -> bool {
        let decided = self.rules.iter().find_map(|(prefix, rules)| {
            Rules::decide(rules, &[prefix.as_slice(), path].concat(), folder)
        });
        decided.unwrap_or(false)
    }

    /// The rules in the `.gitignore` of a folder in the workspace.
    pub(crate) fn of_folder(root: &Root, folder: &[u8]) -> Option<Gitignore> {
        let mut path = folder.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(b".gitignore");
        parse(&read_small_below(root, &path, MAX_TEXT)?)
    }

    /// What `rules` say about a path relative to their folder, if anything.
    pub(crate) fn decide(rules: &Gitignore, path: &[u8], folder: bool) -> Option<bool> {
        match rules.matched(as_path(path), folder) {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        }
    }

    fn add(&mut self, from: &Path, workspace: &Path, file: &Path) {
        let Ok(prefix) = workspace.strip_prefix(from) else {
            return;
        };
        let Some(rules) = read_small(file, MAX_TEXT).as_deref().and_then(parse) else {
            return;
        };
        let mut prefix = std::os::unix::ffi::OsStrExt::as_bytes(prefix.as_os_str()).to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        self.rules.push((prefix, rules));
    }
}

/// Patterns that can't be understood are left out: what they would have ignored is then recorded.
fn parse(bytes: &[u8]) -> Option<Gitignore> {
    let mut builder = GitignoreBuilder::new("");
    for line in String::from_utf8_lossy(bytes).lines() {
        let _ = builder.add_line(None, line);
    }
    builder.build().ok().filter(|rules| !rules.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inside_of_git_only_hooks_and_config_count() {
        let examples = [
            ("src", Verdict::Recorded),
            (".git", Verdict::GitTop),
            (".git/hooks", Verdict::GitHooks),
            (".git/hooks/deeper", Verdict::GitHooks),
            (".git/objects/ab", Verdict::GitInner),
            (".git/refs/heads/hooks", Verdict::GitInner),
            (".git/modules/sub", Verdict::GitTop),
            (".git/modules/sub/hooks", Verdict::GitHooks),
            ("vendor/lib/.git/objects", Verdict::GitInner),
        ];
        for (path, verdict) in examples {
            let found = path.split('/').fold(Verdict::Recorded, |above, name| {
                above.of_folder_called(name.as_bytes())
            });
            assert_eq!(found, verdict, "{path}");
        }
    }

    #[test]
    fn patterns_that_make_no_sense_are_left_out() {
        let rules = parse(b"target/\n[broken\n*.o\n!keep.o\n").unwrap();
        assert_eq!(Rules::decide(&rules, b"target", true), Some(true));
        assert_eq!(Rules::decide(&rules, b"target", false), None);
        assert_eq!(Rules::decide(&rules, b"a/b.o", false), Some(true));
        assert_eq!(Rules::decide(&rules, b"a/keep.o", false), Some(false));
    }
}
