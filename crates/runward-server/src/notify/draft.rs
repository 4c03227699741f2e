//! A channel as somebody asks for it, and what becomes of that.

use runward_notify::{
    Bucket, BucketText, Header, HookUrl, LogHost, SigningKey, Target, TargetError,
};
use runward_report::text::visible;
use runward_store::{
    Channel, ChannelKind, Fault, MessageBody, Millis, NewChannel, ProjectId, RunScope, Sealed,
    Severity, Wants,
};

use crate::app::App;
use crate::problem::Problem;

/// Characters of a name.
pub(crate) const NAME_MAX: usize = 100;
/// Kinds that are named.
const KINDS_MAX: usize = 50;
/// Characters of a kind.
const KIND_MAX: usize = 60;
/// The longest quiet time, in hours.
pub(crate) const QUIET_MAX: i64 = 720;

/// How long the same is quiet in a channel of which nothing is said, in hours.
pub(crate) fn usual_quiet(kind: ChannelKind) -> i64 {
    if kind.is_record() { 0 } else { 24 }
}

/// How often a channel gets a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Every {
    /// At once.
    #[default]
    Time,
    Hour,
    Day,
}

impl Every {
    pub(crate) const ALL: [Every; 3] = [Every::Time, Every::Hour, Every::Day];

    /// Its name in forms.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Every::Time => "at-once",
            Every::Hour => "hourly",
            Every::Day => "daily",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Every> {
        Every::ALL.into_iter().find(|every| every.word() == word)
    }

    fn millis(self, hour: Millis) -> Millis {
        match self {
            Every::Time => 0,
            Every::Hour => hour,
            Every::Day => 24 * hour,
        }
    }

    pub(crate) fn of(millis: Millis, hour: Millis) -> Every {
        match millis {
            ..=0 => Every::Time,
            millis if millis <= hour => Every::Hour,
            _ => Every::Day,
        }
    }
}

/// A channel as somebody asks for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChannelDraft {
    pub(crate) name: String,
    pub(crate) project: Option<ProjectId>,
    /// None for all, also those to come.
    pub(crate) kinds: Option<Vec<String>>,
    pub(crate) least: Severity,
    pub(crate) every: Every,
    pub(crate) quiet_hours: i64,
    pub(crate) body: MessageBody,
    pub(crate) on: bool,
    /// Who is mailed to.
    pub(crate) to: String,
    /// Where messages are sent to.
    pub(crate) url: String,
    /// The token of an app of Slack, and the channel.
    pub(crate) token: String,
    pub(crate) slack_channel: String,
    /// An app of GitHub's, and its private key.
    pub(crate) app: String,
    pub(crate) app_key: String,
    /// `Name: value`, for a collector.
    pub(crate) header: String,
    /// A bucket, and what it takes to sign requests to it.
    pub(crate) bucket: String,
    pub(crate) region: String,
    pub(crate) key_id: String,
    pub(crate) secret_key: String,
    /// Of which runs it is told; what is usual for its kind, where nothing is said.
    pub(crate) runs: Option<RunScope>,
    pub(crate) neutral: bool,
}

/// A channel that can be kept.
pub(crate) struct Drafted {
    pub(crate) uid: String,
    pub(crate) channel: NewChannel,
    /// What messages are signed with from now on, where that is new.
    pub(crate) signing: Option<SigningKey>,
}

impl ChannelDraft {
    /// What a channel is now, for who changes a part of it. Its target is kept as long as none is named.
    pub(crate) fn of(channel: &Channel, hour: Millis) -> ChannelDraft {
        let NewChannel { wants, .. } = &channel.kept;
        ChannelDraft {
            name: channel.kept.name.clone(),
            project: wants.project,
            kinds: wants.kinds.clone(),
            least: wants.least,
            every: Every::of(wants.every, hour),
            quiet_hours: wants.quiet / hour.max(1),
            body: channel.kept.body,
            on: channel.kept.on,
            runs: Some(wants.runs),
            neutral: channel.kept.neutral,
            ..ChannelDraft::default()
        }
    }

