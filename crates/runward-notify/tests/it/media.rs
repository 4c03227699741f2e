use insta::{assert_json_snapshot, assert_snapshot};
use runward_notify::{mail, slack, teams, test, webhook};
use runward_store::{MessageBody, Parcel};
use serde_json::Value;

use crate::sample::{NOW, blocked, many, message, of, overwritten};

fn tried() -> Parcel {
    of([test("On call", "ada", "main", NOW)])
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[test]
fn a_mail_says_it_in_text_and_in_html() {
    let parcel = of([blocked()]);
    let mail = mail(&message(&parcel));
    assert_snapshot!("mail_subject", mail.subject);
    assert_snapshot!("mail_text", mail.text);
    assert_snapshot!("mail_html", mail.html);
    write_out("one", &mail.html);
}

#[test]
fn a_mail_with_many_things_has_the_first_ones_and_counts_the_rest() {
    let parcel = many();
    let mail = mail(&message(&parcel));
    assert_snapshot!("mail_many_subject", mail.subject);
    assert!(
        mail.text
            .contains("… and 20 more that this message has no room for: https://")
    );
    assert_eq!(mail.html.matches("Open the evidence").count(), 30);
    let parcel = of([overwritten(), blocked()]);
    let two = runward_notify::mail(&message(&parcel));
    assert_snapshot!("mail_two_text", two.text);
    write_out("two", &two.html);
    write_out("many", &mail.html);
}

#[test]
fn a_test_says_that_it_is_one_in_every_medium() {
    let parcel = tried();
    let tried = mail(&message(&parcel));
    assert_snapshot!("mail_test_subject", tried.subject);
    assert_snapshot!("mail_test_text", tried.text);
    write_out("test", &tried.html);
    assert_json_snapshot!("slack_test", slack(&message(&parcel), None));
    assert_json_snapshot!("teams_test", teams(&message(&parcel)));
    let body = webhook(&message(&parcel), MessageBody::Envelope);
    assert_json_snapshot!("webhook_test", parsed(&body));
}

#[test]
fn slack_gets_blocks_and_the_same_as_text() {
    let parcel = of([blocked()]);
    assert_json_snapshot!("slack_one", slack(&message(&parcel), Some("#alerts")));
    let all = many();
    let told = slack(&message(&all), None);
    // A header, ten things, and the rest; Slack takes 50 blocks and 40,000 characters.
    assert_eq!(told["blocks"].as_array().unwrap().len(), 12);
    assert!(told["text"].as_str().unwrap().len() < 40_000);
    assert!(told.to_string().contains("and 40 more"));
}

#[test]
fn teams_gets_an_adaptive_card() {
    let parcel = of([blocked()]);
    assert_json_snapshot!("teams_one", teams(&message(&parcel)));
    let parcel = of([overwritten(), blocked()]);
    assert_json_snapshot!("teams_two", teams(&message(&parcel)));
    assert!(teams(&message(&many())).to_string().contains("and 42 more"));
}

#[test]
fn a_program_gets_an_envelope_or_the_thing_itself() {
    let parcel = of([overwritten(), blocked()]);
    let body = webhook(&message(&parcel), MessageBody::Envelope);
    assert_json_snapshot!("webhook_envelope", parsed(&body));
    let parcel = of([blocked()]);
    let body = webhook(&message(&parcel), MessageBody::Raw);
    assert_json_snapshot!("webhook_raw", parsed(&body));
    let merged = parsed(&webhook(&message(&many()), MessageBody::Raw));
    assert_eq!(merged["kind"], "merged");
    assert_eq!(merged["notifications"].as_array().unwrap().len(), 30);
    assert_eq!(merged["more"], 20);
    assert_eq!(
        merged["sentence"],
        "50 things to look at in Acme, and 20 more that this message has no room for"
    );
}

/// Keeps a mail as a file to look at, where `RUNWARD_MAILS` names a folder.
fn write_out(name: &str, html: &str) {
    if let Some(folder) = std::env::var_os("RUNWARD_MAILS") {
        let file = std::path::Path::new(&folder).join(format!("{name}.html"));
        std::fs::write(file, html).unwrap();
    }
}
