//! A message for Slack, and for what understands the same.
//!
//! It stands in it twice: as blocks, in which text is never markup, and as text, for notifications on phones and for
//! programs that know no blocks. In the text, characters that could begin a mention or a link are escaped or broken up.

use runward_store::Notification;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::message::Message;
use crate::words::{label, moment, more, plain, repeats, severity};

/// Notifications that one message tells one by one; Slack takes 50 blocks.
const TOLD: usize = 10;
/// Characters of a sentence, and of a detail; Slack takes 3,000 of a text.
const SENTENCE_MAX: usize = 500;
const DETAIL_MAX: usize = 200;

/// What Slack answered, without its status. Its words are letters, digits and `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlackAnswer {
    /// It was posted.
    Posted,
    /// It was not, for a reason that Slack names, and that may pass.
    NotNow(String),
    /// It was not, for a reason that Slack names.
    Refused(String),
    /// This is no answer of Slack's.
    Unknown,
}

/// What `chat.postMessage` answers.
#[derive(Deserialize)]
struct Answer {
    ok: bool,
    #[serde(default)]
    error: String,
}

/// The message as JSON; `channel` is named to apps, and not to addresses that Slack gave out for one channel.
pub fn slack(message: &Message<'_>, channel: Option<&str>) -> Value {
    let told = &message.parcel.told;
    let left = message.parcel.count() - i64::try_from(told.len().min(TOLD)).unwrap_or(0);
    let mut blocks = Vec::new();
    let mut lines = Vec::new();
    if message.alone().is_none() {
        let title = message.title();
        lines.push(harmless(&title));
        blocks.push(json!({
            "type": "header",
            "text": { "type": "plain_text", "text": title, "emoji": false },
        }));
    }
    for notification in told.iter().take(TOLD) {
        blocks.push(block(message, notification));
        lines.push(line(message, notification));
    }
    if left > 0 {
        lines.push(format!("… {}: {}", more(left), own(&message.detections())));
        blocks.push(rich(vec![
            said("… "),
            json!({ "type": "link", "url": message.detections(), "text": more(left) }),
        ]));
    }
    let mut payload = json!({
        "text": lines.join("\n"),
        "mrkdwn": false,
        "blocks": blocks,
        "unfurl_links": false,
        "unfurl_media": false,
    });
    if let Some(channel) = channel {
        payload["channel"] = json!(channel);
    }
    payload
}

fn block(message: &Message<'_>, notification: &Notification) -> Value {
    if message.is_test() {
        return rich(vec![said(&format!("{}.", sentence(notification)))]);
    }
    let mut elements = vec![
        bold(severity(notification.severity)),
        said(&format!("  {}.", sentence(notification))),
    ];
    for detail in &notification.details {
        elements.push(said("\n"));
        elements.push(bold(&format!("{}: ", label(detail))));
        elements.push(said(&plain(&detail.value, DETAIL_MAX)));
    }
    elements.push(said(&format!("\n{}", moment(notification.at))));
    if let Some(repeats) = repeats(notification) {
        elements.push(said(&format!("\n{repeats}.")));
    }
    elements.push(said("\n"));
    elements.push(json!({
        "type": "link", "url": message.evidence(notification), "text": "Open the evidence",
    }));
    rich(elements)
}

/// A block in which every element says itself what it is.
fn rich(elements: Vec<Value>) -> Value {
    json!({
        "type": "rich_text",
        "elements": [{ "type": "rich_text_section", "elements": elements }],
    })
}

fn said(text: &str) -> Value {
    json!({ "type": "text", "text": text })
}

fn bold(text: &str) -> Value {
    json!({ "type": "text", "text": text, "style": { "bold": true } })
}

fn sentence(notification: &Notification) -> String {
    plain(&notification.sentence, SENTENCE_MAX)
}

fn line(message: &Message<'_>, notification: &Notification) -> String {
    let sentence = harmless(&sentence(notification));
    if message.is_test() {
        return format!("{sentence}.");
    }
    let known = notification.details.iter();
    let known: Vec<String> = known
        .map(|detail| {
            let value = plain(&detail.value, DETAIL_MAX);
            format!("{}: {}", label(detail), harmless(&value))
        })
        .collect();
    let mut parts = vec![format!("{}: {sentence}.", severity(notification.severity))];
    parts.extend(known);
    parts.extend(repeats(notification).map(|repeats| format!("{repeats}.")));
    parts.push(own(&message.evidence(notification)));
    parts.join("\n")
}

