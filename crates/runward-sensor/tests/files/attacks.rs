//! Every way of altering a tracked file that we know of is told, with the process that did it.

use std::path::Path;
use std::time::{Duration, Instant};

use runward_lab::skip_part;

use crate::harness::{Watched, Workspace, can_watch, places};

/// What each way is told as: for tracked files only, in order.
const WAYS: &[(&str, &[&str])] = &[
    ("write", &["write src/a.txt: changed"]),
    ("write the same", &["write src/a.txt: same"]),
    ("append", &["write src/a.txt: changed"]),
    ("truncate", &["write src/a.txt: changed"]),
    ("truncate to the same", &["write src/a.txt: same"]),
    ("ftruncate", &["write src/a.txt: changed"]),
    ("rename over", &["rename src/a.txt from src/a.tmp: changed"]),
    ("rename over from outside", &["rename src/a.txt: changed"]),
    (
        "rename one over the other",
        &[
            "rename src/a.txt from src/b.txt: changed",
            "delete src/b.txt: gone",
        ],
    ),
    (
        "exchange",
        &[
            "rename src/b.txt from src/a.txt: changed",
            "rename src/a.txt from src/b.txt: changed",
        ],
    ),
    (
        "exchange with a new file",
        &["rename src/a.txt from new: changed"],
    ),
    ("mmap", &["write src/a.txt: changed"]),
    ("copy_file_range", &["write src/a.txt: changed"]),
    ("sendfile", &["write src/a.txt: changed"]),
    ("splice", &["write src/a.txt: changed"]),
    ("hard link", &["write src/a.txt: changed"]),
    ("hard link outside", &["write src/a.txt: changed"]),
    (
        "hard link in a silenced folder",
        &[
            "write ignored/kept.txt: changed",
            "write src/a.txt: changed",
        ],
    ),
    ("io_uring", &["write src/a.txt: changed"]),
    (
        "delete and create",
        &["delete src/a.txt: gone", "create src/a.txt: changed"],
    ),
    (
        "delete and create the same",
        &["delete src/a.txt: gone", "create src/a.txt: same"],
    ),
    ("delete", &["delete src/a.txt: gone"]),
    (
        "tmpfile",
        &["delete src/a.txt: gone", "create src/a.txt: changed"],
    ),
    ("punch a hole", &["write src/a.txt: changed"]),
    (
        "replace the folder",
        &[
            "delete src/b.txt: gone",
            "delete src/deep/c.txt: gone",
            "write src/a.txt: changed",
        ],
    ),
    (
        "symbolic link",
        &["create link: changed", "delete link: gone"],
    ),
    ("become a link", &["create src/a.txt: changed"]),
    ("large", &["write src/a.txt: changed"]),
];

