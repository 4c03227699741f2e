//! Whatever a job calls its things, it is text.

use proptest::prelude::*;
use runward_notify::{Message, mail, slack, teams, webhook};
use runward_store::{Detail, MessageBody, Notification, Parcel, Severity};
use serde_json::Value;

use crate::sample::{NOW, blocked, message, of};

const NASTY: &[&str] = &[
    "<!channel> <@U123> <https://evil.example|click>",
    "@all @here @channel #general",
    "[click](https://evil.example) ![x](https://evil.example/p.png)",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "\"><a href=\"https://evil.example\">x</a>",
    "x\r\nBcc: eve@evil.example\r\n\r\nhello",
    "\u{202e}gpj.exe\u{0}\u{1b}[2J\u{7f}",
    "{{7*7}} {% raw %} ${x}",
    "<at>Everyone</at> **b** `c` ~s~",
    ":tada: \\[x\\] &amp; &lt;",
];

fn nasty(text: &str) -> Notification {
    Notification {
        kind: text.to_owned(),
        sentence: text.to_owned(),
        details: vec![Detail {
            name: text.to_owned(),
            value: text.to_owned(),
        }],
        ..blocked()
    }
}

/// Everything that is a string in some JSON, with the name that it stands under.
fn strings<'a>(value: &'a Value, name: &'a str, found: &mut Vec<(&'a str, &'a str)>) {
    match value {
        Value::String(text) => found.push((name, text)),
        Value::Array(all) => all.iter().for_each(|inner| strings(inner, name, found)),
        Value::Object(all) => all
            .iter()
            .for_each(|(name, inner)| strings(inner, name, found)),
        _ => {}
    }
}

fn check(message: &Message<'_>) {
    let server = message.server;
    let mail = mail(message);
    let acts = |text: &str| text.chars().any(|c| c.is_control() || c == '\u{202e}');
    assert!(!acts(&mail.subject), "{:?}", mail.subject);
    assert!(mail.subject.chars().count() <= 120);
    assert!(mail.text.lines().all(|line| !acts(line)), "{}", mail.text);
    assert!(!mail.text.contains('\r'));
    // Every tag and every link of the page is the template's own.
    assert_eq!(mail.html.matches("<script").count(), 0);
    assert_eq!(mail.html.matches("<img").count(), 0);
    for link in mail.html.split("href=\"").skip(1) {
        assert!(link.starts_with(server), "{link}");
    }
    assert!(mail.html.lines().all(|line| !acts(line)));

    let posted = slack(message, None);
    let mut found = Vec::new();
    strings(&posted, "", &mut found);
    for (name, text) in found {
        match name {
            "url" => assert!(text.starts_with(server), "{text}"),
            // Text of a block is never markup; of the message itself it could be.
            _ if text == posted["text"] => {
                for begins in ["<", "@a", "@h", "@c", "#g", "](", "`"] {
                    assert!(!text.contains(begins), "{begins}: {text}");
                }
                let foreign = text.split("://").count() - text.split(server).count();
                assert_eq!(foreign, 0, "{text}");
            }
            _ => {}
        }
    }
    assert!(posted.to_string().len() < 100_000);

    let card = teams(message);
    assert!(card.to_string().len() < 28_000, "Teams takes 28 KB");
    let mut found = Vec::new();
    strings(&card, "", &mut found);
    for (name, text) in found {
        assert!(name != "url" || text.starts_with(server), "{text}");
        // Only these read Markdown.
        assert!(name != "type" || text != "TextBlock", "{card}");
        assert!(name != "type" || text != "FactSet", "{card}");
    }

    for body in [MessageBody::Envelope, MessageBody::Raw] {
        let body: Value = serde_json::from_slice(&webhook(message, body)).unwrap();
        let mut found = Vec::new();
        strings(&body, "", &mut found);
        let mut links = found.iter().filter(|(name, _)| *name == "link");
        assert!(links.all(|(_, link)| link.starts_with(server)));
    }
}

#[test]
fn nothing_that_a_job_wrote_acts_in_a_message() {
    for text in NASTY {
        let one = of([nasty(text)]);
        check(&message(&one));
        let two = of([nasty(text), nasty(text)]);
        check(&message(&two));
    }
}

#[test]
fn a_message_of_the_longest_texts_fits_its_medium() {
    let long: String = NASTY.join(" ").repeat(400);
    let parcel: Parcel = of((0..200).map(|_| nasty(&long)));
    check(&message(&parcel));
    let mail = mail(&message(&parcel));
    assert!(mail.html.len() < 400_000, "{}", mail.html.len());
}

#[test]
fn a_link_is_a_page_of_this_server_whatever_it_says() {
    for link in [
        "//evil.example/x",
        "https://evil.example",
        "/a\" onclick=x",
        "",
        "javascript:x",
    ] {
        let parcel = of([Notification {
            link: link.to_owned(),
            ..blocked()
        }]);
        check(&message(&parcel));
        let body = webhook(&message(&parcel), MessageBody::Raw);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["link"], "https://runward.example.com/");
    }
}

proptest! {
    #[test]
    fn any_text_is_harmless_everywhere(texts in prop::collection::vec(".{0,400}", 1..12), at: i64, repeats: i64) {
        let parcel: Parcel = texts
            .iter()
            .map(|text| Notification { at, repeats, severity: Severity::High, ..nasty(text) })
            .collect();
        check(&Message { created_at: at, ..message(&parcel) });
        check(&Message { created_at: NOW, ..message(&parcel) });
    }
}
