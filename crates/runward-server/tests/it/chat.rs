//! Slack and Microsoft Teams, as far as their addresses and answers go.

use runward_lab::Authority;
use serde_json::{Value, json};

use crate::bed::within;
use crate::hook::{Behaviour, Hook};
use crate::notify::{Told, ground};

#[test]
fn slack_gets_a_message_at_the_address_that_it_gave_out() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let told = Told::start(&authority);
    let url = hook.url("/services/T0/B0/hush-hush");
    let made = told.channel("slack", &json!({ "url": url }));
    assert_eq!(made["signing_secret"], Value::Null);
    assert_eq!(made["channel"]["target"], format!("{} …hush", hook.address));
    let id = made["channel"]["id"].clone();
    told.run(1, "<!channel>.example");
    told.until("delivered", 1);
    let got = hook.got().remove(0);
    assert_eq!(got.path, "/services/T0/B0/hush-hush");
    assert!(!got.headers.contains_key("authorization"));
    let body = got.json();
    assert!(body["blocks"].as_array().unwrap().len() >= 2, "{body}");
    assert!(!body["text"].as_str().unwrap().contains('<'), "{body}");
    // What Slack says of it is told, as far as it is a word.
    for (status, said, error) in [
        (404, "no_service", "it answered 404: no_service"),
        (500, "<html>hush", "it answered 500"),
    ] {
        hook.behave(Behaviour::Says(status, said));
        let (_, tried) = told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
        assert_eq!(tried["error"], error);
    }
    // Others that understand the same answer as they like.
    hook.behave(Behaviour::Says(200, ""));
    let (_, tried) = told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
    assert_eq!(tried["delivered"], true);
}

#[test]
fn an_app_of_slack_posts_to_its_channel() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let mut ground = ground(&authority, "127.0.0.0/8");
    ground
        .variables
        .push(("RUNWARD_SLACK_API", hook.url("/api/")));
    let told = Told::on(ground);
    let token = format!("{}-1-hush-hush-hush", "xoxb");
    hook.behave(Behaviour::Says(200, r#"{"ok":true,"ts":"1.2"}"#));
    let made = told.channel(
        "slack-bot",
        &json!({ "token": token, "slack_channel": "#alerts" }),
    );
    let id = made["channel"]["id"].clone();
    assert_eq!(made["channel"]["target"], "#alerts …hush");
    told.run(1, "evil.example");
    told.until("delivered", 1);
    let got = hook.got().remove(0);
    assert_eq!(got.path, "/api/chat.postMessage");
    assert_eq!(got.headers["authorization"], format!("Bearer {token}"));
    assert_eq!(got.json()["channel"], "#alerts");
    // The status is 200 whatever came of it.
    hook.behave(Behaviour::Says(
        200,
        r#"{"ok":false,"error":"ratelimited"}"#,
    ));
    told.run(2, "b.example");
    let failures = |least: i64| told.health(&id)["failures"].as_i64() >= Some(least);
    assert!(within(|| failures(2)));
    hook.behave(Behaviour::Says(200, "<html>"));
    let (_, tried) = told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
    assert_eq!(tried["error"], "what answered is not Slack");
    hook.behave(Behaviour::Says(200, r#"{"ok":true}"#));
    told.until("delivered", 2);
    hook.behave(Behaviour::Says(
        200,
        r#"{"ok":false,"error":"not_in_channel"}"#,
    ));
    told.run(3, "c.example");
    // The test is a message that was given up, too.
    told.until("dead", 2);
    let dead = told.log("&state=dead").remove(0);
    assert_eq!(dead["error"], "Slack refused it: not_in_channel");
    // Another channel with the same token, which nobody has to enter again.
    let elsewhere = json!({ "slack_channel": "C0123456789" });
    let (status, changed) = told.ask("PATCH", &format!("channels/{id}"), &elsewhere);
    assert_eq!(status, 200, "{changed}");
    hook.behave(Behaviour::Says(200, r#"{"ok":true}"#));
    let (_, tried) = told.ask("POST", &format!("channels/{id}/test"), &Value::Null);
    assert_eq!(tried["delivered"], true, "{tried}");
    let last = hook.got().pop().unwrap();
    assert_eq!(last.json()["channel"], "C0123456789");
    assert_eq!(last.headers["authorization"], format!("Bearer {token}"));
    assert!(!told.server.log().contains("hush"));
}

#[test]
fn teams_gets_a_card() {
    let authority = Authority::new().unwrap();
    let hook = Hook::start(&authority);
    let told = Told::start(&authority);
    // A workflow accepts what it gets, and works later.
    hook.behave(Behaviour::Says(202, ""));
    told.channel(
        "teams",
        &json!({ "url": hook.url("/workflows/1/triggers?sig=hush") }),
    );
    told.run(1, "[x](https://evil.example)");
    told.until("delivered", 1);
    let body = hook.got().remove(0).json();
    assert_eq!(body["type"], "message");
    let card = &body["attachments"][0];
    assert_eq!(
        card["contentType"],
        "application/vnd.microsoft.card.adaptive"
    );
    assert_eq!(card["content"]["type"], "AdaptiveCard");
    // Only in blocks of rich text does nothing act as Markdown.
    assert!(!card.to_string().contains(r#""TextBlock""#));
}
