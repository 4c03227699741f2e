//! One channel: the form that makes it, and its own page with the same form.

use askama::Template;
use runward_store::{
    Channel, ChannelKind, Fault, MessageBody, Millis, ProjectId, ProjectSummary, RunScope, Severity,
};

use super::hostile::Text;
use super::moment::Moment;
use super::notifications::{HealthCell, address, kind_name, log_of};
use super::query::{self, Pairs};
use super::runs::{Choice, project_choices};
use super::shell::{Section, Shell};
use crate::notify::{ChannelDraft, Every, NAME_MAX, QUIET_MAX, usual_quiet};

/// Characters of a field that are kept when it is shown again: more than any that could be saved.
const TYPED: usize = 4_000;

/// What stands in the form, as it was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelForm {
    name: String,
    to: String,
    url: String,
    token: String,
    slack_channel: String,
    app: String,
    app_key: String,
    header: String,
    bucket: String,
    region: String,
    key_id: String,
    secret_key: String,
    runs: String,
    neutral: bool,
    project: String,
    all_kinds: bool,
    kinds: Vec<String>,
    least: String,
    every: String,
    quiet: String,
    body: String,
    on: bool,
}

impl ChannelForm {
    /// That of a new channel.
    pub(crate) fn empty(kind: ChannelKind) -> ChannelForm {
        ChannelForm {
            all_kinds: true,
            quiet: usual_quiet(kind).to_string(),
            on: true,
            ..ChannelForm::default()
        }
    }

    /// Reads the pairs of a form.
    pub(crate) fn parse(pairs: &Pairs) -> ChannelForm {
        let typed = |name: &str| -> String {
            let value = query::values(pairs, name).next().unwrap_or_default();
            value.trim().chars().take(TYPED).collect()
        };
        ChannelForm {
            name: typed("name"),
            to: typed("to"),
            url: typed("url"),
            token: typed("token"),
            slack_channel: typed("slack_channel"),
            app: typed("app"),
            app_key: typed("app_key"),
            header: typed("header"),
            bucket: typed("bucket"),
            region: typed("region"),
            key_id: typed("key_id"),
            secret_key: typed("secret_key"),
            runs: typed("runs"),
            neutral: typed("conclusion") == "neutral",
            project: typed("project"),
            all_kinds: typed("kinds") != "some",
            kinds: query::values(pairs, "kind").map(str::to_owned).collect(),
            least: typed("least"),
            every: typed("every"),
            quiet: typed("quiet"),
            body: typed("body"),
            on: query::flag(pairs, "on"),
        }
    }

    /// What a channel is now. Secrets stay where they are: their fields are empty.
    pub(crate) fn of(channel: &Channel, hour: Millis) -> ChannelForm {
        let draft = ChannelDraft::of(channel, hour);
        ChannelForm {
            name: draft.name,
            to: match channel.kept.kind {
                ChannelKind::Email => channel.kept.target.clone(),
                _ => String::new(),
            },
            project: draft.project.map(|id| id.0.to_string()).unwrap_or_default(),
            all_kinds: draft.kinds.is_none(),
            kinds: draft.kinds.unwrap_or_default(),
            least: draft.least.word().to_owned(),
            every: draft.every.word().to_owned(),
            quiet: draft.quiet_hours.to_string(),
            body: draft.body.word().to_owned(),
            runs: draft.runs.map_or("", RunScope::word).to_owned(),
            neutral: draft.neutral,
            on: draft.on,
            ..ChannelForm::default()
        }
    }

    /// The channel that it asks for. What can't be read at all becomes what the draft refuses.
    pub(crate) fn draft(&self) -> ChannelDraft {
        ChannelDraft {
            name: self.name.clone(),
            project: match self.project.as_str() {
                "" => None,
                text => Some(ProjectId(text.parse().unwrap_or(0))),
            },
            kinds: (!self.all_kinds).then(|| self.kinds.clone()),
            least: Severity::parse(&self.least).unwrap_or_default(),
            every: Every::parse(&self.every).unwrap_or_default(),
            quiet_hours: match self.quiet.as_str() {
                // The form of a check does not ask for it.
                "" if !self.runs.is_empty() && self.every.is_empty() => 0,
                hours => hours.parse().unwrap_or(-1),
            },
            body: MessageBody::parse(&self.body).unwrap_or_default(),
            on: self.on,
            to: self.to.clone(),
            url: self.url.clone(),
            token: self.token.clone(),
            slack_channel: self.slack_channel.clone(),
            app: self.app.clone(),
            app_key: self.app_key.clone(),
            header: self.header.clone(),
            bucket: self.bucket.clone(),
            region: self.region.clone(),
            key_id: self.key_id.clone(),
            secret_key: self.secret_key.clone(),
            runs: RunScope::parse(&self.runs),
            neutral: self.neutral,
        }
    }
}

