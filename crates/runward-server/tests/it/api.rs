use runward_api::{Access, Method, Operation, ROUTES, Route};

use crate::bed::{Server, within};
use crate::pages::csrf;
use crate::record::Recorded;

const RUN: &str = "0123456789abcdef0123456789abcdef";

const RULE: &str =
    r#"{"name":"ours","reason":"it is meant","matches":{"host":"*.example","project":"group/*"}}"#;

/// A channel that leads nowhere: the server does not call its own machine.
const CHANNEL: &str = r#"{"name":"ops","kind":"webhook","url":"https://localhost/in"}"#;

/// A server with one run.
fn filled() -> Server {
    let server = Server::start();
    let key = server.key("ingest");
    let record = Recorded::default();
    let sent = server.events(&key, RUN, 1, &record.packed(1, record.len()));
    assert_eq!(sent.status, 200);
    let cookie = server.person("ada", "auditor");
    server.page_with("/o/main/destinations", &cookie, "evil.example");
    server
}

/// Who asks.
enum Who<'a> {
    Key(&'a str),
    /// A cookie, and what its forms have to say.
    Session(&'a str, &'a str),
}

/// Asks a route about the thing with this number.
fn ask(server: &Server, route: &Route, who: &Who<'_>, id: i64) -> (u16, String) {
    let method = match route.method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    let path = route
        .path
        .replace("{run}", RUN)
        .replace("{id}", &id.to_string())
        .replace("{version}", "1")
        .replace("{attachment}", "1");
    let pattern = format!("{{\"issuer\":\"https://gitlab.com\",\"pattern\":\"a/{id}\"}}");
    let (query, body) = match route.operation {
        Operation::SendEvents => ("?first=1", "nothing that is packed"),
        Operation::DecideDetection => ("", "{\"status\":\"resolved\"}"),
        Operation::CreateKey => ("", "{\"name\":\"made\",\"scope\":\"read\"}"),
        Operation::CreateSuppression => ("", RULE),
        Operation::PreviewSuppression => ("", "{\"host\":\"evil.example\"}"),
        Operation::CreatePolicy => ("", "{\"name\":\"made\",\"text\":\"egress-policy: block\"}"),
        Operation::ChangePolicy => ("", "{\"version\":1,\"text\":\"egress-policy: audit\"}"),
        Operation::AttachPolicy => ("", "{}"),
        Operation::TryPolicy => ("", "{\"text\":\"egress-policy: block\"}"),
        Operation::ShowEffectivePolicy => ("?provider=gitlab&project=group/app", ""),
        Operation::ChangeMember => ("", "{\"role\":\"auditor\"}"),
        Operation::ChangeRetention => ("", "{\"events_days\":20}"),
        Operation::CreateTrust => ("", pattern.as_str()),
        Operation::RegisterAgent => ("", "{\"host\":\"runner\"}"),
        Operation::CreateChannel => ("", CHANNEL),
        Operation::ChangeChannel => ("", "{\"name\":\"renamed\"}"),
        Operation::DecideBaseline => (
            "",
            "{\"key\":\"place|never.example:443\",\"verdict\":\"accept\"}",
        ),
        Operation::ChangeBaselineSettings => ("", "{\"min_runs\":50,\"min_days\":null}"),
        _ => ("", ""),
    };
    let address = format!("{path}{query}");
    let ask = || match who {
        Who::Key(key) => server.ask(method, &address, key, body),
        Who::Session(cookie, csrf) => server.by_session(method, &address, cookie, csrf, body),
    };
    let mut answer = ask();
    // There are more addresses than somebody without a key may ask for at once.
    while answer.status == 429 {
        std::thread::sleep(std::time::Duration::from_millis(200));
        answer = ask();
    }
    (answer.status, answer.body)
}

