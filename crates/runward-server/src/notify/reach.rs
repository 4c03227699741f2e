//! Reaching other servers over HTTP, and none that must not be reached.
//!
//! Where a name leads is looked up here, and only addresses that may be called are handed on to be connected to: what a
//! name led to before says nothing, so a name that changes its mind in between gains nothing. Redirects are not followed,
//! no proxy is asked, and nothing is spoken but TLS.

use std::error::Error;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::fmt::rfc2822;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, RequestBuilder, redirect};
use runward_notify::{Allowed, Failure, FailureKind, HookUrl};
use runward_store::Millis;
use serde_json::Value;

use crate::app::now;

/// Bytes of an answer that are read.
const ANSWER_MAX: usize = 4 << 10;
/// The same of an API: a hundred checks of GitHub's, with what stands around them.
const API_ANSWER_MAX: usize = 1 << 20;
/// Characters of an error that are told.
const ERROR_MAX: usize = 160;

/// A way to reach them.
pub(super) struct Reach {
    client: Client,
    patience: Duration,
}

/// What was answered.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The beginning of the body, where somebody wants to read it.
    pub(super) body: String,
    after: Option<Millis>,
    /// Whether it says that too much was asked for.
    limit: bool,
}

impl Reach {
    pub(super) fn new(
        allowed: &Allowed,
        ca: Option<&str>,
        patience: Duration,
    ) -> anyhow::Result<Reach> {
        // Whoever was first has installed the same one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut authorities = Vec::new();
        if let Some(ca) = ca {
            authorities = Certificate::from_pem_bundle(ca.as_bytes()).unwrap_or_default();
            anyhow::ensure!(
                !authorities.is_empty(),
                "notify-ca-file: there is no certificate in it that can be read"
            );
        }
        let client = Client::builder()
            .user_agent(concat!("Runward/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Lookup {
                allowed: allowed.clone(),
            })
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .https_only(true)
            .http1_only()
            .referer(false)
            // Each message is a connection of its own, to an address that was looked up for it.
            .pool_max_idle_per_host(0)
            .connect_timeout(patience / 2)
            .timeout(patience)
            .tls_certs_merge(authorities)
            .build()?;
        Ok(Reach { client, patience })
    }

    /// The client, for a library that asks by itself.
    pub(super) fn client(&self) -> (&Client, Duration) {
        (&self.client, self.patience)
    }

    /// Sends a message. `reads` says whether the answer's body matters.
    pub(super) async fn send(
        &self,
        url: &HookUrl,
        headers: HeaderMap,
        body: Vec<u8>,
        reads: bool,
    ) -> Result<Answer, Failure> {
        let request = self.client.post(url.as_str()).headers(headers).body(body);
        self.answered(request, if reads { ANSWER_MAX } else { 0 })
            .await
    }

    /// Asks an API, with JSON or without.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &HookUrl,
        headers: HeaderMap,
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let mut request = self.client.request(method, url.as_str()).headers(headers);
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, json).body(body.to_string());
        }
        self.answered(request, API_ANSWER_MAX).await
    }

    /// Sends a request, and reads as much of what is answered.
    async fn answered(&self, request: RequestBuilder, most: usize) -> Result<Answer, Failure> {
        let mut response = request.send().await.map_err(|error| self.failed(&error))?;
        let mut kept = Vec::new();
        while kept.len() < most {
            let part = response
                .chunk()
                .await
                .map_err(|error| self.failed(&error))?;
            let Some(part) = part else { break };
            kept.extend_from_slice(&part);
        }
        kept.truncate(most);
        let text = |name: &str| response.headers().get(name)?.to_str().ok();
        Ok(Answer {
            status: response.status().as_u16(),
            body: String::from_utf8_lossy(&kept).into_owned(),
            after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| after(value.to_str().ok()?, now())),
            limit: text("x-ratelimit-remaining") == Some("0"),
        })
    }

    /// Nothing was answered. The address is not told: it is a secret.
    fn failed(&self, error: &reqwest::Error) -> Failure {
        let causes = causes(error);
        let (told, kind) = if causes.iter().any(|cause| cause.is::<NotPublic>()) {
            (NotPublic.to_string(), FailureKind::Refused)
        } else if error.is_timeout() {
            let seconds = self.patience.as_secs_f32();
            let told = format!("there was no answer within {seconds} seconds");
            (told, FailureKind::Passing)
        } else {
            let what = if error.is_connect() {
                "there is no connection"
            } else {
                "the connection broke off"
            };
            let cause = causes.last().map(ToString::to_string).unwrap_or_default();
            let cause: String = cause.chars().take(ERROR_MAX).collect();
            (format!("{what}: {cause}"), FailureKind::Passing)
        };
        Failure {
            error: told,
            kind,
            after: None,
        }
    }
}

