use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::examples;

/// How a message gets to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelKind {
    /// By mail.
    Email,
    /// To an address that Slack gave out for one of its channels.
    Slack,
    /// To a channel of Slack, as an app of the workspace.
    SlackBot,
    /// To an address that a workflow of Microsoft Teams gave out.
    Teams,
    /// To a program, signed.
    Webhook,
    /// To a system log elsewhere: RFC 5424 over TCP or TLS, in the Common Event Format.
    Syslog,
    /// To a collector of OpenTelemetry's: logs in JSON over HTTP.
    OtlpLogs,
    /// To a bucket: objects with an event of OCSF in each line.
    S3,
    /// To the commit that a job built, as a check of GitHub's.
    GithubCheck,
    /// To the commit that a job built, as a status of GitLab's.
    GitlabStatus,
}

/// Of which runs a channel is told how they came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelRuns {
    /// Of none.
    None,
    /// Of those of pull and merge requests.
    Requests,
    /// Of all.
    All,
}

/// How much something matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Low,
    /// Worth a look.
    Medium,
    /// A build's result may not be what its source says, or secrets may be gone.
    High,
    /// They are.
    Critical,
}

/// How often a channel gets a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelPace {
    /// As soon as there is something to tell.
    #[default]
    AtOnce,
    /// With what an hour brought, at its end.
    Hourly,
    /// With what a day brought, at its end in UTC.
    Daily,
}

/// What is around the notifications that a webhook gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookBody {
    /// `{"type":…,"timestamp":…,"data":{"notifications":[…]}}`.
    #[default]
    Envelope,
    /// Nothing: one notification by itself, at once.
    Raw,
    /// A list of events of the Open Cybersecurity Schema Framework: Detection Finding (2004), and Scan Activity (6007)
    /// for jobs that ended.
    Ocsf,
}

/// Where people are told, and of what. What is secret of it is told nobody again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// How messages get there.
    pub kind: ChannelKind,
    /// Where it leads: addresses of people, or the host and the last characters of a secret address.
    pub target: String,
    /// The only project that it is told of.
    pub project_id: Option<i64>,
    /// The only kinds that it is told of.
    pub kinds: Option<Vec<String>>,
    /// The mildest severity that it is told of.
    pub least_severity: Severity,
    /// How often it gets a message.
    pub pace: ChannelPace,
    /// The same is told once in so many hours; what comes again is counted, and the count told with the next.
    pub quiet_hours: i64,
    /// What is around the notifications of a webhook.
    pub body: WebhookBody,
    /// Of which runs it is told how they came out.
    pub runs: ChannelRuns,
    /// Whether the check of a job that did not pass is neither good nor bad.
    pub neutral: bool,
    /// Whether it is told anything.
    pub on: bool,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at_ms: i64,
    /// When a message arrived last.
    pub delivered_at_ms: Option<i64>,
    /// When a message did not arrive last.
    pub failed_at_ms: Option<i64>,
    /// And why.
    pub error: Option<String>,
    /// How many did not arrive in a row.
    pub failures: i64,
    /// Messages that wait.
    pub waiting: i64,
    /// Messages that were given up.
    pub dead: i64,
    /// Repeats that were held back, and are not told yet.
    pub held: i64,
}

/// All channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Channels {
    /// The channels.
    pub channels: Vec<Channel>,
}

