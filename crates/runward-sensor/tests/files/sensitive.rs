//! Files at places that are looked after: every way to read a credential, and to put something where it is started.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use runward_event::{Body, FileAct, SensitiveClass};
use runward_sensor::files::{Config, Place, Watcher};

use crate::actor::Mapping;
use crate::harness::{Watched, Workspace, can_watch, places};

/// A home folder beside a workspace, both watched, with a credential and a profile.
struct Bed {
    workspace: Workspace,
    home: Workspace,
    watched: Watched,
}

impl Bed {
    fn new(on: &Path) -> Bed {
        let (workspace, home) = (Workspace::empty(on), Workspace::empty(on));
        home.write(".aws/credentials", "inert\n");
        home.write(".profile", "# nothing\n");
        let place = |class, pattern: &str| Place {
            class,
            pattern: pattern.to_owned(),
        };
        let credential = |pattern| place(SensitiveClass::Credential, pattern);
        let persistence = |pattern| place(SensitiveClass::Persistence, pattern);
        let config = Config {
            workspace: workspace.path("").canonicalize().unwrap(),
            homes: vec![home.path("").canonicalize().unwrap()],
            diffs: true,
            places: vec![
                credential("~/.aws/credentials"),
                credential("~/.netrc"),
                credential("~/.ssh/id_*"),
                persistence("~/.profile"),
                persistence("~/.config/units/**"),
                persistence("**/hooks/*"),
                persistence("**/site-packages/*.pth"),
                persistence("**/.runner"),
            ],
        };
        let watched = Watched::new(Watcher::open(&config).unwrap()).with_self();
        Bed {
            workspace,
            home,
            watched,
        }
    }

    fn at(&self, below: &str) -> PathBuf {
        self.home.path(below)
    }

    /// What was told of such files since the last call, a line each: act, path below the home or the workspace.
    fn told(&mut self) -> Vec<String> {
        self.watched.drain();
        // A file that stays open is waited for.
        std::thread::sleep(Duration::from_millis(20));
        self.watched.drain();
        let bases = [&self.home, &self.workspace]
            .map(|base| base.path("").canonicalize().unwrap().display().to_string() + "/");
        self.watched
            .changes
            .drain(..)
            .filter_map(|change| match change.body {
                Body::SensitiveFile(file) => {
                    assert_eq!(file.pid, std::process::id());
                    // Some patterns mean every folder, also those of the tests beside this one.
                    let mut below = bases.iter().map(|base| file.path.strip_prefix(base));
                    let path = below.find_map(|path| path)?;
                    let code = match file.runs_code {
                        Some(true) => " with code",
                        _ => "",
                    };
                    Some(format!("{} {path}{code}", word(file.act)))
                }
                Body::Lost(lost) => Some(format!("{lost:?}")),
                _ => None,
            })
            .collect()
    }
}

fn word(act: FileAct) -> &'static str {
    match act {
        FileAct::Read => "read",
        FileAct::Create => "create",
        FileAct::Write => "write",
        FileAct::Rename => "rename",
        FileAct::Delete => "delete",
        _ => "other",
    }
}

fn read(path: PathBuf) {
    fs::read(path).unwrap();
}

