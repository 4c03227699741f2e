//! What is normal for a job is learned from its runs, and the first thing that isn't is told once.

use std::time::Instant;

use runward_event::AttributionVar;
use serde_json::{Value, json};

use crate::bed::{Server, within};
use crate::fleet::{Job, start};
use crate::pages::csrf;

/// Runs until a baseline alerts, in these tests.
pub(crate) const RUNS: u64 = 12;

/// A server on which a job has run often enough to be known, with its admin's cookie and a key that sends.
pub(crate) struct Known {
    pub(crate) server: Server,
    admin: String,
    pub(crate) sends: String,
    reads: String,
    sent: u64,
}

/// What a job does in a run, beside what it always does.
#[derive(Clone, Copy, Default)]
pub(crate) struct Deeds {
    calls: &'static [(&'static str, &'static str)],
    writes: &'static [&'static str],
}

impl Known {
    pub(crate) fn new() -> Known {
        let server = Server::start();
        let admin = server.person("ada", "admin");
        let page = server.get("/o/main/baseline", &admin).body;
        let form = format!(
            "csrf={}&min_runs={RUNS}&runs_per_alert=5&news_commits=3&alert_commits=",
            csrf(&page)
        );
        assert_eq!(server.form("/o/main/baseline", &admin, &form).status, 200);
        let (sends, reads) = (server.key("ingest"), server.key("read"));
        let mut known = Known {
            server,
            admin,
            sends,
            reads,
            sent: 0,
        };
        for _ in 0..RUNS {
            known.run("shop/web", Deeds::default());
        }
        known
    }

    /// Sends a whole run and waits until it was learned; answers its name.
    pub(crate) fn run(&mut self, project: &str, deeds: Deeds) -> String {
        self.sent += 1;
        let name = format!("{:032x}", self.sent);
        let mut said = start(project, "build", "main");
        said.identity.commit = Some(format!("{:040x}", self.sent));
        said.context.protected = Some(true);
        said.context.fork = Some(false);
        said.context.hosted = Some(true);
        said.context.image = Some("ubuntu24 20261101.1".to_owned());
        let mut job = Job::begun(said, 3600 - self.sent);
        job.exec(1, None, &["npm", "ci"]);
        job.connect(1, "registry.npmjs.example", None);
        job.write(1, "version.txt", true);
        for (n, (program, host)) in (2..).zip(deeds.calls) {
            job.exec(n, Some(1), &[program, "--silent"]);
            job.connect(n, host, None);
        }
        for path in deeds.writes {
            job.write(1, path, true);
        }
        job.end(0);
        let answer = self
            .server
            .events(&self.sends, &name, 1, &job.packed(1, job.len()));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(within(
            || self.ask(&format!("runs/{name}"))["state"] == "finished"
        ));
        name
    }

    fn ask(&self, path: &str) -> Value {
        let answer = self
            .server
            .ask("GET", &format!("/api/v1/{path}"), &self.reads, "");
        serde_json::from_str(&answer.body).unwrap()
    }

    fn tags(&self, run: &str) -> Vec<String> {
        let tags = self.ask(&format!("runs/{run}"))["tags"].clone();
        serde_json::from_value(tags).unwrap()
    }

    /// New detections: kind and subject of each, sorted.
    fn found(&self) -> Vec<(String, String)> {
        let all = self.ask("detections?status=new&limit=100");
        let text = |row: &Value, key: &str| row[key].as_str().unwrap().to_owned();
        let rows = all["detections"].as_array().unwrap().iter();
        let mut found: Vec<_> = rows
            .map(|row| (text(row, "kind"), text(row, "subject")))
            .collect();
        found.sort();
        found
    }