/// What the form needs to be shown.
pub(crate) struct FormParts<'a> {
    pub(crate) kind: ChannelKind,
    pub(crate) form: &'a ChannelForm,
    pub(crate) faults: &'a [Fault],
    /// Kinds of detections that there are.
    pub(crate) kinds: &'a [String],
    pub(crate) projects: &'a [ProjectSummary],
    /// Whether this server can send mail.
    pub(crate) has_mail: bool,
}

/// The fields of a channel; `templates/part/channel_form.html` shows them.
struct Fields {
    kind: ChannelKind,
    name: Input,
    /// Where it leads.
    target: Vec<Input>,
    has_mail: bool,
    /// Of which runs it can be told; empty where of none.
    runs: Vec<Choice>,
    runs_fault: Option<String>,
    neutral: bool,
    all_kinds: bool,
    kinds: Vec<Choice>,
    kinds_fault: Option<String>,
    least: Vec<Choice>,
    projects: Vec<Choice>,
    every: Vec<Choice>,
    every_fault: Option<String>,
    quiet: Input,
    quiet_max: i64,
    bodies: Vec<Choice>,
    on: bool,
    name_max: usize,
}

struct Input {
    name: &'static str,
    label: &'static str,
    hint: String,
    value: String,
    fault: Option<String>,
    /// Whether it is shown as dots.
    secret: bool,
    /// Whether it is typed into several lines.
    lines: bool,
    required: bool,
}

impl Fields {
    fn new(parts: &FormParts<'_>, kept: Option<&Channel>) -> Fields {
        let form = parts.form;
        let fault = |at: &str| {
            let found = parts.faults.iter().find(|fault| fault.at == at);
            found.map(|fault| sentence(&fault.why))
        };
        let input = |name, label, hint: &str, value: &str| Input {
            name,
            label,
            hint: hint.to_owned(),
            value: value.to_owned(),
            fault: fault(name),
            secret: false,
            lines: false,
            required: kept.is_none(),
        };
        let mut kinds: Vec<&String> = parts.kinds.iter().chain(&form.kinds).collect();
        kinds.sort();
        kinds.dedup();
        let named = |value: &str, label: &str, chosen: &str| Choice {
            value: value.to_owned(),
            label: label.to_owned(),
            chosen: value == chosen,
        };
        Fields {
            kind: parts.kind,
            name: Input {
                required: true,
                ..input("name", "Name", "By which people will know it.", &form.name)
            },
            target: target(parts, kept, &input),
            has_mail: parts.has_mail,
            runs: RUNS
                .iter()
                .filter(|(scope, _)| *scope != RunScope::None || parts.kind.tells_detections())
                .filter(|_| parts.kind.tells_outcomes())
                .map(|(scope, label)| named(scope.word(), label, &form.runs))
                .collect(),
            runs_fault: fault("runs"),
            neutral: form.neutral,
            all_kinds: form.all_kinds,
            kinds: kinds
                .into_iter()
                .map(|kind| Choice {
                    value: kind.clone(),
                    label: Text::new(kind, 60).plain().to_owned(),
                    chosen: form.kinds.contains(kind),
                })
                .collect(),
            kinds_fault: fault("kinds"),
            least: LEAST
                .iter()
                .map(|(value, label)| named(value, label, &form.least))
                .collect(),
            projects: project_choices(parts.projects, form.project.parse().ok()),
            every: EVERY
                .iter()
                .map(|(every, label)| named(every.word(), label, &form.every))
                .collect(),
            every_fault: fault("pace"),
            quiet: Input {
                name: "quiet",
                required: true,
                fault: fault("quiet_hours"),
                ..input(
                    "quiet",
                    "The same again (hours)",
                    "Within so many hours it is counted, and the count is told with the next. 0 tells it each time.",
                    &form.quiet,
                )
            },
            quiet_max: QUIET_MAX,
            bodies: BODIES
                .iter()
                .map(|(body, label)| named(body.word(), label, &form.body))
                .collect(),
            on: form.on,
            name_max: NAME_MAX,
        }
    }