#[test]
fn every_way_of_altering_a_tracked_file_is_told() {
    if !can_watch("every_way_of_altering_a_tracked_file_is_told") {
        return;
    }
    let mut wrong = Vec::new();
    for (file_system, place) in places() {
        for (way, expected) in WAYS {
            if let Err(difference) = check(&place, way, expected) {
                wrong.push(format!("{file_system}: {way}: {difference}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(place: &Path, way: &str, expected: &[&str]) -> Result<(), String> {
    let workspace = Workspace::repository(place);
    let quiet = workspace.path("ignored/quiet");
    std::fs::create_dir(&quiet).unwrap();
    let mut watched = workspace.watch();
    assert_eq!(watched.watcher.tracked_count(), Some(6));
    let (pid, done) = watched.run(way, &workspace);
    if !done {
        skip_part(
            "every_way_of_altering_a_tracked_file_is_told",
            &format!("{way} in {}", place.display()),
            "the kernel or the file system refuses it",
        );
        return Ok(());
    }
    let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    expected.sort();
    // Large files are hashed in slices, and a truncation is told when no close follows.
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if tracked_lines(&watched) == expected {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
        watched.drain();
    }
    let before_end = watched.changes.len();
    watched.finish();

    let told: Vec<String> = watched
        .changes
        .iter()
        .map(|change| crate::harness::line(&change.body))
        .collect();
    let (before, at_end) = told.split_at(before_end);
    // A slow machine may be told of one write twice: half of it, and the rest.
    if at_end.iter().any(|line| !before.contains(line)) {
        return Err(format!("told only at the end: {at_end:?}"));
    }
    for change in watched.tracked() {
        if change.pid != pid || change.process.is_none() {
            return Err(format!(
                "by process {} instead of {pid}: {}",
                change.pid, change.path
            ));
        }
        if let Some(after) = &change.hash_after {
            let now = workspace.git(&["hash-object", "--no-filters", "--", &change.path]);
            if change.path == "src/a.txt"
                && way != "become a link"
                && *after != now
                && watched
                    .tracked()
                    .last()
                    .is_some_and(|last| std::ptr::eq(*last, change))
            {
                return Err(format!("hash {after} instead of {now}"));
            }
        }
    }
    // A file that was looked at between its end and its new beginning is told as gone, too.
    let mut tracked = tracked_lines(&watched);
    tracked.retain(|line| expected.contains(line) || !is_between(line, &expected));
    if tracked != expected {
        return Err(format!("{tracked:#?}"));
    }
    if watched.watcher.lost() != 0 {
        return Err("events were lost".to_owned());
    }
    Ok(())
}

fn is_between(line: &str, expected: &[String]) -> bool {
    let made = |path: &str| {
        expected
            .iter()
            .any(|line| line.starts_with(&format!("create {path}:")))
    };
    line.strip_prefix("delete ")
        .and_then(|rest| rest.strip_suffix(": gone"))
        .is_some_and(made)
}

/// What was told of tracked files: sorted, because two events of one drain have no order between the groups, and each
/// once, because an actor may be drained in the middle; then what a file was made with is told as a write, too.
fn tracked_lines(watched: &Watched) -> Vec<String> {
    let tracked = watched
        .changes
        .iter()
        .filter(|change| crate::harness::file(&change.body).is_some_and(|change| change.tracked));
    let mut lines: Vec<_> = tracked
        .map(|change| crate::harness::line(&change.body))
        .collect();
    lines.sort();
    lines.dedup();
    let made: Vec<String> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("create "))
        .map(|rest| format!("write {rest}"))
        .collect();
    lines.retain(|line| !made.contains(line));
    lines
}

#[test]
fn what_is_still_mapped_or_open_at_the_end_is_told() {
    if !can_watch("what_is_still_mapped_or_open_at_the_end_is_told") {
        return;
    }
    let examples = [
        (
            "mmap and stay",
            "write src/a.txt: changed by nobody, found at the end",
        ),
        ("write and keep open", "write src/a.txt: changed"),
        ("leased", "write src/a.txt: gone"),
    ];
    for (way, expected) in examples {
        let workspace = Workspace::repository(&places()[0].1);
        let mut watched = workspace.watch();
        let mut child = watched.start(way, &workspace);
        crate::actor::wait_for(&workspace.path("ready"));
        let start = Instant::now();
        watched.drain();
        watched.finish();
        assert!(start.elapsed().as_secs() < 5, "{way} made the watcher wait");
        assert_eq!(tracked_lines(&watched), [expected], "{way}");
        std::fs::write(workspace.path("leave"), "").unwrap();
        assert!(child.wait().unwrap().success(), "{way}");
    }
}

#[test]
fn a_process_outside_the_job_is_told_of_without_a_name() {
    if !can_watch("a_process_outside_the_job_is_told_of_without_a_name") {
        return;
    }
    let workspace = Workspace::repository(&places()[0].1);
    let mut watched = workspace.watch();
    workspace.write("src/a.txt", "changed\n");
    workspace.write("untracked.txt", "not told\n");
    watched.drain();
    let expected = ["write src/a.txt: changed by nobody"];
    // Truncating at the open and writing until the close are two events; on a slow machine, one drain may have the first
    // and the next one the other.
    let told = |watched: &Watched| {
        let mut lines = watched.told();
        lines.dedup();
        lines
    };
    assert_eq!(told(&watched), expected);
    watched.finish();
    assert_eq!(told(&watched), expected, "the end tells nothing new");
}

#[test]
fn a_file_that_becomes_something_else_is_gone() {
    if !can_watch("a_file_that_becomes_something_else_is_gone") {
        return;
    }
    let workspace = Workspace::repository(&places()[0].1);
    let mut watched = workspace.watch();
    let (_, done) = watched.run("become a fifo", &workspace);
    assert!(done);
    watched.finish();
    assert_eq!(
        tracked_lines(&watched),
        ["create src/a.txt: gone", "delete src/a.txt: gone"]
    );
}
