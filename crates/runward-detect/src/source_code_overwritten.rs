use std::collections::HashSet;

use runward_event::{Body, Event, FileChange, MountOver, ProcessExec, ProcessId};
use runward_tree::Tree;

use crate::sentence::{actor, quote};
use crate::{About, Confidence, ContentChange, Detection, Finding, Severity};

pub(crate) static ABOUT: About = About {
    id: "source-code-overwritten",
    title: "A file that git tracks got other content while the job ran",
    severity: Severity::High,
    confidence: Confidence::Medium,
    needs: "a workspace with a git index when the job starts; file events",
    next: "Look at the process: a generator or formatter is harmless and should write to a file that git does not track. \
           What a dependency's script rewrote is not harmless until somebody has read the difference.",
};

/// A file that git tracks has other content than when the job started.
///
/// Whatever way the content came in (a write, a rename over it, a new file under the old name), the sensor compares
/// with the content at the start of the job, so that rewriting the same bytes is no finding. A mount over a tracked path
/// changes no file, and what a compiler reads all the same.
#[derive(Default)]
pub(crate) struct SourceCodeOverwritten {
    reported: HashSet<Key>,
    /// Processes that run git to check something out.
    checkouts: HashSet<ProcessId>,
}

/// What makes a finding another one: a program that saves one file a thousand times with the same content is told of
/// once.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    path: String,
    process: Option<ProcessId>,
    hash: String,
    mount: Option<String>,
}

/// How many findings are remembered. When a job makes more, remembering starts over: a finding may then be repeated,
/// none is missed, and memory stays below 10 MB even with the longest paths.
const MAX_REPORTED: usize = 2_000;

/// How much of a hash a sentence shows; git's own short form.
const SHORT_HASH: usize = 7;

impl Detection for SourceCodeOverwritten {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn observe(&mut self, event: &Event, tree: &Tree, findings: &mut Vec<Finding>) {
        // A deletion alone changes no content; builds that then lack a file fail by themselves.
        let (Body::FileCreate(change) | Body::FileWrite(change) | Body::FileRename(change)) =
            &event.body
        else {
            if let Body::ProcessExec(exec) = &event.body {
                self.started(exec);
            }
            return;
        };
        let Some(message) = message(change, tree) else {
            return;
        };
        if self.reported.len() >= MAX_REPORTED {
            self.reported.clear();
        }
        let is_new = self.reported.insert(Key {
            path: change.path.clone(),
            process: change.process,
            hash: change.hash_after.clone().unwrap_or_default(),
            mount: change.mount.as_ref().map(|mount| mount.point.clone()),
        });
        if !is_new {
            return;
        }
        let mut finding = ABOUT.finding(event, change.process, message);
        finding.path = Some(change.path.clone());
        finding.content = Some(ContentChange::of(change));
        if self.is_checkout(change, tree) {
            finding.severity = Severity::Low;
        }
        findings.push(finding);
    }
}

impl SourceCodeOverwritten {
    /// Remembers who runs git, and forgets who runs something else by now.
    fn started(&mut self, exec: &ProcessExec) {
        if !checks_out(exec) {
            self.checkouts.remove(&exec.process);
            return;
        }
        if self.checkouts.len() >= MAX_CHECKOUTS {
            self.checkouts.clear();
        }
        self.checkouts.insert(exec.process);
    }

    /// Whether git itself wrote the file, because the job asked for another version of it. No script of a dependency has
    /// a reason to.
    fn is_checkout(&self, change: &FileChange, tree: &Tree) -> bool {
        let Some(process) = change.process.filter(|_| change.mount.is_none()) else {
            return false;
        };
        let for_dependency = tree
            .process(process)
            .is_none_or(|process| process.dependency.is_some());
        self.checkouts.contains(&process) && !for_dependency
    }
}

/// Git as the system has it, doing what takes content out of a repository. The name alone says nothing: a file of that
/// name that the job made, or one that changed while it ran, is somebody else's. Neither are commands meant that write
/// what they are given (`apply`, `am`), nor settings on the command line that name a program to run.
fn checks_out(exec: &ProcessExec) -> bool {
    let own = |folder: &str| {
        exec.exe
            .strip_prefix(folder)
            .is_some_and(|name| name == "git" || name.starts_with("git-"))
    };
    let is_git = GIT_FOLDERS.into_iter().any(own)
        && exec.facts.changed.is_none()
        && !exec.facts.unlinked
        && exec.container.is_none();
    is_git && subcommand(&exec.args).is_some_and(|command| CHECKOUTS.contains(&command))
}

