//! People who are logged in.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runward_store::{Millis, Session};
use sha2::{Digest as _, Sha256};

use crate::app::{App, now};

/// A session's secret, as the browser keeps it.
pub(crate) struct Token {
    pub(crate) text: String,
}

impl Token {
    pub(crate) fn generate() -> Result<Token, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Token {
            text: URL_SAFE_NO_PAD.encode(bytes),
        })
    }

    /// What the database keeps in its place.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.text.as_bytes()).into()
    }
}

/// How long after showing who it is a person may do what is dangerous.
const FRESH: Millis = 10 * 60 * 1000;

/// A person who is logged in.
pub(crate) struct Person {
    pub(crate) session: Session,
    pub(crate) token: Token,
}

impl Person {
    /// Whether the person has lately shown who it is: a session may have been left open, or stolen.
    pub(crate) fn is_fresh(&self, now: Millis) -> bool {
        now - self.session.authenticated_at < FRESH
    }
}

/// Whoever looks at a page.
pub(crate) struct Viewer(pub(crate) Option<Person>);

impl FromRequestParts<App> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Viewer, Infallible> {
        let Some(text) = Cookie::Session.read(&parts.headers, app.config().is_secure()) else {
            return Ok(Viewer(None));
        };
        let token = Token { text };
        match app.store().session(&token.hash(), now()).await {
            Ok(session) => Ok(Viewer(session.map(|session| Person { session, token }))),
            Err(error) => {
                // The page itself will find that the database is away, and say so.
                tracing::error!(%error, "can't look up a session");
                Ok(Viewer(None))
            }
        }
    }
}

/// What this server lets browsers keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cookie {
    /// A session's token.
    Session,
    /// A login at the identity provider that was begun.
    Login,
}

impl Cookie {
    /// Browsers refuse the prefix from anybody but this very host, and without TLS. Without TLS is for a first look on one
    /// machine.
    fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Cookie::Session, true) => "__Host-runward",
            (Cookie::Session, false) => "runward",
            (Cookie::Login, true) => "__Host-runward-login",
            (Cookie::Login, false) => "runward-login",
        }
    }

    /// Its value in a request.
    pub(crate) fn read(self, headers: &HeaderMap, secure: bool) -> Option<String> {
        let cookies = headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|header| header.to_str().ok());
        let mut pairs = cookies.flat_map(|header| header.split(';'));
        pairs.find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == self.name(secure)).then(|| value.to_owned())
        })
    }

    /// The header that gives it to a browser. `Lax`, so that a link from a mail, or the identity provider, still finds it.
    pub(crate) fn set(self, value: &str, secure: bool, seconds: i64) -> Option<HeaderValue> {
        let secured = if secure { "; Secure" } else { "" };
        let name = self.name(secure);
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secured}")
            .parse()
            .ok()
    }

    /// The header that takes it away.
    pub(crate) fn end(self, secure: bool) -> Option<HeaderValue> {
        self.set("", secure, 0)
    }
}
