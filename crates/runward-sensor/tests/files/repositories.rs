//! Which files are tracked, and what they held at the start, in all the shapes that repositories have.

use std::fs;
use std::path::Path;

use runward_lab::{requires, skip};
use runward_sensor::files::{Config, FilesError, Watcher};

use crate::harness::{Mounted, Watched, Workspace, can_watch, git_in, places};

#[test]
fn the_baseline_is_what_git_would_say() {
    if !can_watch("the_baseline_is_what_git_would_say") {
        return;
    }
    // Each example alters a repository before the job, and says what a rewrite of src/a.txt is told as.
    type Alter = fn(&Workspace);
    let examples: &[(&str, Alter, &str)] = &[
        ("clean", |_| (), "original a\n"),
        (
            "long clean",
            |_| std::thread::sleep(std::time::Duration::from_millis(30)),
            "original a\n",
        ),
        (
            "already changed",
            |w| w.write("src/a.txt", "dirty\n"),
            "dirty\n",
        ),
        (
            "converted line ends",
            |w| {
                w.write(".gitattributes", "*.txt text eol=crlf\n");
                fs::remove_file(w.path("src/a.txt")).unwrap();
                w.git(&["checkout", "--quiet", "src/a.txt"]);
            },
            "original a\r\n",
        ),
        (
            "autocrlf",
            |w| {
                w.git(&["config", "core.autocrlf", "true"]);
                fs::remove_file(w.path("src/a.txt")).unwrap();
                w.git(&["checkout", "--quiet", "src/a.txt"]);
            },
            "original a\r\n",
        ),
        (
            "index version 4",
            |w| drop(w.git(&["update-index", "--index-version", "4"])),
            "original a\n",
        ),
        (
            "split index",
            |w| {
                w.git(&["update-index", "--split-index"]);
                w.write("src/new.txt", "new\n");
                w.git(&["add", "src/new.txt"]);
                w.git(&["rm", "--quiet", "--force", "src/b.txt"]);
            },
            "original a\n",
        ),
        (
            "untracked cache and fsmonitor extensions",
            |w| {
                w.git(&["config", "core.untrackedCache", "true"]);
                w.git(&["status"]);
            },
            "original a\n",
        ),
    ];
    for (what, alter, content) in examples {
        let workspace = Workspace::repository(&places()[0].1);
        alter(&workspace);
        assert_eq!(
            fs::read_to_string(workspace.path("src/a.txt")).unwrap(),
            *content,
            "{what}"
        );
        let hash = workspace.git(&["hash-object", "--no-filters", "src/a.txt"]);
        let mut watched = workspace.watch().with_self();
        assert_eq!(watched.watcher.notes(), [""; 0], "{what}");
        workspace.write("src/a.txt", content);
        watched.drain();
        let told = watched.tracked();
        let last = told
            .last()
            .unwrap_or_else(|| panic!("{what}: nothing told"));
        assert_eq!(last.hash_before.as_ref(), Some(&hash), "{what}");
        assert_eq!(last.hash_after.as_ref(), Some(&hash), "{what}");
        watched.finish();
        assert!(
            watched.told().iter().all(|line| !line.contains("changed")),
            "{what}"
        );
    }
}

#[test]
fn a_split_index_tracks_what_git_says() {
    if !can_watch("a_split_index_tracks_what_git_says") {
        return;
    }
    let workspace = Workspace::repository(&places()[0].1);
    workspace.git(&["update-index", "--split-index"]);
    workspace.write("src/new.txt", "new\n");
    workspace.git(&["add", "src/new.txt"]);
    workspace.git(&["rm", "--quiet", "--force", "src/b.txt"]);
    workspace.write("src/a.txt", "staged\n");
    workspace.git(&["add", "src/a.txt"]);
    let names = workspace.git(&["ls-files"]);
    let mut watched = workspace.watch();
    assert_eq!(watched.watcher.tracked_count(), Some(names.lines().count()));
    for name in names.lines().filter(|name| *name != "link") {
        fs::write(workspace.path(name), "x").unwrap();
    }
    watched.drain();
    let mut told: Vec<_> = watched
        .tracked()
        .iter()
        .map(|change| change.path.clone())
        .collect();
    told.sort();
    let mut expected: Vec<_> = names.lines().filter(|name| *name != "link").collect();
    expected.sort();
    assert_eq!(told, expected);
    for change in watched.tracked() {
        let staged = workspace.git(&["rev-parse", &format!(":{}", change.path)]);
        assert_eq!(
            change.hash_before.as_ref(),
            Some(&staged),
            "{}",
            change.path
        );
    }
}