/// Where distributions put git.
const GIT_FOLDERS: [&str; 4] = [
    "/usr/bin/",
    "/usr/local/bin/",
    "/usr/lib/git-core/",
    "/usr/libexec/git-core/",
];

/// What git is asked to do when a job wants other versions of its files.
const CHECKOUTS: [&str; 16] = [
    "bisect",
    "checkout",
    "checkout-index",
    "cherry-pick",
    "clone",
    "merge",
    "pull",
    "read-tree",
    "rebase",
    "reset",
    "restore",
    "revert",
    "sparse-checkout",
    "stash",
    "submodule",
    "switch",
];

/// Settings that steps give git on the command line and that make it run nothing.
const PLAIN_SETTINGS: [&str; 5] = ["advice.", "gc.", "http.", "protocol.", "safe."];

/// How many processes that run git are remembered. Beyond it remembering starts over, and a finding is taken more
/// seriously than it has to be.
const MAX_CHECKOUTS: usize = 10_000;

fn subcommand(args: &[String]) -> Option<&str> {
    let mut args = args.iter().skip(1).map(String::as_str);
    while let Some(arg) = args.next() {
        match arg {
            "-C" => _ = args.next()?,
            "-c" => {
                let setting = args.next()?.to_ascii_lowercase();
                if !PLAIN_SETTINGS
                    .iter()
                    .any(|plain| setting.starts_with(plain))
                {
                    return None;
                }
            }
            "-p" | "-P" | "--paginate" | "--no-pager" => {}
            arg if arg.starts_with('-') => return None,
            arg => return Some(arg),
        }
    }
    None
}

/// The hashes of a tracked file's content at the start of the job and now, if they differ.
fn altered(change: &FileChange) -> Option<(&str, &str)> {
    let before = change.hash_before.as_deref()?;
    let after = change.hash_after.as_deref()?;
    (change.tracked && before != after).then_some((before, after))
}

/// What there is to tell, if anything.
fn message(change: &FileChange, tree: &Tree) -> Option<String> {
    let path = quote(&change.path);
    let altered = altered(change);
    if let Some(mount) = &change.mount {
        let (what, by) = (mounted(mount), actor(tree, change.process, change.pid));
        return match altered {
            Some((before, after)) => Some(format!(
                "{path} shows other content than its own, through {what}, mounted by {by}: {}",
                hashes(before, after)
            )),
            None if change.hash_before == change.hash_after => {
                let files = match mount.hides {
                    1 => "1 tracked file".to_owned(),
                    count => format!("{count} tracked files"),
                };
                let rest = match mount.compared {
                    true => "not all of which show through it",
                    false => "and what shows in their place could not be compared",
                };
                Some(format!("{what}, mounted by {by}, hides {files}, {rest}"))
            }
            None => Some(format!(
                "{path} shows other content than its own, through {what}, mounted by {by}, which could not be read"
            )),
        };
    }
    let (before, after) = altered?;
    let hashes = hashes(before, after);
    if change.found_at_end && change.process.is_none() {
        return Some(format!(
            "{path} has other content at the end of the job than at its start, and no event tells who did it: {hashes}"
        ));
    }
    let actor = actor(tree, change.process, change.pid);
    Some(format!("{path} was rewritten by {actor}: {hashes}"))
}

fn hashes(before: &str, after: &str) -> String {
    format!("{} -> {}", short(before), short(after))
}

fn mounted(mount: &MountOver) -> String {
    let place = match mount.point.as_str() {
        "" => "the workspace".to_owned(),
        point => quote(point),
    };
    let who_sees = match mount.private {
        true => ", which only processes in a mount namespace of their own see",
        false => "",
    };
    format!("{} at {place}{who_sees}", quote(&mount.file_system))
}

fn short(hash: &str) -> String {
    let end = hash
        .char_indices()
        .nth(SHORT_HASH)
        .map_or(hash.len(), |(at, _)| at);
    quote(&hash[..end])
}

