use runward_lab::requires;

use crate::bed::Server;
use crate::record::Recorded;

pub(crate) const RUN: &str = "0123456789abcdef0123456789abcdef";

/// A server with one run and one policy, and the cookies of an admin and an auditor.
pub(crate) fn filled() -> (Server, String, String) {
    let server = Server::start();
    let key = server.key("ingest");
    let record = Recorded::default();
    assert_eq!(
        server
            .events(&key, RUN, 1, &record.packed(1, record.len()))
            .status,
        200
    );
    let admin = server.person("ada", "admin");
    let auditor = server.person("bob", "auditor");
    let policy = "{\"name\":\"ci\",\"text\":\"egress-policy: block\"}";
    let key = server.key("admin");
    assert_eq!(
        server.ask("POST", "/api/v1/policies", &key, policy).status,
        201
    );
    // When it is digested, the lists have it, too.
    server.page_with("/o/main/destinations", &admin, "evil.example");
    (server, admin, auditor)
}

#[test]
fn a_rule_is_made_from_a_detection_and_ended_again() {
    let (server, admin, auditor) = filled();
    let at = |path: &str| format!("/o/main/{path}");
    let list = server.page_with(&at("detections"), &admin, "evil.example");
    let link = list
        .split('"')
        .find(|part| part.starts_with("/o/main/suppressions/new?") && part.contains("evil"))
        .unwrap()
        .replace("&#38;", "&");
    // The link fills the form, and says at once what the rule would hide.
    let form = server.get(&link, &admin);
    assert_eq!(form.status, 200);
    for said in [
        "value=\"evil.example:443\"",
        "value=\"/usr/bin/make\"",
        "value=\"group/app\"",
        "It would hide 1 detection<",
    ] {
        assert!(form.body.contains(said), "{said}: {}", form.body);
    }
    let csrf = csrf(&form.body);
    let send = |fields: &str| {
        let form = format!("csrf={csrf}&destination=evil.example%3A443&{fields}");
        server.form(&at("suppressions"), &admin, &form)
    };
    let again = send("action=save&name=&reason=it+is+%3Cmeant%3E");
    assert_eq!(again.status, 422);
    for said in [
        "A rule needs a name.",
        "it is &#60;meant&#62;",
        "Nothing was saved.",
    ] {
        assert!(again.body.contains(said), "{said}: {}", again.body);
    }
    let wrong = send("action=save&name=a&reason=b&expires=2001-01-01");
    assert!(wrong.status == 422 && wrong.body.contains("choose a later day"));
    let previewed = send("action=preview&host=nothing.example");
    assert!(previewed.status == 200 && previewed.body.contains("It would hide nothing now"));

    let saved = send("action=save&name=ours&reason=it+is+meant&expires=2999-12-31");
    assert_eq!(
        (saved.status, saved.location.as_str()),
        (303, "/o/main/suppressions/1")
    );
    let rule = server.get(&saved.location, &auditor).body;
    assert!(
        rule.contains("Hides <a href=") && rule.contains("1 detection</a> now"),
        "{rule}"
    );
    assert!(!rule.contains("End the rule"), "an auditor ends nothing");
    let list = server.get(&at("detections"), &auditor).body;
    assert!(
        list.contains("1 detection is hidden by suppression rules"),
        "{list}"
    );
    let tab = server
        .get(&at(&format!("runs/{RUN}/detections")), &admin)
        .body;
    assert!(
        tab.contains("1 detection is hidden by suppression rules"),
        "{tab}"
    );
    assert!(!tab.contains("Hidden by the rule"), "{tab}");
    let hidden = server
        .get(&at("detections?status=suppressed&rule=1"), &auditor)
        .body;
    assert!(hidden.contains("Hidden by the rule <a href=\"/o/main/suppressions/1\""));
    let overview = server.get("/o/main", &auditor).body;
    assert!(
        overview.contains("hidden by suppression rules"),
        "{overview}"
    );

    let end = server.form(&saved.location, &admin, &format!("csrf={csrf}&action=end"));
    assert_eq!(end.status, 303);
    let rule = server.get(&saved.location, &auditor).body;
    assert!(rule.contains("1 became new again"), "{rule}");
    let list = server.get(&at("detections"), &auditor).body;
    assert!(!list.contains("hidden by suppression rules"), "{list}");
    assert_eq!(server.get(&at("suppressions/99"), &admin).status, 404);
    assert_eq!(server.get(&at("suppressions/x"), &admin).status, 404);
}