/// The number of something that the operation can be done to, once.
fn target(server: &Server, operation: Operation, admin: &str, count: i64) -> i64 {
    let id = |body: &str, at: &str| {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        body.pointer(at).unwrap().as_i64().unwrap()
    };
    let make = |path: &str, body: &str| server.ask("POST", path, admin, body).body;
    match operation {
        Operation::RevokeKey => {
            let made = make("/api/v1/keys", "{\"name\":\"made\",\"scope\":\"read\"}");
            id(&made, "/key/id")
        }
        Operation::RemoveTrust => {
            let body = format!("{{\"issuer\":\"https://gitlab.com\",\"pattern\":\"b/{count}\"}}");
            id(&make("/api/v1/trust", &body), "/id")
        }
        Operation::RemoveMember | Operation::ChangeMember => {
            server.person(&format!("zoe{count}"), "auditor");
            let all = server.ask("GET", "/api/v1/members", admin, "").body;
            let all: serde_json::Value = serde_json::from_str(&all).unwrap();
            let last = all["members"].as_array().unwrap().last().unwrap();
            last["id"].as_i64().unwrap()
        }
        Operation::CreateTrust => count,
        Operation::RemoveChannel
        | Operation::ShowChannel
        | Operation::ChangeChannel
        | Operation::TestChannel
        | Operation::RenewSigningSecret => {
            let made = make("/api/v1/notifications/channels", CHANNEL);
            id(&made, "/channel/id")
        }
        _ => 1,
    }
}

/// What a route answers to somebody who may.
fn good(operation: Operation) -> u16 {
    match operation {
        // The body of this test is none.
        Operation::SendEvents => 400,
        Operation::CreateKey
        | Operation::CreateSuppression
        | Operation::CreatePolicy
        | Operation::AttachPolicy
        | Operation::CreateTrust
        | Operation::CreateChannel
        | Operation::RenewSigningSecret
        | Operation::CreateRegistration => 201,
        // No message was given up, and nothing new has this name.
        Operation::SendAgain | Operation::DecideBaseline => 404,
        Operation::RevokeKey
        | Operation::EndSuppression
        | Operation::DetachPolicy
        | Operation::ArchivePolicy
        | Operation::ChangeMember
        | Operation::RemoveMember
        | Operation::RemoveChannel
        | Operation::RemoveTrust => 204,
        _ => 200,
    }
}

#[test]
fn every_address_is_for_those_that_it_says() {
    let server = filled();
    let stranger = server.stranger();
    let admin = server.key("admin");
    let keys = [
        ("nobody", String::new(), None),
        ("a made-up key", "rwk_AAAAAAAAAAAAAAAAAAAA".to_owned(), None),
        (
            "a made-up token",
            "rwr_AAAAAAAAAAAAAAAAAAAA".to_owned(),
            None,
        ),
        (
            "an unsigned token",
            "eyJhbGciOiJub25lIn0.e30.".to_owned(),
            None,
        ),
        ("ingest", server.key("ingest"), Some(Access::Ingest)),
        ("read", server.key("read"), Some(Access::Read)),
        ("admin", admin.clone(), Some(Access::Admin)),
    ];
    let mut count = 10;
    for route in ROUTES {
        for (who, key, access) in &keys {
            let allowed = match route.access {
                Access::Public => true,
                Access::AnyKey => access.is_some(),
                // What is exchanged for a key is none.
                Access::Registration => false,
                needed => *access == Some(Access::Admin) || *access == Some(needed),
            };
            count += 1;
            let id = if allowed {
                target(&server, route.operation, &admin, count)
            } else {
                1
            };
            let expected = if allowed { good(route.operation) } else { 401 };
            let (status, body) = ask(&server, route, &Who::Key(key), id);
            assert_eq!(status, expected, "{who} {route:?}: {body}");
        }
    }
    // Somebody of another organisation may do the same, and finds nothing.
    for route in ROUTES {
        let (status, body) = ask(&server, route, &Who::Key(&stranger), 1);
        let expected = match route.operation {
            Operation::SendHeartbeat
            | Operation::ShowRun
            | Operation::ShowReport
            | Operation::DecideDetection
            | Operation::ShowSuppression
            | Operation::EndSuppression
            | Operation::ShowPolicy
            | Operation::ChangePolicy
            | Operation::ListPolicyVersions
            | Operation::ShowPolicyVersion
            | Operation::AttachPolicy
            | Operation::DetachPolicy
            | Operation::ArchivePolicy
            | Operation::RevokeKey
            | Operation::ChangeMember
            | Operation::RemoveMember
            | Operation::ShowChannel
            | Operation::ChangeChannel
            | Operation::RemoveChannel
            | Operation::TestChannel
            | Operation::RenewSigningSecret
            | Operation::SendAgain
            | Operation::ShowBaseline
            | Operation::ListBaselineChanges
            | Operation::DecideBaseline
            | Operation::ListAnomalies
            | Operation::RemoveTrust => 404,
            Operation::RegisterAgent => 401,
            operation => good(operation),
        };
        assert_eq!(status, expected, "{route:?}: {body}");
        for secret in ["group/app", "evil.example", "runner-1", "ada", RUN] {
            assert!(
                !body.contains(secret) || route.access == Access::Public,
                "{route:?}: {body}"
            );
        }
    }
}

