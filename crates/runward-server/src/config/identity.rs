//! How people and jobs show who they are: the part of the settings that is about it.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use ipnet::IpNet;
use runward_event::Provider;
use serde::Deserialize;

/// Issuers that jobs' tokens are taken from unless others are named.
const USUAL_CI_ISSUERS: [&str; 2] = [
    "github=https://token.actions.githubusercontent.com",
    "gitlab=https://gitlab.com",
];

/// Options about identity. In the file they have the same names.
#[derive(Args, Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct IdentityOptions {
    /// The identity provider that people log in with: its address, as it stands in its tokens
    #[arg(long, value_name = "URL", env = "RUNWARD_OIDC_ISSUER", global = true)]
    pub(crate) oidc_issuer: Option<String>,
    /// What the identity provider knows this server by
    #[arg(long, value_name = "ID", env = "RUNWARD_OIDC_CLIENT_ID", global = true)]
    pub(crate) oidc_client_id: Option<String>,
    /// A file with the secret that the identity provider gave out for this server
    #[arg(
        long,
        value_name = "FILE",
        env = "RUNWARD_OIDC_CLIENT_SECRET_FILE",
        global = true
    )]
    pub(crate) oidc_client_secret_file: Option<PathBuf>,
    /// What the login page calls the identity provider [default: its host]
    #[arg(long, value_name = "NAME", env = "RUNWARD_OIDC_NAME", global = true)]
    pub(crate) oidc_name: Option<String>,
    /// The organisation that people from the identity provider belong to [default: the first one]
    #[arg(long, value_name = "SLUG", env = "RUNWARD_OIDC_ORG", global = true)]
    pub(crate) oidc_org: Option<String>,
    /// Where the identity provider says which groups a person is in [default: groups]
    #[arg(
        long,
        value_name = "CLAIM",
        env = "RUNWARD_OIDC_GROUPS_CLAIM",
        global = true
    )]
    pub(crate) oidc_groups_claim: Option<String>,
    /// Groups whose people are admins
    #[arg(
        long,
        value_name = "GROUP,…",
        env = "RUNWARD_OIDC_ADMIN_GROUPS",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) oidc_admin_groups: Vec<String>,
    /// Groups whose people may log in
    #[arg(
        long,
        value_name = "GROUP,…",
        env = "RUNWARD_OIDC_ALLOWED_GROUPS",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) oidc_allowed_groups: Vec<String>,
    /// Domains of e-mail addresses whose people may log in, if the identity provider has verified the address
    #[arg(
        long,
        value_name = "DOMAIN,…",
        env = "RUNWARD_OIDC_ALLOWED_DOMAINS",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) oidc_allowed_domains: Vec<String>,
    /// Who signs tokens of jobs: `github=URL` or `gitlab=URL` [default: those of github.com and gitlab.com]
    #[arg(
        long,
        value_name = "PROVIDER=URL,…",
        env = "RUNWARD_CI_ISSUERS",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) ci_issuers: Vec<String>,
    /// A PEM file with the authorities that vouch for these addresses, in place of the usual ones
    #[arg(long, value_name = "FILE", env = "RUNWARD_CA_FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Proxies whose `X-Forwarded-For` is believed: addresses or networks
    #[arg(
        long,
        value_name = "NETWORK,…",
        env = "RUNWARD_TRUSTED_PROXIES",
        value_delimiter = ',',
        global = true
    )]
    pub(crate) trusted_proxies: Vec<String>,
}

/// These settings, ready to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// None where people only have passwords.
    pub(crate) oidc: Option<Oidc>,
    pub(crate) ci_issuers: Vec<CiIssuer>,
    /// Authorities (PEM); none for the usual ones.
    pub(crate) ca: Option<String>,
    pub(crate) trusted_proxies: Vec<IpNet>,
}

/// The identity provider that people log in with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Oidc {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// None for a client that the provider knows as public.
    pub(crate) client_secret: Option<Secret>,
    pub(crate) name: String,
    pub(crate) org: Option<String>,
    pub(crate) groups_claim: String,
    pub(crate) admin_groups: Vec<String>,
    pub(crate) allowed_groups: Vec<String>,
    pub(crate) allowed_domains: Vec<String>,
}

/// Who signs tokens of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CiIssuer {
    /// Says what the claims are called.
    pub(crate) provider: Provider,
    pub(crate) address: String,
}

