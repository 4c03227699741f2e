//! Operations about who belongs to an organisation, and who may send records to it.

use axum::extract::State;
use axum::http::StatusCode;
use runward_api as api;
use runward_store::{KeyScope, NewApiKey, Role, StoreError, Trust};

use super::answers::{Answer, told_key, whole_org};
use super::{AdminKey, Json, Path, ReadKey};
use crate::app::{App, now};
use crate::auth::{Client, NewKey, Registration, is_pattern};
use crate::problem::Problem;
use crate::web::REGISTRATION;

/// Characters of a machine's name.
const HOST_MAX: usize = 100;

fn impossible(detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not possible", detail)
}

pub(super) async fn members(State(app): State<App>, ReadKey(key): ReadKey) -> Answer<api::Members> {
    let users = app.store().users(whole_org(&key)?).await?;
    let members = users.into_iter().map(|user| api::Member {
        id: user.id,
        login: user.login,
        role: match user.role {
            Role::Admin => api::Role::Admin,
            Role::Auditor => api::Role::Auditor,
        },
        password: user.password_hash.is_some(),
    });
    Ok(Json(api::Members {
        members: members.collect(),
    }))
}

pub(super) async fn change_member(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
    Json(change): Json<api::MemberChange>,
) -> Result<StatusCode, Problem> {
    key.fresh()?;
    let role = match change.role {
        api::Role::Admin => Role::Admin,
        api::Role::Auditor => Role::Auditor,
    };
    let done = app.store().set_role(key.org, id, role).await?;
    finished(&app, &key, done, "user.role", id).await
}

pub(super) async fn remove_member(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    key.fresh()?;
    let done = app.store().remove_user(key.org, id).await?;
    finished(&app, &key, done, "user.remove", id).await
}

async fn finished(
    app: &App,
    key: &super::Caller,
    done: bool,
    act: &str,
    id: i64,
) -> Result<StatusCode, Problem> {
    if !done {
        return Err(impossible("the organisation would be without an admin"));
    }
    app.store()
        .audit(key.org, now(), &key.who, act, &id.to_string())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn trusts(State(app): State<App>, ReadKey(key): ReadKey) -> Answer<api::Trusts> {
    let trusts = app.store().trusts(whole_org(&key)?).await?;
    Ok(Json(api::Trusts {
        trusts: trusts.into_iter().map(told_trust).collect(),
    }))
}

fn told_trust(trust: Trust) -> api::Trust {
    api::Trust {
        id: trust.id,
        issuer: trust.issuer,
        pattern: trust.pattern,
        created_at_ms: trust.created_at,
    }
}

pub(super) async fn create_trust(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Json(wanted): Json<api::NewTrust>,
) -> Result<(StatusCode, Json<api::Trust>), Problem> {
    key.fresh()?;
    let mut known = app.job_issuers().iter();
    if !known.any(|known| known.settings.address == wanted.issuer) {
        return Err(impossible(
            "issuer: it is not one of this server's setting ci-issuers",
        ));
    }
    if !is_pattern(&wanted.pattern) {
        return Err(impossible(
            "pattern: a project is written as group/app, all of a group as group/*",
        ));
    }
    let trust = app
        .store()
        .add_trust(key.org, &wanted.issuer, &wanted.pattern, now())
        .await?;
    let subject = format!("{} {}", wanted.issuer, wanted.pattern);
    app.store()
        .audit(key.org, now(), &key.who, "trust.create", &subject)
        .await?;
    Ok((StatusCode::CREATED, Json(told_trust(trust))))
}

pub(super) async fn remove_trust(
    State(app): State<App>,
    AdminKey(key): AdminKey,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    key.fresh()?;
    let trust = app.store().remove_trust(key.org, id).await?;
    let trust = trust.ok_or(StoreError::Missing("entry"))?;
    let subject = format!("{} {}", trust.issuer, trust.pattern);
    app.store()
        .audit(key.org, now(), &key.who, "trust.remove", &subject)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn create_registration(
    State(app): State<App>,
    AdminKey(key): AdminKey,
) -> Result<(StatusCode, Json<api::CreatedRegistration>), Problem> {
    let token = NewKey::registration()
        .map_err(|_| Problem::unavailable("there is no randomness for a token"))?;
    let expires_at_ms = now() + REGISTRATION;
    app.store()
        .add_registration(&token.hash, key.org, now(), expires_at_ms)
        .await?;
    app.store()
        .audit(
            key.org,
            now(),
            &key.who,
            "registration.create",
            &token.prefix,
        )
        .await?;
    let created = api::CreatedRegistration {
        token: token.text,
        expires_at_ms,
    };
    Ok((StatusCode::CREATED, Json(created)))
}

/// A machine comes with its token, and gets a key. The token is used up only when everything else is right.
pub(super) async fn register_agent(
    State(app): State<App>,
    Client(client): Client,
    Registration(hash): Registration,
    Json(machine): Json<api::NewAgent>,
) -> Result<(StatusCode, Json<api::CreatedApiKey>), Problem> {
    // Counted before the database's one writer is asked.
    app.rates().guesses(client)?;
    let host = machine.host.trim();
    if host.is_empty() || host.chars().count() > HOST_MAX || host.chars().any(char::is_control) {
        return Err(impossible("host: a machine's name has 1 to 100 characters"));
    }
    let new =
        NewKey::generate().map_err(|_| Problem::unavailable("there is no randomness for a key"))?;
    let org = app.store().use_registration(&hash, now()).await?;
    let org = org.ok_or_else(Problem::no_registration)?;
    let kept = NewApiKey {
        name: host.to_owned(),
        prefix: new.prefix,
        hash: new.hash,
        org,
        project: None,
        scope: KeyScope::Ingest,
    };
    let kept = app.store().add_key(&kept, now()).await?;
    app.store()
        .audit(org, now(), "registration", "api-key.create", host)
        .await?;
    let created = api::CreatedApiKey {
        secret: new.text,
        key: told_key(kept),
    };
    Ok((StatusCode::CREATED, Json(created)))
}
