//! A server of a test's own, and what asks it.

use std::fs::{self, File};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(30);
/// What the server says, in its folder.
const LOG: &str = "server.log";

pub(crate) struct Server {
    pub(crate) address: String,
    folder: TempDir,
    port: u16,
    child: Child,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) location: String,
    pub(crate) cookie: String,
    pub(crate) headers: ureq::http::HeaderMap,
}

impl Server {
    pub(crate) fn start() -> Server {
        let folder = tempfile::tempdir().unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let child = spawn(&folder, port);
        let server = Server {
            address: format!("http://127.0.0.1:{port}"),
            folder,
            port,
            child,
        };
        server.wait();
        server
    }

    fn wait(&self) {
        assert!(
            within(|| self.try_get("/readyz", "").is_some_and(|a| a.status == 200)),
            "the server starts"
        );
    }

    /// Ends the server as a crash would, and starts another one on what it left.
    pub(crate) fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.folder, self.port);
        self.wait();
    }

    /// What the server has said since it started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap()
    }

    fn admin(&self, arguments: &[&str], input: &str) -> String {
        use std::io::Write as _;
        let mut child = Command::new(env!("CARGO_BIN_EXE_runward-server"))
            .arg("--data")
            .arg(self.folder.path())
            .arg("admin")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn key(&self, scope: &str) -> String {
        self.admin(&["key", "--name", "test", "--scope", scope], "")
    }

    /// Makes another organisation; answers a key of it.
    pub(crate) fn stranger(&self) -> String {
        self.admin(&["org", "other", "Other"], "");
        self.admin(
            &[
                "key", "--name", "theirs", "--scope", "admin", "--org", "other",
            ],
            "",
        )
    }

    /// Asks the API.
    pub(crate) fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> Answer {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header("content-type", "application/json");
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        answer(agent().run(request.body(body.to_owned()).unwrap()).unwrap())
    }

    /// Makes a person and logs in; answers the cookie.
    pub(crate) fn person(&self, login: &str, role: &str) -> String {
        self.admin(&["user", login, "--role", role], "correct horse battery\n");
        let form = format!("login={login}&password=correct+horse+battery&next=/");
        let answer = self.form("/login", "", &form);
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.cookie.split(';').next().unwrap().to_owned()
    }

    pub(crate) fn get(&self, path: &str, cookie: &str) -> Answer {
        self.try_get(path, cookie).unwrap()
    }

    fn try_get(&self, path: &str, cookie: &str) -> Option<Answer> {
        let request = agent()
            .get(format!("{}{path}", self.address))
            .header("cookie", cookie);
        request.call().ok().map(answer)
    }

    pub(crate) fn form(&self, path: &str, cookie: &str, form: &str) -> Answer {
        let request = agent()
            .post(format!("{}{path}", self.address))
            .header("cookie", cookie)
            .header("content-type", "application/x-www-form-urlencoded");
        answer(request.send(form).unwrap())
    }

    /// Sends a batch. A server that has heard enough may hang up before it was told all: then there is no answer.
    pub(crate) fn try_events(
        &self,
        key: &str,
        run: &str,
        first: usize,
        packed: &[u8],
    ) -> Option<Answer> {
        let request = agent()
            .post(format!(
                "{}/api/v1/runs/{run}/events?first={first}&host=runner-1",
                self.address
            ))
            .header("authorization", format!("Bearer {key}"));
        request.send(packed).ok().map(answer)
    }

    pub(crate) fn events(&self, key: &str, run: &str, first: usize, packed: &[u8]) -> Answer {
        self.try_events(key, run, first, packed).unwrap()
    }

    /// Waits until the run's page says something.
    pub(crate) fn page_with(&self, path: &str, cookie: &str, text: &str) -> String {
        let mut last = String::new();
        let there = within(|| {
            last = self.get(path, cookie).body;
            last.contains(text)
        });
        assert!(there, "{path} lacks `{text}`: {last}");
        last
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir, port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_runward-server"))
        .arg("serve")
        .arg("--data")
        .arg(folder.path())
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .stderr(File::create(folder.path().join(LOG)).unwrap())
        .spawn()
        .unwrap()
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(LIMIT))
        .build()
        .into()
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let header = |name: &str| {
        let value = response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    Answer {
        status: response.status().as_u16(),
        location: header("location"),
        cookie: header("set-cookie"),
        headers: response.headers().clone(),
        body: response.body_mut().read_to_string().unwrap(),
    }
}

pub(crate) fn within(mut happens: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + LIMIT;
    loop {
        if happens() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
}