/// A channel that is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = examples::channel())]
pub struct NewChannel {
    /// What people will call it.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// How messages get there.
    pub kind: ChannelKind,
    /// For mail: who gets it.
    #[serde(default)]
    #[schemars(length(max = 20))]
    pub to: Vec<String>,
    /// For `slack`, `teams`, `webhook` and `otlp-logs`: the address, which has to be `https`. It is a secret. For `github-check` and
    /// `gitlab-status`: where the API is, if it is not that of github.com or gitlab.com. For `syslog`: `tls://host:port` or
    /// `tcp://host:port`.
    #[serde(default)]
    pub url: Option<String>,
    /// For `slack-bot`: the app's token. For `gitlab-status`: a token with the scope `api`. It is a secret.
    #[serde(default)]
    pub token: Option<String>,
    /// For `slack-bot`: the channel's name or id.
    #[serde(default)]
    pub slack_channel: Option<String>,
    /// For `github-check`: the app's id.
    #[serde(default)]
    pub app_id: Option<String>,
    /// For `github-check`: the app's private key, in PEM. It is a secret.
    #[serde(default)]
    pub app_key: Option<String>,
    /// For `otlp-logs`: a header that shows who sends, as `Name: value`. It is a secret.
    #[serde(default)]
    pub header: Option<String>,
    /// For `s3`: `s3://bucket/prefix`; the store is at `url`, or Amazon's own.
    #[serde(default)]
    pub bucket: Option<String>,
    /// For `s3`: the region that requests are signed for; `us-east-1` if it is not given.
    #[serde(default)]
    pub region: Option<String>,
    /// For `s3`: the name of the key that may put objects.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// For `s3`: that key. It is a secret.
    #[serde(default)]
    pub secret_access_key: Option<String>,
    /// For `github-check` and `gitlab-status`: the runs of `requests`, unless `all` is given. For what else is read by
    /// programs (`webhook`, `syslog`, `otlp-logs`, `s3`):
    /// `none`, unless something else is given.
    #[serde(default)]
    pub runs: Option<ChannelRuns>,
    /// For `github-check`: the check of a job that did not pass is `neutral`, and not `failure`.
    #[serde(default)]
    pub neutral: bool,
    /// The only project that it is told of.
    #[serde(default)]
    pub project_id: Option<i64>,
    /// The only kinds that it is told of; all if it is not given, also those to come.
    #[serde(default)]
    pub kinds: Option<Vec<String>>,
    /// The mildest severity that it is told of.
    #[serde(default)]
    pub least_severity: Severity,
    /// How often it gets a message.
    #[serde(default)]
    pub pace: ChannelPace,
    /// The same is told once in so many hours; 0 tells it each time. If it is not given: 24, and 0 for `syslog`,
    /// `otlp-logs` and `s3`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 720))]
    pub quiet_hours: Option<i64>,
    /// What is around the notifications of a webhook.
    #[serde(default)]
    pub body: WebhookBody,
    /// Whether it is told anything.
    #[serde(default = "yes")]
    pub on: bool,
}

fn yes() -> bool {
    true
}

/// A channel that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CreatedChannel {
    /// The channel.
    pub channel: Channel,
    /// For a webhook: what messages are signed with. This is the only time that it is told.
    pub signing_secret: Option<String>,
}

/// What is to become of a channel. What is not given stays as it is; `null` for a project or for kinds means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(example = examples::channel_change())]
pub struct ChannelChange {
    /// See [`NewChannel::name`].
    #[schemars(length(min = 1, max = 100))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// See [`NewChannel::to`].
    #[schemars(length(max = 20))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<String>>,
    /// See [`NewChannel::url`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// See [`NewChannel::token`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// See [`NewChannel::slack_channel`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_channel: Option<String>,
    /// See [`NewChannel::app_id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// See [`NewChannel::app_key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_key: Option<String>,
    /// See [`NewChannel::header`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// See [`NewChannel::bucket`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// See [`NewChannel::region`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// See [`NewChannel::access_key_id`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// See [`NewChannel::secret_access_key`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_access_key: Option<String>,
    /// See [`NewChannel::runs`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<ChannelRuns>,
    /// See [`NewChannel::neutral`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neutral: Option<bool>,
    /// See [`NewChannel::project_id`].
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<Option<i64>>,
    /// See [`NewChannel::kinds`].
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    pub kinds: Option<Option<Vec<String>>>,
    /// See [`NewChannel::least_severity`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub least_severity: Option<Severity>,
    /// See [`NewChannel::pace`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pace: Option<ChannelPace>,
    /// See [`NewChannel::quiet_hours`].
    #[schemars(range(min = 0, max = 720))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<i64>,
    /// See [`NewChannel::body`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<WebhookBody>,
    /// See [`NewChannel::on`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<bool>,
}

/// Tells `null` from what is not there.
pub(crate) fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(from).map(Some)
}

/// A signing secret that was just made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SigningSecret {
    /// The only time that it is told.
    pub signing_secret: String,
}

/// What came of trying a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// Whether the test arrived.
    pub delivered: bool,
    /// What went wrong, if it did not.
    pub error: Option<String>,
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryState {
    /// It has not arrived yet, and is still tried.
    Waiting,
    /// It has arrived.
    Delivered,
    /// It was given up; it can be sent again.
    Dead,
}

/// One message to one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The channel.
    pub channel_id: i64,
    /// The channel's name.
    pub channel: String,
    /// What has become of it.
    pub state: DeliveryState,
    /// Whether somebody tried the channel with it.
    pub test: bool,
    /// The gravest severity in it.
    pub severity: Severity,
    /// The first thing in it, in one sentence.
    pub what: String,
    /// How many things are in it.
    pub count: i64,
    /// When the first of them was found.
    pub created_at_ms: i64,
    /// When it is tried next, while it waits.
    pub due_at_ms: Option<i64>,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was tried last.
    pub attempted_at_ms: Option<i64>,
    /// When it arrived or was given up.
    pub ended_at_ms: Option<i64>,
    /// Why it did not arrive when it was tried last.
    pub error: Option<String>,
}

/// Messages, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deliveries {
    /// The messages.
    pub deliveries: Vec<Delivery>,
    /// Where the next page begins.
    pub next: Option<String>,
}