/// Text in which nothing is a mention, a link or markup: neither to Slack, which takes `<!channel>` and `<url|text>`, nor
/// to others, which take `@all`, `#channel`, `:emoji:` and `[text](url)`. A space without width stands where one would
/// begin.
fn harmless(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 16);
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '`' | '*' | '~' => escaped.push(apart(c)),
            '(' if before == ']' => escaped.push_str("\u{200b}("),
            '/' if before == ':' => escaped.push_str("\u{200b}/"),
            '@' => escaped.push_str("@\u{200b}"),
            '#' => escaped.push_str("#\u{200b}"),
            c => escaped.push(c),
        }
        before = c;
    }
    escaped
}

/// An address of this server's own, which may be a link.
fn own(address: &str) -> String {
    address.replace('&', "&amp;")
}

/// A character that looks the same and marks nothing up.
fn apart(c: char) -> char {
    match c {
        '`' => 'ˋ',
        '*' => '∗',
        _ => '∼',
    }
}

/// Reads the answer of `chat.postMessage`, or of an address that Slack gave out, which is a word.
pub fn slack_answer(body: &str) -> SlackAnswer {
    let body = body.trim();
    let word = match serde_json::from_str::<Answer>(body) {
        Ok(Answer { ok: true, .. }) => return SlackAnswer::Posted,
        Ok(Answer { error, .. }) => error,
        Err(_) if body == "ok" => return SlackAnswer::Posted,
        Err(_) => body.to_owned(),
    };
    // Only a word is told to people: the other side may answer anything.
    let is_word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if word.is_empty() || word.len() > 60 || !word.bytes().all(is_word) {
        return SlackAnswer::Unknown;
    }
    match word.as_str() {
        "ratelimited"
        | "rate_limited"
        | "internal_error"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org"
        | "rollup_error" => SlackAnswer::NotNow(word),
        _ => SlackAnswer::Refused(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_job_becomes_a_mention_a_link_or_markup() {
        for (text, said) in [
            (
                "<!channel> & <@U1>",
                "&lt;!channel&gt; &amp; &lt;@\u{200b}U1&gt;",
            ),
            (
                "<https://evil.example|here>",
                "&lt;https:\u{200b}//evil.example|here&gt;",
            ),
            ("@all me@x", "@\u{200b}all me@\u{200b}x"),
            ("#general", "#\u{200b}general"),
            (
                "[x](http://evil.example)",
                "[x]\u{200b}(http:\u{200b}//evil.example)",
            ),
            ("`rm` *b* ~s~", "ˋrmˋ ∗b∗ ∼s∼"),
            ("/usr/bin/a_b", "/usr/bin/a_b"),
        ] {
            assert_eq!(harmless(text), said, "{text}");
        }
    }

    #[test]
    fn answers_are_told_apart_and_nothing_but_a_word_is_repeated() {
        let refused = |word: &str| SlackAnswer::Refused(word.to_owned());
        let not_now = |word: &str| SlackAnswer::NotNow(word.to_owned());
        for (body, answer) in [
            ("ok", SlackAnswer::Posted),
            (r#"{"ok":true,"ts":"1.2"}"#, SlackAnswer::Posted),
            (
                r#"{"error":"channel_not_found", "ok": false}"#,
                refused("channel_not_found"),
            ),
            (
                r#"{"ok":false,"error":"ratelimited"}"#,
                not_now("ratelimited"),
            ),
            ("no_service\n", refused("no_service")),
            ("rollup_error", not_now("rollup_error")),
            (r#"{"ok":false,"error":"<b>x"}"#, SlackAnswer::Unknown),
            (r#"{"ok":false}"#, SlackAnswer::Unknown),
            ("<html>", SlackAnswer::Unknown),
            ("", SlackAnswer::Unknown),
        ] {
            assert_eq!(slack_answer(body), answer, "{body}");
        }
    }
}
