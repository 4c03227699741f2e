//! Named policies, over the API and on their pages.

use serde_json::{Value, json};

use crate::bed::{Answer, Server};
use crate::pages::{RUN, csrf, filled};
use crate::record::Recorded;

/// Allows the first destination of every recorded run, and not the last.
const TEXT: &str = "egress-policy: block\nallowed-endpoints:\n  - packages.example:443\n";

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap()
}

fn policy(name: &str, text: &str) -> String {
    json!({ "name": name, "text": text, "note": "a first one" }).to_string()
}

/// What a form sends, with its texts encoded.
fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| -> String {
        let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
        bytes.collect()
    };
    let fields = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    fields.collect::<Vec<_>>().join("&")
}

#[test]
fn faults_of_a_policy_come_with_place_text_and_suggestion() {
    let server = Server::start();
    let key = server.key("admin");
    let body = policy(
        "ci",
        "egress-policy: blok\nallowed-endpoints:\n  - a.example:g443\n",
    );
    let refused = server.ask("POST", "/api/v1/policies", &key, &body);
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let faults = &json_of(&refused)["faults"];
    let fault = |n: usize| {
        let fault = &faults[n];
        (
            &fault["line"],
            &fault["column"],
            &fault["text"],
            &fault["suggestion"],
        )
    };
    assert_eq!(
        fault(0),
        (&json!(1), &json!(16), &json!("blok"), &json!("block"))
    );
    assert_eq!(
        fault(1),
        (
            &json!(3),
            &json!(15),
            &json!("a.example:g443"),
            &json!("a.example:443")
        )
    );
    for (body, status) in [
        (policy("ci", ""), 422),
        (policy("ci", &"#".repeat(65_537)), 422),
        (policy("ci", "# \u{202e}\negress-policy: block"), 422),
        (policy("", TEXT), 422),
        (policy("a\u{0}b", TEXT), 422),
        (json!({ "name": "ci" }).to_string(), 422),
    ] {
        let answer = server.ask("POST", "/api/v1/policies", &key, &body);
        assert_eq!(answer.status, status, "{:.80}: {}", body, answer.body);
    }
    let large = policy("ci", &"#".repeat(1 << 20));
    let told = (0..50).find_map(|_| {
        let answer = server.try_ask("POST", "/api/v1/policies", &key, &large);
        Some(answer.ok()?.status)
    });
    assert!(told.is_none_or(|status| status == 413), "{told:?}");
    let none = server.ask("GET", "/api/v1/policies", &key, "");
    assert_eq!(json_of(&none), json!({ "policies": [] }));
}

