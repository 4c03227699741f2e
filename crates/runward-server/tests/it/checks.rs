//! How jobs came out stands at their commits: the real server, and APIs that hold it to their descriptions.

use runward_event::{JobIdentity, Provider};
use runward_lab::{Authority, requires};
use serde_json::{Value, json};

use crate::bed::within;
use crate::forge::{APP, AppKeys, Forge, HEAD, MERGED, PUSHED, Trouble};
use crate::notify::Told;
use crate::pages::csrf;
use crate::record::Recorded;

fn pull() -> JobIdentity {
    JobIdentity {
        provider: Provider::Github,
        project: Some("acme/app".to_owned()),
        pipeline: Some(".github/workflows/ci.yml".to_owned()),
        job: Some("build".to_owned()),
        run: Some("77".to_owned()),
        attempt: Some(1),
        branch: Some("7/merge".to_owned()),
        trigger: Some("pull_request".to_owned()),
        commit: Some(MERGED.to_owned()),
        ..JobIdentity::default()
    }
}

fn merge(pipeline: u32) -> JobIdentity {
    JobIdentity {
        provider: Provider::Gitlab,
        project: Some("group/app".to_owned()),
        pipeline: Some(".gitlab-ci.yml".to_owned()),
        job: Some("test".to_owned()),
        run: Some(pipeline.to_string()),
        branch: Some("merge-requests/7/head".to_owned()),
        trigger: Some("merge_request_event".to_owned()),
        commit: Some(PUSHED.to_owned()),
        ..JobIdentity::default()
    }
}

fn record(number: u64, identity: JobIdentity, refused: bool) -> Recorded {
    Recorded {
        number,
        identity: Some(identity),
        refused,
        ..Recorded::default()
    }
}

impl Told {
    /// Sends the events of a run from one number to another.
    fn sent(&self, record: &Recorded, first: usize, last: usize) {
        let run = format!("{:032x}", record.number);
        let packed = record.packed(first, last);
        let sent = self.server.events(&self.ingest, &run, first, &packed);
        assert_eq!(sent.status, 200, "{sent:?}");
    }

    fn whole(&self, record: &Recorded) {
        self.sent(record, 1, record.len());
    }

    fn checks(&self, forge: &Forge, keys: &AppKeys, more: &Value) -> Value {
        let mut wanted = json!({
            "url": forge.hook.url(""), "app_id": APP, "app_key": keys.private,
        });
        for (name, value) in more.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        self.channel("github-check", &wanted)["channel"].clone()
    }

    fn tried(&self, id: &Value) -> Value {
        self.ask("POST", &format!("channels/{id}/test"), &Value::Null)
            .1
    }
}

