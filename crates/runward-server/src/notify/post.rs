//! Mail, handed to the server that takes it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lettre::message::header::{Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use runward_notify::{Failure, FailureKind, Mail};
use runward_store::Millis;

use crate::config::{Smtp, SmtpTls};

/// A mail takes several answers.
const ANSWERS: u32 = 3;
/// Characters of an error that are told.
const ERROR_MAX: usize = 200;

/// A way to send mail.
pub(super) struct Post {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    host: String,
    patience: Duration,
}

impl Post {
    /// `public_url` is this server's address, whose host it says that it is.
    pub(super) fn new(
        smtp: &Smtp,
        ca: Option<&str>,
        public_url: &str,
        patience: Duration,
    ) -> anyhow::Result<Post> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = match smtp.tls {
            SmtpTls::Starttls => Tls::Required(parameters(&smtp.host, ca)?),
            SmtpTls::Implicit => Tls::Wrapper(parameters(&smtp.host, ca)?),
            SmtpTls::None => Tls::None,
        };
        let host = host_of(public_url);
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(smtp.host.as_str())
                .port(smtp.port)
                .tls(tls)
                .hello_name(ClientId::Domain(host.clone()))
                .timeout(Some(patience));
        if let Some((user, password)) = &smtp.login {
            builder = builder.credentials(Credentials::new(user.clone(), password.0.clone()));
        }
        Ok(Post {
            transport: builder.build(),
            from: format!("Runward <{}>", smtp.from).parse()?,
            host,
            patience: patience * ANSWERS,
        })
    }

    /// Sends a mail to all of these people, or to none.
    pub(super) async fn send(
        &self,
        id: &str,
        people: &[String],
        mail: Mail,
        at: Millis,
    ) -> Result<(), Failure> {
        let written = self.write(id, people, mail, at);
        let message = written.map_err(|error| failure(error, FailureKind::Final))?;
        let sent = tokio::time::timeout(self.patience, self.transport.send(message)).await;
        match sent {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(told(&error)),
            Err(_) => Err(failure(
                "the mail server took too long".to_owned(),
                FailureKind::Passing,
            )),
        }
    }

    fn write(
        &self,
        id: &str,
        people: &[String],
        mail: Mail,
        at: Millis,
    ) -> Result<Message, String> {
        let at = Duration::from_millis(u64::try_from(at).unwrap_or(0));
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(mail.subject)
            .date(UNIX_EPOCH.checked_add(at).unwrap_or(SystemTime::UNIX_EPOCH))
            // The same at each attempt: a mail that came twice shows so.
            .message_id(Some(format!("<{id}@{}>", self.host)))
            .header(AutoSubmitted);
        for person in people {
            let person: Mailbox = person
                .parse()
                .map_err(|_| format!("{person} can't be mailed to: enter the addresses again"))?;
            builder = builder.to(person);
        }
        let body = MultiPart::alternative_plain_html(mail.text, mail.html);
        builder.multipart(body).map_err(|error| error.to_string())
    }
}

fn parameters(host: &str, ca: Option<&str>) -> anyhow::Result<TlsParameters> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    if let Some(ca) = ca {
        parameters = parameters.add_root_certificate(Certificate::from_pem(ca.as_bytes())?);
    }
    Ok(parameters.build_rustls()?)
}

fn host_of(url: &str) -> String {
    let host = url.split('/').nth(2).unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.".contains(&b);
    if host.is_empty() || !host.bytes().all(plain) {
        return "localhost".to_owned();
    }
    host.to_owned()
}

fn told(error: &SmtpError) -> Failure {
    let kind = if error.is_permanent() {
        FailureKind::Final
    } else {
        FailureKind::Passing
    };
    // It has the server's answer, and no password.
    let mut text = match error.status() {
        Some(_) => format!("the mail server refused it: {error}"),
        None => format!("the mail server could not be spoken to: {error}"),
    };
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    failure(text, kind)
}

fn failure(error: String, kind: FailureKind) -> Failure {
    let plain = error.chars().map(|c| if c.is_control() { ' ' } else { c });
    Failure {
        error: plain.take(ERROR_MAX).collect(),
        kind,
        after: None,
    }
}

/// Says to programs that answer by themselves that they should not (RFC 3834, 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<AutoSubmitted, Box<dyn std::error::Error + Send + Sync>> {
        Ok(AutoSubmitted)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_says_who_it_is_by_its_public_name() {
        for (url, host) in [
            ("https://runward.example.com", "runward.example.com"),
            ("http://127.0.0.1:8430", "127.0.0.1"),
            ("http://[::1]:8430", "localhost"),
            ("", "localhost"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}
