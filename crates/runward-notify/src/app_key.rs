//! The private key of an app of GitHub's, and the tokens that it signs (RFC 7519, RS256).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SecureRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::json;

/// Bytes of a key's text: twice that of the longest that can sign.
const TEXT_MAX: usize = 8 << 10;
/// How long before now a token is said to be made, in seconds: the clock of who reads it may be behind.
const BEHIND: i64 = 60;
/// How long a token is good for, in seconds: GitHub takes ten minutes at most, by its own clock.
const GOOD_FOR: i64 = 480;

/// The key with which an app shows that it is one.
#[derive(Clone)]
pub struct AppKey {
    text: String,
    pair: Arc<RsaKeyPair>,
}

/// A text that is no such key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no private key of an app: paste the whole file that GitHub gave, from -----BEGIN RSA PRIVATE KEY----- to its end"
)]
pub struct AppKeyError;

impl AppKey {
    /// Reads a key in PEM, as GitHub gives it (PKCS #1), or as other programs write it (PKCS #8).
    pub fn parse(text: &str) -> Result<AppKey, AppKeyError> {
        let text = text.trim();
        if text.len() > TEXT_MAX {
            return Err(AppKeyError);
        }
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| AppKeyError)?;
        let pair = match &key {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(AppKeyError),
        };
        Ok(AppKey {
            text: text.to_owned(),
            pair: Arc::new(pair.map_err(|_| AppKeyError)?),
        })
    }

    /// The key itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A token that says that whoever has it is this app; none where there is no randomness. `now` is in seconds.
    pub fn token(&self, app: &str, now: i64, random: &dyn SecureRandom) -> Option<String> {
        let header = json!({ "alg": "RS256", "typ": "JWT" });
        let claims = json!({ "iat": now - BEHIND, "exp": now + GOOD_FOR, "iss": app });
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, random, signed.as_bytes(), &mut signature)
            .ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl PartialEq for AppKey {
    fn eq(&self, other: &AppKey) -> bool {
        self.text == other.text
    }
}

impl Eq for AppKey {}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppKey")
    }
}
