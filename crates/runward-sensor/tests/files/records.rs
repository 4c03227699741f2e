//! What is recorded of files that git does not track, and what is not.

use std::fs;
use std::io;

use runward_lab::{requires, skip, skip_part, test_name};
use runward_sensor::files::{Config, Watcher};

use crate::harness::{Mounted, Watched, Workspace, can_watch, git_in, places};

/// Ways that only these tests need.
pub(crate) fn act(way: &str) -> io::Result<()> {
    match way {
        "untracked" => {
            fs::write("new.txt", "1")?;
            fs::write("new.txt", "2")?;
            fs::rename("new.txt", "newer.txt")?;
            fs::create_dir("folder")?;
            fs::write("folder/in.txt", "")?;
            fs::rename("folder", "folder2")?;
            fs::write("folder2/more.txt", "")?;
            fs::remove_dir_all("folder2")
        }
        "ignored" => {
            fs::write("ignored/x.o", "")?;
            fs::create_dir_all("ignored/a/b")?;
            fs::write("ignored/a/b/y", "")?;
            fs::write("src/debug.log", "")?;
            fs::rename("src/debug.log", "src/debug2.log")?;
            // Out of an ignored folder, and into one.
            fs::rename("ignored/x.o", "x.bin")?;
            fs::rename("x.bin", "ignored/x.o")
        }
        "git" => {
            fs::write(".git/objects/x", "")?;
            fs::write(".git/description", "")?;
            fs::write(".git/hooks/pre-commit", "")?;
            fs::write(".git/config", "[core]\n")
        }
        "in and out" => {
            let outside = std::env::current_dir()?.with_extension("outside");
            fs::create_dir_all(outside.join("d/e"))?;
            fs::write(outside.join("d/e/f"), "")?;
            fs::rename(outside.join("d"), "came")?;
            fs::write("came/e/g", "")?;
            fs::rename("came/e/g", outside.join("g"))?;
            fs::rename("came", outside.join("d"))?;
            fs::write(outside.join("d/e/h"), "")?;
            fs::remove_dir_all(outside)
        }
        "temporary" => {
            fs::create_dir("t")?;
            for name in ["t/1", "t/2"] {
                fs::write(name, "")?;
            }
            fs::remove_dir_all("t")
        }
        "nameless" => {
            use std::io::Write;
            let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR;
            let file = rustix::fs::open("src", flags, rustix::fs::Mode::RUSR)?;
            fs::File::from(file).write_all(b"x")
        }
        "remove what was there" => fs::remove_dir_all("old"),
        "hostile names" => {
            use std::os::unix::ffi::OsStrExt;
            fs::write(std::ffi::OsStr::from_bytes(b"not-\xff-utf8\n"), "")?;
            // As deep as a path goes, and deeper than any one path can say.
            let home = std::env::current_dir()?;
            for _ in 0..40 {
                let name = "d".repeat(250);
                fs::create_dir(&name)?;
                std::env::set_current_dir(&name)?;
            }
            fs::write("f", "")?;
            std::env::set_current_dir(home)
        }
        "repeat" => {
            for _ in 0..50 {
                fs::write("again.txt", "x")?;
            }
            Ok(())
        }
        other => Err(io::Error::other(format!("nobody knows how to {other}"))),
    }
}