    /// Whether it names a target.
    pub(crate) fn leads_elsewhere(&self) -> bool {
        let all = [
            &self.to,
            &self.url,
            &self.token,
            &self.slack_channel,
            &self.app,
            &self.app_key,
            &self.header,
            &self.bucket,
            &self.region,
            &self.key_id,
            &self.secret_key,
        ];
        all.iter().any(|text| !text.trim().is_empty())
    }

    /// The new channel that it asks for.
    pub(crate) fn make(&self, app: &App, kind: ChannelKind) -> Result<Drafted, Refused> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|_| no_randomness())?;
        let uid: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut faults = self.faults(app, kind);
        let signing = match kind {
            ChannelKind::Webhook => Some(signing_key()?),
            _ => None,
        };
        let target = self.target(app, kind, None, signing.clone());
        let target = target.map_err(|fault| faults.push(fault)).ok();
        let Some(target) = target.filter(|_| faults.is_empty()) else {
            return Err(Refused::Faults(faults));
        };
        let secret = app.teller().seal(&uid, &target);
        let secret = secret.map_err(|error| sealing(&error.to_string()))?;
        Ok(Drafted {
            channel: self.kept(app, kind, target.shown(), secret),
            uid,
            signing,
        })
    }

    /// What a channel becomes by it.
    pub(crate) fn change(&self, app: &App, channel: &Channel) -> Result<NewChannel, Refused> {
        let kind = channel.kept.kind;
        let mut faults = self.faults(app, kind);
        let mut kept = (channel.kept.target.clone(), channel.kept.secret.clone());
        if self.leads_elsewhere() {
            // What was kept may be needed, and may be what can't be read any more.
            let known = app.teller().target(channel, app.config()).ok();
            match self.target(app, kind, known.as_ref(), None) {
                Ok(target) => {
                    let secret = app.teller().seal(&channel.uid, &target);
                    let secret = secret.map_err(|error| sealing(&error.to_string()))?;
                    kept = (target.shown(), secret);
                }
                Err(fault) => faults.push(fault),
            }
        }
        if !faults.is_empty() {
            return Err(Refused::Faults(faults));
        }
        let (target, secret) = kept;
        Ok(self.kept(app, kind, target, secret))
    }

    fn kept(
        &self,
        app: &App,
        kind: ChannelKind,
        target: String,
        secret: Option<Sealed>,
    ) -> NewChannel {
        let hour = app.config().notify.hour;
        NewChannel {
            name: self.name.trim().to_owned(),
            kind,
            target,
            secret,
            body: self.body,
            neutral: self.neutral,
            wants: if kind.tells_detections() {
                Wants {
                    project: self.project,
                    kinds: self.kinds.clone(),
                    least: self.least,
                    every: self.every.millis(hour),
                    quiet: self.quiet_hours.saturating_mul(hour),
                    runs: self.runs.unwrap_or(RunScope::None),
                }
            } else {
                Wants {
                    project: self.project,
                    kinds: None,
                    least: Severity::Low,
                    every: 0,
                    quiet: 0,
                    runs: self.runs.unwrap_or(RunScope::Requests),
                }
            },
            on: self.on,
        }
    }

    /// What is wrong with all but the target.
    fn faults(&self, app: &App, kind: ChannelKind) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut note = |at: &'static str, why: &str| {
            faults.push(Fault {
                at,
                why: why.to_owned(),
            });
        };
        let name = self.name.trim();
        if name.is_empty() {
            note(
                "name",
                "a channel needs a name, by which people will know it",
            );
        } else if name.chars().count() > NAME_MAX || visible(name) != name {
            note(
                "name",
                "a name has at most 100 characters, all of which can be seen",
            );
        }
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if let Some(kinds) = &self.kinds {
            let is_kind =
                |kind: &String| (1..=KIND_MAX).contains(&kind.len()) && kind.bytes().all(plain);
            if kinds.is_empty() {
                note("kinds", "name at least one kind, or take all");
            } else if kinds.len() > KINDS_MAX || !kinds.iter().all(is_kind) {
                note(
                    "kinds",
                    "a kind is a name such as outbound-call-blocked, and at most 50 can be named",
                );
            }
        }
        if !(0..=QUIET_MAX).contains(&self.quiet_hours) {
            note("quiet_hours", "this is between 0 and 720 hours");
        }
        match self.runs {
            Some(RunScope::Requests | RunScope::All) if !kind.tells_outcomes() => note(
                "runs",
                "only programs, and who stands at a commit, are told how jobs came out",
            ),
            Some(RunScope::None) if !kind.tells_detections() => note(
                "runs",
                "it would be told of nothing: take the runs of requests, or all",
            ),
            _ => {}
        }
        if self.neutral && kind != ChannelKind::GithubCheck {
            note("neutral", "only a check of GitHub's can be neutral");
        }
        if self.body != MessageBody::Envelope && kind != ChannelKind::Webhook {
            note("body", "only a webhook can get messages in another form");
        }
        if self.body == MessageBody::Raw && self.every != Every::Time {
            note(
                "pace",
                "a webhook without envelope gets each notification by itself, at once",
            );
        }
        if kind == ChannelKind::Email && !app.teller().has_mail() {
            note(
                "to",
                "this server has no mail server: its setting smtp-server names one",
            );
        }
        faults
    }

    /// The target that it names, with what it leaves out taken from the one that is known.
    fn target(
        &self,
        app: &App,
        kind: ChannelKind,
        known: Option<&Target>,
        signing: Option<SigningKey>,
    ) -> Result<Target, Fault> {
        let allowed = &app.config().notify.allowed;
        let url = || HookUrl::parse(&self.url, allowed);
        let target = match kind {
            ChannelKind::Email => Target::email(&self.to),
            ChannelKind::Slack => url().map(Target::Slack),
            ChannelKind::Syslog => LogHost::parse(&self.url, allowed).map(Target::Syslog),
            ChannelKind::Teams => url().map(Target::Teams),
            ChannelKind::SlackBot => {
                let (mut token, mut channel) = (self.token.as_str(), self.slack_channel.as_str());
                if let Some(Target::SlackBot {
                    token: known_token,
                    channel: known_channel,
                }) = known
                {
                    token = or(token, known_token);
                    channel = or(channel, known_channel);
                }
                Target::slack_bot(token, channel)
            }
            ChannelKind::Webhook => {
                let keys = match known {
                    Some(Target::Webhook { keys, .. }) => keys.clone(),
                    _ => signing.into_iter().collect(),
                };
                url().and_then(|url| match keys.is_empty() {
                    false => Ok(Target::Webhook { url, keys }),
                    true => Err(TargetError::Unreadable),
                })
            }
            ChannelKind::OtlpLogs => {
                let (mut url, mut header) = (self.url.as_str(), self.header.clone());
                if let Some(Target::OtlpLogs {
                    url: known_url,
                    header: known_header,
                }) = known
                    && url.trim().is_empty()
                {
                    url = known_url.as_str();
                    if header.trim().is_empty() {
                        let known = known_header.as_ref();
                        header = known.map(Header::text).unwrap_or_default();
                    }
                }
                Target::otlp_logs(url, &header, allowed)
            }
            ChannelKind::S3 => {
                let known = match known {
                    Some(Target::S3(bucket)) => Some((bucket, bucket.address())),
                    _ => None,
                };
                let mut text = BucketText {
                    bucket: &self.bucket,
                    endpoint: &self.url,
                    region: &self.region,
                    key_id: &self.key_id,
                    key: &self.secret_key,
                };
                if let Some((known, address)) = &known {
                    // A signature is no secret, but what is put is: it goes elsewhere with another key only.
                    if self.url.trim().is_empty() {
                        text.key_id = or(text.key_id, &known.key_id);
                        text.key = or(text.key, &known.key);
                    }
                    text.bucket = or(text.bucket, address);
                    text.endpoint = or(text.endpoint, known.own_endpoint());
                    text.region = or(text.region, &known.region);
                }
                Bucket::parse(&text, allowed).map(Target::S3)
            }
            ChannelKind::GithubCheck => {
                let (mut api, mut app) = (self.url.as_str(), self.app.as_str());
                let mut key = self.app_key.as_str();
                if let Some(Target::GithubCheck {
                    api: known_api,
                    app: known_app,
                    key: known_key,
                }) = known
                {
                    // What shows who somebody is goes to no other host than it was entered for.
                    if api.trim().is_empty() {
                        key = or(key, known_key.text());
                    }
                    api = or(api, known_api.as_str());
                    app = or(app, known_app);
                }
                Target::github_check(api, app, key, allowed)
            }
            ChannelKind::GitlabStatus => {
                let (mut api, mut token) = (self.url.as_str(), self.token.as_str());
                if let Some(Target::GitlabStatus {
                    api: known_api,
                    token: known_token,
                }) = known
                {
                    if api.trim().is_empty() {
                        token = or(token, known_token);
                    }
                    api = or(api, known_api.as_str());
                }
                Target::gitlab_status(api, token, allowed)
            }
        };
        target.map_err(|error| Fault {
            at: match (kind, &error) {
                (ChannelKind::Email, _) => "to",
                (ChannelKind::SlackBot, TargetError::NoSlackChannel) => "slack_channel",
                (ChannelKind::SlackBot, _) => "token",
                (_, TargetError::NoHeader) => "header",
                (_, TargetError::NoBucket) => "bucket",
                (_, TargetError::NoRegion) => "region",
                (_, TargetError::NoBucketKey) => "secret_key",
                (_, TargetError::NoApp) => "app",
                (_, TargetError::NoAppKey(_)) => "app_key",
                (_, TargetError::NoGitlabToken) => "token",
                _ => "url",
            },
            why: error.to_string(),
        })
    }
}

