//! The kernel's machine on real sockets: the whole of TCP is in play, and what counts is what reaches the peer.

use std::fs::{self, File};
use std::io::{Read, Seek as _, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use libbpf_rs::Link;
use runward_lab::requires;
use rustix::fs::sendfile;

use super::super::kernel::Kernel;
use super::super::{Phase, Reason};
use super::greetings::{client_hello, record, server_name};
use crate::load::cgroup2_mount;

/// How long to wait for bytes that must not come.
const SILENCE: Duration = Duration::from_millis(400);

/// Sockets that this process opens are judged until this is dropped. No other test of this binary opens any.
struct Fence {
    home: PathBuf,
    cgroup: PathBuf,
    kernel: Kernel,
    _links: Vec<Link>,
}

impl Fence {
    fn new(port: u16) -> Fence {
        let mount = cgroup2_mount().unwrap();
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap();
        let home = groups
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .unwrap();
        let cgroup = mount.join(format!("runward-first-bytes-{}", std::process::id()));
        fs::create_dir(&cgroup).unwrap();
        let mut kernel = Kernel::load(&[("a.example", port)]);
        let links = kernel.attach(&File::open(&cgroup).unwrap());
        move_to(&cgroup);
        Fence {
            home: mount.join(home),
            cgroup,
            kernel,
            _links: links,
        }
    }
}

impl Drop for Fence {
    fn drop(&mut self) {
        move_to(&self.home);
        fs::remove_dir(&self.cgroup).unwrap();
    }
}

fn move_to(cgroup: &Path) {
    fs::write(cgroup.join("cgroup.procs"), std::process::id().to_string()).unwrap();
}

/// Takes connections one after another, and keeps what each sends.
struct Server {
    port: u16,
    received: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Server {
    fn new() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let log = Arc::clone(&log);
                let place = {
                    let mut log = log.lock().unwrap();
                    log.push(Vec::new());
                    log.len() - 1
                };
                thread::spawn(move || keep(stream, &log, place));
            }
        });
        Server { port, received }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// What the last connection sent, when nothing more comes.
    fn last(&self) -> Vec<u8> {
        let last = || {
            self.received
                .lock()
                .unwrap()
                .last()
                .cloned()
                .unwrap_or_default()
        };
        let mut before = None;
        loop {
            thread::sleep(SILENCE);
            let now = last();
            if before.as_ref() == Some(&now) {
                return now;
            }
            before = Some(now);
        }
    }
}

fn keep(mut stream: TcpStream, log: &Mutex<Vec<Vec<u8>>>, place: usize) {
    let mut buffer = [0; 65536];
    while let Ok(len @ 1..) = stream.read(&mut buffer) {
        log.lock().unwrap()[place].extend_from_slice(&buffer[..len]);
    }
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const UPLOAD: &[u8] = b"PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 20000\r\n\r\n";

#[test]
fn what_reaches_a_server_is_judged_on_real_sockets() {
    requires!(Root);
    let server = Server::new();

    // What gets out without the fence.
    let mut open = server.connect();
    open.write_all(b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
        .unwrap();
    assert!(server.last().ends_with(b"b.example\r\n\r\n"));
    sendfile(server.connect(), file_of(HEAD), None, HEAD.len()).unwrap();
    assert_eq!(server.last(), HEAD);

    let fence = Fence::new(server.port);
    names_are_judged(&server, &fence);
    shared_pages_are_refused(&server, &fence);
}

fn names_are_judged(server: &Server, fence: &Fence) {
    let hello = |name: &str| record(0x16, &client_hello(&[server_name(name)]));
    let upload = [UPLOAD, &[b'x'; 20_000], HEAD].concat();
    let right: [&[u8]; 4] = [HEAD, &hello("a.example"), b"SSH-2.0-x\r\n", &upload];
    for bytes in right {
        let mut client = server.connect();
        client.write_all(bytes).unwrap();
        assert_eq!(server.last(), bytes);
    }
    let wrong = [HEAD, b"GET / HTTP/1.1\r\nHost: b.exa", b"mple\r\n\r\n"];
    let mut client = server.connect();
    for piece in wrong {
        client.write_all(piece).unwrap();
        server.last();
    }
    assert_eq!(
        server.last(),
        [wrong[0], wrong[1]].concat(),
        "but for the end of the name"
    );
    assert_eq!(
        fence.kernel.phase_of(&client),
        Some(Phase::Refused(Reason::HostMismatch))
    );

    let mut client = server.connect();
    client.write_all(&hello("b.example")).unwrap();
    assert_eq!(server.last(), b"");
    assert_eq!(
        fence.kernel.phase_of(&client),
        Some(Phase::Refused(Reason::SniMismatch))
    );

    let mut client = server.connect();
    client.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    rustix::net::send(&client, b"x", rustix::net::SendFlags::OOB).unwrap();
    client.write_all(b"a.example\r\n\r\n").unwrap();
    assert!(!server.last().ends_with(b"\r\n\r\n"));
    assert_eq!(
        fence.kernel.phase_of(&client),
        Some(Phase::Refused(Reason::UrgentData))
    );
}

fn shared_pages_are_refused(server: &Server, fence: &Fence) {
    let client = server.connect();
    sendfile(&client, file_of(HEAD), None, HEAD.len()).unwrap();
    assert_eq!(server.last(), b"");
    assert_eq!(
        fence.kernel.phase_of(&client),
        Some(Phase::Refused(Reason::SharedPages))
    );

    // A body may be sent so: it changes nothing.
    let mut client = server.connect();
    client.write_all(UPLOAD).unwrap();
    assert_eq!(server.last(), UPLOAD);
    sendfile(&client, file_of(&[b'x'; 20_000]), None, 20_000).unwrap();
    assert_eq!(server.last().len(), UPLOAD.len() + 20_000);
    assert_eq!(fence.kernel.phase_of(&client), Some(Phase::Reading));
}