#[test]
fn changes_of_other_files_are_told_unless_ignored() {
    if !can_watch("changes_of_other_files_are_told_unless_ignored") {
        return;
    }
    let examples: &[(&str, &[&str])] = &[
        (
            "untracked",
            &[
                "create new.txt",
                "rename newer.txt from new.txt",
                "create folder/in.txt",
                "rename folder2 from folder",
                "create folder2/more.txt",
                // The kernel merges this into the creation, which was before the folder's new name.
                "delete folder/in.txt",
                "delete folder2/more.txt",
            ],
        ),
        (
            "ignored",
            &[
                "rename x.bin from ignored/x.o",
                "rename ignored/x.o from x.bin",
            ],
        ),
        (
            "git",
            &["create .git/hooks/pre-commit", "write .git/config"],
        ),
        (
            "in and out",
            &[
                "rename came",
                "create came/e/g",
                "delete came/e/g",
                "delete came",
            ],
        ),
        (
            "temporary",
            &["create t/1", "create t/2", "delete t/1", "delete t/2"],
        ),
        ("nameless", &[]),
        (
            "remove what was there",
            &["delete old/deep/1", "delete old/2"],
        ),
    ];
    let mut wrong = Vec::new();
    for (file_system, place) in places() {
        for (way, expected) in examples {
            let workspace = Workspace::repository(&place);
            workspace.write("old/deep/1", "");
            workspace.write("old/2", "");
            let mut watched = workspace.watch();
            // Everything in one drain, so that nothing can be asked for in time.
            let mut child = watched.start(way, &workspace);
            if !child.wait().unwrap().success() {
                let reason = "the file system refuses it";
                skip_part(test_name!(), &format!("{way} on {file_system}"), reason);
                continue;
            }
            watched.drain();
            watched.finish();
            let mut told = watched.told();
            let mut expected: Vec<_> = expected.iter().map(|line| (*line).to_owned()).collect();
            // Creations may come with writes of the same moment, which say nothing more.
            told.retain(|line| !line.starts_with("write ") || expected.contains(line));
            told.sort();
            expected.sort();
            if told != expected {
                wrong.push(format!("{file_system}: {way}: {told:#?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ignored_files_are_counted() {
    if !can_watch("ignored_files_are_counted") {
        return;
    }
    let workspace = Workspace::repository(&places()[0].1);
    let mut watched = workspace.watch();
    watched.run("ignored", &workspace);
    assert!(
        watched.watcher.unrecorded() >= 3,
        "{}",
        watched.watcher.unrecorded()
    );
    assert_eq!(watched.watcher.lost(), 0);
}

#[test]
fn noisy_folders_are_silenced_and_heard_again_where_it_matters() {
    let name = "noisy_folders_are_silenced_and_heard_again_where_it_matters";
    if !can_watch(name) {
        return;
    }
    let workspace = Workspace::repository(&places()[1].1);
    fs::create_dir(workspace.path("ignored/quiet")).unwrap();
    fs::create_dir(workspace.path("ignored/quiet/inner")).unwrap();
    let mut watched = workspace.watch().with_self();
    let noise = |from: u32| {
        for file in from..from + 100 {
            fs::write(workspace.path(&format!("ignored/quiet/{file}")), "").unwrap();
            fs::write(workspace.path(&format!("ignored/quiet/inner/{file}")), "").unwrap();
        }
    };
    noise(0);
    watched.drain();
    let heard = watched.watcher.unrecorded();
    assert!(heard >= 200, "{heard}");
    noise(100);
    watched.drain();
    if watched.watcher.unrecorded() != heard {
        return skip(name, "the kernel can't silence folders; Linux 6.0 can");
    }

    // What leaves a silenced folder is heard, and so is a silenced folder that leaves.
    fs::rename(workspace.path("ignored/quiet/1"), workspace.path("out")).unwrap();
    fs::rename(workspace.path("ignored/quiet"), workspace.path("src/loud")).unwrap();
    watched.drain();
    workspace.write("src/loud/inner/new", "");
    workspace.write("src/loud/new", "");
    watched.drain();
    watched.finish();
    assert_eq!(
        watched.told(),
        [
            "rename out from ignored/quiet/1",
            "rename src/loud from ignored/quiet",
            "create src/loud/inner/new",
            "create src/loud/new",
        ]
    );
    assert_eq!(watched.watcher.lost(), 0);
}

#[test]
fn a_workspace_that_is_renamed_is_still_watched() {
    if !can_watch("a_workspace_that_is_renamed_is_still_watched") {
        return;
    }
    let outer = Workspace::empty(&places()[0].1);
    outer.write("here/old/deep/file", "");
    let config = Config {
        workspace: outer.path("here"),
        homes: Vec::new(),
        diffs: true,
        places: Vec::new(),
    };
    let mut watched = Watched::new(Watcher::open(&config).unwrap()).with_self();
    fs::rename(outer.path("here"), outer.path("there")).unwrap();
    outer.write("there/old/deep/file", "x");
    watched.drain();
    assert_eq!(watched.told(), ["write old/deep/file"]);
}

#[test]
fn repeated_writes_within_one_drain_are_one_event() {
    if !can_watch("repeated_writes_within_one_drain_are_one_event") {
        return;
    }
    let workspace = Workspace::repository(&places()[0].1);
    workspace.write("again.txt", "");
    let mut watched = workspace.watch();
    assert!(
        watched
            .start("repeat", &workspace)
            .wait()
            .unwrap()
            .success()
    );
    watched.drain();
    assert_eq!(watched.told(), ["write again.txt"]);
}

#[test]
fn hostile_names_are_told_whole() {
    if !can_watch("hostile_names_are_told_whole") {
        return;
    }
    let workspace = Workspace::repository(&places()[1].1);
    let mut watched = workspace.watch();
    let (_, done) = watched.run("hostile names", &workspace);
    assert!(done);
    watched.finish();
    let told: Vec<_> = watched
        .changes
        .iter()
        .filter_map(|c| crate::harness::file(&c.body))
        .collect();
    let first = told
        .iter()
        .find(|change| change.path.starts_with("not-"))
        .unwrap();
    assert_eq!(first.path, "not-\u{fffd}-utf8\n");
    assert_eq!(first.raw["/path"], "6e6f742dff2d757466380a");
    let deep = told.iter().find(|change| change.path.len() > 4096).unwrap();
    assert_eq!(deep.path.len(), 40 * 251 + 1);
    assert_eq!(watched.watcher.lost(), 0);
}

/// A file system of a test's own, where filling the queue of every watcher harms no other test, and how many files that
/// takes.
fn place_to_flood(name: &str) -> Option<(Mounted, u32)> {
    if !can_watch(name) {
        return None;
    }
    let queue = fs::read_to_string("/proc/sys/fs/fanotify/max_queued_events").unwrap_or_default();
    let queue: u32 = queue.trim().parse().unwrap_or(16384);
    if queue > 100_000 {
        skip(name, "the queue of this machine is too long to be filled");
        return None;
    }
    match Mounted::tmpfs() {
        Ok(mount) => Some((mount, queue + 10)),
        Err(error) => {
            skip(name, &format!("tmpfs can't be mounted ({error})"));
            None
        }
    }
}

#[test]
fn a_repository_that_is_made_while_the_queue_is_full_is_tracked() {
    let name = "a_repository_that_is_made_while_the_queue_is_full_is_tracked";
    let Some((mount, flood)) = place_to_flood(name) else {
        return;
    };
    requires!(Program("git-upload-pack"));
    for inner in [".", "project"] {
        let origin = Workspace::repository(mount.path());
        origin.git(&["commit", "--quiet", "--message", "x"]);
        let workspace = Workspace::empty(mount.path());
        let mut watched = workspace.watch().with_self();
        let of = origin.dir.path().to_str().unwrap();
        let flooded = Workspace::empty(mount.path());
        for file in 0..flood {
            fs::write(flooded.path(&format!("{file}")), "").unwrap();
        }
        git_in(workspace.dir.path(), &["clone", "--quiet", of, inner]);
        workspace.write(&format!("{inner}/src/a.txt"), "changed\n");
        watched.drain();
        assert_eq!(watched.watcher.tracked_count(), Some(6), "{inner}");
        watched.finish();
        let prefix = if inner == "." { "" } else { "project/" };
        let expected = format!("write {prefix}src/a.txt: changed by nobody, found at the end");
        assert!(watched.told().contains(&expected), "{:?}", watched.told());
    }
}

#[test]
fn a_full_queue_is_told_and_the_end_still_finds_what_changed() {
    let name = "a_full_queue_is_told_and_the_end_still_finds_what_changed";
    let Some((mount, flood)) = place_to_flood(name) else {
        return;
    };
    let workspace = Workspace::repository(mount.path());
    let mut watched = workspace.watch().with_self();
    for file in 0..flood {
        fs::write(workspace.path(&format!("{file}")), "").unwrap();
    }
    workspace.write("src/b.txt", "changed\n");
    watched.drain();
    watched.finish();
    assert!(watched.watcher.lost() > 0);
    let told = watched.told();
    assert!(
        told.iter()
            .any(|line| line.starts_with("lost ") && line.ends_with("QueueOverflow"))
    );
    // The tracked file has a queue of its own, so not even that was lost.
    assert!(
        told.contains(&"write src/b.txt: changed".to_owned()),
        "{:?}",
        told.last()
    );
}
