//! Keys of programs, and the tokens that are exchanged for them.

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use runward_store::ApiKey;
use sha2::{Digest as _, Sha256};

use super::Client;
use crate::app::{App, now};
use crate::problem::Problem;

/// What keys begin with, so that people and scanners for secrets recognise them.
pub(super) const PREFIX: &str = "rwk_";
/// What tokens begin with that are exchanged for a key.
const REGISTRATION_PREFIX: &str = "rwr_";
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
        NewKey::with(PREFIX)
    }

    /// One that is exchanged for a key.
    pub(crate) fn registration() -> Result<NewKey, getrandom::Error> {
        NewKey::with(REGISTRATION_PREFIX)
    }

    fn with(prefix: &str) -> Result<NewKey, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
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
        let key = match presented(parts, PREFIX) {
            Some(hash) => app.store().use_key(&hash, now()).await?,
            None => None,
        };
        let Some(key) = key else {
            guessed(parts, app).await?;
            return Err(Problem::no_key());
        };
        app.rates().asks(&key)?;
        Ok(Bearer(key))
    }
}

/// The hash of a token that is to be exchanged for a key. Whether there is such a token, the exchange tells.
pub(crate) struct Registration(pub(crate) [u8; 32]);

impl FromRequestParts<App> for Registration {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Registration, Problem> {
        let hash = presented(parts, REGISTRATION_PREFIX);
        hash.map(Registration).ok_or_else(Problem::no_registration)
    }
}

/// Counts a request that shows nothing good.
pub(crate) async fn guessed(parts: &mut Parts, app: &App) -> Result<(), Problem> {
    let Ok(Client(client)) = Client::from_request_parts(parts, app).await;
    app.rates().guesses(client)
}

/// The hash of what a request shows, if it is of this kind.
fn presented(parts: &Parts, prefix: &str) -> Option<[u8; 32]> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let text = header.strip_prefix("Bearer ")?.trim();
    text.starts_with(prefix)
        .then(|| Sha256::digest(text.as_bytes()).into())
}
