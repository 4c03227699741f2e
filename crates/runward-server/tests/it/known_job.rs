//! A job that is known, from the kernel to the people: real runs by `runward run`, and the first call that is new.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runward_lab::{Answer, Authority, Lab, requires, skip, test_name};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::baseline::form_urlencoded;
use crate::bed::within;
use crate::hook::{Got, Hook};
use crate::mail::{self, Smtp};
use crate::notify::{Told, checked_by_the_documentation};
use crate::pages::csrf;

/// Runs until a baseline is there, as it is for everybody who sets nothing.
const RUNS: u64 = 100;
const NEW: &str = "collect.evil.example";
const HOSTS: [&str; 3] = ["registry.example", "cache.example", "packages.example"];

/// What the job always does: it asks three servers, and writes the version into a file that git tracks.
const BENIGN: &str = "for host in registry.example cache.example packages.example; do \
    bash -c \"exec 3<>/dev/tcp/$host/443\" || exit 1; done; \
    git rev-parse HEAD > version.txt; date +%N >> version.txt";

/// The internet, a project under version control, and a server that mails, and tells a webhook and Slack.
struct Ground<'a> {
    lab: &'a Lab,
    told: Told,
    smtp: Smtp,
    hook: Hook,
    slack: Hook,
    secret: String,
    sends: String,
    admin: String,
    work: TempDir,
    runs: u64,
}

fn runward() -> Result<PathBuf, &'static str> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_runward-server")).with_file_name("runward");
    if program.exists() {
        Ok(program)
    } else {
        Err("needs runward beside runward-server: cargo build -p runward")
    }
}

fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=test", "-c", "user.email=test@acme.example"])
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success());
}

impl<'a> Ground<'a> {
    fn new(lab: &'a Lab, python: PathBuf) -> Ground<'a> {
        let authority = Authority::new().unwrap();
        let smtp = Smtp::start(python, "starttls", &authority, "127.0.0.1");
        let mut ground = smtp.ground(&authority, "starttls");
        ground
            .variables
            .push(("RUNWARD_NOTIFY_ALLOW", "127.0.0.0/8".to_owned()));
        let told = Told::on(ground);
        let [hook, slack] = [Hook::start(&authority), Hook::start(&authority)];
        told.channel("email", &json!({ "to": ["ada@acme.example"] }));
        let made = told.channel("webhook", &json!({ "url": hook.url("/runward") }));
        let secret = made["signing_secret"].as_str().unwrap().to_owned();
        told.channel("slack", &json!({ "url": slack.url("/services/T/B/hush") }));
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("src")).unwrap();
        fs::write(work.path().join("src/main.rs"), "fn main() {}\n").unwrap();
        fs::write(work.path().join("version.txt"), "0\n").unwrap();
        fs::write(work.path().join(".gitignore"), ".runward/\n").unwrap();
        git(work.path(), &["init", "--quiet", "."]);
        git(work.path(), &["add", "."]);
        git(work.path(), &["commit", "--quiet", "--message", "begin"]);
        Ground {
            sends: told.server.key("ingest"),
            admin: told.server.person("grace", "admin"),
            lab,
            told,
            smtp,
            hook,
            slack,
            secret,
            work,
            runs: 0,
        }
    }

