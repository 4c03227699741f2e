//! Who calls: a program with a key, or a person with a session.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Method, header};
use runward_store::{KeyScope, OrgId, ProjectId, Role};

use crate::app::{App, now};
use crate::auth::{Bearer, Viewer, guessed};
use crate::problem::Problem;

/// The header in which people's programs say what this server's pages know (`csrf`), so that another site's page can't
/// change anything with a session.
const CSRF: &str = "x-csrf-token";

/// Somebody who may do what is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whose data it is about.
    pub(crate) org: OrgId,
    /// The only project that the caller may see; all, if there is none.
    pub(crate) project: Option<ProjectId>,
    /// How the caller stands in the log of changes.
    pub(crate) who: String,
    /// Whether the caller has shown lately who it is.
    fresh: bool,
    may: Rights,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    Send,
    Read,
    Change,
}

impl Caller {
    /// What is dangerous in wrong hands takes more than a session that somebody left open.
    pub(crate) fn fresh(&self) -> Result<(), Problem> {
        match self.fresh {
            true => Ok(()),
            false => Err(Problem::forbidden(
                "log in again: this takes a session in which you logged in less than ten minutes ago",
            )),
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Caller, Problem> {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return by_key(parts, app).await;
        }
        let Ok(Viewer(person)) = Viewer::from_request_parts(parts, app).await;
        let Some(person) = person else {
            guessed(parts, app).await?;
            return Err(Problem::no_key());
        };
        app.rates().person(person.session.user.id)?;
        let said = parts.headers.get(CSRF).map(|said| said.as_bytes());
        if parts.method != Method::GET && said != Some(person.session.csrf.as_bytes()) {
            return Err(Problem::forbidden(format!(
                "a change by a session takes the header {CSRF} with the session's secret"
            )));
        }
        Ok(Caller {
            org: person.session.user.org,
            project: None,
            fresh: person.is_fresh(now()),
            may: match person.session.user.role {
                Role::Admin => Rights::Change,
                Role::Auditor => Rights::Read,
            },
            who: person.session.user.login,
        })
    }
}

async fn by_key(parts: &mut Parts, app: &App) -> Result<Caller, Problem> {
    let Bearer(key) = Bearer::from_request_parts(parts, app).await?;
    Ok(Caller {
        org: key.org,
        project: key.project,
        who: format!("key {} ({})", key.name, key.prefix),
        fresh: true,
        may: match (key.scope, key.project) {
            (KeyScope::Ingest, _) => Rights::Send,
            // What an admin does is for the whole organisation, which a key of one project is not.
            (KeyScope::Read, _) | (KeyScope::Admin, Some(_)) => Rights::Read,
            (KeyScope::Admin, None) => Rights::Change,
        },
    })
}

/// Somebody who may read. A key for a single project sees nothing else of the organisation.
pub(crate) struct ReadKey(pub(crate) Caller);

/// Somebody who may do everything.
pub(crate) struct AdminKey(pub(crate) Caller);

impl FromRequestParts<App> for ReadKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<ReadKey, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        match caller.may {
            Rights::Read | Rights::Change => Ok(ReadKey(caller)),
            Rights::Send => Err(Problem::no_key()),
        }
    }
}

impl FromRequestParts<App> for AdminKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<AdminKey, Problem> {
        let is_key = parts.headers.contains_key(header::AUTHORIZATION);
        let caller = Caller::from_request_parts(parts, app).await?;
        match caller.may {
            Rights::Change => Ok(AdminKey(caller)),
            _ if is_key => Err(Problem::no_key()),
            _ => Err(Problem::forbidden("only an admin may do this")),
        }
    }
}
