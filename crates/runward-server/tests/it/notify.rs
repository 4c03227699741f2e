//! People are told: the real server, and real servers that it tells.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use runward_lab::{Authority, Lab, postgres, requires, skip, test_name};
use serde_json::{Value, json};

use crate::bed::{Ground, Server, within};
use crate::hook::{Behaviour, Got, Hook};
use crate::pages::csrf;
use crate::record::Recorded;

/// How many milliseconds a second of waiting takes, and an answer may take, in these tests.
const SECOND: &str = "10";
const ANSWER: &str = "1500";

/// Where a server under test may send to, and whom it trusts.
pub(crate) struct Told {
    pub(crate) server: Server,
    pub(crate) admin: String,
    pub(crate) ingest: String,
}

/// A place for a server that may call these networks.
pub(crate) fn ground(authority: &Authority, allow: &str) -> Ground {
    let mut ground = Ground::new();
    let ca = ground.folder.path().join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    for (name, value) in [
        ("RUNWARD_NOTIFY_ALLOW", allow),
        ("RUNWARD_NOTIFY_CA_FILE", ca.to_str().unwrap()),
        ("RUNWARD_NOTIFY_SECOND", SECOND),
        ("RUNWARD_NOTIFY_PATIENCE", ANSWER),
        // Nobody is there, and nobody is asked.
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ] {
        ground.variables.push((name, value.to_owned()));
    }
    ground
}

impl Told {
    pub(crate) fn start(authority: &Authority) -> Told {
        Told::on(ground(authority, "127.0.0.0/8"))
    }

    pub(crate) fn on(ground: Ground) -> Told {
        let server = Server::on(ground);
        let admin = server.key("admin");
        let ingest = server.key("ingest");
        Told {
            server,
            admin,
            ingest,
        }
    }

    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let path = format!("/api/v1/notifications/{path}");
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        let answer = self.server.ask(method, &path, &self.admin, &body);
        let value = serde_json::from_str(&answer.body).unwrap_or_default();
        (answer.status, value)
    }

    /// Makes a channel; what was answered.
    pub(crate) fn channel(&self, kind: &str, more: &Value) -> Value {
        let mut wanted = json!({ "name": "ours", "kind": kind });
        for (name, value) in more.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        let (status, made) = self.ask("POST", "channels", &wanted);
        assert_eq!(status, 201, "{made}");
        made
    }

    pub(crate) fn webhook(&self, hook: &Hook) -> Value {
        self.channel(
            "webhook",
            &json!({ "url": hook.url("/in?token=hush-hush") }),
        )
    }

    /// A run in which something is found: a call to this name was stopped, and a file overwritten.
    pub(crate) fn run(&self, number: u64, name: &str) {
        let record = Recorded {
            destinations: vec!["packages.example".to_owned(), name.to_owned()],
            number,
            ..Recorded::default()
        };
        let run = format!("{number:032x}");
        let sent = self
            .server
            .events(&self.ingest, &run, 1, &record.packed(1, record.len()));
        assert_eq!(sent.status, 200, "{sent:?}");
    }

    pub(crate) fn log(&self, query: &str) -> Vec<Value> {
        let (status, found) =
            self.ask("GET", &format!("deliveries?limit=200{query}"), &Value::Null);
        assert_eq!(status, 200, "{found}");
        found["deliveries"].as_array().unwrap().clone()
    }

    /// Waits until as many messages are in this state.
    pub(crate) fn until(&self, state: &str, count: usize) {
        let query = format!("&state={state}");
        let there = within(|| self.log(&query).len() == count);
        assert!(there, "{state}: {:#?}", self.log(""));
    }

    pub(crate) fn health(&self, id: &Value) -> Value {
        self.ask("GET", &format!("channels/{id}"), &Value::Null).1
    }
}

