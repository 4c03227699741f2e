//! What a server needs is away, or has no room: nothing is acknowledged that isn't kept, and it recovers by itself.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use runward_lab::postgres::Postgres;
use runward_lab::{requires, skip_part, test_name};

use crate::bed::{Answer, Ground, Server, within};
use crate::proxy::Proxy;
use crate::record::Recorded;
use crate::s3::S3;

const RUN: &str = "0123456789abcdef0123456789abcdef";

/// A run that is being sent, a few events at a time.
struct Sender<'a> {
    server: &'a Server,
    key: String,
    record: Recorded,
    next: usize,
}

impl Sender<'_> {
    fn new(server: &Server) -> Sender<'_> {
        Sender {
            server,
            key: server.key("ingest"),
            record: Recorded {
                destinations: (0..500).map(|n| format!("host-{n}.example")).collect(),
                ..Recorded::default()
            },
            next: 1,
        }
    }

    /// Sends the next few events, and goes on to those after them once they are acknowledged.
    fn send(&mut self) -> Answer {
        let last = (self.next + 1).min(self.record.len());
        let packed = self.record.packed(self.next, last);
        let answer = self.server.events(&self.key, RUN, self.next, &packed);
        if answer.status == 200 {
            let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
            assert_eq!(body["acknowledged"], last);
            self.next = last + 1;
        }
        answer
    }

    /// Sends until the server can't take any more. What fits into files that are there already may still be taken.
    fn until_refused(&mut self) {
        let refused = loop {
            let answer = self.send();
            if answer.status != 200 {
                break answer;
            }
            assert!(self.next < self.record.len(), "it takes all of it");
        };
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
        assert!(
            refused.headers["content-type"] == "application/problem+json",
            "{refused:?}"
        );
    }

    fn finish(mut self) {
        while self.next <= self.record.len() {
            let answer = self.send();
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

/// Sends a run to a server that something happens to in between; whatever happened, the run is whole afterwards, and the
/// server the same process.
fn survives(mut server: Server, fail: impl FnOnce(), mend: impl FnOnce()) {
    let reader = server.key("read");
    let mut sender = Sender::new(&server);
    assert_eq!(sender.send().status, 200);
    fail();
    sender.until_refused();
    assert_eq!(server.get("/healthz", "").status, 200);
    mend();
    assert!(
        within(|| sender.send().status == 200),
        "it takes events again"
    );
    let events = sender.record.len();
    sender.finish();
    is_whole(&server, &reader, events);
    assert!(server.is_alive(), "nobody started it again");
    // What it may only have remembered is gone now.
    server.crash();
    is_whole(&server, &reader, events);
}

fn is_whole(server: &Server, key: &str, events: usize) {
    let path = format!("/api/v1/runs/{RUN}");
    let mut body = String::new();
    let whole = within(|| {
        body = server.ask("GET", &path, key, "").body;
        let run: serde_json::Value = serde_json::from_str(&body).unwrap();
        run["state"] == "finished" && run["events"] == events && run["destinations"] == 500
    });
    assert!(whole, "{body}");
    let report = server.ask("GET", &format!("{path}/report"), key, "");
    assert_eq!(report.status, 200);
    assert!(report.body.contains("\"complete\":true"));
}

/// A folder with little room, in a place of its own: nobody else on the machine sees that it is another one.
struct Small {
    holder: Child,
    folder: PathBuf,
}

/// Bytes of the data folder, and of the objects in it.
const ROOM: (&str, &str) = ("24m", "4m");

impl Small {
    fn make(folder: &Path) -> Result<Small, String> {
        let script = "mount -t tmpfs -o size=$1 none $0 && mkdir $0/objects \
            && mount -t tmpfs -o size=$2 none $0/objects && echo made && exec sleep 300";
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation=private", "sh", "-c", script])
            .arg(folder)
            .args([ROOM.0, ROOM.1])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let told = holder.stdout.take().unwrap();
        BufReader::new(told).read_line(&mut said).unwrap();
        let small = Small {
            folder: folder.to_owned(),
            holder,
        };
        if said == "made\n" {
            Ok(small)
        } else {
            Err("needs to mount a small file system in a namespace of its own".to_owned())
        }
    }

    /// What starts a program where the folder is small.
    fn through(&self) -> Vec<String> {
        let place = format!("--mount=/proc/{}/ns/mnt", self.holder.id());
        vec!["nsenter".to_owned(), place]
    }

    /// A file in it, as it is seen from here.
    fn filler(&self, below: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let folder = self.folder.strip_prefix("/").unwrap();
        root.join(folder).join(below).join("filler")
    }

    fn fill(&self, below: &str) {
        let mut file = File::create(self.filler(below)).unwrap();
        // The last bytes go one by one.
        for size in [1 << 20, 4096, 1] {
            while file.write(&vec![0; size]).is_ok_and(|written| written > 0) {}
        }
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

#[test]
fn a_full_disk_is_survived() {
    requires!(Root, Program("unshare"), Program("nsenter"));
    for full in ["", "objects"] {
        let mut ground = Ground::new();
        let small = match Small::make(ground.folder.path()) {
            Ok(small) => small,
            Err(lacking) => return skip_part(test_name!(), full, &lacking),
        };
        ground.through = small.through();
        survives(
            Server::on(ground),
            || small.fill(full),
            || fs::remove_file(small.filler(full)).unwrap(),
        );
    }
}

fn on_postgres(postgres: &Postgres) -> Server {
    let mut ground = Ground::new();
    ground
        .variables
        .push(("RUNWARD_DATABASE", postgres.database()));
    Server::on(ground)
}

#[test]
fn a_database_that_is_stopped_for_a_while_is_survived() {
    let mut postgres = match Postgres::start() {
        Ok(postgres) => postgres,
        Err(lacking) => return runward_lab::skip(test_name!(), &lacking),
    };
    let server = on_postgres(&postgres);
    let postgres = std::cell::RefCell::new(&mut postgres);
    survives(
        server,
        || postgres.borrow_mut().stop(),
        || postgres.borrow_mut().restart(),
    );
}

#[test]
fn a_database_that_does_not_answer_for_a_while_is_survived() {
    let postgres = match Postgres::start() {
        Ok(postgres) => postgres,
        Err(lacking) => return runward_lab::skip(test_name!(), &lacking),
    };
    survives(
        on_postgres(&postgres),
        || postgres.pause(),
        || postgres.go_on(),
    );
}

#[test]
fn an_object_store_that_is_stopped_for_a_while_is_survived() {
    let s3 = S3::start();
    let server = Server::on(Ground::with_bucket(s3.address));
    let s3 = std::cell::RefCell::new(s3);
    survives(
        server,
        || s3.borrow_mut().stop(),
        || s3.borrow_mut().restart(),
    );
}

#[test]
fn an_object_store_that_does_not_answer_for_a_while_is_survived() {
    let s3 = S3::start();
    let proxy = Proxy::start(vec![s3.address], None);
    survives(
        Server::on(Ground::with_bucket(proxy.address)),
        || proxy.hold(true),
        || proxy.hold(false),
    );
}