    fn is_webhook(&self) -> bool {
        self.kind == ChannelKind::Webhook
    }

    fn tells_detections(&self) -> bool {
        self.kind.tells_detections()
    }

    fn is_check(&self) -> bool {
        self.kind == ChannelKind::GithubCheck
    }

    fn is_mail(&self) -> bool {
        self.kind == ChannelKind::Email
    }

    fn kind_word(&self) -> &'static str {
        self.kind.word()
    }
}

/// The fields that say where a channel leads.
fn target(
    parts: &FormParts<'_>,
    kept: Option<&Channel>,
    input: &impl Fn(&'static str, &'static str, &str, &str) -> Input,
) -> Vec<Input> {
    let form = parts.form;
    let secret = |name, label, hint: &str, value: &str| {
        let hint = match kept {
            None => hint.to_owned(),
            Some(kept) => format!(
                "It leads to {}. Leave this empty to keep it.",
                Text::new(&kept.kept.target, 80).plain()
            ),
        };
        Input {
            secret: true,
            ..input(name, label, &hint, value)
        }
    };
    let api = |of_new: &str, of_kept: &str| Input {
        required: false,
        ..input(
            "url",
            "Server",
            if kept.is_some() { of_kept } else { of_new },
            "",
        )
    };
    // A secret that was typed and not taken is typed again: a page does not repeat it.
    match parts.kind {
        ChannelKind::Email => vec![Input {
            lines: true,
            ..input(
                "to",
                "To",
                "Addresses, separated by commas or lines; at most 20.",
                &form.to,
            )
        }],
        ChannelKind::Slack => vec![secret(
            "url",
            "Address",
            "The webhook URL that Slack shows for the channel: https://hooks.slack.com/services/…",
            "",
        )],
        ChannelKind::SlackBot => vec![
            secret(
                "token",
                "Token of the bot",
                "It begins with xoxb-, and needs the scope chat:write.",
                "",
            ),
            input(
                "slack_channel",
                "Channel",
                match kept {
                    None => "As #alerts, or its id. The bot has to be in it.",
                    Some(_) => "As #alerts, or its id. Leave this empty to keep it.",
                },
                &form.slack_channel,
            ),
        ],
        ChannelKind::Teams => vec![secret(
            "url",
            "Address",
            "The URL that a workflow of Teams shows, with the trigger “When a Teams webhook request is received”.",
            "",
        )],
        ChannelKind::Webhook => vec![secret(
            "url",
            "Address",
            "Where your program listens: https://…, port 443 or from 1024 on.",
            "",
        )],
        ChannelKind::Syslog => vec![input(
            "url",
            "Address",
            match kept {
                None => "As tls://host:6514, or tcp://host:514 in the clear.",
                Some(_) => "As tls://host:6514, or tcp://host:514. Leave this empty to keep it.",
            },
            "",
        )],
        ChannelKind::OtlpLogs => vec![
            secret(
                "url",
                "Address",
                "Where the collector takes OTLP over HTTP: https://host:4318, or with another path than /v1/logs.",
                "",
            ),
            Input {
                required: false,
                ..secret(
                    "header",
                    "Header",
                    "What shows who sends, if the collector asks for it: Authorization: Bearer …",
                    "",
                )
            },
        ],
        ChannelKind::S3 => {
            let keep = "Leave this empty to keep it.";
            let says = |of_new: &'static str| if kept.is_some() { keep } else { of_new };
            vec![
                input(
                    "bucket",
                    "Bucket",
                    says("As s3://bucket/prefix."),
                    &form.bucket,
                ),
                api(
                    "Leave this empty for Amazon S3. For another store: https://HOST.",
                    "Leave this empty to keep it. For another one, enter the key, too.",
                ),
                Input {
                    required: false,
                    ..input("region", "Region", says("As eu-central-1."), &form.region)
                },
                input(
                    "key_id",
                    "Access key",
                    says("Its name (access key ID)."),
                    "",
                ),
                secret(
                    "secret_key",
                    "Secret of the access key",
                    "It needs to put objects, and nothing else.",
                    "",
                ),
            ]
        }
        ChannelKind::GithubCheck => vec![
            api(
                "Leave this empty for github.com. For a server of your own: https://HOST.",
                "Leave this empty to keep it. For another one, enter the key, too.",
            ),
            input(
                "app",
                "App",
                match kept {
                    None => "The app's id, as its page at GitHub shows it.",
                    Some(_) => "The app's id. Leave this empty to keep it.",
                },
                &form.app,
            ),
            Input {
                lines: true,
                ..secret(
                    "app_key",
                    "Private key of the app",
                    "The whole file that GitHub made, from -----BEGIN to its end.",
                    "",
                )
            },
        ],
        ChannelKind::GitlabStatus => vec![
            api(
                "Leave this empty for gitlab.com. For a server of your own: https://HOST.",
                "Leave this empty to keep it. For another one, enter the token, too.",
            ),
            secret(
                "token",
                "Token",
                "Of a project or a group, with the role Developer and the scope api.",
                "",
            ),
        ],
    }
}

