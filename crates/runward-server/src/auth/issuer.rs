//! An issuer of tokens: where it is reached, and its keys, which are fetched when they are needed and then kept.

use std::sync::Arc;

use runward_store::Millis;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::fetch::{Fetch, FetchError};
use super::jwt::{Keys, Token, TokenError};
use crate::config::is_issuer;

/// How long keys are used before they are fetched again: one that its issuer took back is good for as long.
const FRESH: Millis = 3600 * 1000;
/// How long they are used when the issuer is away.
const STALE: Millis = 24 * 3600 * 1000;
/// A token with an unknown key makes the keys be fetched again, at most once in this time.
const REFETCH: Millis = 60 * 1000;
/// An issuer that did not answer is left alone for so long.
const PAUSE: Millis = 5 * 1000;

/// What an issuer says about itself (OpenID Connect Discovery 1.0), as far as it is of use here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    jwks_uri: String,
    pub(crate) authorization_endpoint: Option<String>,
    pub(crate) token_endpoint: Option<String>,
    pub(crate) userinfo_endpoint: Option<String>,
    #[serde(default)]
    pub(crate) token_endpoint_auth_methods_supported: Vec<String>,
}

/// An issuer that the operator named.
#[derive(Debug)]
pub(crate) struct Issuer {
    address: String,
    fetch: Fetch,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: Option<Known>,
    fetched_at: Millis,
    tried_at: Millis,
}

/// What was fetched.
#[derive(Clone, Debug)]
struct Known {
    metadata: Arc<Metadata>,
    keys: Arc<Keys>,
}

impl Issuer {
    pub(crate) fn new(address: &str, fetch: &Fetch) -> Issuer {
        Issuer {
            address: address.to_owned(),
            fetch: fetch.clone(),
            state: Mutex::default(),
        }
    }

    /// What it says about itself.
    pub(crate) async fn metadata(&self, now: Millis) -> Result<Arc<Metadata>, TokenError> {
        Ok(self.known(now).await?.metadata)
    }

    /// The claims of a token that this issuer signed for one of these audiences, and for which.
    pub(crate) async fn verified(
        &self,
        token: Token<'_>,
        audiences: &[String],
        now: Millis,
    ) -> Result<(Map<String, Value>, String), TokenError> {
        let known = self.known(now).await?;
        if token.issuer() != known.metadata.issuer {
            return Err(TokenError::Issuer);
        }
        match token.signed_by(&known.keys) {
            Err(TokenError::UnknownKey) => token.signed_by(&self.newer(now).await?.keys)?,
            judged => judged?,
        }
        token.valid(audiences, now)
    }

    /// What is known of it. Whoever comes while it is being asked waits for the same answer.
    async fn known(&self, now: Millis) -> Result<Known, TokenError> {
        let mut state = self.state.lock().await;
        let age = now - state.fetched_at;
        match &state.known {
            Some(known) if age < FRESH => return Ok(known.clone()),
            _ if now - state.tried_at < PAUSE => {}
            _ => self.ask(&mut state, now).await,
        }
        let known = state
            .known
            .clone()
            .filter(|_| now - state.fetched_at < STALE);
        known.ok_or(TokenError::Away)
    }

    /// The same with newer keys, if it was not asked lately.
    async fn newer(&self, now: Millis) -> Result<Known, TokenError> {
        let mut state = self.state.lock().await;
        if now - state.tried_at >= REFETCH {
            self.ask(&mut state, now).await;
        }
        state.known.clone().ok_or(TokenError::Away)
    }

    async fn ask(&self, state: &mut State, now: Millis) {
        state.tried_at = now;
        match self.fetched().await {
            Ok(known) => {
                state.known = Some(known);
                state.fetched_at = now;
            }
            Err(error) => {
                tracing::warn!(issuer = self.address, %error, "can't fetch an issuer's keys")
            }
        }
    }

    async fn fetched(&self) -> Result<Known, Unusable> {
        let base = self.address.trim_end_matches('/');
        let document = format!("{base}/.well-known/openid-configuration");
        let metadata: Metadata = serde_json::from_value(self.fetch.get(&document, None).await?)
            .map_err(|_| Unusable::Document)?;
        if metadata.issuer.trim_end_matches('/') != base {
            return Err(Unusable::Other(metadata.issuer));
        }
        let addresses = [
            Some(&metadata.jwks_uri),
            metadata.authorization_endpoint.as_ref(),
            metadata.token_endpoint.as_ref(),
            metadata.userinfo_endpoint.as_ref(),
        ];
        if let Some(plain) = addresses.into_iter().flatten().find(|url| !is_issuer(url)) {
            return Err(Unusable::Plain(plain.clone()));
        }
        let keys = Keys::parse(&self.fetch.get(&metadata.jwks_uri, None).await?);
        Ok(Known {
            metadata: Arc::new(metadata),
            keys: Arc::new(keys),
        })
    }
}

/// Why an issuer can't be used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("its discovery document lacks `issuer` or `jwks_uri`")]
    Document,
    #[error("it calls itself {0}: name it so in the settings")]
    Other(String),
    #[error("it names an address without TLS: {0}")]
    Plain(String),
}
