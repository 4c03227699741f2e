//! A PostgreSQL server of the tests' own: it listens on a socket in a folder, and ends with the tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::geteuid;

/// Where Debian has the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";
/// What the folders of servers begin with; the process id of the tests comes after it.
const PREFIX: &str = "runward-postgres-";
/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The address of an empty database; or what is lacking for one.
pub(crate) fn database() -> Result<String, String> {
    static SERVER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let folder = SERVER.get_or_init(start).as_ref().map_err(Clone::clone)?;
    let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let made = tool(&programs()?, "createdb")
        .args(["--username=postgres", "--host"])
        .arg(folder)
        .arg(&name)
        .status();
    assert!(made.unwrap().success(), "a database can be made");
    Ok(format!(
        "postgres://postgres@localhost/{name}?host={}",
        folder.display()
    ))
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

fn start() -> Result<PathBuf, String> {
    let programs = programs()?;
    sweep();
    let folder = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    if geteuid().is_root() {
        let given = Command::new("chown").arg("postgres").arg(&folder).status();
        assert!(given.unwrap().success());
    }
    let data = folder.join("data");
    let made = tool(&programs, "initdb")
        .args([
            "--auth=trust",
            "--username=postgres",
            "--no-sync",
            "--encoding=UTF8",
            "--pgdata",
        ])
        .arg(&data)
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success(), "a cluster can be made");
    serve(&programs, &folder, &data);
    let socket = folder.join(".s.PGSQL.5432");
    let deadline = Instant::now() + PATIENCE;
    let ready = || {
        tool(&programs, "pg_isready")
            .arg("--host")
            .arg(&folder)
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    while !(socket.exists() && ready()) {
        assert!(Instant::now() < deadline, "PostgreSQL starts");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(folder)
}

/// Removes what earlier tests have left: their servers ended with them, after the tests themselves.
fn sweep() {
    for entry in fs::read_dir(std::env::temp_dir())
        .into_iter()
        .flatten()
        .flatten()
    {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(PREFIX);
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Starts the server from a thread that lasts as long as this process: the kernel ends the server with it.
fn serve(programs: &Path, folder: &Path, data: &Path) {
    let mut command = tool(programs, "postgres");
    command
        .arg("-D")
        .arg(data)
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
        let child = command.spawn();
        started.send(child.is_ok()).unwrap();
        loop {
            thread::park();
        }
    });
    assert!(told.recv().unwrap(), "PostgreSQL can be started");
}