/// Lets the example of the documentation check a message, which knows nothing of this server's code.
pub(crate) fn checked_by_the_documentation(got: &Got, secret: &str) -> bool {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/notifications.md");
    let page = fs::read_to_string(page).unwrap();
    let code = page.split("```python\n").nth(1).unwrap();
    let code = code.split("```").next().unwrap();
    let program = format!(
        "{code}\nimport json, sys\ngiven = json.load(sys.stdin)\n\
         verify(given['secret'], given['headers'], given['body'].encode())\n"
    );
    let given = json!({
        "secret": secret,
        "headers": got.headers,
        "body": String::from_utf8(got.body.clone()).unwrap(),
    });
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(given.to_string().as_bytes()).unwrap();
    drop(input);
    child.wait().unwrap().success()
}

fn files(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        if entry.path().is_dir() {
            all.extend(files(&entry.path()));
        } else {
            all.extend(fs::read(entry.path()).unwrap());
        }
    }
    all
}

#[test]
fn a_webhook_gets_what_was_found_signed_and_once() {
    requires!(Program("python3"));
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let told = Told::start(&authority);
    let made = told.webhook(&hook);
    let secret = made["signing_secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"), "{made}");
    assert_eq!(made["channel"]["target"], format!("{} …hush", hook.address));
    told.run(1, "evil.example");
    told.until("delivered", 1);
    let got = hook.got().remove(0);
    assert_eq!(got.path, "/in?token=hush-hush");
    assert_eq!(
        got.headers["content-type"],
        "application/json; charset=utf-8"
    );
    assert!(got.headers["user-agent"].starts_with("Runward/"));
    assert!(got.id().starts_with("msg_"));
    let body = got.json();
    assert_eq!(body["type"], "notifications");
    assert_eq!(body["data"]["organisation"], "main");
    let all = body["data"]["notifications"].as_array().unwrap();
    let kinds: Vec<&str> = all.iter().map(|n| n["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["source-code-overwritten", "outbound-call-blocked"]);
    let details = &all[1]["details"];
    assert_eq!(details["destination"], "evil.example:443");
    assert_eq!(details["job"], "test");
    assert_eq!(details["branch"], "main");
    // The link is the page with the evidence.
    let link = all[1]["link"].as_str().unwrap();
    let page = link.strip_prefix(&told.server.address).unwrap();
    let cookie = told.server.person("ada", "auditor");
    let page = told.server.get(page, &cookie);
    assert!(page.status == 200 && page.body.contains("evil.example"));

    assert!(checked_by_the_documentation(&got, &secret));
    let other = format!("whsec_{}", "A".repeat(44));
    assert!(!checked_by_the_documentation(&got, &other));
    let mut changed = got.clone();
    changed.body.push(b' ');
    assert!(!checked_by_the_documentation(&changed, &secret));
    let mut old = got.clone();
    let long_ago = "1614265330".to_owned();
    old.headers.insert("webhook-timestamp".to_owned(), long_ago);
    assert!(!checked_by_the_documentation(&old, &secret));

    // With another secret, messages are signed with both.
    let id = &made["channel"]["id"];
    let (status, renewed) = told.ask("POST", &format!("channels/{id}/secret"), &Value::Null);
    assert_eq!(status, 201, "{renewed}");
    let newer = renewed["signing_secret"].as_str().unwrap();
    told.run(2, "other.example");
    told.until("delivered", 2);
    let got = hook.got().remove(1);
    assert!(checked_by_the_documentation(&got, newer));
    assert!(checked_by_the_documentation(&got, &secret));

    // The same again, within its quiet time, is held back and counted.
    told.run(3, "other.example");
    assert!(within(|| told.health(id)["held"] == 3));
    thread::sleep(Duration::from_millis(500));
    assert_eq!(hook.got().len(), 2);

    // What is secret stands nowhere.
    let (_, shown) = told.ask("GET", "channels", &Value::Null);
    let admin = told.server.person("eve", "admin");
    let settings = told.server.get("/o/main/settings", &admin).body;
    let kept = files(told.server.folder());
    let kept = String::from_utf8_lossy(&kept);
    let log = told.server.log();
    for place in [&shown.to_string(), &settings, &log, kept.as_ref()] {
        for hush in ["hush-hush", &secret[6..], &newer[6..]] {
            assert!(!place.contains(hush), "{hush}");
        }
    }
    assert!(settings.contains("channel.create") && settings.contains("channel.renew-secret"));
}

#[test]
fn nothing_is_lost_or_arrives_twice_while_a_target_does_everything_wrong() {
    let authority = Authority::new().unwrap();
    let mut hook = Hook::start(&authority);
    let inner = Hook::start(&authority);
    let told = Told::start(&authority);
    let id = told.webhook(&hook)["channel"]["id"].clone();
    let mut number = 0;
    for behaviour in [
        Behaviour::Says(500, "no"),
        Behaviour::Says(404, "who?"),
        Behaviour::Later(1),
        Behaviour::Redirects(inner.url("/stolen")),
        Behaviour::Redirects("http://169.254.169.254/latest/meta-data/".to_owned()),
        Behaviour::HangsUp,
        Behaviour::Hangs,
        Behaviour::Drips,
    ] {
        let before = hook.got().len();
        hook.behave(behaviour.clone());
        number += 1;
        told.run(number, &format!("{number}.example"));
        // It is tried, and tried again.
        assert!(within(|| hook.got().len() >= before + 2), "{behaviour:?}");
        assert_eq!(told.log("&state=delivered").len(), hook.ids().len());
        hook.behave(Behaviour::Says(204, ""));
        told.until("delivered", usize::try_from(number).unwrap());
    }
    // One that is not there at all.
    hook.stop();
    number += 1;
    told.run(number, "down.example");
    let failures = |least: i64| told.health(&id)["failures"].as_i64().unwrap() >= least;
    assert!(within(|| failures(3)));
    let error = told.health(&id)["error"].clone();
    assert!(
        error.as_str().unwrap().contains("there is no connection"),
        "{error}"
    );
    hook.restart();
    told.until("delivered", usize::try_from(number).unwrap());
    // What is answered with more than anybody wants has arrived.
    hook.behave(Behaviour::Floods);
    number += 1;
    told.run(number, "flood.example");
    told.until("delivered", usize::try_from(number).unwrap());

    assert_eq!(inner.connections(), 0, "no redirect is followed");
    let taken: Vec<String> = hook.taken().iter().map(|got| got.id().to_owned()).collect();
    let different: BTreeSet<&String> = taken.iter().collect();
    assert_eq!(
        different.len(),
        taken.len(),
        "nothing arrives twice: {taken:?}"
    );
    assert_eq!(
        taken.len(),
        usize::try_from(number).unwrap(),
        "nothing is lost"
    );
    let health = told.health(&id);
    assert_eq!(
        (&health["failures"], &health["waiting"]),
        (&json!(0), &json!(0))
    );
    // Whatever was answered, nothing of it is told.
    let log = json!(told.log("")).to_string();
    assert!(!log.contains("who?"), "{log}");
}

#[test]
fn what_is_given_up_is_kept_for_a_person_to_send_again() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let told = Told::start(&authority);
    let id = told.webhook(&hook)["channel"]["id"].clone();
    hook.behave(Behaviour::Says(410, ""));
    told.run(1, "gone.example");
    told.until("dead", 1);
    let dead = told.log("").remove(0);
    assert_eq!(dead["error"], "it answered 410: it is gone");
    assert_eq!((&dead["attempts"], &dead["count"]), (&json!(1), &json!(2)));
    assert_eq!(told.health(&id)["dead"], 1);
    // What is refused is tried some times first.
    hook.behave(Behaviour::Says(403, ""));
    told.run(2, "refused.example");
    told.until("dead", 2);
    assert_eq!(told.log("").remove(0)["attempts"], 8);

    hook.behave(Behaviour::Says(200, ""));
    for row in told.log("&state=dead") {
        let path = format!("deliveries/{}/again", row["id"]);
        assert_eq!(told.ask("POST", &path, &Value::Null).0, 204);
        assert_eq!(told.ask("POST", &path, &Value::Null).0, 404, "once");
    }
    told.until("delivered", 2);
    let first = hook.got().remove(0);
    assert!(hook.ids().contains(first.id()), "it has the id that it had");
}