/// A clause as a sentence.
fn sentence(clause: &str) -> String {
    let mut chars = clause.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars).chain(['.']).collect()
}

/// `/o/{org}/settings/notifications/new`: the kinds to choose from, or the form of one.
///
/// Its form goes to `settings/notifications`, with csrf and channel (the kind).
#[derive(Template)]
#[template(path = "channel_new.html")]
pub(crate) struct NewChannelPage {
    shell: Shell,
    settings_href: String,
    list_href: String,
    action: String,
    kinds: Vec<KindCard>,
    fields: Option<Fields>,
    /// Whether anything is wrong.
    faulty: bool,
}

struct KindCard {
    name: &'static str,
    about: &'static str,
    href: String,
    /// What is missing for it.
    lacks: Option<&'static str>,
}

impl NewChannelPage {
    /// The choice between kinds.
    pub(crate) fn choose(shell: Shell, has_mail: bool) -> NewChannelPage {
        let shell = shell.titled("New channel", Section::Settings);
        let new = shell.at(&["settings", "notifications", "new"]);
        NewChannelPage {
            kinds: ChannelKind::ALL
                .into_iter()
                .map(|kind| KindCard {
                    name: kind_name(kind),
                    about: kind_about(kind),
                    href: new.clone().with("channel", kind.word()).to_string(),
                    lacks: (kind == ChannelKind::Email && !has_mail).then_some(
                        "This server has no mail server yet: its setting smtp-server names one.",
                    ),
                })
                .collect(),
            ..NewChannelPage::framed(shell)
        }
    }

    /// The form of one kind.
    pub(crate) fn form(shell: Shell, parts: &FormParts<'_>) -> NewChannelPage {
        let title = format!("New channel: {}", kind_name(parts.kind));
        let shell = shell.titled(&title, Section::Settings);
        NewChannelPage {
            faulty: !parts.faults.is_empty(),
            fields: Some(Fields::new(parts, None)),
            ..NewChannelPage::framed(shell)
        }
    }

    fn framed(shell: Shell) -> NewChannelPage {
        NewChannelPage {
            settings_href: shell.at(&["settings"]).to_string(),
            list_href: address(&shell).to_string(),
            action: address(&shell).to_string(),
            kinds: Vec::new(),
            fields: None,
            faulty: false,
            shell,
        }
    }
}

fn kind_about(kind: ChannelKind) -> &'static str {
    match kind {
        ChannelKind::Email => "Text and HTML, through the mail server of this server's settings.",
        ChannelKind::Slack => {
            "To one channel, by an incoming webhook. What understands the same, such as Mattermost, works, too."
        }
        ChannelKind::SlackBot => "To any channel that the app's bot is in, by its token.",
        ChannelKind::Teams => "To a channel or chat, by a workflow; as an adaptive card.",
        ChannelKind::Webhook => "To a program of yours: JSON, signed as Standard Webhooks has it.",
        ChannelKind::Syslog => {
            "To a system log or a SIEM: RFC 5424 over TLS or TCP, in the Common Event Format."
        }
        ChannelKind::OtlpLogs => "To a collector of OpenTelemetry's: logs in JSON over HTTP.",
        ChannelKind::S3 => "To a bucket: objects with an OCSF event in each line.",
        ChannelKind::GithubCheck => {
            "To pull requests: whether their jobs made a call that they should not have. By an app of yours."
        }
        ChannelKind::GitlabStatus => {
            "To merge requests: whether their jobs made a call that they should not have. By a token."
        }
    }
}