/// A text that is not to be shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl IdentityOptions {
    /// What is given here, and from `weaker` what is not.
    pub(super) fn or(self, weaker: IdentityOptions) -> IdentityOptions {
        let list = |strong: Vec<String>, weak| if strong.is_empty() { weak } else { strong };
        IdentityOptions {
            oidc_issuer: self.oidc_issuer.or(weaker.oidc_issuer),
            oidc_client_id: self.oidc_client_id.or(weaker.oidc_client_id),
            oidc_client_secret_file: self
                .oidc_client_secret_file
                .or(weaker.oidc_client_secret_file),
            oidc_name: self.oidc_name.or(weaker.oidc_name),
            oidc_org: self.oidc_org.or(weaker.oidc_org),
            oidc_groups_claim: self.oidc_groups_claim.or(weaker.oidc_groups_claim),
            oidc_admin_groups: list(self.oidc_admin_groups, weaker.oidc_admin_groups),
            oidc_allowed_groups: list(self.oidc_allowed_groups, weaker.oidc_allowed_groups),
            oidc_allowed_domains: list(self.oidc_allowed_domains, weaker.oidc_allowed_domains),
            ci_issuers: list(self.ci_issuers, weaker.ci_issuers),
            ca_file: self.ca_file.or(weaker.ca_file),
            trusted_proxies: list(self.trusted_proxies, weaker.trusted_proxies),
        }
    }

    /// Reads these; what is wrong with them goes to `errors`.
    pub(super) fn parse(
        self,
        read: impl Fn(&Path) -> std::io::Result<String>,
        errors: &mut Vec<String>,
    ) -> Identity {
        let trusted_proxies = self.trusted_proxies.iter().filter_map(|text| {
            let network = network(text);
            if network.is_none() {
                errors.push(format!(
                    "trusted-proxies: `{text}` is not an address or a network such as 10.0.0.0/8"
                ));
            }
            network
        });
        let trusted_proxies = trusted_proxies.collect();
        let mut from_file = |name: &str, path: &Path| match read(path) {
            Ok(text) => Some(text),
            Err(error) => {
                errors.push(format!("{name}: can't read {}: {error}", path.display()));
                None
            }
        };
        let ca = self.ca_file.as_deref();
        let ca = ca.and_then(|path| from_file("ca-file", path));
        let secret = self.oidc_client_secret_file.as_deref();
        let secret = secret.and_then(|path| from_file("oidc-client-secret-file", path));
        let secret = secret.map(|text| Secret(text.trim().to_owned()));
        Identity {
            ca,
            trusted_proxies,
            ci_issuers: ci_issuers(&self.ci_issuers, errors),
            oidc: self.oidc(secret, errors),
        }
    }

    fn oidc(self, client_secret: Option<Secret>, errors: &mut Vec<String>) -> Option<Oidc> {
        let given = self.oidc_client_id.is_some()
            || self.oidc_client_secret_file.is_some()
            || !self.oidc_admin_groups.is_empty()
            || !self.oidc_allowed_groups.is_empty()
            || !self.oidc_allowed_domains.is_empty();
        let Some(issuer) = self.oidc_issuer else {
            if given {
                errors.push("oidc-issuer: it is missing beside other settings of it".to_owned());
            }
            return None;
        };
        if !is_issuer(&issuer) {
            errors.push(not_an_issuer("oidc-issuer", &issuer));
        }
        if self.oidc_client_id.is_none() {
            errors.push("oidc-client-id: it is missing beside oidc-issuer".to_owned());
        }
        if self.oidc_admin_groups.is_empty()
            && self.oidc_allowed_groups.is_empty()
            && self.oidc_allowed_domains.is_empty()
        {
            errors.push(
                "oidc-allowed-domains: nobody could log in: name domains, oidc-allowed-groups or oidc-admin-groups"
                    .to_owned(),
            );
        }
        let host = issuer.split('/').nth(2).unwrap_or(&issuer).to_owned();
        let domain = |domain: String| domain.trim_start_matches('@').to_lowercase();
        Some(Oidc {
            issuer,
            client_id: self.oidc_client_id.unwrap_or_default(),
            client_secret,
            name: self.oidc_name.unwrap_or(host),
            org: self.oidc_org,
            groups_claim: self
                .oidc_groups_claim
                .unwrap_or_else(|| "groups".to_owned()),
            admin_groups: self.oidc_admin_groups,
            allowed_groups: self.oidc_allowed_groups,
            allowed_domains: self.oidc_allowed_domains.into_iter().map(domain).collect(),
        })
    }
}