#[test]
fn workspaces_of_every_shape_are_understood() {
    if !can_watch("workspaces_of_every_shape_are_understood") {
        return;
    }
    requires!(GitCommand("submodule"));
    let outer = Workspace::repository(&places()[0].1);
    outer.git(&["commit", "--quiet", "--message", "x"]);
    let told_in = |workspace: &Path, file: &str| {
        let config = Config {
            workspace: workspace.to_owned(),
            homes: Vec::new(),
            diffs: true,
            places: Vec::new(),
        };
        let mut watched = Watched::new(Watcher::open(&config).unwrap()).with_self();
        let count = watched.watcher.tracked_count();
        let path = workspace.join(file);
        fs::write(path, "x").unwrap();
        watched.drain();
        watched.finish();
        (count, watched.told())
    };

    // A folder of a repository: only what is below it is tracked, with paths from there.
    let (count, told) = told_in(&outer.path("src"), "a.txt");
    assert_eq!(
        (count, told),
        (Some(3), vec!["write a.txt: changed".to_owned()])
    );

    // The repository's ignore rules hold in it, too.
    let (_, told) = told_in(&outer.path("src"), "x.log");
    assert_eq!(told, [""; 0]);

    // A linked worktree, whose `.git` is a file.
    let linked = Workspace::empty(&places()[0].1);
    let worktree = linked.path("tree");
    outer.git(&["worktree", "add", "--quiet", worktree.to_str().unwrap()]);
    let (count, told) = told_in(&worktree, "src/a.txt");
    assert_eq!(
        (count, told),
        (Some(6), vec!["write src/a.txt: changed".to_owned()])
    );

    // A submodule: its files are tracked by its own repository.
    let with_module = Workspace::repository(&places()[0].1);
    with_module.git(&[
        "submodule",
        "--quiet",
        "add",
        outer.dir.path().to_str().unwrap(),
        "module",
    ]);
    let (count, told) = told_in(with_module.dir.path(), "module/src/a.txt");
    // Six of its own, `.gitmodules`, and six of the module's.
    assert_eq!(
        (count, told),
        (Some(13), vec!["write module/src/a.txt: changed".to_owned()])
    );

    // No repository at all.
    let plain = Workspace::empty(&places()[1].1);
    let (count, told) = told_in(plain.dir.path(), "x.log");
    assert_eq!((count, told), (None, vec!["create x.log".to_owned()]));
}

#[test]
fn a_repository_that_names_objects_by_sha256_is_understood() {
    if !can_watch("a_repository_that_names_objects_by_sha256_is_understood") {
        return;
    }
    let workspace = Workspace::empty(&places()[0].1);
    workspace.write("a.txt", "hello\n");
    workspace.git(&["init", "--quiet", "--object-format=sha256"]);
    workspace.git(&["add", "."]);
    let hash = workspace.git(&["hash-object", "a.txt"]);
    let mut watched = workspace.watch().with_self();
    workspace.write("a.txt", "hello\n");
    watched.drain();
    assert_eq!(watched.tracked()[0].hash_before.as_ref(), Some(&hash));
    assert_eq!(watched.told(), ["write a.txt: same"]);
}

#[test]
fn a_job_that_clones_into_its_workspace_has_tracked_files_from_then_on() {
    if !can_watch("a_job_that_clones_into_its_workspace_has_tracked_files_from_then_on") {
        return;
    }
    requires!(Program("git-upload-pack"));
    for inner in [".", "project"] {
        let origin = Workspace::repository(&places()[0].1);
        origin.git(&["commit", "--quiet", "--message", "x"]);
        let workspace = Workspace::empty(&places()[0].1);
        let mut watched = workspace.watch().with_self();
        assert_eq!(watched.watcher.tracked_count(), None);
        git_in(
            workspace.dir.path(),
            &[
                "clone",
                "--quiet",
                origin.dir.path().to_str().unwrap(),
                inner,
            ],
        );
        // Altered before the watcher had a chance to look.
        let a = Path::new(inner).join("src/a.txt");
        fs::write(workspace.dir.path().join(&a), "changed at once\n").unwrap();
        watched.drain();
        assert_eq!(watched.watcher.tracked_count(), Some(6), "{inner}");
        let prefix = if inner == "." { "" } else { "project/" };
        assert_eq!(
            watched.told().last(),
            Some(&format!("write {prefix}src/a.txt: changed"))
        );
        watched.changes.clear();
        workspace.write(&format!("{prefix}src/b.txt"), "changed later\n");
        workspace.write(&format!("{prefix}ignored/x"), "");
        watched.finish();
        assert_eq!(
            watched.told(),
            [format!("write {prefix}src/b.txt: changed")]
        );
    }
}