#[test]
fn a_pull_request_gets_a_check_of_each_job_that_begins_and_ends_with_it() {
    requires!(Program("openssl"));
    let authority = Authority::new().unwrap();
    let keys = AppKeys::new(true);
    let forge = Forge::github(&authority, &keys);
    let told = Told::start(&authority);
    let channel = told.checks(&forge, &keys, &json!({}));
    assert_eq!(
        channel["target"],
        format!("{} app {APP}", forge.hook.address)
    );
    assert_eq!(
        (&channel["runs"], &channel["neutral"]),
        (&json!("requests"), &json!(false))
    );
    let id = channel["id"].clone();
    assert_eq!(told.tried(&id)["delivered"], true);

    let bad = record(1, pull(), true);
    told.sent(&bad, 1, 2);
    assert!(within(|| forge.results().len() == 1));
    let check = forge.results().remove(0);
    assert_eq!(
        check["head_sha"], HEAD,
        "where people look, not what was built"
    );
    assert_eq!(
        (&check["status"], &check["conclusion"]),
        (&json!("in_progress"), &Value::Null)
    );
    assert_eq!(check["name"], "Runward / ci.yml / build");
    told.sent(&bad, 3, bad.len());
    let done = |at: usize| forge.results()[at]["status"] == "completed";
    assert!(within(|| done(0)));
    let check = forge.results().remove(0);
    assert_eq!(check["conclusion"], "failure");
    assert_eq!(check["output"]["title"], "1 blocked call");
    let summary = check["output"]["summary"].as_str().unwrap();
    assert!(
        summary.contains("`evil.example:443 was refused"),
        "{summary}"
    );
    // The link is the page with the evidence.
    let link = check["details_url"].as_str().unwrap();
    let page = link.strip_prefix(&told.server.address).unwrap();
    let cookie = told.server.person("ada", "auditor");
    let page = told.server.get(page, &cookie);
    assert!(page.status == 200 && page.body.contains("evil.example"));

    // The same again says nothing again.
    told.until("delivered", 3);
    let asked = forge.operations().len();
    told.whole(&bad);
    told.sent(&bad, 3, bad.len());
    // Another job of the pipeline has a check of its own, and passes although it overwrote a file.
    let lint = JobIdentity {
        job: Some("lint".to_owned()),
        ..pull()
    };
    told.whole(&record(2, lint, false));
    assert!(within(|| forge.results().len() == 2 && done(1)));
    let check = forge.results().remove(1);
    assert_eq!(
        (&check["name"], &check["conclusion"]),
        (&json!("Runward / ci.yml / lint"), &json!("success"))
    );
    assert_eq!(check["output"]["title"], "No anomalous or blocked call");
    told.until(
        "delivered",
        forge
            .operations()
            .iter()
            .filter(|op| {
                matches!(
                    op.as_str(),
                    "checks/create" | "checks/update" | "apps/get-authenticated"
                )
            })
            .count(),
    );
    // One token is asked for, and used until its end.
    let operations = forge.operations();
    assert!(!operations[asked..].contains(&"apps/create-installation-access-token".to_owned()));
    assert_eq!(forge.results()[0]["conclusion"], "failure");

    // What is no request, or has no place there, has no check.
    let branch = JobIdentity {
        branch: Some("main".to_owned()),
        trigger: Some("push".to_owned()),
        commit: Some(PUSHED.to_owned()),
        ..pull()
    };
    let asked = forge.operations().len();
    told.whole(&record(3, branch.clone(), true));
    told.whole(&record(4, merge(1), true));
    let cookie = told.server.person("eve", "admin");
    told.server.page_with(
        "/o/main/runs/00000000000000000000000000000004",
        &cookie,
        "evil.example",
    );
    assert_eq!(forge.operations().len(), asked);
    // Of every commit, and as a note only, where somebody wants that.
    let wanted = json!({ "runs": "all", "neutral": true });
    let (status, changed) = told.ask("PATCH", &format!("channels/{id}"), &wanted);
    assert_eq!(
        (status, &changed["runs"], &changed["neutral"]),
        (200, &json!("all"), &json!(true)),
        "{changed}"
    );
    told.whole(&record(5, branch, true));
    assert!(within(|| forge.results().len() == 3 && done(2)));
    let check = forge.results().remove(2);
    assert_eq!(
        (&check["head_sha"], &check["conclusion"]),
        (&json!(PUSHED), &json!("neutral"))
    );
    forge.was_understood();

    // What is secret stands nowhere.
    let (_, shown) = told.ask("GET", "channels", &Value::Null);
    let page = told
        .server
        .get(&format!("/o/main/settings/notifications/{id}"), &cookie)
        .body;
    let line = keys.private.lines().nth(3).unwrap();
    for place in [&shown.to_string(), &page, &told.server.log()] {
        assert!(!place.contains(line) && !place.contains("hush-hush"));
    }
}

/// What becomes of a message when an API answers so once.
struct Case {
    trouble: Trouble,
    /// What the log says of it, where it is given up.
    error: Option<&'static str>,
}

fn case(
    operation: &'static str,
    status: u16,
    head: &'static str,
    error: Option<&'static str>,
) -> Case {
    Case {
        trouble: Trouble {
            operation,
            status,
            head,
            done: false,
        },
        error,
    }
}

/// The answer is lost, and what was asked for is done.
fn lost(operation: &'static str) -> Case {
    let mut lost = case(operation, 502, "", None);
    lost.trouble.done = true;
    lost
}

