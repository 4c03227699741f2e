//! Sending one message to one target.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use runward_notify::{
    Failure, FailureKind, HookUrl, Message, SlackAnswer, Target, TargetError, mail, otlp_logs,
    otlp_rejected, signature, slack, slack_answer, syslog, teams, webhook,
};
use runward_store::{Channel, Millis, Sealed};
use serde_json::Value;
use tokio::sync::Notify;

use super::bucket;
use super::github::{self, Tokens};
use super::gitlab::{self, Access};
use super::lines::Lines;
use super::post::Post;
use super::reach::Reach;
use super::seal::{Seal, SealError};
use crate::config::Config;

/// What sends messages.
pub(crate) struct Teller {
    seal: Seal,
    reach: Reach,
    lines: Lines,
    post: Option<Post>,
    /// Where apps of Slack post.
    slack: Option<HookUrl>,
    /// Of apps of GitHub's.
    tokens: Tokens,
    /// Tells who sends that something new may wait.
    pub(super) news: Notify,
}

/// Why a channel can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TellError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Target(#[from] TargetError),
}

impl Teller {
    pub(crate) fn new(config: &Config) -> anyhow::Result<Teller> {
        let notify = &config.notify;
        let ca = notify.ca.as_deref();
        let post = notify.smtp.as_ref();
        let post = post.map(|smtp| Post::new(smtp, ca, &config.public_url, notify.patience));
        Ok(Teller {
            seal: Seal::new(config),
            reach: Reach::new(&notify.allowed, ca, notify.patience)?,
            lines: Lines::new(&notify.allowed, ca, notify.patience)?,
            post: post.transpose()?,
            slack: notify.slack.clone(),
            tokens: Tokens::default(),
            news: Notify::new(),
        })
    }

    /// Whether mail can be sent.
    pub(crate) fn has_mail(&self) -> bool {
        self.post.is_some()
    }

    /// Something new may wait.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// By which the key is known that secrets are sealed with.
    pub(super) fn key(&self) -> Result<&str, SealError> {
        self.seal.name()
    }

    /// Seals what is secret of a target, for the channel of this uid.
    pub(crate) fn seal(&self, uid: &str, target: &Target) -> Result<Option<Sealed>, SealError> {
        let secret = target.secret();
        secret.map(|text| self.seal.seal(uid, &text)).transpose()
    }

    /// Where a channel leads.
    pub(crate) fn target(&self, channel: &Channel, config: &Config) -> Result<Target, TellError> {
        let kept = &channel.kept;
        let secret = kept.secret.as_ref();
        let secret = secret.map(|sealed| self.seal.open(&channel.uid, sealed));
        let secret = secret.transpose()?;
        let allowed = &config.notify.allowed;
        Ok(Target::kept(
            kept.kind,
            &kept.target,
            secret.as_deref(),
            allowed,
        )?)
    }

