//! What an operator does on the machine itself.

use anyhow::{Context as _, bail};
use clap::{Subcommand, ValueEnum};
use runward_store::{KeyScope, NewApiKey, NewUser, Org, Role, StoreError};

use crate::app::{App, now};
use crate::auth::{NewKey, hash_password, is_pattern};

/// The organisation that there is from the start.
const FIRST_ORG: (&str, &str) = ("main", "Main");

#[derive(Debug, Subcommand)]
pub(crate) enum Act {
    /// Make a key, and print it: the only time that it is shown
    Key {
        /// What people will call it
        #[arg(long)]
        name: String,
        /// What it may be used for
        #[arg(long, value_enum, default_value = "ingest")]
        scope: Scope,
        /// The organisation, by its name in addresses [default: the first one]
        #[arg(long)]
        org: Option<String>,
    },
    /// Make another organisation
    Org {
        /// Its name in addresses: small letters, digits and `-`
        slug: String,
        /// Its name for people
        name: String,
    },
    /// Trust the tokens of a project's jobs, or of all projects below a group
    Trust {
        /// The project (`group/app`), or the group (`group/*`)
        pattern: String,
        /// Who signs the tokens; one of the setting `ci-issuers`
        #[arg(long)]
        issuer: String,
        /// The organisation, by its name in addresses [default: the first one]
        #[arg(long)]
        org: Option<String>,
    },
    /// Add a person, with the password that is read from standard input
    User {
        /// What the person logs in with
        login: String,
        /// What the person may do
        #[arg(long, value_enum, default_value = "auditor")]
        role: Rights,
        /// The organisation, by its name in addresses [default: the first one]
        #[arg(long)]
        org: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Scope {
    /// Send records
    Ingest,
    /// Read everything
    Read,
    /// Do what an admin may
    Admin,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Rights {
    /// Everything
    Admin,
    /// Read everything
    Auditor,
}

#[expect(clippy::print_stdout, reason = "the key is the answer of the command")]
pub(crate) async fn act(app: &App, act: &Act) -> anyhow::Result<()> {
    match act {
        Act::Org { slug, name } => {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if slug.is_empty() || slug.len() > 40 || !slug.chars().all(plain) {
                bail!("`{slug}` can't stand in addresses: take small letters, digits and `-`");
            }
            first_org(app).await?;
            app.store().add_org(slug, name).await?;
        }
        Act::Key { name, scope, org } => {
            let org = org_of(app, org.as_deref()).await?;
            let key = NewKey::generate().context("there is no randomness for a key")?;
            let new = NewApiKey {
                name: name.clone(),
                prefix: key.prefix,
                hash: key.hash,
                org: org.id,
                project: None,
                scope: match scope {
                    Scope::Ingest => KeyScope::Ingest,
                    Scope::Read => KeyScope::Read,
                    Scope::Admin => KeyScope::Admin,
                },
            };
            app.store().add_key(&new, now()).await?;
            app.store()
                .audit(org.id, now(), "operator", "api-key.create", name)
                .await?;
            println!("{}", key.text);
        }
        Act::Trust {
            pattern,
            issuer,
            org,
        } => {
            let known = app.job_issuers().iter();
            let known: Vec<&str> = known.map(|i| i.settings.address.as_str()).collect();
            if !known.contains(&issuer.as_str()) {
                bail!("tokens are taken from these issuers: {}", known.join(", "));
            }
            if !is_pattern(pattern) {
                bail!(
                    "`{pattern}` is neither a project, as group/app, nor all of a group, as group/*"
                );
            }
            let org = org_of(app, org.as_deref()).await?;
            app.store()
                .add_trust(org.id, issuer, pattern, now())
                .await?;
            let subject = format!("{issuer} {pattern}");
            app.store()
                .audit(org.id, now(), "operator", "trust.create", &subject)
                .await?;
        }
        Act::User { login, role, org } => {
            let org = org_of(app, org.as_deref()).await?;
            let mut password = String::new();
            std::io::stdin()
                .read_line(&mut password)
                .context("can't read the password")?;
            let role = match role {
                Rights::Admin => Role::Admin,
                Rights::Auditor => Role::Auditor,
            };
            add_user(app, &org, login, password.trim_end_matches('\n'), role).await?;
            app.store()
                .audit(org.id, now(), "operator", "user.create", login)
                .await?;
        }
    }
    Ok(())
}

async fn org_of(app: &App, slug: Option<&str>) -> anyhow::Result<Org> {
    match slug {
        None => first_org(app).await,
        Some(slug) => {
            let org = app.store().org(slug).await?;
            org.with_context(|| format!("there is no organisation `{slug}`"))
        }
    }
}

/// Adds a person with a password.
pub(crate) async fn add_user(
    app: &App,
    org: &Org,
    login: &str,
    password: &str,
    role: Role,
) -> anyhow::Result<()> {
    if password.chars().count() < 12 {
        bail!("a password has at least 12 characters");
    }
    let Ok(hash) = hash_password(password) else {
        bail!("this password can't be kept: choose another one");
    };
    let user = NewUser {
        login: login.to_owned(),
        password_hash: Some(hash),
        subject: None,
        org: org.id,
        role,
    };
    app.store().add_user(&user, now()).await?;
    Ok(())
}

/// The organisation that there is from the start; made when there is none.
pub(crate) async fn first_org(app: &App) -> anyhow::Result<Org> {
    let (slug, name) = FIRST_ORG;
    let orgs = app.store().orgs().await?;
    match orgs.into_iter().min_by_key(|org| org.id) {
        Some(org) => Ok(org),
        None => match app.store().add_org(slug, name).await {
            // A server that starts at the same time was quicker.
            Err(StoreError::Exists(_)) => {
                let org = app.store().org(slug).await?;
                org.context("the first organisation has gone")
            }
            made => Ok(made?),
        },
    }
}
