//! How people are told: the part of the settings that is about it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use ipnet::IpNet;
use runward_notify::{Allowed, HookUrl, Pace, Target};
use runward_store::Millis;
use serde::Deserialize;

use super::identity::{Secret, network};

/// Where Slack's API is.
const SLACK_API: &str = "https://slack.com/api";
/// How long a server may take to answer a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// Options about notifications. In the file they have the same names.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct NotifyOptions {
    /// Networks that notifications may be sent to although they are not public
    #[arg(
        long,
        value_name = "NETWORK,…",
        env = "RUNWARD_NOTIFY_ALLOW",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) notify_allow: Vec<String>,
    /// A PEM file with authorities that vouch for servers that notifications are sent to, beside the usual ones
    #[arg(
        long,
        value_name = "FILE",
        env = "RUNWARD_NOTIFY_CA_FILE",
        global = true
    )]
    pub(crate) notify_ca_file: Option<PathBuf>,
    /// A file with the key that secrets in the database are sealed with [default: secret.key in the data folder]
    #[arg(
        long,
        value_name = "FILE",
        env = "RUNWARD_SECRET_KEY_FILE",
        global = true
    )]
    pub(crate) secret_key_file: Option<PathBuf>,
    /// The server that takes mail: HOST or HOST:PORT
    #[arg(long, value_name = "HOST", env = "RUNWARD_SMTP_SERVER", global = true)]
    pub(crate) smtp_server: Option<String>,
    /// How it is spoken to: starttls, implicit, or none on this machine itself [default: starttls]
    #[arg(long, value_name = "HOW", env = "RUNWARD_SMTP_TLS", global = true)]
    pub(crate) smtp_tls: Option<String>,
    /// Who logs in there
    #[arg(long, value_name = "USER", env = "RUNWARD_SMTP_USER", global = true)]
    pub(crate) smtp_user: Option<String>,
    /// A file with the password for that
    #[arg(
        long,
        value_name = "FILE",
        env = "RUNWARD_SMTP_PASSWORD_FILE",
        global = true
    )]
    pub(crate) smtp_password_file: Option<PathBuf>,
    /// Whom mail is from, such as runward@example.com
    #[arg(long, value_name = "ADDRESS", env = "RUNWARD_SMTP_FROM", global = true)]
    pub(crate) smtp_from: Option<String>,
    /// Where Slack's API is [default: https://slack.com/api]
    #[arg(long, value_name = "URL", env = "RUNWARD_SLACK_API", global = true)]
    pub(crate) slack_api: Option<String>,
    /// How many milliseconds a second of waiting takes; for tests
    #[arg(long, env = "RUNWARD_NOTIFY_SECOND", hide = true, global = true)]
    #[serde(skip)]
    pub(crate) notify_second: Option<u32>,
    /// How many milliseconds an answer may take; for tests
    #[arg(long, env = "RUNWARD_NOTIFY_PATIENCE", hide = true, global = true)]
    #[serde(skip)]
    pub(crate) notify_patience: Option<u32>,
}

/// These settings, ready to be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Notify {
    pub(crate) allowed: Allowed,
    /// Authorities (PEM) beside the usual ones.
    pub(crate) ca: Option<String>,
    /// None for the one in the data folder.
    pub(crate) key_file: Option<PathBuf>,
    /// None where no mail can be sent.
    pub(crate) smtp: Option<Smtp>,
    /// Where apps of Slack post messages.
    pub(crate) slack: Option<HookUrl>,
    pub(crate) pace: Pace,
    /// How long an hour of a digest or of quiet is.
    pub(crate) hour: Millis,
    /// How long an answer may take.
    pub(crate) patience: Duration,
}

/// The server that takes mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Smtp {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: SmtpTls,
    pub(crate) login: Option<(String, Secret)>,
    pub(crate) from: String,
}

/// How that server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SmtpTls {
    /// In the clear first, and then TLS or nothing.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// In the clear; on this machine itself only.
    None,
}

