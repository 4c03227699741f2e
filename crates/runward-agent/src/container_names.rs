//! What engines call the containers of a job.
//!
//! Podman and its kin say it in the arguments of the process that looks after a container, and in a list beside the
//! container's files; docker in a file of its own. All of that may be the job's work, which could keep a reader waiting for
//! ever: a thread reads it.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use runward_event::{Container, ProcessExec, ProcessId};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2};
use serde::Deserialize;

/// How many containers of one job are told apart.
const CONTAINERS_MAX: usize = 4096;
/// How many may wait to be looked up.
const WAITING_MAX: usize = 64;
/// How long the end of a job waits for those.
const PATIENCE: Duration = Duration::from_millis(200);
/// Bytes of a process's arguments that are read.
const ARGS_MAX: u64 = 128 << 10;
/// Bytes of a list of containers that are read.
const LIST_MAX: u64 = 8 << 20;
/// Characters of a name that are kept.
const NAME_MAX: usize = 255;
/// Where docker keeps what it knows of its containers.
const DOCKER: &str = "/var/lib/docker/containers";

/// Looks up each container once.
#[derive(Debug, Default)]
pub(crate) struct ContainerNames {
    seen: HashSet<String>,
    reader: Option<Reader>,
}

#[derive(Debug)]
struct Reader {
    ask: SyncSender<Asked>,
    answers: Receiver<Option<Container>>,
    waiting: usize,
}

#[derive(Debug)]
struct Asked {
    process: ProcessId,
    pid: u32,
    ppid: u32,
    container: String,
}

/// What a container is called.
#[derive(Debug, Default, PartialEq, Eq)]
struct Called {
    name: Option<String>,
    image: Option<String>,
}

impl ContainerNames {
    /// Takes note of a program that may be the first in a container.
    pub(crate) fn see(&mut self, exec: &ProcessExec) {
        let Some(container) = &exec.container else {
            return;
        };
        if self.seen.contains(container) || self.seen.len() >= CONTAINERS_MAX {
            return;
        }
        self.seen.insert(container.clone());
        let Some(reader) = self.reader() else { return };
        let asked = Asked {
            process: exec.process,
            pid: exec.pid,
            ppid: exec.ppid,
            container: container.clone(),
        };
        // Where too many wait, one stays without its name.
        if reader.ask.try_send(asked).is_ok() {
            reader.waiting += 1;
        }
    }

    fn reader(&mut self) -> Option<&mut Reader> {
        if self.reader.is_none() {
            let (ask, asked) = sync_channel::<Asked>(WAITING_MAX);
            let (answer, answers) = sync_channel(WAITING_MAX);
            thread::Builder::new()
                .name("containers".to_owned())
                .spawn(move || {
                    for asked in asked {
                        if answer.send(look_up(asked)).is_err() {
                            return;
                        }
                    }
                })
                .ok()?;
            self.reader = Some(Reader {
                ask,
                answers,
                waiting: 0,
            });
        }
        self.reader.as_mut()
    }

    /// What was read since the last call.
    pub(crate) fn take(&mut self) -> Vec<Container> {
        let Some(reader) = &mut self.reader else {
            return Vec::new();
        };
        let answers: Vec<_> = reader.answers.try_iter().collect();
        reader.waiting = reader.waiting.saturating_sub(answers.len());
        answers.into_iter().flatten().collect()
    }

    /// The same for the last time: waits a little for what is being read.
    pub(crate) fn take_last(&mut self) -> Vec<Container> {
        let mut last = self.take();
        while let Some(reader) = self.reader.as_mut().filter(|reader| reader.waiting > 0)
            && let Ok(answer) = reader.answers.recv_timeout(PATIENCE)
        {
            reader.waiting -= 1;
            last.extend(answer);
        }
        last
    }
}

fn look_up(asked: Asked) -> Option<Container> {
    let Asked {
        process,
        pid,
        ppid,
        container,
    } = asked;
    let called = by_keeper(ppid, &container).or_else(|| docker(Path::new(DOCKER), &container));
    let Called { name, image } = called?;
    (name.is_some() || image.is_some()).then_some(Container {
        process,
        pid,
        container,
        name,
        image,
    })
}

