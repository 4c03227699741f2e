//! The file actor: each act leaves what it says.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use runward_lab::{Ran, skip_part, test_name};

use crate::act;

/// Acts that leave the file with the content given.
const WITH_CONTENT: [&str; 17] = [
    "write",
    "pwrite",
    "rename-over",
    "exchange",
    "mmap",
    "copy-file-range",
    "sendfile",
    "splice",
    "hardlink",
    "symlink",
    "uring",
    "delete-create",
    "tmpfile",
    "passed-fd",
    "reopen",
    "reflink",
    "handle",
];

/// Acts after which the path is another file.
const NEW_FILE: [&str; 4] = ["rename-over", "exchange", "delete-create", "tmpfile"];

fn worked(test: &str, way: &str, ran: &Ran) -> bool {
    if let Some(lacking) = ran.lacking() {
        let reason = format!("this kernel or file system lacks {lacking}");
        skip_part(test, way, &reason);
        return false;
    }
    // Opening by handle is root's alone.
    if way == "handle" && ran.text("error") == Some("EPERM") {
        skip_part(test, way, "needs root");
        return false;
    }
    assert!(ran.worked(), "{way}: {} {}", ran.stdout, ran.stderr);
    true
}

#[test]
fn each_way_to_alter_a_file() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("target");
    for way in WITH_CONTENT {
        for content in ["new, longer than before", "short", ""] {
            fs::write(&target, "old content").unwrap();
            let before = fs::metadata(&target).unwrap().ino();
            let ran = act("files", [way, path(&target), content]);
            if !worked(test_name!(), way, &ran) {
                break;
            }
            assert_eq!(fs::read_to_string(&target).unwrap(), content, "{way}");
            let after = fs::metadata(&target).unwrap().ino();
            // A new file may be given the number of one that was just deleted.
            if !NEW_FILE.contains(&way) {
                assert_eq!(before, after, "{way} replaced the file");
            }
            assert_eq!(ran.number("inode"), Some(after), "{way}");
            assert_eq!(
                names(place.path()),
                ["target"],
                "{way} left something behind"
            );
        }
    }
}

#[test]
fn each_way_to_write_the_same() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("target");
    let bytes: Vec<u8> = (0..10_000_u32).map(|number| (number % 251) as u8).collect();
    for way in WITH_CONTENT {
        fs::write(&target, &bytes).unwrap();
        let ran = act("files", ["same", way, path(&target)]);
        if worked(test_name!(), way, &ran) {
            assert_eq!(fs::read(&target).unwrap(), bytes, "{way}");
            assert_eq!(
                names(place.path()),
                ["target"],
                "{way} left something behind"
            );
        }
    }
}

#[test]
fn acts_with_arguments_of_their_own() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("target");
    for (arguments, expected) in [
        (&["append", "X"][..], Some("0123456789X")),
        (&["pwrite-at", "3", "XY"], Some("012XY56789")),
        (&["pwrite-at", "12", "X"], Some("0123456789\0\0X")),
        (&["truncate", "4"], Some("0123")),
        (&["ftruncate", "4"], Some("0123")),
        (&["ftruncate", "12"], Some("0123456789\0\0")),
        (&["punch", "2", "3"], Some("01\0\0\x0056789")),
        (&["zero", "2", "3"], Some("01\0\0\x0056789")),
        (&["delete"], None),
    ] {
        fs::write(&target, "0123456789").unwrap();
        let mut all = vec![arguments[0], path(&target)];
        all.extend(&arguments[1..]);
        let ran = act("files", &all);
        if worked(test_name!(), arguments[0], &ran) {
            let left = fs::read_to_string(&target).ok();
            assert_eq!(left.as_deref(), expected, "{arguments:?}");
        }
    }
}

#[test]
fn a_range_is_collapsed() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("target");
    fs::write(&target, [vec![b'a'; 65_536], vec![b'b'; 65_536]].concat()).unwrap();
    let ran = act("files", ["collapse", path(&target), "0", "65536"]);
    if worked(test_name!(), "collapse", &ran) {
        assert_eq!(fs::read(&target).unwrap(), vec![b'b'; 65_536]);
    }
}

#[test]
fn files_come_and_move() {
    let place = tempfile::tempdir().unwrap();
    let (one, two) = (place.path().join("one"), place.path().join("two"));
    assert!(act("files", ["create", path(&one), "content"]).worked());
    assert!(act("files", ["rename", path(&one), path(&two)]).worked());
    assert_eq!(fs::read_to_string(&two).unwrap(), "content");
    assert_eq!(names(place.path()), ["two"]);
}

#[test]
fn failures_name_the_step() {
    let place = tempfile::tempdir().unwrap();
    let absent = place.path().join("absent");
    for (way, step) in [
        ("pwrite", "open"),
        ("delete-create", "unlink"),
        ("hardlink", "link"),
    ] {
        let ran = act("files", [way, path(&absent), "content"]);
        let told = (ran.code(), ran.text("step"), ran.text("error"));
        assert_eq!(told, (1, Some(step), Some("ENOENT")), "{way}");
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}