#[test]
fn github_may_answer_as_it_likes_and_no_job_gets_two_checks() {
    requires!(Program("openssl"));
    let authority = Authority::new().unwrap();
    let keys = AppKeys::new(false);
    let forge = Forge::github(&authority, &keys);
    let told = Told::start(&authority);
    told.checks(&forge, &keys, &json!({}));
    let cases = [
        case(
            "apps/get-repo-installation",
            404,
            "",
            Some("the app is not installed at acme/app"),
        ),
        case("apps/get-repo-installation", 500, "", None),
        case(
            "apps/create-installation-access-token",
            422,
            "",
            Some("getting a token for acme/app: it answered 422"),
        ),
        case(
            "git/get-commit",
            404,
            "",
            Some("looking for the commit at acme/app: it answered 404"),
        ),
        case("git/get-commit", 401, "", None),
        case("checks/list-for-ref", 429, "retry-after: 1\r\n", None),
        case("checks/create", 401, "", None),
        case(
            "checks/create",
            403,
            "",
            Some("making the check at acme/app: it answered 403"),
        ),
        case("checks/create", 403, "x-ratelimit-remaining: 0\r\n", None),
        case("checks/create", 403, "retry-after: 1\r\n", None),
        case(
            "checks/create",
            404,
            "",
            Some("making the check at acme/app: it answered 404"),
        ),
        case(
            "checks/create",
            422,
            "",
            Some("making the check at acme/app: it answered 422"),
        ),
        case("checks/create", 500, "", None),
        lost("checks/create"),
    ];
    let (mut delivered, mut dead) = (0, 0);
    for (number, case) in (1..).zip(cases) {
        let Case { trouble, error } = case;
        if trouble.operation.starts_with("apps/") {
            forge.take_tokens_back();
        }
        // Until then, one that was given out is used.
        let fresh = JobIdentity {
            run: Some(number.to_string()),
            ..pull()
        };
        let before = forge.results().len();
        forge.trouble(trouble.clone());
        told.whole(&record(number, fresh, true));
        match error {
            None => delivered += 1,
            Some(_) => dead += 1,
        }
        told.until("delivered", delivered);
        told.until("dead", dead);
        let made = forge.results().len() - before;
        assert_eq!(made, usize::from(error.is_none()), "{trouble:?}");
        if let Some(error) = error {
            assert_eq!(told.log("&state=dead")[0]["error"], error);
        }
    }
    forge.was_understood();
    let mut ids: Vec<String> = forge
        .results()
        .iter()
        .map(|check| check["external_id"].to_string())
        .collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
    // What was given up is sent again by a person who has mended what was wrong.
    let id = told.log("&state=dead")[0]["id"].clone();
    assert_eq!(
        told.ask("POST", &format!("deliveries/{id}/again"), &Value::Null)
            .0,
        204
    );
    told.until("delivered", delivered + 1);
    assert_eq!(forge.results().len(), all + 1);
    // Another key is not the app's: nothing is done with it.
    let other = AppKeys::new(true);
    let id = told.checks(&forge, &other, &json!({ "name": "theirs" }))["id"].clone();
    assert_eq!(
        told.tried(&id)["error"],
        "asking who the app is: it answered 401"
    );
}

#[test]
fn gitlab_may_answer_as_it_likes_and_no_job_gets_two_statuses() {
    let authority = Authority::new().unwrap();
    let token = format!("{}-{}", "glpat", "hush-".repeat(4));
    let forge = Forge::gitlab(&authority, &token);
    let told = Told::start(&authority);
    let wanted = json!({ "url": forge.hook.url(""), "token": token });
    let id = told.channel("gitlab-status", &wanted)["channel"]["id"].clone();
    assert_eq!(told.tried(&id)["delivered"], true);
    let set = "postApiV4ProjectsIdStatusesSha";
    let look = "getApiV4ProjectsIdRepositoryCommitsShaStatuses";
    let cases = [
        case("none", 0, "", None),
        case(look, 401, "", None),
        case(
            look,
            404,
            "",
            Some("looking for statuses at group/app: it answered 404"),
        ),
        case(look, 429, "retry-after: 1\r\n", None),
        case(
            set,
            400,
            "",
            Some("setting the status at group/app: it answered 400"),
        ),
        case(set, 401, "", None),
        case(
            set,
            403,
            "",
            Some("setting the status at group/app: it answered 403"),
        ),
        case(
            set,
            404,
            "",
            Some("setting the status at group/app: it answered 404"),
        ),
        case(set, 409, "", None),
        case(
            set,
            422,
            "",
            Some("setting the status at group/app: it answered 422"),
        ),
        case(set, 429, "retry-after: 1\r\n", None),
        case(set, 500, "", None),
        lost(set),
    ];
    let (mut delivered, mut dead) = (1, 0);
    for (number, case) in (1..).zip(cases) {
        let Case { trouble, error } = case;
        let before = forge.results().len();
        if trouble.status != 0 {
            forge.trouble(trouble.clone());
        }
        told.whole(&record(number.into(), merge(number), number != 1));
        match error {
            None => delivered += 1,
            Some(_) => dead += 1,
        }
        told.until("delivered", delivered);
        told.until("dead", dead);
        let made = forge.results().len() - before;
        assert_eq!(made, usize::from(error.is_none()), "{trouble:?}");
        if let Some(error) = error {
            assert_eq!(told.log("&state=dead")[0]["error"], error);
        }
    }
    let all = forge.results();
    assert_eq!(all[0]["state"], "success");
    assert_eq!(all[0]["description"], "No anomalous or blocked call");
    assert_eq!(
        (&all[0]["name"], &all[0]["pipeline_id"]),
        (&json!("Runward / .gitlab-ci.yml / test"), &json!(1))
    );
    assert_eq!(all[1]["state"], "failed");
    let said = all[1]["description"].as_str().unwrap();
    assert!(
        said.starts_with("1 blocked call. First: evil.example:443 was refused"),
        "{said}"
    );
    assert!(
        all[1]["target_url"]
            .as_str()
            .unwrap()
            .starts_with(&told.server.address)
    );
    forge.was_understood();
    assert_eq!(forge.last().named["id"], "group/app");
    assert!(!told.server.log().contains("hush"));
    // A token goes to no other server than it was entered for.
    let elsewhere = json!({ "url": "https://other.example" });
    let (status, refused) = told.ask("PATCH", &format!("channels/{id}"), &elsewhere);
    assert_eq!(status, 422, "{refused}");
    assert!(
        refused["detail"].as_str().unwrap().starts_with("token: "),
        "{refused}"
    );
}

