//! Where a message goes.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

use crate::address::Allowed;
use crate::app_key::{AppKey, AppKeyError};
use crate::bucket::{Bucket, BucketText};
use crate::sign::SigningKey;

/// Bytes of an address that messages are sent to.
const URL_MAX: usize = 2_000;
/// People that one channel mails to.
const PEOPLE_MAX: usize = 20;
/// Bytes of an address of mail (RFC 5321, 4.5.3.1.3, without the brackets).
const MAILBOX_MAX: usize = 254;
/// Bytes of a token, and of the name of a channel of Slack.
const TOKEN_MAX: usize = 300;
const SLACK_CHANNEL_MAX: usize = 80;
/// Characters of a secret by which people recognise it; too few to guess the rest.
const HINT: usize = 4;
/// Where the APIs of the hosted services are.
const GITHUB: &str = "https://api.github.com";
const GITLAB: &str = "https://gitlab.com";
/// Where they are on a host of one's own.
const GITHUB_PATH: &str = "/api/v3";
const GITLAB_PATH: &str = "/api/v4";
/// The least port beside 443 that is called: below are services that others than their own clients must not speak to.
const PORT_MIN: u16 = 1024;
/// Ports below that where system logs listen (RFC 6587, RFC 3195).
const LOG_PORTS: [u16; 2] = [514, 601];
/// Bytes of a header's name and value.
const HEADER_NAME_MAX: usize = 100;
const HEADER_MAX: usize = 2_000;
/// Headers by which a request is read, and which are not for somebody to set.
const HEADERS_OF_HTTP: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Where a message goes. What is secret of it does not show in `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// To people, by mail.
    Email(Vec<String>),
    /// To an address that Slack gave out.
    Slack(HookUrl),
    /// To a channel of Slack, with the token of an app.
    SlackBot {
        /// The app's token.
        token: String,
        /// The channel's name or id.
        channel: String,
    },
    /// To an address that a workflow of Microsoft Teams gave out.
    Teams(HookUrl),
    /// To a program.
    Webhook {
        /// Where it listens.
        url: HookUrl,
        /// What messages are signed with, the newest first.
        keys: Vec<SigningKey>,
    },
    /// To a system log.
    Syslog(LogHost),
    /// To a collector of OpenTelemetry's.
    OtlpLogs {
        /// Where it listens.
        url: HookUrl,
        /// What shows who sends, if something does.
        header: Option<Header>,
    },
    /// To a bucket.
    S3(Bucket),
    /// To commits at GitHub, as an app.
    GithubCheck {
        /// Where the API is.
        api: HookUrl,
        /// The app's id.
        app: String,
        /// The app's private key.
        key: AppKey,
    },
    /// To commits at GitLab.
    GitlabStatus {
        /// Where the API is.
        api: HookUrl,
        /// A token that may set statuses.
        token: String,
    },
}

/// Why messages can't be sent there: a clause for who asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It is no address at all.
    #[error("this is no address: write it as https://host/path")]
    NoUrl,
    /// It is not spoken to over TLS.
    #[error("messages are sent over TLS only: the address has to begin with https://")]
    NotHttps,
    /// It holds a name and password.
    #[error("an address with a name and password in front of the host is not taken")]
    WithPassword,
    /// It is longer than any.
    #[error("the address is longer than {URL_MAX} bytes")]
    TooLong,
    /// Its port is that of another service.
    #[error("the port has to be 443, or {PORT_MIN} and above")]
    Port,
    /// It is in a network that is not public.
    #[error(
        "{0} is not an address of the public internet; whoever runs the server can allow its network with --notify-allow"
    )]
    NotPublic(IpAddr),
    /// Nobody is named.
    #[error("name who is mailed to: addresses, separated by commas or lines")]
    Nobody,
    /// There are too many people.
    #[error("at most {PEOPLE_MAX} addresses are taken: mail to a list in their place")]
    TooManyPeople,
    /// It is no address of mail.
    #[error("`{0}` is not an address of mail, such as alerts@example.com")]
    NoMailbox(String),
    /// It is no token of Slack's.
    #[error("this is no token of a bot: it begins with `xoxb-`")]
    NoToken,
    /// It is no channel of Slack's.
    #[error("name a channel of Slack, as #alerts or by its id")]
    NoSlackChannel,
    /// It is no address of a system log.
    #[error("this is no address of a system log: write it as tls://host:6514 or tcp://host:514")]
    NoLog,
    /// Its port is that of another service.
    #[error("the port of a system log has to be 514, 601, or {PORT_MIN} and above")]
    LogPort,
    /// It is no header of a request.
    #[error("this is no header: write it as Name: value, such as Authorization: Bearer …")]
    NoHeader,
    /// It is no bucket.
    #[error("this is no bucket: write it as s3://bucket/prefix")]
    NoBucket,
    /// It is no region.
    #[error("this is no region: write it as eu-central-1")]
    NoRegion,
    /// There is no key for the bucket.
    #[error("name the key that may put objects into the bucket, and enter its secret")]
    NoBucketKey,
    /// It is no id of an app of GitHub's.
    #[error("name the app by the id that its page at GitHub shows")]
    NoApp,
    /// It is no key of an app.
    #[error(transparent)]
    NoAppKey(#[from] AppKeyError),
    /// It is no token of GitLab's.
    #[error("this is no token: it has up to {TOKEN_MAX} letters, digits and `-_.`")]
    NoGitlabToken,
    /// What was kept can't be read any more.
    #[error("what was kept of this channel can't be read: enter its address again")]
    Unreadable,
}

/// An address to send messages to: `https`, of a host that may be called as far as the address alone tells. A name's
/// addresses are checked when they are connected to.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUrl(Url);

impl HookUrl {
    /// Reads an address.
    pub fn parse(text: &str, allowed: &Allowed) -> Result<HookUrl, TargetError> {
        let text = text.trim();
        if text.len() > URL_MAX {
            return Err(TargetError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| TargetError::NoUrl)?;
        if url.scheme() != "https" {
            return Err(TargetError::NotHttps);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::WithPassword);
        }
        if url.port().is_some_and(|port| port < PORT_MIN) {
            return Err(TargetError::Port);
        }
        let address = match url.host() {
            None | Some(Host::Domain("")) => return Err(TargetError::NoUrl),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
        };
        if let Some(address) = address.filter(|address| !allowed.lets(*address)) {
            return Err(TargetError::NotPublic(address));
        }
        Ok(HookUrl(url))
    }

    /// The address itself, which is a secret.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The API below a host, or at this very address: what it is at `usual` if the text is empty, and at `path` of a host
    /// of which nothing else is named.
    fn api(text: &str, usual: &str, path: &str, allowed: &Allowed) -> Result<HookUrl, TargetError> {
        let text = text.trim().trim_end_matches('/');
        let text = if text.is_empty() { usual } else { text };
        // What people see of it, and what programs call.
        let text = if text == "https://github.com" {
            GITHUB
        } else {
            text
        };
        let mut url = HookUrl::parse(text, allowed)?;
        if url.0.query().is_some() || url.0.fragment().is_some() {
            return Err(TargetError::NoUrl);
        }
        let is_api = url.host().starts_with("api.");
        if url.0.path() == "/" && !is_api {
            url.0.set_path(path);
        }
        Ok(url)
    }

    /// An address below this one. Each segment is one, whatever is in it.
    pub fn below(&self, segments: &[&str], query: &[(&str, &str)]) -> HookUrl {
        let mut url = self.0.clone();
        // An address with a host has segments.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        HookUrl(url)
    }

    /// The same, if it names a host and nothing below it.
    pub(crate) fn bare(self) -> Result<HookUrl, TargetError> {
        let bare = self.0.path() == "/" && self.0.query().is_none() && self.0.fragment().is_none();
        bare.then_some(self).ok_or(TargetError::NoUrl)
    }

    /// What of it may be shown: the host, and its last characters.
    pub fn hint(&self) -> String {
        format!("{} {}", self.host(), tail(self.as_str()))
    }

    fn host(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }
}

/// Where a system log listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHost {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether it is spoken to over TLS.
    pub tls: bool,
}

impl LogHost {
    /// Reads `tls://host:port` or `tcp://host:port`.
    pub fn parse(text: &str, allowed: &Allowed) -> Result<LogHost, TargetError> {
        let text = text.trim();
        let (tls, rest) = match (text.strip_prefix("tls://"), text.strip_prefix("tcp://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => return Err(TargetError::NoLog),
        };
        if text.len() > URL_MAX {
            return Err(TargetError::TooLong);
        }
        // Read as an address of the web is, in which a host has one spelling.
        let url = Url::parse(&format!("https://{rest}")).map_err(|_| TargetError::NoLog)?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::NoLog);
        }
        let host = match url.host() {
            None | Some(Host::Domain("")) => return Err(TargetError::NoLog),
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(v4)) => may_be_called(v4.into(), allowed)?,
            Some(Host::Ipv6(v6)) => may_be_called(v6.into(), allowed)?,
        };
        let port = url.port().ok_or(TargetError::NoLog)?;
        if !LOG_PORTS.contains(&port) && port < PORT_MIN {
            return Err(TargetError::LogPort);
        }
        Ok(LogHost { host, port, tls })
    }
}