    /// Sends a message of a channel to where it leads.
    pub(super) async fn send(
        &self,
        channel: &Channel,
        target: &Target,
        message: &Message<'_>,
        now: Millis,
    ) -> Result<(), Failure> {
        match target {
            Target::Email(people) => {
                let Some(post) = &self.post else {
                    let error = "this server has no mail server: its setting smtp-server names one";
                    return Err(refused(error));
                };
                post.send(message.id, people, mail(message), now).await
            }
            Target::Slack(url) => self.post_to_slack(url, &slack(message, None), None).await,
            Target::SlackBot { token, channel } => {
                let Some(url) = &self.slack else {
                    return Err(refused("Slack's API can't be called"));
                };
                let payload = slack(message, Some(channel));
                self.post_to_slack(url, &payload, Some(token)).await
            }
            Target::Teams(url) => {
                let answer = self.reach.send(url, json(), body(&teams(message)), false);
                answer.await?.judge()
            }
            Target::Webhook { url, keys } => {
                let body = webhook(message, channel.kept.body);
                let seconds = now.div_euclid(1_000);
                let mut headers = json();
                for (name, value) in [
                    ("webhook-id", message.id.to_owned()),
                    ("webhook-timestamp", seconds.to_string()),
                    (
                        "webhook-signature",
                        signature(keys, message.id, seconds, &body),
                    ),
                ] {
                    // All of them are letters, digits and signs of this server's own.
                    if let Ok(value) = HeaderValue::from_str(&value) {
                        headers.insert(HeaderName::from_static(name), value);
                    }
                }
                self.reach.send(url, headers, body, false).await?.judge()
            }
            Target::OtlpLogs { url, header } => {
                let mut headers = json();
                if let Some(given) = header {
                    let name = HeaderName::from_bytes(given.name.as_bytes());
                    let value = HeaderValue::from_str(&given.value);
                    let (Ok(name), Ok(mut value)) = (name, value) else {
                        return Err(refused("the header can't be sent"));
                    };
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                let logs = body(&otlp_logs(message));
                let answer = self.reach.send(url, headers, logs, true).await?;
                answer.judge()?;
                match otlp_rejected(&answer.body) {
                    0 => Ok(()),
                    n => {
                        let error = format!("the collector rejected {n} of the records");
                        Err(answer.failure(error, FailureKind::Final))
                    }
                }
            }
            Target::S3(to) => {
                let (client, patience) = self.reach.client();
                bucket::put(client, patience, to, message).await
            }
            Target::Syslog(log) => self.lines.send(log, &syslog(message)).await,
            Target::GithubCheck { api, app, key } => {
                let app = github::App {
                    channel: &channel.uid,
                    api,
                    id: app,
                    key,
                };
                // A test has no commit to stand at.
                let Some(outcome) = &message.parcel.outcome else {
                    return github::try_app(&self.reach, app, now).await;
                };
                let what = (outcome.as_ref(), channel.kept.neutral);
                github::set_check(&self.reach, &self.tokens, app, message, what, now).await
            }
            Target::GitlabStatus { api, token } => {
                let access = Access { api, token };
                let Some(outcome) = &message.parcel.outcome else {
                    return gitlab::try_token(&self.reach, access).await;
                };
                gitlab::set_status(&self.reach, access, message, outcome).await
            }
        }
    }

    async fn post_to_slack(
        &self,
        url: &HookUrl,
        payload: &Value,
        token: Option<&str>,
    ) -> Result<(), Failure> {
        let mut headers = json();
        if let Some(token) = token {
            let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|_| refused("the token can't be sent"))?;
            bearer.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, bearer);
        }
        let answer = self.reach.send(url, headers, body(payload), true).await?;
        let judged = answer.judge();
        match (slack_answer(&answer.body), judged) {
            (SlackAnswer::Posted, judged) => judged,
            (SlackAnswer::NotNow(why), _) => {
                let error = format!("Slack answered {}: {why}", answer.status);
                Err(answer.failure(error, FailureKind::Passing))
            }
            (SlackAnswer::Refused(why), Err(failure)) => {
                let error = format!("{}: {why}", failure.error);
                Err(Failure { error, ..failure })
            }
            // An app is answered with 200 whatever came of it.
            (SlackAnswer::Refused(why), Ok(())) if token.is_some() => {
                let error = format!("Slack refused it: {why}");
                Err(answer.failure(error, FailureKind::Refused))
            }
            (SlackAnswer::Unknown, Ok(())) if token.is_some() => {
                let error = "what answered is not Slack".to_owned();
                Err(answer.failure(error, FailureKind::Passing))
            }
            // Others that understand the same need not answer the same.
            (SlackAnswer::Unknown | SlackAnswer::Refused(_), judged) => judged,
        }
    }
}

/// Something that trying again hardly helps.
pub(super) fn refused(error: &str) -> Failure {
    Failure {
        error: error.to_owned(),
        kind: FailureKind::Refused,
        after: None,
    }
}

fn json() -> HeaderMap {
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(header::CONTENT_TYPE, kind);
    headers
}

fn body(payload: &Value) -> Vec<u8> {
    payload.to_string().into_bytes()
}

/// By which whoever gets a message twice knows that it is the same.
pub(super) fn message_id(channel: &Channel, message: i64) -> String {
    format!("msg_{}_{message}", channel.uid)
}