impl NotifyOptions {
    /// What is given here, and from `weaker` what is not.
    pub(super) fn or(self, weaker: NotifyOptions) -> NotifyOptions {
        NotifyOptions {
            notify_allow: if self.notify_allow.is_empty() {
                weaker.notify_allow
            } else {
                self.notify_allow
            },
            notify_ca_file: self.notify_ca_file.or(weaker.notify_ca_file),
            secret_key_file: self.secret_key_file.or(weaker.secret_key_file),
            smtp_server: self.smtp_server.or(weaker.smtp_server),
            smtp_tls: self.smtp_tls.or(weaker.smtp_tls),
            smtp_user: self.smtp_user.or(weaker.smtp_user),
            smtp_password_file: self.smtp_password_file.or(weaker.smtp_password_file),
            smtp_from: self.smtp_from.or(weaker.smtp_from),
            slack_api: self.slack_api.or(weaker.slack_api),
            notify_second: self.notify_second.or(weaker.notify_second),
            notify_patience: self.notify_patience.or(weaker.notify_patience),
        }
    }

    /// Reads these; what is wrong with them goes to `errors`.
    pub(super) fn parse(
        self,
        read: impl Fn(&Path) -> std::io::Result<String>,
        errors: &mut Vec<String>,
    ) -> Notify {
        let mut networks: Vec<IpNet> = Vec::new();
        for text in &self.notify_allow {
            match network(text) {
                Some(network) => networks.push(network),
                None => errors.push(format!(
                    "notify-allow: `{text}` is not an address or a network such as 10.0.0.0/8"
                )),
            }
        }
        let allowed = Allowed(networks);
        let ca = self.notify_ca_file.as_deref();
        let ca = ca.and_then(|path| from_file("notify-ca-file", path, &read, errors));
        let api = self.slack_api.as_deref().unwrap_or(SLACK_API);
        let post = format!("{}/chat.postMessage", api.trim_end_matches('/'));
        let slack = HookUrl::parse(&post, &allowed);
        let slack = slack.map_err(|error| errors.push(format!("slack-api: {error}")));
        let second = Millis::from(self.notify_second.unwrap_or(1_000)).max(1);
        let patience = self.notify_patience.map(u64::from);
        Notify {
            ca,
            slack: slack.ok(),
            pace: match self.notify_second {
                None => Pace::USUAL,
                Some(_) => Pace::USUAL.with_second(second),
            },
            hour: 3_600 * second,
            patience: patience.map_or(PATIENCE, Duration::from_millis),
            key_file: self.secret_key_file.clone(),
            smtp: self.smtp(&read, errors),
            allowed,
        }
    }

    fn smtp(
        self,
        read: &impl Fn(&Path) -> std::io::Result<String>,
        errors: &mut Vec<String>,
    ) -> Option<Smtp> {
        let beside = [
            ("smtp-tls", self.smtp_tls.is_some()),
            ("smtp-user", self.smtp_user.is_some()),
            ("smtp-password-file", self.smtp_password_file.is_some()),
            ("smtp-from", self.smtp_from.is_some()),
        ];
        let Some(server) = self.smtp_server else {
            for (name, _) in beside.iter().filter(|(_, given)| *given) {
                errors.push(format!(
                    "{name}: it says how mail is sent, and `smtp-server` names no server"
                ));
            }
            return None;
        };
        let tls = match self.smtp_tls.as_deref() {
            None | Some("starttls") => SmtpTls::Starttls,
            Some("implicit") => SmtpTls::Implicit,
            Some("none") => SmtpTls::None,
            Some(_) => {
                errors.push("smtp-tls: it is `starttls`, `implicit` or `none`".to_owned());
                SmtpTls::Starttls
            }
        };
        let Some((host, port)) = host_and_port(&server, tls) else {
            errors.push(format!(
                "smtp-server: `{server}` is not a host such as mail.example.com:587"
            ));
            return None;
        };
        if tls == SmtpTls::None && !is_here(&host) {
            errors.push(
                "smtp-tls: mail goes in the clear to this machine itself only: take `starttls` or `implicit`"
                    .to_owned(),
            );
        }
        let from = self.smtp_from.unwrap_or_default();
        if !matches!(Target::email(&from), Ok(Target::Email(people)) if people.len() == 1) {
            errors.push(format!(
                "smtp-from: `{from}` is not an address such as runward@example.com"
            ));
        }
        let password = self.smtp_password_file.as_deref();
        let password =
            password.and_then(|path| from_file("smtp-password-file", path, read, errors));
        let password = password.map(|text| Secret(text.trim_end_matches(['\r', '\n']).to_owned()));
        let login = match (self.smtp_user, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) if self.smtp_password_file.is_none() => {
                errors.push("smtp-password-file: it is missing beside smtp-user".to_owned());
                None
            }
            (None, Some(_)) => {
                errors.push("smtp-user: it is missing beside smtp-password-file".to_owned());
                None
            }
            _ => None,
        };
        Some(Smtp {
            host,
            port,
            tls,
            login,
            from,
        })
    }
}