fn ci_issuers(given: &[String], errors: &mut Vec<String>) -> Vec<CiIssuer> {
    let usual = USUAL_CI_ISSUERS.map(str::to_owned);
    let all = if given.is_empty() { &usual } else { given };
    let parsed = all.iter().filter_map(|text| {
        let parsed = ci_issuer(text);
        if parsed.is_none() {
            errors.push(not_an_issuer("ci-issuers", text));
        }
        parsed
    });
    parsed.collect()
}

fn ci_issuer(text: &str) -> Option<CiIssuer> {
    let (provider, address) = text.split_once('=')?;
    let provider = match provider {
        "github" => Provider::Github,
        "gitlab" => Provider::Gitlab,
        _ => return None,
    };
    is_issuer(address).then(|| CiIssuer {
        provider,
        address: address.to_owned(),
    })
}

fn not_an_issuer(setting: &str, text: &str) -> String {
    let form = match setting {
        "ci-issuers" => "github=https://… or gitlab=https://…",
        _ => "https://id.example.com",
    };
    format!("{setting}: `{text}` is not of the form {form}; http:// is for loopback only")
}

/// Whether keys and tokens may be fetched from there: over TLS, or from this machine itself.
pub(crate) fn is_issuer(url: &str) -> bool {
    let plain = |url: &str| url.len() <= 300 && url.bytes().all(|b| b.is_ascii_graphic());
    let host = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        (!authority.is_empty() && !authority.contains(['@', '\\'])).then(|| authority.to_owned())
    };
    if !plain(url) {
        return false;
    }
    if let Some(rest) = url.strip_prefix("https://") {
        return host(rest).is_some();
    }
    let authority = url.strip_prefix("http://").and_then(host);
    authority.is_some_and(|authority| {
        let name = match authority.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => &authority,
        };
        name == "localhost"
            || name
                .trim_start_matches('[')
                .trim_end_matches(']')
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    })
}

pub(super) fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: IdentityOptions) -> (Identity, Vec<String>) {
        let mut errors = Vec::new();
        let identity = options.parse(|_| Ok("  hush\n".to_owned()), &mut errors);
        (identity, errors)
    }

    #[test]
    fn an_identity_provider_needs_an_address_a_client_and_people() {
        let (identity, errors) = parse(IdentityOptions {
            oidc_issuer: Some("https://id.example/realm".to_owned()),
            oidc_client_id: Some("runward".to_owned()),
            oidc_client_secret_file: Some("secret".into()),
            oidc_allowed_domains: vec!["@Example.com".to_owned()],
            trusted_proxies: vec!["10.0.0.0/8".to_owned(), "::1".to_owned()],
            ..IdentityOptions::default()
        });
        assert_eq!(errors, [""; 0]);
        let oidc = identity.oidc.unwrap();
        assert_eq!(oidc.name, "id.example");
        assert_eq!(oidc.allowed_domains, ["example.com"]);
        assert_eq!(oidc.client_secret, Some(Secret("hush".to_owned())));
        assert!(!format!("{oidc:?}").contains("hush"));
        assert_eq!(identity.trusted_proxies.len(), 2);
        assert_eq!(identity.ci_issuers.len(), 2);

        let (_, errors) = parse(IdentityOptions {
            oidc_issuer: Some("http://id.example".to_owned()),
            ci_issuers: vec!["gitea=https://x.example".to_owned()],
            trusted_proxies: vec!["here".to_owned()],
            ..IdentityOptions::default()
        });
        let places: Vec<&str> = errors.iter().filter_map(|e| e.split(':').next()).collect();
        assert_eq!(
            places,
            [
                "trusted-proxies",
                "ci-issuers",
                "oidc-issuer",
                "oidc-client-id",
                "oidc-allowed-domains"
            ]
        );
        let (_, errors) = parse(IdentityOptions {
            oidc_client_id: Some("runward".to_owned()),
            ..IdentityOptions::default()
        });
        assert!(errors[0].starts_with("oidc-issuer:"), "{errors:?}");
    }

    #[test]
    fn keys_are_fetched_over_tls_or_from_this_machine() {
        for (url, expected) in [
            ("https://id.example", true),
            ("https://id.example:8443/realms/a", true),
            ("http://127.0.0.1:99", true),
            ("http://[::1]:99/x", true),
            ("http://localhost", true),
            ("http://id.example", false),
            ("http://127.0.0.1.evil.example", false),
            ("http://127.0.0.1@evil.example", false),
            ("http://127.0.0.1:80@evil.example", false),
            ("file:///etc/passwd", false),
            ("https://", false),
            ("https://a b", false),
        ] {
            assert_eq!(is_issuer(url), expected, "{url}");
        }
    }
}
