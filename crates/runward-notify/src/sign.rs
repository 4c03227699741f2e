//! Signatures of webhooks, as Standard Webhooks 1.0 has them (standardwebhooks.com).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::hmac;

/// What secrets begin with.
const PREFIX: &str = "whsec_";
/// Bytes of a secret (Standard Webhooks, "Signature scheme": 24 to 64).
const BYTES: usize = 32;

/// With what a webhook is signed, so that who gets it knows that it is from this server.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKey(Vec<u8>);

/// A text that is no secret of this kind.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret begins with `whsec_`, and goes on in base64")]
pub struct SigningKeyError;

impl SigningKey {
    /// Bytes that a new key is made of; they have to be random.
    pub const BYTES: usize = BYTES;

    /// The key of these bytes.
    pub fn new(random: [u8; BYTES]) -> SigningKey {
        SigningKey(random.to_vec())
    }

    /// Reads what [`SigningKey::text`] wrote.
    pub fn parse(text: &str) -> Result<SigningKey, SigningKeyError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SigningKeyError)?;
        let bytes = BASE64.decode(encoded).map_err(|_| SigningKeyError)?;
        if bytes.is_empty() {
            return Err(SigningKeyError);
        }
        Ok(SigningKey(bytes))
    }

    /// As it is given to who checks signatures.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// The header `webhook-signature`: one signature with each key, of the id, the time of sending (in seconds since 1970) and
/// the body. Whoever knows one of the keys can check one of them.
pub fn signature(keys: &[SigningKey], id: &str, seconds: i64, body: &[u8]) -> String {
    let head = format!("{id}.{seconds}.");
    let signatures = keys.iter().map(|key| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
        let mut content = hmac::Context::with_key(&key);
        content.update(head.as_bytes());
        content.update(body);
        format!("v1,{}", BASE64.encode(content.sign()))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_specification() {
        // The example of the reference implementations.
        let text = format!("{PREFIX}{}", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let key = SigningKey::parse(&text).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let signed = signature(std::slice::from_ref(&key), id, 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let other = SigningKey::new([7; BYTES]);
        let both = signature(&[other.clone(), key], id, 1_614_265_330, body);
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(second, signed);
        assert_eq!(first, signature(&[other], id, 1_614_265_330, body));
    }

    #[test]
    fn a_key_is_read_as_it_is_written_and_not_shown_by_accident() {
        let key = SigningKey::new([1; BYTES]);
        assert_eq!(SigningKey::parse(&key.text()), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "SigningKey");
        for text in ["", "whsec_", "whsec_?", "AQEB", "whsec_AQE"] {
            assert_eq!(SigningKey::parse(text), Err(SigningKeyError), "{text}");
        }
    }
}