    fn page(&self, path: &str) -> String {
        let answer = self.server.get(path, &self.admin);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    fn decide(&self, action: &str, subject: &str) {
        let page = self.page("/o/main/baseline/1");
        let at = page.find(&format!("> {subject}</span>")).unwrap();
        let key = page[..at].rsplit("name=\"key\" value=\"").next().unwrap();
        let key = key.split('"').next().unwrap().replace("&#38;", "&");
        let key: String = form_urlencoded(&key);
        let form = format!("csrf={}&key={key}&action={action}", csrf(&page));
        let answer = self.server.form("/o/main/baseline/1", &self.admin, &form);
        assert_eq!(answer.status, 303, "{}", answer.body);
    }
}

pub(crate) fn form_urlencoded(text: &str) -> String {
    let bytes = text.bytes();
    let written = bytes.map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    written.collect()
}

pub(crate) const NEW_CALL: Deeds = Deeds {
    calls: &[("curl", "collect.evil.example")],
    writes: &[],
};

#[test]
fn the_first_new_call_of_a_known_job_is_told_once_until_somebody_accepts_it() {
    let mut known = Known::new();
    // What it always does was told of in its first run only.
    assert_eq!(known.found().len(), 1, "{:?}", known.found());
    let list = known.page("/o/main/baseline");
    assert!(list.contains("stable"), "{list}");

    let first = known.run("shop/web", NEW_CALL);
    let call = (
        "anomalous-outbound-call".to_owned(),
        "collect.evil.example:443".to_owned(),
    );
    let told = |known: &Known| known.found().iter().filter(|found| **found == call).count();
    assert_eq!(told(&known), 1, "{:?}", known.found());
    let network = known.page(&format!("/o/main/runs/{first}/network?findings=1"));
    assert!(network.contains("anomalous") && network.contains("collect.evil.example"));
    let summary = known.page(&format!("/o/main/runs/{first}"));
    assert!(summary.contains("Not normal for this job"), "{summary}");

    let second = known.run("shop/web", NEW_CALL);
    assert_eq!(told(&known), 1, "{:?}", known.found());
    let summary = known.page(&format!("/o/main/runs/{second}"));
    assert!(summary.contains("Not normal for this job") && summary.contains("known"));

    known.decide("accept", "collect.evil.example:443");
    assert_eq!(told(&known), 0, "accepting resolves it");
    let page = known.page("/o/main/baseline/1");
    let changes = page.split("id=\"changes\"").nth(1).unwrap();
    assert!(
        changes.contains("joined") && changes.contains("ada"),
        "{changes}"
    );
    let third = known.run("shop/web", NEW_CALL);
    assert_eq!(told(&known), 0);
    let summary = known.page(&format!("/o/main/runs/{third}"));
    assert!(!summary.contains("Not normal for this job"), "{summary}");
    let policy = known.page("/o/main/policies/new?baseline=1");
    assert!(policy.contains("collect.evil.example:443"), "{policy}");
    let log = known.page("/o/main/settings");
    assert!(log.contains("baseline.accept") && log.contains("baseline.settings"));
}

#[test]
fn a_file_that_a_job_always_rewrites_is_quiet_and_another_one_is_not() {
    let mut known = Known::new();
    let before = known.found();
    let usual = known.run("shop/web", Deeds::default());
    assert_eq!(known.found(), before);
    assert_eq!(known.tags(&usual), Vec::<String>::new());
    let other = Deeds {
        calls: &[],
        writes: &["src/main.rs"],
    };
    let run = known.run("shop/web", other);
    assert_eq!(known.tags(&run), ["overwritten-file", "anomalous"]);
    let overwritten = (
        "source-code-overwritten".to_owned(),
        "src/main.rs".to_owned(),
    );
    assert!(known.found().contains(&overwritten), "{:?}", known.found());
}

/// What a job does in the days of November 2024, in which a program of the provider began to ask what its address is, on
/// every machine of the provider.
fn record_of(run: u64, project: &str, job: &str, begins: bool) -> Job {
    let mut said = start(project, job, "main");
    said.identity.commit = Some(format!("{run:040x}"));
    said.context.protected = Some(true);
    said.context.fork = Some(false);
    said.context.hosted = Some(true);
    said.context.image = Some("ubuntu22 20241103.1".to_owned());
    let mut job = Job::begun(said, 3600);
    job.exec(1, None, &["npm", "ci"]);
    job.connect(1, "registry.npmjs.example", None);
    if begins {
        job.exec(2, None, &["provjobd", "--silent"]);
        job.connect(2, "api.ipify.org", None);
    }
    job.end(0);
    job
}

/// Four organisations with twelve projects and forty jobs.
struct Fleet {
    server: Server,
    /// Of each organisation: its name, and a key that may do all.
    orgs: Vec<(String, String)>,
    sent: u64,
}

const JOBS: usize = 40;
const PROJECTS: usize = 12;
const ORGS: usize = 4;

impl Fleet {
    fn new() -> Fleet {
        let server = Server::start();
        let orgs = (0..ORGS).map(|n| {
            let slug = format!("org-{n}");
            server.admin(&["org", &slug, &slug], "");
            let made = ["key", "--name", "all", "--scope", "admin", "--org", &slug];
            let key = server.admin(&made, "");
            let wanted = format!("{{\"min_runs\":{RUNS}}}");
            let set = server.ask("PATCH", "/api/v1/baseline-settings", &key, &wanted);
            assert_eq!(set.status, 200, "{set:?}");
            (slug, key)
        });
        Fleet {
            orgs: orgs.collect(),
            server,
            sent: 0,
        }
    }