fn from_file(
    name: &str,
    path: &Path,
    read: &impl Fn(&Path) -> std::io::Result<String>,
    errors: &mut Vec<String>,
) -> Option<String> {
    match read(path) {
        Ok(text) => Some(text),
        Err(error) => {
            errors.push(format!("{name}: can't read {}: {error}", path.display()));
            None
        }
    }
}

/// `host`, `host:port` or `[address]:port`. The usual ports are those of RFC 8314, 7.
fn host_and_port(text: &str, tls: SmtpTls) -> Option<(String, u16)> {
    let usual = match tls {
        SmtpTls::Starttls => 587,
        SmtpTls::Implicit => 465,
        SmtpTls::None => 25,
    };
    if text.parse::<IpAddr>().is_ok() {
        return Some((text.to_owned(), usual));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, usual),
    };
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = inner.unwrap_or(host);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:".contains(&b);
    (!host.is_empty() && host.bytes().all(plain)).then(|| (host.to_owned(), port))
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: NotifyOptions) -> (Notify, Vec<String>) {
        let mut errors = Vec::new();
        let notify = options.parse(|_| Ok("hush hush\n".to_owned()), &mut errors);
        (notify, errors)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn mail_needs_a_server_and_a_sender() {
        let (notify, errors) = parse(NotifyOptions {
            smtp_server: some("mail.example.com"),
            smtp_user: some("runward"),
            smtp_password_file: Some("a".into()),
            smtp_from: some("runward@example.com"),
            ..NotifyOptions::default()
        });
        assert_eq!(errors, [""; 0]);
        assert!(!format!("{notify:?}").contains("hush"));
        let smtp = notify.smtp.unwrap();
        assert_eq!((smtp.port, smtp.tls), (587, SmtpTls::Starttls));
        assert_eq!(smtp.login.unwrap().1, Secret("hush hush".to_owned()));
        for (server, tls, host, port) in [
            ("mail.example", "implicit", "mail.example", 465),
            ("127.0.0.1", "none", "127.0.0.1", 25),
            ("[::1]:2525", "none", "::1", 2525),
            ("localhost:2525", "none", "localhost", 2525),
        ] {
            let (notify, errors) = parse(NotifyOptions {
                smtp_server: some(server),
                smtp_tls: some(tls),
                smtp_from: some("a@b.example"),
                ..NotifyOptions::default()
            });
            assert_eq!(errors, [""; 0]);
            let smtp = notify.smtp.unwrap();
            assert_eq!((smtp.host.as_str(), smtp.port), (host, port));
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let places = |options| {
            let (_, errors) = parse(options);
            let places = errors.iter().filter_map(|error| error.split(':').next());
            places.map(str::to_owned).collect::<Vec<_>>()
        };
        let wrong = NotifyOptions {
            notify_allow: vec!["here".to_owned()],
            slack_api: some("http://slack.com/api"),
            smtp_server: some("mail.example"),
            smtp_tls: some("none"),
            smtp_from: some("nobody"),
            smtp_user: some("runward"),
            ..NotifyOptions::default()
        };
        assert_eq!(
            places(wrong),
            [
                "notify-allow",
                "slack-api",
                "smtp-tls",
                "smtp-from",
                "smtp-password-file"
            ]
        );
        let alone = NotifyOptions {
            smtp_from: some("a@b.example"),
            smtp_tls: some("implicit"),
            ..NotifyOptions::default()
        };
        assert_eq!(places(alone), ["smtp-tls", "smtp-from"]);
        let odd = NotifyOptions {
            smtp_server: some("mail example:x"),
            ..NotifyOptions::default()
        };
        assert_eq!(places(odd), ["smtp-server"]);
        assert_eq!(places(NotifyOptions::default()), [""; 0]);
    }
}
