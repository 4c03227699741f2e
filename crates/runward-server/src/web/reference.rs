//! The reference of the API, for everybody.

use axum::extract::State;
use axum::response::Response;

use super::access::{shell_of, shown};
use crate::app::App;
use crate::auth::Viewer;
use crate::pages::{ReferencePage, Shell};

/// `GET /docs/api`. Whoever is logged in keeps the way back to the organisation.
pub(crate) async fn page(State(app): State<App>, Viewer(person): Viewer) -> Response {
    let shell = match &person {
        Some(person) => {
            // Without the database the page is as good, only the way back is missing.
            let orgs = app.store().orgs().await.unwrap_or_default();
            let own = orgs.iter().find(|org| org.id == person.session.user.org);
            own.map_or_else(Shell::outside, |org| shell_of(org, Some(person)))
        }
        None => Shell::outside(),
    };
    shown(&ReferencePage::new(shell, &app.config().public_url))
}
