//! A message for Microsoft Teams: an adaptive card, as workflows take it.
//!
//! Text blocks of a card read Markdown. So what a job can influence stands in text runs only, which do not.

use runward_store::{Notification, Severity};
use serde_json::{Value, json};

use crate::message::Message;
use crate::words::{label, moment, more, plain, repeats, severity};

/// Notifications that one message tells one by one; Teams takes 28 KB.
const TOLD: usize = 8;
/// Characters of a sentence, and of a detail.
const SENTENCE_MAX: usize = 300;
const DETAIL_MAX: usize = 100;

/// The message as JSON.
pub fn teams(message: &Message<'_>) -> Value {
    let told = &message.parcel.told;
    let left = message.parcel.count() - i64::try_from(told.len().min(TOLD)).unwrap_or(0);
    let mut body = Vec::new();
    if message.alone().is_none() {
        body.push(runs(vec![
            json!({ "type": "TextRun", "text": message.title(), "size": "Large", "weight": "Bolder" }),
        ]));
    }
    for notification in told.iter().take(TOLD) {
        body.push(container(message, notification));
    }
    if left > 0 {
        body.push(runs(vec![run(&format!("… {}", more(left)))]));
    }
    let (title, url) = match message.alone() {
        _ if message.is_test() => ("Open the settings", message.settings()),
        Some(only) => ("Open the evidence", message.evidence(only)),
        None => ("Open the detections", message.detections()),
    };
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "msteams": { "width": "Full" },
                "body": body,
                "actions": [{ "type": "Action.OpenUrl", "title": title, "url": url }],
            },
        }],
    })
}

fn container(message: &Message<'_>, notification: &Notification) -> Value {
    let sentence = format!("{}.", plain(&notification.sentence, SENTENCE_MAX));
    if message.is_test() {
        return runs(vec![run(&sentence)]);
    }
    let mut items = vec![runs(vec![
        json!({
            "type": "TextRun",
            "text": format!("{}  ", severity(notification.severity)),
            "weight": "Bolder",
            "color": colour(notification.severity),
        }),
        run(&sentence),
    ])];
    for detail in &notification.details {
        items.push(close(vec![
            subtle(&format!("{}: ", label(detail))),
            run(&plain(&detail.value, DETAIL_MAX)),
        ]));
    }
    items.push(close(vec![subtle(&moment(notification.at))]));
    if let Some(repeats) = repeats(notification) {
        items.push(close(vec![run(&format!("{repeats}."))]));
    }
    let mut container = json!({ "type": "Container", "separator": true, "items": items });
    // One thing alone has its link below the card.
    if message.alone().is_none() {
        container["selectAction"] = json!({
            "type": "Action.OpenUrl",
            "title": "Open the evidence",
            "url": message.evidence(notification),
        });
    }
    container
}

fn runs(inlines: Vec<Value>) -> Value {
    json!({ "type": "RichTextBlock", "inlines": inlines })
}

fn close(inlines: Vec<Value>) -> Value {
    json!({ "type": "RichTextBlock", "inlines": inlines, "spacing": "None" })
}

fn run(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text })
}

fn subtle(text: &str) -> Value {
    json!({ "type": "TextRun", "text": text, "isSubtle": true })
}

fn colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "Default",
        Severity::Medium => "Warning",
        Severity::High | Severity::Critical => "Attention",
    }
}