#[test]
fn an_index_that_is_damaged_is_said_and_nothing_is_tracked() {
    if !can_watch("an_index_that_is_damaged_is_said_and_nothing_is_tracked") {
        return;
    }
    let workspace = Workspace::repository(&places()[0].1);
    let index = workspace.path(".git/index");
    let bytes = fs::read(&index).unwrap();
    fs::write(&index, &bytes[..bytes.len() / 2]).unwrap();
    let watched = workspace.watch();
    assert_eq!(watched.watcher.tracked_count(), None);
    let note = watched.watcher.notes().first().unwrap();
    assert!(
        note.contains("can't be used: it is damaged at byte"),
        "{note}"
    );
}

#[test]
fn what_can_not_be_watched_says_what_to_do() {
    let name = "what_can_not_be_watched_says_what_to_do";
    if !can_watch(name) {
        return;
    }
    let nowhere = Config {
        workspace: "/nowhere/at/all".into(),
        homes: Vec::new(),
        diffs: true,
        places: Vec::new(),
    };
    let error = Watcher::open(&nowhere).unwrap_err();
    assert!(matches!(error, FilesError::Workspace { .. }));

    let proc = Config {
        workspace: "/proc/self".into(),
        homes: Vec::new(),
        diffs: true,
        places: Vec::new(),
    };
    let error = Watcher::open(&proc).unwrap_err();
    assert!(
        matches!(&error, FilesError::FileSystem { kind, .. } if kind == "proc"),
        "{error}"
    );

    // An overlay, as containers have: its files have handles, but none that can be opened.
    let dir = Workspace::empty(&places()[1].1);
    for part in ["lower", "upper", "work"] {
        fs::create_dir(dir.path(part)).unwrap();
    }
    let at = |part: &str| dir.path(part).to_str().unwrap().to_owned();
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        at("lower"),
        at("upper"),
        at("work")
    );
    let merged = match Mounted::overlay(&options) {
        Ok(merged) => merged,
        Err(error) => return skip(name, &format!("overlay can't be mounted ({error})")),
    };
    let result = Watcher::open(&Config {
        workspace: merged.path().to_owned(),
        homes: Vec::new(),
        diffs: true,
        places: Vec::new(),
    });
    let error = result.unwrap_err();
    println!("{error}");
    assert!(
        matches!(&error, FilesError::FileSystem { kind, .. } if kind == "overlay"),
        "{error}"
    );
    assert!(error.to_string().contains("on a volume"), "{error}");
}

#[test]
fn files_that_git_calls_clean_are_not_read() {
    if !can_watch("files_that_git_calls_clean_are_not_read") {
        return;
    }
    // On a file system of its own: so many files fill the queue of every watcher of this one.
    let mount = match Mounted::tmpfs() {
        Ok(mount) => mount,
        Err(error) => {
            return skip(
                "files_that_git_calls_clean_are_not_read",
                &format!("tmpfs can't be mounted ({error})"),
            );
        }
    };
    let workspace = Workspace::empty(mount.path());
    for folder in 0..500 {
        fs::create_dir_all(workspace.path(&format!("d{}/e{folder}", folder % 20))).unwrap();
        for file in 0..20 {
            let path = format!("d{}/e{folder}/file{file}.rs", folder % 20);
            fs::write(workspace.path(&path), format!("{folder} {file}\n")).unwrap();
        }
    }
    workspace.git(&["init", "--quiet"]);
    // A file as young as the index may have changed in the same moment: git, too, reads that one.
    std::thread::sleep(std::time::Duration::from_millis(20));
    workspace.git(&["add", "."]);
    let before = reads();
    let watched = workspace.watch();
    let made = reads() - before;
    assert_eq!(watched.watcher.tracked_count(), Some(10_000));
    assert!(made < 1_000, "{made} reads for 10,000 files");
}

/// How many times this thread has read from anything.
fn reads() -> u64 {
    let counters = fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = counters.lines().find(|line| line.starts_with("syscr:"));
    let count = line.and_then(|line| line.split_whitespace().nth(1));
    count.unwrap().parse().unwrap()
}