/// A header that shows who sends, which is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name, in small letters.
    pub name: String,
    /// What it says.
    pub value: String,
}

impl Header {
    /// Reads `Name: value`; none if there is nothing.
    pub fn parse(text: &str) -> Result<Option<Header>, TargetError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let (name, value) = text.split_once(':').ok_or(TargetError::NoHeader)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let word = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let fits = (1..=HEADER_NAME_MAX).contains(&name.len())
            && name.bytes().all(word)
            && !HEADERS_OF_HTTP.contains(&name.as_str())
            && (1..=HEADER_MAX).contains(&value.len())
            && value.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !fits {
            return Err(TargetError::NoHeader);
        }
        Ok(Some(Header {
            name,
            value: value.to_owned(),
        }))
    }

    /// As it is written.
    pub fn text(&self) -> String {
        format!("{}: {}", self.name, self.value)
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Display for LogHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls" } else { "tcp" };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]:{}", self.host, self.port),
            false => write!(f, "{scheme}://{}:{}", self.host, self.port),
        }
    }
}

fn may_be_called(address: IpAddr, allowed: &Allowed) -> Result<String, TargetError> {
    match allowed.lets(address) {
        true => Ok(address.to_string()),
        false => Err(TargetError::NotPublic(address)),
    }
}

