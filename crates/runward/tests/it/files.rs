//! Every way to alter a file that git tracks, with the process that did it.

use std::path::Path;

use runward_event::{Body, FileChange};
use runward_lab::{actor, requires, run};
use serde_json::Value;

use crate::bed::{Bed, LIMIT, Recorded};
use crate::image::Image;

/// More than two blocks of a file system, for the ways that work on whole blocks.
fn before() -> String {
    "the content that git tracks\n".repeat(400)
}

/// A workspace with two tracked files, `source.txt` and `src/inner.txt`, and one ignored folder, `ignored`.
fn repository() -> Bed {
    let bed = Bed::new();
    std::fs::create_dir(bed.path().join("src")).unwrap();
    for path in ["source.txt", "src/inner.txt"] {
        std::fs::write(bed.path().join(path), before()).unwrap();
    }
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

/// How a way of tampering ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// The file has other bytes, and the process that wrote them is named.
    Written,
    /// As [`Told::Written`], or it is said that nobody knows who wrote: kernels differ in what they tell.
    WrittenOrUnknown,
    /// The file is what it was, and its path shows other bytes through a mount, which the named process made.
    Shown,
    /// The path shows something through a mount that can't be read safely.
    Hidden,
}

/// What every content-taking way leaves in the file.
const NEW: &str = "other bytes\n";

/// Every way that is known: what the actor is asked for, with the file, and how it ends.
const WAYS: &[(&[&str], Told)] = &[
    (&["write", "source.txt", NEW], Told::Written),
    (&["pwrite", "source.txt", NEW], Told::Written),
    (&["append", "source.txt", NEW], Told::Written),
    (&["pwrite-at", "source.txt", "3", "XYZ"], Told::Written),
    (&["one-byte", "source.txt"], Told::Written),
    (&["mtime", "source.txt", NEW], Told::Written),
    (&["quick", "source.txt", NEW], Told::Written),
    (&["large", "source.txt", NEW], Told::Written),
    (&["sparse", "source.txt"], Told::Written),
    (&["truncate", "source.txt", "5"], Told::Written),
    (&["ftruncate", "source.txt", "5"], Told::Written),
    (&["punch", "source.txt", "0", "4"], Told::Written),
    (&["zero", "source.txt", "0", "4"], Told::Written),
    (&["collapse", "source.txt", "0", "4096"], Told::Written),
    (&["insert", "source.txt", "0", "4096"], Told::Written),
    (&["rename-over", "source.txt", NEW], Told::Written),
    (&["exchange", "source.txt", NEW], Told::Written),
    (&["folder", "src/inner.txt", NEW], Told::Written),
    (&["mmap", "source.txt", NEW], Told::Written),
    (&["vm-write", "source.txt", NEW], Told::Written),
    (&["copy-file-range", "source.txt", NEW], Told::Written),
    (&["sendfile", "source.txt", NEW], Told::Written),
    (&["splice", "source.txt", NEW], Told::Written),
    (&["reflink", "source.txt", NEW], Told::Written),
    (&["hardlink", "source.txt", NEW], Told::Written),
    (&["symlink", "source.txt", NEW], Told::Written),
    (&["uring", "source.txt", NEW], Told::Written),
    (&["delete-create", "source.txt", NEW], Told::Written),
    (&["tmpfile", "source.txt", NEW], Told::Written),
    (&["reopen", "source.txt", NEW], Told::Written),
    (&["proc-fd", "source.txt", NEW], Told::Written),
    (&["map-files", "source.txt", NEW], Told::Written),
    (&["handle", "source.txt", NEW], Told::Written),
    (&["given-fd", "source.txt", NEW], Told::Written),
    (&["getfd", "source.txt", NEW], Told::Written),
    (&["bind-alias", "src/inner.txt", NEW], Told::Written),
    // Some kernels have a worker of their own write what a loop device was given.
    (&["loop", "source.txt", NEW], Told::WrittenOrUnknown),
    (
        &["overlay-upper", "src/inner.txt", NEW],
        Told::WrittenOrUnknown,
    ),
    (
        &["overlay-map", "src/inner.txt", NEW],
        Told::WrittenOrUnknown,
    ),
    (&["bind-over", "source.txt", NEW], Told::Shown),
    (&["private-bind", "source.txt", NEW], Told::Shown),
    (&["move-mount", "source.txt", NEW], Told::Shown),
    (&["tmpfs-over", "src/inner.txt", NEW], Told::Shown),
    (&["overlay-over", "src/inner.txt", NEW], Told::Hidden),
];