#[test]
fn a_channel_can_be_tried_changed_switched_off_and_removed() {
    let authority = Authority::new().unwrap();
    let (hook, other) = (Hook::start(&authority), Hook::start(&authority));
    let told = Told::start(&authority);
    let id = told.webhook(&hook)["channel"]["id"].clone();
    let path = format!("channels/{id}");
    let (status, tried) = told.ask("POST", &format!("{path}/test"), &Value::Null);
    assert_eq!(
        (status, &tried["delivered"]),
        (200, &json!(true)),
        "{tried}"
    );
    assert_eq!(hook.got()[0].json()["type"], "test");
    hook.behave(Behaviour::Says(500, ""));
    let (_, tried) = told.ask("POST", &format!("{path}/test"), &Value::Null);
    assert_eq!(
        tried,
        json!({ "delivered": false, "error": "it answered 500" })
    );
    let log = told.log("");
    assert!(log.iter().all(|row| row["test"] == true) && log.len() == 2);

    let (status, changed) = told.ask("PATCH", &path, &json!({ "on": false, "name": "theirs" }));
    assert_eq!((status, &changed["on"]), (200, &json!(false)), "{changed}");
    told.run(1, "off.example");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(told.log("").len(), 2, "nothing is told");
    let elsewhere = json!({
        "on": true, "url": other.url("/x"), "kinds": ["outbound-call-blocked"],
        "least_severity": "medium", "body": "raw", "quiet_hours": 0,
    });
    let (status, changed) = told.ask("PATCH", &path, &elsewhere);
    assert_eq!(status, 200, "{changed}");
    told.run(2, "on.example");
    told.until("delivered", 2);
    let got = other.got().remove(0);
    assert_eq!(got.json()["kind"], "outbound-call-blocked");
    assert_eq!(hook.got().len(), 2);
    // `null` is all again.
    let all = json!({ "kinds": null, "body": "envelope" });
    let (_, changed) = told.ask("PATCH", &path, &all);
    assert_eq!(changed["kinds"], Value::Null);
    assert_eq!(changed["least_severity"], "medium");

    assert_eq!(told.ask("DELETE", &path, &Value::Null).0, 204);
    assert_eq!(told.ask("GET", &path, &Value::Null).0, 404);
    told.run(3, "removed.example");
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(other.got().len(), 1);
    assert_eq!(told.log("").len(), 3, "what was told stays in the log");
}