/// By the process that looks after it, of Podman and its kin (conmon).
fn by_keeper(pid: u32, id: &str) -> Option<Called> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let args = read(&process.join("cmdline"), ARGS_MAX)?;
    let Keeper { name, list } = keeper(&args, id)?;
    // Its files are where it sees them.
    let list = list.and_then(|list| {
        let list = list.strip_prefix("/").ok()?;
        read_below(&process.join("root"), list, LIST_MAX)
    });
    Some(Called {
        name,
        image: list.and_then(|list| image_in(&list, id)),
    })
}

#[derive(Debug, PartialEq, Eq)]
struct Keeper {
    name: Option<String>,
    /// The list of all containers that are kept in one place.
    list: Option<PathBuf>,
}

/// What the arguments say of the process that looks after this container; `None` when it does not.
fn keeper(args: &[u8], id: &str) -> Option<Keeper> {
    let args: Vec<&str> = args
        .split(|byte| *byte == 0)
        .map(|arg| str::from_utf8(arg).unwrap_or_default())
        .collect();
    let after = |option: &str| {
        let at = args.iter().position(|arg| *arg == option)?;
        args.get(at + 1).copied()
    };
    if after("-c") != Some(id) {
        return None;
    }
    // STORE/overlay-containers/ID/userdata
    let list = after("-b").and_then(|bundle| {
        let containers = Path::new(bundle).parent()?.parent()?;
        Some(containers.join("containers.json"))
    });
    Some(Keeper {
        name: after("-n").and_then(clean),
        list,
    })
}

/// The image of a container, by the list that its engine keeps.
fn image_in(list: &[u8], id: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Stored {
        id: String,
        #[serde(default)]
        metadata: String,
    }
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(rename = "image-name")]
        image_name: String,
    }
    let list: Vec<Stored> = serde_json::from_slice(list).ok()?;
    let stored = list.iter().find(|stored| stored.id == id)?;
    let metadata: Metadata = serde_json::from_str(&stored.metadata).ok()?;
    clean(&metadata.image_name)
}

/// By what docker keeps of a container.
fn docker(containers: &Path, id: &str) -> Option<Called> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Kept {
        name: String,
        config: Config,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config {
        #[serde(default)]
        image: String,
    }
    if !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let kept = read(&containers.join(id).join("config.v2.json"), LIST_MAX)?;
    let kept: Kept = serde_json::from_slice(&kept).ok()?;
    Some(Called {
        name: clean(kept.name.trim_start_matches('/')),
        image: clean(&kept.config.image),
    })
}

/// A word for a person's eyes.
fn clean(word: &str) -> Option<String> {
    let word: String = word
        .chars()
        .filter(|char| !char.is_control())
        .take(NAME_MAX)
        .collect();
    (!word.is_empty()).then_some(word)
}

fn read(path: &Path, max: u64) -> Option<Vec<u8>> {
    read_below(Path::new("/"), path.strip_prefix("/").ok()?, max)
}

/// A file as who has `root` for its root sees it.
fn read_below(root: &Path, path: &Path, max: u64) -> Option<Vec<u8>> {
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(root, folder, Mode::empty()).ok()?;
    let opened = |flags| {
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&root, path, flags | OFlags::CLOEXEC, Mode::empty(), within).ok()
    };
    // Opening a device can do things, so it is looked at before; and a pipe that takes its place makes nobody wait.
    is_file(&opened(OFlags::PATH)?)?;
    let file = opened(OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
    is_file(&file)?;
    let mut bytes = Vec::new();
    let read = File::from(file).take(max).read_to_end(&mut bytes);
    read.ok().map(|_| bytes)
}