impl fmt::Debug for HookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hint())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

/// The last characters of a secret, where it is long enough to keep the rest.
fn tail(secret: &str) -> String {
    let length = secret.chars().count();
    if length < 4 * HINT {
        return "…".to_owned();
    }
    let tail: String = secret.chars().skip(length - HINT).collect();
    format!("…{tail}")
}

/// What is secret of a target, as it is sealed.
#[derive(Default, Serialize, Deserialize)]
struct Secret {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    app_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    header: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
}

impl Target {
    /// Mail to these people.
    pub fn email(text: &str) -> Result<Target, TargetError> {
        let all = text.split([',', ';', '\n', '\r', ' ', '\t']);
        let mut people: Vec<String> = Vec::new();
        for address in all.filter(|part| !part.is_empty()) {
            if !is_mailbox(address) {
                let shown = address.chars().take(80).collect();
                return Err(TargetError::NoMailbox(shown));
            }
            if !people.iter().any(|known| known == address) {
                people.push(address.to_owned());
            }
        }
        match people.len() {
            0 => Err(TargetError::Nobody),
            1..=PEOPLE_MAX => Ok(Target::Email(people)),
            _ => Err(TargetError::TooManyPeople),
        }
    }

    /// A channel of Slack, as an app of the workspace.
    pub fn slack_bot(token: &str, channel: &str) -> Result<Target, TargetError> {
        let (token, channel) = (token.trim(), channel.trim());
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if !token.starts_with("xoxb-") || token.len() > TOKEN_MAX || !token.bytes().all(plain) {
            return Err(TargetError::NoToken);
        }
        let odd = |c: char| c.is_whitespace() || c.is_control() || "<>&,;\"".contains(c);
        let bare = channel.trim_start_matches('#');
        if bare.is_empty() || channel.len() > SLACK_CHANNEL_MAX || channel.contains(odd) {
            return Err(TargetError::NoSlackChannel);
        }
        Ok(Target::SlackBot {
            token: token.to_owned(),
            channel: channel.to_owned(),
        })
    }

