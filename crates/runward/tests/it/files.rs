//! Every way to alter a file that git tracks, with the process that did it.

use std::path::Path;

use runward_event::{Body, FileChange};
use runward_lab::{actor, requires, run};
use serde_json::Value;

use crate::bed::{Bed, LIMIT, Recorded};

/// More than two blocks of a file system, for the ways that work on whole blocks.
fn before() -> String {
    "the content that git tracks\n".repeat(400)
}

/// A workspace with one tracked file, `source.txt`, and one ignored folder, `ignored`.
fn repository() -> Bed {
    let bed = Bed::new();
    std::fs::write(bed.path().join("source.txt"), before()).unwrap();
    std::fs::write(
        bed.path().join(".gitignore"),
        "/ignored/\n/runward-report*/\n",
    )
    .unwrap();
    std::fs::create_dir(bed.path().join("ignored")).unwrap();
    git(bed.path(), &["init", "-q"]);
    git(bed.path(), &["add", "."]);
    bed
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = std::process::Command::new("git");
    command.arg("-C").arg(folder).args(arguments);
    let ran = run(&mut command, LIMIT).unwrap();
    assert!(ran.worked(), "git {arguments:?}: {}", ran.stderr);
    ran.stdout.trim().to_owned()
}

fn changes(recorded: &Recorded) -> Vec<&FileChange> {
    recorded
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::FileCreate(change)
            | Body::FileWrite(change)
            | Body::FileRename(change)
            | Body::FileDelete(change) => Some(&**change),
            _ => None,
        })
        .collect()
}

fn overwritten(recorded: &Recorded) -> Vec<&Value> {
    let all = recorded.report["detections"].as_array().unwrap();
    all.iter()
        .filter(|found| found["detection"] == "source-code-overwritten")
        .collect()
}

#[test]
fn every_way_to_alter_a_tracked_file_is_reported() {
    requires!(Root, Program("git"));
    let new = "other bytes\n";
    let acts: [&[&str]; 23] = [
        &["write", "source.txt", new],
        &["pwrite", "source.txt", new],
        &["append", "source.txt", new],
        &["pwrite-at", "source.txt", "3", "XYZ"],
        &["truncate", "source.txt", "5"],
        &["ftruncate", "source.txt", "5"],
        &["punch", "source.txt", "0", "4"],
        &["zero", "source.txt", "0", "4"],
        &["collapse", "source.txt", "0", "4096"],
        &["rename-over", "source.txt", new],
        &["exchange", "source.txt", new],
        &["mmap", "source.txt", new],
        &["copy-file-range", "source.txt", new],
        &["sendfile", "source.txt", new],
        &["splice", "source.txt", new],
        &["hardlink", "source.txt", new],
        &["symlink", "source.txt", new],
        &["uring", "source.txt", new],
        &["delete-create", "source.txt", new],
        &["tmpfile", "source.txt", new],
        &["reopen", "source.txt", new],
        &["handle", "source.txt", new],
        &["reflink", "source.txt", new],
    ];
    for act in acts {
        let bed = repository();
        let before = git(bed.path(), &["hash-object", "source.txt"]);
        let program = actor("files");
        let recorded =
            bed.record(std::iter::once(program.to_str().unwrap()).chain(act.iter().copied()));
        if let Some(lacking) = recorded.ran.lacking() {
            runward_lab::skip_part(runward_lab::test_name!(), act[0], &lacking);
            continue;
        }
        assert!(recorded.ran.worked(), "{act:?}: {}", recorded.ran.stdout);
        let after = git(bed.path(), &["hash-object", "source.txt"]);
        assert_ne!(before, after, "{act:?} altered the file");
        let found = overwritten(&recorded);
        let last = found
            .last()
            .unwrap_or_else(|| panic!("{act:?} was not reported: {:?}", changes(&recorded)));
        assert_eq!(last["path"], "source.txt", "{act:?}");
        let pid = recorded.ran.number("pid").unwrap();
        assert_eq!(last["process"]["pid"], pid, "{act:?}: {last}");
        let change = changes(&recorded)
            .into_iter()
            .rfind(|change| change.path == "source.txt" && change.hash_after.is_some())
            .unwrap();
        assert_eq!(
            change.hash_before.as_deref(),
            Some(before.as_str()),
            "{act:?}"
        );
        assert_eq!(
            change.hash_after.as_deref(),
            Some(after.as_str()),
            "{act:?}"
        );
        assert!(
            change.tracked && !change.found_at_end,
            "{act:?}: {change:?}"
        );
    }
}