/// What the page of a channel shows.
pub(crate) struct ChannelParts<'a> {
    pub(crate) channel: &'a Channel,
    pub(crate) form: FormParts<'a>,
    /// Right after a signing secret was made, and then only.
    pub(crate) signing: Option<String>,
}

/// `/o/{org}/settings/notifications/{id}`.
///
/// Its forms go to itself, with csrf and action=save|test|on|off|renew|remove.
#[derive(Template)]
#[template(path = "channel.html")]
pub(crate) struct ChannelPage {
    shell: Shell,
    settings_href: String,
    list_href: String,
    log_href: String,
    action: String,
    name: Text,
    kind: &'static str,
    target: Text,
    on: bool,
    created: Moment,
    created_by: Text,
    health: HealthCell,
    signing: Option<String>,
    fields: Fields,
    faulty: bool,
}

impl ChannelPage {
    /// Everything of the page.
    pub(crate) fn new(shell: Shell, parts: ChannelParts<'_>, now: Millis) -> ChannelPage {
        let channel = parts.channel;
        let kept = &channel.kept;
        let shell = shell.titled(&kept.name, Section::Settings);
        let id = channel.id.to_string();
        ChannelPage {
            settings_href: shell.at(&["settings"]).to_string(),
            list_href: address(&shell).to_string(),
            log_href: log_of(&shell, channel.id),
            action: shell.at(&["settings", "notifications", &id]).to_string(),
            name: Text::new(&kept.name, 100),
            kind: kind_name(kept.kind),
            target: Text::new(&kept.target, 200),
            on: kept.on,
            created: Moment::ago(channel.created_at, now),
            created_by: Text::new(&channel.created_by, 60),
            health: HealthCell::new(&shell, channel, now),
            signing: parts.signing,
            faulty: !parts.form.faults.is_empty(),
            fields: Fields::new(&parts.form, Some(channel)),
            shell,
        }
    }
}

/// The values of the form's field `least`, with what they mean.
const LEAST: [(&str, &str); 4] = [
    ("low", "low: everything"),
    ("medium", "medium and above"),
    ("high", "high and above"),
    ("critical", "critical only"),
];

/// The values of the form's field `body`, with what they mean.
const BODIES: [(MessageBody, &str); 3] = [
    (MessageBody::Envelope, "an envelope with the notifications"),
    (
        MessageBody::Raw,
        "each notification by itself, without envelope",
    ),
    (MessageBody::Ocsf, "a list of OCSF events"),
];

/// The values of the form's field `runs`, with what they mean.
const RUNS: [(RunScope, &str); 3] = [
    (RunScope::None, "is not told"),
    (RunScope::Requests, "of pull and merge requests"),
    (RunScope::All, "of every commit"),
];

/// The values of the form's field `every`, with what they mean.
const EVERY: [(Every, &str); 3] = [
    (Every::Time, "at once"),
    (Every::Hour, "every full hour, together"),
    (Every::Day, "every midnight (UTC), together"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_becomes_a_draft() {
        let pairs: Vec<(String, String)> = [
            ("name", " On call "),
            ("url", "https://hooks.example/x"),
            ("kinds", "some"),
            ("kind", "a"),
            ("kind", "b"),
            ("least", "high"),
            ("every", "daily"),
            ("quiet", "7"),
            ("project", "3"),
            ("body", "raw"),
            ("on", "1"),
        ]
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
        let draft = ChannelForm::parse(&pairs).draft();
        assert_eq!(
            draft,
            ChannelDraft {
                name: "On call".to_owned(),
                project: Some(ProjectId(3)),
                kinds: Some(vec!["a".to_owned(), "b".to_owned()]),
                least: Severity::High,
                every: Every::Day,
                quiet_hours: 7,
                body: MessageBody::Raw,
                on: true,
                url: "https://hooks.example/x".to_owned(),
                ..ChannelDraft::default()
            }
        );
        let none = ChannelForm::parse(&[]).draft();
        assert_eq!((none.kinds, none.quiet_hours, none.on), (None, -1, false));
        for (kind, quiet) in [(ChannelKind::Email, 24), (ChannelKind::Syslog, 0)] {
            let empty = ChannelForm::empty(kind).draft();
            assert_eq!(
                (empty.kinds, empty.quiet_hours, empty.on),
                (None, quiet, true)
            );
        }
    }
}