    /// A collector of OpenTelemetry's: at `/v1/logs` of a host, unless something else is named.
    pub fn otlp_logs(url: &str, header: &str, allowed: &Allowed) -> Result<Target, TargetError> {
        let mut url = HookUrl::parse(url, allowed)?;
        if url.0.path() == "/" {
            url.0.set_path("/v1/logs");
        }
        let header = Header::parse(header)?;
        Ok(Target::OtlpLogs { url, header })
    }

    /// Checks of GitHub's, by an app.
    pub fn github_check(
        api: &str,
        app: &str,
        key: &str,
        allowed: &Allowed,
    ) -> Result<Target, TargetError> {
        let app = app.trim();
        // A number, or a client id such as Iv23liAbCd.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'.';
        if !(1..=64).contains(&app.len()) || !app.bytes().all(plain) {
            return Err(TargetError::NoApp);
        }
        Ok(Target::GithubCheck {
            api: HookUrl::api(api, GITHUB, GITHUB_PATH, allowed)?,
            app: app.to_owned(),
            key: AppKey::parse(key)?,
        })
    }

    /// Statuses of GitLab's.
    pub fn gitlab_status(api: &str, token: &str, allowed: &Allowed) -> Result<Target, TargetError> {
        let token = token.trim();
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if !(1..=TOKEN_MAX).contains(&token.len()) || !token.bytes().all(plain) {
            return Err(TargetError::NoGitlabToken);
        }
        Ok(Target::GitlabStatus {
            api: HookUrl::api(api, GITLAB, GITLAB_PATH, allowed)?,
            token: token.to_owned(),
        })
    }

    /// What of it may be shown.
    pub fn shown(&self) -> String {
        match self {
            Target::Email(people) => people.join(", "),
            Target::Slack(url)
            | Target::Teams(url)
            | Target::Webhook { url, .. }
            | Target::OtlpLogs { url, .. } => url.hint(),
            Target::SlackBot { token, channel } => format!("{channel} {}", tail(token)),
            Target::Syslog(log) => log.to_string(),
            Target::S3(bucket) => format!("{} at {}", bucket.address(), bucket.endpoint.host()),
            Target::GithubCheck { api, app, .. } => format!("{} app {app}", api.host()),
            Target::GitlabStatus { api, token } => format!("{} {}", api.host(), tail(token)),
        }
    }

    /// What has to be sealed; none where nothing is secret.
    pub fn secret(&self) -> Option<String> {
        let secret = match self {
            Target::Email(_) | Target::Syslog(_) => return None,
            Target::Slack(url) | Target::Teams(url) => Secret {
                url: Some(url.as_str().to_owned()),
                ..Secret::default()
            },
            Target::SlackBot { token, channel } => Secret {
                token: Some(token.clone()),
                channel: Some(channel.clone()),
                ..Secret::default()
            },
            Target::Webhook { url, keys } => Secret {
                url: Some(url.as_str().to_owned()),
                keys: keys.iter().map(SigningKey::text).collect(),
                ..Secret::default()
            },
            Target::OtlpLogs { url, header } => Secret {
                url: Some(url.as_str().to_owned()),
                header: header.as_ref().map(Header::text),
                ..Secret::default()
            },
            Target::S3(bucket) => Secret {
                url: Some(bucket.endpoint.as_str().to_owned()),
                bucket: Some(bucket.address()),
                region: Some(bucket.region.clone()),
                key_id: Some(bucket.key_id.clone()),
                token: Some(bucket.key.clone()),
                ..Secret::default()
            },
            Target::GithubCheck { api, app, key } => Secret {
                url: Some(api.as_str().to_owned()),
                app: Some(app.clone()),
                app_key: Some(key.text().to_owned()),
                ..Secret::default()
            },
            Target::GitlabStatus { api, token } => Secret {
                url: Some(api.as_str().to_owned()),
                token: Some(token.clone()),
                ..Secret::default()
            },
        };
        serde_json::to_string(&secret).ok()
    }

