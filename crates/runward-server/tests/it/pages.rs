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

/// Every page that a member may see.
fn pages() -> Vec<String> {
    let mut pages: Vec<String> = [
        "",
        "/projects",
        "/runs",
        "/runs?tag=blocked-call&q=app&within=24h",
        "/destinations",
        "/destinations/1",
        "/destinations.csv",
        "/destinations.json",
        "/detections",
        "/detections?status=all",
        "/suppressions",
        "/suppressions?state=all",
        "/suppressions/new",
        "/suppressions/new?kind=x&destination=evil.example%3A443",
        "/baseline",
        "/policies",
        "/policies?archived=1",
        "/policies/new",
        "/policies/new?project=&runs=5",
        "/policies/1",
        "/policies/1/versions/1",
        "/agents",
        "/settings",
    ]
    .iter()
    .map(|path| format!("/o/main{path}"))
    .collect();
    for tab in [
        "",
        "/network",
        "/network?findings=1",
        "/https",
        "/files",
        "/processes",
        "/processes.json",
        "/detections",
        "/policy",
        "/steps",
    ] {
        pages.push(format!("/o/main/runs/{RUN}{tab}"));
    }
    pages
}

#[test]
fn members_see_every_page_and_nobody_else_does() {
    let (server, admin, auditor) = filled();
    for page in pages() {
        for cookie in [&admin, &auditor] {
            let answer = server.get(&page, cookie);
            assert_eq!(answer.status, 200, "{page}: {answer:?}");
            // In data, which no browser takes for a page, nothing is escaped.
            let is_page = answer.headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with("text/html");
            assert!(!is_page || !answer.body.contains("<script>alert"), "{page}");
            let policy = answer
                .headers
                .get("content-security-policy")
                .unwrap()
                .to_str()
                .unwrap();
            assert!(
                policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
                "{page}"
            );
        }
        let stranger = server.get(&page, "");
        assert_eq!(stranger.status, 303, "{page}");
        assert!(
            stranger.location.starts_with("/login?next="),
            "{page}: {}",
            stranger.location
        );
        // What is private and what is not there look the same.
        let other = server.get(&page.replace("main", "other"), &admin);
        assert_eq!(other.status, 404, "{page}");
    }
    let unknown = server.get("/o/main/runs/ffffffffffffffffffffffffffffffff", "");
    assert_eq!(unknown.status, 303);
    assert_eq!(
        server
            .get("/o/main/runs/ffffffffffffffffffffffffffffffff", &admin)
            .status,
        404
    );
}

#[test]
fn runs_of_a_public_project_are_for_everybody_and_nothing_else_is() {
    let (server, admin, _) = filled();
    let settings = server.get("/o/main/settings", &admin).body;
    let csrf = csrf(&settings);
    let form = format!("csrf={csrf}&visibility=public");
    assert_eq!(
        server
            .form("/o/main/settings/projects/1", &admin, &form)
            .status,
        303
    );
    for page in pages() {
        let is_run = page.starts_with(&format!("/o/main/runs/{RUN}"));
        let expected = if is_run { 200 } else { 303 };
        assert_eq!(server.get(&page, "").status, expected, "{page}");
    }
}

#[test]
fn changes_need_an_admin_and_a_form_of_this_server() {
    let (server, admin, auditor) = filled();
    let admins = csrf(&server.get("/o/main/settings", &admin).body);
    let auditors = csrf(&server.get("/o/main", &auditor).body);
    let forms = [
        ("/o/main/settings/keys", "name=x&scope=ingest"),
        ("/o/main/settings/keys/1", "action=revoke"),
        (
            "/o/main/settings/members",
            "login=mallory&password=long+enough+password&role=admin",
        ),
        ("/o/main/settings/members/2", "action=auditor"),
        ("/o/main/settings/registrations", "x=y"),
        (
            "/o/main/settings/trust",
            "issuer=https://gitlab.com&pattern=group/app",
        ),
        ("/o/main/settings/trust/1", "x=y"),
        ("/o/main/settings/projects/1", "visibility=public"),
        ("/o/main/detections/1", "action=resolve"),
        ("/o/main/suppressions", "action=preview&host=evil.example"),
        (
            "/o/main/suppressions",
            "action=save&host=evil.example&name=ours&reason=meant",
        ),
        ("/o/main/suppressions/1", "action=end"),
        (
            "/o/main/policies/new",
            "action=save&name=made&text=egress-policy:+block",
        ),
        (
            "/o/main/policies/1",
            "action=save&base=1&text=egress-policy:+audit",
        ),
        ("/o/main/policies/1/attachments", "project=1"),
        ("/o/main/policies/1/attachments/1", ""),
        ("/o/main/policies/1/archive", ""),
    ];
    for (path, form) in forms {
        assert_eq!(
            server
                .form(path, &admin, &format!("csrf=wrong&{form}"))
                .status,
            403,
            "{path}"
        );
        assert_eq!(
            server
                .form(path, &auditor, &format!("csrf={auditors}&{form}"))
                .status,
            403,
            "{path}"
        );
        assert_eq!(
            server
                .form(path, "", &format!("csrf={admins}&{form}"))
                .status,
            303,
            "{path}"
        );
    }
    assert!(
        !server
            .get("/o/main/settings", &admin)
            .body
            .contains("mallory")
    );
    for (path, form) in forms {
        let answer = server.form(path, &admin, &format!("csrf={admins}&{form}"));
        assert!(matches!(answer.status, 200 | 303), "{path}: {answer:?}");
    }
    let log = server.get("/o/main/settings", &admin).body;
    for act in [
        "api-key.create",
        "api-key.revoke",
        "user.create",
        "user.role",
        "registration.create",
        "trust.create",
        "trust.remove",
        "project.publish",
        "detection.resolve",
        "suppression.create",
        "suppression.end",
        "policy.create",
        "policy.change",
        "policy.attach",
        "policy.detach",
        "policy.archive",
    ] {
        assert!(log.contains(act), "{act}");
    }
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
