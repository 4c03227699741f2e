use std::net::SocketAddr;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runward_store::ApiKey;
use sha2::{Digest as _, Sha256};

use crate::app::{App, now};
use crate::problem::Problem;

/// What keys begin with, so that people and scanners for secrets recognise them.
const PREFIX: &str = "rwk_";
/// Random bytes of a key.
const BYTES: usize = 32;
/// Characters by which people recognise a key; too few to guess the rest.
const SHOWN: usize = 10;

/// A key that was just made: the only time that the whole of it is known.
pub(crate) struct NewKey {
    pub(crate) text: String,
    pub(crate) prefix: String,
    pub(crate) hash: [u8; 32],
}

impl NewKey {
    pub(crate) fn generate() -> Result<NewKey, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        Ok(NewKey {
            prefix: text.chars().take(SHOWN).collect(),
            hash: Sha256::digest(text.as_bytes()).into(),
            text,
        })
    }
}

/// The key that a request came with.
pub(crate) struct Bearer(pub(crate) ApiKey);

impl FromRequestParts<App> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Bearer, Problem> {
        let header = parts.headers.get(AUTHORIZATION);
        let text = header.and_then(|header| header.to_str().ok());
        let text = text.and_then(|text| text.strip_prefix("Bearer "));
        let key = match text.filter(|text| text.starts_with(PREFIX)) {
            Some(text) => {
                let hash = Sha256::digest(text.trim().as_bytes()).into();
                app.store().use_key(&hash, now()).await?
            }
            None => None,
        };
        if let Some(key) = key {
            app.rates().asks(&key)?;
            return Ok(Bearer(key));
        }
        if let Some(ConnectInfo(client)) = parts.extensions.get::<ConnectInfo<SocketAddr>>() {
            app.rates().guesses(client.ip())?;
        }
        Err(Problem::no_key())
    }
}
