//! Who calls: a program with a key.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use runward_store::{ApiKey, KeyScope};

use crate::app::App;
use crate::auth::Bearer;
use crate::problem::Problem;

/// A key that may read. One for a single project sees nothing else of the organisation.
pub(crate) struct ReadKey(pub(crate) ApiKey);

/// A key that may do everything.
pub(crate) struct AdminKey(pub(crate) ApiKey);

impl FromRequestParts<App> for ReadKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<ReadKey, Problem> {
        let Bearer(key) = Bearer::from_request_parts(parts, app).await?;
        match key.scope {
            KeyScope::Read | KeyScope::Admin => Ok(ReadKey(key)),
            KeyScope::Ingest => Err(Problem::no_key()),
        }
    }
}

impl FromRequestParts<App> for AdminKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<AdminKey, Problem> {
        let Bearer(key) = Bearer::from_request_parts(parts, app).await?;
        // What an admin does is for the whole organisation, which a key of one project is not.
        match (key.scope, key.project) {
            (KeyScope::Admin, None) => Ok(AdminKey(key)),
            _ => Err(Problem::no_key()),
        }
    }
}
