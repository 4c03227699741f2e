//! The dashboard as people use it: stories played in a headless browser, against a server with real records.
//!
//! The stories are in `tests/browser/stories`, and what is checked of every page is in `tests/browser/checks.mjs`.
//! `RUNWARD_SCREENSHOTS` names a folder for pictures of every page.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use runward_lab::{Authority, skip, test_name};
use serde_json::{Value, json};

use crate::addresses::{ADDRESSES, Method, Page};
use crate::baseline::{self, Deeds, Known, NEW_CALL};
use crate::bed::{Server, within};
use crate::fleet::{self, Job};
use crate::hook::{Behaviour, Hook};
use crate::installed;
use crate::notify::Told;
use crate::record::Recorded;
use crate::retention::{self, Database};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
/// What browsers of Chromium's family are called.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// The password of everybody that the tests make.
const PASSWORD: &str = "correct horse battery";

/// Processes of the large run.
const PROCESSES: u64 = 20_000;

const ATTACKED: &str = "a77ac4ed000000000000000000000001";
const HOSTILE: &str = "40571e00000000000000000000000002";
const OLD: &str = "01d00000000000000000000000000003";

/// A server, what plays stories, and the keys to both.
struct Stage {
    server: Server,
    player: Player,
    key: String,
}

struct Player {
    browser: PathBuf,
    node: PathBuf,
}

/// What is needed to play; or why that is not here.
fn player() -> Result<Player, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let browser = std::env::split_paths(&path)
        .flat_map(|folder| BROWSERS.map(|name| folder.join(name)))
        .find(|program| program.exists())
        .ok_or("needs the program chromium")?;
    let sources = Path::new(SOURCES);
    let pins = fs::read_to_string(sources.join("package-lock.json"));
    let pins = pins.map_err(|error| error.to_string())?;
    let node = installed::folder_of("browser", &pins, |folder| {
        for file in ["package.json", "package-lock.json", ".npmrc"] {
            fs::copy(sources.join(file), folder.join(file)).map_err(|error| error.to_string())?;
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        installed::run(npm.current_dir(folder))
    })?;
    installed::run(Command::new("node").arg("--version"))?;
    Ok(Player { browser, node })
}

impl Stage {
    fn set(player: Player) -> Stage {
        let server = Server::start();
        let key = server.key("ingest");
        Stage {
            server,
            player,
            key,
        }
    }

    fn send(&self, run: &str, job: &Job) {
        let answer = self
            .server
            .events(&self.key, run, 1, &job.packed(1, job.len()));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Makes the admin, and waits until everything that was sent is in the lists.
    fn with_admin(&self, last_destination: &str) {
        let cookie = self.server.person("ada", "admin");
        self.server
            .page_with("/o/main/destinations", &cookie, last_destination);
    }

    /// Makes what people make: a policy with a history, put to use, one that is put away, and a rule.
    fn settle(&self) {
        let key = self.server.key("admin");
        for (method, path, body) in [
            (
                "POST",
                "policies",
                r#"{"name":"web builds","text":"egress-policy: audit","note":"to begin with"}"#,
            ),
            (
                "PATCH",
                "policies/1",
                r#"{"version":1,"text":"egress-policy: block\nallowed-endpoints:\n  - registry.example:443\n"}"#,
            ),
            ("POST", "policies/1/attachments", "{}"),
            (
                "POST",
                "policies",
                r#"{"name":"old","text":"egress-policy: audit"}"#,
            ),
            ("DELETE", "policies/2", ""),
            (
                "POST",
                "notifications/channels",
                r#"{"name":"security","kind":"webhook","url":"https://localhost/in"}"#,
            ),
            (
                "POST",
                "suppressions",
                r#"{"name":"known","reason":"the mirror is ours","matches":{"host":"mirror.example"}}"#,
            ),
        ] {
            let answer = self
                .server
                .ask(method, &format!("/api/v1/{path}"), &key, body);
            assert!(answer.status < 300, "{path}: {answer:?}");
        }
    }

    /// Makes a run so old that its events are deleted.
    fn without_events(&self, run: &str) {
        let key = self.server.key("read");
        retention::finished(&self.server, &key, &[run]);
        let database = Database::In(self.server.folder());
        retention::age(&database, "main", &[run], 31);
        assert!(within(|| {
            retention::gone(&self.server, &key).contains(run)
        }));
    }

    /// Plays a story to its end.
    fn play(&self, story: &str, mut plan: Value) {
        plan["address"] = json!(self.server.address);
        plan["password"] = json!(PASSWORD);
        let mut child = Command::new("node")
            .arg(Path::new(SOURCES).join("main.mjs"))
            .arg(story)
            .env("RUNWARD_NODE", &self.player.node)
            .env("RUNWARD_CHROMIUM", &self.player.browser)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(plan.to_string().as_bytes()).unwrap();
        drop(input);
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "the story `{story}` went wrong:\n{said}{failed}"
        );
    }
}