#[test]
fn a_policy_is_versioned_attached_and_put_away() {
    let server = Server::start();
    let key = server.key("admin");
    let ask = |method: &str, path: &str, body: Value| {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        server.ask(method, &format!("/api/v1/policies{path}"), &key, &body)
    };
    let made = server.ask("POST", "/api/v1/policies", &key, &policy("ci", TEXT));
    assert_eq!(made.status, 201, "{}", made.body);
    let twice = server.ask("POST", "/api/v1/policies", &key, &policy("ci", TEXT));
    assert_eq!(twice.status, 409, "{}", twice.body);

    let change = json!({ "version": 1, "text": "egress-policy: audit\n", "note": "quieter" });
    let changed = ask("PATCH", "/1", change.clone());
    assert_eq!(
        (
            changed.status,
            &json_of(&changed)["version"],
            &json_of(&changed)["mode"]
        ),
        (200, &json!(2), &json!("audit"))
    );
    let late = ask("PATCH", "/1", change);
    assert_eq!(late.status, 409);
    assert!(late.body.contains("version 2"), "{}", late.body);
    let versions = json_of(&ask("GET", "/1/versions?limit=1", Value::Null));
    assert_eq!(versions["versions"][0]["note"], "quieter");
    let next = versions["next"].as_str().unwrap();
    let rest = ask("GET", &format!("/1/versions?after={next}"), Value::Null);
    assert_eq!(json_of(&rest)["versions"][0]["version"], 1);
    let first = json_of(&ask("GET", "/1/versions/1", Value::Null));
    assert_eq!(first["text"], TEXT);
    assert_eq!(ask("GET", "/1/versions/3", Value::Null).status, 404);

    assert_eq!(ask("POST", "/1/attachments", json!({})).status, 201);
    assert_eq!(ask("POST", "/1/attachments", json!({})).status, 409);
    let unknown = ask("POST", "/1/attachments", json!({ "project_id": 77 }));
    assert_eq!(unknown.status, 404, "{}", unknown.body);
    let loose = ask("POST", "/1/attachments", json!({ "job": "test" }));
    assert_eq!(loose.status, 422, "{}", loose.body);
    let attached = ask("DELETE", "/1", Value::Null);
    assert_eq!(attached.status, 409, "{}", attached.body);
    assert!(attached.body.contains("detach it everywhere first"));
    assert_eq!(ask("DELETE", "/1/attachments/1", Value::Null).status, 204);
    assert_eq!(ask("DELETE", "/1/attachments/1", Value::Null).status, 404);
    assert_eq!(ask("DELETE", "/1", Value::Null).status, 204);
    assert_eq!(json_of(&ask("GET", "", Value::Null))["policies"], json!([]));
    let archived = json_of(&ask("GET", "?archived=true", Value::Null));
    assert_eq!(archived["policies"][0]["name"], "ci");
    assert_eq!(ask("GET", "/1/versions/2", Value::Null).status, 200);
}