#[test]
fn a_session_ends_and_guessing_is_slowed_down() {
    let (server, admin, _) = filled();
    let csrf = csrf(&server.get("/o/main", &admin).body);
    assert_eq!(server.form("/logout", &admin, "csrf=wrong").status, 303);
    assert_eq!(server.get("/o/main", &admin).status, 200);
    assert_eq!(
        server
            .form("/logout", &admin, &format!("csrf={csrf}"))
            .status,
        303
    );
    assert_eq!(server.get("/o/main", &admin).status, 303);
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(
            server
                .form("/login", "", "login=ada&password=wrong&next=/")
                .status,
        );
    }
    assert_eq!((statuses[0], statuses[11]), (401, 429));
    // Where somebody goes after the login is on this server.
    let away = server.form(
        "/login",
        "",
        "login=bob&password=correct+horse+battery&next=//evil.example/",
    );
    assert_eq!((away.status, away.location.as_str()), (303, "/"));
}

#[test]
fn a_policy_is_tried_on_what_a_run_did() {
    let (server, _, auditor) = filled();
    let path = format!("/o/main/runs/{RUN}/policy");
    let tried = server.form(&path, &auditor, "policy=packages.example%3A443");
    assert_eq!(tried.status, 200);
    assert!(
        tried
            .body
            .contains("no line allows it; evil.example:443 would"),
        "{}",
        tried.body
    );
    let wrong = server.form(&path, &auditor, "policy=packages.example%3A99999");
    assert!(wrong.body.contains("99999"), "{}", wrong.body);
}

pub(crate) fn csrf(page: &str) -> String {
    let at = page
        .find("name=\"csrf\" value=\"")
        .expect("the page has a form")
        + 19;
    page[at..].split('"').next().unwrap().to_owned()
}

/// What stands in the page's blocks of code, as a person would copy it.
fn examples(page: &str) -> Vec<String> {
    let blocks = page.split("<pre").skip(1);
    let texts = blocks.filter_map(|block| {
        let (_, text) = block.split_once("<code>")?;
        text.split_once("</code>").map(|(text, _)| text)
    });
    let plain = texts.map(|text| {
        let pairs = [
            ("&#34;", "\""),
            ("&#39;", "'"),
            ("&#60;", "<"),
            ("&#62;", ">"),
            ("&#38;", "&"),
        ];
        pairs
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    });
    plain.collect()
}

#[test]
fn every_example_of_the_reference_is_a_request_that_the_api_understands() {
    requires!(Program("curl"));
    let (server, admin, _) = filled();
    let page = server.get("/docs/api", "");
    assert_eq!(page.status, 200);
    let own = server.get("/docs/api", &admin).body;
    assert!(own.contains("/o/main/settings") && !page.body.contains("/o/main"));
    let key = server.key("admin");
    let token = server.ask("POST", "/api/v1/registrations", &key, "").body;
    let token: serde_json::Value = serde_json::from_str(&token).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let record = Recorded::default();
    std::fs::write(folder.path().join("body"), record.packed(1, record.len())).unwrap();
    let examples = examples(&page.body);
    assert_eq!(examples.len(), runward_api::ROUTES.len());
    for example in examples {
        let told = example.replacen("curl -sS", "curl -sS -o said -w '%{http_code}'", 1);
        let ran = std::process::Command::new("sh")
            .args(["-ec", &told])
            .current_dir(folder.path())
            .env("RUNWARD_API_KEY", &key)
            .env("RUNWARD_REGISTRATION", token["token"].as_str().unwrap())
            .env("NO_PROXY", "127.0.0.1")
            .output()
            .unwrap();
        let status = String::from_utf8(ran.stdout).unwrap();
        let said = std::fs::read_to_string(folder.path().join("said")).unwrap_or_default();
        // Not all of it is there, and the only admin can't be removed; but it is all understood.
        let understood = match status.as_str() {
            "200" | "201" | "204" | "404" | "409" => true,
            "422" => example.contains("/members/"),
            _ => false,
        };
        assert!(understood, "{example}\n{status} {said}");
    }
}