    /// Starts a run of the job, by a commit of its own on the protected branch.
    fn start(&mut self, script: &str) -> Child {
        self.runs += 1;
        let n = self.runs;
        let mut command = self.lab.command(runward().unwrap());
        command
            .current_dir(self.work.path())
            .args(["run", "--quiet", "--server", &self.told.server.address])
            .args(["--", "sh", "-c", script])
            .env("RUNWARD_API_KEY", &self.sends)
            .envs([
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_REPOSITORY", "shop/web"),
                ("GITHUB_SERVER_URL", "https://github.com"),
                ("GITHUB_WORKFLOW", "build"),
                ("GITHUB_JOB", "build"),
                ("GITHUB_REF_NAME", "main"),
                ("GITHUB_REF_PROTECTED", "true"),
                ("GITHUB_EVENT_NAME", "push"),
                ("GITHUB_ACTOR", "grace"),
                ("GITHUB_RUN_ATTEMPT", "1"),
                ("RUNNER_ENVIRONMENT", "github-hosted"),
            ])
            .env("GITHUB_RUN_ID", n.to_string())
            .env("GITHUB_SHA", format!("{n:040x}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        command.spawn().unwrap()
    }

    /// Waits until the run is over on both sides; answers its name.
    fn finish(&self, child: Child) -> String {
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert!(ended.status.success(), "{said}");
        let number = self.runs.to_string();
        assert!(within(|| {
            let run = &self.get("runs?limit=1")["runs"][0];
            run["state"] == "finished" && run["provider_run"].as_str() == Some(&number)
        }));
        let id = &self.get("runs?limit=1")["runs"][0]["id"];
        id.as_str().unwrap().to_owned()
    }

    fn run(&mut self, script: &str) -> String {
        let child = self.start(script);
        self.finish(child)
    }

    fn get(&self, path: &str) -> Value {
        let key = &self.told.admin;
        let answer = self
            .told
            .server
            .ask("GET", &format!("/api/v1/{path}"), key, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    fn page(&self, path: &str) -> String {
        let answer = self.told.server.get(path, &self.admin);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Messages about the new call: mails, messages to the webhook, messages to Slack.
    fn messages(&self) -> [Vec<String>; 3] {
        let about = |text: &String| text.contains(NEW);
        let mails = self.smtp.mails().into_iter().map(|mail| mail.to_string());
        let bodies = |got: Vec<Got>| {
            let texts = got.into_iter().map(|got| got.json().to_string());
            texts.filter(about).collect()
        };
        [
            mails.filter(about).collect(),
            bodies(self.hook.got()),
            bodies(self.slack.got()),
        ]
    }
}

#[test]
fn the_first_new_call_of_a_job_that_ran_a_hundred_times_is_told_while_it_runs() {
    requires!(Root);
    if let Err(reason) = runward() {
        return skip(test_name!(), reason);
    }
    let python = match mail::python() {
        Ok(python) => python,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let lab = Lab::netns().unwrap();
    let dns = lab.dns((lab.v4(53), 53).into()).unwrap();
    let servers = HOSTS.iter().chain([&NEW]).zip(10..).map(|(name, host)| {
        let at = lab.v4(host);
        dns.address(name, 60, &[at.into()]).unwrap();
        lab.tcp((at, 443).into(), Answer::Silent).unwrap()
    });
    let servers: Vec<_> = servers.collect();
    lab.set_nameservers(&[lab.v4(53).into()]).unwrap();
    let told = lab
        .in_client(|| a_known_job(&mut Ground::new(&lab, python)))
        .unwrap();
    let [mail, webhook, slack] = told.map(|took| took.as_millis());
    println!(
        "told after the call: by mail {mail} ms, by webhook {webhook} ms, by Slack {slack} ms"
    );
    drop(servers);
}

/// Plays all of it; answers how long after the call a mail, a webhook and Slack had it.
fn a_known_job(ground: &mut Ground<'_>) -> [Duration; 3] {
    for n in 1..=RUNS {
        ground.run(BENIGN);
        let state = &ground.get("baselines/1")["baseline"]["state"];
        let expected = if n < RUNS { "creating" } else { "stable" };
        assert_eq!(
            state,
            expected,
            "after {n} runs: {}",
            ground.get("baselines/1")
        );
    }
    // The file was told of in the first run, before it was known, and never again.
    let overwritten = |ground: &Ground<'_>| {
        let all = ground.get("detections?kind=source-code-overwritten&limit=200");
        let runs = all["detections"].as_array().unwrap().iter();
        let runs: BTreeSet<_> = runs.map(|found| found["run"].to_string()).collect();
        runs.len()
    };
    assert_eq!(overwritten(ground), 1);
    let calls = ground.get("detections?kind=anomalous-outbound-call");
    assert_eq!(calls["detections"], json!([]));

    // Run 101 calls somebody new, and goes on until people were told.
    let attack = format!(
        "{BENIGN}; python3 -c 'import socket; socket.create_connection((\"{NEW}\", 443)).close()'; \
         touch called; until test -e go-on; do sleep 0.1; done; rm called go-on"
    );
    let child = ground.start(&attack);
    let here = |name: &str| ground.work.path().join(name);
    assert!(within(|| here("called").exists()));
    let called = Instant::now();
    let mut last = [Duration::ZERO; 3];
    let told = within(|| {
        let messages = ground.messages();
        for (last, got) in last.iter_mut().zip(&messages) {
            if got.is_empty() {
                *last = called.elapsed();
            }
        }
        messages.iter().all(|got| got.len() == 1)
    });
    assert!(
        told,
        "{:?}: {}",
        ground.messages(),
        ground.told.server.log()
    );
    fs::write(here("go-on"), "").unwrap();
    let first = ground.finish(child);

    let mail = ground.smtp.mails().into_iter().map(|mail| mail.to_string());
    let mail: Vec<_> = mail.filter(|mail| mail.contains(NEW)).collect();
    assert!(
        mail[0].contains(&first),
        "the mail leads to the run: {}",
        mail[0]
    );
    let got = ground.hook.got();
    let got = got
        .iter()
        .find(|got| got.json().to_string().contains(NEW))
        .unwrap();
    assert!(checked_by_the_documentation(got, &ground.secret), "{got:?}");
    assert!(
        ground
            .slack
            .got()
            .iter()
            .any(|got| got.json()["blocks"].is_array())
    );

    // The run's page shows the call, the detection leads to the process, and back.
    let network = ground.page(&format!("/o/main/runs/{first}/network?findings=1"));
    assert!(network.contains("anomalous") && network.contains(NEW));
    let detections = ground.page(&format!("/o/main/runs/{first}/detections"));
    assert!(
        detections.contains(NEW) && detections.contains("python3"),
        "{detections}"
    );
    let found = &ground.get(&format!("detections?run={first}"))["detections"];
    let found = found.as_array().unwrap();
    let call = found
        .iter()
        .find(|found| found["subject"] == format!("{NEW}:443"))
        .unwrap();
    assert_eq!(call["kind"], "anomalous-outbound-call", "{found:?}");

    // Run 102 does the same: no second alert, and not normal either.
    let again = format!(
        "{BENIGN}; python3 -c 'import socket; socket.create_connection((\"{NEW}\", 443)).close()'"
    );
    let second = ground.run(&again);
    let anomalies = &ground.get(&format!("runs/{second}/anomalies"))["anomalies"];
    assert_eq!(anomalies[0]["disposition"], "known", "{anomalies}");
    assert_eq!(ground.messages().map(|got| got.len()), [1, 1, 1]);

    // Somebody accepts it on the page of the baseline.
    let page = ground.page("/o/main/baseline/1");
    let new = ground.get("baselines/1")["new"].clone();
    let mut new = new.as_array().unwrap().iter();
    let is_call = |open: &&Value| open["subject"] == format!("{NEW}:443");
    let key = new.find(is_call).unwrap()["key"].as_str().unwrap();
    let key = form_urlencoded(key);
    let form = format!("csrf={}&key={key}&action=accept", csrf(&page));
    let accepted = ground
        .told
        .server
        .form("/o/main/baseline/1", &ground.admin, &form);
    assert_eq!(accepted.status, 303, "{accepted:?}");
    let change = ground.get("baselines/1/changes?limit=1")["changes"][0].clone();
    assert_eq!(change["person"], "grace", "{change}");
    let third = ground.run(&again);
    let anomalies = &ground.get(&format!("runs/{third}/anomalies"))["anomalies"];
    assert_eq!(anomalies, &json!([]));
    assert_eq!(ground.messages().map(|got| got.len()), [1, 1, 1]);

    // The file that it always rewrites was quiet all the time; the first other one is not.
    assert_eq!(overwritten(ground), 1);
    let fourth = ground.run(&format!(
        "{BENIGN}; echo 'fn main() {{ evil() }}' > src/main.rs"
    ));
    let found = ground.get(&format!("detections?run={fourth}"));
    assert_eq!(found["detections"][0]["subject"], "src/main.rs", "{found}");
    assert_eq!(found["detections"][0]["kind"], "source-code-overwritten");
    let mut subjects = found["detections"].as_array().unwrap().iter();
    let only = subjects.all(|found| found["subject"] == "src/main.rs");
    assert!(only, "{found}");
    last
}