#[test]
fn the_server_can_not_be_made_to_call_its_own_network() {
    let authority = Authority::new().unwrap();
    let inner = Hook::named(&authority, [127, 0, 0, 1].into(), "localhost");
    let told = Told::on(ground(&authority, "192.0.2.0/24"));
    let port = inner.address.port();
    for url in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://2130706433:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://[::1]:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
        "https://10.0.0.1/".to_owned(),
        "https://[fd00::1]/".to_owned(),
        "https://[64:ff9b::7f00:1]/".to_owned(),
        format!("http://localhost:{port}/"),
        "https://hooks.example:22/".to_owned(),
        "https://me:x@hooks.example/".to_owned(),
    ] {
        for kind in ["webhook", "slack", "teams"] {
            let wanted = json!({ "name": "x", "kind": kind, "url": url });
            let (status, refused) = told.ask("POST", "channels", &wanted);
            assert_eq!(status, 422, "{url}: {refused}");
            assert!(refused["detail"].as_str().unwrap().starts_with("url: "));
        }
    }
    // What a name leads to is seen when it is called.
    for kind in ["webhook", "slack", "teams"] {
        let url = format!("https://localhost:{port}/");
        let id = told.channel(kind, &json!({ "url": url }))["channel"]["id"].clone();
        let (_, tried) = told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
        let error = tried["error"].as_str().unwrap();
        assert!(
            error.contains("no address of the public internet"),
            "{error}"
        );
        assert!(!error.contains("127.0.0.1"), "{error}");
    }
    told.run(1, "evil.example");
    told.until("dead", 6);
    assert_eq!(inner.connections(), 0);
}