#[test]
fn people_may_ask_with_their_session_what_their_role_allows() {
    let server = filled();
    let key = server.key("admin");
    let [admin, auditor] =
        ["admin", "auditor"].map(|role| server.person(&format!("a-{role}"), role));
    let [admins, auditors] =
        [&admin, &auditor].map(|cookie| csrf(&server.get("/o/main", cookie).body));
    let sessions = [
        (
            "nobody",
            Who::Session("runward=made-up", &admins),
            None,
            true,
        ),
        (
            "an auditor",
            Who::Session(&auditor, &auditors),
            Some(Access::Read),
            true,
        ),
        (
            "an admin",
            Who::Session(&admin, &admins),
            Some(Access::Admin),
            true,
        ),
        (
            "another site",
            Who::Session(&admin, "guessed"),
            Some(Access::Admin),
            false,
        ),
        (
            "another person's page",
            Who::Session(&admin, &auditors),
            Some(Access::Admin),
            false,
        ),
    ];
    let mut count = 10;
    for route in ROUTES {
        for (who, session, role, from_here) in &sessions {
            let reads = route.method == Method::Get;
            let expected = match (route.access, role) {
                (Access::Public, _) => good(route.operation),
                // Records come from programs.
                (Access::Ingest | Access::Registration, _) | (_, None) => 401,
                _ if !reads && !from_here => 403,
                (Access::Admin, Some(Access::Read)) => 403,
                _ => good(route.operation),
            };
            count += 1;
            let id = match expected {
                200..300 => target(&server, route.operation, &key, count),
                _ => 1,
            };
            let (status, body) = ask(&server, route, session, id);
            assert_eq!(status, expected, "{who} {route:?}: {body}");
        }
    }
}

