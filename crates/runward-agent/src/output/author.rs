use std::collections::HashSet;

use runward_event::{ProcessId, Time};
use runward_tree::{Parent, Process, Tree};

/// A process that ended this long before a text was read may have written it, in nanoseconds: a reader wakes up within one
/// or two milliseconds. With more, one that had ended before the writer began would be among them.
const AFTERLIFE_NS: u64 = 3_000_000;
/// How far up the lineage is looked.
const CLIMB: usize = 256;

/// Who ran when a text was printed: the lowest process that all those at work have above them.
///
/// A pipe does not say who writes into it. This process, one below it, or one above it that waits for it, wrote. Where
/// processes of several steps are alive it is above all of them, and has no step.
pub(crate) fn author(tree: &Tree, time: Time) -> Option<(ProcessId, u32)> {
    let alive: Vec<&Process> = tree
        .processes()
        .filter(|process| is_alive(process, time))
        .collect();
    let waiting: HashSet<ProcessId> = alive
        .iter()
        .filter_map(|process| match process.parent {
            Parent::Known(parent) => Some(parent),
            Parent::Root | Parent::Unknown => None,
        })
        .collect();
    let mut at_work = alive
        .into_iter()
        .filter(|process| !waiting.contains(&process.id));
    let lineage = |process: &Process| tree.climb(process.id).take(CLIMB);
    let mut common: Vec<&Process> = lineage(at_work.next()?).collect();
    for process in at_work {
        let above: HashSet<ProcessId> = lineage(process).map(|process| process.id).collect();
        common.retain(|process| above.contains(&process.id));
    }
    let author = common.first()?;
    Some((author.id, author.pid))
}

fn is_alive(process: &Process, time: Time) -> bool {
    let ended = process.exit.map(|exit| exit.time);
    process.started <= time
        && ended.is_none_or(|ended| ended > time || time.nanos_since(ended) <= AFTERLIFE_NS)
}

#[cfg(test)]
mod tests {
    use runward_event::{Body, Event, ProcessExit, ProcessFork};

    use super::*;

    const MS: u64 = 1_000_000;

    /// A tree from lines of process, parent and the times of its beginning and end, in milliseconds.
    fn tree(processes: &[(u64, Option<u64>, u64, Option<u64>)]) -> Tree {
        let mut tree = Tree::default();
        let mut events = Vec::new();
        for (id, parent, begin, end) in processes {
            let process = ProcessId(*id);
            let pid = u32::try_from(*id).unwrap() + 100;
            let ppid = parent.map_or(1, |parent| u32::try_from(parent).unwrap() + 100);
            let parent = parent.map(ProcessId);
            events.push((
                *begin,
                Body::ProcessFork(ProcessFork {
                    process,
                    pid,
                    parent,
                    ppid,
                }),
            ));
            if let Some(end) = end {
                let exit = ProcessExit {
                    process,
                    pid,
                    code: Some(0),
                    signal: None,
                };
                events.push((*end, Body::ProcessExit(exit)));
            }
        }
        events.sort_by_key(|(time, _)| *time);
        for (seq, (time, body)) in (1..).zip(events) {
            let time = Time::from_unix_nanos(time * MS);
            tree.apply(&Event { seq, time, body });
        }
        tree
    }

    fn author_at(tree: &Tree, ms: u64) -> Option<u32> {
        author(tree, Time::from_unix_nanos(ms * MS)).map(|(_, pid)| pid)
    }

    #[test]
    fn the_one_process_at_work_is_named() {
        let tree = tree(&[
            (1, None, 0, None),
            (2, Some(1), 10, Some(100)),
            (3, Some(2), 20, Some(90)),
            (4, Some(1), 200, None),
        ]);
        assert_eq!(author_at(&tree, 50), Some(103));
        assert_eq!(author_at(&tree, 92), Some(103), "it has just ended");
        assert_eq!(author_at(&tree, 150), Some(101));
        assert_eq!(author_at(&tree, 250), Some(104));
    }

    #[test]
    fn of_several_at_work_the_one_above_all_is_named() {
        let tree = tree(&[
            (1, None, 0, None),
            (2, Some(1), 10, None),
            (3, Some(2), 20, Some(300)),
            (4, Some(2), 20, Some(300)),
            (5, Some(1), 500, None),
        ]);
        assert_eq!(author_at(&tree, 100), Some(102), "a pipeline of one step");
        assert_eq!(author_at(&tree, 600), Some(101), "two steps");
    }

    #[test]
    fn nobody_is_named_before_anybody_is_known() {
        assert_eq!(author_at(&tree(&[]), 10), None);
    }
}
