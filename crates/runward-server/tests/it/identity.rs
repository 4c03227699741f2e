//! People and machines: what takes showing again who one is, and who may come in.

use std::process::{Command, Stdio};

use runward_lab::requires;

use crate::bed::{Server, agent, answer};
use crate::pages::csrf;

const SETTINGS: &str = "/o/main/settings";

/// An admin who showed long ago who it is; answers the cookie and the forms' secret.
fn left_open(server: &Server, login: &str) -> (String, String) {
    let cookie = server.person(login, "admin");
    let csrf = csrf(&server.get(SETTINGS, &cookie).body);
    server.age(&cookie);
    (cookie, csrf)
}

#[test]
fn a_dangerous_act_asks_again_who_one_is_and_loses_nothing() {
    let server = Server::start();
    let (admin, csrf) = left_open(&server, "ada");
    let sent = format!("csrf={csrf}&login=b%22ob%3E&password=long+enough+password&role=auditor");
    let members = format!("{SETTINGS}/members");
    let asked = server.form(&members, &admin, &sent);
    assert_eq!(asked.status, 403);
    for kept in [
        "action=\"/o/main/settings/members\"",
        "name=\"login\" value=\"b&#34;ob&#62;\"",
        "name=\"password\" value=\"long enough password\"",
        "name=\"role\" value=\"auditor\"",
        "name=\"confirm-password\"",
    ] {
        assert!(asked.body.contains(kept), "{kept}: {}", asked.body);
    }
    let wrong = server.form(&members, &admin, &format!("{sent}&confirm-password=wrong"));
    assert_eq!(wrong.status, 403);
    assert!(wrong.body.contains("The password is wrong."));
    assert!(!server.get(SETTINGS, &admin).body.contains("b&#34;ob"));
    let right = format!("{sent}&confirm-password=correct+horse+battery");
    let done = server.form(&members, &admin, &right);
    assert_eq!(done.status, 200);
    assert!(done.body.contains("can log in now"), "{}", done.body);
    // From now on it is not asked for ten minutes.
    let form = format!("csrf={csrf}&name=all&scope=admin");
    assert_eq!(
        server
            .form(&format!("{SETTINGS}/keys"), &admin, &form)
            .status,
        200
    );
}

#[test]
fn what_is_dangerous_is_asked_for_and_the_rest_is_not() {
    let server = Server::start();
    let (admin, csrf) = left_open(&server, "ada");
    for (path, form, asks) in [
        ("keys", "name=a&scope=admin", true),
        ("keys", "name=a&scope=ingest", false),
        ("members/1", "action=auditor", true),
        ("members/1", "action=remove", true),
        ("trust", "issuer=https://gitlab.com&pattern=a/b", true),
        ("trust/1", "x=y", true),
        ("projects/1", "visibility=public", true),
        ("registrations", "x=y", false),
        (
            "notifications",
            "channel=webhook&name=a&url=https://hooks.example/",
            true,
        ),
        ("notifications/1", "action=save&name=a&url=x", true),
        ("notifications/1", "action=save&name=a", false),
        ("notifications/1", "action=renew", true),
        ("notifications/1", "action=test", false),
    ] {
        let form = format!("csrf={csrf}&{form}");
        let answer = server.form(&format!("{SETTINGS}/{path}"), &admin, &form);
        let asked = answer.body.contains("confirm-password");
        assert_eq!(asked, asks, "{path} {form}: {}", answer.body);
    }
    // The API does not ask: it says what to do.
    let body = "{\"name\":\"made\",\"scope\":\"admin\"}";
    let made = server.by_session("POST", "/api/v1/keys", &admin, &csrf, body);
    assert_eq!(made.status, 403);
    assert!(made.body.contains("log in again"), "{}", made.body);
}

#[test]
fn a_member_who_is_removed_is_out_at_once_and_the_last_admin_stays() {
    let server = Server::start();
    let ada = server.person("ada", "admin");
    let bob = server.person("bob", "auditor");
    let secret = csrf(&server.get(SETTINGS, &ada).body);
    let change = |id: u32, action: &str| {
        let form = format!("csrf={secret}&action={action}");
        server.form(&format!("{SETTINGS}/members/{id}"), &ada, &form)
    };
    for action in ["auditor", "remove"] {
        let refused = change(1, action);
        assert_eq!(refused.status, 200);
        assert!(
            refused.body.contains("without an admin"),
            "{}",
            refused.body
        );
    }
    assert_eq!(change(2, "admin").status, 303);
    assert!(server.get(SETTINGS, &bob).body.contains("members/1"));
    assert_eq!(change(2, "remove").status, 303);
    assert_eq!(server.get("/o/main", &bob).status, 303);
    assert_eq!(change(2, "remove").status, 404);
    let log = server.get(SETTINGS, &ada).body;
    assert!(log.contains("user.role") && log.contains("user.remove"));
}

