use std::collections::HashSet;

use runward_event::{Body, Event, FileChange, ProcessId};
use runward_tree::Tree;

use crate::sentence::{actor, quote};
use crate::{About, Confidence, Detection, Finding, Severity};

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
/// with the content at the start of the job, so that rewriting the same bytes is no finding.
#[derive(Default)]
pub(crate) struct SourceCodeOverwritten {
    reported: HashSet<Key>,
}

/// What makes a finding another one: a program that saves one file a thousand times with the same content is told of
/// once.
#[derive(PartialEq, Eq, Hash)]
struct Key {
    path: String,
    process: Option<ProcessId>,
    hash: String,
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
            return;
        };
        let Some((before, after)) = altered(change) else {
            return;
        };
        if self.reported.len() >= MAX_REPORTED {
            self.reported.clear();
        }
        let is_new = self.reported.insert(Key {
            path: change.path.clone(),
            process: change.process,
            hash: after.to_owned(),
        });
        if is_new {
            let message = message(change, before, after, tree);
            let mut finding = ABOUT.finding(event, change.process, message);
            finding.path = Some(change.path.clone());
            findings.push(finding);
        }
    }
}

/// The hashes of a tracked file's content at the start of the job and now, if they differ.
fn altered(change: &FileChange) -> Option<(&str, &str)> {
    let before = change.hash_before.as_deref()?;
    let after = change.hash_after.as_deref()?;
    (change.tracked && before != after).then_some((before, after))
}

fn message(change: &FileChange, before: &str, after: &str, tree: &Tree) -> String {
    let path = quote(&change.path);
    let hashes = format!("{} -> {}", short(before), short(after));
    if change.found_at_end && change.process.is_none() {
        return format!(
            "{path} has other content at the end of the job than at its start, and no event tells who did it: {hashes}"
        );
    }
    let actor = actor(tree, change.process, change.pid);
    format!("{path} was rewritten by {actor}: {hashes}")
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
    fn hostile_texts_are_quoted_harmlessly() {
        let mut change = change();
        change.path = "a\x1b]0;x\x07\n.rs".to_owned();
        change.hash_after = Some("é\n".to_owned());
        let message = once(Body::FileWrite(Box::new(change))).concat();
        assert!(!message.contains(char::is_control), "{message:?}");
    }
}