#[test]
fn lists_say_what_the_pages_say() {
    let server = filled();
    let key = server.key("read");
    let get = |path: &str| {
        let answer = server.ask("GET", &format!("/api/v1/{path}"), &key, "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap()
    };
    let runs = get("runs?tag=blocked-call&q=GROUP/APP&limit=1");
    assert_eq!(runs["runs"][0]["id"], RUN);
    assert_eq!(
        runs["runs"][0]["tags"],
        serde_json::json!(["blocked-call", "overwritten-file"])
    );
    assert_eq!(runs["next"], serde_json::Value::Null);
    assert_eq!(get("runs?branch=other")["runs"], serde_json::json!([]));
    let destinations = get("destinations?blocked=true");
    assert_eq!(
        destinations["destinations"][0]["destination"],
        "evil.example:443"
    );
    let kinds: Vec<String> = get("detections?status=new")["detections"]
        .as_array()
        .unwrap()
        .iter()
        .map(|detection| detection["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["source-code-overwritten", "outbound-call-blocked"]);
    assert_eq!(get(&format!("runs/{RUN}/report"))["complete"], true);
    assert_eq!(get("agents")["agents"][0]["host"], "runner-1");
    let days = get("overview?days=3")["days"].as_array().unwrap().len();
    assert_eq!(days, 3);
    for wrong in [
        "runs?limit=0",
        "runs?limit=x",
        "runs?after=x",
        "runs?tag=x",
        "overview?days=0",
        "detections?status=x",
        "suppressions?state=x",
    ] {
        let answer = server.ask("GET", &format!("/api/v1/{wrong}"), &key, "");
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
        assert_eq!(
            answer.headers["content-type"], "application/problem+json",
            "{wrong}"
        );
    }
}

#[test]
fn a_rule_hides_and_gives_back_and_leaves_its_trace() {
    let server = filled();
    let key = server.key("admin");
    let ask = |method: &str, path: &str, body: &str, status: u16| {
        let answer = server.ask(method, &format!("/api/v1/{path}"), &key, body);
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        serde_json::from_str::<serde_json::Value>(&answer.body).unwrap_or_default()
    };
    let new = || {
        let found = ask("GET", "detections?status=new", "", 200);
        found["detections"].as_array().unwrap().len()
    };
    assert_eq!(new(), 2);
    let preview = ask(
        "POST",
        "suppressions/preview",
        r#"{"host":"EVIL.*","job":"test"}"#,
        200,
    );
    assert_eq!(preview["hides"], 1);
    assert_eq!(preview["detections"][0]["subject"], "evil.example:443");
    assert_eq!(new(), 2, "a preview changes nothing");

    let rule = ask("POST", "suppressions", RULE, 201);
    assert_eq!(
        (&rule["hides"], &rule["state"]),
        (&1.into(), &"live".into())
    );
    assert_eq!(rule["matches"]["host"], "*.example");
    let id = rule["id"].as_i64().unwrap();
    assert_eq!(new(), 1);
    let hidden = ask("GET", &format!("detections?suppression_id={id}"), "", 200);
    assert_eq!(hidden["detections"][0]["suppression_id"], id);
    assert_eq!(hidden["detections"][0]["status"], "suppressed");
    let overview = ask("GET", "overview", "", 200);
    assert_eq!(overview["open_detections"], 1);
    assert_eq!(overview["hidden_detections"], 1);

    // What comes is hidden as well.
    let record = Recorded {
        number: 2,
        ..Recorded::default()
    };
    let ingest = server.key("ingest");
    let second = "f".repeat(32);
    let sent = server.events(&ingest, &second, 1, &record.packed(1, record.len()));
    assert_eq!(sent.status, 200);
    assert!(within(|| {
        let rule = ask("GET", &format!("suppressions/{id}"), "", 200);
        rule["hides"] == 2
    }));

    ask("DELETE", &format!("suppressions/{id}"), "", 204);
    ask("DELETE", &format!("suppressions/{id}"), "", 404);
    let ended = ask("GET", "suppressions?state=ended", "", 200);
    assert_eq!(ended["suppressions"][0]["given_back"], 2);
    assert_eq!(ended["suppressions"][0]["state"], "ended");
    assert_eq!(new(), 4);
    let log = server.person("eva", "admin");
    let log = server.get("/o/main/settings", &log).body;
    assert!(log.contains("suppression.create") && log.contains("suppression.end"));

    for (wrong, said) in [
        (r#"{"name":"x","reason":"y","matches":{}}"#, "rule: "),
        (
            r#"{"name":"","reason":"","matches":{"host":"a"}}"#,
            "name: ",
        ),
        (
            r#"{"name":"x","reason":"y","matches":{"host":"a"},"expires_at_ms":1}"#,
            "expires: ",
        ),
        (
            r#"{"name":"x","reason":"y","matches":{"hots":"a"}}"#,
            "hots",
        ),
    ] {
        let answer = server.ask("POST", "/api/v1/suppressions", &key, wrong);
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.body.contains(said), "{}", answer.body);
    }
}

#[test]
fn a_rule_ends_by_itself() {
    let server = filled();
    let key = server.key("admin");
    let soon = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis()
        + 2_000;
    let rule = format!(
        r#"{{"name":"x","reason":"y","matches":{{"host":"evil.example"}},"expires_at_ms":{soon}}}"#
    );
    let made = server.ask("POST", "/api/v1/suppressions", &key, &rule);
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(made.body.contains("\"hides\":1"), "{}", made.body);
    assert!(within(|| {
        let answer = server.ask("GET", "/api/v1/suppressions?state=expired", &key, "");
        answer.body.contains("\"given_back\":1")
    }));
}