#[test]
fn a_file_that_another_process_opened_is_attributed_to_who_wrote() {
    requires!(Root, Program("git"));
    let bed = repository();
    let program = actor("files");
    let recorded = bed.record([
        program.to_str().unwrap(),
        "passed-fd",
        "source.txt",
        "other",
    ]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    assert_eq!(overwritten(&recorded).len(), 1, "{:?}", changes(&recorded));
}

#[test]
fn the_same_bytes_are_not_an_alteration() {
    requires!(Root, Program("git"));
    let acts = [
        "write",
        "pwrite",
        "rename-over",
        "mmap",
        "copy-file-range",
        "sendfile",
        "delete-create",
        "hardlink",
        "uring",
    ];
    for act in acts {
        let bed = repository();
        let program = actor("files");
        let recorded = bed.record([program.to_str().unwrap(), "same", act, "source.txt"]);
        if let Some(lacking) = recorded.ran.lacking() {
            runward_lab::skip_part(runward_lab::test_name!(), act, &lacking);
            continue;
        }
        assert!(recorded.ran.worked(), "{act}: {}", recorded.ran.stdout);
        assert_eq!(
            std::fs::read_to_string(bed.path().join("source.txt")).unwrap(),
            before()
        );
        assert_eq!(overwritten(&recorded), Vec::<&Value>::new(), "{act}");
    }
}

#[test]
fn new_and_deleted_files_are_recorded_without_alarm() {
    requires!(Root, Program("git"));
    let bed = repository();
    let recorded = bed.record([
        "sh",
        "-c",
        "echo a > made; mkdir sub; echo b > sub/inner; mv made moved; rm source.txt; echo c > ignored/noise; rm moved",
    ]);
    let told: Vec<String> = recorded
        .events
        .iter()
        .filter_map(|event| match &event.body {
            Body::FileCreate(change) => Some(format!("create {}", change.path)),
            Body::FileDelete(change) => Some(format!("delete {}", change.path)),
            Body::FileRename(change) => Some(format!(
                "rename {} {}",
                change.from.as_deref().unwrap_or("?"),
                change.path
            )),
            _ => None,
        })
        .collect();
    for expected in [
        "create made",
        "create sub/inner",
        "rename made moved",
        "delete source.txt",
        "delete moved",
    ] {
        assert!(
            told.iter().any(|line| line == expected),
            "{expected}: {told:?}"
        );
    }
    assert!(
        told.iter().all(|line| !line.contains("ignored")),
        "{told:?}"
    );
    assert_eq!(overwritten(&recorded).len(), 0);
    let shell = recorded.execs()[0].process;
    let created = changes(&recorded)
        .into_iter()
        .find(|change| change.path == "sub/inner")
        .unwrap();
    assert_eq!(created.process, Some(shell));
}

#[test]
fn a_write_by_a_process_that_is_gone_has_its_process() {
    requires!(Root, Program("git"));
    let bed = repository();
    let script = "i=0; while [ $i -lt 50 ]; do /bin/sh -c \"echo $i > f$i\"; i=$((i + 1)); done";
    let recorded = bed.record(["sh", "-c", script]);
    let writers: std::collections::HashSet<_> = changes(&recorded)
        .into_iter()
        .filter(|change| change.path.starts_with('f'))
        .map(|change| {
            change
                .process
                .unwrap_or_else(|| panic!("{change:?} has no process"))
        })
        .collect();
    assert_eq!(writers.len(), 50, "each by a process of its own");
}

#[test]
fn fail_on_turns_a_finding_into_an_exit_code() {
    requires!(Root, Program("git"));
    for (list, command, code) in [
        ("source-code-overwritten", "echo x >> source.txt", 86),
        ("any", "echo x >> source.txt", 86),
        ("any", "true", 0),
        ("any", "echo x >> source.txt; exit 3", 3),
    ] {
        let bed = repository();
        let ran = run(
            &mut bed.runward(["run", "-q", "--fail-on", list, "--", "sh", "-c", command]),
            LIMIT,
        )
        .unwrap();
        assert_eq!(ran.code(), code, "{list}: {command}: {}", ran.stderr);
    }
}

#[test]
fn a_workspace_that_cannot_be_watched_is_said() {
    requires!(Root);
    let bed = Bed::new();
    // No file of /proc has a handle that it could be found by.
    let recorded =
        bed.finish(&mut bed.runward(["run", "--quiet", "--workspace", "/proc", "--", "true"]));
    assert_eq!(recorded.ran.code(), 0);
    let Body::JobStart(start) = &recorded.events[0].body else {
        panic!()
    };
    assert!(!start.files_watched);
    assert!(
        start
            .notes
            .iter()
            .any(|note| note.contains("No changes of files are recorded")),
        "{:?}",
        start.notes
    );
}
