//! Logging in by an identity provider: OpenID Connect, the authorization code flow with PKCE (RFC 7636).
//!
//! What one login needs to remember is in a cookie of the browser that began it, so any server can end it. All of its
//! values are made of one secret there: whoever brings a provider's answer without that cookie has not begun a login.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use runward_store::{Millis, Role};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::fetch::{Fetch, FetchError};
use super::issuer::Issuer;
use super::jwt::{Token as Jwt, TokenError};
use crate::config;
use crate::query::{encoded, pairs};

/// Groups of a person that are looked at.
const GROUPS_MAX: usize = 1_000;
/// Characters of a login.
const LOGIN_MAX: usize = 200;

/// The identity provider of the settings.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) settings: config::Oidc,
    issuer: Issuer,
    fetch: Fetch,
    /// Where the provider sends people back to.
    redirect: String,
}

/// One login that was begun.
pub(crate) struct Begun {
    secret: String,
    /// Whether it is for a person who is logged in and shows again who it is.
    pub(crate) again: bool,
    /// Where the person wants to go.
    pub(crate) next: String,
}

/// Who came back from the provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identified {
    /// The same for the same person, for ever: the issuer, and its name for the person.
    pub(crate) subject: String,
    /// What people call the person.
    pub(crate) login: String,
    /// The domain of an e-mail address that the provider has verified.
    domain: Option<String>,
    groups: Vec<String>,
    /// When the provider asked the person, if it says so.
    pub(crate) authenticated_at: Option<Millis>,
}

/// Why nobody was identified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    #[error("The identity provider can't be reached now. Try again in a moment.")]
    Away,
    #[error("This login was not begun here, or it took too long. Begin it again.")]
    NotBegun,
    #[error("The identity provider did not let you in: {0}.")]
    Refused(String),
    #[error("The identity provider's answer is not good: {0}.")]
    Bad(String),
}

impl From<TokenError> for LoginError {
    fn from(error: TokenError) -> LoginError {
        match error {
            TokenError::Away => LoginError::Away,
            other => LoginError::Bad(other.to_string()),
        }
    }
}

impl From<FetchError> for LoginError {
    fn from(error: FetchError) -> LoginError {
        tracing::warn!(%error, "the identity provider failed");
        if error.refused {
            LoginError::Bad("it does not know this login any more".to_owned())
        } else {
            LoginError::Away
        }
    }
}

impl Begun {
    /// `secret` is random.
    pub(crate) fn new(secret: &str, again: bool, next: &str) -> Begun {
        Begun {
            secret: secret.to_owned(),
            again,
            next: next.to_owned(),
        }
    }

    /// As the browser keeps it.
    pub(crate) fn to_cookie(&self) -> String {
        let again = u8::from(self.again);
        let next = URL_SAFE_NO_PAD.encode(&self.next);
        format!("{}.{again}.{next}", self.secret)
    }

    pub(crate) fn from_cookie(text: &str) -> Option<Begun> {
        let mut parts = text.split('.');
        let (secret, again, next) = (parts.next()?, parts.next()?, parts.next()?);
        let next = String::from_utf8(URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        (!secret.is_empty()).then(|| Begun::new(secret, again == "1", &next))
    }

    /// A value of this login that tells nothing about the others.
    fn value(&self, what: &str) -> String {
        let digest = Sha256::digest(format!("runward login {what} {}", self.secret));
        URL_SAFE_NO_PAD.encode(digest)
    }

    /// Whether the provider's answer belongs to this login.
    pub(crate) fn is_state(&self, state: &str) -> bool {
        Sha256::digest(self.value("state")) == Sha256::digest(state)
    }
}

impl Provider {
    pub(crate) fn new(settings: &config::Oidc, public_url: &str, fetch: &Fetch) -> Provider {
        Provider {
            issuer: Issuer::new(&settings.issuer, fetch),
            fetch: fetch.clone(),
            redirect: format!("{public_url}/login/oidc/callback"),
            settings: settings.clone(),
        }
    }

    /// Where the browser goes to log in.
    pub(crate) async fn begin(&self, begun: &Begun, now: Millis) -> Result<String, LoginError> {
        let metadata = self.issuer.metadata(now).await?;
        let endpoint = metadata.authorization_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| lacks("authorization_endpoint"))?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(begun.value("verifier")));
        let (state, nonce) = (begun.value("state"), begun.value("nonce"));
        let scope = self.scope();
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", self.settings.client_id.as_str()),
            ("redirect_uri", self.redirect.as_str()),
            ("scope", scope.as_str()),
            ("state", state.as_str()),
            ("nonce", nonce.as_str()),
            ("code_challenge", challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        if begun.again {
            query.extend([("prompt", "login"), ("max_age", "0")]);
        }
        let joint = if endpoint.contains('?') { '&' } else { '?' };
        Ok(format!("{endpoint}{joint}{}", pairs(&query)))
    }