#[test]
fn two_servers_on_one_database_tell_each_thing_once() {
    const RUNS: u64 = 12;
    let database = match postgres::database() {
        Ok(address) => address,
        Err(lacking) => return skip(test_name!(), &lacking),
    };
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let key = tempfile::NamedTempFile::new().unwrap();
    fs::write(key.path(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n").unwrap();
    let bucket = crate::s3::S3::start();
    let start = || {
        let mut ground = ground(&authority, "127.0.0.0/8");
        let more = Ground::with_bucket(bucket.address);
        ground.variables.extend(more.variables.iter().cloned());
        for (name, value) in [
            ("RUNWARD_DATABASE", database.clone()),
            ("RUNWARD_SECRET_KEY_FILE", key.path().display().to_string()),
        ] {
            ground.variables.push((name, value));
        }
        ground
    };
    let told = Told::on(start());
    let other = Server::on(start());
    let id = told.webhook(&hook)["channel"]["id"].clone();
    for number in 1..=RUNS {
        told.run(number, &format!("{number}.example"));
    }
    let runs = usize::try_from(RUNS).unwrap();
    // The file is the same in all of them, and told once.
    told.until("delivered", runs);
    let mut subjects: Vec<String> = Vec::new();
    for got in hook.got() {
        for told in got.json()["data"]["notifications"].as_array().unwrap() {
            let details = &told["details"];
            let subject = [&details["destination"], &details["file"]];
            let subject = subject.iter().find_map(|value| value.as_str());
            subjects.push(subject.unwrap().to_owned());
        }
    }
    subjects.sort();
    let different: BTreeSet<&String> = subjects.iter().collect();
    assert_eq!(different.len(), subjects.len(), "{subjects:?}");
    assert_eq!(subjects.len(), runs + 1, "{subjects:?}");
    assert_eq!(hook.got().len(), runs);
    assert_eq!(told.health(&id)["held"], RUNS - 1);
    // Either of them can open the secret.
    let path = format!("/api/v1/notifications/channels/{id}/test");
    let tried = other.ask("POST", &path, &told.admin, "");
    assert!(tried.body.contains("true"), "{tried:?}");
}

#[test]
fn a_server_that_is_killed_while_it_sends_leaves_it_to_the_next() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let mut told = Told::start(&authority);
    told.webhook(&hook);
    hook.behave(Behaviour::Hangs);
    told.run(1, "first.example");
    assert!(within(|| hook.got().len() == 1));
    told.server.stop();
    hook.behave(Behaviour::Says(200, ""));
    told.server.restart();
    let began = Instant::now();
    told.until("delivered", 1);
    // It had the channel for a while yet.
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    let got = hook.got();
    assert_eq!(got.len(), 2);
    assert_eq!(
        got[0].id(),
        got[1].id(),
        "whoever got both knows that it is one"
    );
    assert_eq!(got[0].body, got[1].body);
    assert_eq!(told.log("").remove(0)["attempts"], 2);
}

#[test]
fn a_name_that_changes_its_mind_gains_nothing() {
    requires!(Root, Program("unshare"));
    let lab = Lab::loopback().unwrap();
    // Both have a certificate for the name; one of them is the server's own network.
    let good = Hook::named(lab.authority(), lab.v4(10).into(), "hooks.example");
    let at = SocketAddr::from((lab.v4(66), good.address.port()));
    let inner = Hook::beside(lab.authority(), at, "hooks.example");
    let dns = match lab.dns(SocketAddr::from((lab.v4(53), 53))) {
        Ok(dns) => dns,
        Err(error) => return skip(test_name!(), &error.to_string()),
    };
    let both = [good.address.ip(), inner.address.ip()];
    dns.address("hooks.example", 0, &both).unwrap();
    // Each answer has one address, in turn.
    dns.rotate("hooks.example", 1).unwrap();
    let mut ground = ground(lab.authority(), &format!("{}/32", lab.v4(10)));
    let resolver = ground.folder.path().join("resolv.conf");
    let line = format!("nameserver {}\noptions timeout:2 attempts:3\n", lab.v4(53));
    fs::write(&resolver, line).unwrap();
    let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
    ground.through = ["unshare", "--mount", "sh", "-c", script]
        .map(str::to_owned)
        .to_vec();
    ground.through.push(resolver.display().to_string());
    let told = Told::on(ground);
    let url = format!("https://hooks.example:{}/", good.address.port());
    let made = told.channel("webhook", &json!({ "url": url }));
    for number in 1..=6 {
        told.run(number, &format!("{number}.example"));
    }
    told.until("delivered", 6);
    assert_eq!(inner.connections(), 0);
    let refused = dns.asked().len();
    assert!(refused > 6, "the name led elsewhere in between: {refused}");
    // An answer with both: the one that may be called is.
    dns.address("both.example", 0, &both).unwrap();
    let both = Hook::named(lab.authority(), lab.v4(10).into(), "both.example");
    let url = format!("https://both.example:{}/", both.address.port());
    let path = format!("channels/{}", made["channel"]["id"]);
    let (status, changed) = told.ask("PATCH", &path, &json!({ "url": url }));
    assert_eq!(status, 200, "{changed}");
    for number in 7..=9 {
        told.run(number, &format!("{number}.example"));
    }
    told.until("delivered", 9);
    assert_eq!(both.taken().len(), 3);
    assert_eq!(inner.connections(), 0);
}

#[test]
fn a_digest_brings_together_what_its_time_brought() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let mut ground = ground(&authority, "127.0.0.0/8");
    // An hour has so many thousandths of a second as it has seconds.
    ground
        .variables
        .retain(|(name, _)| *name != "RUNWARD_NOTIFY_SECOND");
    ground
        .variables
        .push(("RUNWARD_NOTIFY_SECOND", "1".to_owned()));
    let told = Told::on(ground);
    let wanted = json!({ "url": hook.url("/"), "pace": "hourly", "quiet_hours": 0 });
    told.channel("webhook", &wanted);
    for number in 1..=4 {
        told.run(number, &format!("{number}.example"));
    }
    let all = || {
        let all = hook.taken();
        let counts = all.iter().map(|got| {
            let body = got.json();
            body["data"]["notifications"].as_array().unwrap().len()
        });
        counts.collect::<Vec<_>>()
    };
    assert!(within(|| all().iter().sum::<usize>() == 8));
    // They came within one such hour, or across the end of one.
    assert!(all().len() <= 2, "{:?}", all());
}

