//! A run that is sent to a control plane while it goes on.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use runward_lab::{requires, skip, test_name};
use tempfile::TempDir;

use crate::bed::{Bed, LIMIT, binary, within};

/// The real server, killed when the test is over.
pub(crate) struct Server {
    program: PathBuf,
    folder: TempDir,
    pub(crate) port: u16,
    /// After how many seconds without a sign it gives a run up.
    silent_after: &'static str,
    child: Option<Child>,
}

impl Server {
    /// The server that was built beside `runward`, which is so when all tests are.
    pub(crate) fn find() -> Result<Server, &'static str> {
        let program = binary().with_file_name("runward-server");
        if !program.exists() {
            return Err("needs runward-server beside runward: cargo build -p runward-server");
        }
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Ok(Server {
            program,
            folder: TempDir::new().unwrap(),
            port: free.local_addr().unwrap().port(),
            silent_after: "300",
            child: None,
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--data")
            .arg(self.folder.path())
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .args(["--silent-after", self.silent_after])
            .stderr(Stdio::null());
        command
    }

    pub(crate) fn start(&mut self) {
        self.child = Some(self.command().arg("serve").spawn().unwrap());
        let ready = || self.ask("/readyz", "").contains(" 200 ");
        assert!(within(LIMIT, ready), "the server starts");
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn key(&self, scope: &str) -> String {
        let made = self
            .command()
            .args(["admin", "key", "--name", "test", "--scope", scope])
            .output();
        String::from_utf8(made.unwrap().stdout)
            .unwrap()
            .trim()
            .to_owned()
    }

    /// What the server answers, head and all; nothing if it is away.
    pub(crate) fn ask(&self, path: &str, key: &str) -> String {
        self.send("GET", path, key, "")
    }

    /// The same with something to tell it.
    pub(crate) fn send(&self, method: &str, path: &str, key: &str, body: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return String::new();
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let mut answer = Vec::new();
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn a_server_that_is_away_during_the_job_has_all_of_it_in_the_end() {
    requires!(Root);
    let mut server = match Server::find() {
        Ok(server) => server,
        Err(lacking) => return skip(test_name!(), lacking),
    };
    server.start();
    let bed = Bed::new();
    let key = server.key("ingest");
    let address = format!("http://127.0.0.1:{}", server.port);
    // The job waits twice, so that the test knows where it is.
    let script = "/bin/true; touch first; until test -e second; do sleep 0.2; done; \
        /bin/echo on; touch third; until test -e fourth; do sleep 0.2; done; /bin/true";
    let mut command = bed.runward(["run", "--server", &address, "--", "sh", "-c", script]);
    command.env("RUNWARD_API_KEY", key);
    command.env("RUNWARD_HOST", "node-7");
    let here = |name: &str| bed.path().join(name);
    let recorded = thread::scope(|scope| {
        let job = scope.spawn(|| bed.finish(&mut command));
        assert!(within(LIMIT, || here("first").exists()));
        server.stop();
        std::fs::write(here("second"), "").unwrap();
        assert!(within(LIMIT, || here("third").exists()));
        // Some attempts fail meanwhile.
        thread::sleep(Duration::from_millis(2500));
        server.start();
        std::fs::write(here("fourth"), "").unwrap();
        job.join().unwrap()
    });
    let ran = &recorded.ran;
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    let page = ran.stderr.lines().find_map(|line| {
        let (_, name) = line.split_once("this run on the server: ")?;
        name.rsplit('/').next()
    });
    let name = page.unwrap_or_else(|| panic!("it tells where the run is: {}", ran.stderr));
    let reader = server.key("read");
    let mut answer = String::new();
    let finished = within(LIMIT, || {
        answer = server.ask(&format!("/api/v1/runs/{name}"), &reader);
        answer.contains("\"state\":\"finished\"")
    });
    assert!(finished, "{answer}");
    let events = recorded.events.len();
    assert!(
        answer.contains(&format!("\"events\":{events},")),
        "{events} events: {answer}"
    );
    assert!(answer.contains("\"host\":\"node-7\""), "{answer}");
}

#[test]
fn the_server_notices_when_a_runward_is_killed_and_bears_a_quiet_job() {
    requires!(Root);
    let mut server = match Server::find() {
        Ok(server) => server,
        Err(lacking) => return skip(test_name!(), lacking),
    };
    server.silent_after = "4";
    server.start();
    let bed = Bed::new();
    let reader = server.key("read");
    let address = format!("http://127.0.0.1:{}", server.port);
    // One process that does nothing: there is nothing to record.
    let mut runward = bed
        .runward(["run", "--quiet", "--server", &address, "--", "sleep", "30"])
        .env("RUNWARD_API_KEY", server.key("ingest"))
        .spawn()
        .unwrap();
    let is = |state: &str| {
        let state = format!("\"state\":\"{state}\"");
        server.ask("/api/v1/runs", &reader).contains(&state)
    };
    assert!(within(LIMIT, || is("running")));
    let quiet = Instant::now();
    while quiet.elapsed() < Duration::from_secs(10) {
        assert!(is("running"));
        thread::sleep(Duration::from_millis(200));
    }
    runward.kill().unwrap();
    runward.wait().unwrap();
    assert!(within(LIMIT, || is("silent")));
}
