//! A PostgreSQL server of the tests' own: it listens on a socket in a folder, and ends with the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Where Debian has the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// What the folders of servers begin with; the process id of the tests comes after it.
const PREFIX: &str = "runward-postgres-";
/// How long the server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    child: Child,
    databases: AtomicU32,
}

/// The address of an empty database on a server that all tests of this process share; or what is lacking for one.
pub fn database() -> Result<String, String> {
    static SERVER: OnceLock<Result<Postgres, String>> = OnceLock::new();
    let server = SERVER.get_or_init(Postgres::start);
    server
        .as_ref()
        .map(Postgres::database)
        .map_err(Clone::clone)
}

impl Postgres {
    /// Starts a server of its own for a test that stops it; or says what is lacking for one.
    pub fn start() -> Result<Postgres, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let programs = programs()?;
        sweep();
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("{PREFIX}{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir_all(&folder).expect("a temporary folder");
        if geteuid().is_root() {
            let given = Command::new("chown").arg("postgres").arg(&folder).status();
            assert!(given.is_ok_and(|status| status.success()), "chown works");
        }
        let made = tool(&programs, "initdb")
            .args([
                "--auth=trust",
                "--username=postgres",
                "--no-sync",
                "--encoding=UTF8",
                "--pgdata",
            ])
            .arg(folder.join("data"))
            .stdout(Stdio::null())
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "a cluster can be made"
        );
        let child = serve(&programs, &folder);
        let server = Postgres {
            programs,
            folder,
            child,
            databases: AtomicU32::new(0),
        };
        server.wait();
        Ok(server)
    }

    /// The address of an empty database.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let made = tool(&self.programs, "createdb")
            .args(["--username=postgres", "--host"])
            .arg(&self.folder)
            .arg(&name)
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "a database can be made"
        );
        format!(
            "postgres://postgres@localhost/{name}?host={}",
            self.folder.display()
        )
    }

    /// Ends the server as an operator in a hurry would: every connection is broken off.
    pub fn stop(&mut self) {
        self.signal(Signal::INT);
        let deadline = Instant::now() + PATIENCE;
        while !matches!(self.child.try_wait(), Ok(Some(_))) {
            assert!(Instant::now() < deadline, "PostgreSQL ends");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Starts it again on what it left.
    pub fn restart(&mut self) {
        self.child = serve(&self.programs, &self.folder);
        self.wait();
    }

    /// Lets nothing of the server run any more: connections stay, and nobody answers on them.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
        for child in self.children() {
            let _ = kill_process(child, Signal::STOP);
        }
    }

    /// Undoes [`Postgres::pause`].
    pub fn go_on(&self) {
        for child in self.children() {
            let _ = kill_process(child, Signal::CONT);
        }
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Each connection has a process, of which each is a leader of its own group and session.
    fn children(&self) -> Vec<Pid> {
        let path = format!("/proc/{0}/task/{0}/children", self.child.id());
        let children = fs::read_to_string(path).unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        children.filter_map(Pid::from_raw).collect()
    }

    fn wait(&self) {
        let socket = self.folder.join(".s.PGSQL.5432");
        let deadline = Instant::now() + PATIENCE;
        let ready = || {
            tool(&self.programs, "pg_isready")
                .arg("--host")
                .arg(&self.folder)
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        while !(socket.exists() && ready()) {
            assert!(Instant::now() < deadline, "PostgreSQL starts");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.go_on();
        self.stop();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn programs() -> Result<PathBuf, String> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort();
    folders.pop().ok_or_else(|| "needs PostgreSQL".to_owned())
}

/// A program of PostgreSQL's, which refuses to be root.
fn tool(programs: &Path, name: &str) -> Command {
    let program = programs.join(name);
    if !geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .args(["--pdeathsig=INT"])
        .arg(program);
    command
}

/// Removes what earlier tests have left: a server that all tests share ends with them, after the tests themselves.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Starts the server from a thread that lasts as long as this process: the kernel ends the server with it.
fn serve(programs: &Path, folder: &Path) -> Child {
    let mut command = tool(programs, "postgres");
    command
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args([
            "-c",
            "listen_addresses=",
            "-c",
            "fsync=off",
            "-c",
            "max_connections=200",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let (started, told) = channel();
    thread::spawn(move || {
        let _ = started.send(command.spawn());
        loop {
            thread::park();
        }
    });
    told.recv()
        .expect("the thread tells")
        .expect("PostgreSQL can be started")
}