#[test]
fn an_admin_makes_a_channel_on_its_page_and_an_auditor_reads_it() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let told = Told::start(&authority);
    let server = &told.server;
    let (admin, auditor) = (
        server.person("ada", "admin"),
        server.person("bob", "auditor"),
    );
    let at = |path: &str| format!("/o/main/settings/notifications{path}");
    let settings = server.get("/o/main/settings", &admin).body;
    assert!(settings.contains("href=\"/o/main/settings/notifications\""));
    let empty = server.get(&at(""), &auditor).body;
    assert!(empty.contains("Nobody is told yet") && !empty.contains("New channel"));
    let form = server.get(&at("/new?channel=webhook"), &admin).body;
    let csrf = csrf(&form);
    let url = hook
        .url("/hush-hush")
        .replace(':', "%3A")
        .replace('/', "%2F");
    let make = |fields: &str| {
        let form = format!("csrf={csrf}&channel=webhook&every=at-once&quiet=24&on=1&{fields}");
        server.form(&at(""), &admin, &form)
    };
    let wrong = make("name=&url=http%3A%2F%2Fx.example&kinds=some&least=low");
    assert_eq!(wrong.status, 422);
    for said in [
        "Nothing was saved.",
        "A channel needs a name",
        "Messages are sent over TLS only",
        "Name at least one kind",
    ] {
        assert!(wrong.body.contains(said), "{said}: {}", wrong.body);
    }
    let fields =
        "name=On+call&kinds=some&kind=outbound-call-blocked&kind=agent-tampered&least=medium";
    let made = make(&format!("{fields}&url={url}"));
    assert_eq!(made.status, 200);
    let secret = made.body.split("whsec_").nth(1).unwrap();
    let secret = secret.split('<').next().unwrap();
    let page = server.get(&at("/1"), &admin).body;
    assert!(
        !page.contains(secret) && !page.contains("hush-hush"),
        "{page}"
    );
    assert!(page.contains("…hush") && page.contains("outbound-call-blocked"));

    let act =
        |path: &str, form: &str| server.form(&at(path), &admin, &format!("csrf={csrf}&{form}"));
    assert!(act("/1", "action=test").body.contains("The test was taken"));
    hook.behave(Behaviour::Says(410, ""));
    let failed = act("/1", "action=test").body;
    assert!(
        failed.contains("did not arrive: it answered 410"),
        "{failed}"
    );
    told.run(1, "evil.example");
    told.until("dead", 2);
    let list = server.get(&at("?state=dead"), &auditor).body;
    assert!(list.contains("1 message was given up") && list.contains("evil.example"));
    assert!(!list.contains("Send again</"), "an auditor sends nothing");
    let list = server.get(&at(""), &admin).body;
    let again = list
        .split("action=\"")
        .find(|part| part.contains("/deliveries/"));
    let again = again.unwrap().split('"').next().unwrap();
    hook.behave(Behaviour::Says(200, ""));
    let form = format!("csrf={csrf}&action=again");
    assert_eq!(server.form(again, &auditor, &form).status, 403);
    let sent = server.form(again, &admin, &form);
    assert!(sent.body.contains("is being sent again"), "{}", sent.body);
    told.until("delivered", 2);

    // Changing all but the target takes no secret, and asks for nothing.
    server.age(&admin);
    let saved = act(
        "/1",
        "action=save&name=Renamed&kinds=all&least=low&every=daily&quiet=0&on=1",
    );
    assert_eq!(saved.status, 303, "{}", saved.body);
    let list = server.get(&at(""), &auditor).body;
    assert!(list.contains("Renamed") && list.contains("every day"));
    let elsewhere = format!("action=save&name=x&quiet=0&every=at-once&on=1&url={url}");
    assert!(act("/1", &elsewhere).body.contains("confirm-password"));
    assert!(act("/1", "action=renew").body.contains("confirm-password"));
    let confirmed = act(
        "/1",
        &format!("{elsewhere}&confirm-password=correct+horse+battery"),
    );
    assert_eq!(confirmed.status, 303, "{}", confirmed.body);
    assert_eq!(act("/1", "action=off").status, 303);
    assert!(server.get(&at(""), &auditor).body.contains(">off<"));
    assert_eq!(act("/1", "action=remove").status, 303);
    assert_eq!(server.get(&at("/1"), &admin).status, 404);
    let log = server.get("/o/main/settings", &admin).body;
    for done in ["create", "test", "change", "off", "remove"] {
        assert!(log.contains(&format!("channel.{done}")), "{done}");
    }
    assert!(log.contains("delivery.send-again") && !log.contains("hush-hush"));
}