/// Addresses of all pages that are looked at, as the server's table has them. Files, and what only leads on to another
/// page, have nothing to look at; setting up is a story of its own.
fn templates() -> Vec<&'static str> {
    let pages = ADDRESSES.iter().filter(|address| {
        let other = matches!(
            address.page,
            Page::Home
                | Page::BeginSingleSignOn
                | Page::FinishSingleSignOn
                | Page::Setup
                | Page::Asset
                | Page::ForwardRun
                | Page::DestinationsCsv
                | Page::DestinationsJson
        );
        address.method == Method::Get && !other
    });
    pages.map(|address| address.path).collect()
}

/// The stage of a test, which ends here where nothing can be played.
macro_rules! stage {
    () => {
        match player() {
            Ok(player) => Stage::set(player),
            Err(reason) => return skip(test_name!(), &reason),
        }
    };
}

#[test]
fn every_page_is_sound_for_everybody_in_every_look() {
    let stage = stage!();
    stage.send(HOSTILE, &fleet::hostile(7200));
    for number in 0..6 {
        stage.send(&format!("{number:032x}"), &fleet::quiet(number));
    }
    stage.send(OLD, &fleet::attacked(20));
    stage.send(ATTACKED, &fleet::attacked(300));
    stage.with_admin("collect.evil.example");
    stage.settle();
    stage.without_events(OLD);
    let late = stage.server.person("grace", "admin");
    stage.server.age(&late);
    stage.play(
        "pages",
        json!({
            "lists": true, "runs": { "run": ATTACKED, "gone": OLD }, "late": late,
            "templates": templates(),
        }),
    );
}

#[test]
fn every_page_of_a_run_that_wants_to_act_shows_text() {
    let stage = stage!();
    stage.send(HOSTILE, &fleet::hostile(7200));
    stage.with_admin("www.example");
    stage.play(
        "pages",
        json!({ "lists": false, "runs": { "hostile": HOSTILE } }),
    );
}

#[test]
fn the_first_person_sets_the_server_up_and_comes_back() {
    let stage = stage!();
    let log = stage.server.log();
    let token = log.split("/setup?token=").nth(1).unwrap();
    let token = token.split_whitespace().next().unwrap();
    stage.play("entry", json!({ "token": token }));
}

#[test]
fn a_reader_finds_a_run_and_everything_that_it_did() {
    let stage = stage!();
    for number in 0..54 {
        stage.send(&format!("{number:032x}"), &fleet::quiet(number));
    }
    stage.send(ATTACKED, &fleet::attacked(300));
    stage.server.person("bob", "auditor");
    stage.with_admin("collect.evil.example");
    stage.play("reading", json!({}));
}

#[test]
fn an_admin_decides_and_changes_who_may_do_what() {
    let stage = stage!();
    stage.send(ATTACKED, &fleet::attacked(300));
    stage.with_admin("collect.evil.example");
    stage.play("changing", json!({ "run": ATTACKED }));
}

#[test]
fn a_run_grows_on_its_page_while_it_runs() {
    let stage = stage!();
    let job = fleet::growing();
    let ends = [4, 6, 8, job.len()];
    let mut first = 1;
    let batches = ends.map(|last| {
        let body = BASE64.encode(job.packed(first, last));
        let batch = json!({ "first": first, "body": body });
        first = last + 1;
        batch
    });
    stage.server.person("ada", "admin");
    stage.play(
        "live",
        json!({ "run": ATTACKED, "key": stage.key, "batches": batches }),
    );
}

#[test]
fn a_tree_of_very_many_processes_can_be_walked() {
    let stage = stage!();
    stage.send(ATTACKED, &fleet::crowded(PROCESSES));
    stage.server.person("ada", "admin");
    stage.play("tree", json!({ "run": ATTACKED, "processes": PROCESSES }));
}

#[test]
fn an_admin_sets_up_a_channel_and_sends_again_what_was_given_up() {
    let player = match player() {
        Ok(player) => player,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let gone = Hook::start(&authority);
    gone.behave(Behaviour::Says(410, ""));
    let told = Told::start(&authority);
    let key = told.server.key("ingest");
    told.server.person("ada", "admin");
    let stage = Stage {
        server: told.server,
        player,
        key,
    };
    let record = Recorded::default();
    let plan = json!({
        "hook": hook.url("/in"),
        "gone": gone.url("/in"),
        "key": told.admin,
        "ingest": stage.key,
        "record": BASE64.encode(record.packed(1, record.len())),
    });
    stage.play("telling", plan);
    // The test, and what was found.
    assert_eq!(hook.got().len(), 2);
}

#[test]
fn an_engineer_spends_the_first_ten_minutes_after_an_alert() {
    let player = match player() {
        Ok(player) => player,
        Err(reason) => return skip(test_name!(), &reason),
    };
    let mut known = Known::new();
    for _ in 0..baseline::RUNS {
        known.run("shop/api", Deeds::default());
    }
    let run = known.run("shop/web", NEW_CALL);
    known.run("shop/api", NEW_CALL);
    known.server.person("grace", "admin");
    let stage = Stage {
        key: known.sends.clone(),
        server: known.server,
        player,
    };
    stage.play("alerted", json!({ "run": run }));
}