#[test]
fn a_channel_for_commits_asks_for_what_it_needs() {
    requires!(Program("openssl"));
    let authority = Authority::new().unwrap();
    let keys = AppKeys::new(true);
    let forge = Forge::github(&authority, &keys);
    let told = Told::start(&authority);
    for (kind, more, at) in [
        ("github-check", json!({ "app_id": APP }), "app_key"),
        ("github-check", json!({ "app_key": keys.private }), "app"),
        (
            "github-check",
            json!({ "app_id": APP, "app_key": keys.private, "url": "http://git.example" }),
            "url",
        ),
        (
            "github-check",
            json!({ "app_id": APP, "app_key": keys.private, "url": "https://192.168.0.1" }),
            "url",
        ),
        (
            "github-check",
            json!({ "app_id": APP, "app_key": keys.private, "runs": "none" }),
            "runs",
        ),
        (
            "gitlab-status",
            json!({ "token": "x", "neutral": true }),
            "neutral",
        ),
        ("gitlab-status", json!({}), "token"),
        (
            "teams",
            json!({ "url": "https://hooks.example/x", "runs": "all" }),
            "runs",
        ),
    ] {
        let mut wanted = json!({ "name": "ours", "kind": kind });
        for (name, value) in more.as_object().unwrap() {
            wanted[name] = value.clone();
        }
        let (status, refused) = told.ask("POST", "channels", &wanted);
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(
            status == 422 && detail.starts_with(&format!("{at}: ")),
            "{at}: {refused}"
        );
        let line = keys.private.lines().nth(3).unwrap();
        assert!(!refused.to_string().contains(line), "{refused}");
    }
    // By its form, where lines end as browsers end them.
    let admin = told.server.person("eve", "admin");
    let new = told
        .server
        .get(
            "/o/main/settings/notifications/new?channel=github-check",
            &admin,
        )
        .body;
    let csrf = csrf(&new);
    for field in [
        "name=\"app\"",
        "name=\"app_key\"",
        "name=\"runs\"",
        "name=\"conclusion\"",
    ] {
        assert!(new.contains(field), "{field}");
    }
    assert!(!new.contains("name=\"quiet\"") && !new.contains("name=\"least\""));
    let encode = |text: &str| -> String {
        let bytes = text.bytes();
        bytes.map(|byte| format!("%{byte:02X}")).collect()
    };
    let form = format!(
        "csrf={csrf}&channel=github-check&name=Pulls&url={}&app={APP}&app_key={}&runs=all&conclusion=neutral&on=1",
        encode(&forge.hook.url("/api/v3")),
        encode(&keys.private.replace('\n', "\r\n")),
    );
    let made = told
        .server
        .form("/o/main/settings/notifications", &admin, &form);
    assert!(made.body.contains("The channel was made"), "{}", made.body);
    let (_, shown) = told.ask("GET", "channels", &Value::Null);
    let channel = &shown["channels"][0];
    assert_eq!(
        (&channel["runs"], &channel["neutral"]),
        (&json!("all"), &json!(true))
    );
    assert_eq!(told.tried(&channel["id"])["delivered"], true);
    let list = told
        .server
        .get("/o/main/settings/notifications", &admin)
        .body;
    assert!(list.contains("GitHub check") && list.contains("how jobs came out"));
}