/// An error, and what lies behind it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> Vec<&'a (dyn Error + 'static)> {
    let mut causes = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        causes.push(cause);
        next = cause.source();
    }
    causes
}

impl Answer {
    /// What the status says.
    pub(super) fn judge(&self) -> Result<(), Failure> {
        let status = self.status;
        let (error, kind) = match status {
            200..300 => return Ok(()),
            300..400 => (
                format!("it answered {status}: redirects are not followed"),
                FailureKind::Refused,
            ),
            410 => ("it answered 410: it is gone".to_owned(), FailureKind::Final),
            // Not the message's fault: too slow, too early, too often.
            408 | 425 | 429 => (format!("it answered {status}"), FailureKind::Passing),
            400..500 => (format!("it answered {status}"), FailureKind::Refused),
            _ => (format!("it answered {status}"), FailureKind::Passing),
        };
        Err(self.failure(error, kind))
    }

    /// Whether it was refused because too much was asked for.
    pub(super) fn is_limit(&self) -> bool {
        self.limit || self.after.is_some()
    }

    pub(super) fn failure(&self, error: String, kind: FailureKind) -> Failure {
        Failure {
            error,
            kind,
            after: self.after,
        }
    }
}

/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date.
fn after(value: &str, now: Millis) -> Option<Millis> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u32>() {
        return Some(Millis::from(seconds).saturating_mul(1_000));
    }
    let date = rfc2822::parse(value).ok()?;
    Some(date.timestamp().as_millisecond().saturating_sub(now).max(0))
}

/// Looks names up, and forgets addresses that must not be called.
struct Lookup {
    allowed: Allowed,
}

/// A name leads nowhere that may be called. It is not said where: that may be nobody's business outside.
#[derive(Debug)]
pub(super) struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the name leads to no address of the public internet; whoever runs the server can allow its network with --notify-allow",
        )
    }
}

impl Error for NotPublic {}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.allowed.clone();
        Box::pin(async move {
            // The port is the address's own, which whoever connects puts in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let all: Vec<SocketAddr> = found.collect();
            let may = judge(&all, &allowed);
            if may.is_empty() && !all.is_empty() {
                tracing::debug!(name = name.as_str(), ?all, "these addresses are not called");
                return Err(NotPublic.into());
            }
            Ok(Box::new(may.into_iter()) as Addrs)
        })
    }
}

/// Those that may be called.
pub(super) fn judge(all: &[SocketAddr], allowed: &Allowed) -> Vec<SocketAddr> {
    let may = all.iter().filter(|address| allowed.lets(address.ip()));
    may.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_come_back_is_read() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = 784_111_777_000;
        for (value, waited) in [
            ("7", Some(7_000)),
            (" 0 ", Some(0)),
            ("4294967295", Some(4_294_967_295_000)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sun, 06 Nov 1994 08:48:37 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(after(value, now), waited, "{value}");
        }
    }

    #[test]
    fn of_several_addresses_only_those_are_called_that_may_be() {
        let all = ["8.8.8.8:0", "127.0.0.1:0", "[::1]:0", "10.0.0.1:0"];
        let all = all.map(|address| address.parse().unwrap());
        assert_eq!(judge(&all, &Allowed::default()), all[..1]);
        let allowed = Allowed(vec!["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(judge(&all, &allowed), [all[0], all[3]]);
    }

    #[test]
    fn an_answer_is_judged_by_its_status() {
        use FailureKind::{Final, Passing, Refused};
        let kind = |status| {
            let answer = Answer {
                status,
                body: String::new(),
                after: None,
                limit: false,
            };
            answer.judge().err().map(|failure| failure.kind)
        };
        for (status, expected) in [
            (200, None),
            (202, None),
            (204, None),
            (301, Some(Refused)),
            (307, Some(Refused)),
            (400, Some(Refused)),
            (404, Some(Refused)),
            (408, Some(Passing)),
            (410, Some(Final)),
            (429, Some(Passing)),
            (500, Some(Passing)),
            (503, Some(Passing)),
            (100, Some(Passing)),
        ] {
            assert_eq!(kind(status), expected, "{status}");
        }
    }
}