#[test]
fn a_key_is_told_of_its_own_project_s_policy_only() {
    let (server, _, _) = filled();
    let other = Recorded {
        project: "group/other".to_owned(),
        ..Recorded::default()
    };
    let sent = server.events(
        &server.key("ingest"),
        "00000000000000000000000000000002",
        1,
        &other.packed(1, other.len()),
    );
    assert_eq!(sent.status, 200);
    let admin = server.key("admin");
    let attach = |scope: Value| {
        let path = "/api/v1/policies/1/attachments";
        let made = server.ask("POST", path, &admin, &scope.to_string());
        assert_eq!(made.status, 201, "{}", made.body);
    };
    let key = |scope: &str| {
        let body = json!({ "name": "of one project", "scope": scope, "project_id": 1 });
        let made = server.ask("POST", "/api/v1/keys", &admin, &body.to_string());
        json_of(&made)["secret"].as_str().unwrap().to_owned()
    };
    let (agents, readers) = (key("ingest"), key("read"));
    let of = |key: &str, project: &str| {
        let path = format!(
            "/api/v1/policy?provider=gitlab&project={project}&pipeline=.gitlab-ci.yml&job=test"
        );
        server.ask("GET", &path, key, "")
    };
    let everybody = server.key("ingest");
    assert_eq!(json_of(&of(&agents, "group/app"))["policy"], Value::Null);
    attach(json!({}));
    attach(json!({ "project_id": 1, "pipeline": ".gitlab-ci.yml", "job": "test" }));
    let own = json_of(&of(&agents, "group/app"));
    assert_eq!(own["policy"]["attached_to"], "job");
    assert_eq!(own["policy"]["text"], "egress-policy: block\n");
    assert_eq!(own["overridden"][0]["attached_to"], "organisation");
    let others = json_of(&of(&everybody, "group/other"));
    assert_eq!(others["policy"]["attached_to"], "organisation");
    for key in [&agents, &readers] {
        assert_eq!(of(key, "group/app").status, 200);
        // What is there and what is not look the same.
        let (there, not) = (of(key, "group/other"), of(key, "group/none"));
        assert_eq!((there.status, &there.body), (404, &not.body));
    }
    for wrong in ["?provider=gitlab", "?provider=gitlab&project=%00", ""] {
        let answer = server.ask("GET", &format!("/api/v1/policy{wrong}"), &everybody, "");
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
    }
    // A reader of one project tries policies on its runs, and on no others.
    let attempt = |scope: Value| {
        let body = json!({ "text": TEXT, "scope": scope }).to_string();
        server.ask("POST", "/api/v1/policies/try", &readers, &body)
    };
    assert_eq!(
        json_of(&attempt(json!({})))["runs"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(attempt(json!({ "project_id": 2 })).status, 404);
}

#[test]
fn a_policy_is_tried_on_the_newest_runs_and_nothing_is_kept() {
    let (server, _, _) = filled();
    let ingest = server.key("ingest");
    for number in 2..=5u64 {
        let record = Recorded {
            number,
            job: if number == 5 { "deploy" } else { "test" }.to_owned(),
            ..Recorded::default()
        };
        let sent = server.events(
            &ingest,
            &format!("{number:032x}"),
            1,
            &record.packed(1, record.len()),
        );
        assert_eq!(sent.status, 200);
    }
    let key = server.key("read");
    let attempt = |body: Value| server.ask("POST", "/api/v1/policies/try", &key, &body.to_string());
    let tried = json_of(&attempt(json!({ "text": TEXT, "runs": 3 })));
    let runs: Vec<&str> = tried["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["run"].as_str().unwrap())
        .collect();
    assert_eq!(runs, [5, 4, 3].map(|number| format!("{number:032x}")));
    assert_eq!(
        tried["stopped"],
        json!([{
            "destination": "evil.example:443", "connections": 3, "stopped_then": 3, "runs": 3,
            "programs": ["/usr/bin/make"], "reason": "no line allows it; evil.example:443 would",
        }])
    );
    let job = json!({ "project_id": 1, "pipeline": ".gitlab-ci.yml", "job": "deploy" });
    let tried = json_of(&attempt(json!({ "text": TEXT, "runs": 50, "scope": job })));
    assert_eq!(tried["runs"].as_array().unwrap().len(), 1);
    for (body, status) in [
        (json!({ "text": TEXT, "runs": 51 }), 422),
        (json!({ "text": TEXT, "runs": 0 }), 422),
        (json!({ "text": "egress-policy: no" }), 422),
        (json!({ "text": TEXT, "scope": { "project_id": 77 } }), 404),
    ] {
        assert_eq!(attempt(body.clone()).status, status, "{body}");
    }
    let kept = json_of(&server.ask("GET", "/api/v1/policies", &key, ""));
    assert_eq!(kept["policies"].as_array().unwrap().len(), 1);
}

#[test]
fn what_was_typed_stays_until_it_is_saved() {
    let (server, admin, auditor) = filled();
    let path = "/o/main/policies/1";
    let csrf = csrf(&server.get(path, &admin).body);
    let send = |fields: &[(&str, &str)]| {
        let all = [&[("csrf", csrf.as_str())][..], fields].concat();
        server.form(path, &admin, &form(&all))
    };
    let broken = "egress-policy: block\r\nallowed-endpoint:\r\n  - <b>x</b>\r\n";
    for action in ["check", "try", "save"] {
        let fields = [
            ("action", action),
            ("base", "1"),
            ("text", broken),
            ("note", "my <note>"),
        ];
        let page = send(&fields).body;
        for part in [
            "Line 2, column 1",
            "allowed-endpoints</bdi></code>?",
            "&#60;b&#62;x&#60;/b&#62;",
            "my &#60;note&#62;",
        ] {
            assert!(page.contains(part), "{action} lacks {part}: {page}");
        }
    }
    let fine = send(&[("action", "check"), ("base", "1"), ("text", TEXT)]).body;
    assert!(fine.contains("No faults."), "{fine}");
    let tried = send(&[
        ("action", "try"),
        ("base", "1"),
        ("text", TEXT),
        ("runs", "5"),
    ])
    .body;
    assert!(
        tried.contains("It would have stopped 1 connection to 1 destination, in 1 of 1 run."),
        "{tried}"
    );
    // Nothing of all this was saved; now it is.
    assert!(server.get(path, &admin).body.contains("version 1"));
    let saved = send(&[
        ("action", "save"),
        ("base", "1"),
        ("text", TEXT),
        ("note", "tighter"),
    ]);
    assert_eq!(
        (saved.status, saved.location.as_str()),
        (303, "/o/main/policies/1?done=saved")
    );
    let page = server.get(&saved.location, &auditor).body;
    for part in ["The new version was saved.", "version 2", "tighter"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let changes = server.get("/o/main/policies/1/versions/2", &auditor).body;
    assert!(changes.contains("From version 1 to version 2"), "{changes}");
    assert!(changes.contains("2 lines added, 0 removed"), "{changes}");
}

#[test]
fn who_saves_over_another_version_sees_what_it_changes() {
    let (server, admin, _) = filled();
    let path = "/o/main/policies/1";
    let csrf = csrf(&server.get(path, &admin).body);
    let save = |base: &str, text: &str| {
        let fields = [
            ("csrf", csrf.as_str()),
            ("action", "save"),
            ("base", base),
            ("text", text),
        ];
        server.form(path, &admin, &form(&fields))
    };
    assert_eq!(save("1", "egress-policy: audit\n").status, 303);
    let clash = save("1", TEXT);
    assert_eq!(clash.status, 200);
    for part in [
        "Somebody else saved version 2 while you were editing.",
        "name=\"base\" value=\"2\"",
        "packages.example:443",
    ] {
        assert!(clash.body.contains(part), "{part}: {}", clash.body);
    }
    assert_eq!(save("2", TEXT).status, 303);
}

#[test]
fn a_new_policy_begins_with_what_runs_did() {
    let (server, admin, auditor) = filled();
    for start in [
        format!("run={RUN}"),
        "project=1&pipeline=.gitlab-ci.yml&job=test&runs=10".to_owned(),
    ] {
        let page = server
            .get(&format!("/o/main/policies/new?{start}"), &admin)
            .body;
        assert!(page.contains("  - packages.example:443"), "{start}: {page}");
    }
    let none = server
        .get("/o/main/policies/new?project=1&job=other", &admin)
        .body;
    assert!(none.contains("No run fits"), "{none}");
    let gone = server.get(
        "/o/main/policies/new?run=ffffffffffffffffffffffffffffffff",
        &admin,
    );
    assert_eq!(gone.status, 404);
    let csrf = csrf(&server.get("/o/main/policies/new", &admin).body);
    let save = |name: &str| {
        let fields = [
            ("csrf", csrf.as_str()),
            ("action", "save"),
            ("name", name),
            ("text", TEXT),
        ];
        server.form("/o/main/policies/new", &admin, &form(&fields))
    };
    let taken = save("ci");
    assert!(
        taken.body.contains("a policy of this name exists already"),
        "{}",
        taken.body
    );
    assert!(taken.body.contains("packages.example:443"));
    assert!(save(" ").body.contains("a policy needs a name"));
    assert_eq!(save("other").location, "/o/main/policies/2?done=created");
    // An auditor sees which one is in effect where.
    let key = server.key("admin");
    let attached = server.ask(
        "POST",
        "/api/v1/policies/2/attachments",
        &key,
        "{\"project_id\":1}",
    );
    assert_eq!(attached.status, 201);
    for page in [
        "/projects".to_owned(),
        format!("/runs/{RUN}"),
        format!("/runs/{RUN}/policy"),
    ] {
        let html = server.get(&format!("/o/main{page}"), &auditor).body;
        assert!(html.contains("href=\"/o/main/policies/2\""), "{page}");
    }
}
