//! The pages' addresses: who may see them, what is asked of the store, and which page is made of the answer.

mod access;
mod assets;
mod confirm;
mod entry;
mod oidc;
mod organisation;
mod policies;
mod run;
mod settings;
mod suppressions;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use crate::app::App;
pub(crate) use settings::REGISTRATION;

/// Bytes of a form that anybody may send.
const LOGIN_MAX: usize = 16 << 10;
/// Bytes of any other form: the largest is a policy of 64 KiB, each byte written as three.
const FORM_MAX: usize = 256 << 10;

/// Every page.
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/", get(entry::home))
        .route(
            "/login",
            get(entry::login_page)
                .post(entry::login)
                .layer(DefaultBodyLimit::max(LOGIN_MAX)),
        )
        .route("/login/oidc", get(oidc::begin))
        .route("/login/oidc/callback", get(oidc::callback))
        .route("/login/confirmed", get(oidc::confirmed))
        .route("/logout", post(entry::logout))
        .route(
            "/setup",
            get(entry::setup_page)
                .post(entry::setup)
                .layer(DefaultBodyLimit::max(LOGIN_MAX)),
        )
        .route("/assets/{name}", get(assets::asset))
        .route("/runs/{run}", get(run::forward))
        .route("/o/{org}", get(organisation::overview))
        .route("/o/{org}/projects", get(organisation::projects))
        .route("/o/{org}/runs", get(organisation::runs))
        .route("/o/{org}/destinations", get(organisation::destinations))
        .route(
            "/o/{org}/destinations.csv",
            get(organisation::destinations_csv),
        )
        .route(
            "/o/{org}/destinations.json",
            get(organisation::destinations_json),
        )
        .route("/o/{org}/destinations/{id}", get(organisation::destination))
        .route("/o/{org}/detections", get(organisation::detections))
        .route("/o/{org}/detections/{id}", post(organisation::decide))
        .route(
            "/o/{org}/suppressions",
            get(suppressions::list).post(suppressions::make),
        )
        .route("/o/{org}/suppressions/new", get(suppressions::form))
        .route(
            "/o/{org}/suppressions/{id}",
            get(suppressions::rule).post(suppressions::end),
        )
        .route("/o/{org}/baseline", get(organisation::baseline))
        .merge(policies::router())
        .route("/o/{org}/agents", get(organisation::agents))
        .route("/o/{org}/settings", get(settings::page))
        .route("/o/{org}/settings/keys", post(settings::create_key))
        .route("/o/{org}/settings/keys/{id}", post(settings::revoke_key))
        .route("/o/{org}/settings/members", post(settings::add_member))
        .route(
            "/o/{org}/settings/members/{id}",
            post(settings::change_member),
        )
        .route(
            "/o/{org}/settings/registrations",
            post(settings::create_registration),
        )
        .route("/o/{org}/settings/trust", post(settings::add_trust))
        .route("/o/{org}/settings/trust/{id}", post(settings::remove_trust))
        .route(
            "/o/{org}/settings/projects/{id}",
            post(settings::set_visibility),
        )
        .route("/o/{org}/runs/{run}", get(run::summary))
        .route(
            "/o/{org}/runs/{run}/{tab}",
            get(run::tab).post(run::what_if),
        )
        .layer(DefaultBodyLimit::max(FORM_MAX))
}