    /// Groups are a scope of their own at most providers that know one of that name; others ignore it.
    fn scope(&self) -> String {
        let uses_groups =
            !self.settings.admin_groups.is_empty() || !self.settings.allowed_groups.is_empty();
        match uses_groups && self.settings.groups_claim == "groups" {
            true => "openid profile email groups".to_owned(),
            false => "openid profile email".to_owned(),
        }
    }

    /// Who came back with this code.
    pub(crate) async fn finish(
        &self,
        begun: &Begun,
        code: &str,
        issuer: Option<&str>,
        now: Millis,
    ) -> Result<Identified, LoginError> {
        let metadata = self.issuer.metadata(now).await?;
        // RFC 9207: an answer that says whose it is is this provider's.
        if issuer.is_some_and(|issuer| issuer != metadata.issuer) {
            return Err(TokenError::Issuer.into());
        }
        let answer = self.exchange(begun, code, now).await?;
        let text = |name: &str| answer.get(name).and_then(Value::as_str);
        let token = text("id_token").ok_or_else(|| lacks("id_token"))?;
        let client = [self.settings.client_id.clone()];
        let (mut claims, _) = self
            .issuer
            .verified(Jwt::parse(token)?, &client, now)
            .await?;
        if claims.get("nonce").and_then(Value::as_str) != Some(begun.value("nonce").as_str()) {
            return Err(LoginError::Bad("it is for another login".to_owned()));
        }
        let party = claims.get("azp").and_then(Value::as_str);
        if party.is_some_and(|party| party != self.settings.client_id) {
            return Err(TokenError::Audience.into());
        }
        // Many providers tell no more than the subject in the token.
        if let (Some(address), Some(access)) = (&metadata.userinfo_endpoint, text("access_token")) {
            let more = self.fetch.get(address, Some(access)).await?;
            merge(&mut claims, more)?;
        }
        let identified = self.identified(&metadata.issuer, &claims)?;
        if begun.again && identified.authenticated_at.is_none() {
            return Err(LoginError::Bad(
                "it does not say when you logged in".to_owned(),
            ));
        }
        Ok(identified)
    }

    async fn exchange(&self, begun: &Begun, code: &str, now: Millis) -> Result<Value, LoginError> {
        let metadata = self.issuer.metadata(now).await?;
        let endpoint = metadata.token_endpoint.as_ref();
        let endpoint = endpoint.ok_or_else(|| lacks("token_endpoint"))?;
        let verifier = begun.value("verifier");
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", self.redirect.as_str()),
            ("code_verifier", verifier.as_str()),
        ];
        let ways = &metadata.token_endpoint_auth_methods_supported;
        let offers = |way: &str| ways.iter().any(|offered| offered == way);
        let id = self.settings.client_id.as_str();
        let mut basic = None;
        match &self.settings.client_secret {
            // The usual way, and the one that is meant when the provider says nothing.
            Some(secret) if ways.is_empty() || offers("client_secret_basic") => {
                let both = format!("{}:{}", encoded(id), encoded(&secret.0));
                basic = Some(STANDARD.encode(both));
            }
            Some(secret) => form.extend([("client_id", id), ("client_secret", secret.0.as_str())]),
            None => form.push(("client_id", id)),
        }
        Ok(self
            .fetch
            .post(endpoint, basic.as_deref(), pairs(&form))
            .await?)
    }

    fn identified(
        &self,
        issuer: &str,
        claims: &Map<String, Value>,
    ) -> Result<Identified, LoginError> {
        let text = |name: &str| {
            let text = claims.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let sub = text("sub").ok_or_else(|| lacks("sub"))?;
        let verified = match claims.get("email_verified") {
            Some(Value::Bool(verified)) => *verified,
            Some(Value::String(word)) => word == "true",
            _ => false,
        };
        let email = text("email").filter(|_| verified);
        let login = email.or_else(|| text("preferred_username")).unwrap_or(sub);
        let groups = match claims.get(&self.settings.groups_claim) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(several)) => {
                let names = several.iter().filter_map(Value::as_str);
                names.take(GROUPS_MAX).map(str::to_owned).collect()
            }
            _ => Vec::new(),
        };
        let plain = |c: &char| !c.is_control();
        Ok(Identified {
            subject: format!("{issuer} {sub}"),
            login: login.chars().filter(plain).take(LOGIN_MAX).collect(),
            domain: email
                .and_then(|email| email.rsplit_once('@'))
                .map(|(_, domain)| domain.to_lowercase()),
            groups,
            authenticated_at: claims
                .get("auth_time")
                .and_then(Value::as_i64)
                .map(|seconds| seconds.saturating_mul(1000)),
        })
    }

    /// What this person may do; nothing, unless the settings name a group or the domain of the person. `known` is the role
    /// of somebody who was here before.
    pub(crate) fn role(&self, who: &Identified, known: Option<Role>) -> Option<Role> {
        let settings = &self.settings;
        let is_in = |groups: &[String]| groups.iter().any(|group| who.groups.contains(group));
        if is_in(&settings.admin_groups) {
            return Some(Role::Admin);
        }
        let domain = who.domain.as_ref();
        let by_domain = domain.is_some_and(|domain| settings.allowed_domains.contains(domain));
        if !by_domain && !is_in(&settings.allowed_groups) {
            return None;
        }
        match known {
            // Where no group makes admins, the admins here do.
            Some(role) if settings.admin_groups.is_empty() => Some(role),
            _ => Some(Role::Auditor),
        }
    }
}

