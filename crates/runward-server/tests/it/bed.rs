//! A server of a test's own, and what asks it.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use runward_store::Store as _;
use runward_store_sql::SqlStore;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::s3::{BUCKET, SIGNER};

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);
/// What the server says, in its folder.
const LOG: &str = "server.log";

pub(crate) struct Server {
    pub(crate) address: String,
    ground: Ground,
    port: u16,
    child: Child,
}

/// What a server stands on.
pub(crate) struct Ground {
    pub(crate) folder: TempDir,
    /// Variables that it is started with.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// And more settings.
    pub(crate) arguments: Vec<String>,
    /// A command that starts it in some other place, and goes on to become it.
    pub(crate) through: Vec<String>,
}

impl Ground {
    /// A folder, and nothing else.
    pub(crate) fn new() -> Ground {
        Ground {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            arguments: Vec::new(),
            through: Vec::new(),
        }
    }

    /// A folder, and for the events a bucket at this address.
    pub(crate) fn with_bucket(address: SocketAddr) -> Ground {
        let variables = vec![
            ("RUNWARD_OBJECTS", format!("s3://{BUCKET}/some/prefix")),
            ("RUNWARD_OBJECTS_ENDPOINT", format!("http://{address}")),
            ("AWS_ACCESS_KEY_ID", SIGNER.0.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SIGNER.1.to_owned()),
        ];
        Ground {
            variables,
            ..Ground::new()
        }
    }

    pub(crate) fn command(&self) -> Command {
        let program = env!("CARGO_BIN_EXE_runward-server");
        let mut words = self.through.iter().map(String::as_str).chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command
            .args(words)
            .arg("--data")
            .arg(self.folder.path())
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn serve(&self, port: u16) -> Child {
        self.command()
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stderr(File::create(self.folder.path().join(LOG)).unwrap())
            .spawn()
            .unwrap()
    }
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
        Server::on(Ground::new())
    }

    /// One with these settings.
    pub(crate) fn with(arguments: &[String]) -> Server {
        Server::at(free_port(), arguments)
    }

    /// One with these settings on this port.
    pub(crate) fn at(port: u16, arguments: &[String]) -> Server {
        let ground = Ground {
            arguments: arguments.to_vec(),
            ..Ground::new()
        };
        Server::started(ground, port)
    }

    pub(crate) fn on(ground: Ground) -> Server {
        Server::started(ground, free_port())
    }

    fn started(ground: Ground, port: u16) -> Server {
        let child = ground.serve(port);
        let server = Server {
            address: format!("http://127.0.0.1:{port}"),
            ground,
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
        self.stop();
        self.restart();
    }

    pub(crate) fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells the server to end, and waits until it has.
    pub(crate) fn end(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = self.ground.serve(self.port);
        self.wait();
    }

    /// Whether the process that was started last still runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_none())
    }

    /// Where it keeps its data.
    pub(crate) fn folder(&self) -> &Path {
        self.ground.folder.path()
    }

    pub(crate) fn socket(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What the server has said since it started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.ground.folder.path().join(LOG)).unwrap()
    }

    pub(crate) fn admin(&self, arguments: &[&str], input: &str) -> String {
        use std::io::Write as _;
        let mut child = self
            .ground
            .command()
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
        self.try_ask(method, path, key, body).unwrap()
    }

    /// Asks it with more than it may take: a server that has heard enough may hang up before it was told all, and then
    /// there is no answer.
    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header("content-type", "application/json");
        if !key.is_empty() {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let response = agent().run(request.body(body.to_owned())?)?;
        Ok(answer(response))
    }

    /// Asks the API as a page of this server could.
    pub(crate) fn by_session(
        &self,
        method: &str,
        path: &str,
        cookie: &str,
        csrf: &str,
        body: &str,
    ) -> Answer {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header("content-type", "application/json")
            .header("cookie", cookie)
            .header("x-csrf-token", csrf);
        answer(agent().run(request.body(body.to_owned()).unwrap()).unwrap())
    }

    /// Makes a person and logs in; answers the cookie.
    pub(crate) fn person(&self, login: &str, role: &str) -> String {
        self.person_of(login, role, "main")
    }

    /// The same in another organisation.
    pub(crate) fn person_of(&self, login: &str, role: &str, org: &str) -> String {
        self.admin(
            &["user", login, "--role", role, "--org", org],
            "correct horse battery\n",
        );
        let login = login.replace('@', "%40");
        let form = format!("login={login}&password=correct+horse+battery&next=/");
        let answer = self.form("/login", "", &form);
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.cookie.split(';').next().unwrap().to_owned()
    }

    /// Makes it long ago that the person of this session showed who it is.
    pub(crate) fn age(&self, cookie: &str) {
        let (_, token) = cookie.split_once('=').unwrap();
        let hash = Sha256::digest(token).into();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let file = self.ground.folder.path().join("runward.db");
            let store = SqlStore::sqlite(&file).await.unwrap();
            store.reauthenticated(&hash, 0).await.unwrap();
        });
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

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(LIMIT))
        .build()
        .into()
}

pub(crate) fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
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