fn is_file(file: &OwnedFd) -> Option<()> {
    let kind = FileType::from_raw_mode(fstat(file).ok()?.st_mode);
    (kind == FileType::RegularFile).then_some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "4f1c2d3e4f1c2d3e4f1c2d3e4f1c2d3e4f1c2d3e4f1c2d3e4f1c2d3e4f1c2d3e";

    fn called(name: &str, image: &str) -> Called {
        let word = |word: &str| (!word.is_empty()).then(|| word.to_owned());
        Called {
            name: word(name),
            image: word(image),
        }
    }

    #[test]
    fn the_keeper_of_a_container_says_its_name_and_where_the_image_stands() {
        let words = |words: &str| words.replace(' ', "\0").into_bytes();
        let whole = format!(
            "/usr/bin/conmon --api-version 1 -c {ID} -u {ID} -b /s/overlay-containers/{ID}/userdata -n scan --exit-dir /e"
        );
        let found = keeper(&words(&whole), ID).unwrap();
        assert_eq!(found.name.as_deref(), Some("scan"));
        assert_eq!(
            found.list.as_deref(),
            Some(Path::new("/s/overlay-containers/containers.json"))
        );
        assert_eq!(keeper(&words(&whole), "other"), None);
        assert_eq!(keeper(b"", ID), None);
        let less = Keeper {
            name: None,
            list: None,
        };
        assert_eq!(
            keeper(&words(&format!("conmon -n -c {ID} -b /")), ID).map(|found| found.list),
            Some(None)
        );
        assert_eq!(
            keeper(&words(&format!("conmon -c {ID} -n")), ID),
            Some(less)
        );
    }

    #[test]
    fn an_image_is_found_by_the_containers_id() {
        let metadata = r#"{\"image-name\":\"docker.io/library/a:1\",\"image-id\":\"x\"}"#;
        let list = format!(
            r#"[{{"id":"other","metadata":"{{}}"}},{{"id":"{ID}","names":["scan"],"metadata":"{metadata}"}}]"#
        );
        let image = image_in(list.as_bytes(), ID);
        assert_eq!(image.as_deref(), Some("docker.io/library/a:1"));
        for (list, id) in [
            (list.as_str(), "other"),
            (list.as_str(), "none"),
            ("[", ID),
            ("{}", ID),
        ] {
            assert_eq!(image_in(list.as_bytes(), id), None, "{list}");
        }
    }

    #[test]
    fn docker_keeps_the_name_and_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(ID);
        std::fs::create_dir(&place).unwrap();
        let file = place.join("config.v2.json");
        for (text, want) in [
            (
                r#"{"Name":"/scan","Config":{"Image":"a:1"}}"#,
                Some(called("scan", "a:1")),
            ),
            (
                r#"{"Name":"/s\u001bcan","Config":{}}"#,
                Some(called("scan", "")),
            ),
            (r#"{"Name":"/scan"}"#, None),
            ("", None),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(docker(folder.path(), ID), want, "{text}");
        }
        assert_eq!(docker(folder.path(), "../x"), None);
    }

    #[test]
    fn a_pipe_keeps_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        assert_eq!(read(&pipe, 10), None);
    }

    #[test]
    fn a_link_leads_nowhere_but_below_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text| std::fs::write(folder.path().join(name), text).unwrap();
        write("outer", "outer");
        std::fs::create_dir(folder.path().join("root")).unwrap();
        write("root/inner", "inner");
        let read = |target: &str| {
            let link = folder.path().join("root/link");
            let _ = std::fs::remove_file(&link);
            std::os::unix::fs::symlink(target, &link).unwrap();
            read_below(&folder.path().join("root"), Path::new("link"), 10)
        };
        assert_eq!(read("/inner").unwrap(), b"inner");
        assert_eq!(read("../inner").unwrap(), b"inner");
        assert_eq!(read("../outer"), None);
        let outer = folder.path().join("outer");
        assert_eq!(read(outer.to_str().unwrap()), None);
        assert_eq!(read("/proc/self/root"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, id in "[0-9a-f]{0,8}") {
            let _ = keeper(&bytes, &id);
            let _ = image_in(&bytes, &id);
        }
    }
}