fn or<'a>(given: &'a str, known: &'a str) -> &'a str {
    match given.trim() {
        "" => known,
        given => given,
    }
}

/// Why a draft does not become a channel.
pub(crate) enum Refused {
    Faults(Vec<Fault>),
    Problem(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Refused {
        Refused::Problem(problem)
    }
}

fn no_randomness() -> Problem {
    Problem::unavailable("there is no randomness for a secret")
}

fn sealing(why: &str) -> Problem {
    tracing::error!(error = why, "a secret could not be sealed");
    Problem::unavailable(format!("secrets can't be kept: {why}"))
}

/// A new key for signatures.
pub(crate) fn signing_key() -> Result<SigningKey, Problem> {
    let mut random = [0; SigningKey::BYTES];
    getrandom::fill(&mut random).map_err(|_| no_randomness())?;
    Ok(SigningKey::new(random))
}

/// Gives a webhook another signing secret: from now on messages are signed with it, and with the last one as well, so
/// that whoever checks signatures can change over.
pub(crate) fn sign_anew(app: &App, channel: &Channel) -> Result<(NewChannel, SigningKey), Problem> {
    let target = app.teller().target(channel, app.config());
    let target = target.map_err(|error| Problem::not_possible(error.to_string()))?;
    let Target::Webhook { url, keys } = target else {
        return Err(Problem::not_possible(
            "only messages to webhooks are signed",
        ));
    };
    let key = signing_key()?;
    let last = keys.into_iter().next();
    let keys = [key.clone()].into_iter().chain(last).collect();
    let secret = app
        .teller()
        .seal(&channel.uid, &Target::Webhook { url, keys });
    let secret = secret.map_err(|error| sealing(&error.to_string()))?;
    let changed = NewChannel {
        secret,
        ..channel.kept.clone()
    };
    Ok((changed, key))
}