#[cfg(test)]
mod tests {
    use runward_event::Time;

    use super::*;

    const OLD: &str = "1a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d";
    const NEW: &str = "5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f80";

    fn change() -> FileChange {
        FileChange {
            process: None,
            pid: 0,
            path: "src/main.rs".to_owned(),
            from: None,
            tracked: true,
            hash_before: Some(OLD.to_owned()),
            hash_after: Some(NEW.to_owned()),
            found_at_end: false,
            diff: None,
            no_diff: None,
            mount: None,
            raw: Default::default(),
        }
    }

    /// What is found in these bodies, as sentences.
    fn check(detection: &mut SourceCodeOverwritten, bodies: &[Body]) -> Vec<String> {
        let mut findings = Vec::new();
        for body in bodies {
            let event = Event {
                seq: 1,
                time: Time::from_unix_nanos(0),
                body: body.clone(),
            };
            detection.observe(&event, &Tree::default(), &mut findings);
        }
        findings
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    fn once(body: Body) -> Vec<String> {
        check(&mut SourceCodeOverwritten::default(), &[body])
    }

    #[test]
    fn every_way_for_content_to_come_in_counts() {
        let want = ["src/main.rs was rewritten by a process that is not known: 1a2b3c4 -> 5d6e7f8"];
        let change = Box::new(change());
        assert_eq!(once(Body::FileWrite(change.clone())), want);
        assert_eq!(once(Body::FileCreate(change.clone())), want);
        assert_eq!(once(Body::FileRename(change.clone())), want);
        assert!(once(Body::FileDelete(change)).is_empty());
    }

    #[test]
    fn nothing_is_claimed_without_two_hashes_of_a_tracked_file() {
        let write = |edit: fn(&mut FileChange)| {
            let mut change = change();
            edit(&mut change);
            once(Body::FileWrite(Box::new(change)))
        };
        assert!(write(|change| change.tracked = false).is_empty());
        assert!(write(|change| change.hash_before = None).is_empty());
        assert!(write(|change| change.hash_after = None).is_empty());
        assert!(write(|change| change.hash_after = change.hash_before.clone()).is_empty());
    }

    #[test]
    fn what_only_the_last_look_found_says_so() {
        let mut change = change();
        change.found_at_end = true;
        insta::assert_snapshot!(
            once(Body::FileWrite(Box::new(change))).concat(),
            @"src/main.rs has other content at the end of the job than at its start, and no event tells who did it: 1a2b3c4 -> 5d6e7f8"
        );
    }

    #[test]
    fn one_rewrite_is_told_once_and_memory_is_bounded() {
        let detection = &mut SourceCodeOverwritten::default();
        let write = |path: usize| {
            let mut change = change();
            change.path = format!("src/{path}.rs");
            Body::FileWrite(Box::new(change))
        };
        assert_eq!(
            check(detection, &[write(0), write(0), write(1), write(0)]).len(),
            2
        );
        for path in 2..3 * MAX_REPORTED {
            assert_eq!(check(detection, &[write(path)]).len(), 1);
            assert!(detection.reported.len() <= MAX_REPORTED);
        }
    }

    #[test]
    fn only_what_takes_content_out_of_a_repository_is_a_checkout() {
        for (line, is_checkout) in [
            ("git checkout -f main", true),
            (
                "git -C /w -c protocol.version=2 --no-pager reset --hard",
                true,
            ),
            ("git -c filter.x.smudge=evil checkout x", false),
            ("git -c CORE.fsmonitor=evil checkout x", false),
            ("git --exec-path=/tmp checkout x", false),
            ("git apply x", false),
            ("git", false),
            ("git -C", false),
            ("git -c", false),
        ] {
            let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let found = subcommand(&args).is_some_and(|command| CHECKOUTS.contains(&command));
            assert_eq!(found, is_checkout, "{line}");
        }
    }

    #[test]
    fn hostile_texts_are_quoted_harmlessly() {
        let mut change = change();
        change.path = "a\x1b]0;x\x07\n.rs".to_owned();
        change.hash_after = Some("é\n".to_owned());
        let message = once(Body::FileWrite(Box::new(change))).concat();
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}