    /// The target of a channel of this kind, of what may be shown and what is secret.
    pub fn kept(
        kind: runward_store::ChannelKind,
        shown: &str,
        secret: Option<&str>,
        allowed: &Allowed,
    ) -> Result<Target, TargetError> {
        use runward_store::ChannelKind;

        if kind == ChannelKind::Email {
            return Target::email(shown);
        }
        if kind == ChannelKind::Syslog {
            return LogHost::parse(shown, allowed).map(Target::Syslog);
        }
        let secret = secret.ok_or(TargetError::Unreadable)?;
        let secret: Secret = serde_json::from_str(secret).map_err(|_| TargetError::Unreadable)?;
        if kind == ChannelKind::SlackBot {
            let (token, channel) = secret.token.zip(secret.channel).unwrap_or_default();
            return Target::slack_bot(&token, &channel);
        }
        // What is allowed may have changed since it was kept.
        let url = secret.url.ok_or(TargetError::Unreadable)?;
        match kind {
            ChannelKind::OtlpLogs => {
                let header = secret.header.unwrap_or_default();
                return Target::otlp_logs(&url, &header, allowed);
            }
            ChannelKind::S3 => {
                let text = |kept: &Option<String>| kept.clone().unwrap_or_default();
                let [bucket, region] = [text(&secret.bucket), text(&secret.region)];
                let [key_id, key] = [text(&secret.key_id), text(&secret.token)];
                let bucket = Bucket::parse(
                    &BucketText {
                        bucket: &bucket,
                        endpoint: &url,
                        region: &region,
                        key_id: &key_id,
                        key: &key,
                    },
                    allowed,
                );
                return bucket.map(Target::S3);
            }
            ChannelKind::GithubCheck => {
                let (app, key) = secret.app.zip(secret.app_key).unwrap_or_default();
                return Target::github_check(&url, &app, &key, allowed);
            }
            ChannelKind::GitlabStatus => {
                let token = secret.token.unwrap_or_default();
                return Target::gitlab_status(&url, &token, allowed);
            }
            _ => {}
        }
        let url = HookUrl::parse(&url, allowed)?;
        Ok(match kind {
            ChannelKind::Slack => Target::Slack(url),
            ChannelKind::Teams => Target::Teams(url),
            _ => {
                let keys = secret.keys.iter().map(|key| SigningKey::parse(key));
                let keys = keys.collect::<Result<Vec<_>, _>>();
                let keys = keys.map_err(|_| TargetError::Unreadable)?;
                Target::Webhook { url, keys }
            }
        })
    }
}

