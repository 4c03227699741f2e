//! Tokens that somebody else signed (RFC 7519): taken apart, and judged.
//!
//! What may be in a header is a short list and not the token's choice: an algorithm with a public key, and the name of
//! the key. Nothing is fetched because a token says so.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use runward_store::Millis;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Bytes of a token.
const TOKEN_MAX: usize = 16 << 10;
/// Keys of one issuer that are looked at.
const KEYS_MAX: usize = 64;
/// How far clocks may differ, in seconds.
const SKEW: i64 = 60;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Rs256,
    Es256,
}

/// Why a token is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token can't be read")]
    Malformed,
    #[error("the token is not signed with RS256 or ES256")]
    Algorithm,
    #[error("the token's issuer is not one of this server's settings")]
    Issuer,
    #[error("the token's issuer has no such key")]
    UnknownKey,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Early,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token's issuer can't be asked for its keys now")]
    Away,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

/// A token as it came: nothing of it is believed yet.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    algorithm: Algorithm,
    key: Option<String>,
    claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

impl<'a> Token<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Token<'a>, TokenError> {
        if text.len() > TOKEN_MAX {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let header: Header = part(header)?;
        Ok(Token {
            algorithm: match header.alg.as_str() {
                "RS256" => Algorithm::Rs256,
                "ES256" => Algorithm::Es256,
                _ => return Err(TokenError::Algorithm),
            },
            key: header.kid,
            claims: part(claims)?,
            signed,
            signature: bytes(signature)?,
        })
    }

    /// Who is said to have signed it.
    pub(crate) fn issuer(&self) -> &str {
        self.claims
            .get("iss")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Whether one of these keys signed it.
    pub(super) fn signed_by(&self, keys: &Keys) -> Result<(), TokenError> {
        let key = keys.find(self).ok_or(TokenError::UnknownKey)?;
        let signed = self.signed.as_bytes();
        let fits = match &key.public {
            Public::Rsa { n, e } => RsaPublicKeyComponents { n, e }.verify(
                &RSA_PKCS1_2048_8192_SHA256,
                signed,
                &self.signature,
            ),
            Public::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(signed, &self.signature),
        };
        fits.map_err(|_| TokenError::Signature)
    }

    /// Its claims, if it is meant for this audience now. Answers which of the audiences it was.
    pub(super) fn valid(
        self,
        audiences: &[String],
        now: Millis,
    ) -> Result<(Map<String, Value>, String), TokenError> {
        let now = now / 1000;
        let time = |name: &str| self.claims.get(name).and_then(Value::as_f64);
        // A number with a fraction is allowed, and one that is out of range is far away.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the fraction of a second does not matter"
        )]
        let seconds = |name: &str| time(name).map(|time| time as i64);
        let expires = seconds("exp").ok_or(TokenError::Malformed)?;
        if expires.saturating_add(SKEW) <= now {
            return Err(TokenError::Expired);
        }
        let earliest = seconds("nbf").max(seconds("iat"));
        if earliest.is_some_and(|earliest| earliest.saturating_sub(SKEW) > now) {
            return Err(TokenError::Early);
        }
        let named = match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let audience = audiences
            .iter()
            .find(|wanted| named.contains(&wanted.as_str()));
        let audience = audience.ok_or(TokenError::Audience)?.clone();
        Ok((self.claims, audience))
    }
}

