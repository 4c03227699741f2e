use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runward_store::Session;
use sha2::{Digest as _, Sha256};

use crate::app::{App, now};

/// The cookie's name where browsers come over TLS. They refuse this prefix from anybody but this very host.
const SESSION_COOKIE: &str = "__Host-runward";
/// And where they don't, which is for a first look on one machine.
const PLAIN_COOKIE: &str = "runward";

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

/// A person who is logged in.
pub(crate) struct Person {
    pub(crate) session: Session,
    pub(crate) token: Token,
}

/// Whoever looks at a page.
pub(crate) struct Viewer(pub(crate) Option<Person>);

impl FromRequestParts<App> for Viewer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Viewer, Infallible> {
        let Some(token) = token(&parts.headers, app.config().is_secure()) else {
            return Ok(Viewer(None));
        };
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

fn name(secure: bool) -> &'static str {
    if secure { SESSION_COOKIE } else { PLAIN_COOKIE }
}

fn token(headers: &HeaderMap, secure: bool) -> Option<Token> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok());
    let mut pairs = cookies.flat_map(|header| header.split(';'));
    let text = pairs.find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        (key == name(secure)).then_some(value)
    })?;
    Some(Token {
        text: text.to_owned(),
    })
}

/// The header that gives a browser its session. `Lax`, so that a link from a mail still shows the page.
pub(crate) fn cookie(token: &Token, secure: bool, seconds: i64) -> Option<HeaderValue> {
    let secured = if secure { "; Secure" } else { "" };
    let name = name(secure);
    let text = &token.text;
    format!("{name}={text}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secured}")
        .parse()
        .ok()
}

/// The header that takes it away.
pub(crate) fn ended_cookie(secure: bool) -> Option<HeaderValue> {
    let nothing = Token {
        text: String::new(),
    };
    cookie(&nothing, secure, 0)
}