#[test]
fn every_way_to_alter_a_tracked_file_is_reported() {
    requires!(Root, Program("git"));
    let wrong: Vec<String> = WAYS
        .iter()
        .filter_map(|(act, told)| {
            // A mount is told with who was last seen in a call that mounts, if that was not too long ago: a busy machine may
            // take longer once.
            let tries = match told {
                Told::Shown | Told::Hidden => 3,
                Told::Written | Told::WrittenOrUnknown => 1,
            };
            let first = check_way(act, *told);
            let tried = (1..tries).fold(first, |last, _| last.or_else(|_| check_way(act, *told)));
            let difference = tried.err()?;
            Some(format!("{}: {difference}", act[0]))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check_way(act: &[&str], told: Told) -> Result<(), String> {
    let bed = repository();
    let path = act[1];
    let before = git(bed.path(), &["hash-object", path]);
    let program = actor("files");
    let recorded =
        bed.record(std::iter::once(program.to_str().unwrap()).chain(act.iter().copied()));
    if let Some(lacking) = recorded.ran.lacking() {
        runward_lab::skip_part(
            "every_way_to_alter_a_tracked_file_is_reported",
            act[0],
            &lacking,
        );
        return Ok(());
    }
    if !recorded.ran.worked() {
        return Err(recorded.ran.stdout.clone());
    }
    let mounted = matches!(told, Told::Shown | Told::Hidden);
    let after = match mounted {
        true => NEW_HASH.to_owned(),
        false => git(bed.path(), &["hash-object", path]),
    };
    assert_ne!(before, after, "{act:?} does what it should");
    let all = overwritten(&recorded);
    let about = if told == Told::Hidden { "src" } else { path };
    let last = all
        .iter()
        .rfind(|found| found["path"] == about)
        .ok_or_else(|| format!("no finding: {all:#?}, {:#?}", changes(&recorded)))?;
    let (content, process) = (&last["content"], &last["process"]["pid"]);
    let pid = recorded.ran.number("pid").unwrap();
    // A mount is told with who was last seen in a call that mounts, if that was not too long ago; an emulated processor
    // may take longer. Nobody else is ever named.
    let emulated = std::env::var_os("RUNWARD_VM").is_some();
    let named = match told {
        Told::Shown | Told::Hidden if emulated => process == pid || process.is_null(),
        Told::Written | Told::Shown | Told::Hidden => process == pid,
        Told::WrittenOrUnknown => process == pid || process.is_null(),
    };
    let hashes = match told {
        Told::Hidden => content["hash_after"].is_null(),
        _ => content["hash_before"] == before && content["hash_after"] == after,
    };
    let mount = match told {
        Told::Shown | Told::Hidden => content["mount"]["hides"] == 1,
        _ => content["mount"].is_null(),
    };
    let explained =
        told == Told::Hidden || content["diff"].is_object() || content["no_diff"].is_string();
    let at_end = changes(&recorded).iter().any(|change| change.found_at_end);
    if named && hashes && mount && explained && !at_end && last["severity"] == "high" {
        return Ok(());
    }
    Err(format!(
        "by {pid} from {before} to {after}, found at the end: {at_end}: {last:#}, {:#?}",
        changes(&recorded)
    ))
}

/// The hash of [`NEW`], as `git hash-object` prints it.
const NEW_HASH: &str = "8e9e5383da0c194daf3fb53a2d02cb6086320b77";

#[test]
fn a_daemon_that_was_there_before_is_named_as_what_it_is() {
    requires!(Root, Program("git"));
    let bed = repository();
    let elsewhere = tempfile::tempdir().unwrap();
    let socket = elsewhere.path().join("socket");
    let mut daemon = std::process::Command::new(actor("files"))
        .arg("serve")
        .arg(&socket)
        .spawn()
        .unwrap();
    let end = std::time::Instant::now() + LIMIT;
    while !socket.exists() && std::time::Instant::now() < end {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let mut command = bed.runward(["run", "--quiet", "--"]);
    command
        .arg(actor("files"))
        .args(["daemon", "source.txt", NEW])
        .env("RUNWARD_LAB_SOCKET", &socket);
    let recorded = bed.finish(&mut command);
    let pid = daemon.id();
    let _ = daemon.kill();
    let _ = daemon.wait();
    assert!(recorded.ran.worked(), "{}", recorded.ran.stdout);
    let found = overwritten(&recorded);
    let last = found.last().unwrap();
    assert_eq!(last["content"]["hash_after"], NEW_HASH, "{last:#}");
    assert!(last["process"].is_null(), "{last:#}");
    let message = last["message"].as_str().unwrap();
    assert!(
        message.contains(&format!("a process that is not known (pid {pid})")),
        "{message}"
    );
}

#[test]
fn what_git_checks_out_matters_less_than_what_others_write() {
    requires!(Root, Program("git"));
    let severities = |script: &str| {
        let bed = repository();
        let folder = bed.path();
        git(folder, &["config", "user.name", "n"]);
        git(folder, &["config", "user.email", "e@e.example"]);
        git(folder, &["commit", "-q", "-m", "one"]);
        std::fs::write(folder.join("source.txt"), NEW).unwrap();
        git(folder, &["commit", "-q", "-a", "-m", "two"]);
        git(folder, &["diff", "HEAD", "HEAD~", "--output=ignored/back"]);
        let recorded = bed.record(["sh", "-c", script]);
        assert!(recorded.ran.worked(), "{script}: {}", recorded.ran.stderr);
        let found = overwritten(&recorded).into_iter();
        found
            .map(|found| found["severity"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (script, severity) in [
        ("git checkout -q HEAD~", "low"),
        (
            "git -C . -c advice.detachedHead=false checkout -q HEAD~",
            "low",
        ),
        ("git reset -q --hard HEAD~", "low"),
        ("git apply ignored/back", "high"),
        ("git -c core.autocrlf=true checkout -q HEAD~", "high"),
        (
            "cp /bin/sh ignored/git; ignored/git -c 'echo x > source.txt'",
            "high",
        ),
        (
            "mkdir ignored/bin; printf '#!/bin/sh\necho x > source.txt' > ignored/bin/git; chmod +x ignored/bin/git; PATH=$PWD/ignored/bin:$PATH git checkout -q HEAD~",
            "high",
        ),
    ] {
        assert_eq!(severities(script), [severity], "{script}");
    }
}

#[test]
fn a_mount_that_shows_the_same_bytes_is_no_finding() {
    requires!(Root, Program("git"));
    for script in [
        "mount --bind . .; sleep 0.3; umount .",
        "mount -t tmpfs none ignored; sleep 0.3; umount ignored",
        "unshare -m sh -c 'mount --bind src src; mount -t tmpfs none ignored; sleep 0.3'",
        "cp source.txt ignored/copy; mount --bind ignored/copy source.txt; sleep 0.3; umount source.txt",
    ] {
        let bed = repository();
        let recorded = bed.record(["sh", "-c", script]);
        assert!(recorded.ran.worked(), "{script}: {}", recorded.ran.stderr);
        assert_eq!(overwritten(&recorded), Vec::<&Value>::new(), "{script}");
    }
}

/// A build in a shell that has nothing but itself.
const WORK: &str = "i=0; while [ $i -lt 200000 ]; do i=$((i + 1)); done";

#[test]
fn a_container_shows_the_workspace_as_it_is_or_is_found_out() {
    requires!(Root, Program("git"), Program("podman"), Program("busybox"));
    for (extra, altered) in [(None, &[][..]), (Some("source.txt"), &["source.txt"][..])] {
        let bed = repository();
        let image = Image::new();
        std::fs::write(image.place("other"), NEW).unwrap();
        let workspace = bed.path().display().to_string();
        let mut command = image.run(&bed, "podman");
        command.arg("--volume");
        command.arg(format!("{workspace}:{workspace}"));
        if let Some(over) = extra {
            command.arg("--volume");
            command.arg(format!("{}:{workspace}/{over}", image.place("other")));
        }
        command.args(["--tmpfs", &format!("{workspace}/ignored")]);
        command.args(["--rootfs", &image.place("root"), "/bin/sh", "-c", WORK]);
        let recorded = bed.finish(&mut command);
        assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
        let found: Vec<&str> = overwritten(&recorded)
            .iter()
            .map(|found| found["path"].as_str().unwrap())
            .collect();
        assert_eq!(found, altered, "{:#?}", changes(&recorded));
    }
}

#[test]
fn the_report_shows_what_changed() {
    requires!(Root, Program("git"));
    let bed = repository();
    let hostile = "sed -i '3s/.*/evil\\x1b[2J \\xe2\\x80\\xae ``` <script>/' source.txt";
    let recorded = bed.record(["sh", "-c", hostile]);
    assert!(recorded.ran.worked(), "{}", recorded.ran.stderr);
    let found = overwritten(&recorded);
    let diff = &found[0]["content"]["diff"];
    assert_eq!(
        (&diff["added"], &diff["removed"]),
        (&1.into(), &1.into()),
        "{diff}"
    );
    let shown = "+evil\\x1b[2J \\u{202e} ```";
    let read = |name: &str| std::fs::read_to_string(recorded.folder.join(name)).unwrap();
    assert!(read("summary.md").contains("\n````diff\n"));
    for name in ["summary.md", "report.html"] {
        let text = read(name);
        assert!(text.contains(shown), "{name}: {text}");
        assert!(
            !text.contains("\x1b[2J") && !text.contains('\u{202e}'),
            "{name}"
        );
    }
    assert!(read("report.html").contains("&#60;script&#62;"));
}

#[test]
fn diffs_can_be_left_out() {
    requires!(Root, Program("git"));
    let bed = repository();
    let recorded = bed.finish(&mut bed.runward([
        "run",
        "--quiet",
        "--no-diff",
        "--",
        "sh",
        "-c",
        "echo secret >> source.txt",
    ]));
    let found = overwritten(&recorded);
    assert_eq!(found[0]["content"]["no_diff"], "off");
    let record = std::fs::read_to_string(recorded.folder.join("events.jsonl")).unwrap();
    assert!(!record.contains("+secret"));
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