#[test]
fn a_registration_token_gives_one_key_once() {
    let server = Server::start();
    let admin = server.person("ada", "admin");
    let csrf = csrf(&server.get(SETTINGS, &admin).body);
    let form = format!("csrf={csrf}");
    let page = server.form(&format!("{SETTINGS}/registrations"), &admin, &form);
    let token = page
        .body
        .split("id=\"new-registration\" class=\"secret\">")
        .nth(1);
    let token = token
        .and_then(|rest| rest.split('<').next())
        .unwrap()
        .to_owned();
    assert!(token.starts_with("rwr_") && page.body.contains("/api/v1/agents/register"));
    assert!(!server.get(SETTINGS, &admin).body.contains(&token));
    let register = |token: &str, host: &str| {
        let body = serde_json::json!({ "host": host }).to_string();
        server.ask("POST", "/api/v1/agents/register", token, &body)
    };
    // A mistake does not use it up.
    assert_eq!(register(&token, "  ").status, 422);
    assert_eq!(register(&server.key("admin"), "runner-7").status, 401);
    let made = register(&token, "runner-7");
    assert_eq!(made.status, 201, "{}", made.body);
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!(
        (&made["key"]["name"], &made["key"]["scope"]),
        (&"runner-7".into(), &"ingest".into())
    );
    assert_eq!(register(&token, "runner-8").status, 401);
    let key = made["secret"].as_str().unwrap();
    assert_eq!(server.ask("GET", "/api/v1/runs", key, "").status, 401);
    let run = "0123456789abcdef0123456789abcdef";
    assert_eq!(server.events(key, run, 1, b"nothing").status, 400);
    // As what it is, it is no key.
    assert_eq!(server.events(&token, run, 1, b"nothing").status, 401);
    let log = server.get(SETTINGS, &admin).body;
    assert!(log.contains("registration.create") && log.contains("runner-7"));
}

#[test]
fn the_command_for_a_machine_leaves_its_key_there() {
    requires!(Program("curl"), Program("sed"));
    let server = Server::start();
    let admin = server.person("ada", "admin");
    let csrf = csrf(&server.get(SETTINGS, &admin).body);
    let form = format!("csrf={csrf}");
    let page = server.form(&format!("{SETTINGS}/registrations"), &admin, &form);
    let command = page.body.split("id=\"new-command\"").nth(1).unwrap();
    let (_, command) = command.split_once('>').unwrap();
    let mut command = command.split("</pre>").next().unwrap().to_owned();
    for (escaped, plain) in [
        ("&#34;", "\""),
        ("&#39;", "'"),
        ("&#60;", "<"),
        ("&#62;", ">"),
        ("&#38;", "&"),
    ] {
        command = command.replace(escaped, plain);
    }
    // As nobody in particular, and in a folder of the test's.
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("runward");
    let command = command
        .replace("sudo ", "")
        .replace("/etc/runward", place.to_str().unwrap());
    let ran = Command::new("sh")
        .args(["-ec", &command])
        .stderr(Stdio::null())
        .status();
    assert!(ran.unwrap().success(), "{command}");
    let left = std::fs::read_to_string(place.join("agent.env")).unwrap();
    let key = left.trim_end().strip_prefix("RUNWARD_API_KEY=").unwrap();
    let run = "0123456789abcdef0123456789abcdef";
    assert_eq!(server.events(key, run, 1, b"nothing").status, 400, "{left}");
}

#[test]
fn a_stranger_does_not_lock_a_person_out_by_failing_in_its_name() {
    let server = Server::with(&["--trusted-proxies=127.0.0.0/8".to_owned()]);
    server.person("ada", "admin");
    let from = |address: &str, password: &str| {
        let request = agent()
            .post(format!("{}/login", server.address))
            .header("x-forwarded-for", address)
            .header("content-type", "application/x-www-form-urlencoded");
        let form = format!("login=ada&password={password}&next=/");
        answer(request.send(form).unwrap()).status
    };
    let tried: Vec<u16> = (0..12).map(|_| from("198.51.100.7", "wrong")).collect();
    assert_eq!((tried[9], tried[10]), (401, 429));
    assert_eq!(from("198.51.100.7", "correct+horse+battery"), 429);
    assert_eq!(from("203.0.113.9", "correct+horse+battery"), 303);
    // What a client writes itself into the header is not believed.
    assert_eq!(from("203.0.113.9, 198.51.100.7", "wrong"), 429);
}