/// Adds what the provider tells of the same person; the signed token is the stronger one.
fn merge(claims: &mut Map<String, Value>, more: Value) -> Result<(), LoginError> {
    let Value::Object(more) = more else {
        return Err(lacks("sub"));
    };
    if more.get("sub") != claims.get("sub") {
        return Err(LoginError::Bad("it is about two people".to_owned()));
    }
    for (name, value) in more {
        claims.entry(name).or_insert(value);
    }
    Ok(())
}

fn lacks(what: &str) -> LoginError {
    LoginError::Bad(format!("it lacks `{what}`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider(admins: &[&str], groups: &[&str], domains: &[&str]) -> Provider {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let settings = config::Oidc {
            issuer: "https://id.example".to_owned(),
            client_id: "runward".to_owned(),
            client_secret: None,
            name: "id.example".to_owned(),
            org: None,
            groups_claim: "groups".to_owned(),
            admin_groups: list(admins),
            allowed_groups: list(groups),
            allowed_domains: list(domains),
        };
        Provider::new(
            &settings,
            "https://runward.example",
            &Fetch::new(None).unwrap(),
        )
    }

    #[test]
    fn a_login_survives_in_its_cookie() {
        let begun = Begun::new("secret", true, "/o/main?x=ü");
        let back = Begun::from_cookie(&begun.to_cookie()).unwrap();
        assert!(back.again && back.next == begun.next && back.is_state(&begun.value("state")));
        assert!(!back.is_state("") && !back.is_state(&begun.value("nonce")));
        assert!(!Begun::new("other", true, "/").is_state(&begun.value("state")));
        for text in ["", "a", "a.1", ".1.", "a.1.!"] {
            assert!(Begun::from_cookie(text).is_none(), "{text}");
        }
    }

    #[test]
    fn only_people_whom_the_settings_name_come_in() {
        let groups = provider(&["ops"], &["dev"], &[]);
        let domains = provider(&[], &[], &["example.com"]);
        let who = |provider: &Provider, claims: Value| {
            let claims = claims.as_object().unwrap().clone();
            provider.identified("https://id.example", &claims).unwrap()
        };
        use Role::{Admin, Auditor};
        for (provider, claims, known, expected) in [
            (
                &groups,
                json!({ "groups": ["x", "ops"] }),
                None,
                Some(Admin),
            ),
            (&groups, json!({ "groups": ["dev"] }), None, Some(Auditor)),
            (
                &groups,
                json!({ "groups": "dev" }),
                Some(Admin),
                Some(Auditor),
            ),
            (&groups, json!({ "groups": ["x"] }), Some(Admin), None),
            (
                &groups,
                json!({ "email": "a@example.com", "email_verified": true }),
                None,
                None,
            ),
            (
                &domains,
                json!({ "email": "a@Example.com", "email_verified": true }),
                None,
                Some(Auditor),
            ),
            (
                &domains,
                json!({ "email": "a@example.com", "email_verified": "true" }),
                Some(Admin),
                Some(Admin),
            ),
            (
                &domains,
                json!({ "email": "a@example.com", "email_verified": false }),
                None,
                None,
            ),
            (
                &domains,
                json!({ "email": "a@example.com" }),
                Some(Admin),
                None,
            ),
            (
                &domains,
                json!({ "email": "a@example.com@evil.example", "email_verified": true }),
                None,
                None,
            ),
            (
                &domains,
                json!({ "email": "a@sub.example.com", "email_verified": true }),
                None,
                None,
            ),
            (&domains, json!({}), None, None),
        ] {
            let mut claims = claims;
            claims["sub"] = json!("1");
            let role = provider.role(&who(provider, claims.clone()), known);
            assert_eq!(role, expected, "{claims}");
        }
        let named = who(
            &groups,
            json!({ "sub": "7", "email": "a@b.example", "preferred_username": "ada\n" }),
        );
        assert_eq!(
            (named.login.as_str(), named.subject.as_str()),
            ("ada", "https://id.example 7")
        );
    }

    #[test]
    fn what_is_told_of_another_person_is_not_merged() {
        let mut claims = json!({ "sub": "1", "email": "signed" })
            .as_object()
            .unwrap()
            .clone();
        merge(
            &mut claims,
            json!({ "sub": "1", "email": "told", "groups": [] }),
        )
        .unwrap();
        assert_eq!(claims["email"], "signed");
        assert!(claims.contains_key("groups"));
        assert!(merge(&mut claims, json!({ "sub": "2" })).is_err());
    }
}