#[test]
fn every_way_to_read_a_credential_is_told_once() {
    if !can_watch("every_way_to_read_a_credential_is_told_once") {
        return;
    }
    type Way = (&'static str, fn(&Bed));
    let ways: [Way; 10] = [
        ("read", |bed| read(bed.at(".aws/credentials"))),
        ("read twice", |bed| {
            read(bed.at(".aws/credentials"));
            read(bed.at(".aws/credentials"));
        }),
        ("hard link", |bed| {
            fs::hard_link(bed.at(".aws/credentials"), bed.at("link")).unwrap();
            read(bed.at("link"));
        }),
        ("symbolic link", |bed| {
            std::os::unix::fs::symlink(bed.at(".aws/credentials"), bed.at("link")).unwrap();
            read(bed.at("link"));
        }),
        ("renamed first", |bed| {
            fs::rename(bed.at(".aws/credentials"), bed.at("other")).unwrap();
            read(bed.at("other"));
        }),
        ("the folder renamed first", |bed| {
            fs::rename(bed.at(".aws"), bed.at("other")).unwrap();
            read(bed.at("other/credentials"));
        }),
        ("mapped", |bed| {
            // It stays mapped.
            let _mapping = Mapping::new(&bed.at(".aws/credentials")).unwrap();
        }),
        ("opened and passed on", |bed| {
            let file = File::open(bed.at(".aws/credentials")).unwrap();
            let mut other = File::from(file.as_fd().try_clone_to_owned().unwrap());
            drop(file);
            let mut bytes = [0; 1];
            other.read_exact(&mut bytes).unwrap();
        }),
        ("by descriptor of its place", |bed| {
            let flags = rustix::fs::OFlags::PATH;
            let place =
                rustix::fs::open(bed.at(".aws/credentials"), flags, rustix::fs::Mode::empty())
                    .unwrap();
            let fd = std::os::fd::AsRawFd::as_raw_fd(&place);
            read(format!("/proc/self/fd/{fd}").into());
        }),
        ("sent to a pipe", |bed| {
            let file = File::open(bed.at(".aws/credentials")).unwrap();
            let (_reader, writer) = rustix::pipe::pipe().unwrap();
            rustix::fs::sendfile(&writer, &file, None, 3).unwrap();
        }),
    ];
    for (name, on) in places() {
        for (way, act) in ways {
            let mut bed = Bed::new(&on);
            act(&bed);
            assert_eq!(bed.told(), ["read .aws/credentials"], "{way} on {name}");
        }
    }
}

#[test]
fn what_is_no_reading_is_not_told() {
    if !can_watch("what_is_no_reading_is_not_told") {
        return;
    }
    let mut bed = Bed::new(&places()[0].1);
    let file = bed.at(".aws/credentials");
    file.metadata().unwrap();
    assert_eq!(fs::read_dir(bed.at(".aws")).unwrap().count(), 1);
    assert!(file.exists());
    fs::write(&file, "new\n").unwrap();
    let mut more = OpenOptions::new().append(true).open(&file).unwrap();
    more.write_all(b"more\n").unwrap();
    drop(more);
    fs::remove_file(&file).unwrap();
    assert_eq!(bed.told(), Vec::<String>::new());
}

#[test]
fn a_credential_that_comes_later_is_looked_after() {
    if !can_watch("a_credential_that_comes_later_is_looked_after") {
        return;
    }
    for (name, on) in places() {
        let mut bed = Bed::new(&on);
        fs::write(bed.at(".netrc"), "inert\n").unwrap();
        fs::create_dir(bed.at(".ssh")).unwrap();
        fs::write(bed.at("key"), "inert\n").unwrap();
        fs::rename(bed.at("key"), bed.at(".ssh/id_test")).unwrap();
        fs::create_dir(bed.at("new")).unwrap();
        fs::write(bed.at("new/credentials"), "inert\n").unwrap();
        fs::remove_dir_all(bed.at(".aws")).unwrap();
        fs::rename(bed.at("new"), bed.at(".aws")).unwrap();
        assert_eq!(bed.told(), Vec::<String>::new(), "{name}");
        read(bed.at(".netrc"));
        read(bed.at(".ssh/id_test"));
        read(bed.at(".aws/credentials"));
        let told = bed.told();
        assert_eq!(
            told,
            ["read .netrc", "read .ssh/id_test", "read .aws/credentials"],
            "{name}"
        );
    }
}

#[test]
fn every_way_to_put_something_at_a_place_is_told() {
    if !can_watch("every_way_to_put_something_at_a_place_is_told") {
        return;
    }
    type Way = (&'static str, fn(&mut Bed), &'static [&'static str]);
    let ways: [Way; 12] = [
        (
            "append",
            |bed| {
                let mut file = OpenOptions::new().append(true).open(bed.at(".profile"));
                file.as_mut().unwrap().write_all(b"x\n").unwrap();
            },
            &["write .profile"],
        ),
        (
            "by another hard link",
            |bed| {
                fs::hard_link(bed.at(".profile"), bed.at("link")).unwrap();
                fs::write(bed.at("link"), "x\n").unwrap();
            },
            &["write .profile"],
        ),
        (
            "cut off",
            |bed| {
                let path = bed.at(".profile");
                let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
                let file = OpenOptions::new()
                    .write(true)
                    .open(path.to_str().unwrap())
                    .unwrap();
                file.set_len(1).unwrap();
            },
            &["write .profile"],
        ),
        (
            "renamed over",
            |bed| {
                fs::write(bed.at("new"), "x\n").unwrap();
                fs::rename(bed.at("new"), bed.at(".profile")).unwrap();
            },
            &["rename .profile"],
        ),
        (
            "a new folder with a file",
            |bed| {
                fs::create_dir_all(bed.at(".config/units/a.wants")).unwrap();
                fs::write(bed.at(".config/units/a.wants/x"), "x\n").unwrap();
            },
            &["create .config/units/a.wants/x"],
        ),
        (
            "a folder that was filled elsewhere",
            |bed| {
                fs::create_dir_all(bed.at("prepared/a.wants")).unwrap();
                fs::write(bed.at("prepared/a.wants/x"), "x\n").unwrap();
                fs::create_dir_all(bed.at(".config")).unwrap();
                assert_eq!(bed.told(), Vec::<String>::new());
                fs::rename(bed.at("prepared"), bed.at(".config/units")).unwrap();
            },
            &["rename .config/units/a.wants/x"],
        ),
        (
            "a link",
            |bed| {
                fs::create_dir_all(bed.at(".config/units")).unwrap();
                std::os::unix::fs::symlink("/dev/null", bed.at(".config/units/x")).unwrap();
            },
            &["create .config/units/x"],
        ),
        (
            "a file without a name that gets one",
            |bed| {
                fs::create_dir_all(bed.workspace.path("r/hooks")).unwrap();
                fs::write(bed.at("hidden"), "x\n").unwrap();
                fs::hard_link(bed.at("hidden"), bed.workspace.path("r/hooks/post-x")).unwrap();
            },
            &["create r/hooks/post-x"],
        ),
        (
            "code for Python",
            |bed| bed.workspace.write("v/site-packages/x.pth", "import os\n"),
            &["create v/site-packages/x.pth with code"],
        ),
        (
            "code for Python, later",
            |bed| {
                bed.workspace.write("v/site-packages/x.pth", "/src\n");
                let path = bed.workspace.path("v/site-packages/x.pth");
                let mut file = OpenOptions::new().append(true).open(path).unwrap();
                file.write_all(b"import os\n").unwrap();
            },
            &["create v/site-packages/x.pth with code"],
        ),
        (
            "code for Python, in a folder that was renamed",
            |bed| {
                bed.workspace.write("v/other/x.pth", "import os\n");
                let (from, to) = ("v/other", "v/site-packages");
                assert_eq!(bed.told(), Vec::<String>::new());
                fs::rename(bed.workspace.path(from), bed.workspace.path(to)).unwrap();
            },
            &["rename v/site-packages/x.pth with code"],
        ),
        (
            "a name that counts everywhere",
            |bed| bed.home.write("deep/down/.runner", "{}"),
            &["create deep/down/.runner"],
        ),
    ];
    for (name, on) in places() {
        for (way, act, expected) in ways {
            let mut bed = Bed::new(&on);
            act(&mut bed);
            let mut told = bed.told();
            told.dedup();
            assert_eq!(told, expected, "{way} on {name}");
        }
    }
}

#[test]
fn a_silenced_folder_is_heard_again_when_it_takes_a_place() {
    if !can_watch("a_silenced_folder_is_heard_again_when_it_takes_a_place") {
        return;
    }
    let mut bed = Bed::new(&places()[0].1);
    fs::create_dir_all(bed.at("noisy")).unwrap();
    fs::create_dir_all(bed.at(".config")).unwrap();
    for n in 0..500 {
        fs::write(bed.at(&format!("noisy/{n}")), "x\n").unwrap();
        fs::remove_file(bed.at(&format!("noisy/{n}"))).unwrap();
        if n % 50 == 0 {
            bed.watched.drain();
        }
    }
    assert_eq!(bed.told(), Vec::<String>::new());
    fs::rename(bed.at("noisy"), bed.at(".config/units")).unwrap();
    assert_eq!(bed.told(), Vec::<String>::new());
    fs::write(bed.at(".config/units/x"), "x\n").unwrap();
    assert_eq!(bed.told()[0], "create .config/units/x");
}

#[test]
fn a_flood_of_reads_is_told_once_and_costs_nothing_later() {
    if !can_watch("a_flood_of_reads_is_told_once_and_costs_nothing_later") {
        return;
    }
    let mut bed = Bed::new(&places()[1].1);
    for _ in 0..20_000 {
        read(bed.at(".aws/credentials"));
    }
    assert_eq!(bed.told(), ["read .aws/credentials"]);
}