/// The public keys of an issuer (RFC 7517): those that can have signed a token that is taken here.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point, not compressed.
    P256(Vec<u8>),
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a set of keys; those that are of no use here are left out.
    pub(super) fn parse(set: &Value) -> Keys {
        let all = set
            .get("keys")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Keys(all.take(KEYS_MAX).filter_map(key).collect())
    }

    /// The key that a token names; one that names none is signed with the only one there is.
    fn find(&self, token: &Token<'_>) -> Option<&Key> {
        let mut fitting = self
            .0
            .iter()
            .filter(|key| key.public.algorithm() == token.algorithm);
        match &token.key {
            Some(id) => fitting.find(|key| key.id.as_ref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

impl Public {
    fn algorithm(&self) -> Algorithm {
        match self {
            Public::Rsa { .. } => Algorithm::Rs256,
            Public::P256(_) => Algorithm::Es256,
        }
    }
}

fn key(value: &Value) -> Option<Key> {
    let jwk = Jwk::deserialize(value).ok()?;
    let number = |text: Option<String>| {
        let bytes = bytes(&text?).ok()?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes.get(zeros..).map(<[u8]>::to_vec)
    };
    let public = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Public::Rsa {
            n: number(jwk.n)?,
            e: number(jwk.e)?,
        },
        ("EC", Some("P-256")) => {
            let (x, y) = (bytes(&jwk.x?).ok()?, bytes(&jwk.y?).ok()?);
            Public::P256([&[4], x.as_slice(), y.as_slice()].concat())
        }
        _ => return None,
    };
    let algorithm = match public.algorithm() {
        Algorithm::Rs256 => "RS256",
        Algorithm::Es256 => "ES256",
    };
    let good = jwk.alg.is_none_or(|alg| alg == algorithm)
        && jwk.purpose.is_none_or(|purpose| purpose == "sig");
    good.then_some(Key {
        id: jwk.kid,
        public,
    })
}

fn bytes(text: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| TokenError::Malformed)
}

fn part<T: DeserializeOwned>(text: &str) -> Result<T, TokenError> {
    serde_json::from_slice(&bytes(text)?).map_err(|_| TokenError::Malformed)
}

#[cfg(test)]
mod tests {
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    use super::*;

    const NOW: Millis = 1_785_576_612_000;

    fn encoded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    struct Signer(EcdsaKeyPair);

    impl Signer {
        fn new() -> Signer {
            let random = SystemRandom::new();
            let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
            let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            Signer(EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap())
        }

        fn keys(&self, id: &str) -> Keys {
            let point = self.0.public_key().as_ref();
            let [x, y] = [&point[1..33], &point[33..]].map(|half| URL_SAFE_NO_PAD.encode(half));
            Keys::parse(&json!({ "keys": [
                { "kty": "oct", "kid": id, "k": "AAAA" },
                { "kty": "EC", "crv": "P-256", "kid": id, "use": "sig", "x": x, "y": y },
            ] }))
        }

        fn token(&self, header: &Value, claims: &Value) -> String {
            let signed = format!("{}.{}", encoded(header), encoded(claims));
            let signature = self
                .0
                .sign(&SystemRandom::new(), signed.as_bytes())
                .unwrap();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        }
    }

    fn claims() -> Value {
        json!({ "iss": "https://id.example", "aud": "here", "exp": NOW / 1000 + 300, "iat": NOW / 1000 })
    }

    fn judged(text: &str, keys: &Keys) -> Result<String, TokenError> {
        let token = Token::parse(text)?;
        token.signed_by(keys)?;
        token
            .valid(&["there".to_owned(), "here".to_owned()], NOW)
            .map(|(_, audience)| audience)
    }

    #[test]
    fn a_token_is_taken_that_is_signed_meant_for_here_and_of_now() {
        let signer = Signer::new();
        let header = json!({ "alg": "ES256", "kid": "a" });
        let keys = signer.keys("a");
        let with = |name: &str, value: Value| {
            let mut claims = claims();
            claims[name] = value;
            judged(&signer.token(&header, &claims), &keys)
        };
        let seconds = NOW / 1000;
        for (name, value, expected) in [
            ("more", json!(1), Ok("here".to_owned())),
            ("aud", json!(["x", "there"]), Ok("there".to_owned())),
            ("aud", json!("elsewhere"), Err(TokenError::Audience)),
            ("aud", Value::Null, Err(TokenError::Audience)),
            ("exp", json!(seconds - 59), Ok("here".to_owned())),
            ("exp", json!(seconds - 60), Err(TokenError::Expired)),
            ("exp", json!("tomorrow"), Err(TokenError::Malformed)),
            ("exp", Value::Null, Err(TokenError::Malformed)),
            ("nbf", json!(seconds + 60), Ok("here".to_owned())),
            ("nbf", json!(seconds + 61), Err(TokenError::Early)),
            ("iat", json!(seconds + 61), Err(TokenError::Early)),
        ] {
            assert_eq!(with(name, value.clone()), expected, "{name} {value}");
        }
    }

    #[test]
    fn a_token_is_not_believed_about_how_it_is_signed() {
        let (signer, other) = (Signer::new(), Signer::new());
        let keys = signer.keys("a");
        let made = |header: Value| judged(&signer.token(&header, &claims()), &keys);
        let good = json!({ "alg": "ES256", "kid": "a" });
        assert!(made(good.clone()).is_ok());
        assert!(made(json!({ "alg": "ES256" })).is_ok());
        for (header, expected) in [
            (json!({ "alg": "none" }), TokenError::Algorithm),
            (json!({ "alg": "HS256", "kid": "a" }), TokenError::Algorithm),
            (
                json!({ "alg": "RS256", "kid": "a" }),
                TokenError::UnknownKey,
            ),
            (
                json!({ "alg": "ES256", "kid": "b" }),
                TokenError::UnknownKey,
            ),
            (json!({ "kid": "a" }), TokenError::Malformed),
        ] {
            assert_eq!(made(header.clone()), Err(expected), "{header}");
        }
        let strange = other.token(&good, &claims());
        assert_eq!(judged(&strange, &keys), Err(TokenError::Signature));
        // Another token's claims under this signature; and no signature.
        let text = signer.token(&good, &claims());
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let forged = format!(
            "{}.{}.{signature}",
            encoded(&good),
            encoded(&json!({ "aud": "here" }))
        );
        assert_eq!(judged(&forged, &keys), Err(TokenError::Signature));
        assert_eq!(
            judged(&format!("{signed}."), &keys),
            Err(TokenError::Signature)
        );
        for text in ["", "a", "a.b", "a.b.c", &"x".repeat(20_000), ".."] {
            assert_eq!(judged(text, &keys), Err(TokenError::Malformed));
        }
    }
}