    /// Sends the next run of a job, and does not wait for what becomes of it.
    fn send(&mut self, job: usize, begins: bool) {
        self.sent += 1;
        let project = job % PROJECTS;
        let (_, key) = &self.orgs[project % ORGS];
        let (project, name) = (format!("shop/app-{project}"), format!("job-{job}"));
        let record = record_of(self.sent, &project, &name, begins);
        let run = format!("{:032x}", self.sent);
        let sent = self
            .server
            .events(key, &run, 1, &record.packed(1, record.len()));
        assert_eq!(sent.status, 200, "{sent:?}");
    }

    fn ask(&self, org: usize, path: &str) -> Value {
        let (_, key) = &self.orgs[org];
        let answer = self.server.ask("GET", &format!("/api/v1/{path}"), key, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Runs that were learned, of all jobs.
    fn learned(&self) -> i64 {
        let sums = (0..ORGS).map(|org| {
            let all = self.ask(org, "baselines?limit=200");
            let runs = all["baselines"].as_array().unwrap().iter();
            runs.map(|row| row["runs"].as_i64().unwrap()).sum::<i64>()
        });
        sums.sum()
    }

    fn incidents(&self, org: usize) -> Vec<Value> {
        let all = self.ask(org, "incidents");
        all["incidents"].as_array().unwrap().clone()
    }
}

#[test]
fn the_same_new_thing_on_all_machines_of_the_provider_is_one_incident() {
    let mut fleet = Fleet::new();
    for _ in 0..RUNS {
        (0..JOBS).for_each(|job| fleet.send(job, false));
    }
    assert!(within(|| fleet.learned() == JOBS as i64 * RUNS as i64));

    // The first job could be anything; with the second one, of another project and organisation, it is an incident.
    fleet.send(0, true);
    assert!(within(|| fleet
        .ask(0, "detections?kind=anomalous-outbound-call")["detections"]
        != json!([])));
    assert_eq!(fleet.incidents(0), Vec::<Value>::new());
    fleet.send(1, true);
    let sent = Instant::now();
    assert!(within(|| !fleet.incidents(1).is_empty()));
    let took = sent.elapsed().as_millis();
    println!("an incident {took} ms after the second job");

    (2..JOBS).for_each(|job| fleet.send(job, true));
    assert!(within(|| {
        let jobs = (0..ORGS).flat_map(|org| fleet.incidents(org));
        jobs.map(|incident| incident["jobs"].as_u64().unwrap())
            .sum::<u64>()
            == JOBS as u64
    }));
    let mut projects = 0;
    for org in 0..ORGS {
        let incidents = fleet.incidents(org);
        assert_eq!(incidents.len(), 1, "{incidents:?}");
        let incident = &incidents[0];
        assert_eq!(incident["subject"], "api.ipify.org:443");
        assert_eq!(incident["program"], "/usr/bin/provjobd");
        assert_eq!(incident["image"], "ubuntu22 20241103.1");
        assert_eq!(incident["hosted"], true, "only machines of the provider");
        assert_eq!(incident["elsewhere"], true);
        let summary = incident["summary"].as_str().unwrap();
        assert!(summary.contains("no code of the users did it"), "{summary}");
        projects += incident["projects"].as_u64().unwrap();
        // Each organisation is told once, and nothing of the others.
        let told = fleet.ask(org, "detections?kind=incident");
        let told = told["detections"].as_array().unwrap();
        assert_eq!(told.len(), 1, "{told:?}");
        for (other, (slug, _)) in fleet.orgs.iter().enumerate() {
            assert!(
                other == org || !incident.to_string().contains(slug),
                "{incident}"
            );
        }
    }
    assert_eq!(projects, PROJECTS as u64);
}

/// A record of a job in which a package's install script reads the runner's memory.
fn stolen(project: &str, job: &str) -> Job {
    let mut job = Job::begun(start(project, job, "main"), 600);
    job.exec(1, None, &["npm", "ci"]);
    let env = [
        (AttributionVar::NpmPackageName, "left-example"),
        (AttributionVar::NpmPackageVersion, "1.2.3"),
        (AttributionVar::NpmLifecycleEvent, "postinstall"),
        (
            AttributionVar::NpmPackageJson,
            "/builds/app/node_modules/left-example/package.json",
        ),
    ];
    job.exec_for(2, Some(1), &["node", "setup.js"], &env);
    job.read_runner(2);
    job.end(0);
    job
}

#[test]
fn the_same_finding_in_two_projects_is_one_incident_and_not_for_those_who_hide_it() {
    let server = Server::start();
    let orgs = ["loud", "quiet"].map(|slug| {
        server.admin(&["org", slug, slug], "");
        let made = ["key", "--name", "all", "--scope", "admin", "--org", slug];
        server.admin(&made, "")
    });
    let [loud, quiet] = &orgs;
    let rule = r#"{"name": "known", "reason": "a debugger of ours", "matches": {"kind": "runner-memory-read"}}"#;
    let made = server.ask("POST", "/api/v1/suppressions", quiet, rule);
    assert_eq!(made.status, 201, "{made:?}");
    let ask = |key: &str, path: &str| -> Value {
        let answer = server.ask("GET", &format!("/api/v1/{path}"), key, "");
        serde_json::from_str(&answer.body).unwrap()
    };
    let incidents = |key: &str| {
        ask(key, "incidents")["incidents"]
            .as_array()
            .unwrap()
            .clone()
    };
    let mut sent = 0;
    let mut send = |key: &str, project: &str, job: &str| {
        sent += 1;
        let run = format!("{sent:032x}");
        let record = stolen(project, job);
        let answer = server.events(key, &run, 1, &record.packed(1, record.len()));
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(within(
            || ask(key, &format!("runs/{run}"))["state"] == "finished"
        ));
    };

    // Jobs of one project share what they install.
    send(loud, "shop/web", "build");
    send(loud, "shop/web", "test");
    assert_eq!(incidents(loud), Vec::<Value>::new());

    send(loud, "shop/app", "build");
    assert!(within(|| !incidents(loud).is_empty()));
    let found = incidents(loud);
    assert_eq!(found[0]["subject"], "runner-memory-read");
    assert_eq!(found[0]["dependency"], "left-example");
    assert_eq!(
        (&found[0]["jobs"], &found[0]["projects"]),
        (&json!(3), &json!(2))
    );
    let summary = found[0]["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("runner-memory-read was found in 3 jobs"),
        "{summary}"
    );
    let told = |key: &str| {
        ask(key, "detections?kind=incident")["detections"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(told(loud), 1);

    // Another organisation is reached, sees so, and is not told, because it hides the finding itself.
    send(quiet, "other/tool", "build");
    assert!(within(|| !incidents(quiet).is_empty()));
    assert_eq!(told(quiet), 0);
    assert_eq!(incidents(quiet)[0]["elsewhere"], true);
    send(loud, "shop/more", "build");
    assert_eq!(told(loud), 1, "once");

    // A run's own page shows what was not normal, and a sighting is none of that.
    let anomalies = ask(loud, &format!("runs/{:032x}/anomalies", 1));
    assert_eq!(anomalies["anomalies"], json!([]));
}