/// Whether mail can be sent there. Fewer forms than the standard has: quoted names are an invitation to read them
/// differently, and nobody has one.
fn is_mailbox(address: &str) -> bool {
    let Some((name, domain)) = address.rsplit_once('@') else {
        return false;
    };
    // RFC 5322, 3.2.3: `atext`.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    address.len() <= MAILBOX_MAX
        && (1..=64).contains(&name.len())
        && name.bytes().all(plain)
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..")
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use runward_store::ChannelKind;

    use super::*;

    fn url(text: &str) -> Result<String, TargetError> {
        HookUrl::parse(text, &Allowed::default()).map(|url| url.as_str().to_owned())
    }

    #[test]
    fn an_address_is_https_and_may_be_called() {
        for good in [
            "https://hooks.example/services/T0/B0/x",
            "https://hooks.example:8443/x?sig=1",
            "https://8.8.8.8/x",
            "https://[2606:4700::1111]/",
        ] {
            assert_eq!(url(good).as_deref(), Ok(good));
        }
        let loopback = TargetError::NotPublic([127, 0, 0, 1].into());
        for (bad, why) in [
            ("", TargetError::NoUrl),
            ("hooks.example", TargetError::NoUrl),
            ("https://", TargetError::NoUrl),
            ("http://hooks.example/", TargetError::NotHttps),
            ("file:///etc/passwd", TargetError::NotHttps),
            ("gopher://hooks.example/", TargetError::NotHttps),
            ("https://me@hooks.example/", TargetError::WithPassword),
            ("https://me:x@hooks.example/", TargetError::WithPassword),
            ("https://hooks.example:22/", TargetError::Port),
            ("https://hooks.example:80/", TargetError::Port),
            ("https://hooks.example:0/", TargetError::Port),
            ("https://hooks.example:99999/", TargetError::NoUrl),
            ("https://127.0.0.1/", loopback),
            (
                "https://0x7f.1/",
                TargetError::NotPublic([127, 0, 0, 1].into()),
            ),
            (
                "https://2130706433/",
                TargetError::NotPublic([127, 0, 0, 1].into()),
            ),
            (
                "https://0251.0376.0251.0376/",
                TargetError::NotPublic([169, 254, 169, 254].into()),
            ),
            (
                "https://[::ffff:10.0.0.1]/",
                TargetError::NotPublic("::ffff:10.0.0.1".parse().unwrap()),
            ),
        ] {
            assert_eq!(url(bad), Err(why), "{bad}");
        }
        // Read as whoever connects to it reads it.
        assert_eq!(
            url("https://a.example\\@127.0.0.1/").as_deref(),
            Ok("https://a.example/@127.0.0.1/")
        );
        let long = format!("https://hooks.example/{}", "x".repeat(URL_MAX));
        assert_eq!(url(&long), Err(TargetError::TooLong));
        let allowed = Allowed(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(HookUrl::parse("https://127.0.0.1:8000/", &allowed).is_ok());
    }

    #[test]
    fn mail_goes_to_plain_addresses() {
        let people = Target::email(" a@b.example, c+d@e.example;\nf@g a@b.example").unwrap();
        assert_eq!(people.shown(), "a@b.example, c+d@e.example, f@g");
        assert_eq!(Target::email(&people.shown()), Ok(people.clone()));
        assert_eq!(people.secret(), None);
        assert_eq!(Target::email(" ,\n"), Err(TargetError::Nobody));
        for bad in [
            "a",
            "@b.example",
            "a@",
            "a@b..example",
            "a@-b.example",
            "\"a\"@b.example",
            "a@[127.0.0.1]",
            "a\u{0}@b.example",
            "<a@b.example>",
            ".a@b.example",
            "a@b@c.example",
            "é@b.example",
        ] {
            assert!(
                matches!(Target::email(bad), Err(TargetError::NoMailbox(_))),
                "{bad}"
            );
        }
        let many: Vec<String> = (0..21).map(|n| format!("{n}@b.example")).collect();
        assert_eq!(
            Target::email(&many.join(",")),
            Err(TargetError::TooManyPeople)
        );
    }

    #[test]
    fn what_is_kept_is_read_back_and_shows_no_secret() {
        let allowed = Allowed::default();
        let hook = || HookUrl::parse("https://hooks.example/services/secret-part", &allowed);
        let token = format!("{}-1234567890-abcdefWXYZ", "xoxb");
        let key = SigningKey::new([3; 32]);
        let all = [
            (ChannelKind::Email, Target::email("a@b.example").unwrap()),
            (ChannelKind::Slack, Target::Slack(hook().unwrap())),
            (
                ChannelKind::SlackBot,
                Target::slack_bot(&token, "#alerts").unwrap(),
            ),
            (ChannelKind::Teams, Target::Teams(hook().unwrap())),
            (
                ChannelKind::Webhook,
                Target::Webhook {
                    url: hook().unwrap(),
                    keys: vec![key.clone()],
                },
            ),
        ];
        for (kind, target) in all {
            let secret = target.secret();
            let shown = target.shown();
            let kept = Target::kept(kind, &shown, secret.as_deref(), &allowed);
            assert_eq!(kept.as_ref(), Ok(&target));
            for told in [shown, format!("{target:?}")] {
                assert!(!told.contains("secret"), "{told}");
                assert!(!told.contains("1234567890"), "{told}");
                assert!(!told.contains(&key.text()), "{told}");
            }
        }
        let hints = [
            Target::slack_bot(&token, "#alerts").unwrap().shown(),
            Target::Slack(hook().unwrap()).shown(),
        ];
        assert_eq!(hints, ["#alerts …WXYZ", "hooks.example …part"]);
        for (kind, secret) in [
            (ChannelKind::Slack, None),
            (ChannelKind::Slack, Some("{}")),
            (ChannelKind::Webhook, Some("nonsense")),
        ] {
            let kept = Target::kept(kind, "x", secret, &allowed);
            assert_eq!(kept, Err(TargetError::Unreadable));
        }
    }

    #[test]
    fn an_api_is_that_of_the_hosted_service_or_of_a_host_of_ones_own() {
        let allowed = Allowed::default();
        let github = |text: &str| HookUrl::api(text, GITHUB, GITHUB_PATH, &allowed);
        let gitlab = |text: &str| HookUrl::api(text, GITLAB, GITLAB_PATH, &allowed);
        for (api, expected) in [
            (github(""), "https://api.github.com/"),
            (github("https://github.com/"), "https://api.github.com/"),
            (github("https://git.example"), "https://git.example/api/v3"),
            (
                github("https://git.example/api/v3/"),
                "https://git.example/api/v3",
            ),
            (
                github("https://api.acme.ghe.com"),
                "https://api.acme.ghe.com/",
            ),
            (gitlab(" "), "https://gitlab.com/api/v4"),
            (
                gitlab("https://git.example:8443"),
                "https://git.example:8443/api/v4",
            ),
            (
                gitlab("https://example/git/api/v4"),
                "https://example/git/api/v4",
            ),
        ] {
            assert_eq!(api.unwrap().as_str(), expected);
        }
        for text in ["https://git.example/?x", "https://git.example/#x"] {
            assert_eq!(github(text), Err(TargetError::NoUrl));
        }
        assert_eq!(github("http://git.example"), Err(TargetError::NotHttps));
        assert!(matches!(
            gitlab("https://10.0.0.1"),
            Err(TargetError::NotPublic(_))
        ));
    }

    #[test]
    fn what_stands_below_an_address_stays_there() {
        let api = gitlab_api();
        let at = |segments: &[&str], query: &[(&str, &str)]| {
            let found = api.below(segments, query);
            found
                .as_str()
                .strip_prefix(api.as_str())
                .unwrap()
                .to_owned()
        };
        assert_eq!(at(&["projects", "a/b"], &[]), "/projects/a%2Fb");
        assert_eq!(at(&["x", "..", "?#%2f"], &[]), "/x/%3F%23%252f");
        assert_eq!(at(&["x"], &[("name", "a&b=c d")]), "/x?name=a%26b%3Dc+d");
        let github = HookUrl::api("", GITHUB, GITHUB_PATH, &Allowed::default()).unwrap();
        assert_eq!(
            github.below(&["app"], &[]).as_str(),
            "https://api.github.com/app"
        );
    }

    fn gitlab_api() -> HookUrl {
        HookUrl::api("", GITLAB, GITLAB_PATH, &Allowed::default()).unwrap()
    }

    #[test]
    fn a_token_of_gitlab_is_one_word() {
        let allowed = Allowed::default();
        let token = format!("{}-{}", "glpat", "hush".repeat(5));
        let target = Target::gitlab_status("", &token, &allowed).unwrap();
        assert_eq!(target.shown(), "gitlab.com …hush");
        let secret = target.secret();
        let kind = ChannelKind::GitlabStatus;
        let kept = Target::kept(kind, "x", secret.as_deref(), &allowed);
        assert_eq!(kept, Ok(target));
        for bad in ["", "a b", "a\nb", "ä"] {
            let refused = Target::gitlab_status("", bad, &allowed);
            assert_eq!(refused, Err(TargetError::NoGitlabToken), "{bad}");
        }
        for app in ["", "1 2", "1/2"] {
            let refused = Target::github_check("", app, "", &allowed);
            assert_eq!(refused, Err(TargetError::NoApp), "{app}");
        }
        let refused = Target::github_check("", "7", "no key", &allowed);
        assert_eq!(refused, Err(TargetError::NoAppKey(AppKeyError)));
    }

    #[test]
    fn a_system_log_has_a_host_and_a_port_of_its_kind() {
        let allowed = Allowed::default();
        let parse = |text: &str| LogHost::parse(text, &allowed);
        for good in [
            "tls://log.example:6514",
            "tcp://log.example:514",
            "tcp://8.8.8.8:601",
            "tls://[2606:4700::1111]:6514",
        ] {
            let log = parse(good).unwrap();
            assert_eq!(log.to_string(), good);
            let kept = Target::kept(ChannelKind::Syslog, good, None, &allowed);
            assert_eq!(kept, Ok(Target::Syslog(log)));
        }
        assert_eq!(
            parse(" tls://LOG.example:6514/ ").unwrap().host,
            "log.example"
        );
        for (bad, why) in [
            ("log.example:514", TargetError::NoLog),
            ("udp://log.example:514", TargetError::NoLog),
            ("tcp://log.example", TargetError::NoLog),
            ("tcp://log.example:514/x", TargetError::NoLog),
            ("tcp://a@log.example:514", TargetError::NoLog),
            ("tcp://:514", TargetError::NoLog),
            ("tcp://log.example:22", TargetError::LogPort),
            (
                "tcp://0x7f.1:514",
                TargetError::NotPublic([127, 0, 0, 1].into()),
            ),
            (
                "tls://[::1]:6514",
                TargetError::NotPublic("::1".parse().unwrap()),
            ),
        ] {
            assert_eq!(parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_collector_has_an_address_and_perhaps_a_header() {
        let allowed = Allowed::default();
        let url = "https://otel.example";
        let target = Target::otlp_logs(url, " X-Key:  hush-hush ", &allowed).unwrap();
        let Target::OtlpLogs { url, header } = &target else {
            panic!("{target:?}");
        };
        assert_eq!(url.as_str(), "https://otel.example/v1/logs");
        let header = header.clone().unwrap();
        assert_eq!(
            (header.name.as_str(), header.value.as_str()),
            ("x-key", "hush-hush")
        );
        assert!(!format!("{target:?} {header:?}").contains("hush"));
        let secret = target.secret();
        let kept = Target::kept(ChannelKind::OtlpLogs, "x", secret.as_deref(), &allowed);
        assert_eq!(kept, Ok(target));
        for bad in [
            "x",
            ": y",
            "x:",
            "a b: c",
            "Host: x",
            "content-length: 7",
            "x: a\nb",
            "x: é",
        ] {
            assert_eq!(Header::parse(bad), Err(TargetError::NoHeader), "{bad}");
        }
        assert_eq!(Header::parse(" "), Ok(None));
    }

    #[test]
    fn a_bot_has_a_token_and_a_channel() {
        let token = format!("{}-1-a", "xoxb");
        for channel in ["alerts", "#alerts", "C0123456789"] {
            assert!(Target::slack_bot(&token, channel).is_ok());
        }
        for channel in ["", "#", "a b", "<!channel>", "a,b"] {
            let refused = Target::slack_bot(&token, channel);
            assert_eq!(refused, Err(TargetError::NoSlackChannel), "{channel}");
        }
        for token in ["", "xoxp-1", "xoxb-a b", "xoxb-a\n"] {
            let refused = Target::slack_bot(token, "a");
            let trimmed = token.trim() != token;
            assert!(trimmed || refused == Err(TargetError::NoToken), "{token}");
        }
    }
}
